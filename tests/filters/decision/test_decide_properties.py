"""What holds for every decision: total, deterministic, equal to the table, and never loosened by bad news."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.brand import Brand
from filters.consent import CHANNELS, RECIPIENT_TYPES, SOURCES, Consent, State, merge
from filters.decision.decide import Decision, Facts, decide, find_standing
from filters.decision.explain import explain
from filters.decision.policy import Abroad, Mixed, Policy
from filters.decision.table import (
    GATES,
    ROWS,
    SITUATIONS,
    TAG_SITUATIONS,
    OptOut,
    Situation,
    Standing,
    TagSituation,
    compile_rows,
    compile_tags,
)
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
FULL = Brand(600123, 600123, "Örnek", "Örnek A.Ş.", "0123456789012345")
BRANDS = (FULL, replace(FULL, iys_code=0), replace(FULL, is_active=False), replace(FULL, mersis=""), None)
POLICIES = tuple(
    Policy(merchant_unrecorded_allow=allow, any_refusal_drops=drops, mixed=mixed, abroad=abroad)
    for allow, drops, mixed, abroad in product((False, True), (False, True), Mixed, Abroad)
)
RECORDS = (
    None,
    Consent(Status.APPROVED, NOW - 100, "HS_WEB"),
    Consent(Status.REJECTED, NOW - 100, "IYS_WEB"),
    Consent(Status.REJECTED, NOW - 100, "HS_EPOSTA", own=True),
    Consent(Status.APPROVED, NOW - 100, "HS_WEB", own=True),
    Consent(Status.APPROVED, NOW + 10**6, "HS_WEB"),
    Consent(Status.APPROVED, NOW - 100, "HS_WEB", is_open=True),
)
REFUSALS = (RECORDS[2], RECORDS[3])
CHANNELS_AND_PUSH: tuple[Channel | None, ...] = (*Channel, None)
TYPES: tuple[RecipientType | None, ...] = (*RecipientType, None)


def all_facts(message_classes: tuple[MessageClass, ...], brands: tuple[Brand | None, ...]) -> Iterator[Facts]:
    for message_class, channel, kind, brand, freshness, failure, flags in product(
        message_classes,
        CHANNELS_AND_PUSH,
        TYPES,
        brands,
        FreshnessState,
        (None, LookupFailure.UNREACHABLE),
        product((False, True), repeat=6),
    ):
        yield Facts(message_class, channel, kind, brand, freshness, NOW, None, failure, *flags)


def states(channel: Channel | None) -> Iterator[State | None]:
    yield None
    if channel is None:
        return
    for individual, business in product(RECORDS, RECORDS):
        kept = {RecipientType.INDIVIDUAL: individual, RecipientType.BUSINESS: business}
        yield {(channel, kind): record for kind, record in kept.items() if record is not None}


def by_the_table(facts: Facts, state: State | None, policy: Policy) -> tuple[Verdict, Reason, str, OptOut]:
    """The decision found by reading the table from top to bottom, without anything compiled."""
    is_commercial = not facts.is_tagged or facts.message_class is MessageClass.COMMERCIAL
    if not is_commercial:
        tags = TagSituation(facts.message_class, facts.is_promotion_found, policy.mixed)
        row, tag_clause = next((r, c) for r in ROWS for c in r.tag_clauses if c.holds(tags))
        if tag_clause.verdict is not None:
            if facts.channel is None:
                return Verdict.PERMIT, Reason.OUT_OF_SCOPE, "G6", OptOut.NONE
            return tag_clause.verdict, tag_clause.reason, row.id, tag_clause.opt_out
    brand = facts.brand
    holds = {
        "is_registered": brand is not None and brand.iys_code > 0 and brand.is_active,
        "is_authorised": facts.is_authorised,
        "has_identity": facts.has_identity_in_message or bool(brand and brand.has_identity),
        "is_opt_out_possible": facts.is_opt_out_possible,
        "is_in_scope": facts.channel is not None,
    }
    for gate in GATES:
        if gate.verdict is not None and not holds[gate.fact]:
            return gate.verdict, gate.reason, gate.id, OptOut.NONE
    known = None if facts.lookup_failure else state
    standing, record, _ = find_standing(facts.channel, facts.recipient_type, known, facts.now, policy)
    if facts.is_dealer and standing is Standing.CONSENT and record is not None and not record.is_open:
        standing = Standing.NOT_OPEN
    situation = Situation(
        facts.recipient_type,
        standing,
        None if facts.lookup_failure else facts.freshness,
        policy.merchant_unrecorded_allow and not facts.is_dealer,
        facts.is_abroad and facts.channel is not Channel.EMAIL and policy.abroad is Abroad.EXEMPT,
    )
    row, clause = next((r, c) for r in ROWS for c in r.clauses if c.holds(situation))
    reason = clause.reason
    if record is not None and record.status is Status.REJECTED and record.own:
        reason = Reason.LOCAL_RET
    return clause.verdict, reason, row.id, clause.opt_out


def outcome(decision: Decision) -> tuple[Verdict, Reason, str, OptOut]:
    return decision.verdict, decision.reason, decision.row, decision.opt_out


# -- exhaustive --------------------------------------------------------------------------------------------------------


def test_every_situation_meets_exactly_one_clause() -> None:
    """The table has no hole and no contradiction."""
    assert set(compile_rows()) == set(SITUATIONS)
    assert set(compile_tags()) == set(TAG_SITUATIONS)
    assert len(SITUATIONS) == 3 * 6 * 6 * 2 * 2


@pytest.mark.parametrize("row", [row for row in ROWS if row.clauses], ids=lambda row: row.id)
def test_a_table_without_a_row_or_with_one_twice_is_noticed(row: object) -> None:
    """A table with a hole or a contradiction cannot be loaded."""
    kept = tuple(other for other in ROWS if other is not row)
    with pytest.raises(ValueError, match="0 clauses hold"):
        compile_rows(kept)
    with pytest.raises(ValueError, match="2 clauses hold"):
        compile_rows((*ROWS, row))


def test_decide_is_the_table_over_all_commercial_facts() -> None:
    """Each combination of facts, records and settings that reach a row is decided as the table reads."""
    flags = tuple((True, False, True, False, True, *last) for last in product((False, True), (False, True)))
    seen: set[str] = set()
    for policy, channel, kind, freshness, failure, extra in product(
        POLICIES, (Channel.EMAIL, Channel.SMS), TYPES, FreshnessState, (None, LookupFailure.BROKEN), flags
    ):
        facts = Facts(MessageClass.COMMERCIAL, channel, kind, FULL, freshness, NOW, None, failure, *extra)
        for state in states(channel):
            decision = decide(facts, state, policy)
            assert outcome(decision) == by_the_table(facts, state, policy)
            seen.add(decision.row)
    assert seen == {row.id for row in ROWS if row.clauses}


def test_decide_is_the_table_over_all_gates_and_tags() -> None:
    """Each combination of tags, brands and flags is decided as the table reads, with and without a record."""
    policies = (POLICIES[0], Policy(mixed=Mixed.LENIENT))
    state: State = {(Channel.EMAIL, RecipientType.INDIVIDUAL): RECORDS[1]}
    seen: set[str] = set()
    for number, facts in enumerate(all_facts(tuple(MessageClass), BRANDS)):
        policy = policies[number % 2]
        for known in (None, state):
            decision = decide(facts, known, policy)
            assert outcome(decision) == by_the_table(facts, known, policy)
            seen.add(decision.row)
    assert {gate.id for gate in GATES if gate.verdict} | {"R15", "R16", "R17"} <= seen


def test_nothing_commercial_is_permitted_without_an_index() -> None:
    """Cold, blind or not asked: no permission, whatever the records and settings say."""
    for policy, kind, (freshness, failure) in product(
        POLICIES,
        TYPES,
        [
            *((state, None) for state in (FreshnessState.BLIND, FreshnessState.COLD)),
            *((FreshnessState.FRESH, failure) for failure in LookupFailure),
        ],
    ):
        facts = Facts(MessageClass.COMMERCIAL, Channel.SMS, kind, FULL, freshness, NOW, None, failure, is_abroad=True)
        for state in states(Channel.SMS):
            assert decide(facts, state, policy).verdict is not Verdict.PERMIT


def test_an_older_index_never_turns_a_no_into_a_yes() -> None:
    """From fresh to cold, a permission can only be lost."""
    for policy, kind, is_abroad in product(POLICIES, TYPES, (False, True)):
        for state in states(Channel.SMS):
            was_permitted = True
            for freshness in FreshnessState:
                facts = Facts(MessageClass.COMMERCIAL, Channel.SMS, kind, FULL, freshness, NOW, is_abroad=is_abroad)
                is_permitted = decide(facts, state, policy).verdict is Verdict.PERMIT
                assert was_permitted or not is_permitted
                was_permitted = is_permitted


def test_a_refusal_under_any_type_never_helps() -> None:
    """With one more refusal in the state a drop or deferral stays one, under every setting."""
    for policy, kind, freshness, failure, is_abroad in product(
        POLICIES, TYPES, FreshnessState, (None, LookupFailure.TIMED_OUT), (False, True)
    ):
        facts = Facts(
            MessageClass.COMMERCIAL, Channel.SMS, kind, FULL, freshness, NOW, None, failure, is_abroad=is_abroad
        )
        for state in states(Channel.SMS):
            before = decide(facts, state, policy).verdict
            if before is Verdict.PERMIT:
                continue
            for slot_type, refusal in product(RecipientType, REFUSALS):
                assert refusal is not None
                worse = {**(state or {}), (Channel.SMS, slot_type): refusal}
                assert decide(facts, worse, policy).verdict is not Verdict.PERMIT


def test_a_refusal_of_the_declared_type_is_a_drop_whenever_the_index_answered() -> None:
    """A known refusal is final however old the index is; and by default so is one of the other type."""
    for policy, kind, freshness, slot_type, refusal in product(
        POLICIES, TYPES, FreshnessState, RecipientType, REFUSALS
    ):
        facts = Facts(MessageClass.COMMERCIAL, Channel.EMAIL, kind, FULL, freshness, NOW)
        for state in states(Channel.EMAIL):
            assert refusal is not None
            refused = {**(state or {}), (Channel.EMAIL, slot_type): refusal}
            decision = decide(facts, refused, policy)
            if policy.any_refusal_drops or kind in (None, slot_type):
                assert decision.verdict is Verdict.DROP
                assert decision.reason in (Reason.REFUSED, Reason.LOCAL_RET)
                assert decision.record is not None
                assert (decision.reason is Reason.LOCAL_RET) is decision.record.own


# -- Hypothesis --------------------------------------------------------------------------------------------------------

consents = st.builds(
    Consent,
    st.sampled_from(Status),
    st.integers(NOW - 10, NOW + 600),
    st.sampled_from(SOURCES),
    st.booleans(),
    st.booleans(),
)
slots = st.tuples(st.sampled_from(CHANNELS), st.sampled_from(RECIPIENT_TYPES))
any_state = st.one_of(st.none(), st.dictionaries(slots, consents, max_size=6))
facts_ = st.builds(
    Facts,
    message_class=st.sampled_from(MessageClass),
    channel=st.sampled_from(CHANNELS_AND_PUSH),
    recipient_type=st.sampled_from(TYPES),
    brand=st.sampled_from(BRANDS),
    freshness=st.sampled_from(FreshnessState),
    now=st.just(NOW),
    staleness_s=st.one_of(st.none(), st.integers(0, 10**6)),
    lookup_failure=st.one_of(st.none(), st.sampled_from(LookupFailure)),
    is_tagged=st.booleans(),
    is_promotion_found=st.booleans(),
    is_opt_out_possible=st.booleans(),
    has_identity_in_message=st.booleans(),
    is_authorised=st.booleans(),
    is_abroad=st.booleans(),
    is_dealer=st.booleans(),
)
policies = st.sampled_from(POLICIES)


@given(facts_, any_state, policies)
def test_every_input_is_decided_the_same_way_twice(facts: Facts, state: State | None, policy: Policy) -> None:
    """Total and deterministic; the state is only read; explanation and table agree."""
    before = dict(state) if state is not None else None
    decision = decide(facts, state, policy)
    assert decision == decide(facts, state, policy)
    assert state == before
    assert outcome(decision) == by_the_table(facts, state, policy)
    assert explain(facts, state, policy).decision == decision
    assert (decision.verdict is Verdict.PERMIT) is (decision.reply.code == 250)
    assert (decision.verdict is Verdict.DEFER) is decision.reply.is_temporary


@given(facts_, any_state, policies, slots, consents)
def test_merging_a_refusal_never_turns_a_drop_or_deferral_into_a_permission(
    facts: Facts, state: State | None, policy: Policy, slot: tuple[Channel, RecipientType], consent: Consent
) -> None:
    """However it is dated, for whatever channel and type, whoever's it is, and through the index's own merge."""
    was_permitted = decide(facts, state, policy).verdict is Verdict.PERMIT
    worse: State = dict(state or {})
    merge(worse, *slot, consent._replace(status=Status.REJECTED))
    if not was_permitted:
        assert decide(facts, worse, policy).verdict is not Verdict.PERMIT


@given(facts_, any_state, policies)
def test_a_dealer_is_never_permitted_what_the_main_firm_is_not(
    facts: Facts, state: State | None, policy: Policy
) -> None:
    """E11 only takes away; and without a single consent marked as open, nothing within the rules is left."""
    as_dealer = decide(facts._replace(is_dealer=True), state, policy)
    if as_dealer.verdict is Verdict.PERMIT:
        assert decide(facts._replace(is_dealer=False), state, policy).verdict is Verdict.PERMIT
        if as_dealer.opt_out is OptOut.REQUIRED:
            assert as_dealer.record is not None
            assert as_dealer.record.is_open


@given(facts_, any_state, policies, slots, consents)
def test_other_channels_do_not_matter(
    facts: Facts, state: State | None, policy: Policy, slot: tuple[Channel, RecipientType], consent: Consent
) -> None:
    """A record of another channel counts as none (Reg. 9/2)."""
    if slot[0] is not facts.channel:
        other: State = {**(state or {}), slot: consent}
        without: State = {key: record for key, record in (state or {}).items() if key != slot}
        assert decide(facts, other, policy) == decide(facts, without, policy)


@given(facts_, any_state, st.sampled_from([policy for policy in POLICIES if policy.any_refusal_drops]))
def test_a_permitted_commercial_message_always_carries_the_opt_out(
    facts: Facts, state: State | None, policy: Policy
) -> None:
    """Law 8/2: no permission of a row without the refusal means, but for what lies outside the rules."""
    decision = decide(facts, state, policy)
    if decision.verdict is Verdict.PERMIT and (facts.message_class is MessageClass.COMMERCIAL or not facts.is_tagged):
        assert decision.opt_out is OptOut.REQUIRED or decision.reason is Reason.OUT_OF_SCOPE


def test_the_standing_puts_refusals_first() -> None:
    """Refusal before consent, the declared type before the other."""
    found = {
        (own, other): find_standing(
            Channel.EMAIL,
            RecipientType.INDIVIDUAL,
            {
                slot: record
                for slot, record in (
                    ((Channel.EMAIL, RecipientType.INDIVIDUAL), RECORDS[own]),
                    ((Channel.EMAIL, RecipientType.BUSINESS), RECORDS[other]),
                )
                if record is not None
            },
            NOW,
            Policy(),
        )[0]
        for own, other in product((0, 1, 2), repeat=2)
    }
    assert found == {
        (0, 0): Standing.NONE,
        (0, 1): Standing.CONSENT_OTHERWISE,
        (0, 2): Standing.REFUSED_OTHERWISE,
        (1, 0): Standing.CONSENT,
        (1, 1): Standing.CONSENT,
        (1, 2): Standing.REFUSED_OTHERWISE,
        (2, 0): Standing.REFUSED,
        (2, 1): Standing.REFUSED,
        (2, 2): Standing.REFUSED,
    }
