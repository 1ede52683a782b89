"""The path of an SMS request, from top to bottom: recognise, classify, look up, decide, put the opt-out in, write, hand
over, record, answer.

One coroutine a request. What takes long for tens of thousands of recipients runs in a thread, so that other requests
have their turn meanwhile; the steps stay in order all the same. Whatever goes wrong on our side is answered with the
dialect's own temporary fault, and nothing is sent that was not looked up within two seconds.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from hashlib import sha256
from time import perf_counter
from typing import NamedTuple, TypeVar

import structlog

from filters.classify import ClassificationRefusal
from filters.client import Client
from filters.consent_key import ConsentKeys
from filters.decide import Facts
from filters.evidence import label
from filters.exchange import Lookup
from filters.freshness import freshness
from filters.policy import Policy
from filters.reason import Reason
from filters.sms.dialect import Call, CallKind, Dialect, Fault, JobSearcher, RequestRefusedError, Segments
from filters.sms.http import HttpRequest, HttpResponse, UpstreamFault
from filters.sms.judgement import BatchJudge, Judged, Settlement
from filters.sms.message import Relayed, ReportEntry, SmsFate, Submission, TextKind
from filters.sms.suffix import SuffixProblem, SuffixRefusal
from filters.vocabulary import Channel, FreshnessState, LookupFailure, MessageClass, Outcome, Verdict
from gateway.dealers import DealerLists, index_for
from gateway.ports import ConsentIndex, EvidenceLog
from gateway.sms.at_provider import LOOK_AGAIN_S, WAIT_S, AtProvider
from gateway.sms.callbacks import answer_of
from gateway.sms.heavy import HeavySteps
from gateway.sms.in_hand import SmsInHand
from gateway.sms.recent_jobs import JobOwner
from gateway.sms.record import render_sms_record
from gateway.sms.reports import DroppedNumbers
from gateway.sms.route import Outlet, SmsBrand, SmsRoute
from gateway.sms.tags import SmsTags, fault_of
from gateway.sms.under_way import UnderWay

log = structlog.stdlib.get_logger(__name__)

DECISION_VALID_S = 2.0
"""A request whose hand-over has not begun within this time of the decision is looked up and decided again (E19)."""

MAX_DECISIONS = 4
"""So often is a request decided; after that the upstream has no room for it."""

HEAVY_RECIPIENTS = 1000
HEAVY_BYTES = 128 * 1024
"""From here on the steps of a request run in a thread: together they may take most of a second."""

_EXEMPT_POLICY = Policy()
_KEY_MASK = (1 << 80) - 1

_SUFFIX_FAULTS = {
    SuffixProblem.NOT_PLAIN: Fault.NOT_ALLOWED,
    SuffixProblem.NOT_TEXT: Fault.MALFORMED,
    SuffixProblem.NO_ROOM: Fault.TEXT_TOO_LONG,
    SuffixProblem.TOO_LONG: Fault.TEXT_TOO_LONG,
}

Made = TypeVar("Made")


class Answered(NamedTuple):
    """The answer to the client, and the request it belongs to."""

    response: HttpResponse
    sms: SmsInHand


class _WrittenWrongError(Exception):
    """A codec wrote something else than it was told. Its text holds nothing of the request."""


class SmsPipeline:
    """Carries SMS requests from listeners to providers. One per worker.

    ``brands`` by code. ``threads`` runs the steps of large requests. ``observe`` counts and logs a request once it is
    answered; ``note_retry`` hears whether the memory of retries was kept. ``clock`` gives seconds since 1970 UTC,
    ``monotonic`` seconds that no correction of the clock turns back.
    """

    def __init__(
        self,
        *,
        brands: Mapping[int, SmsBrand],
        tags: SmsTags,
        keys: ConsentKeys,
        index: ConsentIndex,
        evidence: EvidenceLog,
        dropped: DroppedNumbers,
        next_id: Callable[[], str],
        node: str,
        store: str,
        threads: Executor,
        observe: Callable[[SmsInHand, HttpResponse], None],
        note_retry: Callable[[bool], None] = lambda _is_kept: None,
        dealer_lists: DealerLists | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = perf_counter,
    ) -> None:
        self._brands = brands
        self._any_brand = next(iter(brands))
        self._tags = tags
        self._keys = keys
        self._index = index
        self._dealer_lists = dealer_lists
        self._evidence = evidence
        self._dropped = dropped
        self._next_id = next_id
        self._node = node
        self._store = store
        self._heavy = HeavySteps(threads)
        self._judge: BatchJudge | None = None
        self._observe = observe
        self._note_retry = note_retry
        self._clock = clock
        self._monotonic = monotonic
        self._under_way = UnderWay()
        self._at_provider = AtProvider(index, note_retry)
        self.in_hand = 0
        """Requests of which the record is still to come."""

    # -- the path -------------------------------------------------------------------------------------------------

    async def handle(
        self,
        request: HttpRequest,
        call: Call,
        route: SmsRoute,
        client: Client,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> Answered:
        """Answer a SEND request. ``is_gone`` says, once it is answered, that the client has left without our word."""
        sms = SmsInHand(request, call, route, client, self._next_id(), self._clock(), is_gone)
        self.in_hand += 1
        is_known = False
        try:
            try:
                response = await self._carry(sms)
            except RequestRefusedError as refusal:
                await self._record_refused(sms, refusal)
                response = route.dialect.write_fault(refusal.fault, refusal.detail)
            except Exception as fault:
                self._log_fault(sms, fault)
                await self._remember_fault(sms)
                response = self._fault(sms, Fault.UNAVAILABLE, Reason.FAULT)
            finally:
                if not sms.is_recorded:
                    self.in_hand -= 1
            sms.status = response.status
            if is_gone():
                await self._remember_unheard(sms)
            is_known = True
        finally:
            if sms.hand_over is not None:
                sms.hand_over.end(is_known)
            self._under_way.end(sms)
        try:
            self._observe(sms, response)
        except Exception as fault:
            self._log_fault(sms, fault)
        return Answered(response, sms)

    async def _carry(self, sms: SmsInHand) -> HttpResponse:
        await self._recognise(sms)
        await self._under_way.begin(sms)
        self._classify(sms)
        native, dialect = sms.asked, sms.route.dialect
        if sms.route.outlet is not None:
            native, dialect = await self._work(sms, partial(_translate, sms, sms.route.outlet))
        response: HttpResponse | UpstreamFault | None = None
        for _ in range(MAX_DECISIONS):
            await self._look_up(sms)
            if not await self._await_other_worker(sms):
                sms.settle_open(Reason.UPSTREAM_LOST)
                break
            judged_at = self._monotonic()
            outgoing = await self._work(sms, partial(self._make_ready, sms, native, dialect))
            if outgoing is None:
                break
            if sms.is_commercial and not self._evidence.is_writable:
                sms.settle_open(Reason.EVIDENCE_UNAVAILABLE)
                break
            left_s = judged_at + DECISION_VALID_S - self._monotonic() if sms.is_commercial else None
            if left_s is not None and left_s <= 0:
                response = UpstreamFault.EXPIRED
            else:
                response = await self._hand_over(sms, outgoing, left_s)
            if response is not UpstreamFault.EXPIRED:
                break
            sms.is_again += 1
        return await self._conclude(sms, native, dialect, response)

    async def _recognise(self, sms: SmsInHand) -> None:
        """Read it strictly; from here on only what was read exists."""
        request, route = sms.request, sms.route
        sms.is_heavy = len(request.body) + len(request.query) >= HEAVY_BYTES
        submission = await self._work(sms, partial(route.dialect.read, request, sms.call))
        sms.is_heavy = sms.is_heavy or len(submission.recipients) >= HEAVY_RECIPIENTS
        if not submission.recipients:
            raise RequestRefusedError(Fault.MALFORMED, "recipients: expected at least one")
        now = self._clock()
        if submission.leaves_by(now) - now > route.max_lead_s:
            raise RequestRefusedError(
                Fault.NOT_ALLOWED, "the time of sending lies further ahead than this gateway allows"
            )
        sms.begin(submission)
        body_digest = sha256(request.body)
        sms.body_digest = body_digest.hexdigest()
        sms.digest = sha256(
            "\0".join((sms.client.name, route.upstream.name, request.method, request.path, request.query)).encode(
                "utf-8", "surrogateescape"
            )
            + b"\0"
            + body_digest.digest()
        ).digest()

    def _classify(self, sms: SmsInHand) -> None:
        """The tag decides what the message is; a tag tightens, never loosens."""
        submission = sms.asked
        client = sms.route.client_of(sms.client, submission, sms.request.headers)
        found = self._tags.classify(sms.request, submission, client)
        if isinstance(found, ClassificationRefusal):
            sms.refusal = found.reason
            raise RequestRefusedError(*fault_of(found))
        sms.client = client
        sms.classification = found
        sms.is_commercial = found.message_class is MessageClass.COMMERCIAL
        if found.brand is not None:
            sms.brand = self._brands[found.brand.code]
        if sms.is_commercial and submission.kind is not TextKind.PLAIN:
            raise RequestRefusedError(
                Fault.NOT_ALLOWED, f"{Reason.OPTOUT_IMPOSSIBLE}: {Reason.OPTOUT_IMPOSSIBLE.sentence_en}"
            )

    async def _look_up(self, sms: SmsInHand) -> None:
        """All recipients in one call. An exempt request asks only who has it already, and does without the answer."""
        code = sms.brand.brand.code if sms.brand else self._any_brand
        if not sms.keys[0]:
            await self._work(sms, partial(self._derive, sms, code))
        keys = sms.keys if sms.is_commercial else ()
        asked_at = self._monotonic()
        try:
            index = index_for(self._index, self._dealer_lists, sms.client)
            answer: Lookup | LookupFailure = await answer_of(partial(index.lookup, code, keys, sms.digest))
        except Exception as fault:
            self._log_fault(sms, fault)
            answer = LookupFailure.BROKEN
        if isinstance(answer, Lookup) and len(answer.values) != len(keys):  # whose state is whose?
            answer = LookupFailure.BROKEN
        sms.lookup = answer
        sms.lookup_s = self._monotonic() - asked_at

    async def _await_other_worker(self, sms: SmsInHand) -> bool:
        """Whether no other worker has the same request at the provider, now or after some waiting."""
        until = self._monotonic() + WAIT_S
        while isinstance(sms.lookup, Lookup) and self._at_provider.is_elsewhere(sms.lookup.taken):
            if self._monotonic() >= until:
                return False
            await asyncio.sleep(LOOK_AGAIN_S)
            await self._look_up(sms)
        return True

    def _derive(self, sms: SmsInHand, code: int) -> None:
        # Of a number that is none nobody has a record; its key stands for what was written, and is sent nowhere.
        sms.keys = self._keys.derive_many(
            code,
            [
                number[1] if number is not None else b"\0" + spelled.encode("utf-8", "replace")
                for number, spelled, _, _ in sms.asked.recipients
            ],
        )

    def _make_ready(self, sms: SmsInHand, native: Submission, dialect: Dialect) -> HttpRequest | None:
        """Decide, put the opt-out in, write: the upstream request; None where nothing is to go upstream."""
        self._decide(sms)
        if not sms.kept or sms.asked.is_dry:
            return None
        if any(settlement.verdict is Verdict.DEFER for settlement in sms.settlements):
            return None
        self._put_opt_out(sms)
        return _write(sms, native, dialect)

    def _decide(self, sms: SmsInHand) -> None:
        """A verdict for every recipient. Those permitted are ``kept``."""
        submission, answer, found = sms.asked, sms.lookup, sms.classification
        assert found is not None
        sms.begin_decision()
        sms.decided_at = now = self._clock()
        started = self._monotonic()
        policy, brand, has_opt_out = _EXEMPT_POLICY, None, True
        if sms.brand is not None:
            policy, brand = sms.brand.policy, sms.brand.brand
            has_opt_out = bool(sms.brand.writers)
        values: Sequence[bytes | None] = (None,) * len(submission.recipients)
        failure: LookupFailure | None = None
        sms.freshness, sms.staleness_s = FreshnessState.COLD, None
        if sms.is_commercial:
            if isinstance(answer, Lookup):
                values = answer.values
                sms.freshness, sms.staleness_s = freshness(answer.watermark_at, int(now), policy)
            else:
                failure = answer
        facts = Facts(
            found.message_class,
            Channel.SMS,
            found.recipient_type,
            brand,
            sms.freshness,
            int(now),
            sms.staleness_s,
            failure,
            found.is_tagged,
            is_opt_out_possible=has_opt_out,
            is_dealer=sms.client.retailer_code is not None,
        )
        taken = answer.taken if isinstance(answer, Lookup) else frozenset[bytes]()
        _settle_all(sms, self._judge_by(facts, policy), values, taken)
        sms.decision_s = self._monotonic() - started

    def _judge_by(self, facts: Facts, policy: Policy) -> BatchJudge:
        """The judge of the request before, where the facts are the same: they are within a second, for most."""
        judge = self._judge
        if judge is None or not judge.is_by(facts, policy):
            judge = self._judge = BatchJudge(facts, policy)
        return judge

    def _put_opt_out(self, sms: SmsInHand) -> None:
        """Each text once; one into which it does not fit refuses the request before anything was sent."""
        submission = sms.asked
        recipients = submission.recipients
        if not sms.is_commercial:
            sms.texts = [submission.texts[recipients[position][2]] for position in sms.kept]
            return
        writer = sms.brand.writers.get(sms.route.upstream.name) if sms.brand is not None else None
        if writer is None:
            raise RequestRefusedError(
                Fault.NOT_ALLOWED, f"{Reason.OPTOUT_IMPOSSIBLE}: {Reason.OPTOUT_IMPOSSIBLE.sentence_en}"
            )
        texts = submission.texts
        segments = [Segments(0, 0)] * len(texts)
        written = [""] * len(texts)
        for number in {recipients[position][2] for position in sms.kept}:
            result = writer.write(texts[number], submission.alphabet, submission.kind)
            if isinstance(result, SuffixRefusal):
                raise RequestRefusedError(_SUFFIX_FAULTS[result.problem], result.detail)
            written[number], segments[number] = result.text, result.segments
        sms.segments = segments
        sms.texts = [written[recipients[position][2]] for position in sms.kept]

    async def _hand_over(
        self, sms: SmsInHand, outgoing: HttpRequest, left_s: float | None
    ) -> HttpResponse | UpstreamFault:
        sms.is_handed_over = True
        if sms.hand_over is None:
            sms.hand_over = self._at_provider.begin(sms.digest, sms.is_gone)
        try:
            return await sms.route.upstream.send(outgoing, left_s)
        except Exception as fault:  # an adapter that raises has told us nothing
            self._log_fault(sms, fault)
            return UpstreamFault.LOST

    async def _conclude(
        self, sms: SmsInHand, native: Submission, dialect: Dialect, response: HttpResponse | UpstreamFault | None
    ) -> HttpResponse:
        """Fates from the upstream's answer; dropped numbers, memory of retries and evidence kept; then the answer."""
        relayed: Relayed | None = None
        if isinstance(response, HttpResponse):
            sms.response = response
            relayed = await self._work(sms, partial(self._settle_answer, sms, native, dialect, response))
        elif response is not None and response is not UpstreamFault.EXPIRED:
            sms.upstream_fault = response
            if response.is_unknown:
                _settle_sent(sms, SmsFate(Outcome.UNKNOWN, Reason.UPSTREAM_LOST))
            else:
                sms.settle_open(Reason.UPSTREAM_DEFERRED)
        elif response is UpstreamFault.EXPIRED:
            sms.settle_open(Reason.OVERLOADED)
        if sms.asked.is_dry:
            return await self._work(sms, partial(_answer_dry, sms))
        sms.settle_open(Reason.FAULT)
        unknown = sms.positions_of(Outcome.UNKNOWN)
        if unknown:
            await self._remember(sms, [_mark_unknown(sms.keys[position]) for position in unknown])
        job_id = await self._settle_job_id(sms, relayed)
        dropped = await self._keep_dropped(sms, relayed, job_id)
        is_held = sms.asked.send_at is not None or sms.asked.hold_s > 0
        if relayed is not None and sms.route.scheduled is not None and is_held:
            await sms.route.scheduled.remember(sms, native, relayed)
        is_kept = await self._record(sms)
        if not is_kept and sms.is_commercial and (sent := sms.positions_of(Outcome.RELAYED)):
            # The upstream has these, but the proof is missing: the client must come again, and nobody gets it twice.
            await self._remember(sms, [sms.keys[position] for position in sent])
            await self._dropped.keep_job_of(sms.digest, job_id)
            return self._fault(sms, Fault.UNAVAILABLE, Reason.EVIDENCE_UNAVAILABLE)
        answer = await self._work(sms, partial(self._answer, sms, relayed, job_id))
        if dropped and answer.status < 300 and sms.route.push_dropped is not None:
            sms.route.push_dropped(job_id, dropped)
        return answer

    def _settle_answer(self, sms: SmsInHand, native: Submission, dialect: Dialect, response: HttpResponse) -> Relayed:
        relayed = self._read_answer(sms, native, dialect, response)
        _settle_relayed(sms, relayed)
        return relayed

    def _read_answer(self, sms: SmsInHand, native: Submission, dialect: Dialect, response: HttpResponse) -> Relayed:
        unknown = Relayed((SmsFate(Outcome.UNKNOWN, Reason.UPSTREAM_LOST),) * len(sms.kept))
        try:
            relayed = dialect.read_answer(native, sms.kept, response)
        except Exception as fault:
            self._log_fault(sms, fault)
            return unknown
        return relayed if len(relayed.fates) == len(sms.kept) else unknown

    async def _settle_job_id(self, sms: SmsInHand, relayed: Relayed | None) -> str:
        if relayed is not None and relayed.job_id:
            return relayed.job_id
        if relayed is None:
            if any(fate is not None and fate.reason is Reason.ALREADY_TAKEN for fate in sms.fates):
                sms.minted_id = await self._dropped.find_job_of(sms.digest)
            sms.minted_id = sms.minted_id or sms.route.dialect.mint_id(secrets.randbits(128))
        return sms.minted_id

    async def _keep_dropped(self, sms: SmsInHand, relayed: Relayed | None, job_id: str) -> Sequence[ReportEntry]:
        """For reports, and what they will show. What cannot be kept is missing there, and nowhere else: it is not sent
        for that."""
        if not job_id or (relayed is not None and relayed.is_passed_on):
            return ()
        entries = [
            ReportEntry(
                recipient.spelled,
                recipient.number.e164 if recipient.number is not None else "",
                recipient.reference,
                fate.reason or Reason.FAULT,
                sms.decided_at,
            )
            for recipient, fate in zip(sms.asked.recipients, sms.fates, strict=True)
            if fate is not None and fate.outcome is Outcome.DROPPED
        ]
        if not entries:
            return ()
        try:
            is_kept = await self._dropped.keep(
                sms.client.name, sms.route.upstream.name, job_id, entries, is_minted=relayed is None
            )
        except Exception as fault:
            self._log_fault(sms, fault)
            is_kept = False
        if not is_kept:
            log.warning("report.not_kept", message_id=sms.message_id, dropped=len(entries))
        elif isinstance(dialect := sms.route.dialect, JobSearcher):
            owner = JobOwner(sms.client.name, sms.route.upstream.name, sms.asked.credential_id)
            self._dropped.note_job(owner, job_id, sms.decided_at, dialect.own_job_id(sms.asked))
        return entries

    async def _record(self, sms: SmsInHand) -> bool:
        try:
            record = await self._work(sms, partial(render_sms_record, sms, self._node, self._store))
            if not sms.is_recorded:
                sms.is_recorded = True
                self.in_hand -= 1
            return await answer_of(partial(self._evidence.append, record))
        except Exception as fault:
            self._log_fault(sms, fault)
            return False

    def _answer(self, sms: SmsInHand, relayed: Relayed | None, job_id: str) -> HttpResponse:
        fates = [fate for fate in sms.fates if fate is not None]
        outcomes = {fate.outcome for fate in fates}
        if relayed is not None and relayed.is_passed_on and sms.route.outlet is None:
            assert sms.response is not None
            return sms.response
        if Outcome.RELAYED not in outcomes and relayed is None:
            if Outcome.UNKNOWN in outcomes:
                return self._fault(sms, Fault.UNKNOWN_OUTCOME, Reason.UPSTREAM_LOST)
            deferred = next((fate for fate in fates if fate.outcome is Outcome.DEFERRED), None)
            if deferred is not None:
                return self._fault(sms, Fault.UNAVAILABLE, deferred.reason or Reason.FAULT)
        elif relayed is not None and all(fate.outcome is Outcome.UNKNOWN for fate in relayed.fates):
            return self._fault(sms, Fault.UNKNOWN_OUTCOME, Reason.UPSTREAM_LOST)
        is_native = sms.route.outlet is None
        return sms.route.dialect.write_answer(
            sms.asked, fates, sms.response if is_native else None, "" if is_native and relayed else job_id, sms.segments
        )

    def _fault(self, sms: SmsInHand, fault: Fault, reason: Reason) -> HttpResponse:
        sms.detail = str(reason)
        return sms.route.dialect.write_fault(fault, f"{reason}: {reason.sentence_en}")

    async def _record_refused(self, sms: SmsInHand, refusal: RequestRefusedError) -> None:
        """The whole request is refused; nothing was sent. What could be read of it leaves a record."""
        sms.detail = str(refusal.fault)
        if sms.submission is None:
            return
        if sms.brand is not None and not sms.keys[0]:
            await self._work(sms, partial(self._derive, sms, sms.brand.brand.code))
        sms.begin_decision()
        sms.settle_open(sms.refusal)
        await self._record(sms)

    # -- memory of retries ----------------------------------------------------------------------------------------

    async def _remember(self, sms: SmsInHand, marks: Sequence[bytes]) -> None:
        try:
            is_kept = await answer_of(partial(self._index.remember_taken, sms.digest, marks))
        except Exception as fault:
            self._log_fault(sms, fault)
            is_kept = False
        if not is_kept:
            log.warning("retry.not_remembered", message_id=sms.message_id)
        self._note_retry(is_kept)

    async def _remember_unheard(self, sms: SmsInHand) -> None:
        """The client has left without our word and will come again, with recipients who have the message."""
        if sms.submission is None or not (sent := sms.positions_of(Outcome.RELAYED)):
            return
        try:
            await self._remember(sms, [sms.keys[position] for position in sent])
            relayed = sms.route.dialect.read_answer(sms.asked, sms.kept, sms.response) if sms.response else None
            if relayed is not None and relayed.job_id:
                await self._dropped.keep_job_of(sms.digest, relayed.job_id)
        except Exception as fault:
            self._log_fault(sms, fault)

    async def _remember_fault(self, sms: SmsInHand) -> None:
        """A fault of ours after the hand-over: nobody who may have it gets it again."""
        if not sms.is_handed_over:
            return
        marks = [
            sms.keys[position]
            if (fate := sms.fates[position]) is not None and fate.outcome is Outcome.RELAYED
            else _mark_unknown(sms.keys[position])
            for position in sms.kept
        ]
        await self._remember(sms, marks)

    # -- helpers --------------------------------------------------------------------------------------------------

    async def _work(self, sms: SmsInHand, step: Callable[[], Made]) -> Made:
        """``step`` here, or in a thread where it may take long."""
        if not sms.is_heavy:
            return step()
        return await self._heavy.run(step)

    def _log_fault(self, sms: SmsInHand, fault: BaseException) -> None:
        log.error("sms.failed", message_id=sms.message_id, fault=type(fault).__name__, exc_info=fault)


