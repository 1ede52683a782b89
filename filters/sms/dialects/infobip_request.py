"""Infobip's requests to send, read strictly and rebuilt: v3 messages and v2 text/advanced.

v3 names the sender ``sender``, the text ``content.text`` and the options per message; v2 ``from``, ``text`` and flat
fields. Both are ``messages`` times ``destinations``. One request must be of one sender and one İYS tag, because one
decision is made for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.dialects.answers import check_text
from filters.sms.dialects.field_names import place
from filters.sms.dialects.holding import read_speed, read_window
from filters.sms.dialects.international_numbers import find_internationals
from filters.sms.dialects.shapes import BOOLEAN, INTEGER, TEXT, TEXTS, Shape, check_shape
from filters.sms.dialects.spelled_numbers import SharedTexts
from filters.sms.dialects.strict_json import list_field, malformed, object_field, text_field
from filters.sms.dialects.times import parse_iso
from filters.sms.message import Alphabet, SmsRecipient, TextKind
from filters.vocabulary import RecipientType

MAX_RECIPIENTS = 50_000
"""The provider publishes none; as the largest of the others."""

MAX_TEXT_CHARACTERS = 4000
"""The provider refuses above 25 parts or 4000 bytes (status 25)."""

_LANGUAGE: Shape = {"languageCode": TEXT, "singleShift": BOOLEAN, "lockingShift": BOOLEAN}
_TIME: Shape = {"hour": INTEGER, "minute": INTEGER}
_WINDOW: Shape = {"days": TEXTS, "from": _TIME, "to": _TIME}
_RATE: Shape = {"amount": INTEGER, "timeUnit": TEXT}
_REGIONAL: Shape = {
    "indiaDlt": {"contentTemplateId": TEXT, "principalEntityId": TEXT, "telemarketerId": TEXT},
    "turkeyIys": {"brandCode": INTEGER, "recipientType": TEXT},
    "southKorea": {"title": TEXT, "resellerCode": INTEGER},
}
_DESTINATION: Shape = {"to": TEXT, "messageId": TEXT, "networkId": INTEGER}

V3: Shape = {
    "messages": [
        {
            "sender": TEXT,
            "destinations": [_DESTINATION],
            "content": {
                "text": TEXT,
                "transliteration": TEXT,
                "language": _LANGUAGE,
                "hex": TEXT,
                "dataCoding": INTEGER,
                "esmClass": INTEGER,
            },
            "options": {
                "platform": {"entityId": TEXT, "applicationId": TEXT},
                "validityPeriod": _RATE,
                "deliveryTimeWindow": _WINDOW,
                "campaignReferenceId": TEXT,
                "regional": _REGIONAL,
                "flash": BOOLEAN,
            },
            "webhooks": {
                "delivery": {"url": TEXT, "intermediateReport": BOOLEAN, "notify": BOOLEAN},
                "contentType": TEXT,
                "callbackData": TEXT,
            },
        }
    ],
    "options": {
        "schedule": {"bulkId": TEXT, "sendAt": TEXT, "sendingSpeedLimit": _RATE},
        "tracking": {
            "shortenUrl": BOOLEAN,
            "trackClicks": BOOLEAN,
            "trackingUrl": TEXT,
            "removeProtocol": BOOLEAN,
            "customDomain": TEXT,
        },
        "includeSmsCountInResponse": BOOLEAN,
        "conversionTracking": {"useConversionTracking": BOOLEAN, "conversionTrackingName": TEXT},
    },
}

V2: Shape = {
    # The provider's Node client leaves its own choice of path in the body.
    "type": TEXT,
    "bulkId": TEXT,
    "messages": [
        {
            "from": TEXT,
            "destinations": [_DESTINATION],
            "text": TEXT,
            "flash": BOOLEAN,
            "language": _LANGUAGE,
            "transliteration": TEXT,
            "intermediateReport": BOOLEAN,
            "notifyUrl": TEXT,
            "notifyContentType": TEXT,
            "callbackData": TEXT,
            "validityPeriod": INTEGER,
            "sendAt": TEXT,
            "deliveryTimeWindow": _WINDOW,
            "regional": _REGIONAL,
            "campaignReferenceId": TEXT,
            "applicationId": TEXT,
            "entityId": TEXT,
        }
    ],
    "sendingSpeedLimit": _RATE,
    "urlOptions": V3["options"]["tracking"],
    "tracking": {
        "track": TEXT,
        "type": TEXT,
        "baseUrl": TEXT,
        "processKey": TEXT,
    },
    "includeSmsCountInResponse": BOOLEAN,
}

_TYPES = {"BIREYSEL": RecipientType.INDIVIDUAL, "TACIR": RecipientType.BUSINESS}


_new = tuple.__new__
"""Half the time of the class's own way."""


