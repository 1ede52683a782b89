"""Netgsm's codes, and how its fields translate, alike in REST v2 and the legacy forms (sms-dialects 3)."""

from __future__ import annotations

from collections.abc import Iterable

from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.dialects.strict_json import malformed
from filters.sms.dialects.times import find_time
from filters.sms.message import Alphabet
from filters.vocabulary import MessageClass, RecipientType

MAX_RECIPIENTS = 50_000
"""Ours: the provider publishes none."""

ACCEPTED = frozenset({"00", "01", "02"})
"""01 and 02: accepted, but the start or stop date was replaced."""

TEMPORARY_CODES = frozenset({"80", "85", "100", "101"})

FAULT_CODES: dict[Fault, str] = {
    Fault.MALFORMED: "70",
    Fault.UNKNOWN_FIELD: "70",
    Fault.BAD_NUMBER: "70",
    Fault.TOO_MANY_RECIPIENTS: "70",
    Fault.TOO_LARGE: "70",
    Fault.NO_TEXT: "20",
    Fault.TEXT_TOO_LONG: "20",
    Fault.NOT_ALLOWED: "50",
    Fault.UNAUTHENTICATED: "30",
    Fault.TOO_MANY_REQUESTS: "80",
    Fault.NOT_FOUND: "70",
    Fault.UNAVAILABLE: "100",
    Fault.UNKNOWN_OUTCOME: "100",
}

DATE_FORMAT = "%d%m%Y%H%M"

_TAGS: dict[str, tuple[MessageClass | None, RecipientType | None]] = {
    "": (None, None),
    "0": (MessageClass.INFORMATIONAL, None),
    "11": (MessageClass.COMMERCIAL, RecipientType.INDIVIDUAL),
    "12": (MessageClass.COMMERCIAL, RecipientType.BUSINESS),
}

_TURKISH_LETTERS = frozenset("çğıöşüÇĞİÖŞÜ")

_JOB_ID_DIGITS = 26


def read_iysfilter(value: str, where: str) -> tuple[MessageClass | None, RecipientType | None]:
    """Class and recipient type of ``iysfilter``; "13" is in circulation with nobody knowing what it means."""
    if value not in _TAGS:
        raise malformed(f"{where}: expected 0, 11 or 12")
    return _TAGS[value]


def iysfilter_of(message_class: MessageClass | None, recipient_type: RecipientType | None) -> str:
    """The other way round; what has no class is commercial, whoever has no type an individual."""
    if message_class in (MessageClass.INFORMATIONAL, MessageClass.SERVICE):
        return "0"
    return "12" if recipient_type is RecipientType.BUSINESS else "11"


def alphabet_of(encoding: str, where: str) -> Alphabet:
    """ "TR" in any case; nothing means that Turkish letters become their ASCII look-alikes."""
    if encoding.upper() == "TR":
        return Alphabet.TURKISH
    if encoding:
        raise malformed(f"{where}: expected TR or nothing")
    return Alphabet.DEFAULT


def encoding_of(alphabet: Alphabet, texts: Iterable[str]) -> str:
    """What to ask for; "" for the plain alphabet. Raises ``RequestRefusedError`` for one that cannot be asked for."""
    if alphabet is Alphabet.UNICODE:
        raise RequestRefusedError(Fault.MALFORMED, "encoding: this provider cannot be asked for Unicode")
    if alphabet is Alphabet.TURKISH or (
        alphabet is Alphabet.AUTO and any(not _TURKISH_LETTERS.isdisjoint(text) for text in texts)
    ):
        return "TR"
    return ""


def read_date(value: str, where: str) -> float | None:
    """ddMMyyyyHHmm in Turkish time as seconds since 1970 UTC; None for nothing."""
    if not value:
        return None
    found = find_time(value, DATE_FORMAT)
    if found is None:
        raise malformed(f"{where}: expected ddMMyyyyHHmm")
    return found


def mint_job_id(number: int) -> str:
    """26 digits of which the first is 9: the provider's begin with milliseconds since 1970, a 1 until the year 2033."""
    return "9" + str(number % 10 ** (_JOB_ID_DIGITS - 1)).zfill(_JOB_ID_DIGITS - 1)
