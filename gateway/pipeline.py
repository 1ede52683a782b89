"""The path of a mail, from top to bottom: recognise, classify, look up, decide, rewrite, relay, record, answer.

Every step is a method that ends by calling the next one, or hands the next one to an adapter as its callback: there is
no task and no future per message. Whatever goes wrong on our side settles the recipients that are still open as
deferred (451) and goes on to *record*, so that a message is answered exactly once and never with success before the
upstream's own.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from hashlib import sha256
from time import perf_counter

import structlog

from filters.answer import compose
from filters.classify import ClassificationRefusal, TagHeaders, classify
from filters.consent import unpack
from filters.consent_key import ConsentKeys
from filters.decide import Facts, decide
from filters.envelope import Answer, Envelope, EnvelopeRecipient, RecipientOutcome
from filters.exchange import Lookup, OutgoingMail
from filters.freshness import freshness
from filters.mime.headers import scan_headers
from filters.mime.plan import plan_rewrite
from filters.mime.refusal import MalformedContent, RewriteRefusal
from filters.mime.stamp import stamp
from filters.policy import Policy
from filters.reason import Reason
from filters.reply import Reply
from filters.vocabulary import Channel, FreshnessState, LookupFailure, MessageClass, Outcome, RecipientType, Verdict
from gateway.mail_in_hand import MailInHand, RecipientInHand
from gateway.mail_record import render_mail_record
from gateway.mail_route import BrandRoute, MailRoute, MakeLinks
from gateway.ports import ConsentIndex, EvidenceLog
from gateway.trace import Tracer

log = structlog.stdlib.get_logger(__name__)

COPIES_IN_FLIGHT = 32
"""Personal copies of one message under way at once: enough to keep a pool busy, few enough to bound memory."""

DECISION_VALID_S = 2.0
"""A recipient not handed over within this time of the decision is looked up and decided again (edge case E19)."""

_EXEMPT_POLICY = Policy()


class MailPipeline:
    """Carries mail from listeners to upstreams. One per worker; a ``MailHandler``.

    ``routes`` by listener name, ``brands`` by code. ``node`` names machine and worker in the evidence, ``store`` the
    kind of index. ``observe`` counts and logs a message once it is answered. ``refuses_partly``: a message of which
    some recipients are dropped goes to nobody.
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
        refuses_partly: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._routes = routes
        self._brands = brands
        self._brand_values = {code: route.brand for code, route in brands.items()}
        self._tag_headers = tag_headers
        self._keys = keys
        self._index = index
        self._evidence = evidence
        self._make_links = make_links
        self._tracer = tracer
        self._node = node
        self._store = store
        self._signing_threads = signing_threads
        self._observe = observe
        self._refuses_partly = refuses_partly
        # Exempt mail may have no brand; its memory of retries is kept under some brand all the same.
        self._any_brand = next(iter(brands))
        self._clock = clock

    # -- the path -------------------------------------------------------------------------------------------------

    def handle(self, envelope: Envelope, content: bytes, answer: Callable[[Answer], None]) -> None:
        mail = MailInHand(
            envelope, content, answer, self._routes[envelope.listener], self._tracer.next_id(), self._clock()
        )
        try:
            self._recognise(mail)
        except Exception as fault:
            self._fail(mail, fault)

    def _recognise(self, mail: MailInHand) -> None:
        """Whose message is it, is it whole, and does it go round?"""
        content = mail.content
        mail.content_digest = sha256(content)
        envelope = mail.envelope
        mail.digest = sha256(
            b"%s\0%s\0%s" % (envelope.client.name.encode(), envelope.sender, mail.content_digest.digest())
        ).digest()
        try:
            mail.headers = scan_headers(content)
        except MalformedContent as malformed:
            self._refuse(mail, Reason.CONTENT_MALFORMED, malformed.detail)
            return
        if self._tracer.is_loop(content, mail.headers.body_start):
            self._refuse(mail, Reason.LOOP)
            return
        self._classify(mail)

    def _classify(self, mail: MailInHand) -> None:
        """The tag decides what the message is; a tag tightens, never loosens."""
        assert mail.headers is not None
        tags = mail.headers.find_all(self._tag_headers.names)
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
        """All recipients in one call. What needs no look-up is decided at once, whatever happens to the index."""
        code = mail.brand.brand.code if mail.brand else self._any_brand
        derive = self._keys.derive
        for recipient in mail.recipients:
            recipient.key = derive(code, recipient.envelope.address.key)
        keys: Sequence[bytes] = ()
        if mail.is_commercial:
            keys = [recipient.key for recipient in mail.recipients]
        elif len(mail.recipients) == 1:
            self._decide(mail, None)  # nobody can have had a part of it, so the memory need not be asked
            return
        mail.asked_at = perf_counter()
        self._index.lookup(code, keys, mail.digest, partial(self._looked_up, mail))

    def _looked_up(self, mail: MailInHand, answer: Lookup | LookupFailure) -> None:
        try:
            mail.lookup_s = perf_counter() - mail.asked_at
            self._decide(mail, answer)
        except Exception as fault:
            self._fail(mail, fault)

    def _decide(self, mail: MailInHand, answer: Lookup | LookupFailure | None) -> None:
        """A verdict for every recipient. Those permitted wait for their copy."""
        mail.lookup = answer
        started = perf_counter()
        self._judge(mail, mail.recipients, answer)
        mail.decision_s = perf_counter() - started
        if isinstance(answer, Lookup) and answer.taken:
            for recipient in mail.recipients:
                if recipient.key in answer.taken:
                    recipient.settle_as_taken()
            mail.waiting = deque(recipient for recipient in mail.waiting if recipient.outcome is None)
        if self._refuses_partly and any(recipient.outcome is Outcome.DROPPED for recipient in mail.recipients):
            self._settle_waiting(mail, Reason.PARTLY_REFUSED)
        self._rewrite(mail)

    def _judge(
        self, mail: MailInHand, recipients: Sequence[RecipientInHand], answer: Lookup | LookupFailure | None
    ) -> None:
        found = mail.classification
        assert found is not None
        mail.decided_at = now = self._clock()
        policy, brand = _EXEMPT_POLICY, None
        values: Sequence[bytes | None] = (None,) * len(recipients)
        failure = None
        if mail.brand is not None:
            policy, brand = mail.brand.policy, mail.brand.brand
        if mail.is_commercial:
            if isinstance(answer, Lookup):
                values = answer.values
                mail.freshness, mail.staleness_s = freshness(answer.watermark_at, int(now), policy)
            else:
                failure = answer
                mail.freshness, mail.staleness_s = FreshnessState.COLD, None
        facts = Facts(
            found.message_class,
            Channel.EMAIL,
            found.recipient_type,
            brand,
            mail.freshness,
            int(now),
            mail.staleness_s,
            failure,
            found.is_tagged,
        )
        for recipient, value in zip(recipients, values, strict=True):
            state = unpack(value) if value else None
            decision = decide(facts, state, policy)
            recipient.note(decision, state if state is not None else {})
            if decision.verdict is Verdict.PERMIT:
                mail.waiting.append(recipient)
            else:
                recipient.settle_by(decision)

    def _rewrite(self, mail: MailInHand) -> None:
        """Where the opt-out goes, found once for all copies. Mail it cannot lawfully be put into is refused (G4)."""
        if mail.waiting and mail.is_commercial:
            if not self._evidence.is_writable:
                self._settle_waiting(mail, Reason.EVIDENCE_UNAVAILABLE)
            else:
                self._plan(mail)
        self._relay(mail)

    def _plan(self, mail: MailInHand) -> None:
        assert mail.headers is not None
        assert mail.brand is not None
        capabilities = mail.route.upstream.capabilities
        plan = plan_rewrite(
            mail.content,
            mail.headers,
            mail.brand.footer,
            mail.brand.rewriting,
            remove=self._tag_headers.names,
            has_8bitmime=capabilities is not None and capabilities.has_8bitmime,
            is_smtputf8=mail.envelope.is_smtputf8,
        )
        if isinstance(plan, RewriteRefusal):
            mail.rewrite_refusal = plan
            mail.detail = plan.detail
            self._settle_waiting(mail, Reason.OPTOUT_IMPOSSIBLE, "G4", plan.english)
        else:
            mail.plan = plan

    def _relay(self, mail: MailInHand) -> None:
        """Hand over: a personal copy for each recipient of commercial mail, one transaction for the others."""
        if mail.is_pumping:
            return  # an answer came while handing over; the loop below goes on
        mail.is_pumping = True
        try:
            while mail.waiting and mail.in_flight < COPIES_IN_FLIGHT:
                if not mail.is_commercial:
                    self._relay_untouched(mail)
                elif self._clock() - mail.decided_at > DECISION_VALID_S:
                    self._look_up_again(mail)
                else:
                    self._relay_copy(mail, mail.waiting.popleft())
        finally:
            mail.is_pumping = False
        if not mail.waiting and not mail.in_flight:
            self._record(mail)

    def _relay_untouched(self, mail: MailInHand) -> None:
        assert mail.headers is not None
        recipients = list(mail.waiting)
        mail.waiting.clear()
        trace = self._tracer.field(mail.envelope, mail.route.protocol, mail.message_id)
        content = stamp(mail.content, mail.headers, self._tag_headers.names, trace)
        self._hand_over(mail, recipients, content)

    def _relay_copy(self, mail: MailInHand, recipient: RecipientInHand) -> None:
        """One recipient, one copy: the one-click address must name one person (RFC 8058)."""
        assert mail.plan is not None
        assert mail.brand is not None
        assert mail.classification is not None
        links = self._make_links(
            mail.brand.brand, recipient.envelope.address.key, mail.classification.recipient_type, recipient.key
        )
        recipient.token_id = links.token_id
        trace = self._tracer.field(mail.envelope, mail.route.protocol, mail.message_id)
        content = mail.plan.render(links.url, links.mailto, trace)
        signer = mail.brand.signer
        if signer is None:
            self._hand_over(mail, [recipient], content)
            return
        mail.in_flight += 1
        signing = asyncio.get_running_loop().run_in_executor(self._signing_threads, signer.sign, content)
        signing.add_done_callback(partial(self._signed, mail, recipient, content))

    def _signed(
        self, mail: MailInHand, recipient: RecipientInHand, content: bytes, signing: asyncio.Future[bytes]
    ) -> None:
        try:
            mail.in_flight -= 1
            self._hand_over(mail, [recipient], signing.result() + content)
            self._relay(mail)
        except Exception as fault:
            self._fail(mail, fault)

    def _hand_over(self, mail: MailInHand, recipients: list[RecipientInHand], content: bytes) -> None:
        envelope = mail.envelope
        sent_digest = sha256(content).hexdigest()
        for recipient in recipients:
            recipient.sent_digest = sent_digest
            recipient.is_in_flight = True
        mail.in_flight += 1
        mail.route.upstream.relay(
            OutgoingMail(
                envelope.sender,
                envelope.mail_parameters,
                [recipient.envelope for recipient in recipients],
                content,
                envelope.is_smtputf8,
                envelope.is_8bitmime,
            ),
            partial(self._relayed, mail, recipients),
        )

    def _relayed(
        self, mail: MailInHand, recipients: Sequence[RecipientInHand], fates: Sequence[RecipientOutcome]
    ) -> None:
        try:
            for recipient, fate in zip(recipients, fates, strict=True):
                recipient.settle(fate.outcome, fate.reply)
            mail.in_flight -= 1
            self._relay(mail)
        except Exception as fault:
            self._fail(mail, fault)

    def _record(self, mail: MailInHand) -> None:
        """Keep what was decided and what became of it, before the client hears of it."""
        mail.is_recorded = True
        self._evidence.append(render_mail_record(mail, self._node, self._store), partial(self._recorded, mail))

    def _recorded(self, mail: MailInHand, is_kept: bool) -> None:
        taken = [recipient.key for recipient in mail.recipients if recipient.outcome is Outcome.RELAYED]
        if not is_kept and mail.is_commercial:
            # The upstream has these, but the proof is missing: the client must come again, and nobody gets it twice.
            for recipient in mail.recipients:
                if recipient.outcome is Outcome.RELAYED:
                    recipient.settle(Outcome.DEFERRED, Reason.EVIDENCE_UNAVAILABLE.reply)
        if taken and any(recipient.is_open for recipient in mail.recipients):
            self._index.remember_taken(mail.digest, taken, partial(self._answer, mail))
        else:
            self._answer(mail, True)

    def _answer(self, mail: MailInHand, is_remembered: bool) -> None:
        if not is_remembered:
            log.warning("retry.not_remembered", message_id=mail.message_id)
        answer = compose(mail.message_id, [recipient.fate for recipient in mail.recipients])
        mail.answer(answer)
        self._observe(mail, answer)

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
        waiting = list(mail.waiting)
        mail.waiting.clear()
        mail.in_flight += 1
        keys = [recipient.key for recipient in waiting]
        self._index.lookup(mail.brand.brand.code, keys, None, partial(self._looked_up_again, mail, waiting))

    def _looked_up_again(
        self, mail: MailInHand, waiting: list[RecipientInHand], answer: Lookup | LookupFailure
    ) -> None:
        try:
            mail.in_flight -= 1
            if waiting[0].outcome is None:  # a fault meanwhile has settled all of them
                self._judge(mail, waiting, answer)
            self._relay(mail)
        except Exception as fault:
            self._fail(mail, fault)

    def _fail(self, mail: MailInHand, fault: Exception) -> None:
        """A fault of ours: whoever is still open is deferred, and the message goes on to be recorded and answered."""
        log.error("message.failed", message_id=mail.message_id, fault=type(fault).__name__, exc_info=fault)
        mail.waiting.clear()
        for recipient in mail.recipients:
            if recipient.outcome is None and not recipient.is_in_flight:
                recipient.settle_for(Reason.FAULT)
        if mail.in_flight:
            return  # what is under way comes back through _relayed, which goes on to record
        if not mail.is_recorded:
            try:
                self._record(mail)
                return
            except Exception as second:
                log.error("message.failed", message_id=mail.message_id, fault=type(second).__name__, exc_info=second)
        self._recorded(mail, False)

    # -- before DATA --------------------------------------------------------------------------------------------

    def check_recipient(
        self, envelope: Envelope, recipient: EnvelopeRecipient, answer: Callable[[Reply | None], None]
    ) -> None:
        """At RCPT, where class and brand are known already: the refusal that would come after DATA anyway (design D3).

        Only a verdict of drop is told here. Whatever is not certain yet is decided after DATA.
        """
        client = self._routes[envelope.listener].client_of(envelope)
        if client.fixed_class is not MessageClass.COMMERCIAL or len(client.brands) != 1:
            answer(None)
            return
        route = self._brands[client.brands[0]]
        key = self._keys.derive(route.brand.code, recipient.address.key)
        self._index.lookup(route.brand.code, (key,), None, partial(self._checked, route, answer))

    def _checked(
        self, route: BrandRoute, answer: Callable[[Reply | None], None], found: Lookup | LookupFailure
    ) -> None:
        if not isinstance(found, Lookup):
            answer(None)
            return
        now = int(self._clock())
        state = unpack(found.values[0]) if found.values[0] else None
        how_fresh, staleness_s = freshness(found.watermark_at, now, route.policy)
        # The header may still declare a type, so only what every type would drop is refused here; the reason told is
        # the one without a declaration, for nobody has declared anything yet.
        decisions = [
            decide(
                Facts(MessageClass.COMMERCIAL, Channel.EMAIL, declared, route.brand, how_fresh, now, staleness_s),
                state,
                route.policy,
            )
            for declared in (None, RecipientType.INDIVIDUAL, RecipientType.BUSINESS)
        ]
        are_all_dropped = all(decision.verdict is Verdict.DROP for decision in decisions)
        answer(decisions[0].reply if are_all_dropped else None)
