"""Watches the memory of the gateway's workers while very many messages pass.

``python -m loadtest.soak --messages 200000 [--store lmdb|redis] [--rate N] [--size BYTES] [--recipients N] [--json]``
starts relay, Redis if asked for, and the gateway with two workers, sends as fast as it is answered (or at ``--rate``),
and reads the memory that is each worker's own (/proc, not what it shares with the store's file) twenty times on the
way. An hour's worth of mail for a sender of 55 messages a second is 200,000.

What a worker takes while it warms up (connections, caches, buffers) is no leak; what it takes in the second half of the
run is. Exit status 1 if that is more than ``--bound`` bytes a message (default: 16).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from loadtest.mail_generator import GeneratorOptions, generate
from loadtest.whole_gateway import Gateway, Redis, Relay, free_ports, resident_bytes, run_until_told, seed

_SAMPLE_EVERY_S = 0.5


@dataclass(frozen=True)
class SoakOptions:
    """``messages`` in all; ``rate`` None: as fast as they are answered. Before each of the ``readings`` the workers
    have ``settling_s`` without mail."""

    messages: int = 200_000
    store: str = "lmdb"
    rate: float | None = None
    size_bytes: int = 4096
    recipients: int = 1
    workers: int = 2
    people: int = 20_000
    readings: int = 20
    settling_s: float = 1.5
    bound_bytes: float = 16.0


@dataclass
class SoakReport:
    """``memory`` has one line for each reading: messages so far and bytes of each worker, by its pid. ``peak_bytes``:
    the most that one worker had while mail came in."""

    messages: int = 0
    seconds: float = 0.0
    messages_per_second: float = 0.0
    codes: dict[str, int] = field(default_factory=dict)
    memory: list[tuple[int, dict[int, int]]] = field(default_factory=list)
    peak_bytes: int = 0
    bytes_a_message: float = 0.0
    replaced_workers: int = 0

    @property
    def totals(self) -> list[int]:
        """Bytes of all workers together, reading by reading."""
        return [sum(each.values()) for _, each in self.memory]


async def run_soak(options: SoakOptions, directory: Path, say: Callable[[str], None] = lambda _: None) -> SoakReport:
    """One run with all its files in ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    relay_port, redis_port = free_ports(2)
    relay = Relay(directory, relay_port, keeps_journal=False)
    redis = Redis(directory / "redis", redis_port) if options.store == "redis" else None
    gateway = Gateway(
        directory, relay_port, redis.url if redis else "lmdb:var/store", workers=options.workers, log=None
    )
    report = SoakReport()
    try:
        relay.start()
        if redis is not None:
            redis.start()
        await seed(gateway.config, options.people)
        gateway.start()
        await asyncio.to_thread(gateway.wait_until_ready)
        _read(report, gateway, say)
        watching = asyncio.create_task(_watch_peak(report, gateway), name="memory")
        try:
            while report.messages < options.messages:
                await _send_batch(report, gateway, options)
                await asyncio.sleep(options.settling_s)
                _read(report, gateway, say)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        report.replaced_workers = int(gateway.status().get("worker_restarts", -1))
    finally:
        if gateway.is_running:
            gateway.stop()
        relay.end()
        if redis is not None:
            redis.end()
    report.messages_per_second = round(report.messages / report.seconds, 1)
    report.bytes_a_message = round(find_growth([count for count, _ in report.memory], report.totals), 2)
    return report


async def _send_batch(report: SoakReport, gateway: Gateway, options: SoakOptions) -> None:
    sent = await generate(
        GeneratorOptions(
            "127.0.0.1",
            gateway.port,
            messages=min(-(-options.messages // options.readings), options.messages - report.messages),
            rate=options.rate,
            sessions=20,
            recipients=options.recipients,
            people=options.people,
            size_bytes=options.size_bytes,
            headers=["X-Izin-Class: commercial"],
        )
    )
    report.messages += sent.messages
    report.seconds += sent.seconds
    for code, count in sent.codes.items():
        report.codes[code] = report.codes.get(code, 0) + count


async def _watch_peak(report: SoakReport, gateway: Gateway) -> None:
    while True:
        report.peak_bytes = max(report.peak_bytes, *map(resident_bytes, gateway.worker_pids()))
        await asyncio.sleep(_SAMPLE_EVERY_S)


def find_growth(counts: list[int], totals: list[int]) -> float:
    """Bytes a message over the second half of the readings, as the slope of the straight line nearest to them."""
    half = len(counts) // 2
    xs, ys = counts[half:], totals[half:]
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - x_mean) ** 2 for x in xs)
    return sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0


def _read(report: SoakReport, gateway: Gateway, say: Callable[[str], None]) -> None:
    memory = {pid: resident_bytes(pid) for pid in gateway.worker_pids()}
    report.memory.append((report.messages, memory))
    shown = ", ".join(f"{size / 1e6:.1f}" for size in memory.values())
    say(f"{report.messages:9,} messages   workers: {shown} MB")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, run, print; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--store", choices=["lmdb", "redis"], default="lmdb")
    parser.add_argument("--rate", type=float)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--recipients", type=int, default=1)
    parser.add_argument("--bound", type=float, default=16.0)
    parser.add_argument("--directory", type=Path, help="keep all files here; left out, a temporary folder")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    options = SoakOptions(
        messages=given.messages,
        store=given.store,
        rate=given.rate,
        size_bytes=given.size,
        recipients=given.recipients,
        bound_bytes=given.bound,
    )
    with contextlib.ExitStack() as cleanup:
        directory = given.directory or Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="izinkapi-soak-")))
        report = run_until_told(run_soak(options, directory, lambda line: print(line, file=sys.stderr)))
    if given.json:
        json.dump(asdict(report), sys.stdout)
        print()
    else:
        for name, value in asdict(report).items():
            if name != "memory":
                print(f"{name:20} {value}")
        print(f"{'memory before':20} {report.totals[0] / 1e6:.1f} MB in {options.workers} workers")
        print(f"{'memory after':20} {report.totals[-1] / 1e6:.1f} MB")
    return 0 if report.bytes_a_message <= options.bound_bytes and not report.replaced_workers else 1


if __name__ == "__main__":
    sys.exit(main())
