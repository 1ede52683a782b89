"""Vonage's SMS API (formerly Nexmo): one recipient in a form, a JSON object or a query; always HTTP 200.

Facts: sms-dialects section 8.1 (high confidence). A refused recipient is status 7, number barred, in the answer.
There is no commercial tag: configuration gives it. A request signed with ``sig`` is refused: the signature covers the
text, to which the opt-out has to be added, and only the sender can sign.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from filters.sms.dialect import Call, CallKind, Fault, InboundMessage, RefusalModel, RequestRefusedError, Segments
from filters.sms.dialects.answers import check_text, find_object, is_bad_number, is_try_again, sentence
from filters.sms.dialects.composed import compose_vonage_sms
from filters.sms.dialects.headers import account_of, carried_headers, segments_header
from filters.sms.dialects.in_report import all_refused, all_unknown
from filters.sms.dialects.international_numbers import EXPECTED, find_international, sender_of
from filters.sms.dialects.shapes import CODE, SWITCH, TEXT, check_shape
from filters.sms.dialects.strict_form import parse_fields, read_form, read_query, refuse_query, write_form
from filters.sms.dialects.strict_json import code_field, json_response, malformed, read_json_object, write_json
from filters.sms.dialects.times import find_iso
from filters.sms.dialects.webhooks import read_any_fields
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Alphabet, Relayed, ReportEntry, SmsFate, SmsRecipient, Submission, TextKind
from filters.vocabulary import Outcome

MAX_TEXT_CHARACTERS = 3200

SHAPE = {
    "to": CODE, "from": TEXT, "text": TEXT, "type": TEXT, "ttl": CODE, "status-report-req": SWITCH, "callback": TEXT,
    "client-ref": TEXT, "account-ref": TEXT, "message-class": CODE, "body": TEXT, "udh": TEXT, "protocol-id": CODE,
    "entity-id": TEXT, "content-id": TEXT, "trusted-number": SWITCH, "api_key": TEXT, "api_secret": TEXT,
    "sig": TEXT, "timestamp": CODE,
}  # fmt: skip

_PATH = "/sms/json"
_READ_ONLY = frozenset({"/account/get-balance", "/account/numbers"})

_SHOWN_CLASSES = frozenset({"", "1", "2", "3"})
_SHOWN_PROTOCOL_IDS = frozenset({"", "0", *map(str, range(0x41, 0x48))})
"""Plain, and those that overwrite an earlier text on the handset (3GPP TS 23.040, 9.2.3.9)."""

_CODES: dict[Fault, tuple[str, str]] = {
    Fault.MALFORMED: ("3", "Invalid parameters"),
    Fault.UNKNOWN_FIELD: ("3", "Invalid parameters"),
    Fault.BAD_NUMBER: ("3", "Invalid value for parameter: to"),
    Fault.TOO_MANY_RECIPIENTS: ("3", "Invalid value for parameter: to"),
    Fault.TOO_LARGE: ("12", "Message too long"),
    Fault.NO_TEXT: ("2", "Missing text"),
    Fault.TEXT_TOO_LONG: ("12", "Message too long"),
    Fault.NOT_ALLOWED: ("15", "Sender not allowed"),
    Fault.UNAUTHENTICATED: ("4", "Bad Credentials"),
    Fault.TOO_MANY_REQUESTS: ("1", "Throughput Rate Exceeded - please wait and retry"),
    Fault.NOT_FOUND: ("6", "Unroutable message"),
    Fault.UNAVAILABLE: ("5", "Internal Error - please retry"),
    Fault.UNKNOWN_OUTCOME: ("5", "Internal Error"),
}


class VonageSmsDialect:
    """See the module's description. A ``Dialect``, a ``Composer`` and an ``InboundCodec``."""

    name = "vonage_sms"
    refusal_model = RefusalModel.WHOLE_ANSWER
    profile = "vonage"
    max_recipients = 1

    def recognise(self, request: HttpRequest) -> Call | None:
        if request.path == _PATH and request.method in ("POST", "GET"):
            return Call(CallKind.SEND, "sms.send")
        if request.path == "/sms/xml" or request.path.startswith(("/sc/", "/ussd", "/tts", "/call", "/verify")):
            return Call(CallKind.REFUSED, "other")
        if request.method == "GET" and request.path == "/search/message":
            return Call(CallKind.REPORT, "search.message")
        if request.method == "GET" and request.path in _READ_ONLY:
            return Call(CallKind.UNTOUCHED, "account.read")
        if request.method == "POST" and request.path == "/conversions/sms":
            return Call(CallKind.UNTOUCHED, "conversions.sms")
        return None

    def read(self, request: HttpRequest, call: Call) -> Submission:
        syntax, fields = _read_fields(request)
        if fields.get("sig"):
            raise RequestRefusedError(Fault.NOT_ALLOWED, "sig: a signed request cannot be given an opt-out")
        spelled = code_field(fields, "to", default=None)
        sender = code_field(fields, "from", default=None)
        kind = fields.get("type") or "text"
        if kind not in ("text", "unicode", "binary"):
            raise RequestRefusedError(Fault.NOT_ALLOWED, "type: expected text, unicode or binary")
        is_untouchable = kind == "binary" or _is_special(fields)
        name = "body" if kind == "binary" else "text"
        text = check_text(fields.get(name) or "", name, MAX_TEXT_CHARACTERS)
        return Submission(
            dialect=self.name,
            operation=call.operation,
            recipients=[SmsRecipient(find_international(spelled), spelled, 0, str(fields.get("client-ref") or ""))],
            texts=[text],
            sender_title=sender,
            credential_id=fields.get("api_key") or account_of(request),
            kind=TextKind.BINARY if is_untouchable else TextKind.PLAIN,
            alphabet=Alphabet.UNICODE if kind == "unicode" else Alphabet.AUTO,
            fields={
                "fields": fields,
                "syntax": syntax,
                "method": request.method,
                "headers": carried_headers(request),
            },
        )

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        fields = dict(submission.fields["fields"])
        fields["body" if fields.get("type") == "binary" else "text"] = texts[0]
        syntax, headers = submission.fields["syntax"], submission.fields["headers"]
        if syntax == "json":
            return HttpRequest("POST", _PATH, "", (*headers, ("content-type", "application/json")), write_json(fields))
        form = write_form(fields.items())
        if syntax == "query":
            return HttpRequest(submission.fields["method"], _PATH, form, headers)
        headers = (*headers, ("content-type", "application/x-www-form-urlencoded"))
        return HttpRequest("POST", _PATH, "", headers, form.encode())

    def compose(self, submission: Submission, account: Mapping[str, str]) -> HttpRequest:
        """A ``Composer``; ``account`` as ``composed`` says."""
        return compose_vonage_sms(submission, account)

    def read_answer(self, submission: Submission, kept: Sequence[int], response: HttpResponse) -> Relayed:
        found = find_object(response)
        parts = found.get("messages") if found is not None else None
        if response.status != 200 or type(parts) is not list or not parts:
            return all_unknown(len(kept))
        if any(type(part) is not dict or type(part.get("status")) not in (str, int) for part in parts):
            return all_unknown(len(kept))
        first = next((part for part in parts if str(part["status"]) == "0"), None)
        if first is not None:
            # One entry per segment: where some failed, the person may still have been reached.
            message_id = str(first.get("message-id") or "")
            return Relayed((SmsFate(Outcome.RELAYED, None, message_id, "0"),), message_id)
        code = str(parts[0]["status"])
        if code == "5":
            return all_unknown(len(kept))
        return all_refused(len(kept), code, is_temporary=code == "1", is_passed_on=True)

    def write_answer(
        self,
        submission: Submission,
        fates: Sequence[SmsFate],
        response: HttpResponse | None,
        minted_id: str,
        segments: Sequence[Segments],
    ) -> HttpResponse:
        fate, spelled = fates[0], submission.recipients[0].spelled
        extra = segments_header(segments)
        if response is not None and (fate.outcome is Outcome.RELAYED or fate.upstream_code):
            return HttpResponse(response.status, (("content-type", "application/json"), *extra), response.body)
        if fate.outcome is Outcome.RELAYED:
            return _answer({"to": spelled, "message-id": fate.upstream_id or minted_id, "status": "0"}, extra)
        if is_try_again(fate):
            return self.write_fault(Fault.UNAVAILABLE, sentence(fate))
        if is_bad_number(fate):
            return self.write_fault(Fault.BAD_NUMBER, f"to: {EXPECTED}")
        return _answer({"to": spelled, "status": "7", "error-text": f"Number barred. {sentence(fate)}"}, extra)

    def mint_id(self, number: int) -> str:
        return mint_uuid(number)

    def write_fault(self, fault: Fault, detail: str) -> HttpResponse:
        status, title = _CODES[fault]
        return _answer({"status": status, "error-text": f"{title}. {detail}" if detail else title})

    def report_ids(self, request: HttpRequest, call: Call) -> Sequence[str]:
        if call.kind is not CallKind.REPORT:
            return ()
        found = parse_fields(request.query, ("id", "api_key", "api_secret")).get("id")
        return (found,) if found else ()

    def overlay_report(
        self,
        request: HttpRequest,
        call: Call,
        response: HttpResponse | None,
        dropped: Mapping[str, Sequence[ReportEntry]],
    ) -> HttpResponse:
        # A dropped recipient was refused at once and has no message to ask about.
        return response if response is not None else HttpResponse(404)

    def read_inbound(self, request: HttpRequest) -> Sequence[InboundMessage]:
        found = read_any_fields(request)
        message_id = found.get("messageId") or found.get("message-id") or ""
        if "text" not in found or not found.get("msisdn"):
            return ()
        return (
            InboundMessage(
                sender_of(found["msisdn"]),
                found.get("to", ""),
                found["text"],
                message_id,
                find_iso(found.get("message-timestamp")),
            ),
        )

    def is_inbound_signed(self, request: HttpRequest, secret: bytes) -> bool | None:
        """``sig``: an HMAC over ``&name=value`` of the other fields in order of their names.

        Which hash the account uses shows in the length. The provider's oldest form, a bare MD5 without HMAC, is not
        accepted.
        """
        try:
            fields = read_any_fields(request)
        except RequestRefusedError:
            return False
        given = fields.pop("sig", "").lower()
        hashed = {64: "sha256", 128: "sha512", 40: "sha1", 32: "md5"}.get(len(given))
        if hashed is None or not given.isascii() or "timestamp" not in fields:
            return False
        pieces = (f"&{name}={value.replace('&', '_').replace('=', '_')}" for name, value in sorted(fields.items()))
        expected = hmac.new(secret, "".join(pieces).encode(), getattr(hashlib, hashed)).hexdigest()
        return hmac.compare_digest(expected, given)

    def write_inbound_answer(self, is_taken: bool) -> HttpResponse:
        return HttpResponse(200 if is_taken else 503)


