"""Bulk import: every row of every file is read and judged first; then the good ones enter the index, sorted.

* A row is imported whole or not at all; a bad one is reported with file, line, column, expected and found.
* A header that is wrong ends the import before anything is changed.
* Interrupted, it goes on where it stopped: reading from the last checkpoint, loading from its beginning (merging the
  same record twice changes nothing).
* The watermark moves last, and only if every row was good: a refusal may have stood in the row that was not.
"""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from filters.consent_key import ConsentKeys
from filters.decision.dealer_access import AccessList, dated
from gateway.consents.access_spool import AccessSpool
from gateway.consents.checkpoint import Checkpoint, Progress, remove_stale
from gateway.consents.csv_file import Block, CsvFile, CsvFileError, Place
from gateway.consents.csv_row import Columns, CsvRowError, RowParser, parse_header
from gateway.consents.ports import ConsentStore
from gateway.consents.spool import Spool
from gateway.dealers import enter_lists

_CHECKPOINT_EVERY_S = 10.0
_LOAD_RECORDS = 100_000
_LISTS_A_STEP = 1000
REJECTS_HEADER = ("file", "line", "column", "expected", "found")


_COMPLETE_SHARE = 2
"""Files with less than one in two of the recipients known are taken for a part, unless their time is stated."""

_FEW_RECIPIENTS = 1000
"""An index of so few is being tried out; only files without a row are doubted there."""


class BadRow(NamedTuple):
    """``found`` has addresses masked."""

    file: str
    line: int
    column: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}, column {self.column}: {self.expected}, found {self.found}"


class ImportReport(NamedTuple):
    """What became of an import. ``recipients`` are distinct keys among the good rows, ``changed`` those whose value
    in the index is another one now. ``watermark_at`` is None where it was left alone. ``known``: how many recipients
    the index holds of the brand; ``is_short``: so few of them are in these files that they are no complete export."""

    rows: int
    bad: int
    recipients: int
    changed: int
    newest_at: int | None
    watermark_at: int | None
    rejects: Path | None
    resumed_rows: int
    seconds: float
    known: int = 0
    is_short: bool = False


class ImportObserver(Protocol):
    """Who shows the progress; called often, must be quick."""

    def read(self, done_bytes: int, total_bytes: int, rows: int) -> None: ...

    def loaded(self, done_records: int, total_records: int) -> None: ...

    def rejected(self, row: BadRow) -> None: ...


async def import_files(
    store: ConsentStore,
    keys: ConsentKeys,
    brand: int,
    paths: Sequence[Path],
    *,
    state_directory: Path,
    observer: ImportObserver,
    synced_at: int | None = None,
    moves_watermark: bool = True,
    accept_bad_rows: bool = False,
    rejects: Path | None = None,
    now: Callable[[], float] = time.time,
) -> ImportReport:
    """Import ``paths`` for ``brand``. ``synced_at``: the time up to which the export is complete, None for the time
    the oldest file was written, if the files look complete; ``moves_watermark`` False where they are not a complete
    export.

    Raises ``CsvFileError`` for a file that cannot be read as a whole, ``OSError`` for store and disk; run again, it
    goes on where it stopped.
    """
    started_at = time.monotonic()
    files = [CsvFile(path) for path in paths]
    columns = [parse_header(str(file.path), file.header) for file in files]
    await store.initialise()  # before hours of reading, not after
    remove_stale(state_directory, now())
    checkpoint = Checkpoint(state_directory, brand, [file.identity for file in files], keys.fingerprint)
    rejects = rejects or state_directory / f"rejects-{checkpoint.directory.name}.csv"
    written_at = int(min(min(file.modified_at for file in files), now()))
    reading = _Reading(files, columns, RowParser(brand, keys, int(now())), checkpoint, rejects, observer)
    try:
        await reading.run()
        recipients, changed = await _load(store, brand, reading.spool, reading.progress, observer)
        await _load_access(store, reading.dealers, written_at if synced_at is None else synced_at)
    finally:
        reading.close()
        checkpoint.close()
    progress = reading.progress
    watermark_at: int | None = None
    known = (await store.stats()).recipients.get(brand, 0)
    # An export cut off on its way would else renew the freshness of records it says nothing about.
    is_short = synced_at is None and (not recipients or max(recipients * _COMPLETE_SHARE, _FEW_RECIPIENTS) < known)
    if moves_watermark and not is_short and (accept_bad_rows or not progress.bad):
        watermark_at = written_at if synced_at is None else synced_at
        await store.apply(brand, [], watermark_at=watermark_at)
    checkpoint.remove()
    if not progress.bad:
        rejects.unlink(missing_ok=True)
    return ImportReport(
        rows=progress.rows,
        bad=progress.bad,
        recipients=recipients,
        changed=changed,
        newest_at=progress.newest_at or None,
        watermark_at=watermark_at,
        rejects=rejects if progress.bad else None,
        resumed_rows=reading.resumed_rows,
        seconds=time.monotonic() - started_at,
        known=known,
        is_short=moves_watermark and is_short,
    )


