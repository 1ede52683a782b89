"""Phone numbers: every spelling of a number is one E.164 value; what is not one number is refused."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.phone import PhoneError, PhoneNumber, PhoneProblem, parse_phone, parse_phones

ONE_NUMBER = "+905321234567"

SPELLINGS = [
    "+905321234567",
    "00905321234567",
    "905321234567",
    "05321234567",
    "5321234567",
    "0532 123 45 67",
    "532 123 45 67",
    "532 123 4567",
    "0532-123-45-67",
    "0532.123.45.67",
    "0 532 123 45 67",
    "(0532) 123 45 67",
    "(0532)1234567",
    "(532) 123-45-67",
    "0(532) 123 45 67",
    "0 (532) 123 45 67",
    "+90 532 123 45 67",
    "+90-532-123-45-67",
    "+90.532.123.45.67",
    "+90 (532) 123 45 67",
    "+90(532)1234567",
    "(+90) 532 123 45 67",
    "(+90)5321234567",
    "(+90) (532) 123 45 67",
    "0090 532 123 45 67",
    "90 532 123 45 67",
]

OTHERS = [
    ("02121234567", "+902121234567"),
    ("212 123 45 67", "+902121234567"),
    ("+90 212 123 45 67", "+902121234567"),
    ("+905012345678", "+905012345678"),
    ("05551234567", "+905551234567"),
    ("+44 20 7946 0018", "+442079460018"),
    ("0044 20 7946 0018", "+442079460018"),
    ("+1 212 555 0123", "+12125550123"),
    ("+1 (212) 555-0123", "+12125550123"),
    ("+49 30 901820", "+4930901820"),
    ("+39 06 698 81511", "+390669881511"),
    ("+90 392 123 45 67", "+903921234567"),
    ("005321234567", "+5321234567"),
]

REFUSED = [
    ("", PhoneProblem.EMPTY),
    (" ", PhoneProblem.SPELLING),
    ("+", PhoneProblem.SPELLING),
    ("-", PhoneProblem.SPELLING),
    (" 05321234567", PhoneProblem.SPELLING),
    ("05321234567 ", PhoneProblem.SPELLING),
    ("0532  1234567", PhoneProblem.SPELLING),
    ("0532--1234567", PhoneProblem.SPELLING),
    ("0532 - 1234567", PhoneProblem.SPELLING),
    ("05321234567-", PhoneProblem.SPELLING),
    ("-05321234567", PhoneProblem.SPELLING),
    ("++905321234567", PhoneProblem.SPELLING),
    ("+ 905321234567", PhoneProblem.SPELLING),
    ("90+5321234567", PhoneProblem.SPELLING),
    ("0532\t1234567", PhoneProblem.SPELLING),
    ("0532\n1234567", PhoneProblem.SPELLING),
    ("05321234567\n", PhoneProblem.SPELLING),
    ("0532\u00a01234567", PhoneProblem.SPELLING),
    ("0532\u200b1234567", PhoneProblem.SPELLING),
    ("0532\u20111234567", PhoneProblem.SPELLING),
    ("\u202d05321234567\u202c", PhoneProblem.SPELLING),
    ("\uff0b905321234567", PhoneProblem.SPELLING),
    ("0532/1234567", PhoneProblem.SPELLING),
    ("05321234567,05331234567", PhoneProblem.SPELLING),
    ("05321234567;05331234567", PhoneProblem.SPELLING),
    ("0532 123 45 67 / 68", PhoneProblem.SPELLING),
    ("05321234567 05331234567", PhoneProblem.TOO_LONG),
    ("0532 123 45 67-68", PhoneProblem.NOT_ASSIGNED),
    ("(0532 123 45 67", PhoneProblem.SPELLING),
    ("0532) 123 45 67", PhoneProblem.SPELLING),
    ("(0532) (123) 45 67", PhoneProblem.SPELLING),
    ("()5321234567", PhoneProblem.SPELLING),
    ("((532))1234567", PhoneProblem.SPELLING),
    ("0532 123 45 67 x12", PhoneProblem.LETTERS),
    ("05321234567 ext. 4", PhoneProblem.LETTERS),
    ("05321234567 dahili 4", PhoneProblem.LETTERS),
    ("05321234567#4", PhoneProblem.SPELLING),
    ("05321234567*4", PhoneProblem.SPELLING),
    ("0532 CALL NOW", PhoneProblem.LETTERS),
    ("tel:+905321234567", PhoneProblem.LETTERS),
    ("O5321234567", PhoneProblem.LETTERS),
    ("٠٥٣٢١٢٣٤٥٦٧", PhoneProblem.FOREIGN_DIGITS),
    ("０５３２１２３４５６７", PhoneProblem.FOREIGN_DIGITS),
    ("0532123456७", PhoneProblem.FOREIGN_DIGITS),
    ("0532123456²", PhoneProblem.FOREIGN_DIGITS),
    ("+9005321234567", PhoneProblem.TRUNK_ZERO),
    ("009005321234567", PhoneProblem.TRUNK_ZERO),
    ("+90 (0) 532 123 45 67", PhoneProblem.TRUNK_ZERO),
    ("9005321234567", PhoneProblem.SPELLING),
    ("+90532123456", PhoneProblem.NOT_ASSIGNED),
    ("+9053212345678", PhoneProblem.NOT_ASSIGNED),
    ("532123456", PhoneProblem.NOT_ASSIGNED),
    ("53212345678", PhoneProblem.NOT_ASSIGNED),
    ("+90", PhoneProblem.NOT_ASSIGNED),
    ("3338", PhoneProblem.NOT_ASSIGNED),
    ("112", PhoneProblem.NOT_ASSIGNED),
    ("0", PhoneProblem.NOT_ASSIGNED),
    ("0000000000", PhoneProblem.NOT_ASSIGNED),
    ("+999123456789", PhoneProblem.NOT_ASSIGNED),
    ("05991234567", PhoneProblem.NOT_ASSIGNED),
    ("+1234567890123456", PhoneProblem.TOO_LONG),
    ("9" * 17, PhoneProblem.TOO_LONG),
    ("9" * 1000, PhoneProblem.TOO_LONG),
    ("(" * 1000, PhoneProblem.TOO_LONG),
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_every_spelling_of_a_turkish_number_is_one_number(text: str) -> None:
    """Country code, prefixes and separators do not make a second person."""
    number = parse_phone(text)
    assert number == (ONE_NUMBER, ONE_NUMBER.encode(), text)
    assert not number.is_abroad


@pytest.mark.parametrize(("text", "e164"), OTHERS, ids=[text for text, _ in OTHERS])
def test_land_lines_and_numbers_abroad_follow_the_numbering_plan(text: str, e164: str) -> None:
    """What is not a Turkish mobile number is judged by the library's plan."""
    number = parse_phone(text)
    assert (number.e164, number.key) == (e164, e164.encode())
    assert number.is_abroad is not e164.startswith("+90")


