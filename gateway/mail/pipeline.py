"""The path of a mail, from top to bottom: recognise, classify, look up, decide, rewrite, relay, record, answer.

Every step is a method that ends by calling the next one, or hands the next one to an adapter as its callback: there is
no task and no future per message. Whatever goes wrong on our side settles the recipients that are still open as
deferred (451) and goes on to *record*, so that a message is answered exactly once and never with success before the
upstream's own. That holds whatever an adapter does: one that raises instead of calling back, calls back twice, or
answers for another number of recipients than it was asked about, has told us nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from hashlib import sha256
from math import inf
from time import perf_counter

import structlog

from filters.answer import compose
from filters.classify import ClassificationRefusal, TagHeaders, TagSource, classify
from filters.consent import State
from filters.consent_key import ConsentKeys
from filters.decision.decide import Decision
from filters.decision.table import OptOut
from filters.envelope import Answer, Envelope, EnvelopeRecipient, RecipientOutcome
from filters.exchange import EXPIRED, Lookup, OutgoingMail
from filters.mime.headers import scan_headers
from filters.mime.limits import DEFAULT_LIMITS, Limits
from filters.mime.plan import plan_rewrite
from filters.mime.refusal import MalformedContent, RewriteDetail, RewriteRefusal
from filters.mime.release import RewriteFault
from filters.mime.rewrite_plan import RewritePlan
from filters.mime.stamp import stamp
from filters.reason import Reason
from filters.reply import Reply
from filters.vocabulary import LookupFailure, MessageClass, Outcome, Verdict
from gateway.dealers import DealerLists, index_for
from gateway.mail.in_hand import MailInHand, RecipientInHand
from gateway.mail.judging import decide_on, weigh
from gateway.mail.recipient_check import RecipientCheck
from gateway.mail.record import render_mail_record
from gateway.mail.route import BrandRoute, MailRoute, MakeLinks
from gateway.ports import ConsentIndex, EvidenceLog
from gateway.trace import Tracer

log = structlog.stdlib.get_logger(__name__)

COPIES_IN_FLIGHT = 32
"""Personal copies of one message under way at once: enough to keep a pool busy, few enough to bound memory."""

COPY_BYTES_IN_FLIGHT = 4 * 1024 * 1024
"""The same in bytes, for large messages; one copy at least. Making thirty copies of 30 MB at once would take memory for
all of them, and seconds in which no other session is answered."""

LARGE_BYTES = 1024 * 1024
"""From here on the steps of a message take turns with other sessions, and the longest has a thread of its own: together
they may take most of a second."""

DECISION_VALID_S = 2.0
"""A recipient whose hand-over has not begun within this time of the decision is looked up and decided again (E19)."""

_NOT_KNOWN = RecipientOutcome(Outcome.UNKNOWN, Reason.FAULT.reply)
_LINK_TOO_LONG = RewriteRefusal(RewriteDetail.LINE_TOO_LONG)


class MailPipeline:
    """Carries mail from listeners to upstreams. One per worker; a ``MailHandler``.

    ``routes`` by listener name, ``brands`` by code. ``node`` names machine and worker in the evidence, ``store`` the
    kind of index. ``observe`` counts and logs a message once it is answered, ``observe_refused`` a recipient refused at
    RCPT; ``note_retry`` hears whether the retry memory was kept. ``refuses_partly``: a message of which some recipients
    are dropped goes to nobody. ``clock`` gives seconds since 1970 UTC, ``monotonic`` seconds that no correction of the
    clock turns back.
    """

    def __init__(
        self,
        *,
        routes: Mapping[str, MailRoute],
        brands: Mapping[int, BrandRoute],
        tag_headers: TagHeaders,
        keys: ConsentKeys,
        index: ConsentIndex,
        evidence: EvidenceLog,
        make_links: MakeLinks,
        tracer: Tracer,
        node: str,
        store: str,
        signing_threads: Executor,
        observe: Callable[[MailInHand, Answer], None],
        note_retry: Callable[[bool], None] = lambda _is_kept: None,
        observe_refused: Callable[[MailInHand], None] = lambda _asked: None,
        refuses_partly: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        dealer_lists: DealerLists | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = perf_counter,
    ) -> None:
        self._routes = routes
        self._brands = brands
        self._brand_values = {code: route.brand for code, route in brands.items()}
        self._tag_headers = tag_headers
        self._class_names = frozenset(tag.name for tag in tag_headers.message_class)
        self._keys = keys
        self._index = index
        self._dealer_lists = dealer_lists
        self._evidence = evidence
        self._make_links = make_links
        self._tracer = tracer
        self._node = node
        self._store = store
        self._signing_threads = signing_threads
        self._observe = observe
        self._note_retry = note_retry
        self._refuses_partly = refuses_partly
        self._limits = limits
        # Exempt mail may have no brand; its memory of retries is kept under some brand all the same.
        self._any_brand = next(iter(brands))
        self._clock = clock
        self._monotonic = monotonic
        self._recipient_check = RecipientCheck(
            routes=routes,
            brands=brands,
            brand_values=self._brand_values,
            tag_headers=tag_headers,
            keys=keys,
            index=index,
            dealer_lists=dealer_lists,
            evidence=evidence,
            tracer=tracer,
            node=node,
            store=store,
            observe=observe_refused,
            clock=clock,
        )
        self.in_hand = 0
        """Messages of which the record is still to come."""

    def check_recipient(
        self, envelope: Envelope, recipient: EnvelopeRecipient, answer: Callable[[Reply | None], None]
    ) -> None:
        self._recipient_check.check(envelope, recipient, answer)

    # -- the path -------------------------------------------------------------------------------------------------

    def handle(self, envelope: Envelope, content: bytes, answer: Callable[[Answer], bool | None]) -> None:
        mail = MailInHand(
            envelope, content, answer, self._routes[envelope.listener], self._tracer.next_id(), self._clock()
        )
        self.in_hand += 1
        if len(content) >= LARGE_BYTES:
            self._take_turn(mail, self._recognise)
            return
        try:
            self._recognise(mail)
        except Exception as fault:  # whatever it is, the message has to be answered
            self._fail(mail, fault)

    def _take_turn(self, mail: MailInHand, step: Callable[[MailInHand], None]) -> None:
        """Go on with ``step`` when others have had their turn."""

        def go_on() -> None:
            try:
                step(mail)
            except Exception as fault:  # whatever it is, the message has to be answered
                self._fail(mail, fault)

        asyncio.get_running_loop().call_soon(go_on)

    def _recognise(self, mail: MailInHand) -> None:
        """Whose message is it, is it whole, and does it go round?"""
        content = mail.content
        mail.client = mail.route.client_of(mail.envelope)
        mail.content_digest = sha256(content)
        mail.digest = sha256(
            b"%s\0%s\0%s" % (mail.client.name.encode(), mail.envelope.sender, mail.content_digest.digest())
        ).digest()
        try:
            mail.headers = scan_headers(content, self._limits)
        except MalformedContent as malformed:
            self._refuse(mail, Reason.CONTENT_MALFORMED, malformed.detail)
            return
        if self._tracer.is_loop(mail.headers):
            self._refuse(mail, Reason.LOOP)
            return
        self._classify(mail)

    def _classify(self, mail: MailInHand) -> None:
        """The tag decides what the message is; a tag tightens, never loosens."""
        assert mail.headers is not None
        tags = mail.headers.find_all(self._tag_headers.names)
        found = classify(tags, mail.client, self._brand_values, self._tag_headers)
        if (
            not isinstance(found, ClassificationRefusal)
            and found.class_source is TagSource.HEADER
            and found.message_class is not MessageClass.COMMERCIAL
            and mail.headers.has_doubtful_end
        ):
            # Behind such a line some readers see text: what stands there may tighten, never loosen (G1).
            tags = {name: values for name, values in tags.items() if name not in self._class_names}
            found = classify(tags, mail.client, self._brand_values, self._tag_headers)
        if isinstance(found, ClassificationRefusal):
            self._refuse(mail, found.reason, found.field)
            return
        mail.classification = found
        mail.is_commercial = found.message_class is MessageClass.COMMERCIAL
        if found.brand is not None:
            mail.brand = self._brands[found.brand.code]
        self._look_up(mail)

    def _look_up(self, mail: MailInHand) -> None:
        """All recipients in one call. Exempt mail asks only who has it already, and does without the answer."""
        code = mail.brand.brand.code if mail.brand else self._any_brand
        recipients = mail.recipients
        keys = self._keys.derive_many(code, [recipient.envelope.address.key for recipient in recipients])
        for recipient, derived in zip(recipients, keys, strict=True):
            wire, key, _ = recipient.envelope.address
            recipient.key = recipient.taken_key = derived
            if wire != key:
                recipient.taken_key = self._keys.derive(code, wire)
        if not mail.is_commercial:
            keys = []
        mail.asked_at = self._monotonic()
        try:
            index_for(self._index, self._dealer_lists, mail.client).lookup(
                code, keys, mail.digest, partial(self._looked_up, mail)
            )
        except Exception as fault:  # an adapter that raises has told us nothing
            self._log_fault(mail, fault)
            self._looked_up(mail, LookupFailure.BROKEN)

    def _looked_up(self, mail: MailInHand, answer: Lookup | LookupFailure) -> None:
        if mail.is_decided:
            return
        mail.is_decided = True
        try:
            mail.lookup_s = self._monotonic() - mail.asked_at
            self._decide(mail, answer)
        except Exception as fault:  # whatever it is, the message has to be answered
            self._fail(mail, fault)

    def _decide(self, mail: MailInHand, answer: Lookup | LookupFailure) -> None:
        """A verdict for every recipient. Those permitted wait for their copy."""
        mail.lookup = answer
        mail.decided_at = self._clock()
        started = self._monotonic()
        self._judge(mail, mail.recipients, answer)
        mail.decision_s = self._monotonic() - started
        if isinstance(answer, Lookup) and answer.taken:
            for recipient in mail.recipients:
                if recipient.taken_key in answer.taken:
                    recipient.settle_as_taken()
            mail.waiting = deque(recipient for recipient in mail.waiting if recipient.outcome is None)
        if self._refuses_partly and any(recipient.outcome is Outcome.DROPPED for recipient in mail.recipients):
            self._settle_waiting(mail, Reason.PARTLY_REFUSED)
        self._rewrite(mail)

    def _judge(self, mail: MailInHand, recipients: Sequence[RecipientInHand], answer: Lookup | LookupFailure) -> None:
        facts, policy, values = weigh(mail, len(recipients), answer, int(self._clock()))
        if answer is mail.lookup:  # the record tells of the first reading, on which most recipients were decided
            mail.freshness, mail.staleness_s = facts.freshness, facts.staleness_s
        judged_at = self._monotonic()
        known: dict[bytes | None, tuple[Decision, State]] = {}
        for recipient, value in zip(recipients, values, strict=True):
            # Of a campaign's recipients many have the very same records, and then the decision is the same.
            judged = known.get(value)
            if judged is None:
                judged = known[value] = decide_on(facts, value, policy)
            decision, state = judged
            recipient.note(decision, state)
            recipient.judged_at = judged_at
            if decision.verdict is Verdict.PERMIT:
                mail.waiting.append(recipient)
            else:
                recipient.settle_by(decision)
        mail.is_personal = mail.is_commercial or (
            policy.service_opt_out and facts.brand is not None and decision.opt_out is OptOut.RECOMMENDED
        )

    def _rewrite(self, mail: MailInHand) -> None:
        """Where the opt-out goes, found once for all copies. Mail it cannot lawfully be put into is refused (G4)."""
        if mail.waiting and mail.is_personal:
            if mail.is_commercial and not self._evidence.is_writable:
                self._settle_waiting(mail, Reason.EVIDENCE_UNAVAILABLE)
            elif len(mail.content) >= LARGE_BYTES:
                planning = asyncio.get_running_loop().run_in_executor(None, self._find_plan, mail)
                planning.add_done_callback(partial(self._planned, mail))
                return
            else:
                self._plan(mail, partial(self._find_plan, mail))
        self._relay(mail)

    def _planned(self, mail: MailInHand, planning: asyncio.Future[RewritePlan | RewriteRefusal]) -> None:
        try:
            self._plan(mail, planning.result)
            self._relay(mail)
        except (Exception, asyncio.CancelledError) as fault:  # whatever it is, the message has to be answered
            self._fail(mail, fault)

    def _find_plan(self, mail: MailInHand) -> RewritePlan | RewriteRefusal:
        """Reads only, so that it may run in another thread."""
        assert mail.headers is not None
        assert mail.brand is not None
        capabilities = mail.route.upstream.capabilities
        return plan_rewrite(
            mail.content,
            mail.headers,
            mail.brand.footer,
            mail.brand.rewriting,
            remove=self._tag_headers.names,
            has_8bitmime=capabilities is not None and capabilities.has_8bitmime,
            is_smtputf8=mail.envelope.is_smtputf8,
            memory=mail.brand.plans if len(mail.content) < LARGE_BYTES else None,  # large ones are planned in a thread
        )

    def _plan(self, mail: MailInHand, find_plan: Callable[[], RewritePlan | RewriteRefusal]) -> None:
        try:
            plan = find_plan()
        except RewriteFault as fault:
            if mail.is_commercial:
                raise
            self._log_fault(mail, fault)
            mail.is_personal = False
            return
        if not isinstance(plan, RewriteRefusal):
            mail.plan = plan
        elif mail.is_commercial:
            mail.rewrite_refusal = plan
            mail.detail = plan.detail
            self._settle_waiting(mail, Reason.OPTOUT_IMPOSSIBLE, "G4", plan.english)
        else:
            mail.is_personal = False  # R16: in service mail the opt-out is recommended, no more

    def _relay(self, mail: MailInHand) -> None:
        """Hand over: a personal copy for each recipient of commercial mail, one transaction for the others."""
        if mail.is_pumping:
            return  # an answer came while handing over; the loop below goes on
        if not mail.waiting:
            if not mail.in_flight:
                self._record(mail)
            return
        mail.is_pumping = True
        copies = COPIES_IN_FLIGHT
        if len(mail.content) >= LARGE_BYTES:
            copies = max(1, min(copies, COPY_BYTES_IN_FLIGHT // len(mail.content)))
        try:
            while mail.waiting and mail.in_flight < copies:
                if not mail.is_personal:
                    self._relay_untouched(mail)
                elif not mail.is_commercial:
                    self._relay_copy(mail, mail.waiting.popleft())
                elif not self._evidence.is_writable:
                    self._settle_waiting(mail, Reason.EVIDENCE_UNAVAILABLE)
                elif self._monotonic() - mail.waiting[0].judged_at > DECISION_VALID_S:
                    self._look_up_again(mail)
                else:
                    self._relay_copy(mail, mail.waiting.popleft())
        finally:
            mail.is_pumping = False
        if not mail.waiting and not mail.in_flight:
            self._record(mail)

    def _relay_untouched(self, mail: MailInHand) -> None:
        recipients = list(mail.waiting)
        mail.waiting.clear()
        self._hand_over(mail, recipients, self._stamp(mail))

    def _stamp(self, mail: MailInHand) -> bytes:
        assert mail.headers is not None
        return stamp(mail.content, mail.headers, self._tag_headers.names, self._trace(mail))

    def _trace(self, mail: MailInHand) -> bytes:
        if not mail.trace:
            mail.trace = self._tracer.field(mail.envelope, mail.route.protocol, mail.message_id)
        return mail.trace

    def _relay_copy(self, mail: MailInHand, recipient: RecipientInHand) -> None:
        """One recipient, one copy: the one-click address must name one person (RFC 8058).

        What goes wrong with one copy concerns that recipient alone; the others must not wait for it at each retry.
        """
        assert mail.brand is not None
        content = recipient.signed
        may_have_dot_lines = True
        if not content:
            try:
                content = self._render_copy(mail, recipient)
                if recipient.token_id and mail.plan is not None:
                    may_have_dot_lines = mail.plan.may_have_dot_lines
                signer = mail.brand.signer
                if signer is not None and content:
                    loop = asyncio.get_running_loop()
                    signing = loop.run_in_executor(self._signing_threads, signer.sign, content)
                    signing.add_done_callback(partial(self._signed, mail, recipient, content))
                    mail.in_flight += 1
                    return
            except Exception as fault:  # it concerns this one copy
                self._log_fault(mail, fault)
                recipient.settle_for(Reason.FAULT)
                return
        if content:
            self._hand_over(mail, [recipient], content, may_have_dot_lines)

    def _render_copy(self, mail: MailInHand, recipient: RecipientInHand) -> bytes:
        """The copy for ``recipient``; b"" if its link has no room in a commercial message, and it is settled."""
        assert mail.plan is not None
        assert mail.brand is not None
        assert mail.classification is not None
        links = self._make_links(
            mail.brand.brand, recipient.envelope.address.key, mail.classification.recipient_type, recipient.key
        )
        try:
            content = mail.plan.render(links.url, links.mailto, self._trace(mail))
        except ValueError:
            if not mail.is_commercial:
                return self._stamp(mail)
            mail.rewrite_refusal = _LINK_TOO_LONG
            mail.detail = _LINK_TOO_LONG.detail
            recipient.settle_for(Reason.OPTOUT_IMPOSSIBLE, "G4", _LINK_TOO_LONG.english)
            return b""
        recipient.token_id = links.token_id
        return content

    def _signed(
        self, mail: MailInHand, recipient: RecipientInHand, content: bytes, signing: asyncio.Future[bytes]
    ) -> None:
        mail.in_flight -= 1
        try:
            signature = signing.result()
        except (Exception, asyncio.CancelledError) as fault:  # it concerns this one copy
            self._log_fault(mail, fault)
            if recipient.outcome is None:
                recipient.settle_for(Reason.FAULT)
        else:
            if recipient.outcome is None:  # else a fault meanwhile has settled it
                recipient.signed = signature + content
                mail.waiting.appendleft(recipient)  # not handed over yet: signing may have taken its time
        self._go_on(mail)

    def _hand_over(
        self, mail: MailInHand, recipients: list[RecipientInHand], content: bytes, may_have_dot_lines: bool = True
    ) -> None:
        envelope = mail.envelope
        sent_digest = sha256(content).hexdigest()
        addressed = []
        for recipient in recipients:
            recipient.sent_digest = sent_digest
            recipient.is_in_flight = True
            addressed.append(recipient.envelope)
        first = recipients[0]
        mail.in_flight += 1
        try:
            mail.route.upstream.relay(
                OutgoingMail(
                    envelope.sender,
                    envelope.mail_parameters,
                    addressed,
                    content,
                    envelope.is_smtputf8,
                    envelope.is_8bitmime,
                    first.judged_at + DECISION_VALID_S - self._monotonic() if mail.is_commercial else inf,
                    first.is_again,
                    may_have_dot_lines,
                    partial(self._ask_again, mail, first) if mail.is_commercial else None,
                ),
                partial(self._relayed, mail, recipients),
            )
        except Exception as fault:  # an adapter that raises has told us nothing
            self._log_fault(mail, fault)
            self._relayed(mail, recipients, [_NOT_KNOWN] * len(recipients))

    def _relayed(
        self, mail: MailInHand, recipients: Sequence[RecipientInHand], fates: Sequence[RecipientOutcome]
    ) -> None:
        if not recipients[0].is_in_flight:
            return
        mail.in_flight -= 1
        if len(fates) != len(recipients):
            fates = [_NOT_KNOWN] * len(recipients)
        if fates[0] is EXPIRED and not mail.has_failed:
            for recipient in reversed(recipients):
                recipient.is_in_flight = False
                recipient.is_again = True
                recipient.judged_at = -inf
                recipient.sent_digest = ""
                mail.waiting.appendleft(recipient)
        else:
            for recipient, fate in zip(recipients, fates, strict=True):
                recipient.settle(fate.outcome, fate.reply)
        self._go_on(mail)

    def _go_on(self, mail: MailInHand) -> None:
        try:
            self._relay(mail)
        except Exception as fault:  # whatever it is, the message has to be answered
            self._fail(mail, fault)

    def _record(self, mail: MailInHand) -> None:
        """Keep what was decided and what became of it, before the client hears of it."""
        if mail.is_recorded:
            return
        mail.is_recorded = True
        self.in_hand -= 1
        try:
            self._evidence.append(render_mail_record(mail, self._node, self._store), partial(self._recorded, mail))
        except Exception as fault:  # an adapter that raises has told us nothing
            self._log_fault(mail, fault)
            self._recorded(mail, False)

    def _recorded(self, mail: MailInHand, is_kept: bool) -> None:
        if mail.is_record_answered:
            return
        mail.is_record_answered = True
        taken = _taken_keys(mail)
        if not is_kept and mail.is_commercial:
            # The upstream has these, but the proof is missing: the client must come again, and nobody gets it twice.
            for recipient in mail.recipients:
                if recipient.outcome is Outcome.RELAYED:
                    recipient.settle(Outcome.DEFERRED, Reason.EVIDENCE_UNAVAILABLE.reply)
        if taken and any(recipient.is_open for recipient in mail.recipients):
            self._remember(mail, taken)
        else:
            self._answer(mail)

    def _remember(self, mail: MailInHand, taken: Sequence[bytes]) -> None:
        """The client will come again: keep who has the message already (design D2)."""
        try:
            self._index.remember_taken(mail.digest, taken, partial(self._remembered, mail))
        except Exception as fault:  # an adapter that raises has told us nothing
            self._log_fault(mail, fault)
            self._remembered(mail, False)

    def _remembered(self, mail: MailInHand, is_kept: bool) -> None:
        if mail.is_remembered:
            return
        mail.is_remembered = True
        if not is_kept:
            log.warning("retry.not_remembered", message_id=mail.message_id)
        self._note_retry(is_kept)
        self._answer(mail)

    def _answer(self, mail: MailInHand) -> None:
        if mail.is_answered:
            return
        mail.is_answered = True
        try:
            answer = compose(mail.message_id, [recipient.fate for recipient in mail.recipients])
        except Exception as fault:  # whatever it is, the message has to be answered
            self._log_fault(mail, fault)
            answer = Answer(Reason.FAULT.reply, (Reason.FAULT.reply,) * len(mail.recipients))
        try:
            is_heard = mail.answer(answer)
        except Exception as fault:  # the session's: it has its own way out
            self._log_fault(mail, fault)
            is_heard = True
        try:
            self._observe(mail, answer)
        except Exception as fault:  # counting must not cost the answer
            self._log_fault(mail, fault)
        if is_heard is False and not mail.is_remembered and (taken := _taken_keys(mail)):
            # The client has left without our word and will come again, with recipients who have the message.
            self._remember(mail, taken)

    # -- off the straight path ----------------------------------------------------------------------------------

    def _refuse(self, mail: MailInHand, reason: Reason, detail: str = "") -> None:
        """The whole message is refused for one reason."""
        mail.detail = detail
        for recipient in mail.recipients:
            recipient.settle_for(reason)
        self._record(mail)

    def _settle_waiting(self, mail: MailInHand, reason: Reason, row: str = "", why: str = "") -> None:
        for recipient in mail.waiting:
            recipient.settle_for(reason, row, why)
        mail.waiting.clear()

    def _look_up_again(self, mail: MailInHand) -> None:
        """The upstream was slow: what was true at the decision may have changed for those still waiting (E19)."""
        assert mail.brand is not None
        again = list(mail.waiting)
        mail.waiting.clear()
        mail.in_flight += 1
        keys = [recipient.key for recipient in again]
        try:
            index_for(self._index, self._dealer_lists, mail.client).lookup(
                mail.brand.brand.code, keys, None, partial(self._looked_up_again, mail, again)
            )
        except Exception as fault:  # an adapter that raises has told us nothing
            self._log_fault(mail, fault)
            self._looked_up_again(mail, again, LookupFailure.BROKEN)

    def _looked_up_again(self, mail: MailInHand, again: list[RecipientInHand], answer: Lookup | LookupFailure) -> None:
        if not again:
            return
        recipients = again.copy()
        again.clear()
        mail.in_flight -= 1
        try:
            if not mail.has_failed:  # else all of them are settled
                now = self._clock()
                for recipient in recipients:
                    recipient.judged_again_at = now
                self._judge(mail, recipients, answer)
        except Exception as fault:  # whatever it is, the message has to be answered
            self._fail(mail, fault)
        else:
            self._go_on(mail)

    def _ask_again(self, mail: MailInHand, recipient: RecipientInHand, answer: Callable[[bool], None]) -> None:
        """The next hop took its time to ask for the content: would the decision be the same now (E19)?"""
        assert mail.brand is not None
        try:
            code = mail.brand.brand.code
            index_for(self._index, self._dealer_lists, mail.client).lookup(
                code, (recipient.key,), None, partial(self._asked_again, mail, recipient, answer)
            )
        except Exception as fault:  # an adapter that raises has told us nothing
            self._log_fault(mail, fault)
            answer(False)

    def _asked_again(
        self,
        mail: MailInHand,
        recipient: RecipientInHand,
        answer: Callable[[bool], None],
        found: Lookup | LookupFailure,
    ) -> None:
        stands = False
        try:
            facts, policy, (value,) = weigh(mail, 1, found, int(self._clock()))
            decision, state = decide_on(facts, value, policy)
            stands = decision.verdict is Verdict.PERMIT
            if stands and recipient.is_in_flight:  # the record tells on what the content left
                recipient.note(decision, state)
                recipient.judged_again_at = self._clock()
        except Exception as fault:  # unknown means no
            self._log_fault(mail, fault)
        answer(stands)

    def _fail(self, mail: MailInHand, fault: BaseException) -> None:
        """A fault of ours: whoever is still open is deferred, and the message goes on to be recorded and answered."""
        self._log_fault(mail, fault)
        mail.has_failed = True
        mail.waiting.clear()
        for recipient in mail.recipients:
            if recipient.outcome is None and not recipient.is_in_flight:
                recipient.settle_for(Reason.FAULT)
        if not mail.in_flight:
            self._record(mail)  # else what is under way comes back, and goes on to record

    def _log_fault(self, mail: MailInHand, fault: BaseException) -> None:
        log.error("message.failed", message_id=mail.message_id, fault=type(fault).__name__, exc_info=fault)


def _taken_keys(mail: MailInHand) -> list[bytes]:
    return [recipient.taken_key for recipient in mail.recipients if recipient.outcome is Outcome.RELAYED]
