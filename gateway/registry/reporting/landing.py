"""Brings answers home: what became of lists under way, and what the registry holds where a refusal came too late."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from filters.consent import Change, unpack
from filters.refusal_report import RefusalReport
from filters.registry.failures import Failure, Refused
from filters.registry.values import BulkItem, BulkState, StoredConsent, find_consent
from filters.vocabulary import Status
from gateway.registry.ports import BrandLink, SyncIndex
from gateway.registry.reporting.agenda import Agenda, Waiting
from gateway.registry.reporting.fates import Fate, Judged, is_of_the_item, judge_codes
from gateway.registry.reporting.flights import AGAIN_S, GIVEN_UP_S, Flight, FlightItem, Flights
from gateway.registry.reporting.settling import Settling
from gateway.registry.reporting.weather import Weather

log = structlog.stdlib.get_logger(__name__)

_READS_A_STEP = 20
_MOST_READS = 3


class Landing:
    """Polls lists, and asks the status of what the registry says it holds later."""

    def __init__(
        self,
        index: SyncIndex,
        links: Mapping[int, BrandLink],
        agenda: Agenda,
        flights: Flights,
        weather: Weather,
        settling: Settling,
        clock: Callable[[], float],
    ) -> None:
        self._index = index
        self._links = links
        self._agenda = agenda
        self._flights = flights
        self._weather = weather
        self._settling = settling
        self._clock = clock

    async def poll(self) -> bool:
        """Whether any list was asked for."""
        now = self._clock()
        has_polled = False
        for flight in list(self._flights.open.values()):
            link = self._links.get(flight.brand)
            if flight.is_resting(now) or link is None or self._weather.is_closed(flight.brand):
                continue
            has_polled = True
            answer = await link.api.bulk_result(link.registry, flight.request_id)
            if isinstance(answer, Refused) and is_of_the_item(answer):
                await self._give_up(flight)  # it does not know the id
            elif isinstance(answer, Failure):
                flight.poll_at = now + max(AGAIN_S, answer.pause_s)
                self._weather.failed(link.code, answer)
                break
            else:
                self._weather.answered(link.code)
                settled = [
                    (item, result)
                    for item, result in flight.match(answer.items)
                    if result.state is not BulkState.QUEUED
                ]
                await self._land(flight, settled, now)
        return has_polled

    async def _land(self, flight: Flight, settled: Sequence[tuple[FlightItem, BulkItem]], now: float) -> None:
        if not settled and now - flight.accepted_at > GIVEN_UP_S:
            await self._give_up(flight)
            return
        known: list[tuple[Waiting, Judged]] = []
        for item, result in settled:
            waiting = self._agenda.find_flying(item.item_id)
            if waiting is not None:
                known.append((waiting, _judge_item(result)))
        await self._settling.settle(known)
        gone = {item.item_id for item, _ in settled}
        left = [item for item in flight.items if item.item_id not in gone]
        landed = [item for item in flight.items if item.item_id in gone]
        await self._flights.go_on(flight, left, now + AGAIN_S)
        self._agenda.let_go(landed)

    async def _give_up(self, flight: Flight) -> None:
        items = flight.items
        await self._flights.go_on(flight, (), 0.0)
        self._agenda.let_go(items)
        log.warning("report.list_forgotten", brand=flight.brand, reports=len(items))

    async def read_again(self) -> bool:
        """Whether any status was learnt."""
        has_read = False
        for waiting in list(self._agenda.to_read.values())[:_READS_A_STEP]:
            link = self._links.get(waiting.item.brand)
            if link is None or self._weather.is_closed(link.code):
                continue
            answer = await link.api.status(link.registry, waiting.consent.subject)
            if isinstance(answer, Failure):
                if not is_of_the_item(answer):
                    self._weather.failed(link.code, answer)
                    return has_read
                judged = Judged(Fate.PARKED, "H178")
            else:
                self._weather.answered(link.code)
                judged = await self._take_over(waiting, answer)
            del self._agenda.to_read[waiting.item.item_id]
            await self._settling.settle([(waiting, judged)])
            has_read = True
        return has_read

    async def _take_over(self, waiting: Waiting, stored: StoredConsent | None) -> Judged:
        """Bring what the registry holds into the index, and see whether it answers the report."""
        found = find_consent(stored) if stored is not None else None
        if found is None or found.consent_at < (waiting.consent.consent_at or 0):
            self._agenda.reads[waiting.item.item_id] += 1  # it said that it holds something later
            if self._agenda.reads[waiting.item.item_id] >= _MOST_READS:
                return Judged(Fate.PARKED, "H178")
            return Judged(Fate.AGAIN, "H178", 60.0)
        report = waiting.report
        change = Change(report.key, waiting.consent.channel, waiting.consent.recipient_type, found)
        await self._index.apply(report.brand, [change])
        if isinstance(report, RefusalReport) and found.status is Status.APPROVED:
            value = (await self._index.find(report.brand, [report.key])).values[0]
            held = unpack(value).get((change.channel, change.recipient_type)) if value else None
            if held is not None and held.status is Status.REJECTED:
                # Refused here, consented there, and the registry does not take the refusal: not to be left at that.
                return Judged(Fate.PARKED, "H178")
        return Judged(Fate.SUPERSEDED, "H178")


def _judge_item(result: BulkItem) -> Judged:
    if result.state is BulkState.STORED:
        return Judged(Fate.STORED)
    return judge_codes(() if result.error is None else (result.error.code,))
