"""The duty of the sync service that reports: takes, sends, brings home, and says how things stand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from filters.refusal_report import ReportSeal
from gateway.registry.pending import ConsentNotes
from gateway.registry.ports import BrandLink, SyncIndex, SyncMemory
from gateway.registry.reporting.agenda import Agenda
from gateway.registry.reporting.flights import Flights
from gateway.registry.reporting.landing import Landing
from gateway.registry.reporting.ports import ReportingObserver, Silent
from gateway.registry.reporting.sending import Sending
from gateway.registry.reporting.settling import Settling
from gateway.registry.reporting.weather import Weather

BULK_FROM = 20
"""From so many ready reports of a brand on they go as a list, whose answer takes five minutes and more."""

_IDLE_S = 2.0


class Reporter:
    """A ``Task`` of the sync service. ``links`` by brand; reports of other brands wait.

    ``is_late_own_decision``: a refusal that the registry finds too old is told as the brand's own decision to stop
    (``HS_KARAR``, of today), which is true and needs no consent of anybody; else it is parked. ``clock``: wall clock.
    """

    name = "report"

    def __init__(
        self,
        index: SyncIndex,
        memory: SyncMemory,
        links: Mapping[int, BrandLink],
        seal: ReportSeal,
        *,
        notes: ConsentNotes | None = None,
        observer: ReportingObserver | None = None,
        is_late_own_decision: bool = False,
        bulk_from: int = BULK_FROM,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._observer = observer or Silent()
        self._has_begun = False
        self._flights = Flights(memory)
        self._weather = Weather(clock)
        self._agenda = Agenda(index, links.keys(), seal, self._flights, self._weather, clock)
        self._settling = Settling(
            index,
            memory,
            self._agenda,
            notes,
            self._observer,
            is_late_own_decision=is_late_own_decision,
            clock=clock,
        )
        shared = links, self._agenda, self._flights, self._weather, self._settling
        self._sending = Sending(index, *shared, bulk_from=bulk_from, clock=clock)
        self._landing = Landing(index, *shared, clock)

    async def run(self, stop: asyncio.Event) -> None:
        self._has_begun = False  # another machine may have held the lease meanwhile
        while not stop.is_set():
            pause_s = await self.step()
            try:
                async with asyncio.timeout(pause_s):
                    await stop.wait()
            except TimeoutError:
                continue

    def describe(self) -> dict[str, object]:
        due_at = self._agenda.deadlines.oldest_due_at
        return {
            "waiting": self._agenda.deadlines.waiting,
            "in_flight": self._flights.items,
            "bulk_requests": len(self._flights.open),
            "to_read_again": len(self._agenda.to_read),
            "overdue": self._agenda.deadlines.overdue,
            "parked": dict(self._settling.parked),
            "oldest_due_at": due_at,
            "seconds_left": None if due_at is None else int(due_at - self._clock()),
            "settled": {str(fate): number for fate, number in self._settling.settled.items()},
            "blocked": {str(brand): code for brand, code in self._weather.blocked.items()},
        }

    async def step(self) -> float:
        """Do what can be done now; how many seconds later there may be more. Raises ``OSError`` of the store."""
        if not self._has_begun:
            await self._flights.recall(self._clock())
            self._agenda.begin()
            self._has_begun = True
        await self._settling.recall_parked()
        if self._agenda.has_unmatched:
            await self._agenda.take()  # results that wait are of no use to who does not know what they are of
        has_polled = await self._landing.poll()
        has_read = await self._landing.read_again()
        found = await self._agenda.take()
        seen = self._agenda.deadlines
        self._observer.outbox_seen(seen.oldest_due_at, seen.waiting, seen.overdue, self._settling.parked)
        has_sent = await self._sending.send(found)
        return 0.0 if has_polled or has_read or has_sent else _IDLE_S
