"""A number written anew for a Turkish provider is read back as the same number."""

from __future__ import annotations

import pytest

from filters.phone import parse_phone
from filters.sms.dialects.answers import find_number
from filters.sms.dialects.spelled_numbers import (
    dialled_digits,
    national_digits,
    read_number,
    read_number_list,
    read_numbers,
)
from loadtest.providers.simulator import ten_digits


@pytest.mark.parametrize("e164", ["+905321110001", "+902121110001", "+4915112345678", "+12025550123", "+35722123456"])
def test_a_composed_number_is_the_same_number(e164: str) -> None:
    """At home and abroad: without its prefix a foreign number could be taken for a Turkish one."""
    number = parse_phone(e164)
    for spelled in (national_digits(number), dialled_digits(number)):
        read = read_number(spelled, "no")
        assert read is not None
        assert read.e164 == e164


def test_no_number_stays_no_number() -> None:
    """What could not be parsed keeps its place, as something that no provider sends to."""
    for spelled in (national_digits(None), dialled_digits(None)):
        assert read_number(spelled, "no") is None


def test_a_list_keeps_spelling_and_order() -> None:
    """Blanks around a number belong to the list, not to the number."""
    read = read_number_list("05321110001, +905321110002,bad", "dest")
    assert [(number.e164 if number else None, spelled) for number, spelled in read] == [
        ("+905321110001", "05321110001"),
        ("+905321110002", "+905321110002"),
        (None, "bad"),
    ]


@pytest.mark.parametrize("spelled", ["+5351234567", "+53 51234567", "(+53) 51234567", "+(53) 51234567", "+5016101234"])
def test_a_number_that_is_another_one_without_its_plus_is_none(spelled: str) -> None:
    """Cuba's and Belize's numbers are as long as Turkish mobile numbers: who drops the plus writes to somebody of whom
    nobody asked the index. The simulated providers do."""
    assert ten_digits(spelled) in ("5351234567", "5016101234")
    assert read_number(spelled, "no") is None
    assert find_number(spelled, "phones", 0) is None
    assert read_numbers(["5321110001", spelled], "no")[1] is None
    assert read_number_list(f"5321110001,{spelled}", "dest")[1] == (None, spelled)


@pytest.mark.parametrize("spelled", ["005351234567", "+4915112345678", "+905321110001", "+525512345678"])
def test_a_number_that_is_none_without_its_plus_needs_no_other_spelling(spelled: str) -> None:
    """With 00 there is nothing to drop."""
    read = [read_number(spelled, "no"), find_number(spelled, "phones", 0), *read_numbers([spelled], "no")]
    assert read == [parse_phone(spelled)] * 3