class _Reading:
    """The first half: rows into the spool, bad ones into the rejects file, a checkpoint every few seconds."""

    def __init__(
        self,
        files: list[CsvFile],
        columns: list[Columns],
        parser: RowParser,
        checkpoint: Checkpoint,
        rejects: Path,
        observer: ImportObserver,
    ) -> None:
        self._files = files
        self._columns = columns
        self._parser = parser
        self._checkpoint = checkpoint
        self._observer = observer
        self._total = sum(file.size for file in files)
        self.progress = checkpoint.load() or Progress()
        rejects.parent.mkdir(parents=True, exist_ok=True)
        if self.progress.rejects_bytes > (rejects.stat().st_size if rejects.exists() else 0):
            self.progress = Progress()  # the list of the rows already found bad is gone: find them again
        try:
            self.dealers = AccessSpool(checkpoint.directory, self.progress.access_bytes)
            self.spool = Spool(checkpoint.directory, self._total, self.progress.parts)
        except ValueError:
            self.progress = Progress()
            self.dealers = AccessSpool(checkpoint.directory)
            self.spool = Spool(checkpoint.directory, self._total)
        self.resumed_rows = self.progress.rows
        self._rejects = io.TextIOWrapper(rejects.open("ab"), "utf-8", newline="")
        self._rejects.truncate(self.progress.rejects_bytes)
        self._writer = csv.writer(self._rejects)
        if not self.progress.rejects_bytes:
            self._writer.writerow(REJECTS_HEADER)

    async def run(self) -> None:
        saved_at = time.monotonic()
        try:
            for number in range(self.progress.file, len(self._files)):
                file = self._files[number]
                is_resumed = number == self.progress.file and self.progress.offset
                place = Place(self.progress.offset, self.progress.line) if is_resumed else file.first_row
                before = sum(earlier.size for earlier in self._files[:number])
                for block in file.blocks(place):
                    self._read_block(number, block)
                    self.progress = self.progress._replace(file=number, offset=block.end.offset, line=block.end.line)
                    self._observer.read(before + block.end.offset, self._total, self.progress.rows)
                    await asyncio.sleep(0)  # a keyboard interrupt is taken here, where a checkpoint is whole
                    if time.monotonic() - saved_at >= _CHECKPOINT_EVERY_S:
                        self._save()
                        saved_at = time.monotonic()
                self.progress = self.progress._replace(file=number + 1, offset=0, line=0)
                if file.path.stat().st_size != file.size:
                    raise CsvFileError(f"{file.path}: expected a file that rests, found one that is being written")
        finally:
            self._save()

    def _save(self) -> None:
        self._rejects.flush()
        os.fsync(self._rejects.fileno())
        self.progress = self.progress._replace(
            parts=tuple(self.spool.sync()),
            rejects_bytes=os.fstat(self._rejects.fileno()).st_size,
            access_bytes=self.dealers.sync(),
        )
        self._checkpoint.save(self.progress)

    def _read_block(self, number: int, block: Block) -> None:
        columns, parser = self._columns[number], self._parser
        has_dealers = columns.retailer_code >= 0 or columns.retailer_access >= 0
        records: list[bytes] = []
        lists: list[AccessList] = []
        bad = 0
        last = len(block.lines) - 1 if block.is_cut_off else -1
        for at, line in enumerate(block.lines):
            if not line or line == b"\r":
                continue
            try:
                records.append(parser.parse_line(columns, line, is_cut_off=at == last))
                if has_dealers and parser.access is not None:
                    lists.append(parser.access)
            except CsvRowError as error:
                bad += 1
                row = BadRow(
                    str(self._files[number].path), block.first_line + at, error.column, error.expected, error.found
                )
                self._writer.writerow(row)
                self._observer.rejected(row)
        self.spool.append(records)
        self.dealers.append(lists)
        newest = int.from_bytes(max((record[-4:] for record in records), default=b""), "big")
        self.progress = self.progress._replace(
            rows=self.progress.rows + len(records) + bad,
            bad=self.progress.bad + bad,
            newest_at=max(self.progress.newest_at, newest),
        )

    def close(self) -> None:
        self.spool.close()
        self.dealers.close()
        self._rejects.close()


async def _load_access(store: ConsentStore, spool: AccessSpool, read_at: int) -> None:
    """After the consents: a list is of no use before the consent it belongs to. It counts as read when the export was
    made, so what the registry said of it since then stands."""
    lists = spool.lists()
    while batch := list(itertools.islice(lists, _LISTS_A_STEP)):
        await enter_lists(store, [AccessList(name, dated(packed, read_at)) for name, packed in batch])


async def _load(
    store: ConsentStore, brand: int, spool: Spool, progress: Progress, observer: ImportObserver
) -> tuple[int, int]:
    """The second half; distinct keys, and how many of them have another value now."""
    total = progress.rows - progress.bad
    done = recipients = changed = 0
    for part in spool.parts():
        for start in range(0, len(part), _LOAD_RECORDS):
            records = part[start : start + _LOAD_RECORDS]
            changed += (await store.load(brand, records)).changed
            done += len(records)
            observer.loaded(done, total)
        recipients += len({record[:10] for record in part})
    observer.loaded(total, total)
    return recipients, changed
