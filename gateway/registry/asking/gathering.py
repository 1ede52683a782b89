"""One question about many, shared by all messages in flight: up to a thousand addresses a request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog

from filters.consent import Slot
from filters.registry.call import Priority
from filters.registry.failures import Failure
from gateway.registry.failures import failure_words
from gateway.registry.ports import BrandLink

log = structlog.stdlib.get_logger(__name__)

GATHER_S = 0.02
MOST_ASKED = 1000

RESULTS = ("confirmed", "withdrawn", "found", "absent", "not_asked", "failed", "timed_out")


class RequeryObserver(Protocol):
    """Who counts; must not raise."""

    def requeried(self, result: str, number: int) -> None:
        """So many consents ended as ``result``, one of ``RESULTS``."""


class Gatherings:
    """Requests in the making, one at a time for each brand and slot. ``may_ask(n)``: whether n new ones may be made."""

    def __init__(
        self,
        links: Mapping[int, BrandLink],
        observer: RequeryObserver,
        may_ask: Callable[[int], bool] = lambda number: True,
    ) -> None:
        self._links = links
        self._observer = observer
        self._may_ask = may_ask
        self._open: dict[tuple[int, Slot], _Gathering] = {}

    async def ask(self, brand: int, slot: Slot, recipients: Sequence[str]) -> frozenset[str] | None:
        """Who of them has consent; None if that could not be learnt of all."""
        found: set[str] = set()
        for start in range(0, len(recipients), MOST_ASKED):
            approved = await self.ask_slots(brand, (slot,), recipients[start : start + MOST_ASKED])
            if approved is None:
                return None
            found |= approved
        return frozenset(found)

    async def ask_slots(self, brand: int, slots: Sequence[Slot], recipients: Sequence[str]) -> frozenset[str] | None:
        """Who of up to a thousand has consent in any of ``slots``; None if that could not be learnt of all of them.

        All slots are asked about or none: half an answer would have spent requests for nothing.
        """
        gatherings = {slot: self._open.get((brand, slot)) for slot in slots}
        new = [slot for slot, each in gatherings.items() if each is None or not each.has_room(len(recipients))]
        if new and not self._may_ask(len(new)):
            self._observer.requeried("not_asked", len(recipients))
            return None
        for slot in new:
            gatherings[slot] = self._open[brand, slot] = _Gathering(self._links[brand], slot, self._observer)
        joined = [each for each in gatherings.values() if each is not None]
        for each in joined:
            each.recipients.update(dict.fromkeys(recipients))
        # Shielded: whoever gives up does not take the answer from the others.
        answers = await asyncio.gather(*(asyncio.shield(each.answer()) for each in joined))
        approved = [each for each in answers if each is not None]
        if len(approved) < len(answers):
            return None
        return frozenset().union(*approved).intersection(recipients)


class _Gathering:
    """One request in the making, and then under way."""

    def __init__(self, link: BrandLink, slot: Slot, observer: RequeryObserver) -> None:
        self._link = link
        self._slot = slot
        self._observer = observer
        self.recipients: dict[str, None] = {}
        self.is_closed = False
        self._asking: asyncio.Task[frozenset[str] | None] | None = None

    def has_room(self, number: int) -> bool:
        return not self.is_closed and len(self.recipients) + number <= MOST_ASKED

    def answer(self) -> asyncio.Task[frozenset[str] | None]:
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask(), name="requery-request")
        return self._asking

    async def _ask(self) -> frozenset[str] | None:
        await asyncio.sleep(GATHER_S)
        self.is_closed = True
        api = self._link.api.with_priority(Priority.QUERY)
        with contextlib.suppress(ValueError):
            answer = await api.multi_status(self._link.registry, *self._slot, list(self.recipients))
            if not isinstance(answer, Failure):
                return answer.approved
            log.warning("requery.failed", brand=self._link.code, failure=failure_words(answer))
        self._observer.requeried("failed", len(self.recipients))
        return None