def _translate(sms: SmsInHand, outlet: Outlet) -> tuple[Submission, Dialect]:
    """The request as another dialect reads it, which the upstream speaks and the client does not."""
    found = sms.classification
    assert found is not None
    # What was decided, not what the request alone says: the provider's own check must be of the same.
    asked = replace(sms.asked, tag_class=found.message_class, tag_type=found.recipient_type)
    composed = outlet.composer.compose(asked, outlet.account)
    call = outlet.dialect.recognise(composed)
    if call is None or call.kind is not CallKind.SEND:
        raise _WrittenWrongError("a composed request is no request to send")
    native = outlet.dialect.read(composed, call)
    ours = [recipient.number and recipient.number.e164 for recipient in sms.asked.recipients]
    if [recipient.number and recipient.number.e164 for recipient in native.recipients] != ours:
        raise _WrittenWrongError("a composed request has other recipients")
    return native, outlet.dialect


def _write(sms: SmsInHand, native: Submission, dialect: Dialect) -> HttpRequest:
    """The upstream request, checked against what was decided before it leaves."""
    outgoing = dialect.write(native, sms.kept, sms.texts)
    if len(sms.kept) >= HEAVY_RECIPIENTS and len(set(sms.texts)) == 1 and _holds_the_permitted_alone(sms, outgoing):
        # One text for all: whether it and the rest are written well shows in a request for the first of them.
        _read_back(sms, dialect, dialect.write(native, sms.kept[:1], sms.texts[:1]), 1)
    else:
        _read_back(sms, dialect, outgoing, len(sms.kept))
    digests: dict[str, bytes] = {}
    for position, meant in zip(sms.kept, sms.texts, strict=True):
        digest = digests.get(meant)
        if digest is None:
            digest = digests[meant] = sha256(meant.encode("utf-8", "surrogatepass")).hexdigest().encode()
        sms.sent_sha256[position] = digest
    return outgoing


