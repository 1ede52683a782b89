"""Each gate, row and edge case of the decision table, by its id, stated by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from filters.brand import Brand
from filters.consent import Consent, State, merge
from filters.consent_key import ConsentKeys
from filters.decision.decide import Decision, Facts, decide
from filters.decision.freshness import freshness
from filters.decision.policy import Abroad, Mixed, Policy
from filters.decision.table import EDGE_CASES, GATES, ROWS, OptOut
from filters.reason import Reason
from filters.vocabulary import (
    Channel,
    FreshnessState,
    LookupFailure,
    MessageClass,
    RecipientType,
    Status,
    Verdict,
)

NOW = 1_800_000_000
LAST_YEAR = NOW - 365 * 86400
BRAND = Brand(600123, 600123, "Örnek Mağaza", "Örnek Mağaza A.Ş.", "0123456789012345")

INDIVIDUAL, BUSINESS = RecipientType.INDIVIDUAL, RecipientType.BUSINESS
FRESH, AGING, STALE, BLIND, COLD = FreshnessState
DOWN = LookupFailure.UNREACHABLE
PERMIT, DROP = Verdict.PERMIT, Verdict.DROP

YES = Consent(Status.APPROVED, LAST_YEAR, "HS_WEB")
NO = Consent(Status.REJECTED, LAST_YEAR, "IYS_WEB")
OUR_NO = Consent(Status.REJECTED, LAST_YEAR, "HS_EPOSTA", own=True)
OUR_YES = Consent(Status.APPROVED, LAST_YEAR, "HS_WEB", own=True)
OPEN_YES = YES._replace(is_open=True)


def but(value: Any, **changes: Any) -> Any:
    """``value`` with some fields changed."""
    return value._replace(**changes) if hasattr(value, "_replace") else replace(value, **changes)


# Facts of a message to an individual, to a business, to somebody undeclared; of exempt ones; and by SMS.
IND = Facts(MessageClass.COMMERCIAL, Channel.EMAIL, INDIVIDUAL, BRAND, FRESH, NOW)
BUS = but(IND, recipient_type=BUSINESS)
UND = but(IND, recipient_type=None)
INF = but(IND, message_class=MessageClass.INFORMATIONAL)
SRV = but(IND, message_class=MessageClass.SERVICE)
PROMOTING_INF = but(INF, is_promotion_found=True)
PROMOTING_SRV = but(SRV, is_promotion_found=True)
SMS = but(IND, channel=Channel.SMS)
SMS_ABROAD = but(SMS, is_abroad=True)
DEALER = but(IND, is_dealer=True)

NAMELESS = but(BRAND, mersis="")
NAMED_BY_MESSAGE = but(IND, brand=NAMELESS, has_identity_in_message=True)
TRADESMAN = but(NAMELESS, trader_name="A B", trader_id="10000000146")

STRICT = Policy()
LENIENT = Policy(mixed=Mixed.LENIENT)
ALLOW_UNRECORDED = Policy(merchant_unrecorded_allow=True)
DECLARED_DECIDES = Policy(any_refusal_drops=False)
EXEMPT_ABROAD = Policy(abroad=Abroad.EXEMPT)


def state(individual: Consent | None = None, business: Consent | None = None) -> State:
    kept = {INDIVIDUAL: individual, BUSINESS: business}
    return {(Channel.EMAIL, kind): record for kind, record in kept.items() if record is not None}


def state_sms(individual: Consent) -> State:
    return {(Channel.SMS, INDIVIDUAL): individual}


class Claim(NamedTuple):
    """``outcome`` reads "verdict REASON[ by ROW][, opt-out[ advised]]"; without ROW the id is the row."""

    id: str
    says: str
    facts: Facts
    known: State | None
    outcome: str
    policy: Policy = STRICT


CLAIMS: list[tuple[Any, ...]] = [
    # Gates
    ("G1", "untagged is commercial", but(INF, is_tagged=False), None, "drop NO_CONSENT by R3"),
    ("G2", "brand without İYS number", but(IND, brand=but(BRAND, iys_code=0)), state(YES), "drop BRAND_UNREGISTERED"),
    ("G2", "brand not active", but(IND, brand=but(BRAND, is_active=False)), state(YES), "drop BRAND_UNREGISTERED"),
    ("G2", "no brand at all", but(IND, brand=None), state(YES), "drop BRAND_UNREGISTERED"),
    ("E8", "gateway not authorised", but(IND, is_authorised=False), state(YES), "drop AUTH_MISSING"),
    ("G3", "no identity", but(IND, brand=NAMELESS), state(YES), "drop IDENTITY_MISSING"),
    ("G3", "title missing", but(IND, brand=but(BRAND, title="")), state(YES), "drop IDENTITY_MISSING"),
    ("G3", "tradesman has name and number", but(IND, brand=TRADESMAN), state(YES), "permit CONSENT by R1, opt-out"),
    ("G3", "identity in the message", NAMED_BY_MESSAGE, state(YES), "permit CONSENT by R1, opt-out"),
    ("G4", "no place for the opt-out", but(IND, is_opt_out_possible=False), state(YES), "drop OPTOUT_IMPOSSIBLE"),
    ("G5", "our own refusal counts", IND, state(OUR_NO), "drop LOCAL_RET by R2"),
    ("G5", "our own refusal, merchant", BUS, state(None, OUR_NO), "drop LOCAL_RET by R7"),
    ("G5", "our own refusal, other type", BUS, state(OUR_NO, YES), "drop LOCAL_RET by E10"),
    ("G5", "our own refusal, undeclared", UND, state(OUR_NO), "drop LOCAL_RET by R12"),
    ("G6", "push is out of scope", but(IND, channel=None), None, "permit OUT_OF_SCOPE"),
    ("G6", "informational push", but(INF, channel=None), None, "permit OUT_OF_SCOPE"),
    # Rows, individuals
    ("R1", "consent, fresh", IND, state(YES), "permit CONSENT, opt-out"),
    ("R1", "consent, aging: enforced as fresh", but(IND, freshness=AGING), state(YES), "permit CONSENT, opt-out"),
    ("R2", "refusal", IND, state(NO), "drop REFUSED"),
    ("R3", "no record", IND, None, "drop NO_CONSENT"),
    ("R3", "empty record", IND, {}, "drop NO_CONSENT"),
    ("R3", "merchant consent does not serve an individual", IND, state(None, YES), "drop NO_CONSENT"),
    ("R4", "stale consent", but(IND, freshness=STALE), state(YES), "defer STALE"),
    ("R5", "stale refusal", but(IND, freshness=STALE), state(NO), "drop REFUSED"),
    ("R5", "stale and no record", but(IND, freshness=STALE), None, "drop NO_CONSENT"),
    ("R5", "refusal on a blind index", but(IND, freshness=BLIND), state(NO), "drop REFUSED"),
    ("R5", "our refusal on a cold index", but(IND, freshness=COLD), state(OUR_NO), "drop LOCAL_RET"),
    # Rows, merchants
    ("R6", "merchant consent", BUS, state(None, YES), "permit MERCHANT, opt-out"),
    ("R7", "merchant refusal", BUS, state(None, NO), "drop REFUSED"),
    ("R8", "merchant unrecorded", BUS, None, "drop MERCHANT_UNRECORDED"),
    ("R8", "individual's consent is no merchant's record", BUS, state(YES), "drop MERCHANT_UNRECORDED"),
    ("R8", "setting allows", BUS, None, "permit MERCHANT, opt-out", ALLOW_UNRECORDED),
    ("R8", "setting does not lift a refusal", BUS, state(NO), "drop REFUSED by E10", ALLOW_UNRECORDED),
    ("R8", "setting is for declared merchants only", IND, None, "drop NO_CONSENT by R3", ALLOW_UNRECORDED),
    ("R9", "stale merchant consent", but(BUS, freshness=STALE), state(None, YES), "defer STALE"),
    ("R9", "stale merchant refusal", but(BUS, freshness=STALE), state(None, NO), "drop REFUSED"),
    ("R9", "stale, unrecorded", but(BUS, freshness=STALE), None, "drop MERCHANT_UNRECORDED"),
    ("R9", "stale, unrecorded, setting allows", but(BUS, freshness=STALE), None, "defer STALE", ALLOW_UNRECORDED),
    # Rows, undeclared
    ("R10", "individual consent", UND, state(YES), "permit CONSENT, opt-out"),
    ("R10", "both consents", UND, state(YES, YES), "permit CONSENT, opt-out"),
    ("R10", "unless a merchant refusal exists", UND, state(YES, NO), "drop REFUSED by R12"),
    ("R11", "only a merchant consent", UND, state(None, YES), "drop TYPE_UNDECLARED"),
    ("R11", "the same, stale", but(UND, freshness=STALE), state(None, YES), "drop TYPE_UNDECLARED"),
    ("R12", "individual refusal", UND, state(NO), "drop REFUSED"),
    ("R12", "merchant refusal", UND, state(None, NO), "drop REFUSED"),
    ("R12", "whatever the setting of E10", UND, state(YES, NO), "drop REFUSED", DECLARED_DECIDES),
    ("R12", "on a blind index too", but(UND, freshness=BLIND), state(YES, NO), "drop REFUSED"),
    ("R13", "none", UND, None, "drop NO_CONSENT"),
    ("R13", "none, stale", but(UND, freshness=STALE), None, "drop NO_CONSENT"),
    ("R13", "consent, stale", but(UND, freshness=STALE), state(YES), "defer STALE"),
    # Rows, whoever
    ("R14", "never loaded", but(IND, freshness=COLD), None, "defer REGISTRY_DOWN"),
    ("R14", "half loaded", but(IND, freshness=COLD), state(YES), "defer REGISTRY_DOWN"),
    ("R14", "blind, consent", but(BUS, freshness=BLIND), state(None, YES), "defer REGISTRY_DOWN"),
    ("R14", "blind, none", but(UND, freshness=BLIND), None, "defer REGISTRY_DOWN"),
    ("R14", "blind, setting allows", but(BUS, freshness=BLIND), None, "defer REGISTRY_DOWN", ALLOW_UNRECORDED),
    *(
        ("R14", f"index {failure}", but(IND, lookup_failure=failure), None, "defer LOOKUP_FAILED")
        for failure in LookupFailure
    ),
    ("R14", "not asked: the state is not read", but(IND, lookup_failure=DOWN), state(YES), "defer LOOKUP_FAILED"),
    # Rows, exempt
    ("R15", "refused, no brand, index down", but(INF, brand=None, lookup_failure=DOWN), state(NO, NO), "permit EXEMPT"),
    ("R16", "service mail", but(SRV, freshness=COLD), state(NO), "permit EXEMPT_SERVICE, opt-out advised"),
    ("R17", "strict: commercial, no consent", PROMOTING_INF, None, "drop NO_CONSENT by R3"),
    ("R17", "strict: commercial, consent", PROMOTING_SRV, state(YES), "permit CONSENT by R1, opt-out"),
    ("R17", "strict: gates hold", but(PROMOTING_INF, brand=None), state(YES), "drop BRAND_UNREGISTERED by G2"),
    ("R17", "lenient: permit and warn", PROMOTING_INF, state(NO), "permit MIXED", LENIENT),
    ("R17", "lenient: service keeps its opt-out", PROMOTING_SRV, None, "permit MIXED, opt-out advised", LENIENT),
    (
        "R17",
        "promotion in commercial mail",
        but(IND, is_promotion_found=True),
        state(YES),
        "permit CONSENT by R1, opt-out",
    ),
    # Edge cases that need no more than a state
    ("E5", "a consent only we hold", IND, state(OUR_YES), "drop NO_CONSENT by R3"),
    ("E5", "a merchant's consent only we hold", UND, state(None, OUR_YES), "drop NO_CONSENT by R13"),
    ("E6", "nothing in the registry", IND, None, "drop NO_CONSENT by R3"),
    ("E7", "brand not registered", but(IND, brand=but(BRAND, iys_code=0)), state(YES), "drop BRAND_UNREGISTERED by G2"),
    ("E9", "both consents, individual", IND, state(YES, YES), "permit CONSENT by R1, opt-out"),
    ("E9", "both consents, merchant", BUS, state(YES, YES), "permit MERCHANT by R6, opt-out"),
    ("E10", "merchant refused, individual declared", IND, state(YES, NO), "drop REFUSED"),
    ("E10", "individual refused, merchant declared", BUS, state(NO, YES), "drop REFUSED"),
    ("E10", "by setting, the declared decides", IND, state(YES, NO), "permit CONSENT by R1, opt-out", DECLARED_DECIDES),
    ("E10", "by setting, but its own refusal still drops", IND, state(NO, YES), "drop REFUSED by R2", DECLARED_DECIDES),
    (
        "E10",
        "by setting, none under the declared type",
        IND,
        state(None, NO),
        "drop NO_CONSENT by R3",
        DECLARED_DECIDES,
    ),
    ("E11", "a consent that is not open to the dealer", DEALER, state(YES), "drop DEALER_NO_ACCESS"),
    ("E11", "a consent that is open to the dealer", DEALER, state(OPEN_YES), "permit CONSENT by R1, opt-out"),
    (
        "E11",
        "a merchant's record that is not open",
        but(DEALER, recipient_type=BUSINESS),
        state(None, YES),
        "drop DEALER_NO_ACCESS",
    ),
    ("E11", "nobody's type declared, not open", but(DEALER, recipient_type=None), state(YES), "drop DEALER_NO_ACCESS"),
    ("E11", "open only as a merchant", DEALER, state(YES, OPEN_YES), "drop DEALER_NO_ACCESS"),
    ("E11", "no record at all", DEALER, None, "drop NO_CONSENT by R3"),
    (
        "E11",
        "an unrecorded merchant lists nobody",
        but(DEALER, recipient_type=BUSINESS),
        None,
        "drop MERCHANT_UNRECORDED by R8",
        ALLOW_UNRECORDED,
    ),
    ("E11", "not open, and stale", but(DEALER, freshness=STALE), state(YES), "drop DEALER_NO_ACCESS"),
    ("E11", "open, but stale", but(DEALER, freshness=STALE), state(OPEN_YES), "defer STALE by R4"),
    ("E11", "not open, and blind", but(DEALER, freshness=BLIND), state(YES), "defer REGISTRY_DOWN by R14"),
    (
        "E11",
        "exempt mail of a dealer",
        but(DEALER, message_class=MessageClass.INFORMATIONAL),
        None,
        "permit EXEMPT by R15",
    ),
    ("E12", "the main firm needs no list", IND, state(YES), "permit CONSENT by R1, opt-out"),
    ("E13", "refused: the main firm", IND, state(NO), "drop REFUSED by R2"),
    ("E13", "refused: the dealer, whatever is listed", DEALER, state(but(NO, is_open=True)), "drop REFUSED by R2"),
    ("E15", "consent for SMS only", IND, state_sms(YES), "drop NO_CONSENT by R3"),
    ("E15", "refusal for SMS only", IND, state(YES) | state_sms(NO), "permit CONSENT by R1, opt-out"),
    ("E16", "asking for consent is commercial", IND, None, "drop NO_CONSENT by R3"),
    ("E17", "confirming a consent is informational", INF, None, "permit EXEMPT by R15"),
    ("E20", "abroad, same rules", SMS_ABROAD, None, "drop NO_CONSENT by R3"),
    ("E20", "abroad, exempt", SMS_ABROAD, None, "permit OUT_OF_SCOPE", EXEMPT_ABROAD),
    ("E20", "abroad, exempt, but refused", SMS_ABROAD, state_sms(NO), "drop REFUSED by R2", EXEMPT_ABROAD),
    ("E20", "at home the exemption is nothing", SMS, None, "drop NO_CONSENT by R3", EXEMPT_ABROAD),
    ("E20", "mail is never abroad", but(IND, is_abroad=True), None, "drop NO_CONSENT by R3", EXEMPT_ABROAD),
    ("E21", "a firm's mailbox, undeclared", UND, state(None, YES), "drop TYPE_UNDECLARED by R11"),
    ("E22", "a celebration tagged informational", PROMOTING_INF, None, "drop NO_CONSENT by R3"),
    ("E23", "a cart reminder", IND, None, "drop NO_CONSENT by R3"),
]

# Told below by tests of their own: they need time, two changes, or two recipients.
STORIES = {"E1", "E2", "E3", "E4", "E14", "E18", "E19", "E24"}


@pytest.mark.parametrize("claim", [Claim(*entry) for entry in CLAIMS], ids=lambda claim: f"{claim.id}: {claim.says}")
def test_the_table_decides(claim: Claim) -> None:
    """The row named by the id gives this verdict, for this reason, with this opt-out."""
    decision = decide(claim.facts, claim.known, claim.policy)
    assert tell(decision, claim.id) == claim.outcome


def tell(decision: Decision, expected_row: str) -> str:
    row = "" if decision.row == expected_row else f" by {decision.row}"
    opt_out = {OptOut.REQUIRED: ", opt-out", OptOut.RECOMMENDED: ", opt-out advised", OptOut.NONE: ""}[decision.opt_out]
    return f"{decision.verdict} {decision.reason}{row}{opt_out}"


def test_every_gate_row_and_edge_case_has_a_claim() -> None:
    """G1 to G6, R1 to R17 and E1 to E24 are all in the data, and each is tested under its id."""
    claimed = {claim[0] for claim in CLAIMS} | STORIES
    assert [gate.id for gate in GATES] == ["G1", "G2", "E8", "G3", "G4", "G5", "G6"]
    assert [row.id for row in ROWS] == [*(f"R{number}" for number in range(1, 18)), "E10", "E11", "E20"]
    assert [case.id for case in EDGE_CASES] == [f"E{number}" for number in range(1, 25)]
    assert claimed == {entry.id for table in (GATES, ROWS, EDGE_CASES) for entry in table}


def test_gates_on_the_way_are_told() -> None:
    """A message taken for commercial says why, in the decision and in its reply."""
    decision = decide(but(INF, is_tagged=False), state(OUR_NO), STRICT)
    assert decision.gates == ("G1", "G5")
    assert decision.noted == (Reason.TAG_MISSING,)
    assert decision.reply.text.startswith("LOCAL_RET (TAG_MISSING): ")
    mixed = decide(PROMOTING_INF, None, STRICT)
    assert (mixed.gates, mixed.noted) == (("R17",), (Reason.MIXED,))
    assert mixed.reply.text.startswith("NO_CONSENT (MIXED): ")
    plain = decide(IND, None, STRICT)
    assert (plain.gates, plain.reply) == ((), Reason.NO_CONSENT.reply)


def test_the_first_gate_answers() -> None:
    """With everything wrong at once, the gates answer in the order of the table."""
    facts = but(IND, brand=None, is_authorised=False, is_opt_out_possible=False, channel=None)
    assert decide(facts, None, STRICT).row == "G2"
    assert decide(but(facts, brand=NAMELESS), None, STRICT).row == "E8"
    assert decide(but(facts, brand=NAMELESS, is_authorised=True), None, STRICT).row == "G3"
    assert decide(but(facts, brand=BRAND, is_authorised=True), None, STRICT).row == "G4"


def test_the_record_that_counted_is_kept() -> None:
    """The decision holds the consent record behind it, for the evidence."""
    assert decide(IND, state(YES, YES), STRICT)[4:6] == (YES, INDIVIDUAL)
    assert decide(BUS, state(YES, YES), STRICT)[4:6] == (YES, BUSINESS)
    assert decide(IND, state(YES, OUR_NO), STRICT)[4:6] == (OUR_NO, BUSINESS)
    assert decide(IND, None, STRICT)[4:6] == (None, None)


def test_a_look_up_that_failed_leaves_no_record() -> None:
    """Whatever came with it, the evidence names nothing that was not certain."""
    for known in (state(YES), state(NO), state(None, OUR_NO)):
        assert decide(but(IND, lookup_failure=DOWN), known, STRICT) == decide(
            but(IND, lookup_failure=DOWN), None, STRICT
        )


def test_a_consent_dated_after_now_is_no_prior_consent() -> None:
    """Law 6/1 asks for prior consent; only the tolerated difference of clocks is let pass. A refusal counts anyway."""
    late = YES._replace(consent_at=NOW + STRICT.clock_tolerance_s + 1)
    assert decide(IND, state(late), STRICT).reason is Reason.NO_CONSENT
    tolerated = late._replace(consent_at=NOW + STRICT.clock_tolerance_s)
    assert decide(IND, state(tolerated), STRICT).reason is Reason.CONSENT
    assert decide(UND, state(None, late), STRICT).reason is Reason.NO_CONSENT
    assert decide(UND, state(None, tolerated), STRICT).reason is Reason.TYPE_UNDECLARED
    assert decide(IND, state(late._replace(status=Status.REJECTED)), STRICT).reason is Reason.REFUSED


# -- stories -----------------------------------------------------------------------------------------------------------


def after(*changes: Consent) -> Decision:
    known: State = {}
    for change in changes:
        merge(known, Channel.EMAIL, INDIVIDUAL, change)
    return decide(IND, known, STRICT)


REFUSED_TODAY = Consent(Status.REJECTED, NOW - 600, "HS_EPOSTA", own=True)


def test_e1_a_refusal_of_today_drops_at_once_though_the_registry_says_consent() -> None:
    """E1: the three business days are a limit, not a licence."""
    assert after(YES, REFUSED_TODAY)[:3] == (DROP, Reason.LOCAL_RET, "R2")


def test_e2_a_refusal_that_could_not_be_reported_drops_for_ever() -> None:
    """E2: the registry repeating its old consent every day changes nothing, ten years on."""
    known: State = {}
    merge(known, Channel.EMAIL, INDIVIDUAL, REFUSED_TODAY)
    for _ in range(30):
        merge(known, Channel.EMAIL, INDIVIDUAL, YES)
    much_later = but(IND, now=NOW + 10 * 365 * 86400)
    assert decide(much_later, known, STRICT).reason is Reason.LOCAL_RET


def test_e3_a_registry_consent_dated_after_the_refusal_permits() -> None:
    """E3: the later will rules, in whichever order the two arrive."""
    newer = Consent(Status.APPROVED, NOW - 60, "IYS_WEB")
    assert after(REFUSED_TODAY, newer).reason is Reason.CONSENT
    assert after(newer, REFUSED_TODAY).reason is Reason.CONSENT


def test_e4_a_consent_uploaded_later_but_dated_earlier_drops() -> None:
    """E4: upload time is not consent time; at the same second the refusal stands."""
    assert after(REFUSED_TODAY, YES).reason is Reason.LOCAL_RET
    assert after(REFUSED_TODAY, YES._replace(consent_at=REFUSED_TODAY.consent_at)).reason is Reason.LOCAL_RET
    assert after(REFUSED_TODAY._replace(own=False), YES).reason is Reason.REFUSED


def test_e14_consent_for_one_brand_is_nothing_for_another() -> None:
    """E14: the brand is part of the key, so another brand's record is never even found."""
    keys = ConsentKeys(b"0" * 32)
    index = {keys.derive(600123, b"a@example.com"): state(YES)}
    assert decide(IND, index.get(keys.derive(600123, b"a@example.com")), STRICT).reason is Reason.CONSENT
    assert decide(IND, index.get(keys.derive(600124, b"a@example.com")), STRICT).reason is Reason.NO_CONSENT


