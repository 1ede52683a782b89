"""A person's refusal made durable: the one way in for the pages, the mail intake and whatever comes later.

In this order, so that nothing is confirmed that could still be lost:

1. the refusal enters the index, and in the same transaction the report for the registry enters the outbox
   (Law 6563, 8/3; Reg. 9-10: three business days). From here on no message of that kind is permitted;
2. the evidence log gets its record;
3. the caller may confirm.

Evidence that cannot be written does not undo a refusal: it is in force, its report is in the outbox with address,
date and source, and telling the person that nothing was recorded would be untrue. It is counted, and while the log is
broken no commercial message leaves anyway.

Repeating a refusal is harmless: the report has the same id, so there is only one, and the later date says that the
person still does not want the messages.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Protocol

from filters.business_days import HolidayCalendar
from filters.consent import RECIPIENT_TYPES, Change, Consent, State, unpack
from filters.evidence.record import RecordKind, encode_event
from filters.exchange import Lookup, OutboxItem, Refusal
from filters.refusal_report import NONCE_BYTES, RefusalReport, ReportSeal
from filters.vocabulary import LookupFailure, RecipientType, Status
from gateway.ports import ConsentIndex, ConsentWriter, EvidenceLog

_EVIDENCE_TIMEOUT_S = 5.0


class RefusalObserver(Protocol):
    """Who counts. Called in the loop's thread; must not raise."""

    def refusal_recorded(self, refusal: Refusal, *, has_evidence: bool) -> None:
        """It is in force. ``refusal.address`` empty means that the report cannot name the address."""

    def refusal_failed(self, refusal: Refusal) -> None:
        """It is not known to be durable and was not confirmed."""


class RefusalReports:
    """Makes the report that tells the registry of a refusal, sealed, with its deadline, for the outbox."""

    def __init__(self, seal: ReportSeal, calendar: HolidayCalendar) -> None:
        self._seal = seal
        self._calendar = calendar

    def make(self, refusal: Refusal, recipient_type: RecipientType) -> OutboxItem:
        report = RefusalReport(
            refusal.brand,
            refusal.channel,
            recipient_type,
            refusal.address.decode("utf-8", "replace"),
            refusal.key,
            refusal.received_at,
            refusal.source,
        )
        sealed = self._seal.seal(report, os.urandom(NONCE_BYTES))
        return OutboxItem(report.item_id, refusal.brand, self._calendar.due_at(refusal.received_at), sealed)


class Refusals:
    """A ``RefusalRecorder``: index, outbox and evidence from one ``Refusal``."""

    def __init__(
        self,
        writer: ConsentWriter,
        evidence: EvidenceLog,
        seal: ReportSeal,
        calendar: HolidayCalendar,
        observer: RefusalObserver,
        *,
        index: ConsentIndex | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._writer = writer
        self._index = index
        self._evidence = evidence
        self._reports = RefusalReports(seal, calendar)
        self._observer = observer

    async def record(self, refusal: Refusal) -> None:
        """Returns once refusal and report are durable. Raises what the writer raises (``OSError``, ``StoreError``)."""
        # Without a declared type the refusal covers both: whoever refuses does not know of types, and row R10 would
        # permit on the record that was left untouched.
        types = RECIPIENT_TYPES if refusal.recipient_type is None else (refusal.recipient_type,)
        known = await self._find_known(refusal)
        changes = [_change(refusal, recipient_type, known) for recipient_type in types]
        outbox = [self._reports.make(refusal, recipient_type) for recipient_type in types]
        try:
            applied = await self._writer.apply(refusal.brand, changes, outbox=outbox)
        except BaseException:  # cancelled too: it is not known to be in force
            self._observer.refusal_failed(refusal)
            raise
        # Dated when it came into force, as exactly as decisions are: the whole second of its arrival, which is what the
        # registry is told, would show mail sent a moment before it as sent after it.
        record = encode_event(
            RecordKind.REFUSAL,
            self._clock(),
            {
                "received_at": refusal.received_at,
                "brand": refusal.brand,
                "channel": refusal.channel,
                "key": refusal.key.hex(),
                "declared": refusal.recipient_type,
                "types": types,
                "source": refusal.source,
                "address_known": bool(refusal.address),
                "due_at": outbox[0].due_at,
                "reports": [item.item_id.hex() for item in outbox],
                "revision": applied.revision,
            },
        )
        self._observer.refusal_recorded(refusal, has_evidence=await self._keep(record))

    async def _find_known(self, refusal: Refusal) -> State:
        """What the index holds of the person now; nothing where it cannot be asked."""
        if self._index is None:
            return {}
        answered: asyncio.Future[Lookup | LookupFailure] = asyncio.get_running_loop().create_future()

        def done(answer: Lookup | LookupFailure) -> None:
            if not answered.done():
                answered.set_result(answer)

        self._index.lookup(refusal.brand, (refusal.key,), None, done)
        answer = await answered
        value = answer.values[0] if isinstance(answer, Lookup) else None
        try:
            return unpack(value) if value else {}
        except ValueError:
            return {}

    async def _keep(self, record: bytes) -> bool:
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def done(is_kept: bool) -> None:
            if not kept.done():
                kept.set_result(is_kept)

        self._evidence.append(record, done)
        try:
            async with asyncio.timeout(_EVIDENCE_TIMEOUT_S):
                return await kept
        except TimeoutError:
            return False


def _change(refusal: Refusal, recipient_type: RecipientType, known: State) -> Change:
    """Our refusal on its way into the index.

    A consent that we hold already came before the refusal, whatever its date says: the registry's clock may run ahead
    of ours, and by date alone that consent would outlive the refusal. So the refusal is dated no earlier than it, and
    wins at the same second. What the registry is told keeps the time of arrival.
    """
    held = known.get((refusal.channel, recipient_type))
    refused_at = refusal.received_at
    if held is not None and held.status is Status.APPROVED:
        refused_at = max(refused_at, held.consent_at)
    return Change(
        refusal.key,
        refusal.channel,
        recipient_type,
        Consent(Status.REJECTED, refused_at, refusal.source, own=True),
    )