def _read_back(sms: SmsInHand, dialect: Dialect, outgoing: HttpRequest, most: int) -> None:
    """As the provider will: the numbers and texts of the first ``most`` of ``kept``, and no others.

    Raises ``_WrittenWrongError``.
    """
    call = dialect.recognise(outgoing)
    if call is None or call.kind is not CallKind.SEND:
        raise _WrittenWrongError("what was written is no request to send")
    again = dialect.read(outgoing, call)
    asked, texts = sms.asked.recipients, again.texts
    # A recipient without a number is in neither: whoever is kept has one, and what is written must.
    if [each[0] and each[0][0] for each in again.recipients] != [asked[n][0][0] for n in sms.kept[:most]]:  # type: ignore[index] # kept
        raise _WrittenWrongError("what was written has other recipients")
    if [texts[each[2]] for each in again.recipients] != sms.texts[:most]:
        raise _WrittenWrongError("what was written has other texts")


_LAST_DIGITS = 10
"""By these two numbers are told apart here: a Turkish number's own, whatever stands before it."""
_BLANKS_BUT_DIGITS = bytes(byte if 48 <= byte <= 57 else 32 for byte in range(256))


def _holds_the_permitted_alone(sms: SmsInHand, outgoing: HttpRequest) -> bool:
    """Whether every number that is kept stands in ``outgoing``, and none that is not; False where it is not certain.

    Knows nothing of the dialect: it looks at digits. A fifth of the time of reading a large request back.
    """
    raw = f"{outgoing.path} {outgoing.query} ".encode() + outgoing.body
    runs = raw.translate(_BLANKS_BUT_DIGITS, b" ().-").split()
    found = {digits[-_LAST_DIGITS:] for digits in runs if len(digits) >= _LAST_DIGITS}
    recipients = sms.asked.recipients
    # Whoever is kept has a number.
    permitted = {recipients[position][0][1][-_LAST_DIGITS:] for position in sms.kept}  # type: ignore[index] # kept
    if not permitted <= found:
        return False
    if len(sms.kept) == len(recipients):
        return True
    kept = set(sms.kept)
    others = {
        number[1][-_LAST_DIGITS:]
        for position, (number, _, _, _) in enumerate(recipients)
        if number is not None and position not in kept
    }
    return not (found & others)


