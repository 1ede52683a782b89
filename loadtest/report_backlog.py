"""Refusals collected while the registry is down, then reported by a process that is killed again and again.

    python -m loadtest.report_backlog --count 100000 --kills 10

A simulated registry holds a consent of everybody; its clock runs fast. For two simulated days it answers with a
maintenance page while refusals arrive; then it is back, and the reporting process is killed with -9 at random while it
works. Afterwards the registry's own book is read: who was reported, when, and how often. Everything is on loopback and
in a temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adapters.registry import Credentials, RegistryAddress, records_in
from adapters.store import Store, StoreOptions, open_store
from filters.consent_key import ConsentKeys
from filters.exchange import Refusal
from filters.refusal_report import ReportSeal
from filters.registry.values import RegistryBrand
from filters.vocabulary import Channel, RecipientType
from gateway.holidays import load_holidays
from gateway.refusals import RefusalReports
from gateway.registry.parked import PARKED_AT
from gateway.registry.ports import BrandLink
from gateway.registry.reporting.reporter import Reporter
from loadtest.registry.book.database import Database
from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME
from loadtest.registry.clock import Clock
from loadtest.registry.rules.dates import parse_instant
from loadtest.registry.rules.words import STATUSES, TYPES

ROOT = Path(__file__).parents[1]
HOLIDAYS = ROOT / "config" / "holidays-tr.toml"
BRAND = 600123
BEGIN = "2026-11-18 09:00:00"  # a Wednesday: all that arrives until Friday morning is due on Monday and Tuesday
DOWN_S = 2 * 86400
_DOWN_REAL_S = 4.0
_KEYS = ConsentKeys(b"a secret of the load test's own.")
_SEAL = ReportSeal({1: b"another secret of the load test."}, 1)
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the registry's book and our store say afterwards. Durations in real seconds; ``least_left_s`` simulated."""

    refusals: int
    reported: int
    twice: int
    late: int
    left_in_outbox: int
    kills: int
    collecting_s: float
    reporting_s: float
    simulated_h: float
    least_left_s: float
    bulk_requests: int
    peak_memory_mb: float


def address_of(number: int) -> str:
    return f"geride{number}@musteri.example"


