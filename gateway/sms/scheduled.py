"""Sends that providers hold until their time: who refuses in between does not get them, where the provider can call
them off.

Consent is looked up when a request comes. What the provider took for later is noted in the store for each person,
sealed, until its time, with the request that calls it off; so any worker that takes a refusal finds it, also after a
restart. The worker that sent it looks at the index again every few seconds too, for refusals that reach the index
another way (the registry, an operator). Calling off is tried again until the time of sending. What a worker looks
after, and what it is calling off, stands in its journal; when it ends or dies another one goes on.

A note is claimed, not replaced: a person has ``SLOTS`` places, and two workers that want the same one get two.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import structlog

from filters.consent import unpack
from filters.evidence.record import RecordKind, encode_event
from filters.exchange import Lookup, Refusal
from filters.sms.dialect import Cancellation, Canceller
from filters.sms.http import HttpResponse
from filters.sms.message import Relayed, Submission
from filters.vocabulary import Channel, LookupFailure, Outcome, RecipientType, Status
from gateway.ports import ConsentIndex, EvidenceLog, RefusalRecorder
from gateway.sms.callbacks import answer_of
from gateway.sms.in_hand import SmsInHand
from gateway.sms.ports import SmsUpstream
from gateway.sms.scheduled_journal import ScheduledJournal, ScheduledSend, pack_sends, unpack_sends
from gateway.sms.sealed_notes import SealedNotes

log = structlog.stdlib.get_logger(__name__)

SLOTS = 16
"""Scheduled sends to one person of one brand that are known at a time."""

MAX_PEOPLE = 1000
"""In one job: each costs a write before the request is answered."""

MAX_JOBS = 100_000
"""That one worker looks after by itself; beyond them refusals that this gateway takes still count."""

SHORT_HOLD_S = 60.0
"""What a provider holds for less, by speed or hours, is as good as sent at once."""

CHECK_EVERY_S = 10.0
CHECK_KEYS = 1000
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

CALLED_OFF, NOT_CALLED_OFF = "cancelled", "failed"
_DONE = b"done"


class CancelUpstream(NamedTuple):
    """A provider that can call off. ``is_whole_allowed``: also jobs that concern others beside who refused."""

    upstream: SmsUpstream
    canceller: Canceller
    is_whole_allowed: bool = False


class ScheduledSends:
    """Remembers and calls off. ``count`` hears "cancelled", "retried", "failed" and "not_remembered"."""

    def __init__(
        self,
        *,
        notes: SealedNotes,
        journals: Mapping[str, ScheduledJournal],
        index: ConsentIndex,
        evidence: EvidenceLog,
        upstreams: Mapping[str, CancelUpstream],
        count: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        check_every_s: float = CHECK_EVERY_S,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._notes = notes
        self._journals = journals
        self._index = index
        self._evidence = evidence
        self._upstreams = upstreams
        self._count = count
        self._clock = clock
        self._check_every_s = check_every_s
        self._first_pause_s = first_pause_s
        self._sends: dict[tuple[bytes, tuple[str, ...]], ScheduledSend] = {}
        self._calling_off: set[tuple[str, ...]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._checking: asyncio.Task[None] | None = None
        self._has_more = False
        """Whether the journal holds sends that this worker does not look after by itself."""

    def start(self) -> None:
        """Look after what earlier workers left, and go on doing so for others that end."""
        if self._upstreams and (self._checking is None or self._checking.done()):
            self._checking = asyncio.get_running_loop().create_task(self._look_after_all(), name="scheduled sends")

    async def remember(self, sms: SmsInHand, native: Submission, relayed: Relayed) -> None:
        """What the provider took for later. Never raises: what is not remembered is bounded by the longest lead."""
        now = self._clock()
        send_at = sms.asked.leaves_by(now)
        means = self._upstreams.get(sms.route.upstream.name)
        if means is None or not sms.is_commercial or sms.brand is None:
            return
        if send_at <= now or (sms.asked.send_at is None and sms.asked.hold_s < SHORT_HOLD_S):
            return
        try:
            sends = self._sends_of(sms, native, relayed, means, send_at)
            kept = await asyncio.gather(self._write_down(sends), *(self._keep(each) for each in sends))
        except Exception as fault:  # the send is at the provider: its answer must not be lost
            log.error("scheduled.failed", message_id=sms.message_id, fault=type(fault).__name__, exc_info=fault)
            sends, kept = [], [False]
        if missing := kept.count(False):
            self._count("not_remembered")
            log.warning("scheduled.not_remembered", message_id=sms.message_id, recipients=missing)
        if sends:
            self._look_after(sends)
            # Somebody may have refused between the decision and the note, which the refusal then did not find.
            self._start(self._check(sends))
            self.start()

    def refused(self, refusal: Refusal) -> None:
        """It is in force: call off at once what is scheduled for that person."""
        if refusal.channel is Channel.SMS and self._upstreams:
            self._start(self._call_off_for(refusal))

    async def close(self) -> None:
        """End; another worker goes on with what is still to come, a later one if there is none now."""
        tasks = [*self._tasks, *([self._checking] if self._checking is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._forget_past()
        if self._calling_off:
            log.warning("scheduled.left", jobs=len(self._calling_off))
        left = {send.upstream for send in self._sends.values()} | {name[1] for name in self._calling_off}
        for upstream, journal in self._journals.items():
            await journal.leave(is_empty=upstream not in left and not self._has_more)

    # -- remembering ----------------------------------------------------------------------------------------------

    def _sends_of(
        self, sms: SmsInHand, native: Submission, relayed: Relayed, means: CancelUpstream, send_at: float
    ) -> list[ScheduledSend]:
        assert sms.brand is not None
        taken = [nth for nth, fate in enumerate(relayed.fates) if fate.outcome is Outcome.RELAYED]
        found = sms.classification
        sends: list[ScheduledSend] = []
        for nth in taken[:MAX_PEOPLE]:
            cancellation: Cancellation | None = means.canceller.compose_cancel(native, relayed, nth)
            if cancellation is None:
                continue
            if cancellation.is_whole and len(taken) > 1 and (not means.is_whole_allowed or len(taken) > MAX_PEOPLE):
                return []
            sends.append(
                ScheduledSend(
                    sms.route.upstream.name,
                    sms.message_id,
                    "" if cancellation.is_whole else str(nth),
                    sms.brand.brand.code,
                    sms.keys[sms.kept[nth]],
                    found.recipient_type if found else None,
                    send_at,
                    cancellation.request,
                )
            )
        return sends

    async def _keep(self, send: ScheduledSend) -> bool:
        plain = pack_sends([send])
        keep_s = self._keep_s(send)
        for slot in range(SLOTS):
            is_ours = await self._notes.claim(_slot_of(send.brand, send.key, slot), plain, keep_s)
            if is_ours is None:
                return False
            if is_ours:
                return True
        return False

    def _keep_s(self, send: ScheduledSend) -> int:
        return max(1, int(send.send_at - self._clock()) + 60)

    # -- who refused ----------------------------------------------------------------------------------------------

    async def _call_off_for(self, refusal: Refusal) -> None:
        slots = [_slot_of(refusal.brand, refusal.key, slot) for slot in range(SLOTS)]
        pause_s = self._first_pause_s
        found: Sequence[bytes | None] | None = None
        for _ in range(6):
            found = await self._notes.find(slots)
            if found is not None:
                break
            await asyncio.sleep(pause_s)
            pause_s *= 2
        if found is None:
            self._count(NOT_CALLED_OFF)
            log.error("scheduled.not_looked_up")
            return
        sends = [
            send
            for plain in found
            if plain is not None
            for send in unpack_sends(plain)
            if _concerns(send.recipient_type, refusal.recipient_type) and send.send_at > self._clock()
        ]
        # What another worker looks after it may never see refused: from here on it is ours as well.
        others = [send for send in sends if (send.key, send.name) not in self._sends]
        for send in sends:
            self._begin(send)
        if not await self._write_down(others):
            log.warning("scheduled.not_journalled", sends=len(others))

    async def _look_after_all(self) -> None:
        while True:
            for step in (self._take_over, self._check_all, self._beat):
                try:
                    await step()
                except Exception as fault:  # the next round comes
                    log.error("scheduled.check_failed", fault=type(fault).__name__, exc_info=fault)
            await asyncio.sleep(self._check_every_s)

    async def _take_over(self) -> None:
        for journal in self._journals.values():
            self._look_after(await journal.take_over())

    async def _beat(self) -> None:
        for journal in self._journals.values():
            await journal.beat()

    async def _write_down(self, sends: Sequence[ScheduledSend]) -> bool:
        by_upstream: dict[str, list[ScheduledSend]] = {}
        for send in sends:
            by_upstream.setdefault(send.upstream, []).append(send)
        known = [(journal, own) for name, own in by_upstream.items() if (journal := self._journals.get(name))]
        return all([await journal.write(own) for journal, own in known])

    async def _check_all(self) -> None:
        self._forget_past()
        await self._check(list(self._sends.values()))

    def _look_after(self, sends: Sequence[ScheduledSend]) -> None:
        for send in sends:
            if len(self._sends) >= MAX_JOBS:
                self._has_more = True
                break
            self._sends[send.key, send.name] = send

    def _forget_past(self) -> None:
        now = self._clock()
        for name in [name for name, send in self._sends.items() if send.send_at <= now]:
            del self._sends[name]

    async def _check(self, sends: Sequence[ScheduledSend]) -> None:
        """Call off what was refused meanwhile, whoever told the index."""
        by_brand: dict[int, list[ScheduledSend]] = {}
        for send in sends:
            by_brand.setdefault(send.brand, []).append(send)
        for brand, own in by_brand.items():
            for start in range(0, len(own), CHECK_KEYS):
                some = own[start : start + CHECK_KEYS]
                keys = [send.key for send in some]
                answer: Lookup | LookupFailure = await answer_of(partial(self._index.lookup, brand, keys, None))
                if not isinstance(answer, Lookup):
                    continue  # and asked again in the next round
                for send, value in zip(some, answer.values, strict=True):
                    if value is not None and _is_refused(value, send.recipient_type):
                        self._begin(send)

    # -- calling off ----------------------------------------------------------------------------------------------

    def _begin(self, send: ScheduledSend) -> None:
        self._sends.pop((send.key, send.name), None)
        if send.name not in self._calling_off and send.send_at > self._clock():
            self._calling_off.add(send.name)
            self._start(self._call_off(send))

    async def _call_off(self, send: ScheduledSend) -> None:
        pause_s = self._first_pause_s
        attempts = 0
        while True:
            found = await self._notes.find([send.name])
            if found is not None and found[0] == _DONE:  # by another worker, or for another recipient
                break
            attempts += 1
            if await self._ask(send):
                await self._notes.claim(send.name, _DONE, self._keep_s(send))
                await self._tell(send, CALLED_OFF, attempts)
                break
            if self._clock() + pause_s >= send.send_at:
                await self._tell(send, NOT_CALLED_OFF, attempts)
                break
            self._count("retried")
            log.warning("scheduled.tried", upstream=send.upstream, message_id=send.message_id, attempts=attempts)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        self._calling_off.discard(send.name)

    async def _ask(self, send: ScheduledSend) -> bool:
        means = self._upstreams.get(send.upstream)
        if means is None:
            return False
        try:
            answer = await means.upstream.send(send.request)
            return isinstance(answer, HttpResponse) and means.canceller.is_cancelled(answer)
        except Exception as fault:  # an adapter or a codec that raises has told us nothing
            log.error("scheduled.ask_failed", fault=type(fault).__name__, exc_info=fault)
            return False

    async def _tell(self, send: ScheduledSend, result: str, attempts: int) -> None:
        self._count(result)
        line = {"upstream": send.upstream, "message_id": send.message_id, "attempts": attempts}
        if result == CALLED_OFF:
            log.info("scheduled.cancelled", **line)
        else:
            log.error("scheduled.not_cancelled", **line)
        record = encode_event(
            RecordKind.CANCELLATION,
            self._clock(),
            {
                "id": send.message_id,
                "upstream": send.upstream,
                "brand": send.brand,
                "channel": Channel.SMS,
                "key": send.key.hex(),
                "send_at": int(send.send_at),
                "whole_job": not send.part,
                "result": result,
                "attempts": attempts,
            },
        )
        if not await answer_of(partial(self._evidence.append, record)):
            log.error("scheduled.no_evidence", message_id=send.message_id)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._count(NOT_CALLED_OFF)
            log.error("scheduled.failed", fault=type(fault).__name__, exc_info=fault)


class CancellingRecorder:
    """A ``RefusalRecorder`` that calls off what is scheduled once the refusal is durable; nobody waits for that."""

    def __init__(self, recorder: RefusalRecorder, scheduled: ScheduledSends) -> None:
        self._recorder = recorder
        self._scheduled = scheduled

    async def record(self, refusal: Refusal) -> None:
        await self._recorder.record(refusal)
        self._scheduled.refused(refusal)


def _slot_of(brand: int, key: bytes, slot: int) -> tuple[str, ...]:
    return ("scheduled", str(brand), key.hex(), str(slot))


def _concerns(declared: RecipientType | None, refused: RecipientType | None) -> bool:
    return declared is None or refused is None or declared is refused


def _is_refused(value: bytes, declared: RecipientType | None) -> bool:
    try:
        state = unpack(value)
    except ValueError:
        return False
    return any(
        channel is Channel.SMS and _concerns(declared, kind) and consent.status is Status.REJECTED
        for (channel, kind), consent in state.items()
    )
