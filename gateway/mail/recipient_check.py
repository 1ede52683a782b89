"""At RCPT, where class and brand are known already: the refusal that would come after DATA anyway (design D3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import structlog

from filters.brand import Brand
from filters.classify import ClassificationRefusal, TagHeaders, classify
from filters.consent import State, unpack
from filters.consent_key import ConsentKeys
from filters.decision.decide import Decision, Facts, decide
from filters.decision.freshness import freshness
from filters.envelope import Envelope, EnvelopeRecipient
from filters.exchange import Lookup
from filters.reply import Reply
from filters.vocabulary import Channel, LookupFailure, MessageClass, RecipientType, Verdict
from gateway.dealers import DealerLists, index_for
from gateway.mail.in_hand import MailInHand
from gateway.mail.record import render_mail_record
from gateway.mail.route import BrandRoute, MailRoute
from gateway.ports import ConsentIndex, EvidenceLog
from gateway.trace import Tracer

log = structlog.stdlib.get_logger(__name__)


class RecipientCheck:
    """Arguments as those of ``MailPipeline``; ``observe`` counts each refusal."""

    def __init__(
        self,
        *,
        routes: Mapping[str, MailRoute],
        brands: Mapping[int, BrandRoute],
        brand_values: Mapping[int, Brand],
        tag_headers: TagHeaders,
        keys: ConsentKeys,
        index: ConsentIndex,
        dealer_lists: DealerLists | None,
        evidence: EvidenceLog,
        tracer: Tracer,
        node: str,
        store: str,
        observe: Callable[[MailInHand], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._routes = routes
        self._brands = brands
        self._brand_values = brand_values
        self._tag_headers = tag_headers
        self._keys = keys
        self._index = index
        self._dealer_lists = dealer_lists
        self._evidence = evidence
        self._tracer = tracer
        self._node = node
        self._store = store
        self._observe = observe
        self._clock = clock

    def check(self, envelope: Envelope, recipient: EnvelopeRecipient, answer: Callable[[Reply | None], None]) -> None:
        """Tell a verdict of drop, and ``None`` for everything else: what is not certain yet is decided after DATA."""
        route = self._routes[envelope.listener]
        client = route.client_of(envelope)
        if client.fixed_class is not MessageClass.COMMERCIAL or len(client.brands) != 1:
            answer(None)
            return
        # The question as a message of one recipient and no content: so a refusal leaves the same record.
        asked = MailInHand(replace(envelope, recipients=[recipient]), b"", _hear_nothing, route, "", self._clock())
        asked.client = client
        asked.brand = self._brands[client.brands[0]]
        asked.recipients[0].key = key = self._keys.derive(client.brands[0], recipient.address.key)
        index_for(self._index, self._dealer_lists, client).lookup(
            client.brands[0], (key,), None, partial(self._checked, asked, answer)
        )

    def _checked(
        self, asked: MailInHand, answer: Callable[[Reply | None], None], found: Lookup | LookupFailure
    ) -> None:
        if asked.is_answered:
            return
        asked.is_answered = True
        refusal = None
        try:
            if isinstance(found, Lookup):
                refusal = self._find_refusal(asked, found)
        except Exception as fault:  # whoever asked has to hear; the message is judged again after DATA
            log.error("recipient.failed", fault=type(fault).__name__, exc_info=fault)
        answer(refusal)

    def _find_refusal(self, asked: MailInHand, found: Lookup) -> Reply | None:
        assert asked.brand is not None
        brand, policy = asked.brand.brand, asked.brand.policy
        now = int(asked.decided_at)
        state = unpack(found.values[0]) if found.values[0] else None
        asked.lookup = found
        asked.freshness, asked.staleness_s = how_fresh, staleness_s = freshness(found.watermark_at, now, policy)
        # The header may still declare a type, so only what every type would drop is refused here; the reason told is
        # the one without a declaration, for nobody has declared anything yet.
        decisions = [
            decide(
                Facts(
                    MessageClass.COMMERCIAL,
                    Channel.EMAIL,
                    declared,
                    brand,
                    how_fresh,
                    now,
                    staleness_s,
                    is_dealer=asked.client.retailer_code is not None,
                ),
                state,
                policy,
            )
            for declared in (None, RecipientType.INDIVIDUAL, RecipientType.BUSINESS)
        ]
        if any(decision.verdict is not Verdict.DROP for decision in decisions):
            return None
        self._keep_refusal(asked, decisions[0], state or {})
        return decisions[0].reply

    def _keep_refusal(self, asked: MailInHand, decision: Decision, state: State) -> None:
        """Record and count a recipient whom no message will name. Nothing was sent, so the client need not wait."""
        classification = classify({}, asked.client, self._brand_values, self._tag_headers)
        if not isinstance(classification, ClassificationRefusal):
            asked.classification = classification
        asked.message_id = self._tracer.next_id()
        (recipient,) = asked.recipients
        recipient.note(decision, state)
        recipient.settle_by(decision)
        self._evidence.append(render_mail_record(asked, self._node, self._store), _hear_nothing)
        self._observe(asked)


def _hear_nothing(_: object) -> None:
    pass
