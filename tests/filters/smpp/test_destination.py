"""Whose number a destination address is."""

from __future__ import annotations

import pytest

from filters.smpp.fields import Address
from filters.smpp.submission import find_number


@pytest.mark.parametrize(
    ("ton", "value", "e164"),
    [
        (1, "905321110001", "+905321110001"),
        (1, "5351234567", "+5351234567"),
        (1, "+5351234567", "+5351234567"),
        (0, "5351234567", "+905351234567"),
        (2, "5351234567", "+905351234567"),
        (0, "005351234567", "+5351234567"),
    ],
)
def test_the_type_of_number_says_how_digits_are_read(ton: int, value: str, e164: str) -> None:
    number = find_number(Address(ton, 1, value))
    assert number is not None
    assert number.e164 == e164


@pytest.mark.parametrize(("ton", "value"), [(0, "+5351234567"), (2, "+5351234567"), (3, "905321110001"), (5, "ORNEK")])
def test_an_address_that_may_be_somebody_elses_is_nobodys(ton: int, value: str) -> None:
    """Of an unknown or national type it has digits only: without the plus these are a Turkish mobile number's."""
    assert find_number(Address(ton, 1, value)) is None
