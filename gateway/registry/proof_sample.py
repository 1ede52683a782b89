"""Sampled status queries, in what is left of the rate: does the registry say of these people what the index says?

The daily file shows what moved; this shows what should not have. An address that has consent here and none there is
the dangerous one: it is asked singly and taken back here unless the registry knows better.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from filters.consent import State, unpack, wins_over
from filters.consent_key import ConsentKeys
from filters.registry.call import Priority
from filters.registry.failures import Failure
from filters.registry.merging import find_address, settle
from filters.registry.values import ConsentSubject
from filters.registry.writing import find_address_problem
from filters.vocabulary import Channel, RecipientType, Status
from gateway.registry.failures import failure_words
from gateway.registry.ports import BrandLink, RegistryApi, SyncIndex
from gateway.registry.proof_day import Sample

MOST_SINGLES = 50
"""Of the thousand single queries an hour that the account has."""

LAG_S = 2 * 3600
"""What moved in the registry so short a while ago is on its way to us, and no divergence."""


class SampleResult(NamedTuple):
    """``loose``: consent here, none there; ``tight``: consent there, none here. ``asked_singly``: of these."""

    brand: int
    asked: int = 0
    loose: int = 0
    tight: int = 0
    asked_singly: int = 0
    repaired: int = 0
    problem: str = ""

    @property
    def divergence(self) -> int:
        return self.loose + self.tight


async def prove_sample(
    link: BrandLink,
    index: SyncIndex,
    keys: ConsentKeys,
    sample: Sample,
    *,
    repairs: bool = True,
    clock: Callable[[], float] = time.time,
) -> SampleResult:
    """Ask for the addresses in ``sample`` (at most 1000 of each kind). Raises what the index raises (``OSError``)."""
    checking = _Checking(link, index, keys, repairs=repairs, clock=clock)
    for (channel, kind), recipients in sample.items():
        if not await checking.check(channel, kind, recipients):
            break
    return checking.result


class _Checking:
    def __init__(
        self, link: BrandLink, index: SyncIndex, keys: ConsentKeys, *, repairs: bool, clock: Callable[[], float]
    ) -> None:
        self._link = link
        self._api: RegistryApi = link.api.with_priority(Priority.BULK)
        self._index = index
        self._keys = keys
        self._repairs = repairs
        self._clock = clock
        self.result = SampleResult(link.code)

    async def check(self, channel: Channel, kind: RecipientType, recipients: list[str]) -> bool:
        """Whether to go on."""
        asked = [each for each in dict.fromkeys(recipients) if find_address_problem(each, channel) is None]
        addresses = {each: find_address(each, channel) for each in asked}
        asked = [each for each in asked if addresses[each] is not None]
        if not asked:
            return True
        answer = await self._api.multi_status(self._link.registry, channel, kind, asked)
        if isinstance(answer, Failure):
            self.result = self.result._replace(problem=failure_words(answer))
            return False
        derived = [self._keys.derive(self._link.code, addresses[each] or b"") for each in asked]
        found = await self._index.find(self._link.code, derived)
        self.result = self.result._replace(asked=self.result.asked + len(asked))
        for recipient, key, value in zip(asked, derived, found.values, strict=True):
            state = unpack(value) if value else {}
            held = state.get((channel, kind))
            is_approved = held is not None and held.status is Status.APPROVED
            is_ours = held is not None and held.own  # a refusal that the registry is still to hear of
            if is_approved is not (recipient in answer.approved) and not is_ours:
                subject = ConsentSubject(recipient, channel, kind)
                if not await self._look_closer(subject, key, state, is_loose=is_approved):
                    return False
        return True

    async def _look_closer(self, subject: ConsentSubject, key: bytes, state: State, *, is_loose: bool) -> bool:
        if self.result.asked_singly >= MOST_SINGLES:
            self._count(is_loose=is_loose)
            return True
        answer = await self._api.status(self._link.registry, subject)
        if isinstance(answer, Failure):
            self.result = self.result._replace(problem=failure_words(answer))
            return False
        self.result = self.result._replace(asked_singly=self.result.asked_singly + 1)
        change = settle(answer, key, state, subject.channel, subject.recipient_type)
        if answer is None or answer.created_at is None or answer.created_at < self._clock() - LAG_S:
            self._count(is_loose=is_loose)
        held = state.get((subject.channel, subject.recipient_type))
        if change is not None and self._repairs and wins_over(change.consent, held):
            applied = await self._index.apply(self._link.code, [change])
            self.result = self.result._replace(repaired=self.result.repaired + applied.changed)
        return True

    def _count(self, *, is_loose: bool) -> None:
        loose, tight = self.result.loose + is_loose, self.result.tight + (not is_loose)
        self.result = self.result._replace(loose=loose, tight=tight)
