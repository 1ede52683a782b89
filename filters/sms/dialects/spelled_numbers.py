"""Numbers as requests spell them, and texts as requests share them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from filters.phone import PhoneError, PhoneNumber, parse_phone, parse_phones
from filters.sms.dialect import Fault, RequestRefusedError

_SEVERAL = re.compile(r"[,;|/\\&\r\n\t]").search
"""What separates numbers somewhere: a provider might split where our parser sees one bad number."""

INVALID = "0"
"""Stands for a number that could not be parsed where a request is composed anew; no parser takes it for a number."""


def read_number(spelled: str, where: str) -> PhoneNumber | None:
    """The number, or None where it is not surely one. Raises ``RequestRefusedError`` where it may be several."""
    try:
        number = parse_phone(spelled)
    except PhoneError:
        if _SEVERAL(spelled):
            raise RequestRefusedError(Fault.BAD_NUMBER, f"{where}: expected one number") from None
        return None
    return None if number.hangs_on_its_plus else number


def read_numbers(spelled: Sequence[str], where: str) -> list[PhoneNumber | None]:
    """``read_number`` for each of ``spelled``."""
    numbers = parse_phones(spelled)
    if None in numbers:
        for number, written in zip(numbers, spelled, strict=True):
            if number is None and _SEVERAL(written):
                raise RequestRefusedError(Fault.BAD_NUMBER, f"{where}: expected one number")
    if "+5" in "".join([number[0][:2] for number in numbers if number is not None]):
        return [None if number is not None and number.hangs_on_its_plus else number for number in numbers]
    return numbers


def read_number_list(spelled: str, where: str) -> list[tuple[PhoneNumber | None, str]]:
    """The numbers of a comma list, with their spelling without blanks around it. Raises ``RequestRefusedError``."""
    pieces = [piece.strip(" ") for piece in spelled.split(",")]
    if not all(pieces):
        raise RequestRefusedError(Fault.BAD_NUMBER, f"{where}: expected a number between commas")
    return [(read_number(piece, where), piece) for piece in pieces]


def national_digits(number: PhoneNumber | None) -> str:
    """Ten digits for a Turkish number, 00 and the country code before others."""
    if number is None:
        return INVALID
    return f"00{number.e164[1:]}" if number.is_abroad else number.e164[3:]


def dialled_digits(number: PhoneNumber | None) -> str:
    """90 and ten digits for a Turkish number, 00 and the country code before others, which without the 00 a Turkish
    provider may take for Turkish ones."""
    if number is None:
        return INVALID
    return f"00{number.e164[1:]}" if number.is_abroad else number.e164[1:]


def international_digits(number: PhoneNumber | None) -> str:
    """The digits with country code, without plus."""
    return INVALID if number is None else number.e164[1:]


class SharedTexts:
    """Numbers the texts of a request: equal texts get one number, so that each is looked at once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str, where: str) -> int:
        """The place of ``text`` in ``all``. Raises ``RequestRefusedError`` for a text with nothing in it."""
        found = self._numbers.get(text)
        if found is not None:
            return found
        if not text.strip():
            raise RequestRefusedError(Fault.NO_TEXT, f"{where}: expected something in it")
        if "\x00" in text:
            # Where a reader ends the text here, what follows (the opt-out) would not be sent.
            raise RequestRefusedError(Fault.MALFORMED, f"{where}: holds a zero character")
        self._numbers[text] = len(self._numbers)
        return self._numbers[text]

    def numbers(self, texts: Sequence[str], where: str) -> list[int]:
        """``number`` for each of ``texts``."""
        known = self._numbers
        places = list(range(len(texts)))
        different = dict(zip(texts, places, strict=True))
        is_plain = all(map(str.strip, different)) and "\x00" not in "".join(different)
        if is_plain and not known and len(different) == len(texts):
            self._numbers = different
            return places
        for text in different if is_plain else texts:
            self.number(text, where)
        return list(map(known.__getitem__, texts))

    @property
    def all(self) -> list[str]:
        """The texts, in the order in which they were met."""
        return list(self._numbers)