def test_e18_each_recipient_is_decided_by_itself() -> None:
    """E18: the verdicts of a list are the verdicts of its members, in any company and order."""
    states = [state(YES), state(NO), None, state(OUR_NO), state(YES, NO)]
    alone = [decide(IND, known, STRICT) for known in states]
    assert [decide(IND, known, STRICT) for known in reversed(states)] == alone[::-1]
    assert [decision.reason for decision in alone] == [
        Reason.CONSENT,
        Reason.REFUSED,
        Reason.NO_CONSENT,
        Reason.LOCAL_RET,
        Reason.REFUSED,
    ]


def test_e19_a_decision_taken_again_sees_what_happened_meanwhile() -> None:
    """E19: between acceptance and release a refusal arrives, or the index grows old."""
    known = state(YES)
    assert decide(IND, known, STRICT).verdict is PERMIT
    merge(known, Channel.EMAIL, INDIVIDUAL, REFUSED_TODAY)
    assert decide(IND, known, STRICT).verdict is DROP
    later = NOW + STRICT.stale_after_s + 1
    aged, _ = freshness(NOW, later, STRICT)
    assert decide(but(IND, now=later, freshness=aged), state(YES), STRICT).reason is Reason.STALE


def test_e24_a_refusal_of_the_last_hour_may_be_unknown_and_the_staleness_says_so() -> None:
    """E24: with the change feed's lag of an hour the index is fresh, the decision permits, the age travels along."""
    state_of_index, staleness_s = freshness(NOW - 3600, NOW, STRICT)
    facts = but(IND, freshness=state_of_index, staleness_s=staleness_s)
    assert decide(facts, state(YES), STRICT).reason is Reason.CONSENT
    assert facts.staleness_s == 3600
