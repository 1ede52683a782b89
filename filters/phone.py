"""Phone numbers: one strict parser; all spellings of a number give one E.164 value.

The grammar is ours and small; which numbers exist is the ``phonenumbers`` library's knowledge (the registry checks with
the same data, İYS API reference 2.3). Accepted: ASCII digits; one space, dot or hyphen between groups; one group in
parentheses; ``+`` or the region's ``00`` before a country code; in Turkey also ``90`` before ten digits, a leading
``0``, or the bare national number. Refused, because a provider might read them otherwise: other digits, letters,
extensions, two numbers in one, blanks around the number, and a trunk ``0`` after the country code (``+90 0532 …``: the
registry can hold such a record, invisible to every check).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import NamedTuple

import phonenumbers


class PhoneNumber(NamedTuple):
    """A phone number, made only by ``parse_phone``.

    ``e164`` has the leading plus; ``key`` is the same in bytes, under which consent is looked up; ``spelled`` is what
    the client wrote.
    """

    e164: str
    key: bytes
    spelled: str

    @property
    def is_abroad(self) -> bool:
        """Whether the country code is not Turkey's (edge case E20)."""
        return not self.e164.startswith("+90")

    @property
    def hangs_on_its_plus(self) -> bool:
        """Whether whoever drops the plus, as Turkish providers may, has a Turkish mobile number: +5351234567 is a
        number in Cuba, 5351234567 another person's in Turkey."""
        return len(self.e164) == 11 and self.e164[1] == "5" and "+" in self.spelled


