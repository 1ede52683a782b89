"""Deciding and recording in bulk says, for each recipient, what deciding and recording it alone would say."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from filters.brand import Brand
from filters.consent import CHANNELS, RECIPIENT_TYPES, SOURCES, Consent, pack, unpack
from filters.consent_key import ConsentKeys
from filters.decision.decide import Facts, decide
from filters.decision.policy import Abroad, Policy
from filters.evidence.record import recipient_entry
from filters.sms.judgement import BatchJudge, Settlement, print_entries
from filters.vocabulary import (
    Channel,
    FreshnessState,
    LookupFailure,
    MessageClass,
    Outcome,
    RecipientType,
    Status,
    Verdict,
)

NOW = 1_790_000_000
BRAND = Brand(600123, 600123, "Örnek", title="Örnek A.Ş.", mersis="0123456789012345")

consents = st.builds(
    Consent,
    st.sampled_from(Status),
    st.one_of(st.integers(NOW - 1000, NOW + 1000), st.integers(0, 2**32 - 2)),
    st.sampled_from(SOURCES),
    st.booleans(),
)
states = st.dictionaries(st.tuples(st.sampled_from(CHANNELS), st.sampled_from(RECIPIENT_TYPES)), consents, max_size=6)
values = st.one_of(st.none(), states.map(pack), st.binary(min_size=1, max_size=20))
facts = st.builds(
    Facts,
    message_class=st.sampled_from(MessageClass),
    channel=st.sampled_from(CHANNELS),
    recipient_type=st.none() | st.sampled_from(RecipientType),
    brand=st.just(BRAND),
    freshness=st.sampled_from(FreshnessState),
    now=st.just(NOW),
    lookup_failure=st.none() | st.sampled_from(LookupFailure),
    is_tagged=st.booleans(),
    is_opt_out_possible=st.booleans(),
)


@given(facts, st.lists(st.tuples(values, st.booleans()), max_size=12), st.sampled_from(Abroad))
def test_a_batch_is_judged_as_each_of_it_alone(
    asked: Facts, recipients: list[tuple[bytes | None, bool]], abroad: Abroad
) -> None:
    policy = Policy(abroad=abroad)
    judge = BatchJudge(asked, policy)
    for value, is_abroad in recipients:
        alone = asked._replace(is_abroad=is_abroad)
        try:
            expected = decide(alone, unpack(value) if value else None, policy)
        except ValueError:
            expected = decide(alone._replace(lookup_failure=LookupFailure.BROKEN), None, policy)
        decision = judge.judge(value, is_abroad).decision
        assert decision._replace(record=None) == expected._replace(record=None)


settlements = st.builds(
    Settlement,
    st.sampled_from(["R1", "R10", "G4", ""]),
    st.sampled_from(["CONSENT", "REFUSED", ""]),
    st.sampled_from(Verdict),
    st.sampled_from(Outcome),
    st.sampled_from(["", "00", "hash:0123456789abcdef", "50%", "%s"]),
)


@given(
    st.sampled_from(CHANNELS),
    st.none() | st.sampled_from(RecipientType),
    st.booleans(),
    st.lists(st.tuples(st.binary(min_size=10, max_size=10), st.none() | states.map(pack), settlements, st.booleans())),
)
def test_entries_printed_in_bulk_are_those_of_each_alone(
    channel: Channel,
    declared: RecipientType | None,
    was_read: bool,
    recipients: list[tuple[bytes, bytes | None, Settlement, bool]],
) -> None:
    distinct = list(dict.fromkeys(settlement for _, _, settlement, _ in recipients))
    digest = "ab" * 32
    printed: list[Any] = orjson.loads(
        orjson.dumps(
            print_entries(
                channel,
                declared,
                [key for key, _, _, _ in recipients],
                [value or None for _, value, _, _ in recipients] if was_read else None,
                distinct,
                [distinct.index(settlement) for _, _, settlement, _ in recipients],
                [digest if was_sent else "" for _, _, _, was_sent in recipients],
            )
        )
    )
    assert len(printed) == len(recipients)
    for entry, (key, value, (row, reason, verdict, outcome, reply), was_sent) in zip(printed, recipients, strict=True):
        state = unpack(value or b"") if was_read else None
        alone = recipient_entry(
            key, channel, declared, state, row, reason, verdict, outcome, digest if was_sent else ""
        )
        alone["reply"] = reply
        assert entry == orjson.loads(orjson.dumps(alone))


@given(st.integers(1, 10**12), st.lists(st.binary(max_size=80)))
def test_keys_derived_together_are_those_derived_alone(brand: int, addresses: list[bytes]) -> None:
    keys = ConsentKeys(b"k" * 32)
    assert keys.derive_many(brand, addresses) == [keys.derive(brand, address) for address in addresses]
