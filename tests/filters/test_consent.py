"""The latest will of a person, however the news of it arrives."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.consent import (
    CHANNELS,
    ENTRY_BYTES,
    RECIPIENT_TYPES,
    SOURCES,
    Change,
    Consent,
    State,
    apply_changes,
    merge,
    merge_packed,
    pack,
    pack_change,
    unpack,
    wins_over,
)
from filters.vocabulary import Channel, RecipientType, Status

KEY = b"0123456789"
KNOWN_SOURCES = [name for name in SOURCES if name not in ("UNKNOWN", "OTHER_REGISTRY")]

consents = st.builds(
    Consent,
    st.sampled_from(Status),
    st.integers(0, 2**32 - 1) | st.integers(1_000, 1_003),  # close together, so that dates meet
    st.sampled_from(KNOWN_SOURCES),
    st.booleans(),
    st.just(False),
)
states = st.dictionaries(st.tuples(st.sampled_from(CHANNELS), st.sampled_from(RECIPIENT_TYPES)), consents)
changes = st.builds(Change, st.just(KEY), st.sampled_from(CHANNELS), st.sampled_from(RECIPIENT_TYPES), consents)
# Of one slot, nearly at one time: what is left to tell them apart is status, origin and source.
close_changes = st.builds(
    Change,
    st.just(KEY),
    st.just(Channel.EMAIL),
    st.sampled_from(RECIPIENT_TYPES),
    st.builds(
        Consent,
        st.sampled_from(Status),
        st.integers(1_000, 1_001),
        st.sampled_from(KNOWN_SOURCES),
        st.booleans(),
        st.just(False),
    ),
)


def state_after(given_changes: list[Change]) -> State:
    state: State = {}
    for change in given_changes:
        merge(state, change.channel, change.recipient_type, change.consent)
    return state


def packed_after(given_changes: list[Change]) -> bytes:
    value = b""
    for change in given_changes:
        value = merge_packed(value, pack_change(change))
    return value


@given(states)
def test_packing_keeps_everything(state: State) -> None:
    """What goes in comes out, six bytes a record."""
    packed = pack(state)
    assert unpack(packed) == state
    assert len(packed) == ENTRY_BYTES * len(state)


@given(st.lists(close_changes, max_size=5))
def test_the_order_of_arrival_does_not_matter(given_changes: list[Change]) -> None:
    """All permutations of the same changes end in the same state, source and origin included (E3, E4), and in the same
    bytes, merged one by one or packed already."""
    orders = [list(order) for order in itertools.permutations(given_changes)]
    expected = state_after(given_changes)
    assert all(state_after(order) == expected for order in orders)
    assert {apply_changes(None, order) for order in orders} == {pack(expected)}
    assert {packed_after(order) for order in orders} == {pack(expected)}


@given(consents, consents)
def test_of_two_different_records_exactly_one_wins(one: Consent, other: Consent) -> None:
    """Whichever came first; none wins over itself."""
    assert wins_over(one, other) + wins_over(other, one) == (one != other)


@given(st.lists(changes, max_size=8))
def test_merging_entries_into_bytes_is_merging_states(given_changes: list[Change]) -> None:
    """The way imports take, without unpacking, ends in the bytes of the plain way."""
    assert packed_after(given_changes) == pack(state_after(given_changes))


@given(st.lists(changes, max_size=6))
def test_repeating_a_change_changes_nothing(given_changes: list[Change]) -> None:
    """A push that comes twice is harmless."""
    once = apply_changes(None, given_changes)
    assert apply_changes(once, given_changes) == once


@given(st.lists(changes, max_size=8))
def test_applying_to_packed_values_is_merging_states(given_changes: list[Change]) -> None:
    """The short way over bytes and the plain way agree."""
    assert unpack(apply_changes(None, given_changes)) == state_after(given_changes)


@given(states, consents)
def test_a_refusal_is_only_lifted_by_a_later_approval(state: State, news: Consent) -> None:
    """For every slot that holds a refusal: afterwards it is a refusal still, or an approval dated after it."""
    slot = (Channel.EMAIL, RecipientType.INDIVIDUAL)
    before = state.get(slot)
    merge(state, *slot, news)
    after = state.get(slot)
    if before is not None and before.status is Status.REJECTED:
        assert after is not None
        assert after.status is Status.REJECTED or after.consent_at > before.consent_at


def test_at_the_same_second_the_refusal_stands() -> None:
    """Whichever of the two comes first."""
    yes = Consent(Status.APPROVED, 1000, "HS_WEB")
    no = Consent(Status.REJECTED, 1000, "IYS_WEB")
    for order in ((yes, no), (no, yes)):
        state: State = {}
        for consent in order:
            merge(state, Channel.EMAIL, RecipientType.INDIVIDUAL, consent)
        assert state[Channel.EMAIL, RecipientType.INDIVIDUAL].status is Status.REJECTED


def test_our_refusal_seen_in_the_registry_is_no_longer_only_ours() -> None:
    """The registry's record of the same second takes the place of our own."""
    state: State = {}
    ours = Consent(Status.REJECTED, 1000, "HS_EPOSTA", own=True)
    merge(state, Channel.EMAIL, RecipientType.INDIVIDUAL, ours)
    assert merge(state, Channel.EMAIL, RecipientType.INDIVIDUAL, ours._replace(own=False))
    assert not state[Channel.EMAIL, RecipientType.INDIVIDUAL].own


def test_a_source_the_registry_invents_tomorrow_is_kept_as_the_registrys() -> None:
    """The set of IYS sources is open (API reference, 2.2)."""
    state = {(Channel.SMS, RecipientType.BUSINESS): Consent(Status.APPROVED, 5, "IYS_YARIN")}
    assert unpack(pack(state))[Channel.SMS, RecipientType.BUSINESS].source == "OTHER_REGISTRY"


@pytest.mark.parametrize(
    "value", [b"\x00", b"\x00\x01\x00\x00\x00", b"\x07\x00\x00\x00\x00\x01", b"\x00\x7f\x00\x00\x00\x01"]
)
def test_bytes_that_packing_cannot_have_made_are_refused(value: bytes) -> None:
    """A broken store is noticed instead of being read as somebody's consent."""
    with pytest.raises(ValueError, match="packed consent"):
        unpack(value)
