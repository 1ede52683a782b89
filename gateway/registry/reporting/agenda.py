"""Which reports may go now: the most urgent first, no two of one address and channel, none that is on its way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import structlog

from filters.consent_report import Report, consent_to_add, open_report
from filters.exchange import OutboxItem
from filters.refusal_report import ReportSeal
from filters.registry import words
from filters.registry.values import ConsentToAdd
from filters.vocabulary import RecipientType, Status
from gateway.registry.parked import PARKED_AT
from gateway.registry.ports import SyncIndex
from gateway.registry.reporting.flights import FlightItem, Flights
from gateway.registry.reporting.weather import Deadlines, Weather

log = structlog.stdlib.get_logger(__name__)

_PAGE = 2500
_PAIR_REST_S = 2.0
_UNREADABLE_S = 3600.0
_LONGEST_REST_S = 3600.0
"""What rests for longer than any rest is of a clock that was set back since."""


class Waiting(NamedTuple):
    """A report taken from the outbox. ``pair``: what only one movement may concern at a time."""

    item: OutboxItem
    report: Report
    consent: ConsentToAdd
    pair: bytes


class Ready(NamedTuple):
    """``by_brand``: what may go, the most urgent first; ``addressless``: what never can go. ``to_refuse``: pairs and
    recipient types of which a refusal waits to be told, now or after what goes first.
    """

    by_brand: dict[int, list[Waiting]]
    addressless: list[OutboxItem]
    to_refuse: frozenset[tuple[bytes, RecipientType]] = frozenset()


class Agenda:
    """What rests, flies, goes alone or is to be read again, all in memory: after a kill the outbox tells anew.

    ``brands``: those with an account; reports of others wait. ``clock``: wall clock.
    """

    def __init__(
        self,
        index: SyncIndex,
        brands: Collection[int],
        seal: ReportSeal,
        flights: Flights,
        weather: Weather,
        clock: Callable[[], float],
    ) -> None:
        self._index = index
        self._brands = brands
        self._seal = seal
        self._flights = flights
        self._weather = weather
        self._clock = clock
        self._flying: dict[bytes, Waiting | None] = {}
        self._flying_pairs: set[bytes] = set()
        self._has_unmatched = False
        self._rest: dict[bytes, float] = {}
        self._pair_rest: dict[bytes, float] = {}
        self._foreign = 0
        self.alone: set[bytes] = set()
        self.to_read: dict[bytes, Waiting] = {}
        self.reads: Counter[bytes] = Counter()
        self.own_decisions: dict[bytes, int] = {}
        self.deadlines = Deadlines()

    def begin(self) -> None:
        """Forget all but the flights: another machine may have worked meanwhile."""
        items = [item for flight in self._flights.open.values() for item in flight.items]
        self._flying = {item.item_id: None for item in items}
        self._flying_pairs = {item.pair for item in items}
        self._has_unmatched = bool(self._flying)
        for left_over in (self._rest, self.alone, self.to_read, self.reads, self.own_decisions):
            left_over.clear()

    @property
    def has_unmatched(self) -> bool:
        """Whether something is on its way that was not found in the outbox yet; ``take`` finds it."""
        return self._has_unmatched

    async def take(self) -> Ready:
        """What may go now. Raises ``OSError`` of the store."""
        now = self._clock()
        self._rest = _still_resting(self._rest, now)
        self._pair_rest = _still_resting(self._pair_rest, now)
        skipped = len(self._flying) + len(self._rest) + len(self.to_read) + self._foreign
        is_shut = all(map(self._weather.is_closed, self._brands))
        if is_shut or (self._flights.is_full and not self._has_unmatched):
            # Nothing can go: only the most urgent deadlines are of interest, however many wait behind them.
            self.deadlines.see(await self._index.outbox_due(PARKED_AT - 1, _PAGE), now)
            return Ready({}, [])
        items = await self._index.outbox_due(PARKED_AT - 1, skipped + _PAGE)
        self.deadlines.see(items, now)
        ready: dict[int, list[Waiting]] = {}
        unknown: list[OutboxItem] = []
        taken: set[bytes] = set()
        foreign = 0
        opened: list[Waiting] = []
        for item in items:
            item_id = item.item_id
            if item.brand not in self._brands or self._weather.is_closed(item.brand):
                foreign += 1
                continue
            is_flying = item_id in self._flying
            if (is_flying and self._flying[item_id] is not None) or item_id in self._rest or item_id in self.to_read:
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
        for waiting in sorted(opened, key=lambda each: (each.item.due_at, each.consent.consent_at or 0)):
            pair = waiting.pair
            if pair in taken or pair in self._flying_pairs or pair in self._pair_rest:
                continue
            taken.add(pair)
            ready.setdefault(waiting.item.brand, []).append(waiting)
        refusals = (waiting for waiting in opened if waiting.consent.status is Status.REJECTED)
        return Ready(ready, unknown, frozenset((each.pair, each.consent.recipient_type) for each in refusals))

    def _open(self, item: OutboxItem) -> Waiting:
        report = open_report(self._seal, item.item_id, item.sealed)
        consent = consent_to_add(report)
        own_decision_at = self.own_decisions.get(item.item_id)
        if own_decision_at is not None:
            consent = consent._replace(source=words.SOURCE_OWN_DECISION, consent_at=own_decision_at)
        now = int(self._clock())
        if consent.status is Status.REJECTED and (consent.consent_at or 0) > now:
            # Dated by a clock that ran ahead: it was made before now, and must not wait for that date to come.
            consent = consent._replace(consent_at=now)
        what = f"{report.brand} {consent.channel} {consent.recipient}"
        return Waiting(item, report, consent, blake2b(what.encode(), digest_size=8).digest())

    # ---- what becomes of one ----

    def take_off(self, listed: Sequence[Waiting]) -> None:
        """These are on their way in a list."""
        self._flying.update((waiting.item.item_id, waiting) for waiting in listed)
        self._flying_pairs.update(waiting.pair for waiting in listed)

    def find_flying(self, item_id: bytes) -> Waiting | None:
        return self._flying.get(item_id)

    def let_go(self, items: Sequence[FlightItem]) -> None:
        """These are no longer on their way."""
        for item in items:
            self._flying.pop(item.item_id, None)
            self._flying_pairs.discard(item.pair)
            self.rest_pair(item.pair)

    def rest_pair(self, pair: bytes) -> None:
        """The next movement of this address and channel only in another second."""
        self._pair_rest[pair] = self._clock() + _PAIR_REST_S

    def rest(self, item_id: bytes, pause_s: float) -> None:
        """Again after a pause, and alone."""
        self._rest[item_id] = self._clock() + pause_s
        self.alone.add(item_id)

    def forget(self, item_id: bytes) -> None:
        """It is done with."""
        self.alone.discard(item_id)
        self._rest.pop(item_id, None)
        self.reads.pop(item_id, None)
        self.own_decisions.pop(item_id, None)


def _still_resting(rests: Mapping[bytes, float], now: float) -> dict[bytes, float]:
    return {what: until for what, until in rests.items() if now < until <= now + _LONGEST_REST_S}
