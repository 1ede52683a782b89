"""One finished day of one brand, proven: does the index hold every movement that the registry lists, or a later will?

The registry's daily file is fetched once into a nameless file, its hash checked by the method the registry names, its
lines counted against the summary, and each movement compared with the index (İYS API reference, 7). What is missing or
says otherwise is merged; nothing is agreed to here: saving is an operator's word and cannot be taken back.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import IO, NamedTuple

from filters.consent import Change, State, merge, unpack, wins_over
from filters.consent_key import ConsentKeys
from filters.registry.call import Priority
from filters.registry.daily_file import DailyFileHash, DailyFileReader
from filters.registry.failures import Failure
from filters.registry.merging import read_movements
from filters.registry.reading import UnreadableError
from filters.registry.values import ChangeStat, ConsentSubject, Movement
from filters.registry.words import is_registry_source
from filters.vocabulary import Channel, RecipientType
from gateway.registry.failures import failure_words
from gateway.registry.ports import BrandLink, SyncIndex

SAMPLE = 1000
"""So many addresses of each channel and recipient type are remembered for the sampled status query."""

_BLOCK_BYTES = 256 * 1024
_BATCH = 1000


class DayState(StrEnum):
    """How a day's proof ended."""

    AGREED = "agreed"
    """Every movement is in the index, or a later will."""
    REPAIRED = "repaired"
    """Some were not; now they are."""
    DIFFERENT = "different"
    """Some are not, and nothing was to be changed."""
    NOTHING = "nothing"
    """No movement that day."""
    NOT_READY = "not_ready"
    """The registry has not finished the day's file."""
    FAILED = "failed"
    """It could not be proven; ``problem`` says why."""


class DaySide(NamedTuple):
    """Movements of the day by channel, type and whose they are (``HS``, ``IYS``)."""

    channel: Channel
    recipient_type: RecipientType
    source: str
    approvals: int
    rejections: int
    total: int


class DayResult(NamedTuple):
    """``missing``: the index held nothing; ``contrary``: it held another will that is older. ``sides`` as the summary
    has them. ``counts_agree``: summary and file have the same number of movements."""

    brand: int
    day: str
    state: DayState
    problem: str = ""
    movements: int = 0
    unread: int = 0
    missing: int = 0
    contrary: int = 0
    repaired: int = 0
    counts_agree: bool = True
    is_saved: bool = False
    sides: tuple[DaySide, ...] = ()

    @property
    def divergence(self) -> int:
        return self.missing + self.contrary


Sample = dict[tuple[Channel, RecipientType], list[str]]


async def prove_day(
    link: BrandLink,
    index: SyncIndex,
    keys: ConsentKeys,
    day: str,
    *,
    repairs: bool = True,
    sample: Sample | None = None,
    progress: Callable[[int], None] | None = None,
) -> DayResult:
    """Prove ``day`` (``YYYY-MM-DD``, yesterday to seven days ago). ``sample`` is filled with addresses of the day.

    Raises what the index raises (``OSError``).
    """
    api = link.api.with_priority(Priority.BULK)
    nothing = DayResult(link.code, day, DayState.FAILED)
    info = await api.reconciliation_info(link.registry, day)
    if isinstance(info, Failure):
        return nothing._replace(problem=failure_words(info))
    if info is None:
        return nothing._replace(state=DayState.NOTHING)
    if not info.is_ready:
        return nothing._replace(state=DayState.NOT_READY)
    sides: list[DaySide] = []
    for kind in RecipientType:
        stats = await api.reconciliation_summary(link.registry, day, kind)
        if isinstance(stats, Failure):
            return nothing._replace(problem=failure_words(stats))
        sides += [_side_of(stat, kind) for stat in stats]
    try:
        hashing = DailyFileHash(info.hash_method)
    except ValueError:
        return nothing._replace(problem="unknown hash method")
    with tempfile.TemporaryFile(prefix="izinkapi-day-") as file:  # has no name, so a kill leaves no address behind
        fetched = await api.reconciliation_file(link.registry, day, file.write)
        if isinstance(fetched, Failure):
            return nothing._replace(problem=failure_words(fetched))
        if not fetched:
            return nothing._replace(state=DayState.NOT_READY)
        for block in _blocks(file):
            hashing.feed(block)
            await asyncio.sleep(0)
        if not hashing.is_equal(info.hash_value):
            return nothing._replace(problem="the file does not have the hash that the registry names")
        comparison = _Comparison(link, index, keys, repairs=repairs, sample=sample, progress=progress)
        try:
            await comparison.run(file)
        except UnreadableError:
            return nothing._replace(problem="the file is no daily file")
    return comparison.result(day, tuple(sides), is_saved=info.is_agreed)


