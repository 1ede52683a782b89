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

from filters.consent import ENTRY_BYTES, Change, State, unpack
from filters.consent_key import ConsentKeys
from filters.registry.call import Priority
from filters.registry.error_codes import Advice
from filters.registry.failures import Failure, Limited
from filters.registry.merging import find_address, settle, withdraw
from filters.registry.values import ConsentSubject
from filters.registry.writing import find_address_problem
from filters.vocabulary import Channel, RecipientType, Status
from gateway.consents.checkpoint import Checkpoint
from gateway.consents.csv_file import Block, CsvFile, CsvFileError, Place
from gateway.consents.spool import Spool
from gateway.registry.failures import failure_words
from gateway.registry.ports import BrandLink, SyncIndex

MOST_ASKED = 1000
AT_ONCE = 6
"""Requests under way: at half a second each, as observed, ten a second need five."""

MOST_SINGLES = 900
"""Of the thousand single queries an hour: the rest is for what is being sent now."""

_TRIES = 8
_FIRST_PAUSE_S = 1.0
_CHANNELS = {True: (Channel.EMAIL,), False: (Channel.SMS, Channel.CALL)}


class VerifyStore(SyncIndex, Protocol):
    """The index, opened by a command."""


class Checked(NamedTuple):
    """What has been done. ``withdrawn``: consent here and none there, taken back. ``entered``: consent there and none
    here, entered after a single query; ``open``: such, but the hour's queries were used up or failed. ``unusable``:
    rows whose address no listener of ours accepts. ``not_taken``: addresses that the registry takes for none.
    """

    rows: int = 0
    asked: int = 0
    requests: int = 0
    unusable: int = 0
    not_taken: int = 0
    withdrawn: int = 0
    entered: int = 0
    open: int = 0

    def plus(self, other: Checked) -> Checked:
        return Checked(*(mine + its for mine, its in zip(self, other, strict=True)))


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

    def verified(self, done_bytes: int, total_bytes: int, checked: Checked) -> None: ...


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
        self._api = link.api.with_priority(Priority.BULK)
        self._index = index
        self._keys = keys
        self._files = [CsvFile(path) for path in paths]
        self._columns = [_find_column(file) for file in self._files]
        self._total = sum(file.size for file in self._files)
        self._observer = observer
        self._repairs = repairs
        self._clock = clock
        identities = ["verify", str(repairs), *(file.identity for file in self._files)]
        self._checkpoint = Checkpoint(state_directory, link.code, identities, keys.fingerprint)
        self._path = self._checkpoint.directory / "stand.json"
        self._singles: list[float] = []

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
        try:
            for column, file in zip(self._columns, self._files, strict=True):
                for block in file.blocks(file.first_row):
                    rows = _read_block(column, block)
                    for part in _parts([*rows.mail, *rows.phones]):
                        keys = self._keys.derive_many(self._link.code, [each.encode("utf-8") for each in part])
                        values = (await self._index.find(self._link.code, keys)).values
                        found = zip(keys, values, strict=True)
                        spool.append([key + bytes(ENTRY_BYTES) for key, value in found if value is not None])
            return sum(len(part) for part in spool.parts())
        finally:
            spool.close()

    # ---- a block of rows ----

    async def _check_block(self, column: int, block: Block) -> Checked:
        rows = _read_block(column, block)
        turns = asyncio.Semaphore(AT_ONCE)

        async def take_turn(channel: Channel, recipients: Sequence[str]) -> Checked:
            async with turns:
                return await self._check(channel, recipients)

        jobs = [
            asyncio.ensure_future(take_turn(channel, part))
            for is_mail, recipients in ((True, rows.mail), (False, rows.phones))
            for channel in _CHANNELS[is_mail]
            for part in _parts(list(recipients))
        ]
        try:
            found = await asyncio.gather(*jobs)
        except BaseException:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            raise
        total = Checked(rows=rows.number, unusable=rows.unusable)
        for each in found:
            total = total.plus(each)
        return total

    async def _check(self, channel: Channel, recipients: Sequence[str]) -> Checked:
        """Up to a thousand addresses of one channel, both recipient types."""
        derived = self._keys.derive_many(self._link.code, [each.encode("utf-8") for each in recipients])
        values = (await self._index.find(self._link.code, derived)).values
        states = [unpack(value) if value else {} for value in values]
        people = dict(zip(recipients, zip(derived, states, strict=True), strict=True))
        checked = Checked(asked=len(recipients))
        for kind in RecipientType:
            checked = checked.plus(await self._compare(channel, kind, people))
        return checked

    async def _compare(self, channel: Channel, kind: RecipientType, people: dict[str, tuple[bytes, State]]) -> Checked:
        approved, refused_by_registry, requests = await self._ask(channel, kind, list(people))
        changes: list[Change] = []
        withdrawn = entered = still_open = 0
        for recipient, (key, state) in people.items():
            held = state.get((channel, kind))
            is_approved = held is not None and held.status is Status.APPROVED
            if is_approved and recipient not in approved:
                change = withdraw(key, state, channel, kind)
                assert change is not None
                changes.append(change)
                withdrawn += 1
            elif not is_approved and recipient in approved and not (held is not None and held.own):
                is_entered = await self._look_closer(ConsentSubject(recipient, channel, kind), key, state)
                entered += is_entered
                still_open += not is_entered
        if changes and self._repairs:
            await self._index.apply(self._link.code, changes)
        return Checked(
            requests=requests,
            not_taken=len(refused_by_registry),
            withdrawn=withdrawn,
            entered=entered,
            open=still_open,
        )

    async def _look_closer(self, subject: ConsentSubject, key: bytes, state: State) -> bool:
        """Whether a single query told the date of a consent that we do not have, and it was entered."""
        now = self._clock()
        self._singles = [each for each in self._singles if each > now - 3600]
        if not self._repairs or len(self._singles) >= MOST_SINGLES:
            return False
        self._singles.append(now)
        answer = await self._api.status(self._link.registry, subject)
        if isinstance(answer, Failure):
            return False
        change = settle(answer, key, state, subject.channel, subject.recipient_type)
        if change is not None:
            await self._index.apply(self._link.code, [change])
        return change is not None

    async def _ask(
        self, channel: Channel, kind: RecipientType, recipients: list[str]
    ) -> tuple[frozenset[str], list[str], int]:
        """Who of them has consent; who is no address to the registry; how many requests it took.

        One such address fails the request as a whole, so the request is halved until it is alone. Raises ``OSError``
        where the registry goes on failing.
        """
        good = [each for each in recipients if find_address_problem(each, channel) is None]
        bad = [each for each in recipients if find_address_problem(each, channel) is not None]
        if not good:
            return frozenset(), bad, 0
        pause_s = _FIRST_PAUSE_S
        requests = tries = 0
        while True:
            answer = await self._api.multi_status(self._link.registry, channel, kind, good)
            requests += 1
            if not isinstance(answer, Failure):
                return answer.approved, bad, requests
            if answer.advice is Advice.NEVER:
                if len(good) == 1:
                    return frozenset(), bad + good, requests
                middle = len(good) // 2
                first = await self._ask(channel, kind, good[:middle])
                second = await self._ask(channel, kind, good[middle:])
                return first[0] | second[0], bad + first[1] + second[1], requests + first[2] + second[2]
            if not (isinstance(answer, Limited) and not answer.code):  # our own limiter is no failure of theirs
                tries += 1
            if tries >= _TRIES or answer.advice is Advice.MEND_ACCOUNT:
                raise OSError(f"the registry does not answer: {failure_words(answer)}; the same command goes on later")
            await asyncio.sleep(max(answer.pause_s, pause_s))
            pause_s = min(60.0, pause_s * 2)

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