def mint_uuid(number: int) -> str:
    """A UUID of version 8, which no provider makes: theirs are random ones of version 4."""
    digits = f"{number % 2**128:032x}"
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def _read_fields(request: HttpRequest) -> tuple[str, dict[str, Any]]:
    if request.method == "GET" or not request.body:
        return "query", dict(read_query(request, SHAPE))
    refuse_query(request)
    if (request.header("content-type") or "").partition(";")[0].strip().lower() != "application/json":
        return "form", dict(read_form(request, SHAPE))
    found = read_json_object(request)
    check_shape(found, SHAPE)
    if type(found.get("from")) is int:
        raise malformed("from: expected text")
    return "json", {name: value for name, value in found.items() if value is not None}


def _is_special(fields: Mapping[str, Any]) -> bool:
    """Whether a text is more than one: flash vanishes from the screen, and an opt-out in it would too; a header of its
    own makes it a part of a longer one or something for a port; some protocol ids are never shown."""
    return bool(
        fields.get("udh")
        or fields.get("body")
        or str(fields.get("message-class", "")) not in _SHOWN_CLASSES
        or str(fields.get("protocol-id", "")) not in _SHOWN_PROTOCOL_IDS
    )


def _answer(entry: Mapping[str, str], extra: tuple[tuple[str, str], ...] = ()) -> HttpResponse:
    response = json_response(200, {"message-count": "1", "messages": [entry]})
    return response._replace(headers=(*response.headers, *extra))
