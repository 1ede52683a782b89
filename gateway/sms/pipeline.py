"""The path of an SMS request, from top to bottom: recognise, classify, look up, decide, put the opt-out in, write, hand
over, record, answer. Each step is a module of ``gateway.sms.steps``.

One coroutine a request. What takes long for tens of thousands of recipients runs in a thread, so that other requests
have their turn meanwhile; the steps stay in order all the same. Whatever goes wrong on our side is answered with the
dialect's own temporary fault, and nothing is sent that was not looked up within two seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from time import perf_counter
from typing import NamedTuple

from filters.client import Client
from filters.consent_key import ConsentKeys
from filters.reason import Reason
from filters.sms.dialect import Call, Dialect, Fault, RequestRefusedError
from filters.sms.http import HttpRequest, HttpResponse, UpstreamFault
from filters.sms.message import Submission
from filters.vocabulary import Verdict
from gateway.dealers import DealerLists
from gateway.ports import ConsentIndex, EvidenceLog
from gateway.sms.at_provider import AtProvider
from gateway.sms.heavy import HEAVY_RECIPIENTS, HeavySteps
from gateway.sms.in_hand import SmsInHand
from gateway.sms.record import Recorder
from gateway.sms.reports import DroppedNumbers
from gateway.sms.route import SmsBrand, SmsRoute
from gateway.sms.steps.conclusion import Concluding
from gateway.sms.steps.decision import Deciding
from gateway.sms.steps.faults import answer_fault, log_fault
from gateway.sms.steps.looking_up import Looking
from gateway.sms.steps.opt_out import put_opt_out
from gateway.sms.steps.reading import classify_request, read_request
from gateway.sms.steps.retry_marks import RetryMarks
from gateway.sms.steps.writing import translate, write_upstream
from gateway.sms.tags import SmsTags
from gateway.sms.under_way import UnderWay

DECISION_VALID_S = 2.0
"""A request whose hand-over has not begun within this time of the decision is looked up and decided again (E19)."""

MAX_DECISIONS = 4
"""So often is a request decided; after that the upstream has no room for it."""


class Answered(NamedTuple):
    """The answer to the client, and the request it belongs to."""

    response: HttpResponse
    sms: SmsInHand


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
        self._tags = tags
        self._next_id = next_id
        self._observe = observe
        self._clock = clock
        self._monotonic = monotonic
        self._heavy = HeavySteps(threads)
        self._under_way = UnderWay()
        self._at_provider = AtProvider(index, note_retry)
        self._looking = Looking(
            index, dealer_lists, keys, next(iter(brands)), self._at_provider, self._heavy, monotonic
        )
        self._deciding = Deciding(clock, monotonic)
        self._recorder = Recorder(evidence, self._heavy, node, store)
        self._marks = RetryMarks(index, dropped, note_retry)
        self._concluding = Concluding(dropped, self._marks, self._recorder, self._heavy)

    @property
    def in_hand(self) -> int:
        """Requests of which the record is still to come."""
        return self._recorder.in_hand

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
        self._recorder.begin()
        self._heavy.begin(sms)
        is_known = False
        try:
            try:
                response = await self._carry(sms)
            except RequestRefusedError as refusal:
                await self._record_refused(sms, refusal)
                response = route.dialect.write_fault(refusal.fault, refusal.detail)
            except Exception as fault:  # whatever it is, the request has to be answered
                log_fault(sms, fault)
                await self._marks.remember_fault(sms)
                response = answer_fault(sms, Fault.UNAVAILABLE, Reason.FAULT)
            finally:
                self._recorder.end(sms)
            sms.status = response.status
            if is_gone():
                await self._marks.remember_unheard(sms)
            is_known = True
        finally:
            self._heavy.end(sms)
            if sms.hand_over is not None:
                sms.hand_over.end(is_known)
            self._under_way.end(sms)
        try:
            self._observe(sms, response)
        except Exception as fault:  # it is answered; counting may fail
            log_fault(sms, fault)
        return Answered(response, sms)

    async def _carry(self, sms: SmsInHand) -> HttpResponse:
        if sms.is_heavy:
            await self._heavy.run(sms, partial(read_request, sms, self._clock()))
        else:
            read_request(sms, sms.received_at)
            sms.is_heavy = len(sms.asked.recipients) >= HEAVY_RECIPIENTS
        if ahead := self._under_way.begin(sms):
            await self._under_way.wait_for(ahead)
        classify_request(sms, self._tags, self._brands)
        native, dialect = sms.asked, sms.route.dialect
        if sms.route.outlet is not None:
            native, dialect = await self._heavy.run(sms, partial(translate, sms, sms.route.outlet))
        response: HttpResponse | UpstreamFault | None = None
        for _ in range(MAX_DECISIONS):
            await self._looking.look_up(sms)
            if not await self._looking.await_other_worker(sms):
                sms.settle_open(Reason.UPSTREAM_LOST)
                break
            judged_at = self._monotonic()
            if sms.is_heavy:
                outgoing = await self._heavy.run(sms, partial(self._make_ready, sms, native, dialect))
            else:
                outgoing = self._make_ready(sms, native, dialect)
            if outgoing is None:
                break
            if sms.is_commercial and not self._recorder.is_writable:
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
        return await self._concluding.conclude(sms, native, dialect, response)

    def _make_ready(self, sms: SmsInHand, native: Submission, dialect: Dialect) -> HttpRequest | None:
        """Decide, put the opt-out in, write: the upstream request; None where nothing is to go upstream."""
        self._deciding.decide(sms)
        if not sms.kept or sms.asked.is_dry:
            return None
        if any(settlement.verdict is Verdict.DEFER for settlement in sms.settlements):
            return None
        put_opt_out(sms)
        return write_upstream(sms, native, dialect)

    async def _hand_over(
        self, sms: SmsInHand, outgoing: HttpRequest, left_s: float | None
    ) -> HttpResponse | UpstreamFault:
        sms.is_handed_over = True
        if sms.hand_over is None:
            sms.hand_over = self._at_provider.begin(sms.digest, sms.is_gone)
        try:
            return await sms.route.upstream.send(outgoing, left_s)
        except Exception as fault:  # an adapter that raises has told us nothing
            log_fault(sms, fault)
            return UpstreamFault.LOST

    async def _record_refused(self, sms: SmsInHand, refusal: RequestRefusedError) -> None:
        """The whole request is refused; nothing was sent. What could be read of it leaves a record."""
        sms.detail = str(refusal.fault)
        if sms.submission is None:
            return
        if sms.brand is not None:
            await self._looking.derive_keys(sms)
        sms.begin_decision()
        sms.settle_open(sms.refusal)
        await self._recorder.record(sms)
