"""What codecs have in common: texts, numbers, answers, and what a fate means to the sender."""

from __future__ import annotations

from typing import Any

from filters.phone import PhoneError, PhoneNumber, parse_phone
from filters.reason import Reason
from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.dialects.spelled_numbers import read_number
from filters.sms.dialects.strict_json import parse_json
from filters.sms.http import HttpResponse
from filters.sms.message import SmsFate
from filters.vocabulary import Outcome


def check_text(text: str, field: str, max_characters: int) -> str:
    """``text`` if it may be sent. Raises ``RequestRefusedError`` naming ``field``."""
    if not text.strip():
        raise RequestRefusedError(Fault.NO_TEXT, f"{field}: expected something in it")
    if len(text) > max_characters:
        raise RequestRefusedError(Fault.TEXT_TOO_LONG, f"{field}: expected at most {max_characters} characters")
    if "\x00" in text:
        # Where a reader ends the text here, what follows (the opt-out) would not be sent.
        raise RequestRefusedError(Fault.MALFORMED, f"{field}: holds a zero character")
    return text


def find_number(spelled: str, field: str, index: int) -> PhoneNumber | None:
    """The number, or None where it is not surely one; ``field[index]`` is named in the refusal of several."""
    try:
        number = parse_phone(spelled)
    except PhoneError:
        return read_number(spelled, f"{field}[{index}]")
    return None if number.hangs_on_its_plus else number


def find_object(response: HttpResponse) -> dict[str, Any] | None:
    """The JSON object in an answer, None where it holds none that can be trusted."""
    try:
        found = parse_json(response.body)
    except RequestRefusedError:
        return None
    return found if type(found) is dict else None


def is_bad_number(fate: SmsFate) -> bool:
    """Whether our strict parser refused the recipient."""
    return fate.reason is Reason.ADDRESS_INVALID


def is_try_again(fate: SmsFate) -> bool:
    """Whether the sender may come again with this recipient: deferred by us, or the upstream's word is missing."""
    return fate.outcome in (Outcome.DEFERRED, Outcome.UNKNOWN)


def sentence(fate: SmsFate) -> str:
    """Why a recipient got nothing, in a sentence for the sender that holds no number."""
    return f"{fate.reason}: {fate.reason.sentence_en}" if fate.reason else "The message was not taken."
