"""Decide: a verdict for every recipient of a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from filters.decision.decide import Facts
from filters.decision.freshness import freshness
from filters.decision.policy import Policy
from filters.exchange import Lookup
from filters.phone import PhoneNumber
from filters.reason import Reason
from filters.sms.judgement import BatchJudge, Judged
from filters.sms.message import SmsFate
from filters.vocabulary import Channel, FreshnessState, LookupFailure, Outcome, Verdict
from gateway.sms.in_hand import SmsInHand
from gateway.sms.steps.retry_marks import mark_unknown

_EXEMPT_POLICY = Policy()
_INVALID = SmsFate(Outcome.DROPPED, Reason.ADDRESS_INVALID)
_TAKEN = SmsFate(Outcome.RELAYED, Reason.ALREADY_TAKEN)
_TAKEN_PERHAPS = SmsFate(Outcome.UNKNOWN, Reason.UPSTREAM_LOST)


class Deciding:
    """Decides by what was looked up. ``clock``: seconds since 1970 UTC; ``monotonic``: seconds that never go back."""

    def __init__(self, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._judge: BatchJudge | None = None

    def decide(self, sms: SmsInHand) -> None:
        """Those permitted are ``kept``; whoever is not is settled."""
        answer, found = sms.lookup, sms.classification
        assert found is not None
        sms.begin_decision()
        sms.decided_at = now = self._clock()
        started = self._monotonic()
        policy, brand, has_opt_out = _EXEMPT_POLICY, None, True
        if sms.brand is not None:
            policy, brand = sms.brand.policy, sms.brand.brand
            has_opt_out = bool(sms.brand.writers)
        values: Sequence[bytes | None] | None = None
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


def _settle_all(
    sms: SmsInHand, judge: BatchJudge, values: Sequence[bytes | None] | None, taken: frozenset[bytes]
) -> None:
    recipients = sms.asked.recipients
    if len(recipients) == 1 and not taken and (only := recipients[0][0]) is not None:  # as most requests are
        one = judge.judge(None if values is None else values[0], only[0][:3] != "+90")
        sms.settled, sms.fates = [sms.number_of(one.settlement)], [one.fate]
        sms.kept = [0] if one.fate is None else []
        return
    if values is None:
        values = (None,) * len(recipients)
    numbers = [recipient[0] for recipient in recipients]
    are_abroad = [number is not None and number[0][:3] != "+90" for number in numbers]
    if not taken and None not in numbers:
        decided = _settle_each(sms, judge.judge_each(values, are_abroad))
        sms.settled = [number for number, _ in decided]
        sms.fates = [fate for _, fate in decided]
    else:
        settled_already = _find_settled(sms, numbers, taken)
        left = [position for position in range(len(recipients)) if position not in settled_already]
        judged = judge.judge_each([values[position] for position in left], [are_abroad[position] for position in left])
        for position, (settled, fate) in zip(left, _settle_each(sms, judged), strict=True):
            sms.settled[position], sms.fates[position] = settled, fate
    sms.kept = [position for position, fate in enumerate(sms.fates) if fate is None]


def _find_settled(sms: SmsInHand, numbers: Sequence[PhoneNumber | None], taken: frozenset[bytes]) -> set[int]:
    """Where those stand about whom there is nothing to decide: no number, or the message is theirs already."""
    found: set[int] = set()
    for position, (number, key) in enumerate(zip(numbers, sms.keys, strict=True)):
        if number is None:
            sms.settle(position, _INVALID, "", Verdict.DROP)
            found.add(position)
        elif (fate := _find_taken(key, taken)) is not None:
            sms.settle(position, fate, "", Verdict.PERMIT)
            found.add(position)
    return found


def _settle_each(sms: SmsInHand, judged: Sequence[Judged]) -> Sequence[tuple[int, SmsFate | None]]:
    """Settlement and fate of each. By identity, as few decisions serve a whole batch."""
    names = list(map(id, judged))
    different = dict(zip(names, judged, strict=True))
    known = {name: (sms.number_of(each.settlement), each.fate) for name, each in different.items()}
    return list(map(known.__getitem__, names))


def _find_taken(key: bytes, taken: frozenset[bytes]) -> SmsFate | None:
    if not taken:
        return None
    if key in taken:
        return _TAKEN
    return _TAKEN_PERHAPS if mark_unknown(key) in taken else None
