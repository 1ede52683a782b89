"""Verimor's symbolic codes, and how its fields translate (sms-dialects 5.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.dialects.strict_json import malformed, parse_json
from filters.sms.dialects.times import find_time
from filters.sms.http import HttpResponse
from filters.sms.message import Alphabet
from filters.vocabulary import MessageClass, RecipientType

CLASSES = {"true": MessageClass.COMMERCIAL, "false": MessageClass.INFORMATIONAL}
RECIPIENT_TYPES = {"BIREYSEL": RecipientType.INDIVIDUAL, "TACIR": RecipientType.BUSINESS}

SEND_AT_FORMAT = "%Y-%m-%d %H:%M:%S"
_SEND_AT_FORMATS = (SEND_AT_FORMAT, "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S")
_OFFSET = re.compile(r"(Z|[+-][0-9]{2}:?[0-9]{2})$", re.ASCII)

_ALPHABETS = {"": Alphabet.AUTO, "0": Alphabet.DEFAULT, "1": Alphabet.TURKISH, "2": Alphabet.UNICODE}
_DATACODINGS = {Alphabet.DEFAULT: 0, Alphabet.TURKISH: 1, Alphabet.UNICODE: 2}
_TURKISH_LETTERS = frozenset("çğıöşüÇĞİÖŞÜ")

_ANSWERS: dict[Fault, tuple[int, str]] = {
    Fault.MALFORMED: (400, "INVALID_JSON"),
    Fault.UNKNOWN_FIELD: (400, "INVALID_JSON"),
    Fault.BAD_NUMBER: (400, "INVALID_DESTINATION_ADDRESS"),
    Fault.TOO_MANY_RECIPIENTS: (400, "MESSAGE_COUNT_LIMIT_EXCEEDED"),
    Fault.TOO_LARGE: (413, "REQUEST_TOO_LARGE"),
    Fault.NO_TEXT: (400, "MISSING_MESSAGE"),
    Fault.TEXT_TOO_LONG: (400, "MESSAGE_TOO_LONG"),
    Fault.NOT_ALLOWED: (400, "AHS_AUTHORIZATION_ERROR"),
    Fault.UNAUTHENTICATED: (401, "UNAUTHORIZED"),
    Fault.TOO_MANY_REQUESTS: (429, "TOO_MANY_REQUESTS"),
    Fault.NOT_FOUND: (404, "NOT_FOUND"),
    # Never 200: its clients read any such body as a campaign number.
    Fault.UNAVAILABLE: (503, "SERVICE_UNAVAILABLE"),
    Fault.UNKNOWN_OUTCOME: (503, "SERVICE_UNAVAILABLE"),
}

_SYMBOLS_OF_FIELDS = {
    "datacoding": "INVALID_DATACODING",
    "dest": "MISSING_DESTINATION_ADDRESS",
    "iys_recipient_type": "INVALID_IYS_RECIPIENT_TYPE",
    "messages": "MISSING_MESSAGE",
    "send_at": "INVALID_DELIVERY_TIME",
    "source_addr": "INVALID_SOURCE_ADDRESS",
    "valid_for": "INVALID_PERIOD",
}
"""The provider has codes of its own for faults in these fields."""

_SYMBOL = re.compile(r"[A-Z][A-Z_]{2,63}", re.ASCII).fullmatch
_CAMPAIGN = re.compile(r"[0-9]{1,32}", re.ASCII).fullmatch


def fault_answer(fault: Fault, detail: str) -> HttpResponse:
    """The answer to ``fault`` in the field that ``detail`` names."""
    status, symbol = _ANSWERS[fault]
    if fault is Fault.MALFORMED:
        if detail == "the body: expected UTF-8":
            symbol = "INVALID_UTF8"
        symbol = _SYMBOLS_OF_FIELDS.get(detail.partition(":")[0].rpartition(".")[2], symbol)
    return refusal(status, symbol)


def refusal(status: int, text: str) -> HttpResponse:
    """A short answer in plain text: a symbolic code, or a campaign number."""
    return HttpResponse(status, (("content-type", "text/plain; charset=utf-8"),), text.encode())


def read_answer_text(response: HttpResponse) -> tuple[str, str]:
    """Campaign number and symbolic code of an answer, "" for what is not in it."""
    text = response.body.decode("utf-8", "replace").strip()
    if _CAMPAIGN(text):
        return text, ""
    if _SYMBOL(text):
        return "", text
    try:
        found = parse_json(response.body)
    except RequestRefusedError:
        return "", ""
    campaign = found.get("campaign_id") if type(found) is dict else None
    campaign = str(campaign) if type(campaign) in (str, int) else ""
    return (campaign, "") if _CAMPAIGN(campaign) else ("", "")


def alphabet_of(datacoding: str) -> Alphabet:
    """0 plain, 1 Turkish, 2 Unicode."""
    if datacoding not in _ALPHABETS:
        raise malformed("datacoding: expected 0, 1 or 2")
    return _ALPHABETS[datacoding]


def datacoding_of(alphabet: Alphabet, texts: Iterable[str]) -> int:
    """The other way round; where the choice is ours, the cheapest that keeps every letter."""
    if alphabet in _DATACODINGS:
        return _DATACODINGS[alphabet]
    letters = {letter for text in texts for letter in text}
    if all(letter.isascii() for letter in letters):
        return 0
    return 1 if all(letter.isascii() or letter in _TURKISH_LETTERS for letter in letters) else 2


def read_send_at(value: str) -> float | None:
    """ "YYYY-MM-DD HH:MM:SS" in Turkish time, or ISO 8601 with its own offset; None for nothing."""
    if not value:
        return None
    for form in _SEND_AT_FORMATS:
        if (found := find_time(value, form)) is not None:
            return found
    if offset := _OFFSET.search(value):
        for form in _SEND_AT_FORMATS:
            local = find_time(value[: offset.start()].rstrip(" "), form)
            if local is not None:
                return local + 3 * 3600 - _offset_seconds(offset[1])
    raise malformed("send_at: expected YYYY-MM-DD HH:MM:SS")


def _offset_seconds(text: str) -> int:
    if text == "Z":
        return 0
    digits = text[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if text[0] == "-" else seconds
