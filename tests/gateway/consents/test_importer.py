"""Bulk import: whole rows or none, the watermark last, and on where it stopped."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.store import Store
from filters.client import Client
from filters.consent import Consent, unpack
from filters.consent_key import ConsentKeys
from filters.vocabulary import Channel, RecipientType, Status
from gateway.consents.checkpoint import Checkpoint
from gateway.consents.csv_file import CsvFile, CsvFileError
from gateway.consents.importer import REJECTS_HEADER, BadRow, ImportReport, import_files
from gateway.dealers import index_for
from tests.support.memory_index import MemoryIndex

BRAND = 600123
KEYS = ConsentKeys(b"test secret".ljust(32))
NOW = 1_760_000_000
HEADER = "recipient,type,recipientType,status,source,consentDate\n"


def row(number: int, status: str = "ONAY", kind: str = "EPOSTA", at: str = "2024-05-31 14:05:09") -> str:
    recipient = f"person{number}@example.com" if kind == "EPOSTA" else f"+90532{number:07}"
    return f"{recipient},{kind},BIREYSEL,{status},HS_WEB,{at}\n"


class Watcher:
    """Keeps what an import says of its progress."""

    def __init__(self) -> None:
        self.reads: list[tuple[int, int, int]] = []
        self.loads: list[tuple[int, int]] = []
        self.rejects: list[BadRow] = []

    def read(self, done_bytes: int, total_bytes: int, rows: int) -> None:
        self.reads.append((done_bytes, total_bytes, rows))

    def loaded(self, done_records: int, total_records: int) -> None:
        self.loads.append((done_records, total_records))

    def rejected(self, row: BadRow) -> None:
        self.rejects.append(row)


Import = Callable[..., Any]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@pytest.fixture
async def index() -> MemoryIndex:
    return MemoryIndex()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(content: str, name: str = "export.csv", modified_at: int = NOW - 3600) -> Path:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        os.utime(path, (modified_at, modified_at))
        return path

    return write


async def run(index: Any, state: Path, *paths: Path, watcher: Watcher | None = None, **options: Any) -> ImportReport:
    return await import_files(
        index, KEYS, BRAND, paths, state_directory=state, observer=watcher or Watcher(), now=lambda: NOW, **options
    )


async def state_of(index: Any, address: bytes) -> dict[Any, Consent]:
    answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    index.lookup(BRAND, [KEYS.derive(BRAND, address)], None, answered.set_result)
    (value,) = (await answered).values
    return unpack(value) if value else {}


async def test_every_row_becomes_a_record(index: MemoryIndex, state: Path, write: Callable[..., Path]) -> None:
    """E-mail, SMS and calls, approvals and refusals, with date and source; counted at the end."""
    path = write(HEADER + row(1) + row(1, "RET", "MESAJ") + row(1, "ONAY", "ARAMA", "2023-01-01 00:00:00") + row(2))
    report = await run(index, state, path)
    assert (report.rows, report.bad, report.recipients, report.changed) == (4, 0, 3, 3)
    individual = RecipientType.INDIVIDUAL
    assert await state_of(index, b"person1@example.com") == {
        (Channel.EMAIL, individual): Consent(Status.APPROVED, 1_717_153_509, "HS_WEB")
    }
    assert await state_of(index, b"+905320000001") == {
        (Channel.SMS, individual): Consent(Status.REJECTED, 1_717_153_509, "HS_WEB"),
        (Channel.CALL, individual): Consent(Status.APPROVED, 1_672_520_400, "HS_WEB"),
    }


async def test_of_two_rows_the_later_will_stands(index: MemoryIndex, state: Path, write: Callable[..., Path]) -> None:
    """By consent date, wherever they stand, in one file or two; the refusal where the dates are equal."""
    first = write(HEADER + row(1, "RET", at="2024-06-01 00:00:00") + row(1, "ONAY") + row(2, "ONAY"), "a.csv")
    second = write(HEADER + row(2, "RET") + row(3, "RET", at="2020-01-01 00:00:00") + row(3, "ONAY"), "b.csv")
    report = await run(index, state, first, second)
    assert (report.rows, report.recipients) == (6, 3)
    statuses = [(await state_of(index, b"person%d@example.com" % who)).popitem()[1].status for who in (1, 2, 3)]
    assert statuses == [Status.REJECTED, Status.REJECTED, Status.APPROVED]


async def test_bad_rows_are_listed_and_the_good_ones_imported(
    index: MemoryIndex, state: Path, write: Callable[..., Path]
) -> None:
    """Each with file, line, column, expected and found; not a byte of them in the index; the watermark stays."""
    path = write(
        HEADER + row(1) + "\n" + row(2).replace("ONAY", "EVET") + row(3) + row(4).replace("person4@", "person4@@")
    )
    watcher = Watcher()
    report = await run(index, state, path, watcher=watcher)
    assert (report.rows, report.bad, report.recipients, report.watermark_at) == (4, 2, 2, None)
    assert [(bad.line, bad.column) for bad in watcher.rejects] == [(4, "status"), (6, "recipient")]
    assert str(watcher.rejects[0]) == f"{path}, line 4, column status: expected ONAY or RET, found 'EVET'"
    assert report.rejects is not None
    with report.rejects.open(encoding="utf-8", newline="") as file:
        header, *listed = csv.reader(file)
    assert tuple(header) == REJECTS_HEADER
    assert [tuple(found) for found in listed] == [
        (bad.file, str(bad.line), bad.column, bad.expected, bad.found) for bad in watcher.rejects
    ]
    assert "person" not in report.rejects.read_text(encoding="utf-8")
    assert await state_of(index, b"person2@example.com") == {}
    assert await index.watermarks() == {}


async def test_the_watermark_is_the_oldest_files_time(
    index: MemoryIndex, state: Path, write: Callable[..., Path]
) -> None:
    """Without --synced-at; never later than now, whatever a file's time says."""
    older = write(HEADER + row(1), "a.csv", NOW - 7200)
    newer = write(HEADER + row(2), "b.csv", NOW - 3600)
    assert (await run(index, state, older, newer)).watermark_at == NOW - 7200
    ahead = write(HEADER + row(3), "c.csv", NOW + 86400)
    assert (await run(index, state, ahead)).watermark_at == NOW
    assert await index.watermarks() == {BRAND: NOW}


