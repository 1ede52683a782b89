"""Asks the registry about up to a thousand addresses of a list, and repairs where it and the index differ."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import NamedTuple

from filters.consent import Change, State, unpack, wins_over
from filters.consent_key import ConsentKeys
from filters.registry.call import Priority
from filters.registry.error_codes import Advice
from filters.registry.failures import Failure, Limited
from filters.registry.merging import settle, withdraw
from filters.registry.values import ConsentSubject
from filters.registry.writing import find_address_problem
from filters.vocabulary import Channel, RecipientType, Status
from gateway.registry.failures import failure_words
from gateway.registry.ports import BrandLink, SyncIndex

MOST_SINGLES = 900
"""Of the thousand single queries an hour: the rest is for what is being sent now."""

_TRIES = 8
_FIRST_PAUSE_S = 1.0


class Checked(NamedTuple):
    """What has been done. ``withdrawn``: consent here and none there, taken back. ``entered``: consent there and none
    here, entered after a single query; ``open``: such, but the hour's queries were used up or failed; ``kept``: such,
    but the refusal here is not of an earlier date, so it stands. ``unusable``: rows whose address no listener of ours
    accepts. ``not_taken``: addresses that the registry takes for none.
    """

    rows: int = 0
    asked: int = 0
    requests: int = 0
    unusable: int = 0
    not_taken: int = 0
    withdrawn: int = 0
    entered: int = 0
    open: int = 0
    kept: int = 0

    def plus(self, other: Checked) -> Checked:
        return Checked(*(mine + its for mine, its in zip(self, other, strict=True)))


class _Closer(Enum):
    """What came of a closer look."""

    ENTERED = auto()
    OPEN = auto()
    KEPT = auto()
    REFUSED_MEANWHILE = auto()


class Comparison:
    """Registry and index, address by address. ``repairs`` False only counts. ``clock``: seconds since 1970 UTC."""

    def __init__(
        self, link: BrandLink, index: SyncIndex, keys: ConsentKeys, *, repairs: bool, clock: Callable[[], float]
    ) -> None:
        self._link = link
        self._api = link.api.with_priority(Priority.BULK)
        self._index = index
        self._keys = keys
        self._repairs = repairs
        self._clock = clock
        self._singles: list[float] = []

    async def check(self, channel: Channel, recipients: Sequence[str]) -> Checked:
        """Up to a thousand addresses of one channel, both recipient types. Raises ``OSError`` of store and registry."""
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
        withdrawn = 0
        closer: Counter[_Closer] = Counter()
        for recipient, (key, state) in people.items():
            held = state.get((channel, kind))
            is_approved = held is not None and held.status is Status.APPROVED
            if is_approved and recipient not in approved:
                change = withdraw(key, state, channel, kind)
                assert change is not None
                changes.append(change)
                withdrawn += 1
            elif not is_approved and recipient in approved and not (held is not None and held.own):
                closer[await self._look_closer(ConsentSubject(recipient, channel, kind), key, state)] += 1
        if changes and self._repairs:
            await self._index.apply(self._link.code, changes)
        return Checked(
            requests=requests,
            not_taken=len(refused_by_registry),
            withdrawn=withdrawn,
            entered=closer[_Closer.ENTERED],
            open=closer[_Closer.OPEN],
            kept=closer[_Closer.KEPT],
        )

    async def _look_closer(self, subject: ConsentSubject, key: bytes, state: State) -> _Closer:
        """A single query for the date of a consent that we do not have; what came of it."""
        now = self._clock()
        self._singles = [each for each in self._singles if each > now - 3600]
        if not self._repairs or len(self._singles) >= MOST_SINGLES:
            return _Closer.OPEN
        self._singles.append(now)
        answer = await self._api.status(self._link.registry, subject)
        if isinstance(answer, Failure):
            return _Closer.OPEN
        change = settle(answer, key, state, subject.channel, subject.recipient_type)
        if change is None:
            return _Closer.OPEN
        await self._index.apply(self._link.code, [change])
        if change.consent.status is not Status.APPROVED:
            return _Closer.REFUSED_MEANWHILE
        held = state.get((subject.channel, subject.recipient_type))
        return _Closer.ENTERED if wins_over(change.consent, held) else _Closer.KEPT

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