def run(count: int, kills: int, folder: Path, *, seed: int = 1, speed: float = 300.0, most_s: float = 600.0) -> Outcome:
    """The whole story. Raises ``TimeoutError`` if not all is reported in ``most_s`` real seconds."""
    book = folder / "registry.sqlite"
    begin = int(parse_instant(BEGIN))
    _consent_all(book, count, begin - 30 * 86400)
    simulator = subprocess.Popen(
        [
            sys.executable, "-m", "loadtest.registry", "serve", "--listen", "127.0.0.1:0", "--store", str(book),
            "--holidays", str(HOLIDAYS), "--no-limits", "--at", BEGIN, "--speed", "0",
        ],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        assert simulator.stdout is not None
        url = simulator.stdout.readline().removeprefix("listening on ").strip()
        return _story(url, book, count, kills, folder, random.Random(seed), speed, begin, most_s)
    finally:
        simulator.terminate()
        simulator.wait(20)
        if simulator.stdout is not None:
            simulator.stdout.close()


def _story(
    url: str,
    book: Path,
    count: int,
    kills: int,
    folder: Path,
    chance: random.Random,
    speed: float,
    begin: int,
    most_s: float,
) -> Outcome:
    _control(url, "faults", {"faults": [{"kind": "maintenance"}]})
    clock = _set_clock(url, begin, DOWN_S / max(_DOWN_REAL_S, count / 12_000))
    reporter = _start_reporter(url, folder, clock)
    began = time.monotonic()
    dues = asyncio.run(_collect(folder, count, clock, begin + DOWN_S))
    collecting_s = time.monotonic() - began
    _kill(reporter)
    while clock.now() < begin + DOWN_S:
        time.sleep(0.1)
    _control(url, "faults", {"faults": []})
    back_at = clock.now()
    clock = _set_clock(url, back_at, speed)
    began = time.monotonic()
    killed, peak_mb = 0, 0.0
    while True:
        reporter = _start_reporter(url, folder, clock)
        lives_until = time.monotonic() + (chance.uniform(1.2, 5.0) if killed < kills else most_s)
        while time.monotonic() < lives_until and reporter.poll() is None:
            time.sleep(0.3)
            peak_mb = max(peak_mb, _memory_mb(reporter.pid))
            if killed >= kills and _is_empty(folder):
                break
            if time.monotonic() - began > most_s:
                _kill(reporter)
                raise TimeoutError(f"not all reports were made in {most_s:.0f} s")
        is_done = killed >= kills and _is_empty(folder)
        _kill(reporter)
        if is_done:
            break
        killed += 1
    reporting_s = time.monotonic() - began
    operations = json.loads(_ask(f"{url}/_sim/requests?limit=0"))["by_operation"]
    reported, twice, late, least = _read_book(book, dues)
    return Outcome(
        count,
        reported,
        twice,
        late,
        _left(folder),
        killed,
        round(collecting_s, 1),
        round(reporting_s, 1),
        round((clock.now() - back_at) / 3600, 1),
        round(least),
        operations.get("bulk-v2", 0),
        round(peak_mb, 1),
    )


async def _collect(folder: Path, count: int, clock: Clock, until: float) -> dict[str, int]:
    """Refusals as they arrive over the two days; the deadline of each."""
    store = _open_store(folder)
    await store.start()
    await store.initialise()
    reports = RefusalReports(_SEAL, load_holidays(HOLIDAYS))
    dues: dict[str, int] = {}
    for start in range(0, count, _BATCH):
        while clock.now() < until - DOWN_S + DOWN_S * start / count:
            await asyncio.sleep(0.005)
        at = int(min(clock.now(), until - 1))
        items = []
        for number in range(start, min(start + _BATCH, count)):
            address = address_of(number)
            key = _KEYS.derive(BRAND, address.encode())
            refusal = Refusal(BRAND, Channel.EMAIL, key, address.encode(), RecipientType.INDIVIDUAL, at, "HS_WEB")
            items.append(reports.make(refusal, RecipientType.INDIVIDUAL))
            dues[address] = items[-1].due_at
        await store.apply(BRAND, [], outbox=items)
    await store.close()
    return dues


def _consent_all(book: Path, count: int, at: int) -> None:
    database = Database(book)
    channel, status = TYPES.index("EPOSTA"), STATUSES.index("ONAY")
    database.connection.executemany(
        "INSERT INTO consents VALUES (?, ?, 0, ?, ?, 'IYS_WEB', ?, ?, NULL, NULL)",
        ((BRAND, channel, address_of(number), status, at, at * 1000) for number in range(count)),
    )
    database.connection.commit()
    database.close()


def _read_book(book: Path, dues: dict[str, int]) -> tuple[int, int, int, float]:
    """How many were reported, more than once, too late; and what was left of the time of the one most in a hurry."""
    database = Database(book)
    rows = database.connection.execute(
        "SELECT recipient, COUNT(*), MIN(created_ms) FROM movements WHERE brand = ? AND source = 'HS_WEB'"
        " AND status = ? GROUP BY recipient",
        (BRAND, STATUSES.index("RET")),
    ).fetchall()
    database.close()
    left = [dues[recipient] - created_ms / 1000 for recipient, _, created_ms in rows]
    twice = sum(number > 1 for _, number, _ in rows)
    return len(rows), twice, sum(each < 0 for each in left), min(left, default=0.0)


# -- the reporting process -----------------------------------------------------------------------------------------


def report_main(url: str, folder: Path, anchor: tuple[float, float, float]) -> None:
    """Reports until it is killed."""

    async def work() -> None:
        clock = Clock()
        clock.resume(anchor)
        store = _open_store(folder)
        await store.start()
        address = RegistryAddress(url, records=records_in(folder / "records"), clock=clock.now)
        link = BrandLink(
            BRAND, RegistryBrand(BRAND, BRAND), address.client(Credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD))
        )
        await Reporter(store, store, {BRAND: link}, _SEAL, clock=clock.now).run(asyncio.Event())

    asyncio.run(work())


def _start_reporter(url: str, folder: Path, clock: Clock) -> subprocess.Popen[bytes]:
    arguments = [url, str(folder), *map(repr, clock.anchor())]
    return subprocess.Popen(
        [sys.executable, "-m", "loadtest.report_backlog", "report", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)


def _open_store(folder: Path) -> Store:
    return open_store(
        f"lmdb:{folder / 'store'}",
        state_directory=folder / "state",
        secret_fingerprint=_KEYS.fingerprint,
        options=StoreOptions(map_size_bytes=1 << 30),
    )


def _left(folder: Path) -> int:
    async def count() -> int:
        store = _open_store(folder)
        await store.start()
        left = await store.outbox_due(PARKED_AT, 1_000_000)
        await store.close()
        return len(left)

    return asyncio.run(count())


def _is_empty(folder: Path) -> bool:
    async def ask() -> bool:
        store = _open_store(folder)
        left = await store.outbox_due(PARKED_AT, 1)
        await store.close()
        return not left

    return asyncio.run(ask())


def _memory_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


# -- the simulator's knobs -----------------------------------------------------------------------------------------


def _set_clock(url: str, at: float, speed: float) -> Clock:
    """Both clocks to ``at``; ours a little behind, so that nothing of ours is dated in the registry's future."""
    told = _control(url, "clock", {"at": at, "speed": speed})
    clock = Clock(speed=speed)
    clock.resume((told["at"], time.time(), speed))
    return clock


def _control(url: str, what: str, body: object) -> Any:
    request = urllib.request.Request(f"{url}/_sim/{what}", json.dumps(body).encode(), method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def _ask(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        content: bytes = answer.read()
    return content


def main() -> None:
    if sys.argv[1:2] == ["report"]:
        url, where, *anchor = sys.argv[2:]
        report_main(url, Path(where), (float(anchor[0]), float(anchor[1]), float(anchor[2])))
        return
    parser = argparse.ArgumentParser(prog="python -m loadtest.report_backlog", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="izinkapi-backlog-"))
    try:
        print(json.dumps(asdict(run(given.count, given.kills, folder, seed=given.seed)), indent=1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
