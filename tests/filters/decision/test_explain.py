"""The long form of a decision agrees with the decision and leaves nothing out."""

from __future__ import annotations

import json

import pytest

from filters.brand import Brand
from filters.consent import Consent, State
from filters.decision.decide import Facts, decide
from filters.decision.explain import Explanation, explain
from filters.decision.policy import Mixed, Policy
from filters.vocabulary import (
    Channel,
    FreshnessState,
    LookupFailure,
    MessageClass,
    RecipientType,
    Status,
)

NOW = 1_800_000_000
BRAND = Brand(600123, 600123, "Örnek", "Örnek A.Ş.", "0123456789012345")
FACTS = Facts(
    MessageClass.COMMERCIAL, Channel.EMAIL, RecipientType.INDIVIDUAL, BRAND, FreshnessState.FRESH, NOW, staleness_s=40
)
YES: State = {(Channel.EMAIL, RecipientType.INDIVIDUAL): Consent(Status.APPROVED, 1_700_000_000, "HS_WEB")}
OUR_NO: State = {
    (Channel.EMAIL, RecipientType.INDIVIDUAL): Consent(Status.REJECTED, 1_700_000_000, "HS_EPOSTA", own=True)
}
INFORMATIONAL = FACTS._replace(message_class=MessageClass.INFORMATIONAL)


def ids(explanation: Explanation) -> list[str]:
    return [step.id for step in explanation.steps]


@pytest.mark.parametrize(
    ("facts", "state", "policy", "asked"),
    [
        (FACTS, YES, Policy(), "G1 G2 E8 G3 G4 G5 G6 R1"),
        (FACTS, None, Policy(), "G1 G2 E8 G3 G4 G5 G6 R3"),
        (FACTS._replace(brand=None), YES, Policy(), "G1 G2"),
        (FACTS._replace(is_authorised=False), YES, Policy(), "G1 G2 E8"),
        (FACTS._replace(is_opt_out_possible=False), YES, Policy(), "G1 G2 E8 G3 G4"),
        (FACTS._replace(channel=None), None, Policy(), "G1 G2 E8 G3 G4 G5 G6"),
        (INFORMATIONAL, None, Policy(), "G1 R15"),
        (INFORMATIONAL._replace(channel=None), None, Policy(), "G1 G6"),
        (INFORMATIONAL._replace(is_promotion_found=True), None, Policy(), "G1 R17 G2 E8 G3 G4 G5 G6 R3"),
        (INFORMATIONAL._replace(is_promotion_found=True), None, Policy(mixed=Mixed.LENIENT), "G1 R17"),
        (INFORMATIONAL._replace(is_tagged=False), None, Policy(), "G1 G2 E8 G3 G4 G5 G6 R3"),
        (FACTS._replace(lookup_failure=LookupFailure.FOREIGN), None, Policy(), "G1 G2 E8 G3 G4 G5 G6 R14"),
    ],
)
def test_the_steps_are_the_gates_and_rows_in_the_order_asked(
    facts: Facts, state: State | None, policy: Policy, asked: str
) -> None:
    """The last step, and only that, is decisive, and it is the row of the decision."""
    explanation = explain(facts, state, policy)
    assert ids(explanation) == asked.split()
    assert [step.is_decisive for step in explanation.steps] == [False] * (len(explanation.steps) - 1) + [True]
    assert explanation.decision == decide(facts, state, policy)
    assert explanation.steps[-1].id == explanation.decision.row


def test_the_row_shows_what_was_read() -> None:
    """Declared type, records with date and source, age of the index, settings that matter."""
    seen = explain(FACTS, YES, Policy()).steps[-1].seen
    assert (
        seen == "declared individual; individual: approved on 2023-11-14T22:13:20+00:00, HS_WEB; "
        "index fresh, 40 s behind the registry"
    )
    merchant = FACTS._replace(recipient_type=RecipientType.BUSINESS, staleness_s=None)
    policy = Policy(merchant_unrecorded_allow=True, any_refusal_drops=False)
    assert explain(merchant, None, policy).steps[-1].seen == (
        "declared business; no record; index fresh, age unknown; merchant_unrecorded_allow = true; "
        "any_refusal_drops = false"
    )
    failed = FACTS._replace(lookup_failure=LookupFailure.ROLLED_BACK, recipient_type=None)
    assert explain(failed, None, Policy()).steps[-1].seen == (
        "recipient type not declared; the index could not be asked (rolled back)"
    )
    abroad = FACTS._replace(channel=Channel.SMS, is_abroad=True)
    assert "outside Turkey, abroad = same" in explain(abroad, None, Policy()).steps[-1].seen


def test_our_own_refusal_is_told_at_its_gate() -> None:
    """G5 says whose refusal it is, before the row drops it."""
    steps = {step.id: step for step in explain(FACTS, OUR_NO, Policy()).steps}
    assert steps["G5"].seen == "a refusal of ours, which the registry does not hold yet"
    assert steps["G5"].result == "decide as refused"
    assert steps["R2"].result == "drop LOCAL_RET"


def test_a_script_gets_plain_json() -> None:
    """Every value is a string, number, list or null, and the sentences come in both languages."""
    explanation = explain(FACTS, OUR_NO, Policy())
    read = json.loads(json.dumps(explanation.as_json()))
    assert (read["verdict"], read["reason"], read["row"], read["gates"]) == ("drop", "LOCAL_RET", "R2", ["G5"])
    assert read["record"] == {
        "recipient_type": "individual",
        "status": "rejected",
        "consent_at": 1_700_000_000,
        "source": "HS_EPOSTA",
        "own": True,
    }
    assert read["sentence_en"] == explanation.decision.reason.sentence_en
    assert read["sentence_tr"] == explanation.decision.reason.sentence_tr
    assert read["reply"].startswith("550 5.7.1 LOCAL_RET")
    assert [step["id"] for step in read["steps"]] == ids(explanation)
    assert explain(FACTS, None, Policy()).as_json()["record"] is None
