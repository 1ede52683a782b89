"""Conclude: what became of a request is kept, for reports, retries and as evidence; then it is answered."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial

import structlog

from filters.reason import Reason
from filters.sms.dialect import Dialect, Fault, JobSearcher
from filters.sms.http import HttpResponse, UpstreamFault
from filters.sms.message import Relayed, ReportEntry, Submission
from filters.vocabulary import Outcome
from gateway.sms.heavy import HeavySteps
from gateway.sms.in_hand import SmsInHand
from gateway.sms.recent_jobs import JobOwner
from gateway.sms.record import Recorder
from gateway.sms.reports import DroppedNumbers
from gateway.sms.steps.faults import answer_fault, log_fault
from gateway.sms.steps.retry_marks import RetryMarks
from gateway.sms.steps.settling import answer_dry, find_dropped, settle_answer, settle_fault

log = structlog.stdlib.get_logger(__name__)


class Concluding:
    """The last steps, from the upstream's answer to ours."""

    def __init__(self, dropped: DroppedNumbers, marks: RetryMarks, recorder: Recorder, heavy: HeavySteps) -> None:
        self._dropped = dropped
        self._marks = marks
        self._recorder = recorder
        self._heavy = heavy

    async def conclude(
        self, sms: SmsInHand, native: Submission, dialect: Dialect, response: HttpResponse | UpstreamFault | None
    ) -> HttpResponse:
        """The answer. ``response`` None: nothing was handed over."""
        if sms.is_heavy:
            relayed, dropped = await self._heavy.run(sms, partial(_settle, sms, native, dialect, response))
        else:
            relayed, dropped = _settle(sms, native, dialect, response)
        if sms.asked.is_dry:
            return await self._heavy.run(sms, partial(answer_dry, sms))
        await self._marks.remember_unknown(sms)
        job_id = relayed.job_id if relayed is not None else await self._find_job_id(sms)
        job_id = job_id or sms.minted_id
        if job_id and dropped:
            await self._keep_dropped(sms, dropped, job_id, is_minted=relayed is None)
        is_held = sms.asked.send_at is not None or sms.asked.hold_s > 0
        if relayed is not None and sms.route.scheduled is not None and is_held:
            await sms.route.scheduled.remember(sms, native, relayed)
        is_kept = await self._recorder.record(sms)
        # The upstream has these, but the proof is missing: the client must come again, and nobody gets it twice.
        if not is_kept and sms.is_commercial and await self._marks.remember_sent(sms, job_id):
            return answer_fault(sms, Fault.UNAVAILABLE, Reason.EVIDENCE_UNAVAILABLE)
        if sms.is_heavy:
            answer = await self._heavy.run(sms, partial(_answer, sms, relayed, job_id))
        else:
            answer = _answer(sms, relayed, job_id)
        if job_id and dropped and answer.status < 300 and sms.route.push_dropped is not None:
            sms.route.push_dropped(job_id, dropped)
        return answer

    async def _find_job_id(self, sms: SmsInHand) -> str:
        """Of a request of which nothing went upstream: the job that took it before, else one of our own."""
        if any(fate is not None and fate.reason is Reason.ALREADY_TAKEN for fate in sms.fates):
            sms.minted_id = await self._dropped.find_job_of(sms.digest)
        sms.minted_id = sms.minted_id or sms.route.dialect.mint_id(secrets.randbits(128))
        return sms.minted_id

    async def _keep_dropped(
        self, sms: SmsInHand, dropped: Sequence[ReportEntry], job_id: str, *, is_minted: bool
    ) -> None:
        """For reports. What cannot be kept is missing there, and nowhere else: it is not sent for that."""
        try:
            is_kept = await self._dropped.keep(
                sms.client.name, sms.route.upstream.name, job_id, dropped, is_minted=is_minted
            )
        except Exception as fault:  # reports lose it, the answer does not
            log_fault(sms, fault)
            is_kept = False
        if not is_kept:
            log.warning("report.not_kept", message_id=sms.message_id, dropped=len(dropped))
        elif isinstance(dialect := sms.route.dialect, JobSearcher):
            owner = JobOwner(sms.client.name, sms.route.upstream.name, sms.asked.credential_id)
            self._dropped.note_job(owner, job_id, sms.decided_at, dialect.own_job_id(sms.asked))


def _settle(
    sms: SmsInHand, native: Submission, dialect: Dialect, response: HttpResponse | UpstreamFault | None
) -> tuple[Relayed | None, Sequence[ReportEntry]]:
    """What the upstream said, and who was dropped; everybody is settled then, but in a request that only asks."""
    relayed: Relayed | None = None
    if isinstance(response, HttpResponse):
        relayed = settle_answer(sms, native, dialect, response)
    else:
        settle_fault(sms, response)
    if sms.asked.is_dry:
        return relayed, ()
    sms.settle_open(Reason.FAULT)
    return relayed, () if relayed is not None and relayed.is_passed_on else find_dropped(sms)


def _answer(sms: SmsInHand, relayed: Relayed | None, job_id: str) -> HttpResponse:
    fates = [fate for fate in sms.fates if fate is not None]
    if relayed is not None:
        if relayed.is_passed_on and sms.route.outlet is None:
            assert sms.response is not None
            return sms.response
        if all(fate.outcome is Outcome.UNKNOWN for fate in relayed.fates):
            return answer_fault(sms, Fault.UNKNOWN_OUTCOME, Reason.UPSTREAM_LOST)
    elif all(fate.outcome is not Outcome.RELAYED for fate in fates):
        if any(fate.outcome is Outcome.UNKNOWN for fate in fates):
            return answer_fault(sms, Fault.UNKNOWN_OUTCOME, Reason.UPSTREAM_LOST)
        deferred = next((fate for fate in fates if fate.outcome is Outcome.DEFERRED), None)
        if deferred is not None:
            return answer_fault(sms, Fault.UNAVAILABLE, deferred.reason or Reason.FAULT)
    is_native = sms.route.outlet is None
    return sms.route.dialect.write_answer(
        sms.asked, fates, sms.response if is_native else None, "" if is_native and relayed else job_id, sms.segments
    )
