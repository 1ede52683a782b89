"""Requests made anew for a provider from what was read in another dialect (``filters.sms.dialect.Composer``).

Each function writes what a sender of that provider would; the provider's own codec reads it back before anything is
sent. ``account`` holds the operator's credentials. Every function raises ``RequestRefusedError`` where something cannot
be said in the dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.dialects.in_report import basic_header
from filters.sms.dialects.spelled_numbers import international_digits, national_digits
from filters.sms.dialects.strict_form import write_form
from filters.sms.dialects.strict_json import malformed, write_json
from filters.sms.dialects.strict_xml import Element, write_document
from filters.sms.dialects.times import write_time
from filters.sms.dialects.verimor_values import datacoding_of
from filters.sms.http import HttpRequest
from filters.sms.message import SmsRecipient, Submission, TextKind
from filters.vocabulary import MessageClass, RecipientType

_JSON = ("content-type", "application/json")
_FORM = ("content-type", "application/x-www-form-urlencoded")

PLAIN, TURKISH, UNICODE = 0, 1, 2
"""What ``datacoding_of`` chooses from: the cheapest that keeps every letter."""


def compose_twilio(submission: Submission, account: Mapping[str, str]) -> HttpRequest:
    """``account``: account_sid, auth_token. A scheduled one needs a Messaging Service as its sender title."""
    recipient, text = _only(submission)
    sid = account.get("account_sid", "")
    is_service = submission.sender_title.startswith("MG")
    form = {
        "To": recipient.number.e164 if recipient.number else "0",
        "MessagingServiceSid" if is_service else "From": submission.sender_title,
        "Body": text,
    }
    if submission.send_at is not None:
        if not is_service:
            raise malformed("send_at: this provider needs a Messaging Service as sender to send later")
        form |= {"ScheduleType": "fixed", "SendAt": _iso(submission.send_at)}
    headers = (_FORM, basic_header(sid, account.get("auth_token", "")))
    return HttpRequest(
        "POST", f"/2010-04-01/Accounts/{sid}/Messages.json", "", headers, write_form(form.items()).encode()
    )


def compose_vonage_sms(submission: Submission, account: Mapping[str, str]) -> HttpRequest:
    """``account``: key, secret."""
    recipient, text = _only(submission)
    _refuse_later(submission)
    form = {"to": international_digits(recipient.number), "from": submission.sender_title, "text": text}
    if datacoding_of(submission.alphabet, (text,)) != PLAIN:
        form["type"] = "unicode"
    headers = (_FORM, basic_header(account.get("key", ""), account.get("secret", "")))
    return HttpRequest("POST", "/sms/json", "", headers, write_form(form.items()).encode())


def compose_vonage_message(submission: Submission, account: Mapping[str, str]) -> HttpRequest:
    """``account``: key, secret."""
    recipient, text = _only(submission)
    _refuse_later(submission)
    body = {
        "to": international_digits(recipient.number),
        "from": submission.sender_title,
        "channel": "sms",
        "message_type": "text",
        "text": text,
    }
    headers = (_JSON, basic_header(account.get("key", ""), account.get("secret", "")))
    return HttpRequest("POST", "/v1/messages", "", headers, write_json(body))


def compose_infobip(submission: Submission, account: Mapping[str, str]) -> HttpRequest:
    """``account``: api_key. The provider takes the brand's code from its account."""
    _refuse_unsayable(submission)
    options: dict[str, Any] = {}
    if _is_commercial(submission):
        options = {"options": {"regional": {"turkeyIys": {"recipientType": _type_of(submission)}}}}
    messages: list[dict[str, Any]] = []
    last = -1
    for recipient in submission.recipients:
        if recipient.text != last:
            last = recipient.text
            text = submission.texts[last]
            content: dict[str, Any] = {"text": text}
            if datacoding_of(submission.alphabet, (text,)) == TURKISH:
                content["language"] = {"languageCode": "TR"}
            messages.append({"sender": submission.sender_title, "destinations": [], "content": content, **options})
        destination = {"to": international_digits(recipient.number)}
        if recipient.reference:
            destination["messageId"] = recipient.reference
        messages[-1]["destinations"].append(destination)
    body: dict[str, Any] = {"messages": messages}
    if submission.send_at is not None:
        body["options"] = {"schedule": {"sendAt": _iso(submission.send_at)}}
    headers = (_JSON, ("authorization", f"App {account.get('api_key', '')}"))
    return HttpRequest("POST", "/sms/3/messages", "", headers, write_json(body))


