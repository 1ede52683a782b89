"""Consents that a sender hands us for the registry: judged row by row, written down, on their way with the outbox.

A consent (ONAY) enters the outbox and nothing else: it permits nothing before the registry holds it (Reg. 5/3; edge
case E5). A refusal (RET) is a refusal like any other: in force at once, reported within three business days.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from filters.business_days import HolidayCalendar
from filters.consent_key import ConsentKeys
from filters.consent_report import ConsentReport, seal_consent
from filters.exchange import OutboxItem, Refusal
from filters.refusal_report import NONCE_BYTES, RefusalReport, ReportSeal
from filters.registry import words
from filters.registry.rows import read_row
from filters.registry.values import ConsentToAdd
from filters.vocabulary import Status
from gateway.ports import ConsentWriter
from gateway.registry.pending import ConsentNotes, Pending, PendingState
from gateway.registry.reporting.fates import TOO_OLD

RecordRefusals = Callable[[Sequence[Refusal]], Awaitable[None]]
"""Makes refusals durable and effective. Raises ``OSError`` where that is not known of all of them."""


_AT_ONCE = 32
_SLICE = 250
"""So many are judged in one turn of the loop, which has mail to look after too: some ten milliseconds."""


def one_by_one(record: Callable[[Refusal], Awaitable[None]]) -> RecordRefusals:
    """By the way that every refusal takes, evidence included; some at a time, since each waits for the disk."""

    async def record_all(refusals: Sequence[Refusal]) -> None:
        for start in range(0, len(refusals), _AT_ONCE):
            await asyncio.gather(*map(record, refusals[start : start + _AT_ONCE]))

    return record_all


class Taken(NamedTuple):
    """What became of one row. ``codes`` empty: it is on its way, and ``item_id`` finds it again."""

    item_id: bytes
    codes: tuple[str, ...]
    status: Status | None = None


class Registering:
    """One for all brands. ``clock``: wall clock, seconds since 1970 UTC."""

    def __init__(
        self,
        writer: ConsentWriter,
        notes: ConsentNotes,
        keys: ConsentKeys,
        seal: ReportSeal,
        calendar: HolidayCalendar,
        record_refusals: RecordRefusals,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._writer = writer
        self._notes = notes
        self._keys = keys
        self._seal = seal
        self._calendar = calendar
        self._record_refusals = record_refusals
        self._clock = clock

    def judge(self, rows: Iterable[object]) -> list[ConsentToAdd | tuple[str, ...]]:
        """Each row as a consent, or the codes against it; what is too old for the registry is found here too."""
        now = int(self._clock())
        return [self._check_age(read_row(row, now), now) for row in rows]

    def _check_age(self, read: ConsentToAdd | tuple[str, ...], now: int) -> ConsentToAdd | tuple[str, ...]:
        if not isinstance(read, ConsentToAdd) or read.consent_at is None or read.status is Status.REJECTED:
            return read  # a refusal is in force however old it is
        # What the rule does to consents of before May 2015 is not documented: the registry has the say.
        is_exempt = read.source == words.SOURCE_BEFORE_2015
        return read if is_exempt or self._calendar.due_at(read.consent_at) >= now else (TOO_OLD,)

    async def take(self, brand: int, rows: Sequence[object]) -> list[Taken]:
        """Write down what is in order; durable on return, repeated it is harmless. Raises ``OSError``: then nothing is
        known of any row, and all may be handed over again."""
        taken: list[Taken] = []
        for start in range(0, len(rows), _SLICE):
            taken += await self.write(brand, self.judge(rows[start : start + _SLICE]))
        return taken

    async def write(self, brand: int, judged: Sequence[ConsentToAdd | tuple[str, ...]]) -> list[Taken]:
        """As ``take``, for rows that were judged."""
        now = int(self._clock())
        taken: list[Taken] = []
        outbox: list[OutboxItem] = []
        refusals: list[Refusal] = []
        notes: list[Pending] = []
        for read in judged:
            if not isinstance(read, ConsentToAdd):
                taken.append(Taken(b"", read))
                continue
            address = read.recipient.encode()
            key = self._keys.derive(brand, address)
            if read.status is Status.REJECTED:
                at = now if read.consent_at is None else read.consent_at
                source = read.source or "HS_EORTAM"
                refusals.append(Refusal(brand, read.channel, key, address, read.recipient_type, at, source))
                report = RefusalReport(brand, read.channel, read.recipient_type, read.recipient, key, at, source)
                taken.append(Taken(report.item_id, (), Status.REJECTED))
                continue
            consent = ConsentReport(brand, key, read, now)
            notes.append(Pending.of(consent, PendingState.WAITING, "", now))
            is_old = read.consent_at is None or read.source == words.SOURCE_BEFORE_2015
            due_at = self._calendar.due_at(now if is_old or read.consent_at is None else read.consent_at)
            sealed = seal_consent(self._seal, consent, os.urandom(NONCE_BYTES))
            outbox.append(OutboxItem(consent.item_id, brand, due_at, sealed))
            taken.append(Taken(consent.item_id, (), Status.APPROVED))
        if outbox:
            await self._notes.keep(*notes)  # first: whatever waits in the outbox can be explained
            await self._writer.apply(brand, [], outbox=outbox)
        if refusals:
            await self._record_refusals(refusals)
        return taken
