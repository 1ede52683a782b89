"""What the decisions on a mail rest on, and the decision on one of its recipients."""

from __future__ import annotations

from collections.abc import Sequence

from filters.consent import State, unpack
from filters.decision.decide import Decision, Facts, decide
from filters.decision.freshness import freshness
from filters.decision.policy import Policy
from filters.exchange import Lookup
from filters.vocabulary import Channel, FreshnessState, LookupFailure
from gateway.mail.in_hand import MailInHand

_EXEMPT_POLICY = Policy()


def weigh(
    mail: MailInHand, count: int, answer: Lookup | LookupFailure, now: int
) -> tuple[Facts, Policy, Sequence[bytes | None]]:
    """What a decision now rests on: the facts common to all, the brand's policy, and what is known of each."""
    found = mail.classification
    assert found is not None
    policy, brand = _EXEMPT_POLICY, None
    values: Sequence[bytes | None] = (None,) * count
    failure: LookupFailure | None = None
    how_fresh, staleness_s = FreshnessState.COLD, None
    if mail.brand is not None:
        policy, brand = mail.brand.policy, mail.brand.brand
    if mail.is_commercial:
        if isinstance(answer, Lookup):
            values = answer.values
            how_fresh, staleness_s = freshness(answer.watermark_at, now, policy)
        else:
            failure = answer
        if len(values) != count:  # whose state is whose?
            values, failure = (None,) * count, LookupFailure.BROKEN
    facts = Facts(
        found.message_class,
        Channel.EMAIL,
        found.recipient_type,
        brand,
        how_fresh,
        now,
        staleness_s,
        failure,
        found.is_tagged,
        is_dealer=mail.client.retailer_code is not None,
    )
    return facts, policy, values


def decide_on(facts: Facts, value: bytes | None, policy: Policy) -> tuple[Decision, State]:
    """The decision on one recipient, and the records it rests on. What cannot be read is not "no record"."""
    try:
        state = unpack(value) if value else None
    except ValueError:
        return decide(facts._replace(lookup_failure=LookupFailure.BROKEN), None, policy), {}
    return decide(facts, state, policy), {} if state is None else state