@pytest.mark.parametrize(("text", "problem"), REFUSED, ids=[ascii(text)[:30] for text, _ in REFUSED])
def test_what_is_not_one_phone_number_is_refused(text: str, problem: PhoneProblem) -> None:
    """Refused, never repaired; the error does not hold the number."""
    with pytest.raises(PhoneError) as refused:
        parse_phone(text)
    assert refused.value.problem is problem
    assert str(refused.value) == problem.sentence


def test_national_spellings_are_those_of_the_default_region() -> None:
    """Another region has its own prefixes; an unknown one is a fault of the caller."""
    assert parse_phone("020 7946 0018", "GB").e164 == "+442079460018"
    assert parse_phone("(212) 555-0123", "US").e164 == "+12125550123"
    with pytest.raises(PhoneError):
        parse_phone("5321234567", "FR")
    with pytest.raises(ValueError, match="default region"):
        parse_phone("12345678", "XX")


@given(st.integers(0, 10**10 - 1).map(lambda number: f"{number:010}"))
def test_the_short_way_for_mobiles_accepts_what_the_library_does(national: str) -> None:
    """A number is accepted just if the numbering plan has it, in each spelling alike."""
    is_valid = phonenumbers.is_valid_number(phonenumbers.PhoneNumber(country_code=90, national_number=int(national)))
    is_valid = is_valid and not national.startswith("0")
    for text in (f"+90{national}", f"0090{national}", f"0{national}", f"90{national}"):
        if is_valid:
            assert parse_phone(text).e164 == f"+90{national}"
        elif not national.startswith("0"):
            with pytest.raises(PhoneError):
                parse_phone(text)


@given(st.one_of(st.text(max_size=40), st.text("+0123459() .-x", max_size=34)))
def test_any_text_is_one_e164_number_or_refused(text: str) -> None:
    """The value is E.164, is its own canonical spelling, and has the digits of the text; else ``PhoneError``."""
    try:
        number = parse_phone(text)
    except PhoneError:
        return
    assert re.fullmatch(r"\+[1-9][0-9]{5,14}", number.e164)
    assert parse_phone(number.e164).e164 == number.e164
    assert re.sub(r"[^0-9]", "", text).endswith(number.e164[3:])
    assert number.spelled == text


def _parse_alone(text: str) -> PhoneNumber | None:
    try:
        return parse_phone(text)
    except PhoneError:
        return None


@given(
    st.lists(
        st.sampled_from([*SPELLINGS, "", "\n", "5321234567\n", "5321234567\n5321234568", "+4915123456789", "x"])
        | st.from_regex(r"(\+90|0)?5[0-9]{9}", fullmatch=True)
        | st.text(max_size=14),
        max_size=40,
    ),
    st.sampled_from([1, 25, 40]),
)
def test_many_numbers_at_once_are_the_same_as_one_by_one(spelled: list[str], times: int) -> None:
    """Whatever stands between them, line ends within a number included."""
    listed = spelled * times
    assert parse_phones(listed) == [_parse_alone(text) for text in listed]
