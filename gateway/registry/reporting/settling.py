"""What an answer means for a report is done here: out of the outbox, again later, or parked for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from filters.consent import Change, Consent
from filters.consent_report import ConsentReport
from filters.exchange import OutboxItem
from filters.refusal_report import RefusalReport
from filters.registry import words
from filters.vocabulary import Status
from gateway.registry.parked import keep_parked, park, recall_parked
from gateway.registry.pending import ConsentNotes, Pending, PendingState
from gateway.registry.ports import SyncIndex, SyncMemory
from gateway.registry.reporting.agenda import Agenda, Waiting
from gateway.registry.reporting.fates import DONE, TOO_OLD, Fate, Judged
from gateway.registry.reporting.ports import ReportingObserver

log = structlog.stdlib.get_logger(__name__)


class Settling:
    """``is_late_own_decision``: as of ``Reporter``. ``parked`` by code, as last counted."""

    def __init__(
        self,
        index: SyncIndex,
        memory: SyncMemory,
        agenda: Agenda,
        notes: ConsentNotes | None,
        observer: ReportingObserver,
        *,
        is_late_own_decision: bool,
        clock: Callable[[], float],
    ) -> None:
        self._index = index
        self._memory = memory
        self._agenda = agenda
        self._notes = notes
        self._observer = observer
        self._is_late_own_decision = is_late_own_decision
        self._clock = clock
        self.parked: Counter[str] = Counter()
        self.settled: Counter[Fate] = Counter()

    async def recall_parked(self) -> None:
        """An operator may have put some back."""
        self.parked = await recall_parked(self._memory)

    async def settle(self, results: Sequence[tuple[Waiting, Judged]]) -> None:
        now = self._clock()
        done: dict[int, list[tuple[Waiting, Judged]]] = {}
        for waiting, judged in results:
            item_id = waiting.item.item_id
            self._agenda.rest_pair(waiting.pair)
            if judged.fate is Fate.VETO and waiting.consent.status is not Status.REJECTED:
                judged = Judged(Fate.PARKED, judged.code)
            if judged.fate in DONE:
                done.setdefault(waiting.item.brand, []).append((waiting, judged))
            elif judged.fate is Fate.READ_AGAIN:
                self._agenda.to_read[item_id] = waiting
            elif judged.fate is Fate.AGAIN:
                self._agenda.rest(item_id, judged.pause_s)
            elif judged.fate is Fate.LATE:
                await self._settle_late(waiting, now)
            else:
                await self._tell_refused(waiting, judged.code)
                await self.park(waiting.item, judged.code or "refused")
        for brand, settled in done.items():
            changes = [change for waiting, judged in settled if (change := _known_now(waiting, judged)) is not None]
            if changes:
                await self._index.apply(brand, changes)
            await self._tell_done(settled)
            await self._index.outbox_remove([waiting.item for waiting, _ in settled])
            for waiting, judged in settled:
                self._agenda.forget(waiting.item.item_id)
                self._count(brand, judged.fate, judged.code)

    async def _settle_late(self, waiting: Waiting, now: float) -> None:
        item_id = waiting.item.item_id
        self._count(waiting.item.brand, Fate.LATE, TOO_OLD)
        log.error("report.too_late", brand=waiting.item.brand, report=item_id.hex(), due_at=waiting.item.due_at)
        is_first = item_id not in self._agenda.own_decisions
        if self._is_late_own_decision and is_first and isinstance(waiting.report, RefusalReport):
            self._agenda.own_decisions[item_id] = int(now) - 1
            self._agenda.alone.add(item_id)
            return
        await self._tell_refused(waiting, TOO_OLD)
        await self.park(waiting.item, TOO_OLD)

    async def park(self, item: OutboxItem, code: str) -> None:
        await self._index.apply(item.brand, [], outbox=[park(item, code)])
        await self._index.outbox_remove([item])
        self._agenda.forget(item.item_id)
        self.parked = await recall_parked(self._memory)
        self.parked[code] += 1
        await keep_parked(self._memory, self.parked)
        self._count(item.brand, Fate.PARKED, code)
        log.error("report.parked", brand=item.brand, report=item.item_id.hex(), code=code)

    async def _tell_refused(self, waiting: Waiting, code: str) -> None:
        """Before the report leaves its place: after a kill nobody would come by here again."""
        report = waiting.report
        if self._notes is not None and isinstance(report, ConsentReport):
            await self._notes.keep(Pending.of(report, PendingState.REFUSED, code, int(self._clock())))

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

    def _count(self, brand: int, fate: Fate, code: str) -> None:
        self.settled[fate] += 1
        self._observer.report_settled(brand, fate, code)


def _known_now(waiting: Waiting, judged: Judged) -> Change | None:
    """What the index may take as the registry's own, now that this is stored."""
    consent = waiting.consent
    if judged.fate is not Fate.STORED or consent.consent_at is None:
        return None
    known = Consent(consent.status, consent.consent_at, consent.source or words.UNKNOWN_SOURCE)
    return Change(waiting.report.key, consent.channel, consent.recipient_type, known)
