"""Numbers as worldwide providers read them: the country code first, with or without plus."""

from __future__ import annotations

from collections.abc import Sequence

from filters.phone import PhoneError, PhoneNumber, parse_phone, parse_phones

EXPECTED = "expected one number with its country code, such as +905320000000"
"""What the sender of any other hears; ten digits alone, 5320000000, are a number of another country to the provider."""


def find_international(spelled: str) -> PhoneNumber | None:
    """The number, or None where the strict parser refuses it; national spellings are Turkey's.

    Where the digits are a number both with a country code and as a Turkish number without one, nobody can tell whom the
    provider would write to: refused.
    """
    # A group in parentheses without a plus, "(535) 123 45 67", is digits like any others to who drops the rest.
    if (len(spelled) == 12 and spelled[:2] == "90") or spelled[:1] == "+" or spelled[:2] in ("(+", "00"):
        try:
            return parse_phone(spelled)
        except PhoneError:
            return None
    national = _find(spelled)
    abroad = _find(f"+{spelled}")
    if abroad is None:
        return national
    if national is not None and national.key != abroad.key:
        return None
    return abroad._replace(spelled=spelled)


def find_internationals(spelled: Sequence[str]) -> list[PhoneNumber | None]:
    """``find_international`` for each of ``spelled``."""
    if all(len(each) == 12 and each[:2] == "90" for each in spelled):
        return parse_phones(spelled)
    return list(map(find_international, spelled))


def sender_of(told: str) -> str:
    """The number of a person who wrote to us, with the plus that these providers leave out."""
    return f"+{told}" if told[:1] in "123456789" else told


def _find(spelled: str) -> PhoneNumber | None:
    try:
        return parse_phone(spelled)
    except PhoneError:
        return None
