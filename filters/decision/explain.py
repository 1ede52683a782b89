"""Explains a decision: every gate and row that was asked for one recipient, in order, with what it saw.

Pure, and for people only: the verdict is that of ``filters.decision.decide``, of which this is the long form.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from filters.consent import Consent, State
from filters.decision.decide import Decision, Facts, decide, find_standing
from filters.decision.policy import Policy
from filters.decision.table import GATES, ROWS, Gate
from filters.vocabulary import Channel, MessageClass, RecipientType, Status, Verdict

_ROW_BY_ID = {row.id: row for row in ROWS}
_GATE_BY_ID = {gate.id: gate for gate in GATES}
_RESULT_PASSED = "passed"
_OPEN = ", open to the dealer"


class Step(NamedTuple):
    """One question: ``id`` of the gate or row, what it asks, what was seen, what follows, on which ground."""

    id: str
    question: str
    seen: str
    result: str
    ground: str
    is_decisive: bool = False


class Explanation(NamedTuple):
    """The steps in the order in which they were asked; the last one is decisive and agrees with ``decision``."""

    steps: tuple[Step, ...]
    decision: Decision
    sentence_en: str
    sentence_tr: str

    def as_json(self) -> dict[str, Any]:
        """Plain values for a script; nothing in it tells the address."""
        decision = self.decision
        return {
            "verdict": decision.verdict.value,
            "reason": decision.reason.value,
            "row": decision.row,
            "gates": list(decision.gates),
            "noted": [reason.value for reason in decision.noted],
            "opt_out": decision.opt_out.value,
            "record": None if decision.record is None else _record_as_json(decision.record, decision.record_type),
            "reply": decision.reply.render().decode("ascii").rstrip("\r\n"),
            "sentence_en": self.sentence_en,
            "sentence_tr": self.sentence_tr,
            "steps": [step._asdict() for step in self.steps],
        }


def explain(facts: Facts, state: State | None, policy: Policy) -> Explanation:
    """Why one recipient is permitted, dropped or deferred."""
    decision = decide(facts, state, policy)
    steps = _walk(facts, state, policy, decision)
    return Explanation(tuple(steps), decision, decision.reason.sentence_en, decision.reason.sentence_tr)


def _walk(facts: Facts, state: State | None, policy: Policy, decision: Decision) -> list[Step]:
    steps: list[Step] = []
    is_commercial = facts.message_class is MessageClass.COMMERCIAL or not facts.is_tagged
    steps.append(
        _gate("G1", f"class {facts.message_class}" if facts.is_tagged else "no readable class", not facts.is_tagged)
    )
    if not is_commercial:
        if facts.channel is None and decision.row == "G6":
            steps.append(_gate("G6", "no registry channel", True, is_decisive=True))
            return steps
        steps.append(_tag_step(facts, policy, decision))
        if steps[-1].is_decisive:
            return steps
    for gate in GATES[1:]:
        if gate.id == "G5":
            steps.append(_gate(gate.id, _own_refusal_seen(facts, state, policy), "G5" in decision.gates))
            continue
        is_decisive = decision.row == gate.id
        steps.append(_gate(gate.id, _seen_at(gate, facts), is_decisive, is_decisive=is_decisive))
        if is_decisive:
            return steps
    steps.append(_row_step(facts, state, policy, decision))
    return steps


def _gate(gate_id: str, seen: str, holds: bool, *, is_decisive: bool = False) -> Step:
    gate = _GATE_BY_ID[gate_id]
    return Step(gate.id, gate.situation_en, seen, gate.result if holds else _RESULT_PASSED, gate.ground, is_decisive)


def _seen_at(gate: Gate, facts: Facts) -> str:
    brand = facts.brand
    match gate.id:
        case "G2":
            if brand is None:
                return "no brand"
            number = f"İYS number {brand.iys_code}" if brand.iys_code > 0 else "no İYS number"
            return f"{number}, {'active' if brand.is_active else 'not active'}"
        case "E8":
            return "authorised" if facts.is_authorised else "not authorised"
        case "G3":
            if facts.has_identity_in_message:
                return "identity in the message"
            return "identity in the brand's settings" if brand and brand.has_identity else "no identity"
        case "G4":
            return "opt-out can be placed" if facts.is_opt_out_possible else "opt-out cannot be placed"
        case _:
            return f"channel {facts.channel}" if facts.channel else "no registry channel"


def _tag_step(facts: Facts, policy: Policy, decision: Decision) -> Step:
    is_converted = "R17" in decision.gates
    row = _ROW_BY_ID["R17" if is_converted else decision.row]
    promotion = "promotion found" if facts.is_promotion_found else "no promotion found"
    seen = f"class {facts.message_class}, {promotion}, mixed = {policy.mixed}"
    result = "treated as commercial" if is_converted else _result(decision)
    return Step(row.id, row.situation_en, seen, result, row.ground, not is_converted)


def _own_refusal_seen(facts: Facts, state: State | None, policy: Policy) -> str:
    if facts.lookup_failure is not None:
        return "the index could not be asked"
    _, record, _ = find_standing(facts.channel, facts.recipient_type, state, facts.now, policy)
    if record is None or record.status is not Status.REJECTED:
        return "no refusal of ours"
    if record.own:
        return "a refusal of ours, which the registry does not hold yet"
    return "no refusal of ours is needed: the registry holds one, and the row below decides on it"


def _row_step(facts: Facts, state: State | None, policy: Policy, decision: Decision) -> Step:
    row = _ROW_BY_ID[decision.row]
    seen = [f"declared {facts.recipient_type}" if facts.recipient_type else "recipient type not declared"]
    if facts.lookup_failure is not None:
        seen.append(f"the index could not be asked ({facts.lookup_failure.words})")
    else:
        age = "age unknown" if facts.staleness_s is None else f"{facts.staleness_s} s behind the registry"
        seen += [*_records_seen(facts.channel, state), f"index {facts.freshness.words}, {age}"]
    if policy.merchant_unrecorded_allow and facts.recipient_type is RecipientType.BUSINESS:
        seen.append("merchant_unrecorded_allow = true")
    if not policy.any_refusal_drops:
        seen.append("any_refusal_drops = false")
    if facts.is_dealer:
        seen.append("the sender is a dealer")
    if facts.is_abroad and facts.channel is not Channel.EMAIL:
        seen.append(f"outside Turkey, abroad = {policy.abroad}")
    return Step(row.id, row.situation_en, "; ".join(seen), _result(decision), row.ground, True)


def _records_seen(channel: Channel | None, state: State | None) -> list[str]:
    if channel is None or not state:
        return ["no record"]
    seen = []
    for kind in RecipientType:
        record = state.get((channel, kind))
        if record is not None:
            given_on = datetime.fromtimestamp(record.consent_at, UTC).isoformat()
            whose = "our own" if record.own else record.source
            seen.append(f"{kind}: {record.status} on {given_on}, {whose}{_OPEN if record.is_open else ''}")
    return seen or ["no record"]


def _result(decision: Decision) -> str:
    opt_out = f", opt-out {decision.opt_out}" if decision.verdict is Verdict.PERMIT else ""
    return f"{decision.verdict} {decision.reason}{opt_out}"


def _record_as_json(record: Consent, kind: RecipientType | None) -> dict[str, Any]:
    return {
        "recipient_type": kind.value if kind else None,
        "status": record.status.value,
        "consent_at": record.consent_at,
        "source": record.source,
        "own": record.own,
    }