def compose_jetsms(submission: Submission, account: Mapping[str, str]) -> HttpRequest:
    """``account``: username, password."""
    _refuse_unsayable(submission)
    body: dict[str, Any] = {
        "user": account.get("username", ""),
        "password": account.get("password", ""),
        "originator": submission.sender_title,
    }
    if _is_commercial(submission):
        body |= {"iysfilter": "1", "recipienttype": _type_of(submission)}
    if submission.send_at is not None:
        body["startdate"] = write_time(submission.send_at, "%d%m%Y%H%M%S")
    body["smsmessages"] = [_jetsms_message(submission, recipient) for recipient in submission.recipients]
    return HttpRequest("POST", "/api/SendSms", "", (_JSON,), write_json(body))


def _jetsms_message(submission: Submission, recipient: SmsRecipient) -> dict[str, str]:
    message = {"messagetext": submission.texts[recipient.text], "recipient": national_digits(recipient.number)}
    return message | ({"messageid": recipient.reference} if recipient.reference else {})


def compose_mutlucell(submission: Submission, account: Mapping[str, str]) -> HttpRequest:
    """``account``: username, password."""
    _refuse_unsayable(submission)
    charset = {PLAIN: "default", TURKISH: "turkish", UNICODE: "unicode"}
    attributes = {
        "ka": account.get("username", ""),
        "pwd": account.get("password", ""),
        "org": submission.sender_title,
        "charset": charset[datacoding_of(submission.alphabet, submission.texts)],
    }
    if submission.send_at is not None:
        attributes["tarih"] = write_time(submission.send_at, "%Y-%m-%d %H:%M")
    runs: list[tuple[int, list[str]]] = []
    for recipient in submission.recipients:
        if not runs or runs[-1][0] != recipient.text:
            runs.append((recipient.text, []))
        runs[-1][1].append(national_digits(recipient.number))
    messages = [
        Element(
            "mesaj",
            children=[Element("metin", text=submission.texts[text]), Element("nums", text=",".join(numbers))],
        )
        for text, numbers in runs
    ]
    document = write_document(Element("smspack", attributes, messages))
    return HttpRequest("POST", "/smsgw-ws/sndblkex", "", (("content-type", "text/xml; charset=UTF-8"),), document)


def compose_vatansms(submission: Submission, account: Mapping[str, str]) -> HttpRequest:
    """``account``: api_id, api_key."""
    _refuse_unsayable(submission)
    coding = datacoding_of(submission.alphabet, submission.texts)
    if coding == UNICODE:
        raise malformed("encoding: this provider cannot be asked for Unicode")
    body: dict[str, Any] = {
        "api_id": account.get("api_id", ""),
        "api_key": account.get("api_key", ""),
        "sender": submission.sender_title,
        "message_type": "turkce" if coding == TURKISH else "normal",
        "message_content_type": "ticari" if _is_commercial(submission) else "bilgi",
    }
    if submission.send_at is not None:
        body["send_time"] = write_time(submission.send_at, "%Y-%m-%d %H:%M:%S")
    body["phones"] = [
        {"phone": national_digits(recipient.number), "message": submission.texts[recipient.text]}
        for recipient in submission.recipients
    ]
    return HttpRequest("POST", "/api/v1/NtoN", "", (_JSON,), write_json(body))


def _only(submission: Submission) -> tuple[SmsRecipient, str]:
    _refuse_unsayable(submission)
    if len(submission.recipients) != 1:
        raise RequestRefusedError(Fault.TOO_MANY_RECIPIENTS, "recipients: this provider takes one in a request")
    recipient = submission.recipients[0]
    return recipient, submission.texts[recipient.text]


def _refuse_unsayable(submission: Submission) -> None:
    if submission.kind not in (TextKind.PLAIN, TextKind.OTP):
        raise malformed("kind: expected plain or otp")
    if not submission.sender_title:
        raise malformed("sender: expected, but absent")


def _refuse_later(submission: Submission) -> None:
    if submission.send_at is not None:
        raise malformed("send_at: this provider cannot send later")


def _is_commercial(submission: Submission) -> bool:
    return submission.tag_class not in (MessageClass.INFORMATIONAL, MessageClass.SERVICE)


def _type_of(submission: Submission) -> str:
    return "TACIR" if submission.tag_type is RecipientType.BUSINESS else "BIREYSEL"


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
