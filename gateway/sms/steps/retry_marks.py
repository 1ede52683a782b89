"""Memory of retries: who has a request already, or may have it, for whoever sends it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import structlog

from filters.vocabulary import Outcome
from gateway.ports import ConsentIndex
from gateway.sms.callbacks import answer_of
from gateway.sms.in_hand import SmsInHand
from gateway.sms.reports import DroppedNumbers
from gateway.sms.steps.faults import log_fault

log = structlog.stdlib.get_logger(__name__)

_KEY_MASK = (1 << 80) - 1


def mark_unknown(key: bytes) -> bytes:
    """What stands in the memory of retries for a recipient who may have the message, or not."""
    return (int.from_bytes(key, "big") ^ _KEY_MASK).to_bytes(len(key), "big")


class RetryMarks:
    """Writes into the memory. ``note`` hears whether that could be done."""

    def __init__(self, index: ConsentIndex, dropped: DroppedNumbers, note: Callable[[bool], None]) -> None:
        self._index = index
        self._dropped = dropped
        self._note = note

    async def remember_unknown(self, sms: SmsInHand) -> None:
        """Of whom the upstream has not said what became of them."""
        if unknown := sms.positions_of(Outcome.UNKNOWN):
            await self._remember(sms, [mark_unknown(sms.keys[position]) for position in unknown])

    async def remember_sent(self, sms: SmsInHand, job_id: str) -> bool:
        """Whether there is anybody who has it, and whom the next attempt must leave out."""
        sent = sms.positions_of(Outcome.RELAYED)
        if sent:
            await self._remember(sms, [sms.keys[position] for position in sent])
            await self._dropped.keep_job_of(sms.digest, job_id)
        return bool(sent)

    async def remember_unheard(self, sms: SmsInHand) -> None:
        """The client has left without our word and will come again, with recipients who have the message."""
        if sms.submission is None or not (sent := sms.positions_of(Outcome.RELAYED)):
            return
        try:
            await self._remember(sms, [sms.keys[position] for position in sent])
            relayed = sms.route.dialect.read_answer(sms.asked, sms.kept, sms.response) if sms.response else None
            if relayed is not None and relayed.job_id:
                await self._dropped.keep_job_of(sms.digest, relayed.job_id)
        except Exception as fault:  # nobody is left to be told
            log_fault(sms, fault)

    async def remember_fault(self, sms: SmsInHand) -> None:
        """A fault of ours after the hand-over: nobody who may have it gets it again."""
        if not sms.is_handed_over:
            return
        marks = [
            sms.keys[position]
            if (fate := sms.fates[position]) is not None and fate.outcome is Outcome.RELAYED
            else mark_unknown(sms.keys[position])
            for position in sms.kept
        ]
        await self._remember(sms, marks)

    async def _remember(self, sms: SmsInHand, marks: Sequence[bytes]) -> None:
        try:
            is_kept = await answer_of(partial(self._index.remember_taken, sms.digest, marks))
        except Exception as fault:  # a memory that raises has kept nothing
            log_fault(sms, fault)
            is_kept = False
        if not is_kept:
            log.warning("retry.not_remembered", message_id=sms.message_id)
        self._note(is_kept)
