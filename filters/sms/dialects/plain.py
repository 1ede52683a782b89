"""Our own JSON interface, for senders that have no provider's software: ``POST /v1/messages`` and what belongs to it.

============================  =====================================================================================
``POST /v1/messages``         send; the request is described in ``filters.sms.dialects.plain_openapi``
``GET /v1/messages/{id}``     the fate of each recipient of an earlier request
``DELETE /v1/messages/{id}``  cancel a scheduled one
============================  =====================================================================================

A request leaves through another dialect where the upstream speaks one (``filters.sms.dialect.Composer``); through this
one it leaves unchanged but for texts and recipients, so that two gateways can stand behind each other.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from filters.phone import PhoneError, parse_phone
from filters.sms.dialect import Call, CallKind, Fault, InboundMessage, RefusalModel, RequestRefusedError, Segments
from filters.sms.dialects.strict_json import (
    check_fields,
    json_response,
    list_field,
    malformed,
    read_json_object,
    text_field,
    write_json,
)
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import (
    Alphabet,
    Relayed,
    ReportEntry,
    SmsFate,
    SmsRecipient,
    Submission,
    TextKind,
)
from filters.vocabulary import MessageClass, Outcome, RecipientType

MAX_RECIPIENTS = 50_000
MAX_TEXT_CHARACTERS = 10_000
MAX_SENDER_CHARACTERS = 15
MAX_LABEL_CHARACTERS = 64
MAX_SPELLED_CHARACTERS = 64

SEND = Call(CallKind.SEND, "messages.send")
REPORT = Call(CallKind.REPORT, "messages.report")
CANCEL = Call(CallKind.CANCEL, "messages.cancel")

_PATH = "/v1/messages"
_ID = re.compile(r"/v1/messages/([A-Za-z0-9_-]{1,64})", re.ASCII).fullmatch
_FIELDS = frozenset(
    {
        "text",
        "recipients",
        "sender",
        "class",
        "recipient_type",
        "brand",
        "campaign",
        "kind",
        "encoding",
        "send_at",
        "dry_run",
    }
)
_INBOUND_FIELDS = frozenset({"id", "from", "to", "text", "received_at"})
_RECIPIENT_FIELDS = frozenset({"to", "text", "reference"})
_LABEL = re.compile(r"[ -~]{0,64}", re.ASCII).fullmatch
_RFC3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})").fullmatch
_KINDS = {"plain": TextKind.PLAIN, "otp": TextKind.OTP}
_ALPHABETS = {str(alphabet): alphabet for alphabet in Alphabet}
_CLASSES = {str(message_class): message_class for message_class in MessageClass}
_TYPES = {str(kind): kind for kind in RecipientType}
_OUTCOMES = {str(outcome): outcome for outcome in Outcome}

FAULT_STATUS: dict[Fault, int] = {
    Fault.MALFORMED: 400,
    Fault.UNKNOWN_FIELD: 400,
    Fault.BAD_NUMBER: 400,
    Fault.TOO_MANY_RECIPIENTS: 400,
    Fault.TOO_LARGE: 413,
    Fault.NO_TEXT: 400,
    Fault.TEXT_TOO_LONG: 422,
    Fault.NOT_ALLOWED: 403,
    Fault.UNAUTHENTICATED: 401,
    Fault.TOO_MANY_REQUESTS: 429,
    Fault.NOT_FOUND: 404,
    Fault.UNAVAILABLE: 503,
    Fault.UNKNOWN_OUTCOME: 504,
}

_PASSED_ON = frozenset({400, 401, 402, 403, 404, 413, 422, 429})
_JSON = ("content-type", "application/json; charset=utf-8")


class PlainDialect:
    """See the module's description. A ``Dialect``."""

    name = "plain"
    refusal_model = RefusalModel.IN_ANSWER
    profile = "plain"
    max_recipients = MAX_RECIPIENTS

    def recognise(self, request: HttpRequest) -> Call | None:
        if request.path == _PATH:
            return SEND if request.method == "POST" else None
        if _ID(request.path):
            return {"GET": REPORT, "DELETE": CANCEL}.get(request.method)
        return None

    # -- requests -------------------------------------------------------------------------------------------------

    def read(self, request: HttpRequest, call: Call) -> Submission:
        if request.query:
            raise RequestRefusedError(Fault.UNKNOWN_FIELD, "the query: expected none")
        found = read_json_object(request)
        check_fields(found, _FIELDS)
        common = found.get("text")
        if common is not None and type(common) is not str:
            raise malformed("text: expected text")
        listed = list_field(found, "recipients")
        if len(listed) > MAX_RECIPIENTS:
            raise RequestRefusedError(Fault.TOO_MANY_RECIPIENTS, f"recipients: expected at most {MAX_RECIPIENTS}")
        texts, recipients = _read_recipients(listed, common)
        for text in texts:
            if not text.strip():
                raise RequestRefusedError(Fault.NO_TEXT, "text: expected something in it")
            if len(text) > MAX_TEXT_CHARACTERS:
                raise RequestRefusedError(
                    Fault.TEXT_TOO_LONG, f"text: expected at most {MAX_TEXT_CHARACTERS} characters"
                )
        sender = text_field(found, "sender")
        if len(sender) > MAX_SENDER_CHARACTERS or not sender.isprintable():
            raise malformed(f"sender: expected at most {MAX_SENDER_CHARACTERS} printable characters")
        campaign = text_field(found, "campaign")
        if not _LABEL(campaign):
            raise malformed(f"campaign: expected at most {MAX_LABEL_CHARACTERS} printable ASCII characters")
        dry_run = found.get("dry_run", False)
        if type(dry_run) is not bool:
            raise malformed("dry_run: expected true or false")
        return Submission(
            dialect=self.name,
            operation=call.operation,
            recipients=recipients,
            texts=texts,
            sender_title=sender,
            tag_class=_choice(found, "class", _CLASSES, None),
            tag_type=_choice(found, "recipient_type", _TYPES, None),
            kind=_choice(found, "kind", _KINDS, None) or TextKind.PLAIN,
            alphabet=_choice(found, "encoding", _ALPHABETS, None) or Alphabet.AUTO,
            send_at=_read_time(found),
            is_dry=dry_run,
            brand=_read_brand(found),
            campaign=campaign,
            fields={
                "body": {name: value for name, value in found.items() if name not in ("text", "recipients")},
                "authorization": [value for name, value in request.headers if name == "authorization"],
            },
        )

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        recipients = submission.recipients
        entries: list[dict[str, str]] = []
        one_text = texts[0] if len(set(texts)) == 1 else None
        for position, text in zip(kept, texts, strict=True):
            number, spelled, _, reference = recipients[position]
            entry = {"to": number.e164 if number is not None else spelled}
            if one_text is None:
                entry["text"] = text
            if reference:
                entry["reference"] = reference
            entries.append(entry)
        body: dict[str, Any] = {**submission.fields["body"], "recipients": entries}
        if one_text is not None:
            body["text"] = one_text
        headers = [_JSON, *(("authorization", value) for value in submission.fields["authorization"][:1])]
        return HttpRequest("POST", _PATH, "", tuple(headers), write_json(body))

    def compose(self, submission: Submission, account: Mapping[str, str]) -> HttpRequest:
        """A ``Composer``: ``account`` may hold ``authorization``, the whole value of that header."""
        if submission.kind in (TextKind.BINARY, TextKind.TEMPLATE):
            raise RequestRefusedError(Fault.NOT_ALLOWED, "kind: this interface carries text only")
        body: dict[str, Any] = {
            "recipients": [
                {"to": number.e164 if number else spelled, "text": submission.texts[text]}
                | ({"reference": reference} if reference else {})
                for number, spelled, text, reference in submission.recipients
            ],
            "kind": str(submission.kind),
            "encoding": str(submission.alphabet),
        }
        for name, value in (
            ("sender", submission.sender_title),
            ("class", submission.tag_class),
            ("recipient_type", submission.tag_type),
            ("brand", submission.brand),
            ("campaign", submission.campaign),
        ):
            if value:
                body[name] = str(value)
        if submission.send_at is not None:
            body["send_at"] = datetime.fromtimestamp(submission.send_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        authorization = account.get("authorization")
        headers = (_JSON, *((("authorization", authorization),) if authorization else ()))
        return HttpRequest("POST", _PATH, "", headers, write_json(body))

    # -- answers --------------------------------------------------------------------------------------------------

    def read_answer(self, submission: Submission, kept: Sequence[int], response: HttpResponse) -> Relayed:
        if response.status in _PASSED_ON:
            return Relayed((SmsFate(Outcome.REFUSED, None, "", str(response.status)),) * len(kept), is_passed_on=True)
        unknown = Relayed((SmsFate(Outcome.UNKNOWN, None, "", str(response.status)),) * len(kept))
        if response.status != 200:
            return unknown
        try:
            found = orjson.loads(response.body)
        except ValueError:
            return unknown
        listed = found.get("recipients") if isinstance(found, dict) else None
        job_id = found.get("id") if isinstance(found, dict) else None
        if not isinstance(listed, list) or len(listed) != len(kept) or not isinstance(job_id, str) or not job_id:
            return unknown
        fates = []
        for position, entry in zip(kept, listed, strict=True):
            number = submission.recipients[position].number
            if not isinstance(entry, dict) or number is None or entry.get("to") != number.e164:
                return unknown  # whose fate is whose?
            outcome = _OUTCOMES.get(entry.get("outcome", ""), Outcome.UNKNOWN)
            code, message_id = entry.get("reason"), entry.get("id")
            fates.append(
                SmsFate(
                    outcome,
                    None,
                    message_id if isinstance(message_id, str) else "",
                    code if isinstance(code, str) else "",
                )
            )
        return Relayed(tuple(fates), job_id)

    def write_answer(
        self,
        submission: Submission,
        fates: Sequence[SmsFate],
        response: HttpResponse | None,
        minted_id: str,
        segments: Sequence[Segments],
    ) -> HttpResponse:
        counts = dict.fromkeys(map(str, Outcome), 0)
        entries = []
        for recipient, (outcome, reason, upstream_id, code) in zip(submission.recipients, fates, strict=True):
            counts[outcome] += 1
            entry: dict[str, object] = {"to": recipient.spelled, "outcome": outcome}
            if recipient.reference:
                entry["reference"] = recipient.reference
            if reason is not None:
                entry["reason"] = reason
            elif code:
                entry["reason"] = code
            if upstream_id:
                entry["id"] = upstream_id
            entries.append(entry)
        answer: dict[str, object] = {
            "id": minted_id if response is None else _job_id_in(response),
            "counts": counts,
            "recipients": entries,
            "segments": [{"before": before, "after": after} for before, after in segments],
        }
        if submission.is_dry:
            answer["dry_run"] = True
        return json_response(200, answer)

    def mint_id(self, number: int) -> str:
        return f"izin-{number:032x}"

    def write_fault(self, fault: Fault, detail: str) -> HttpResponse:
        response = json_response(FAULT_STATUS[fault], {"error": {"code": str(fault), "detail": detail}})
        if fault is Fault.UNAUTHENTICATED:
            return response._replace(headers=(*response.headers, ("www-authenticate", 'Basic realm="izinkapi"')))
        return response

    # -- reports --------------------------------------------------------------------------------------------------

    def report_ids(self, request: HttpRequest, call: Call) -> Sequence[str]:
        found = _ID(request.path)
        return (found[1],) if found else ()

    def overlay_report(
        self,
        request: HttpRequest,
        call: Call,
        response: HttpResponse | None,
        dropped: Mapping[str, Sequence[ReportEntry]],
    ) -> HttpResponse:
        (job_id,) = self.report_ids(request, call)
        entries = dropped.get(job_id, ())
        if call.kind is CallKind.CANCEL:
            return response if response is not None else json_response(200, {"id": job_id, "cancelled": 0})
        found: Any = {"id": job_id, "recipients": []}
        if response is not None:
            try:
                found = orjson.loads(response.body)
            except ValueError:
                return response
            if response.status == 404 and entries:
                found = {"id": job_id, "recipients": []}
            elif response.status != 200 or not isinstance(found, dict) or type(found.get("recipients")) is not list:
                return response
        known = {entry.get("to") for entry in found["recipients"] if isinstance(entry, dict)}
        for spelled, e164, reference, reason, dropped_at, _ in entries:
            if e164 in known or spelled in known:
                continue
            entry = {"to": spelled, "outcome": str(Outcome.DROPPED), "reason": str(reason)}
            if reference:
                entry["reference"] = reference
            entry["at"] = datetime.fromtimestamp(dropped_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            found["recipients"].append(entry)
        return json_response(200, found)

    # -- incoming messages ----------------------------------------------------------------------------------------

    def read_inbound(self, request: HttpRequest) -> Sequence[InboundMessage]:
        """An ``InboundCodec``: ``{"id", "from", "to", "text", "received_at"}``, the last in RFC 3339 and optional."""
        found = read_json_object(request)
        check_fields(found, _INBOUND_FIELDS)
        sender = text_field(found, "from", default=None)
        return (
            InboundMessage(
                sender,
                text_field(found, "to"),
                text_field(found, "text", default=None),
                text_field(found, "id", default=None),
                _read_time(found, "received_at"),
            ),
        )

    def is_inbound_signed(self, request: HttpRequest, secret: bytes) -> bool | None:
        """``X-Signature``: hex HMAC-SHA256 of the body."""
        given = request.header("x-signature") or ""
        expected = hmac.new(secret, request.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), given.lower().encode("utf-8", "replace"))

    def write_inbound_answer(self, is_taken: bool) -> HttpResponse:
        return json_response(200, {"taken": True}) if is_taken else self.write_fault(Fault.UNAVAILABLE, "come again")


def _read_recipients(listed: Sequence[Any], common: str | None) -> tuple[list[str], list[SmsRecipient]]:
    """Texts (each once) and recipients; a number that is none is kept without one, to be answered for."""
    texts: list[str] = [] if common is None else [common]
    at = dict.fromkeys(texts, 0)
    recipients: list[SmsRecipient] = []
    for n, entry in enumerate(listed):
        reference, text, index = "", None, 0
        if type(entry) is str:
            spelled = entry
        elif type(entry) is dict:
            check_fields(entry, _RECIPIENT_FIELDS, f"recipients[{n}]")
            spelled = text_field(entry, "to", f"recipients[{n}]", default=None)
            text = entry.get("text")
            if text is not None and type(text) is not str:
                raise malformed(f"recipients[{n}].text: expected text")
            reference = text_field(entry, "reference", f"recipients[{n}]")
            if len(reference) > MAX_LABEL_CHARACTERS:
                raise malformed(f"recipients[{n}].reference: expected at most {MAX_LABEL_CHARACTERS} characters")
        else:
            raise malformed(f"recipients[{n}]: expected a number as text, or an object")
        if len(spelled) > MAX_SPELLED_CHARACTERS:
            raise RequestRefusedError(Fault.BAD_NUMBER, f"recipients[{n}]: longer than any phone number")
        if text is not None:
            index = at.setdefault(text, len(texts))
            if index == len(texts):
                texts.append(text)
        elif common is None:
            raise RequestRefusedError(Fault.NO_TEXT, f"recipients[{n}]: no text for this recipient")
        try:
            number = parse_phone(spelled)
        except PhoneError:
            number = None
        recipients.append(SmsRecipient(number, spelled, index, reference))
    return texts, recipients


def _choice(found: Mapping[str, Any], name: str, choices: Mapping[str, Any], default: Any) -> Any:
    value = found.get(name)
    if value is None:
        return default
    if type(value) is not str or value not in choices:
        raise malformed(f"{name}: expected one of {', '.join(choices)}")
    return choices[value]


def _read_brand(found: Mapping[str, Any]) -> str:
    value = found.get("brand")
    if value is None:
        return ""
    if type(value) is int and 0 < value < 2**40:
        return str(value)
    if type(value) is str and len(value) <= 100 and value.isprintable():
        return value
    raise malformed("brand: expected the code or the name of a brand")


def _read_time(found: Mapping[str, Any], name: str = "send_at") -> float | None:
    value = found.get(name)
    if value is None:
        return None
    if type(value) is str and _RFC3339(value):
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError):
            pass
    raise malformed(f"{name}: expected a time with its offset, as 2026-01-31T09:00:00+03:00")


def _job_id_in(response: HttpResponse) -> str:
    try:
        found = orjson.loads(response.body)
    except ValueError:
        return ""
    job_id = found.get("id") if isinstance(found, dict) else None
    return job_id if isinstance(job_id, str) else ""
