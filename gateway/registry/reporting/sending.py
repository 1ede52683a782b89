"""Sends what may go: one by one while there are few, in lists when there are many; timely and late ones apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from filters.registry.calls.consents import is_request_id
from filters.registry.failures import Failure, Refused
from filters.registry.writing import MAX_BULK, find_problem
from gateway.registry.parked import ADDRESS_UNKNOWN
from gateway.registry.ports import BrandLink, SyncIndex
from gateway.registry.reporting.agenda import Agenda, Ready, Waiting
from gateway.registry.reporting.fates import Fate, Judged, is_of_the_item, judge_codes
from gateway.registry.reporting.flights import Flights, list_items
from gateway.registry.reporting.overtaken import find_overtaken
from gateway.registry.reporting.settling import Settling
from gateway.registry.reporting.weather import Weather

log = structlog.stdlib.get_logger(__name__)

_SINGLES_A_STEP = 50


class Sending:
    """``bulk_from``: from so many ready reports of a brand on they go as a list."""

    def __init__(
        self,
        index: SyncIndex,
        links: Mapping[int, BrandLink],
        agenda: Agenda,
        flights: Flights,
        weather: Weather,
        settling: Settling,
        *,
        bulk_from: int,
        clock: Callable[[], float],
    ) -> None:
        self._index = index
        self._links = links
        self._agenda = agenda
        self._flights = flights
        self._weather = weather
        self._settling = settling
        self._bulk_from = bulk_from
        self._clock = clock

    async def send(self, found: Ready) -> bool:
        """Whether anything was done."""
        for item in found.addressless:
            await self._settling.park(item, ADDRESS_UNKNOWN)
        has_sent = False
        for brand, ready in found.by_brand.items():
            unsendable = [(waiting, _find_problem(waiting)) for waiting in ready]
            for waiting, problem in unsendable:
                if problem is not None:
                    await self._settling.settle([(waiting, Judged(Fate.PARKED, problem))])
                    has_sent = True
            good = [waiting for waiting, problem in unsendable if problem is None]
            overtaken = await find_overtaken(self._index, brand, good, found.to_refuse)
            if overtaken:
                await self._settling.settle([(waiting, Judged(Fate.SUPERSEDED)) for waiting in overtaken])
                good = [waiting for waiting in good if waiting not in overtaken]
                has_sent = True
            together = [waiting for waiting in good if waiting.item.item_id not in self._agenda.alone]
            alone = [waiting for waiting in good if waiting.item.item_id in self._agenda.alone]
            if len(together) >= self._bulk_from:
                has_sent |= await self._send_lists(self._links[brand], together)
            else:
                alone = sorted([*alone, *together], key=lambda each: each.item.due_at)
            has_sent |= await self._send_singles(self._links[brand], alone[:_SINGLES_A_STEP])
        return has_sent

    async def _send_lists(self, link: BrandLink, ready: Sequence[Waiting]) -> bool:
        now = self._clock()
        has_sent = False
        for is_late in (True, False):
            kind = [waiting for waiting in ready if (waiting.item.due_at < now) is is_late]
            for start in range(0, len(kind), MAX_BULK):
                if self._flights.is_full or not await self._send_list(link, kind[start : start + MAX_BULK]):
                    return has_sent
                has_sent = True
        return has_sent

    async def _send_list(self, link: BrandLink, listed: Sequence[Waiting]) -> bool:
        """Whether the next list may be tried at once."""
        answer = await link.api.bulk_add(link.registry, [waiting.consent for waiting in listed])
        if isinstance(answer, Refused) and any(answer.codes_of(place) for place in range(len(listed))):
            # All or nothing: those named are settled one by one, the others go again without them.
            self._weather.answered(link.code)
            await self._settling.settle(
                [
                    (waiting, judge_codes(codes, answer.status))
                    for place, waiting in enumerate(listed)
                    if (codes := answer.codes_of(place))
                ]
            )
            return True
        if isinstance(answer, Failure):
            if is_of_the_item(answer):  # it does not say which one
                self._agenda.alone.update(waiting.item.item_id for waiting in listed)
            else:
                self._weather.failed(link.code, answer)
            return False
        self._weather.answered(link.code)
        if not is_request_id(answer.request_id):
            # An id of a form that the registry itself does not let us ask for: one by one they are answered at once.
            self._agenda.alone.update(waiting.item.item_id for waiting in listed)
            log.error("report.list_without_id", brand=link.code, reports=len(listed))
            return False
        items = list_items([each.item.item_id for each in listed], [each.pair for each in listed], answer.items)
        await self._flights.begin(link.code, answer.request_id, self._clock(), items)
        self._agenda.take_off(listed)
        log.info("report.list_accepted", brand=link.code, reports=len(listed))
        return True

    async def _send_singles(self, link: BrandLink, ready: Sequence[Waiting]) -> bool:
        has_sent = False
        for waiting in ready:
            answer = await link.api.add(link.registry, waiting.consent)
            if not isinstance(answer, Failure):
                judged = Judged(Fate.STORED)
            elif is_of_the_item(answer):
                judged = judge_codes(answer.codes if isinstance(answer, Refused) else (), 400)
            else:
                self._weather.failed(link.code, answer)
                return has_sent
            self._weather.answered(link.code)
            await self._settling.settle([(waiting, judged)])
            has_sent = True
        return has_sent


def _find_problem(waiting: Waiting) -> str | None:
    try:
        return find_problem(waiting.consent)
    except ValueError:
        return "unsendable"