class Tag(NamedTuple):
    """What ``turkeyIys`` says; its presence makes a message commercial."""

    brand: str
    recipient_type: RecipientType


class Contents(NamedTuple):
    """What one request holds, apart from its unchanged fields."""

    recipients: list[SmsRecipient]
    texts: list[str]
    sender: str
    tag: Tag | None
    kind: TextKind
    alphabet: Alphabet
    send_at: float | None
    hold_s: float
    campaign: str


def read_contents(body: dict[str, Any], is_v3: bool) -> Contents:
    """The recipients and texts of a request. Raises ``RequestRefusedError``."""
    messages = list_field(body, "messages")
    _refuse_too_many(messages)
    check_shape(body, V3 if is_v3 else V2)
    if body.get("type") not in (None, "text"):
        raise malformed("type: expected text")
    written: list[str] = []
    shares: list[int] = []
    references: list[str] = []
    texts = SharedTexts()
    kinds: set[TextKind] = set()
    alphabets: set[Alphabet] = set()
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        content = object_field(message, "content", where) if is_v3 else message
        shared = texts.number(_read_text(content, where), where)
        options = message.get("options") or {} if is_v3 else message
        # Flash messages vanish from the screen, an opt-out in them would too.
        # A data coding of its own may be flash too, and a class of its own says that a header stands in the text.
        is_plain = content.get("hex") is None and not (
            options.get("flash") or (is_v3 and (content.get("dataCoding") or content.get("esmClass")))
        )
        kinds.add(TextKind.PLAIN if is_plain else TextKind.BINARY)
        alphabets.add(_alphabet(content))
        for index, destination in enumerate(list_field(message, "destinations", where)):
            spelled = destination.get("to")
            if spelled is None:
                raise malformed(f"{where}.destinations[{index}].to: expected text")
            written.append(spelled)
            shares.append(shared)
            references.append(destination.get("messageId") or "")
    found = zip(find_internationals(written), written, shares, references, strict=True)
    recipients = [_new(SmsRecipient, each) for each in found]
    return Contents(
        recipients,
        texts.all,
        _common([message.get("sender" if is_v3 else "from") or "" for message in messages], "the sender"),
        _common([_tag(message, is_v3, number) for number, message in enumerate(messages)], "turkeyIys"),
        TextKind.BINARY if TextKind.BINARY in kinds else TextKind.PLAIN,
        alphabets.pop() if len(alphabets) == 1 else Alphabet.AUTO,
        _send_at(body, messages, is_v3),
        _hold(body, messages, is_v3, len(recipients)),
        ((messages[0].get("options") or {}) if is_v3 else messages[0]).get("campaignReferenceId") or "",
    )