_INVALID = SmsFate(Outcome.DROPPED, Reason.ADDRESS_INVALID)
_TAKEN = SmsFate(Outcome.RELAYED, Reason.ALREADY_TAKEN)
_TAKEN_PERHAPS = SmsFate(Outcome.UNKNOWN, Reason.UPSTREAM_LOST)


def _settle_all(sms: SmsInHand, judge: BatchJudge, values: Sequence[bytes | None], taken: frozenset[bytes]) -> None:
    keys, fates, settled, kept = sms.keys, sms.fates, sms.settled, sms.kept
    # By identity, which costs nothing; the object is held, so that no other one can get its identity.
    known: dict[int, tuple[Judged, int, SmsFate | None]] = {}
    for position, ((number, _, _, _), value) in enumerate(zip(sms.asked.recipients, values, strict=True)):
        if number is None:
            sms.settle(position, _INVALID, "", Verdict.DROP)
            continue
        if taken and (fate := _find_taken(keys[position], taken)) is not None:
            sms.settle(position, fate, "", Verdict.PERMIT)
            continue
        judged = judge.judge(value, number[0][:3] != "+90")
        found = known.get(id(judged))
        if found is None:
            found = known[id(judged)] = (judged, *_settlement_of(sms, judged))
        settled[position] = found[1]
        fates[position] = found[2]
        if found[2] is None:
            kept.append(position)


