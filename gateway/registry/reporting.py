"""Up: from the outbox to the registry, the most urgent first.

One at a time while there are few, in lists of up to 1000 when there are many, both by the second version of the API,
in which a repeat is recognised: whatever is killed in between is sent again and stored once. Of one address and channel
only one movement is on its way at any time, and the next one begins a second later (İYS API reference, 2.1: movements
of one second share their id). Timely and late reports never share a list: one that is too old refuses the whole.

A report leaves the outbox only with an answer of ``reporting_fates.DONE``; the refusal itself stays in the index
whatever the registry says (edge case E2).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple, Protocol

import structlog

from filters.consent import Change, Consent, unpack
from filters.consent_report import ConsentReport, Report, consent_to_add, open_report
from filters.exchange import OutboxItem
from filters.refusal_report import RefusalReport, ReportSeal
from filters.registry import words
from filters.registry.failures import Failure, Refused
from filters.registry.values import BulkItem, BulkState, ConsentToAdd, StoredConsent, find_consent
from filters.registry.writing import MAX_BULK, find_problem
from filters.vocabulary import Status
from gateway.registry.parked import ADDRESS_UNKNOWN, PARKED_AT, keep_parked, park, recall_parked
from gateway.registry.pending import ConsentNotes, Pending, PendingState
from gateway.registry.ports import BrandLink, SyncIndex, SyncMemory
from gateway.registry.reporting_fates import DONE, TOO_OLD, Fate, Judged, is_of_the_item, judge_codes
from gateway.registry.reporting_flights import AGAIN_S, GIVEN_UP_S, Flight, FlightItem, Flights, list_items
from gateway.registry.reporting_weather import Deadlines, Weather

log = structlog.stdlib.get_logger(__name__)

BULK_FROM = 20
"""From so many ready reports of a brand on they go as a list, whose answer takes five minutes and more."""

_PAGE = 2500
_SINGLES_A_STEP = 50
_READS_A_STEP = 20
_IDLE_S = 2.0
_PAIR_REST_S = 2.0
_UNREADABLE_S = 3600.0
_MOST_READS = 3


class ReportingObserver(Protocol):
    """Who counts. Must not raise."""

    def report_settled(self, brand: int, fate: Fate, code: str) -> None:
        """One report is done with, parked or late."""

    def outbox_seen(self, oldest_due_at: int | None, waiting: int, overdue: int, parked: Mapping[str, int]) -> None:
        """The outbox as it is now, parked ones by code; ``oldest_due_at`` None where nothing waits."""


class Silent:
    """Hears everything and says nothing."""

    def report_settled(self, brand: int, fate: Fate, code: str) -> None: ...

    def outbox_seen(self, oldest_due_at: int | None, waiting: int, overdue: int, parked: Mapping[str, int]) -> None: ...


class Waiting(NamedTuple):
    """A report taken from the outbox. ``pair``: what only one movement may concern at a time."""

    item: OutboxItem
    report: Report
    consent: ConsentToAdd
    pair: bytes


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
        self._index = index
        self._links = links
        self._seal = seal
        self._notes = notes
        self._observer = observer or Silent()
        self._is_late_own_decision = is_late_own_decision
        self._bulk_from = bulk_from
        self._clock = clock
        self._memory = memory
        self._flights = Flights(memory)
        self._has_begun = False
        self._flying: dict[bytes, Waiting | None] = {}
        self._flying_pairs: set[bytes] = set()
        self._has_unmatched = False
        self._rest: dict[bytes, float] = {}
        self._pair_rest: dict[bytes, float] = {}
        self._alone: set[bytes] = set()
        self._to_read: dict[bytes, Waiting] = {}
        self._reads: Counter[bytes] = Counter()
        self._own_decisions: dict[bytes, int] = {}
        self._foreign = 0
        self._settled: Counter[Fate] = Counter()
        self._parked: Counter[str] = Counter()
        self._weather = Weather(clock)
        self._deadlines = Deadlines()

    # ---- a task of the sync service ----

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
        due_at = self._deadlines.oldest_due_at
        return {
            "waiting": self._deadlines.waiting,
            "in_flight": self._flights.items,
            "bulk_requests": len(self._flights.open),
            "to_read_again": len(self._to_read),
            "overdue": self._deadlines.overdue,
            "parked": dict(self._parked),
            "oldest_due_at": due_at,
            "seconds_left": None if due_at is None else int(due_at - self._clock()),
            "settled": {str(fate): number for fate, number in self._settled.items()},
            "blocked": {str(brand): code for brand, code in self._weather.blocked.items()},
        }

    async def step(self) -> float:
        """Do what can be done now; how many seconds later there may be more. Raises ``OSError`` of the store."""
        if not self._has_begun:
            await self._begin()
        self._parked = await recall_parked(self._memory)  # an operator may have put some back
        polled = await self._poll()
        read = await self._read_again()
        sent = await self._send()
        return 0.0 if polled or read or sent else _IDLE_S

    # ---- taking ----

    async def _begin(self) -> None:
        now = self._clock()
        await self._flights.recall(now)
        self._flying = {item.item_id: None for flight in self._flights.open.values() for item in flight.items}
        self._flying_pairs = {item.pair for flight in self._flights.open.values() for item in flight.items}
        self._has_unmatched = bool(self._flying)
        for left_over in (self._rest, self._alone, self._to_read, self._reads, self._own_decisions):
            left_over.clear()
        self._has_begun = True

    async def _take(self) -> dict[int, list[Waiting]]:
        """The reports that may go now, by brand, the most urgent first, no two of one address and channel."""
        now = self._clock()
        self._rest = {item_id: until for item_id, until in self._rest.items() if until > now}
        self._pair_rest = {pair: until for pair, until in self._pair_rest.items() if until > now}
        skipped = len(self._flying) + len(self._rest) + len(self._to_read) + self._foreign
        is_shut = all(map(self._weather.is_closed, self._links))
        if is_shut or (self._flights.is_full and not self._has_unmatched):
            # Nothing can go: only the most urgent deadlines are of interest, however many wait behind them.
            self._see(await self._index.outbox_due(PARKED_AT - 1, _PAGE), now)
            return {}
        items = await self._index.outbox_due(PARKED_AT - 1, skipped + _PAGE)
        self._see(items, now)
        ready: dict[int, list[Waiting]] = {}
        unknown: list[OutboxItem] = []
        taken: set[bytes] = set()
        foreign = 0
        opened: list[Waiting] = []
        for item in items:
            item_id = item.item_id
            if item.brand not in self._links or self._weather.is_closed(item.brand):
                foreign += 1
                continue
            is_flying = item_id in self._flying
            if (is_flying and self._flying[item_id] is not None) or item_id in self._rest or item_id in self._to_read:
                continue
            try:
                waiting = self._open(item)
            except ValueError:
                self._rest[item_id] = now + _UNREADABLE_S
                log.error("report.unreadable", brand=item.brand, report=item_id.hex())
                continue
            if is_flying:  # sent by a process before this one
                self._flying[item_id] = waiting
            elif not waiting.consent.recipient:
                unknown.append(item)
            else:
                opened.append(waiting)
        self._foreign = foreign
        self._has_unmatched = False
        for item in unknown:
            await self._park(item, ADDRESS_UNKNOWN)
        for waiting in sorted(opened, key=lambda each: (each.item.due_at, each.consent.consent_at or 0)):
            pair = waiting.pair
            if pair in taken or pair in self._flying_pairs or pair in self._pair_rest:
                continue
            taken.add(pair)
            ready.setdefault(waiting.item.brand, []).append(waiting)
        return ready

    def _open(self, item: OutboxItem) -> Waiting:
        report = open_report(self._seal, item.item_id, item.sealed)
        consent = consent_to_add(report)
        own_decision_at = self._own_decisions.get(item.item_id)
        if own_decision_at is not None:
            consent = consent._replace(source=words.SOURCE_OWN_DECISION, consent_at=own_decision_at)
        what = f"{report.brand} {consent.channel} {consent.recipient}"
        return Waiting(item, report, consent, blake2b(what.encode(), digest_size=8).digest())

    def _see(self, items: Sequence[OutboxItem], now: float) -> None:
        self._deadlines.see(items, now)
        seen = self._deadlines
        self._observer.outbox_seen(seen.oldest_due_at, seen.waiting, seen.overdue, self._parked)

    # ---- sending ----

    async def _send(self) -> bool:
        has_sent = False
        for brand, ready in (await self._take()).items():
            unsendable = [(waiting, self._find_problem(waiting)) for waiting in ready]
            for waiting, problem in unsendable:
                if problem is not None:
                    await self._settle([(waiting, Judged(Fate.PARKED, problem))])
                    has_sent = True
            good = [waiting for waiting, problem in unsendable if problem is None]
            together = [waiting for waiting in good if waiting.item.item_id not in self._alone]
            alone = [waiting for waiting in good if waiting.item.item_id in self._alone]
            if len(together) >= self._bulk_from:
                has_sent |= await self._send_lists(self._links[brand], together)
            else:
                alone = sorted([*alone, *together], key=lambda each: each.item.due_at)
            has_sent |= await self._send_singles(self._links[brand], alone[:_SINGLES_A_STEP])
        return has_sent

    def _find_problem(self, waiting: Waiting) -> str | None:
        try:
            return find_problem(waiting.consent)
        except ValueError:
            return "unsendable"

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
            await self._settle(
                [
                    (waiting, judge_codes(codes, answer.status))
                    for place, waiting in enumerate(listed)
                    if (codes := answer.codes_of(place))
                ]
            )
            return True
        if isinstance(answer, Failure):
            if is_of_the_item(answer):  # it does not say which one
                self._alone.update(waiting.item.item_id for waiting in listed)
            else:
                self._weather.failed(link.code, answer)
            return False
        self._weather.answered(link.code)
        items = list_items([each.item.item_id for each in listed], [each.pair for each in listed], answer.items)
        await self._flights.begin(link.code, answer.request_id, self._clock(), items)
        self._flying.update((waiting.item.item_id, waiting) for waiting in listed)
        self._flying_pairs.update(waiting.pair for waiting in listed)
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
            await self._settle([(waiting, judged)])
            has_sent = True
        return has_sent

    # ---- bringing results home ----

    async def _poll(self) -> bool:
        now = self._clock()
        has_polled = False
        for flight in list(self._flights.open.values()):
            link = self._links.get(flight.brand)
            if flight.poll_at > now or link is None or self._weather.is_closed(flight.brand):
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
            waiting = self._flying.get(item.item_id)
            if waiting is not None:
                known.append((waiting, _judge_item(result)))
        await self._settle(known)
        gone = {item.item_id for item, _ in settled}
        left = [item for item in flight.items if item.item_id not in gone]
        landed = [item for item in flight.items if item.item_id in gone]
        await self._flights.go_on(flight, left, now + AGAIN_S)
        self._let_go(landed)

    async def _give_up(self, flight: Flight) -> None:
        items = flight.items
        await self._flights.go_on(flight, (), 0.0)
        self._let_go(items)
        log.warning("report.list_forgotten", brand=flight.brand, reports=len(items))

    def _let_go(self, items: Sequence[FlightItem]) -> None:
        rest_until = self._clock() + _PAIR_REST_S
        for item in items:
            self._flying.pop(item.item_id, None)
            self._flying_pairs.discard(item.pair)
            self._pair_rest[item.pair] = rest_until

    async def _read_again(self) -> bool:
        has_read = False
        for waiting in list(self._to_read.values())[:_READS_A_STEP]:
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
            del self._to_read[waiting.item.item_id]
            await self._settle([(waiting, judged)])
            has_read = True
        return has_read

    async def _take_over(self, waiting: Waiting, stored: StoredConsent | None) -> Judged:
        """Bring what the registry holds into the index, and see whether it answers the report."""
        found = find_consent(stored) if stored is not None else None
        if found is None or found.consent_at < (waiting.consent.consent_at or 0):
            self._reads[waiting.item.item_id] += 1  # it said that it holds something later
            if self._reads[waiting.item.item_id] >= _MOST_READS:
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

    # ---- settling ----

    async def _settle(self, results: Sequence[tuple[Waiting, Judged]]) -> None:
        now = self._clock()
        done: dict[int, list[tuple[Waiting, Judged]]] = {}
        for waiting, judged in results:
            item_id = waiting.item.item_id
            self._pair_rest[waiting.pair] = now + _PAIR_REST_S
            if judged.fate is Fate.VETO and waiting.consent.status is not Status.REJECTED:
                judged = Judged(Fate.PARKED, judged.code)
            if judged.fate in DONE:
                done.setdefault(waiting.item.brand, []).append((waiting, judged))
            elif judged.fate is Fate.READ_AGAIN:
                self._to_read[item_id] = waiting
            elif judged.fate is Fate.AGAIN:
                self._rest[item_id] = now + judged.pause_s
                self._alone.add(item_id)
            elif judged.fate is Fate.LATE:
                await self._settle_late(waiting, now)
            else:
                await self._park(waiting.item, judged.code or "refused")
                await self._tell(waiting, PendingState.REFUSED, judged.code)
        for brand, settled in done.items():
            changes = [change for waiting, judged in settled if (change := _known_now(waiting, judged)) is not None]
            if changes:
                await self._index.apply(brand, changes)
            await self._tell_done(settled)
            await self._index.outbox_remove([waiting.item for waiting, _ in settled])
            for waiting, judged in settled:
                self._forget(waiting.item.item_id)
                self._count(brand, judged.fate, judged.code)

    async def _settle_late(self, waiting: Waiting, now: float) -> None:
        item_id = waiting.item.item_id
        self._count(waiting.item.brand, Fate.LATE, TOO_OLD)
        log.error("report.too_late", brand=waiting.item.brand, report=item_id.hex(), due_at=waiting.item.due_at)
        is_first = item_id not in self._own_decisions
        if self._is_late_own_decision and is_first and isinstance(waiting.report, RefusalReport):
            self._own_decisions[item_id] = int(now) - 1
            self._alone.add(item_id)
            return
        await self._park(waiting.item, TOO_OLD)
        await self._tell(waiting, PendingState.REFUSED, TOO_OLD)

    async def _park(self, item: OutboxItem, code: str) -> None:
        await self._index.apply(item.brand, [], outbox=[park(item, code)])
        await self._index.outbox_remove([item])
        self._forget(item.item_id)
        self._parked = await recall_parked(self._memory)
        self._parked[code] += 1
        await keep_parked(self._memory, self._parked)
        self._count(item.brand, Fate.PARKED, code)
        log.error("report.parked", brand=item.brand, report=item.item_id.hex(), code=code)

    async def _tell(self, waiting: Waiting, state: PendingState, code: str) -> None:
        report = waiting.report
        if self._notes is not None and isinstance(report, ConsentReport):
            await self._notes.keep(Pending.of(report, state, code, int(self._clock())))

    async def _tell_done(self, settled: Sequence[tuple[Waiting, Judged]]) -> None:
        if self._notes is None:
            return
        told = []
        for waiting, judged in settled:
            if isinstance(waiting.report, ConsentReport):
                state = PendingState.SUPERSEDED if judged.fate is Fate.SUPERSEDED else PendingState.STORED
                told.append(Pending.of(waiting.report, state, judged.code, int(self._clock())))
        if told:
            await self._notes.keep(*told)

    def _forget(self, item_id: bytes) -> None:
        self._alone.discard(item_id)
        self._rest.pop(item_id, None)
        self._reads.pop(item_id, None)
        self._own_decisions.pop(item_id, None)

    def _count(self, brand: int, fate: Fate, code: str) -> None:
        self._settled[fate] += 1
        self._observer.report_settled(brand, fate, code)


def _judge_item(result: BulkItem) -> Judged:
    if result.state is BulkState.STORED:
        return Judged(Fate.STORED)
    return judge_codes(() if result.error is None else (result.error.code,))


def _known_now(waiting: Waiting, judged: Judged) -> Change | None:
    """What the index may take as the registry's own, now that this is stored."""
    consent = waiting.consent
    if judged.fate is not Fate.STORED or consent.consent_at is None:
        return None
    known = Consent(consent.status, consent.consent_at, consent.source or words.UNKNOWN_SOURCE)
    return Change(waiting.report.key, consent.channel, consent.recipient_type, known)
