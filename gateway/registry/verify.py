"""Verification of whole lists: every address asked for at the registry, differences repaired, resumable.

For each address both recipient types of its channel are asked, a thousand addresses a request (İYS API reference, 6.5),
behind everything else that waits for its turn. Who has consent here and none there loses it here at once; who has
consent there and none here is asked singly (a thousand an hour), and stays refused until then.

The list is what closes a gap in the feed: the index keeps no addresses. If the list names everybody whom the index knew
when the asking began, the brand is known up to that moment, and its watermark says so. Who is named is counted before
anybody is asked: later the index would know people who came meanwhile, and one of them on the list would stand in for
one who is missing there. Interrupted, it goes on behind the last block done; each step may be repeated.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from filters.consent import ENTRY_BYTES
from filters.consent_key import ConsentKeys
from filters.registry.merging import find_address
from filters.vocabulary import Channel
from gateway.consents.checkpoint import Checkpoint
from gateway.consents.csv_file import Block, CsvFile, CsvFileError, Place
from gateway.consents.spool import Spool
from gateway.registry.comparison import Checked, Comparison
from gateway.registry.ports import BrandLink, SyncIndex

MOST_ASKED = 1000
AT_ONCE = 6
"""Requests under way: at half a second each, as observed, ten a second need five."""

_CHANNELS = {True: (Channel.EMAIL,), False: (Channel.SMS, Channel.CALL)}


class VerifyStore(SyncIndex, Protocol):
    """The index, opened by a command."""


class VerifyReport(NamedTuple):
    """``named``: how many of the ``known`` recipients the list names; ``watermark_at`` None where some are missing."""

    checked: Checked
    known: int
    named: int
    began_at: int
    watermark_at: int | None
    resumed_rows: int
    seconds: float


class VerifyObserver(Protocol):
    """Who shows progress and estimate; must be quick."""

    def counted(self, done_bytes: int, total_bytes: int) -> None:
        """Before anybody is asked, how far the list is held against the index."""

    def began(self, done_bytes: int, total_bytes: int, checked: Checked) -> None:
        """The asking begins, behind what an interrupted verification had done already."""

    def verified(self, done_bytes: int, total_bytes: int, checked: Checked) -> None:
        """How far the registry has been asked, and what was found."""


class _Stand(NamedTuple):
    """Where a verification stands."""

    began_at: int
    known: int
    named: int
    file: int = 0
    offset: int = 0
    line: int = 0
    checked: Checked = Checked()


async def verify_files(
    link: BrandLink,
    index: VerifyStore,
    keys: ConsentKeys,
    paths: Sequence[Path],
    *,
    state_directory: Path,
    observer: VerifyObserver,
    repairs: bool = True,
    clock: Callable[[], float] = time.time,
) -> VerifyReport:
    """Verify every address in the column ``recipient`` of ``paths``; other columns are passed over.

    ``repairs`` False counts the differences and changes nothing. Raises ``CsvFileError``, ``OSError`` of store, disk
    and registry; the same call goes on where it stopped.
    """
    verification = _Verification(link, index, keys, paths, state_directory, observer, repairs=repairs, clock=clock)
    try:
        return await verification.run()
    finally:
        verification.close()


class _Verification:
    def __init__(
        self,
        link: BrandLink,
        index: VerifyStore,
        keys: ConsentKeys,
        paths: Sequence[Path],
        state_directory: Path,
        observer: VerifyObserver,
        *,
        repairs: bool,
        clock: Callable[[], float],
    ) -> None:
        self._link = link
        self._index = index
        self._keys = keys
        self._files = [CsvFile(path) for path in paths]
        self._columns = [_find_column(file) for file in self._files]
        self._total = sum(file.size for file in self._files)
        self._observer = observer
        self._repairs = repairs
        self._clock = clock
        self._comparison = Comparison(link, index, keys, repairs=repairs, clock=clock)
        identities = ["verify", str(repairs), *(file.identity for file in self._files)]
        self._checkpoint = Checkpoint(state_directory, link.code, identities, keys.fingerprint)
        self._path = self._checkpoint.directory / "stand.json"

    async def run(self) -> VerifyReport:
        started_at = time.monotonic()
        stand = self._load()
        if stand is None:
            named = await self._count_named()
            # In this order: who comes between the two is taken for missing, never for named.
            known = (await self._index.stats()).recipients.get(self._link.code, 0)
            stand = _Stand(int(self._clock()), known, named)
            self._save(stand)
        resumed_rows = stand.checked.rows
        done = sum(file.size for file in self._files[: stand.file]) + stand.offset
        self._observer.began(done, self._total, stand.checked)
        for number in range(stand.file, len(self._files)):
            file = self._files[number]
            is_resumed = number == stand.file and stand.offset
            place = Place(stand.offset, stand.line) if is_resumed else file.first_row
            before = sum(earlier.size for earlier in self._files[:number])
            for block in file.blocks(place):
                checked = await self._check_block(self._columns[number], block)
                stand = stand._replace(
                    file=number,
                    offset=block.end.offset,
                    line=block.end.line,
                    checked=stand.checked.plus(checked),
                )
                self._save(stand)
                self._observer.verified(before + block.end.offset, self._total, stand.checked)
            stand = stand._replace(file=number + 1, offset=0, line=0)
        watermark_at = None
        if self._repairs and stand.named >= stand.known:
            watermark_at = stand.began_at
            await self._index.apply(self._link.code, [], watermark_at=watermark_at)
        self._checkpoint.remove()
        return VerifyReport(
            stand.checked,
            stand.known,
            stand.named,
            stand.began_at,
            watermark_at,
            resumed_rows,
            time.monotonic() - started_at,
        )

    def close(self) -> None:
        self._checkpoint.close()

    async def _count_named(self) -> int:
        """How many different recipients whom the index knows are on the list."""
        spool = Spool(self._checkpoint.directory, self._total)
        before = 0
        try:
            for column, file in zip(self._columns, self._files, strict=True):
                for block in file.blocks(file.first_row):
                    rows = _read_block(column, block)
                    for part in _parts([*rows.mail, *rows.phones]):
                        keys = self._keys.derive_many(self._link.code, [each.encode("utf-8") for each in part])
                        values = (await self._index.find(self._link.code, keys)).values
                        found = zip(keys, values, strict=True)
                        spool.append([key + bytes(ENTRY_BYTES) for key, value in found if value is not None])
                    self._observer.counted(before + block.end.offset, self._total)
                before += file.size
            return sum(len(part) for part in spool.parts())
        finally:
            spool.close()

    # ---- a block of rows ----

    async def _check_block(self, column: int, block: Block) -> Checked:
        rows = _read_block(column, block)
        turns = asyncio.Semaphore(AT_ONCE)

        async def take_turn(channel: Channel, recipients: Sequence[str]) -> Checked:
            async with turns:
                return await self._comparison.check(channel, recipients)

        jobs = [
            asyncio.ensure_future(take_turn(channel, part))
            for is_mail, recipients in ((True, rows.mail), (False, rows.phones))
            for channel in _CHANNELS[is_mail]
            for part in _parts(list(recipients))
        ]
        try:
            found = await asyncio.gather(*jobs)
        except BaseException:  # cancelled too: no question may run on unseen
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            raise
        total = Checked(rows=rows.number, unusable=rows.unusable)
        for each in found:
            total = total.plus(each)
        return total

    # ---- the checkpoint ----

    def _load(self) -> _Stand | None:
        try:
            found = json.loads(self._path.read_text("ascii"))
            return _Stand(**{**found, "checked": Checked(*found["checked"])})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _save(self, stand: _Stand) -> None:
        fresh = self._path.with_suffix(".fresh")
        with fresh.open("w", encoding="ascii") as file:
            json.dump(stand._asdict(), file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


class _Rows(NamedTuple):
    """What a block holds: canonical addresses by kind, each once; all rows, and those that hold no address."""

    mail: dict[str, None]
    phones: dict[str, None]
    number: int
    unusable: int


def _read_block(column: int, block: Block) -> _Rows:
    mail: dict[str, None] = {}
    phones: dict[str, None] = {}
    number = unusable = 0
    for line in block.lines:
        text = line.decode("utf-8", "replace").strip("\r")
        if not text:
            continue
        number += 1
        fields = next(csv.reader([text]), [])
        address = find_address(fields[column].strip()) if column < len(fields) else None
        if address is None:
            unusable += 1
        else:
            (mail if b"@" in address else phones)[address.decode("utf-8")] = None
    return _Rows(mail, phones, number, unusable)


def _find_column(file: CsvFile) -> int:
    names = next(csv.reader([file.header]), [])
    if "recipient" not in names:
        raise CsvFileError(f"{file.path}, line 1: expected a column recipient, found none of that name")
    return names.index("recipient")


def _parts(recipients: list[str]) -> Iterable[list[str]]:
    for start in range(0, len(recipients), MOST_ASKED):
        yield recipients[start : start + MOST_ASKED]
