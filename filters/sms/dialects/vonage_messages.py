"""Vonage's Messages API: one recipient in a JSON object, answered 202 or with a problem document.

Facts: sms-dialects section 8.2 (high confidence). A refused recipient is problem type 1050, number barred. There is no
commercial tag: configuration gives it. Channels other than SMS, and ``failover``, which names further recipients, are
refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence

from filters.sms.dialect import Call, CallKind, Fault, InboundMessage, RefusalModel, RequestRefusedError, Segments
from filters.sms.dialects.answers import check_text, find_object, is_bad_number, is_try_again, sentence
from filters.sms.dialects.composed import compose_vonage_message
from filters.sms.dialects.headers import account_of, carried_headers, segments_header
from filters.sms.dialects.in_report import all_refused, all_unknown
from filters.sms.dialects.international_numbers import EXPECTED, find_international, sender_of
from filters.sms.dialects.shapes import BOOLEAN, INTEGER, TEXT, check_shape
from filters.sms.dialects.strict_form import refuse_query
from filters.sms.dialects.strict_json import json_response, parse_json, read_json_object, text_field, write_json
from filters.sms.dialects.times import find_iso
from filters.sms.dialects.vonage_sms import mint_uuid
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Alphabet, Relayed, ReportEntry, SmsFate, SmsRecipient, Submission
from filters.vocabulary import Outcome

MAX_TEXT_CHARACTERS = 3200

SHAPE = {
    "to": TEXT, "from": TEXT, "channel": TEXT, "message_type": TEXT, "text": TEXT, "client_ref": TEXT,
    "webhook_url": TEXT, "webhook_version": TEXT, "ttl": INTEGER, "trusted_recipient": BOOLEAN,
    "sms": {"encoding_type": TEXT, "content_id": TEXT, "entity_id": TEXT, "pool_id": TEXT},
}  # fmt: skip

_PATH = "/v1/messages"
_ONE = re.compile(r"/v1/messages/([0-9A-Za-z-]{1,64})", re.ASCII).fullmatch
_ALPHABETS = {"text": Alphabet.AUTO, "unicode": Alphabet.UNICODE, "auto": Alphabet.AUTO}

_CODES: dict[Fault, tuple[int, int, str]] = {
    Fault.MALFORMED: (422, 1020, "Invalid params"),
    Fault.UNKNOWN_FIELD: (422, 1020, "Invalid params"),
    Fault.BAD_NUMBER: (422, 1020, "Invalid params"),
    Fault.TOO_MANY_RECIPIENTS: (422, 1020, "Invalid params"),
    Fault.TOO_LARGE: (422, 1090, "Message too long"),
    Fault.NO_TEXT: (422, 1010, "Missing params"),
    Fault.TEXT_TOO_LONG: (422, 1090, "Message too long"),
    Fault.NOT_ALLOWED: (403, 1120, "Sender not allowed"),
    Fault.UNAUTHENTICATED: (401, 0, "Unauthorized"),
    Fault.TOO_MANY_REQUESTS: (429, 1000, "Throttled"),
    Fault.NOT_FOUND: (404, 0, "Not found"),
    Fault.UNAVAILABLE: (503, 0, "Internal error"),
    Fault.UNKNOWN_OUTCOME: (503, 0, "Internal error"),
}


class VonageMessagesDialect:
    """See the module's description. A ``Dialect``, a ``Composer`` and an ``InboundCodec``."""

    name = "vonage_messages"
    refusal_model = RefusalModel.WHOLE_ANSWER
    profile = "vonage"
    max_recipients = 1

    def recognise(self, request: HttpRequest) -> Call | None:
        if request.path == _PATH and request.method == "POST":
            return Call(CallKind.SEND, "messages.send")
        if _ONE(request.path) and request.method == "PATCH":
            return Call(CallKind.CANCEL, "messages.update")
        if request.method == "POST" and request.path.startswith(("/v0.1/", "/v0.2/", "/v1/", "/v2/")):
            return Call(CallKind.REFUSED, "other")
        return None

    def read(self, request: HttpRequest, call: Call) -> Submission:
        refuse_query(request)
        found = read_json_object(request)
        check_shape(found, SHAPE)
        if found.get("channel") != "sms" or found.get("message_type") != "text":
            raise RequestRefusedError(Fault.NOT_ALLOWED, "channel: expected sms, and message_type text")
        spelled = text_field(found, "to", default=None)
        text = check_text(text_field(found, "text"), "text", MAX_TEXT_CHARACTERS)
        encoding = (found.get("sms") or {}).get("encoding_type") or "auto"
        if encoding not in _ALPHABETS:
            raise RequestRefusedError(Fault.MALFORMED, "sms.encoding_type: expected text, unicode or auto")
        return Submission(
            dialect=self.name,
            operation=call.operation,
            recipients=[SmsRecipient(find_international(spelled), spelled, 0, text_field(found, "client_ref"))],
            texts=[text],
            sender_title=text_field(found, "from", default=None),
            credential_id=account_of(request),
            alphabet=_ALPHABETS[encoding],
            fields={"body": found, "headers": carried_headers(request)},
        )

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        body = {**submission.fields["body"], "text": texts[0]}
        headers = (*submission.fields["headers"], ("content-type", "application/json"))
        return HttpRequest("POST", _PATH, "", headers, write_json(body))

    def compose(self, submission: Submission, account: Mapping[str, str]) -> HttpRequest:
        """A ``Composer``; ``account`` as ``composed`` says."""
        return compose_vonage_message(submission, account)

    def read_answer(self, submission: Submission, kept: Sequence[int], response: HttpResponse) -> Relayed:
        found = find_object(response)
        if found is None:
            return all_unknown(len(kept))
        if response.status == 202:
            message_id = found.get("message_uuid")
            if type(message_id) is not str or not message_id:
                return all_unknown(len(kept))
            return Relayed((SmsFate(Outcome.RELAYED, None, message_id, "202"),), message_id)
        problem = found.get("type")
        if not 400 <= response.status < 500 or type(problem) is not str:
            return all_unknown(len(kept))
        is_temporary = response.status == 429
        return all_refused(
            len(kept),
            re.split("[/#]", problem)[-1] or str(response.status),
            is_temporary=is_temporary,
            is_passed_on=True,
        )

    def write_answer(
        self,
        submission: Submission,
        fates: Sequence[SmsFate],
        response: HttpResponse | None,
        minted_id: str,
        segments: Sequence[Segments],
    ) -> HttpResponse:
        fate = fates[0]
        extra = segments_header(segments)
        if response is not None and (fate.outcome is Outcome.RELAYED or fate.upstream_code):
            content = dict(response.headers).get("content-type", "application/json")
            return HttpResponse(response.status, (("content-type", content), *extra), response.body)
        if fate.outcome is Outcome.RELAYED:
            answer = json_response(202, {"message_uuid": fate.upstream_id or minted_id})
            return answer._replace(headers=(*answer.headers, *extra))
        if is_try_again(fate):
            return self.write_fault(Fault.UNAVAILABLE, sentence(fate))
        if is_bad_number(fate):
            return self.write_fault(Fault.BAD_NUMBER, f"to: {EXPECTED}")
        return _problem(403, 1050, "Number barred", sentence(fate), minted_id)

    def mint_id(self, number: int) -> str:
        return mint_uuid(number)

    def write_fault(self, fault: Fault, detail: str) -> HttpResponse:
        return _problem(*_CODES[fault], detail or _CODES[fault][2], "")

    def report_ids(self, request: HttpRequest, call: Call) -> Sequence[str]:
        found = _ONE(request.path)
        return (found[1],) if found else ()

    def overlay_report(
        self,
        request: HttpRequest,
        call: Call,
        response: HttpResponse | None,
        dropped: Mapping[str, Sequence[ReportEntry]],
    ) -> HttpResponse:
        # A dropped recipient was refused at once and has no message to ask about.
        return response if response is not None else self.write_fault(Fault.NOT_FOUND, "")

    def read_inbound(self, request: HttpRequest) -> Sequence[InboundMessage]:
        found = parse_json(request.body)
        if type(found) is not dict or found.get("channel") != "sms" or type(found.get("text")) is not str:
            return ()
        sender, message_id = found.get("from"), found.get("message_uuid")
        if type(sender) is not str or type(message_id) is not str:
            return ()
        destination = str(found.get("to") or "")
        sender = sender_of(sender)
        return (InboundMessage(sender, destination, found["text"], message_id, find_iso(found.get("timestamp"))),)

    def is_inbound_signed(self, request: HttpRequest, secret: bytes) -> bool | None:
        """A JWT under HS256 in the Authorization field, whose ``payload_hash`` is the SHA-256 of the body."""
        scheme, _, token = (request.header("authorization") or "").partition(" ")
        pieces = token.strip().split(".")
        if scheme.lower() != "bearer" or len(pieces) != 3:
            return False
        try:
            header, claims = (json.loads(_unpadded(piece)) for piece in pieces[:2])
            given = _unpadded(pieces[2])
        except (ValueError, RecursionError):
            return False
        if type(header) is not dict or header.get("alg") != "HS256" or type(claims) is not dict:
            return False
        expected = hmac.new(secret, f"{pieces[0]}.{pieces[1]}".encode(), hashlib.sha256).digest()
        is_over_body = claims.get("payload_hash") == hashlib.sha256(request.body).hexdigest()
        return hmac.compare_digest(expected, given) and is_over_body

    def write_inbound_answer(self, is_taken: bool) -> HttpResponse:
        return HttpResponse(200 if is_taken else 503)


def _unpadded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error


def _problem(status: int, code: int, title: str, detail: str, instance: str) -> HttpResponse:
    kind = (
        f"https://developer.vonage.com/api-errors/messages#{code}"
        if code
        else "https://developer.vonage.com/api-errors"
    )
    answer = json_response(status, {"type": kind, "title": title, "detail": detail, "instance": instance})
    return answer._replace(headers=(("content-type", "application/problem+json"),))
