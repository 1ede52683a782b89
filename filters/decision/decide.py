"""Decides: facts of the message, what the index knows of one recipient, and the policy in; one verdict out.

The rules stand in ``filters.decision.table``; here they are only applied, by one look into the compiled table. So the
function is total and deterministic, and keeps three promises that the tests check over the whole product of inputs:

* adding a refusal never turns a drop or a deferral into a permission;
* an older index never turns a no into a yes, and none at all (cold, blind, not asked) permits nothing commercial;
* one recipient's verdict depends on no other recipient (E18).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from filters.brand import Brand
from filters.consent import Consent, State
from filters.decision.policy import Abroad, Mixed, Policy
from filters.decision.table import (
    GATES,
    Clause,
    Declared,
    Gate,
    OptOut,
    Reading,
    Row,
    Standing,
    TagClause,
    compile_gates,
    compile_rows,
    compile_tags,
)
from filters.reason import Reason
from filters.reply import Reply
from filters.vocabulary import (
    Channel,
    FreshnessState,
    LookupFailure,
    MessageClass,
    RecipientType,
    Status,
    Verdict,
)


class Facts(NamedTuple):
    """What is known of a message; the same value serves all its recipients.

    ``channel`` None is a channel without an equivalent in the registry (gate G6). ``brand`` None is a message without
    one; only exempt messages can do without. ``now`` is in seconds since 1970 UTC; ``staleness_s`` is carried for the
    evidence and decides nothing beside ``freshness``. ``lookup_failure`` says that the index could not be asked:
    whatever state is given then is not looked at. ``is_tagged`` False is gate G1 (``Classification.is_tagged``).
    ``is_abroad`` differs between recipients and matters for phone numbers only. ``is_dealer``: the sender is a dealer
    of the brand, to whom only records marked as open count (E11).
    """

    message_class: MessageClass
    channel: Channel | None
    recipient_type: RecipientType | None
    brand: Brand | None
    freshness: FreshnessState
    now: int
    staleness_s: int | None = None
    lookup_failure: LookupFailure | None = None
    is_tagged: bool = True
    is_promotion_found: bool = False
    is_opt_out_possible: bool = True
    has_identity_in_message: bool = False
    is_authorised: bool = True
    is_abroad: bool = False
    is_dealer: bool = False


class Decision(NamedTuple):
    """The verdict on one recipient and why.

    ``row`` is the id of the row, or of the gate, that answered; ``gates`` are those that changed the question on the
    way there (G1: treated as commercial, R17: the same for promotion, G5: refused by a refusal of our own). ``record``
    is the consent record that counted, kept under ``record_type``; None where none did.
    """

    verdict: Verdict
    reason: Reason
    row: str
    gates: tuple[str, ...] = ()
    record: Consent | None = None
    record_type: RecipientType | None = None
    opt_out: OptOut = OptOut.NONE

    @property
    def noted(self) -> tuple[Reason, ...]:
        """What the sender should hear besides the reason: that its message was taken for commercial, and why."""
        return tuple(_NOTES[gate] for gate in self.gates if gate in _NOTES)

    @property
    def reply(self) -> Reply:
        """What the client is told of this recipient."""
        return _reply(self.reason, self.noted) if self.gates else self.reason.reply


_NOTES = {"G1": Reason.TAG_MISSING, "R17": Reason.MIXED}

# Keyed by plain tuples, so that no named one has to be built for a look.
_ROWS: dict[tuple[Declared, Standing, Reading, bool, bool], tuple[Row, Clause]] = dict(compile_rows().items())
_TAGS: dict[tuple[MessageClass, bool, Mixed], tuple[Row, TagClause]] = dict(compile_tags().items())
_GATES: dict[tuple[bool, bool, bool, bool, bool], Gate | None] = dict(compile_gates().items())
_GATE_DECISIONS = {gate.id: Decision(gate.verdict, gate.reason, gate.id) for gate in GATES if gate.verdict is not None}

_new = tuple.__new__


@lru_cache(maxsize=256)
def _reply(reason: Reason, noted: tuple[Reason, ...]) -> Reply:
    plain = reason.reply
    if not noted or plain.is_success:
        return plain
    return plain._replace(text=f"{reason} ({', '.join(noted)}): {reason.sentence_en}")


def decide(facts: Facts, state: State | None, policy: Policy) -> Decision:
    """The verdict on one recipient. ``state`` None means the index holds no record of it."""
    (
        message_class,
        channel,
        declared,
        _,
        freshness,
        now,
        _,
        lookup_failure,
        is_tagged,
        is_promotion_found,
        _,
        _,
        _,
        is_abroad,
        is_dealer,
    ) = facts
    gates: tuple[str, ...] = ()
    if not is_tagged:
        gates = ("G1",)
    elif message_class is not MessageClass.COMMERCIAL:
        answer = _judge_tag(message_class, channel, is_promotion_found, policy)
        if answer is not None:
            return answer
        gates = ("R17",)
    gate = _GATES[_gate_facts(facts)]
    if gate is not None:
        answer = _GATE_DECISIONS[gate.id]
        return answer._replace(gates=gates) if gates else answer

    if lookup_failure is not None:
        state = None
    standing, record, record_type = find_standing(channel, declared, state, now, policy)
    if is_dealer and standing is Standing.CONSENT and not (record is not None and record.is_open):
        standing = Standing.NOT_OPEN
    row, clause = _ROWS[
        declared,
        standing,
        None if lookup_failure is not None else freshness,
        # No record lists a dealer where there is no record.
        policy.merchant_unrecorded_allow and not is_dealer,
        is_abroad and channel is not Channel.EMAIL and policy.abroad is Abroad.EXEMPT,
    ]
    reason = clause.reason
    if reason is Reason.REFUSED and record is not None and record.own:
        reason = Reason.LOCAL_RET
        gates += ("G5",)
    return _new(Decision, (clause.verdict, reason, row.id, gates, record, record_type, clause.opt_out))


def find_standing(
    channel: Channel | None, declared: RecipientType | None, state: State | None, now: int, policy: Policy
) -> tuple[Standing, Consent | None, RecipientType | None]:
    """What the records of ``channel`` say, the record that counts, and the recipient type it is kept under.

    A consent that only we hold (E5), or one dated after now, is no record: the law asks for a prior consent that stands
    in the registry (Law 6/1, 11/5). A refusal counts whatever its date.
    """
    if not state or channel is None:
        return Standing.NONE, None, None
    mine = RecipientType.BUSINESS if declared is RecipientType.BUSINESS else RecipientType.INDIVIDUAL
    theirs = RecipientType.INDIVIDUAL if mine is RecipientType.BUSINESS else RecipientType.BUSINESS
    own_record = state.get((channel, mine))
    if own_record is not None and own_record.status is Status.REJECTED:
        return Standing.REFUSED, own_record, mine
    other_record = state.get((channel, theirs))
    if other_record is not None and other_record.status is Status.REJECTED:
        if declared is None or policy.any_refusal_drops:
            return Standing.REFUSED_OTHERWISE, other_record, theirs
        other_record = None
    latest = now + policy.clock_tolerance_s
    if own_record is not None and not own_record.own and own_record.consent_at <= latest:
        return Standing.CONSENT, own_record, mine
    if other_record is not None and not other_record.own and other_record.consent_at <= latest:
        return Standing.CONSENT_OTHERWISE, other_record, theirs
    return Standing.NONE, None, None


def _judge_tag(
    message_class: MessageClass, channel: Channel | None, is_promotion_found: bool, policy: Policy
) -> Decision | None:
    """Rows R15 to R17; None where promotion makes the message commercial."""
    row, clause = _TAGS[message_class, is_promotion_found, policy.mixed]
    if clause.verdict is None:
        return None
    if channel is None:
        return _GATE_DECISIONS["G6"]
    return _new(Decision, (clause.verdict, clause.reason, row.id, (), None, None, clause.opt_out))


def _gate_facts(facts: Facts) -> tuple[bool, bool, bool, bool, bool]:
    """The fields of ``GateFacts``, in order."""
    brand = facts.brand
    return (
        brand is not None and brand.is_active and brand.iys_code > 0,
        facts.is_authorised,
        facts.has_identity_in_message or (brand is not None and brand.has_identity),
        facts.is_opt_out_possible,
        facts.channel is not None,
    )