async def test_the_watermark_may_be_said_or_left(index: MemoryIndex, state: Path, write: Callable[..., Path]) -> None:
    """With --synced-at it is that; with `none` it is left alone; with --accept-bad-rows it moves despite bad rows."""
    path = write(HEADER + row(1) + "bad\n")
    assert (await run(index, state, path, moves_watermark=False)).watermark_at is None
    assert await index.watermarks() == {}
    report = await run(index, state, path, accept_bad_rows=True, synced_at=NOW - 99)
    assert (report.bad, report.watermark_at) == (1, NOW - 99)
    assert await index.watermarks() == {BRAND: NOW - 99}


async def test_a_wrong_header_in_any_file_stops_before_the_first_row(
    index: MemoryIndex, state: Path, write: Callable[..., Path]
) -> None:
    """Nothing is imported, of the other files neither."""
    good, wrong = write(HEADER + row(1), "a.csv"), write("recipient,status\n", "b.csv")
    with pytest.raises(CsvFileError, match=r"b\.csv, line 1"):
        await run(index, state, good, wrong)
    assert await index.watermarks() == {}
    assert (await index.health()).failure is not None  # not even initialised


async def test_a_file_with_a_header_only_says_nothing_unless_its_time_is_stated(
    index: MemoryIndex, state: Path, write: Callable[..., Path]
) -> None:
    """An export cut off behind its header would else make everybody refused; a brand without consents is stated."""
    report = await run(index, state, write(HEADER))
    assert (report.rows, report.watermark_at, report.is_short) == (0, None, True)
    report = await run(index, state, write(HEADER), synced_at=NOW - 60)
    assert (report.rows, report.watermark_at, report.is_short) == (0, NOW - 60, False)


async def test_an_export_of_less_than_half_of_those_known_does_not_renew_their_freshness(
    index: MemoryIndex, state: Path, write: Callable[..., Path]
) -> None:
    """A newer refusal may stand in the rows that are missing."""
    whole = HEADER + "".join(row(number) for number in range(3000))
    assert (await run(index, state, write(whole, "whole.csv"))).watermark_at == NOW - 3600
    half = HEADER + "".join(row(number) for number in range(1500))
    assert not (await run(index, state, write(half, "half.csv"))).is_short
    less = HEADER + "".join(row(number) for number in range(1499))
    report = await run(index, state, write(less, "less.csv"))
    assert (report.is_short, report.watermark_at, report.known) == (True, None, 3000)
    assert (await run(index, state, write(less, "less.csv"), synced_at=NOW - 60)).watermark_at == NOW - 60


