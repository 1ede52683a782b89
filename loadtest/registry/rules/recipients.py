"""Addresses as the registry takes them (İYS API reference 2.3)."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

MAX_PHONE = 15
_MIN_EMAIL, _MAX_EMAIL = 6, 265
_PHONE = re.compile(r"\+[0-9]{4,14}")
_TURKISH_MOBILE = re.compile(r"\+905[0-9]{9}")
_EMAIL = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9][A-Za-z0-9.-]*[A-Za-z0-9]\.[A-Za-z0-9-]{2,}")


@lru_cache(maxsize=100_000)
def is_phone(text: str) -> bool:
    """Whether the numbering plan knows it. ``+9005…`` passes, as with the real one, and nobody ever finds it.

    So does every Turkish mobile number of the right length: the examples in the registry's own description lie in
    ranges that are assigned to nobody.
    """
    if not _PHONE.fullmatch(text):
        return False
    if _TURKISH_MOBILE.fullmatch(text):
        return True
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text))
    except phonenumbers.NumberParseException:
        return False


def is_email(text: str) -> bool:
    return (
        _MIN_EMAIL <= len(text) <= _MAX_EMAIL
        and _EMAIL.fullmatch(text) is not None
        and ".." not in text[text.find("@") :]
    )


def find_recipient_fault(recipient: object, channel: str | None, long_phone: str = "H160") -> str | None:
    """The code for a wrong address, None for a right one. ``channel`` None: the type is not known.

    ``long_phone``: adding says H160 to a phone number that is too long, queries say H166.
    """
    if not isinstance(recipient, str):
        return "H122"
    if channel is None:
        return None if is_email(recipient) or is_phone(recipient) else "H122"
    if channel == "EPOSTA":
        return None if is_email(recipient) else "H120"
    if recipient.startswith("+") and recipient[1:].isdecimal() and len(recipient) > MAX_PHONE:
        return long_phone
    return None if is_phone(recipient) else "H121"


def normalise(recipient: str) -> str:
    """As it is stored and returned: e-mail in lower case (it is ASCII by then), phone numbers as they came."""
    return recipient.lower() if "@" in recipient else recipient