def rebuild(
    body: dict[str, Any], is_v3: bool, recipients: Sequence[SmsRecipient], kept: Sequence[int], texts: Sequence[str]
) -> dict[str, Any]:
    """``body`` with the recipients at ``kept`` only, each under the text given for it, in order."""
    places = _places(body)
    messages: list[dict[str, Any]] = []
    current: tuple[int, str] | None = None
    for position, text in zip(kept, texts, strict=True):
        number, index = places[position]
        original = body["messages"][number]
        if current != (number, text):
            current = (number, text)
            messages.append({**original, "destinations": [], **_with_text(original, is_v3, text)})
        messages[-1]["destinations"].append(original["destinations"][index])
    return {**body, "messages": messages}


def _places(body: dict[str, Any]) -> list[tuple[int, int]]:
    return [
        (number, index)
        for number, message in enumerate(body["messages"])
        for index in range(len(message["destinations"]))
    ]


def _with_text(message: dict[str, Any], is_v3: bool, text: str) -> dict[str, Any]:
    if not is_v3:
        return {"text": text}
    content = message["content"]
    return {"content": {**content, "hex" if content.get("hex") is not None else "text": text}}


def _refuse_too_many(messages: list[Any]) -> None:
    count = 0
    for message in messages:
        destinations = message.get("destinations") if type(message) is dict else None
        count += len(destinations) if type(destinations) is list else 0
    if count > MAX_RECIPIENTS or len(messages) > MAX_RECIPIENTS:
        raise RequestRefusedError(Fault.TOO_MANY_RECIPIENTS, f"messages: expected at most {MAX_RECIPIENTS} recipients")


def _read_text(content: dict[str, Any], where: str) -> str:
    if content.get("hex") is not None and content.get("text") is not None:
        raise malformed(f"{where}.content: expected text or hex, not both")
    text = content.get("hex") or text_field(content, "text", where)
    return check_text(text, place(where, "text"), MAX_TEXT_CHARACTERS)


def _alphabet(content: dict[str, Any]) -> Alphabet:
    if (content.get("language") or {}).get("languageCode") == "TR":
        return Alphabet.TURKISH
    # A transliteration folds letters until the default alphabet holds them.
    return Alphabet.DEFAULT if content.get("transliteration") not in (None, "NONE") else Alphabet.AUTO


def _tag(message: dict[str, Any], is_v3: bool, number: int) -> Tag | None:
    regional = ((message.get("options") or {}) if is_v3 else message).get("regional") or {}
    tag = regional.get("turkeyIys")
    if tag is None:
        return None
    kind = _TYPES.get(tag.get("recipientType"))
    if kind is None:
        raise malformed(f"messages[{number}].turkeyIys.recipientType: expected BIREYSEL or TACIR")
    brand = tag.get("brandCode")
    return Tag("" if brand is None else str(brand), kind)


def _common(values: list[Any], what: str) -> Any:
    if any(value != values[0] for value in values):
        raise malformed(f"messages: expected {what} to be the same in all messages of a request")
    return values[0]


def _hold(body: dict[str, Any], messages: list[dict[str, Any]], is_v3: bool, recipients: int) -> float:
    """Windows and speed as the provider may add them up; the longest of all messages."""
    schedule = (body.get("options") or {}).get("schedule") or {} if is_v3 else body
    sending_s = read_speed(schedule.get("sendingSpeedLimit"), recipients, "sendingSpeedLimit")
    holds = [sending_s]
    for number, message in enumerate(messages):
        window = ((message.get("options") or {}) if is_v3 else message).get("deliveryTimeWindow")
        if window:
            where = f"messages[{number}].deliveryTimeWindow"
            found = read_window(window.get("days"), window.get("from"), window.get("to"), where)
            holds.append(found.hold_s(sending_s))
    return max(holds)


def _send_at(body: dict[str, Any], messages: list[dict[str, Any]], is_v3: bool) -> float | None:
    """The latest time asked for: what bounds lead times must see the longest."""
    if is_v3:
        written = [((body.get("options") or {}).get("schedule") or {}).get("sendAt")]
    else:
        written = [message.get("sendAt") for message in messages]
    times = [parse_iso(text, "sendAt") for text in written if text]
    return max(times) if times else None