async def test_a_line_without_end_in_the_middle_stops_the_import(
    index: MemoryIndex, state: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named by its line; nothing has entered the index."""
    monkeypatch.setattr("gateway.consents.csv_file.BLOCK_BYTES", 1000)
    path = write(HEADER + "".join(row(number) for number in range(50)) + "x" * 5000 + "\n" + row(51))
    with pytest.raises(CsvFileError, match="line 52: expected a line end"):
        await run(index, state, path)
    assert (await index.stats()).recipients == {}


async def test_importing_again_changes_nothing(index: MemoryIndex, state: Path, write: Callable[..., Path]) -> None:
    """Nor does it leave anything behind in the state directory."""
    path = write(HEADER + "".join(row(number) for number in range(100)))
    assert (await run(index, state, path)).changed == 100
    again = await run(index, state, path)
    assert (again.rows, again.changed, again.resumed_rows) == (100, 0, 0)
    assert list((state / "imports").iterdir()) == []
    assert list(state.glob("rejects-*")) == []


class InterruptionError(Exception):
    """Stands for whatever ends an import half-way."""


class StopsAt(Watcher):
    def __init__(self, reads: int) -> None:
        super().__init__()
        self._reads_left = reads

    def read(self, done_bytes: int, total_bytes: int, rows: int) -> None:
        super().read(done_bytes, total_bytes, rows)
        self._reads_left -= 1
        if not self._reads_left:
            raise InterruptionError


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 99))
async def test_interrupted_anywhere_it_ends_as_if_it_had_not_been(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, stops: list[int], seed: int
) -> None:
    """The same records, the same bad rows once each, and nothing in the index before the last row was read."""
    monkeypatch.setattr("gateway.consents.csv_file.BLOCK_BYTES", 700)
    chance = random.Random(seed)
    directory = tmp_path_factory.mktemp("import")
    paths = []
    for name in ("a.csv", "b.csv"):
        lines = [row(chance.randrange(60), chance.choice(["ONAY", "RET", "RED"])) for _ in range(60)]
        (directory / name).write_text(HEADER + "".join(lines))
        paths.append(directory / name)
    whole = MemoryIndex()
    expected = await run(whole, directory / "other", *paths, accept_bad_rows=True)
    index = MemoryIndex()
    for stop in stops:
        with contextlib.suppress(InterruptionError):
            await run(index, directory / "state", *paths, watcher=StopsAt(stop), accept_bad_rows=True)
    report = await run(index, directory / "state", *paths, accept_bad_rows=True)
    assert (report.rows, report.bad, report.recipients) == (expected.rows, expected.bad, expected.recipients)
    assert (await index.stats()).records == (await whole.stats()).records
    assert (report.rejects and report.rejects.read_text()) == (expected.rejects and expected.rejects.read_text())


async def test_the_same_import_does_not_run_twice_at_once(
    index: MemoryIndex, state: Path, write: Callable[..., Path]
) -> None:
    """The second is refused, and the first is not disturbed."""
    path = write(HEADER + row(1))

    class Nested(Watcher):
        refused: OSError | None = None

        def read(self, done_bytes: int, total_bytes: int, rows: int) -> None:
            try:
                Checkpoint(state, BRAND, [CsvFile(path).identity], KEYS.fingerprint).close()
            except OSError as error:
                self.refused = error

    watcher = Nested()
    assert (await run(index, state, path, watcher=watcher)).changed == 1
    assert watcher.refused is not None
    assert "running" in str(watcher.refused)


IMPORT = """
import asyncio, pathlib, sys
from adapters.store import open_store
from filters.consent_key import ConsentKeys
from gateway.consents.importer import import_files
import gateway.consents.importer, gateway.consents.csv_file

gateway.consents.importer._CHECKPOINT_EVERY_S = 0.0
gateway.consents.csv_file.BLOCK_BYTES = 1 << 16

class Watcher:
    def read(self, done_bytes, total_bytes, rows): print("read", rows, flush=True)
    def loaded(self, done, total): print("loaded", done, flush=True)
    def rejected(self, row): pass

async def main(directory):
    keys = ConsentKeys(b"test secret".ljust(32))
    store = open_store("lmdb:store", state_directory=directory / "state", secret_fingerprint=keys.fingerprint,
                       base_directory=directory)
    await store.start()
    report = await import_files(store, keys, 600123, [directory / "export.csv"],
                                state_directory=directory / "state", observer=Watcher())
    print("done", report.rows, report.resumed_rows, flush=True)
    await store.close()

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


async def test_kill_9_in_the_middle_of_an_import(
    tmp_path: Path, write: Callable[..., Path], open_test_store: Callable[..., Store]
) -> None:
    """Killed while reading and again while loading, the same command goes on where reading stopped, and the index then
    holds every row, with the watermark set once all was in."""
    number = 60_000
    write(HEADER + "".join(row(person, "RET" if person % 3 else "ONAY") for person in range(number)))

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", IMPORT, str(tmp_path)], stdout=subprocess.PIPE, text=True)

    def read_until(process: subprocess.Popen[str], word: str, lines: int) -> list[str]:
        assert process.stdout is not None
        seen: list[str] = []
        while lines:
            line = process.stdout.readline().split()
            assert line, "the import ended"
            seen = line
            lines -= line[0] == word
        return seen

    for word in ("read", "loaded"):
        process = start()
        read_until(process, word, 30 if word == "read" else 1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    process = start()
    _, rows, resumed = read_until(process, "done", 1)
    assert process.wait() == 0
    process.stdout.close()
    assert (int(rows), int(resumed)) == (number, number), "reading was over before the second kill"
    store = open_test_store("lmdb:store", fingerprint=KEYS.fingerprint)
    await store.start()
    stats = await store.stats()
    assert stats.records == {
        (BRAND, Channel.EMAIL, RecipientType.INDIVIDUAL, Status.APPROVED): number // 3,
        (BRAND, Channel.EMAIL, RecipientType.INDIVIDUAL, Status.REJECTED): number - number // 3,
    }
    assert stats.watermarks == {BRAND: NOW - 3600}


async def test_a_hundred_thousand_rows_take_seconds(
    lmdb_store: Store, tmp_path: Path, write: Callable[..., Path]
) -> None:
    """A bound loose enough for a busy machine; the measured rate is in the load test."""
    path = write(HEADER + "".join(row(person) for person in range(100_000)))
    keys = ConsentKeys(b"another secret".ljust(32))
    began = time.perf_counter()
    report = await import_files(
        lmdb_store, keys, BRAND, [path], state_directory=tmp_path / "imports", observer=Watcher(), now=lambda: NOW
    )
    assert report.changed == 100_000
    assert time.perf_counter() - began < 10


DEALER_HEADER = HEADER.strip() + ",retailerCode,retailerAccess\n"
MAIL = (Channel.EMAIL, RecipientType.INDIVIDUAL)


def dealer_row(number: int, code: str = "", access: str = "", **options: str) -> str:
    return f'{row(number, **options).strip()},{code},"{access}"\n'


async def is_open(index: Any, address: bytes, dealer: int) -> bool:
    """Whether a dealer's look-up finds the consent open to it."""
    asked = index_for(index, index, Client("dealer", (BRAND,), retailer_code=dealer))
    return (await state_of(asked, address))[MAIL].is_open


async def test_the_dealers_of_a_consent_are_those_who_took_it_and_those_listed(
    index: MemoryIndex, state: Path, write: Callable[..., Path]
) -> None:
    """E11: nobody else's look-up finds it open; nor does one where the file says nothing."""
    rows = dealer_row(1, "10000001", "10000002,10000003") + dealer_row(2) + dealer_row(3, "10000001", status="RET")
    await run(index, state, write(DEALER_HEADER + rows))
    await run(index, state, write(HEADER + row(4), "plain.csv"))
    person = b"person1@example.com"
    opened = [await is_open(index, person, dealer) for dealer in (10_000_001, 10_000_002, 10_000_003, 10_000_004)]
    assert opened == [True, True, True, False]
    for other in (b"person2@example.com", b"person3@example.com", b"person4@example.com"):
        assert not await is_open(index, other, 10_000_001)


async def test_a_later_export_closes_a_consent_to_a_dealer(
    index: MemoryIndex, state: Path, write: Callable[..., Path]
) -> None:
    """An empty list is a list; one of an earlier consent is not that of the consent that stands."""
    await run(index, state, write(DEALER_HEADER + dealer_row(1, "10000001") + dealer_row(2, "10000001"), "a.csv"))
    await run(index, state, write(DEALER_HEADER + dealer_row(1) + dealer_row(2, at="2024-06-02 00:00:00"), "b.csv"))
    await run(index, state, write(DEALER_HEADER + dealer_row(2, "10000001"), "c.csv"))
    assert not await is_open(index, b"person1@example.com", 10_000_001)
    assert not await is_open(index, b"person2@example.com", 10_000_001)


async def test_of_two_rows_of_a_person_the_dealers_of_the_later_consent_count(
    index: MemoryIndex, state: Path, write: Callable[..., Path]
) -> None:
    """Wherever they stand in the file."""
    later = dealer_row(1, "10000002", at="2024-06-02 00:00:00")
    await run(index, state, write(DEALER_HEADER + later + dealer_row(1, "10000001")))
    assert await is_open(index, b"person1@example.com", 10_000_002)
    assert not await is_open(index, b"person1@example.com", 10_000_001)


async def test_a_row_that_is_rejected_opens_nothing(
    index: MemoryIndex, state: Path, write: Callable[..., Path]
) -> None:
    """Its dealers are not read from the row before, nor its own kept."""
    rows = dealer_row(1, "10000001") + dealer_row(2, "1000000") + dealer_row(3, "10000002").strip() + "x\n"
    report = await run(index, state, write(DEALER_HEADER + rows), accept_bad_rows=True)
    assert report.bad == 2
    assert await is_open(index, b"person1@example.com", 10_000_001)
    assert len(index._access) == 1