def _settlement_of(sms: SmsInHand, judged: Judged) -> tuple[int, SmsFate | None]:
    decision = judged.decision
    if decision.verdict is Verdict.PERMIT:
        # What becomes of it is not known yet: settled again once it is.
        settlement = Settlement(decision.row, str(decision.reason), Verdict.PERMIT, Outcome.DEFERRED)
        return sms.number_of(settlement), None
    outcome = Outcome.DROPPED if decision.verdict is Verdict.DROP else Outcome.DEFERRED
    settlement = Settlement(decision.row, str(decision.reason), decision.verdict, outcome)
    return sms.number_of(settlement), SmsFate(outcome, decision.reason)


def _find_taken(key: bytes, taken: frozenset[bytes]) -> SmsFate | None:
    if key in taken:
        return _TAKEN
    return _TAKEN_PERHAPS if _mark_unknown(key) in taken else None


def _mark_unknown(key: bytes) -> bytes:
    """What stands in the memory of retries for a recipient who may have the message, or not."""
    return (int.from_bytes(key, "big") ^ _KEY_MASK).to_bytes(len(key), "big")


def _settle_relayed(sms: SmsInHand, relayed: Relayed) -> None:
    """Rows and reasons stay those of the decision; outcome and reply are the upstream's."""
    settled, settlements = sms.settled, sms.settlements
    known: dict[tuple[int, str, str], int] = {}
    for position, fate in zip(sms.kept, relayed.fates, strict=True):
        decided = settled[position]
        name = (decided, fate.outcome.value, fate.upstream_code)
        number = known.get(name)
        if number is None:
            settlement = settlements[decided]._replace(outcome=fate.outcome, reply=label(fate.upstream_code))
            number = known[name] = sms.number_of(settlement)
        settled[position] = number
        sms.fates[position] = fate


def _settle_sent(sms: SmsInHand, fate: SmsFate) -> None:
    _settle_relayed(sms, Relayed((fate,) * len(sms.kept)))


def _answer_dry(sms: SmsInHand) -> HttpResponse:
    for position in sms.kept:
        sms.fates[position] = SmsFate(Outcome.RELAYED)
    fates = [fate for fate in sms.fates if fate is not None]
    minted = sms.route.dialect.mint_id(secrets.randbits(128))
    return sms.route.dialect.write_answer(sms.asked, fates, None, minted, ())
