"""Worldwide providers read the country code first; whom they would write to is whom we look up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.sms.dialects.international_numbers import find_international


@pytest.mark.parametrize(
    "spelled", ["905321110001", "+905321110001", "00905321110001", "05321110001", "+90 532 111 00 01"]
)
def test_spellings_of_one_turkish_number_are_one(spelled: str) -> None:
    """One key, and the sender's own spelling kept."""
    number = find_international(spelled)
    assert number is not None
    assert (number.e164, number.spelled) == ("+905321110001", spelled)


@pytest.mark.parametrize(("spelled", "e164"), [("14155550100", "+14155550100"), ("4915112345678", "+4915112345678")])
def test_numbers_abroad_need_no_plus(spelled: str, e164: str) -> None:
    """As these providers' documents write them."""
    number = find_international(spelled)
    assert number is not None
    assert number.e164 == e164


@pytest.mark.parametrize("spelled", ["5321110001", "(532) 111 00 01", "(532)1110001", "532-111-0001"])
def test_digits_with_two_readings_are_refused(spelled: str) -> None:
    """5321110001 is a Turkish mobile number without country code, and one in Cuba with it, whatever parts its
    groups."""
    assert find_international(spelled) is None


@pytest.mark.parametrize(
    "spelled", ["", "+", "abc", "905321110001,905321110002", "+9005321110001", "٩٠٥٣٢١١١٠٠٠١", "whatsapp:+905321110001"]
)
def test_what_is_no_single_number_is_refused(spelled: str) -> None:
    """None, so that it is answered for and never sent to."""
    assert find_international(spelled) is None


@given(st.text("0123456789+ ()-.x", max_size=18))
def test_a_plus_before_the_same_digits_never_means_somebody_else(spelled: str) -> None:
    """Digits that are accepted bare mean what they mean with a plus, or have no meaning with one."""
    bare, plus = find_international(spelled), find_international(f"+{spelled}")
    if bare is not None and plus is not None and not spelled.startswith("00"):
        assert bare.key == plus.key