class PhoneProblem(StrEnum):
    """Why a phone number was refused; closed. ``sentence`` holds nothing of the number."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    FOREIGN_DIGITS = "foreign_digits"
    LETTERS = "letters"
    SPELLING = "spelling"
    TRUNK_ZERO = "trunk_zero"
    NOT_ASSIGNED = "not_assigned"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES: dict[PhoneProblem, str] = {
    PhoneProblem.EMPTY: "the number is empty",
    PhoneProblem.TOO_LONG: "the number is longer than any phone number",
    PhoneProblem.FOREIGN_DIGITS: "the number holds digits other than 0 to 9",
    PhoneProblem.LETTERS: "the number holds letters",
    PhoneProblem.SPELLING: "the number is not spelled as one phone number",
    PhoneProblem.TRUNK_ZERO: "a zero follows the country code",
    PhoneProblem.NOT_ASSIGNED: "no such number exists in the numbering plan",
}


class PhoneError(ValueError):
    """The number cannot be accepted; its text is ``problem.sentence`` and never holds the number."""

    def __init__(self, problem: PhoneProblem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


MAX_SPELLED_CHARACTERS = 32
"""E.164 has 15 digits; prefix, separators and parentheses at most double them."""

MAX_E164_DIGITS = 15


def _mobile_pattern() -> str:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region("TR")
    if metadata is None or metadata.mobile is None or metadata.mobile.national_number_pattern is None:
        raise RuntimeError("phonenumbers holds no numbering plan of Turkey")
    return metadata.mobile.national_number_pattern


# The library's own pattern, so that the short way accepts nothing that the long way would not.
_MOBILE = rf"(?:\+90|0090|90|0)?({_mobile_pattern()})"
_TURKISH_MOBILE = re.compile(_MOBILE, re.ASCII).fullmatch
_TURKISH_MOBILES = re.compile(rf"^{_MOBILE}$", re.ASCII | re.MULTILINE).findall
_AT_ONCE = 1000
"""Numbers looked at by one call: it holds everybody else up for about a millisecond, and one number that is spelled
otherwise makes no more than these take the longer way."""

# The country code may be in parentheses with its plus; one further group may be in parentheses.
_SPELLING = re.compile(
    r"(?:\(\+[0-9]{1,3}\)[ ]?|\+)?(?:[0-9]++|\([0-9]{1,5}\))(?:[ .-]?\([0-9]{1,5}\)|[ .-][0-9]++|(?<=\))[0-9]++)*+"
).fullmatch


def parse_phone(text: str, default_region: str = "TR") -> PhoneNumber:
    """The number behind ``text``; national spellings are those of ``default_region``. Raises ``PhoneError``."""
    if default_region == "TR" and len(text) <= MAX_SPELLED_CHARACTERS and (plain := _TURKISH_MOBILE(text)):
        return _number(f"+90{plain[1]}", text)
    digits = _read_digits(text)
    if default_region == "TR" and (plain := _TURKISH_MOBILE(digits)):
        return _number(f"+90{plain[1]}", text)
    return _number(_resolve(digits, default_region), text)


def parse_phones(spelled: Sequence[str]) -> list[PhoneNumber | None]:
    """``parse_phone`` for each of ``spelled`` in Turkey, None where it would raise; a third of the time where they are
    plain mobile numbers."""
    numbers: list[PhoneNumber | None] = []
    for begin in range(0, len(spelled), _AT_ONCE):
        part = spelled[begin : begin + _AT_ONCE]
        lines = "\n".join(part)
        national: list[str] = _TURKISH_MOBILES(lines)
        # As many lines as numbers, and each of them is one: no number has a line's end in it.
        if len(national) == len(part) and lines.count("\n") == len(part) - 1:
            e164 = "+90" + "\n+90".join(national)
            numbers.extend(map(_make, zip(e164.split("\n"), e164.encode("ascii").split(b"\n"), part, strict=True)))
        else:
            numbers.extend(map(_find, part))
    return numbers


def _find(spelled: str) -> PhoneNumber | None:
    try:
        return parse_phone(spelled)
    except PhoneError:
        return None


_new = tuple.__new__
_make: Callable[[tuple[str, bytes, str]], PhoneNumber] = partial(_new, PhoneNumber)


def _number(e164: str, spelled: str) -> PhoneNumber:
    return _new(PhoneNumber, (e164, e164.encode("ascii"), spelled))  # half the time of the class's own way


def _read_digits(text: str) -> str:
    """The digits of ``text`` in order, with a leading plus if it has one."""
    if not text:
        raise PhoneError(PhoneProblem.EMPTY)
    if len(text) > MAX_SPELLED_CHARACTERS:
        raise PhoneError(PhoneProblem.TOO_LONG)
    if any(character > "\x7f" and character.isnumeric() for character in text):
        raise PhoneError(PhoneProblem.FOREIGN_DIGITS)
    if any(character.isalpha() for character in text):
        raise PhoneError(PhoneProblem.LETTERS)
    has_bracketed_country = text.startswith("(+")
    if not _SPELLING(text) or text.count("(") > 1 + has_bracketed_country:
        raise PhoneError(PhoneProblem.SPELLING)
    digits = "".join(character for character in text if character in "0123456789")
    return f"+{digits}" if "+" in text else digits


def _resolve(digits: str, region: str) -> str:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    if metadata is None:
        raise ValueError(f"default region: expected an ISO 3166 code such as TR, found {region!r}")
    international = ""
    if digits.startswith("+"):
        international = digits
    elif digits.startswith("00") and metadata.international_prefix == "00":
        international = f"+{digits[2:]}"
    elif region == "TR" and len(digits) == 12 and digits.startswith("90"):
        international = f"+{digits}"
    if len(international or digits) > MAX_E164_DIGITS + 1:
        raise PhoneError(PhoneProblem.TOO_LONG)
    try:
        number = phonenumbers.parse(international or digits, None if international else region)
    except phonenumbers.NumberParseException:
        raise PhoneError(PhoneProblem.NOT_ASSIGNED) from None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    national = phonenumbers.national_significant_number(number)
    if international:
        # The library drops a trunk zero after the country code. That is a repair; a provider may do without.
        if e164 != international:
            raise PhoneError(PhoneProblem.TRUNK_ZERO)
    elif number.country_code != metadata.country_code or digits not in (
        national,
        f"{metadata.national_prefix or ''}{national}",
    ):
        raise PhoneError(PhoneProblem.SPELLING)
    if not phonenumbers.is_valid_number(number):
        raise PhoneError(PhoneProblem.NOT_ASSIGNED)
    return e164
