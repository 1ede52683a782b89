"""``python -m loadtest.registry``: serve the simulated registry, or fill its file.

    python -m loadtest.registry serve --listen 127.0.0.1:8090 --store var/registry.sqlite
    python -m loadtest.registry seed --store var/registry.sqlite --brand 600123 --count 10000000

``serve`` prints ``listening on URL`` once it does, and ends on SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import ssl
from pathlib import Path

import uvloop

from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME, PASSWORD_VARIABLE, make_world
from loadtest.registry.registry import Registry
from loadtest.registry.rules.dates import parse_instant
from loadtest.registry.rules.words import TYPES
from loadtest.registry.seed import seed
from loadtest.registry.server import RegistryServer


def _read_brand(text: str) -> tuple[int, int, str]:
    code, iys_code, name = text.split(":", 2)
    return int(code), int(iys_code), name


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.registry", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="listen")
    serve.add_argument("--listen", default="127.0.0.1:8090", metavar="HOST:PORT")
    serve.add_argument("--store", type=Path, help="SQLite file; without it everything is in memory")
    serve.add_argument("--brand", type=_read_brand, action="append", metavar="BRANDCODE:IYSCODE:NAME")
    serve.add_argument("--username", default=DEFAULT_USERNAME)
    serve.add_argument(
        "--password", default=os.environ.get(PASSWORD_VARIABLE, DEFAULT_PASSWORD), help=f"or in ${PASSWORD_VARIABLE}"
    )
    serve.add_argument("--bulk-delay", type=float, metavar="SECONDS", help="until a bulk request is written")
    serve.add_argument("--no-limits", action="store_true", help="count breaches of the rate limits, refuse nothing")
    serve.add_argument("--holidays", type=Path, metavar="FILE", help="config/holidays-tr.toml or one like it")
    serve.add_argument("--seed", type=int, default=0, help="of the faults' chances")
    serve.add_argument("--allow-http-push", action="store_true", help="push connections may be plain http")
    serve.add_argument("--push-trusts", type=Path, metavar="PEM", help="authority of push receivers")
    serve.add_argument("--at", metavar="TIME", help='the clock begins there: "2026-11-18 12:00:00", Turkish time')
    serve.add_argument("--speed", type=float, help="simulated seconds per second")
    serve.add_argument("--certificate", type=Path)
    serve.add_argument("--key", type=Path)
    fill = commands.add_parser("seed", help="fill the file with made-up consents")
    fill.add_argument("--store", type=Path, required=True)
    fill.add_argument("--brand", type=int, default=600123)
    fill.add_argument("--count", type=int, required=True)
    fill.add_argument("--type", choices=TYPES, default="EPOSTA")
    return parser


async def _serve(given: argparse.Namespace) -> None:
    registry = Registry(
        given.store, holidays=given.holidays, seed=given.seed, is_http_push_allowed=given.allow_http_push
    )
    if given.brand:
        registry.world.load(make_world(given.brand, given.username, given.password))
    changes: dict[str, object] = {"is_limiting": not given.no_limits}
    if given.bulk_delay is not None:
        changes["bulk_delay_s"] = given.bulk_delay
    registry.settings.update(changes)
    registry.apply_settings()
    if given.at is not None or given.speed is not None:
        at = registry.clock.now() if given.at is None else float(parse_instant(given.at))
        registry.clock.move(at, given.speed)
        registry.keep_clock()
    tls = None
    if given.certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(given.certificate, given.key)
    host, _, port = given.listen.rpartition(":")
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with RegistryServer(registry, host=host, port=int(port), push_trusts=given.push_trusts, tls=tls) as server:
        print(f"listening on {server.url}", flush=True)
        await ended.wait()


def main(arguments: list[str] | None = None) -> None:
    given = make_parser().parse_args(arguments)
    if given.command == "seed":
        took = seed(given.store, given.brand, given.count, given.type, lambda done: print(f"\r{done:,}", end=""))
        print(f"\r{given.count:,} consents in {took:.1f} s")
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(given))


if __name__ == "__main__":
    main()
