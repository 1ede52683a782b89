"""What SMS costs in the gateway, side by side with what only hands on, in one run::

    python -m loadtest.bench_sms                  everything, about a minute
    python -m loadtest.bench_sms --quick          the same in seconds, to see that it runs
    python -m loadtest.bench_sms --only bulk --json
    python -m loadtest.bench_sms --write-page     also write docs/benchmarks-sms.md

``single``  requests with one recipient, Netgsm REST v2 and Infobip v3, through the gateway and through a bare aiohttp
            reverse proxy before the same provider, in turns; each serves with one process
``bulk``    one request with many recipients: ``to_upstream_ms`` from its last byte written by the client to its first
            byte at the provider, ``after_ms`` from the provider's answer to the answer at the client, which the
            evidence on disk comes before; both are longer than what the gateway does by what the kernel carries.
            ``longest_wait_ms`` is the longest that somebody else's single request took meanwhile: the longest that the
            loop was held, and its own time
``smpp``    ``loadtest.bench_smpp`` through its links alone and through a whole gateway

The gateway is as it is served: consents in LMDB, evidence on disk before each answer, the opt-out put into each text,
a line of log, metrics. Client and provider share one process (``loadtest.sms_ends``), so that two cores are enough;
``cpu_us`` is what the serving processes used for each request. The best of ``rounds`` counts.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import uvloop

from loadtest import bench_smpp
from loadtest.bench_machine import describe_machine
from loadtest.bench_sms_results import Bulk, Found, Single, render_lines, render_page
from loadtest.process_time import cpu_time
from loadtest.smpp_gateway import seed_numbers
from loadtest.sms_ends import Load, Provider, write_request
from loadtest.sms_gateway import SmsGateway
from loadtest.whole_gateway import Program, free_ports

PARTS = ("single", "bulk", "smpp")
_TEXT = "Sonbahar indirimi basladi: secili urunlerde yuzde 40. Bugun son gun, magazada ve sitede."
_SUFFIX = b"RET ORNEK"
_NUMBERS = 1000
_PAGE = Path(__file__).parent.parent / "docs" / "benchmarks-sms.md"


class Size(NamedTuple):
    """How much is measured."""

    rounds: int
    seconds: float
    connections: int
    recipients: int
    bulk_rounds: int
    smpp_messages: int


WHOLE = Size(rounds=4, seconds=3.0, connections=32, recipients=50_000, bulk_rounds=5, smpp_messages=20_000)
QUICK = Size(rounds=1, seconds=0.3, connections=8, recipients=2_000, bulk_rounds=1, smpp_messages=500)


def number_of(number: int) -> str:
    """Ten digits, made up."""
    return f"53{10_000_000 + number:08d}"


def _netgsm(body: dict[str, object]) -> bytes:
    login = base64.b64encode(b"8505550000:secret").decode()
    return write_request("/sms/rest/v2/send", json.dumps(body).encode(), f"Basic {login}")


def _netgsm_single(number: int) -> bytes:
    messages = [{"msg": _TEXT, "no": number_of(number)}]
    return _netgsm({"msgheader": "ORNEK", "messages": messages, "iysfilter": "11"})


def _infobip_single(number: int) -> bytes:
    message = {
        "sender": "ORNEK",
        "destinations": [{"to": f"90{number_of(number)}"}],
        "content": {"text": _TEXT},
        "options": {"regional": {"turkeyIys": {"recipientType": "BIREYSEL", "brandCode": 600123}}},
    }
    return write_request("/sms/3/messages", json.dumps({"messages": [message]}).encode(), "App 0123456789abcdef")


_SINGLES = {
    "netgsm": (_netgsm_single, b'"jobid"'),
    "infobip": (_infobip_single, b"PENDING_ACCEPTED"),
}


@contextlib.contextmanager
def _running(directory: Path, provider_port: int, size: Size) -> Iterator[tuple[SmsGateway, Program, int]]:
    """The gateway, the bare proxy and its port."""
    (proxy_port,) = free_ports(1)
    command = [sys.executable, "-m", "loadtest.bare_http_proxy"]
    proxy = Program([*command, "--port", str(proxy_port), "--upstream", str(provider_port)], directory / "proxy.log")
    gateway = SmsGateway(directory, provider_port, max(50, size.connections))
    people = [f"+90{number_of(n)}" for n in range(max(_NUMBERS, size.recipients))]
    # The caller runs this in a thread, whose loop is its own.
    asyncio.run(seed_numbers(gateway.config, people))
    try:
        proxy.start()
        gateway.start()
        gateway.wait_until_ready()
        proxy.wait_for_port(proxy_port)
        yield gateway, proxy, proxy_port
    finally:
        gateway.end()
        proxy.end()


async def _measure_single(
    provider: Provider, gateway: SmsGateway, proxy: Program, proxy_port: int, size: Size
) -> list[Single]:
    results: list[Single] = []
    for dialect, (make, must_hold) in _SINGLES.items():
        requests = [make(number) for number in range(_NUMBERS)]
        ways = {"bare": (proxy_port, proxy.pid), "gateway": (gateway.port, gateway.pid)}
        best: dict[str, Single] = {}
        for port, _ in ways.values():
            await Load(port, requests, size.connections, must_hold).run(size.seconds / 3)
        for _ in range(size.rounds):
            for way, (port, pid) in ways.items():
                load = Load(port, requests, size.connections, must_hold)
                before = cpu_time([pid])
                took = await load.run(size.seconds)
                used = sum(cpu_time([pid]).since(before))
                if (_SUFFIX in provider.last_body) is not (way == "gateway"):
                    raise RuntimeError(f"{way}: the opt-out is where it does not belong, or is not where it does")
                delays, number = sorted(load.delays), len(load.delays)
                found = Single(
                    dialect,
                    way,
                    number / took,
                    used / number * 1e6,
                    delays[number // 2] * 1e3,
                    delays[number * 99 // 100] * 1e3,
                )
                if way not in best or best[way].per_second < found.per_second:
                    best[way] = found
        bare, own = best["bare"], best["gateway"]
        share, cpu_share = own.per_second / bare.per_second, bare.cpu_us / own.cpu_us if own.cpu_us else 0.0
        results += [bare, own._replace(share=share, cpu_share=cpu_share)]
    return results


async def _measure_bulk(provider: Provider, gateway: SmsGateway, size: Size) -> list[Bulk]:
    results = []
    for texts in ("one", "each"):
        entries = [
            {"msg": _TEXT if texts == "one" else f"Sayin uye {n}, {_TEXT[:60]}", "no": number_of(n)}
            for n in range(size.recipients)
        ]
        rounds: list[Bulk] = []
        waits: list[float] = []
        for _ in range(size.bulk_rounds):
            body: dict[str, object] = {"msgheader": "ORNEK", "messages": entries, "iysfilter": "11"}
            # Alone, for times and CPU; then beside somebody else, for what that one notices.
            rounds.append(await _send_bulk(provider, gateway, _netgsm(body), texts, size.recipients))
            neighbour = asyncio.create_task(_be_neighbour(gateway.port))
            await asyncio.sleep(0.05)
            await _send_bulk(provider, gateway, _netgsm(body), texts, size.recipients)
            neighbour.cancel()
            waits.append(max(await neighbour) * 1e3)
        best = min(rounds, key=lambda found: found.all_ms)
        results.append(best._replace(longest_wait_ms=min(waits)))
    return results


async def _send_bulk(provider: Provider, gateway: SmsGateway, request: bytes, texts: str, recipients: int) -> Bulk:
    before = cpu_time([gateway.pid])
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=1 << 26)
    try:
        writer.transport.set_write_buffer_limits(0)  # so that drained means: with the kernel
        writer.write(request)
        await writer.drain()
        written_at = time.monotonic()
        head = await reader.readuntil(b"\r\n\r\n")
        answered_at = time.monotonic()
    finally:
        writer.close()
    cpu_ms = sum(cpu_time([gateway.pid]).since(before)) * 1e3
    suffixes = provider.large_body.count(_SUFFIX)
    if not head.startswith(b"HTTP/1.1 200") or suffixes < recipients:
        raise RuntimeError(f"the large request was answered {head[:40]!r}, with {suffixes} opt-outs upstream")
    ready_ms = (provider.large_began_at - written_at) * 1e3
    after_ms = (answered_at - provider.large_answered_at) * 1e3
    each_us = cpu_ms / recipients * 1e3
    return Bulk("netgsm", texts, recipients, ready_ms, after_ms, ready_ms + after_ms, cpu_ms, each_us, 0.0)


async def _be_neighbour(port: int) -> list[float]:
    """Send single requests at a slow pace until cancelled; how long each took (s)."""
    delays: list[float] = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for number in range(1_000_000):
            began = time.monotonic()
            writer.write(_netgsm_single(number % _NUMBERS))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            delays.append(time.monotonic() - began)
            await asyncio.sleep(0.005)
    except asyncio.CancelledError:
        pass
    finally:
        writer.close()
    return delays


async def _measure_http(directory: Path, parts: list[str], size: Size) -> Found:
    provider = Provider()
    provider_port = await provider.start()
    found: Found = {}
    try:
        running = _running(directory, provider_port, size)
        gateway, proxy, proxy_port = await asyncio.to_thread(running.__enter__)
        try:
            if "single" in parts:
                found["single"] = [*await _measure_single(provider, gateway, proxy, proxy_port, size)]
            if "bulk" in parts:
                found["bulk"] = [*await _measure_bulk(provider, gateway, size)]
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)
    finally:
        provider.close()
    return found


def measure(parts: list[str], size: Size, directory: Path) -> Found:
    """By part what was found; ``directory`` holds the gateways' files."""
    found: Found = {}
    if "single" in parts or "bulk" in parts:
        found.update(uvloop.run(_measure_http(directory, parts, size)))
    if "smpp" in parts:
        whole = directory / "smpp"
        whole.mkdir()
        links = bench_smpp.measure(size.smpp_messages, 50)
        found["smpp"] = [*links, bench_smpp.measure_whole(size.smpp_messages, 50, whole)]
    return found


def main() -> None:
    """Print the figures, and which of the targets they meet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small numbers: to see that it runs")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part (again for more)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write-page", action="store_true", help="write docs/benchmarks-sms.md")
    options = parser.parse_args()
    size = QUICK if options.quick else WHOLE
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="bench-sms-") as directory:
        found = measure(options.only or list(PARTS), size, Path(directory))
    if options.json:
        print(json.dumps({part: [each._asdict() for each in runs] for part, runs in found.items()}, indent=1))
    else:
        print("\n".join(render_lines(found)))
    if options.write_page:
        today = datetime.now(UTC).strftime("%Y-%m-%d")
        _PAGE.write_text(render_page(found, machine, today, size.rounds, size.connections), encoding="utf-8")


if __name__ == "__main__":
    main()