class _Comparison:
    """A file's movements against the index, a thousand at a time; memory does not grow with the file."""

    def __init__(
        self,
        link: BrandLink,
        index: SyncIndex,
        keys: ConsentKeys,
        *,
        repairs: bool,
        sample: Sample | None,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._brand = link.code
        self._index = index
        self._keys = keys
        self._repairs = repairs
        self._sample = sample
        self._progress = progress
        self._random = random.Random()  # noqa: S311 - which addresses are asked for is no secret
        self._sampled: Counter[tuple[Channel, RecipientType]] = Counter()
        self._counted: Counter[tuple[Channel, RecipientType, str]] = Counter()
        self._movements = self._unread = self._missing = self._contrary = self._repaired = 0

    async def run(self, file: IO[bytes]) -> None:
        reader = DailyFileReader()
        waiting: list[Movement] = []
        for block in _blocks(file):
            waiting += reader.feed(block)
            while len(waiting) >= _BATCH:
                await self._compare(waiting[:_BATCH])
                del waiting[:_BATCH]
        waiting += reader.finish()
        if waiting:
            await self._compare(waiting)
        self._movements += len(reader.unread)
        self._unread += len(reader.unread)

    async def _compare(self, movements: Sequence[Movement]) -> None:
        read = read_movements(tuple(movements), (), lambda address: self._keys.derive(self._brand, address))
        self._movements += len(movements)
        self._unread += len(movements) - len(read.changes)
        for movement in movements:
            side = "IYS" if is_registry_source(movement.source) else "HS"
            self._counted[movement.subject.channel, movement.subject.recipient_type, side] += 1
            self._draw(movement.subject)
        states = await self._find(read.changes)
        wrong: list[Change] = []
        for change in read.changes:
            state = states[change.key]
            held = state.get((change.channel, change.recipient_type))
            if wins_over(change.consent, held):
                wrong.append(change)
                self._missing += held is None
                self._contrary += held is not None and held.status is not change.consent.status
                merge(state, change.channel, change.recipient_type, change.consent)
        if wrong and self._repairs:
            self._repaired += (await self._index.apply(self._brand, wrong)).changed
        if self._progress is not None:
            self._progress(self._movements)

    async def _find(self, changes: Sequence[Change]) -> dict[bytes, State]:
        wanted = list({change.key for change in changes})
        if not wanted:
            return {}
        found = await self._index.find(self._brand, wanted)
        return {key: unpack(value) if value else {} for key, value in zip(wanted, found.values, strict=True)}

    def _draw(self, subject: ConsentSubject) -> None:
        """Each address of the day has the same chance to be remembered."""
        if self._sample is None:
            return
        slot = (subject.channel, subject.recipient_type)
        drawn = self._sample.setdefault(slot, [])
        self._sampled[slot] += 1
        if len(drawn) < SAMPLE:
            drawn.append(subject.recipient)
        elif (place := self._random.randrange(self._sampled[slot])) < SAMPLE:
            drawn[place] = subject.recipient

    def result(self, day: str, sides: tuple[DaySide, ...], *, is_saved: bool) -> DayResult:
        expected = Counter({(side.channel, side.recipient_type, side.source): side.total for side in sides})
        agree = self._movements == sum(expected.values()) and (self._unread > 0 or +expected == +self._counted)
        state = DayState.AGREED
        if self._missing + self._contrary:
            state = DayState.REPAIRED if self._repairs else DayState.DIFFERENT
        return DayResult(
            self._brand,
            day,
            state,
            "",
            self._movements,
            self._unread,
            self._missing,
            self._contrary,
            self._repaired,
            agree,
            is_saved,
            sides,
        )


def _side_of(stat: ChangeStat, kind: RecipientType) -> DaySide:
    return DaySide(stat.channel, kind, stat.source, stat.approvals, stat.rejections, stat.total)


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while block := file.read(_BLOCK_BYTES):
        yield block
