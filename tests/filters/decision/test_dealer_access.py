"""Lists of dealers: packed and read back, tied to one consent, and marking nothing that is not listed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.consent import CHANNELS, RECIPIENT_TYPES, Consent, State, pack, unpack
from filters.decision.dealer_access import (
    access_list,
    codes_in,
    dated,
    lists_to_read,
    mark_open,
    names_to_ask,
    read_at_of,
    subject_of,
)
from filters.vocabulary import Channel, RecipientType, Status

KEY = b"0123456789"
DEALER, OTHER = 10_000_001, 10_000_002
AT = 1_760_000_000
SLOT = (Channel.EMAIL, RecipientType.INDIVIDUAL)

codes = st.frozensets(st.integers(10_000_000, 99_999_999), max_size=5)
states = st.dictionaries(
    st.tuples(st.sampled_from(CHANNELS), st.sampled_from(RECIPIENT_TYPES)),
    st.builds(Consent, st.sampled_from(Status), st.integers(AT, AT + 3), st.just("HS_WEB")),
    max_size=6,
)


@given(codes)
def test_a_list_is_read_back_as_the_set_it_was(given_codes: frozenset[int]) -> None:
    """Neither order nor repetition of the numbers is kept."""
    packed = access_list(KEY, *SLOT, AT, [*given_codes, *given_codes]).packed
    assert codes_in(packed) == given_codes
    assert packed == access_list(KEY, *SLOT, AT, sorted(given_codes, reverse=True)).packed


@given(codes, st.sampled_from([0, AT, AT + 5]), st.booleans())
def test_when_it_was_read_and_who_took_it_stand_beside_the_dealers(
    given_codes: frozenset[int], read_at: int, is_taker_known: bool
) -> None:
    """No dealer has those numbers, so a list says the same with them and without."""
    made = access_list(KEY, *SLOT, AT, given_codes, read_at, is_taker_known=is_taker_known)
    assert (codes_in(made.packed), read_at_of(made.packed)) == (given_codes, read_at)
    assert subject_of(made.name) == (KEY, *SLOT)
    assert made.packed == dated(access_list(KEY, *SLOT, AT, given_codes, is_taker_known=is_taker_known).packed, read_at)


@given(codes, st.sampled_from([AT - 5, AT, AT + 5]), st.booleans(), st.sampled_from([AT, AT + 1]))
def test_what_is_not_to_be_read_again_is_known(
    given_codes: frozenset[int], read_at: int, is_taker_known: bool, consent_at: int
) -> None:
    """Yes or no; and a list read too long ago, one of another consent, and one that may lack the dealer are neither."""
    value = pack({SLOT: Consent(Status.APPROVED, consent_at, "HS_WEB")})
    made = access_list(KEY, *SLOT, AT, given_codes, read_at, is_taker_known=is_taker_known)
    for dealer in (DEALER, *given_codes):
        is_known = consent_at == AT and read_at >= AT and (is_taker_known or dealer in given_codes)
        wanted = lists_to_read([KEY], [value], dict([made]), dealer, AT)
        assert [tuple(each) for each in wanted] == ([] if is_known else [(made.name, consent_at)])
        (marked,) = mark_open([KEY], [value], dict([made]), dealer, AT)
        is_open = consent_at == AT and read_at >= AT and dealer in given_codes
        assert unpack(marked or b"")[SLOT].is_open is is_open


def test_a_list_that_is_not_there_is_to_be_read() -> None:
    """For consents only."""
    value = pack(
        {SLOT: Consent(Status.APPROVED, AT, "HS_WEB"), (Channel.SMS, SLOT[1]): Consent(Status.REJECTED, AT, "HS_WEB")}
    )
    assert [each.consent_at for each in lists_to_read([KEY, KEY], [value, None], {}, DEALER, 0)] == [AT]
    with pytest.raises(ValueError, match="name"):
        subject_of(KEY)


@given(states, st.dictionaries(st.tuples(st.sampled_from(CHANNELS), st.sampled_from(RECIPIENT_TYPES)), codes))
def test_exactly_the_listed_consents_are_open(
    state: State, listed: dict[tuple[Channel, RecipientType], frozenset[int]]
) -> None:
    """A refusal never is, a consent of another date never is, and nothing else of a record changes."""
    value = pack(state)
    lists = dict(access_list(KEY, *slot, AT, {*given_codes, DEALER}) for slot, given_codes in listed.items())
    (marked,) = mark_open([KEY], [value], lists, DEALER)
    for slot, consent in unpack(marked or b"").items():
        should = consent.status is Status.APPROVED and slot in listed and consent.consent_at == AT
        assert consent == state[slot]._replace(is_open=should)
    (unlisted,) = mark_open([KEY], [value], dict(access_list(KEY, *slot, AT, {OTHER}) for slot in listed), DEALER)
    assert unlisted == value


@given(states)
def test_only_consents_are_asked_about(state: State) -> None:
    """One name for each, however often the same recipient stands in a message."""
    names = names_to_ask([KEY, KEY, b"x" * 10], [pack(state) or None, pack(state) or None, None])
    consents = [slot for slot, consent in state.items() if consent.status is Status.APPROVED]
    assert sorted(names) == sorted(access_list(KEY, *slot, AT, ()).name for slot in consents)


def test_a_mark_that_stood_there_before_is_taken_away() -> None:
    """What a store holds cannot open a consent: only a list does."""
    value = bytearray(pack({SLOT: Consent(Status.APPROVED, AT, "HS_WEB")}))
    value[0] |= 0x10
    (marked,) = mark_open([KEY], [bytes(value)], {}, DEALER)
    assert not unpack(marked or b"")[SLOT].is_open


def test_bytes_of_two_neighbouring_numbers_are_no_third() -> None:
    """Numbers are compared at their own places, never across two of them."""
    packed = access_list(KEY, *SLOT, AT, ()).packed + bytes.fromhex("00989680 01000000")
    value = pack({SLOT: Consent(Status.APPROVED, AT, "HS_WEB")})
    name = access_list(KEY, *SLOT, AT, ()).name
    assert mark_open([KEY], [value], {name: packed}, 0x98968001) == [value]


@pytest.mark.parametrize("code", [0, 9_999_999, 100_000_000])
def test_numbers_that_no_dealer_has_are_not_kept(code: int) -> None:
    """The registry's dealers have eight digits."""
    with pytest.raises(ValueError, match="eight digits"):
        access_list(KEY, *SLOT, AT, [code])


@pytest.mark.parametrize("packed", [b"", b"\0\0", b"\0\0\0\0\0"])
def test_a_list_that_is_cut_off_is_refused(packed: bytes) -> None:
    """It is no empty list."""
    with pytest.raises(ValueError, match="cut off"):
        codes_in(packed)
