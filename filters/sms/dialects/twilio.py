"""Twilio's Programmable Messaging: one recipient in a form, refused at once with HTTP 400 and code 21610.

Facts: sms-dialects section 7 (high confidence; from the provider's own specification). Twilio has no field that says
whether a message is commercial: configuration tags it by sender, Messaging Service or account. ``MessageIntent``
"marketing" is taken as commercial; no value of it loosens anything.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

from filters.sms.dialect import (
    Call,
    CallKind,
    Cancellation,
    Fault,
    InboundMessage,
    RefusalModel,
    RequestRefusedError,
    Segments,
)
from filters.sms.dialects.answers import check_text, find_object, is_bad_number, is_try_again, sentence
from filters.sms.dialects.composed import compose_twilio
from filters.sms.dialects.headers import account_of, carried_headers, segments_header
from filters.sms.dialects.in_report import all_refused, all_unknown
from filters.sms.dialects.international_numbers import EXPECTED, find_international
from filters.sms.dialects.strict_form import read_form, refuse_query, required_field, write_form
from filters.sms.dialects.strict_json import json_response, malformed
from filters.sms.dialects.times import parse_iso
from filters.sms.dialects.webhooks import read_form_body
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Relayed, ReportEntry, SmsFate, SmsRecipient, Submission, TextKind
from filters.vocabulary import MessageClass, Outcome

MAX_BODY_CHARACTERS = 1600

FIELDS = (
    "To", "From", "MessagingServiceSid", "Body", "MediaUrl", "ContentSid", "ContentVariables", "StatusCallback",
    "ApplicationSid", "MaxPrice", "ProvideFeedback", "Attempt", "ValidityPeriod", "ForceDelivery", "ContentRetention",
    "AddressRetention", "SmartEncoded", "PersistentAction", "TrafficType", "MessageIntent", "ShortenUrls",
    "ScheduleType", "SendAt", "SendAsMms", "RiskCheck", "FallbackFrom",
)  # fmt: skip

_ACCOUNT = r"/2010-04-01/Accounts/[A-Za-z0-9]{1,64}"
_SEND = re.compile(_ACCOUNT + r"/Messages\.json", re.ASCII).fullmatch
_ONE = re.compile(_ACCOUNT + r"/Messages/([A-Za-z0-9]{1,64})\.json", re.ASCII).fullmatch
_READ_ONLY = re.compile(
    _ACCOUNT + r"(?:|/Balance|/IncomingPhoneNumbers|/Messages|/Messages/[A-Za-z0-9]{1,64}/Media)\.json", re.ASCII
).fullmatch

_CODES: dict[Fault, tuple[int, int, str]] = {
    Fault.MALFORMED: (400, 20001, "Invalid parameter"),
    Fault.UNKNOWN_FIELD: (400, 20001, "Invalid parameter"),
    Fault.BAD_NUMBER: (400, 21211, "Invalid 'To' Phone Number"),
    Fault.TOO_MANY_RECIPIENTS: (400, 21211, "Invalid 'To' Phone Number"),
    Fault.TOO_LARGE: (400, 21617, "The request is too large"),
    Fault.NO_TEXT: (400, 21602, "Message body is required"),
    Fault.TEXT_TOO_LONG: (400, 21617, "The concatenated message body exceeds the 1600 character limit"),
    Fault.NOT_ALLOWED: (403, 20003, "Permission denied"),
    Fault.UNAUTHENTICATED: (401, 20003, "Authenticate"),
    Fault.TOO_MANY_REQUESTS: (429, 20429, "Too Many Requests"),
    Fault.NOT_FOUND: (404, 20404, "The requested resource was not found"),
    Fault.UNAVAILABLE: (503, 20503, "Service unavailable"),
    Fault.UNKNOWN_OUTCOME: (503, 20503, "Service unavailable"),
}


class TwilioDialect:
    """See the module's description. A ``Dialect``, a ``Composer`` and an ``InboundCodec``."""

    name = "twilio"
    refusal_model = RefusalModel.WHOLE_ANSWER
    profile = "twilio"
    max_recipients = 1

    def recognise(self, request: HttpRequest) -> Call | None:
        if request.method == "POST":
            if _SEND(request.path):
                return Call(CallKind.SEND, "messages.create")
            if _ONE(request.path):
                return Call(CallKind.CANCEL, "messages.update")
            return Call(CallKind.REFUSED, "other") if request.path.startswith("/2010-04-01/") else None
        if _ONE(request.path):
            if request.method == "GET":
                return Call(CallKind.REPORT, "messages.fetch")
            return Call(CallKind.UNTOUCHED, "messages.delete") if request.method == "DELETE" else None
        return Call(CallKind.UNTOUCHED, "read") if request.method == "GET" and _READ_ONLY(request.path) else None

    def read(self, request: HttpRequest, call: Call) -> Submission:
        refuse_query(request)
        fields = read_form(request, FIELDS)
        spelled = required_field(fields, "To")
        text = fields.get("Body", "")
        if "ContentSid" in fields or ("MediaUrl" in fields and not text):
            kind = TextKind.TEMPLATE
        else:
            kind = TextKind.PLAIN
            check_text(text, "Body", MAX_BODY_CHARACTERS)
        sender = fields.get("From") or fields.get("MessagingServiceSid")
        if not sender:
            raise malformed("From: expected, or MessagingServiceSid")
        is_marketing = fields.get("MessageIntent", "").lower() == "marketing"
        return Submission(
            dialect=self.name,
            operation=call.operation,
            recipients=[SmsRecipient(find_international(spelled), spelled, 0)],
            texts=[text],
            sender_title=sender,
            # Of an API key (SK…) the sender of rules need not know; a subaccount is that of the address, too.
            credential_id=request.path.split("/")[3],
            key_id=account_of(request),
            tag_class=MessageClass.COMMERCIAL if is_marketing else None,
            kind=kind,
            send_at=_send_at(fields),
            fields={"form": fields, "path": request.path, "headers": carried_headers(request)},
        )

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        form = dict(submission.fields["form"])
        if "Body" in form:
            form["Body"] = texts[0]
        headers = (*submission.fields["headers"], ("content-type", "application/x-www-form-urlencoded"))
        return HttpRequest("POST", submission.fields["path"], "", headers, write_form(form.items()).encode())

    def compose(self, submission: Submission, account: Mapping[str, str]) -> HttpRequest:
        """A ``Composer``; ``account`` as ``composed`` says."""
        return compose_twilio(submission, account)

    def compose_cancel(self, submission: Submission, relayed: Relayed, nth: int) -> Cancellation | None:
        path = f"{submission.fields['path'].removesuffix('.json')}/{relayed.job_id}.json"
        if not relayed.job_id or not _ONE(path):
            return None
        headers = (*submission.fields["headers"], ("content-type", "application/x-www-form-urlencoded"))
        return Cancellation(HttpRequest("POST", path, "", headers, b"Status=canceled"), is_whole=True)

    def is_cancelled(self, response: HttpResponse) -> bool:
        found = find_object(response)
        return response.status == 200 and found is not None and found.get("status") == "canceled"

    def read_answer(self, submission: Submission, kept: Sequence[int], response: HttpResponse) -> Relayed:
        found = find_object(response)
        if found is None or response.status >= 500 or response.status < 200:
            return all_unknown(len(kept))
        if response.status < 300:
            sid, status = found.get("sid"), found.get("status")
            if type(sid) is not str or not sid:
                return all_unknown(len(kept))
            return Relayed((SmsFate(Outcome.RELAYED, None, sid, str(status)),), sid)
        if response.status < 400 or type(found.get("code")) is not int:
            return all_unknown(len(kept))
        is_temporary = response.status == 429
        return all_refused(len(kept), str(found["code"]), is_temporary=is_temporary, is_passed_on=True)

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
            return HttpResponse(response.status, (("content-type", "application/json"), *extra), response.body)
        if fate.outcome is Outcome.RELAYED:
            return _with(json_response(201, _message(submission, fate.upstream_id or minted_id)), extra)
        if is_try_again(fate):
            return self.write_fault(Fault.UNAVAILABLE, sentence(fate))
        if is_bad_number(fate):
            return self.write_fault(Fault.BAD_NUMBER, f"To: {EXPECTED}")
        return _error(400, 21610, f"Attempt to send to unsubscribed recipient. {sentence(fate)}")

    def mint_id(self, number: int) -> str:
        # 128 random bits like the provider's own: two alike do not happen.
        return f"SM{number % 2**128:032x}"

    def write_fault(self, fault: Fault, detail: str) -> HttpResponse:
        status, code, title = _CODES[fault]
        return _error(status, code, f"{title}. {detail}" if detail else title)

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
        found = read_form_body(request)
        if "MessageStatus" in found or not found.get("From") or not found.get("MessageSid"):
            return ()
        return (InboundMessage(found["From"], found.get("To", ""), found.get("Body", ""), found["MessageSid"]),)

    def is_inbound_signed(self, request: HttpRequest, secret: bytes) -> bool | None:
        """X-Twilio-Signature: HMAC-SHA1 over the address and the sorted fields, under the account's token.

        The address is the one Twilio called, so the Host field must reach us unchanged; the scheme may have been taken
        off by a proxy before us, and ports are told by some and not by others.
        """
        given = request.header("x-twilio-signature") or ""
        try:
            fields = read_form_body(request)
        except RequestRefusedError:
            return False
        signed = "".join(f"{name}{fields[name]}" for name in sorted(fields))
        tail = request.path + (f"?{request.query}" if request.query else "")
        host = request.header("host") or ""
        good = False
        for scheme, port in (("https", "443"), ("http", "80")):
            for spelled in {host, host.rpartition(":")[0] or host, host if ":" in host else f"{host}:{port}"}:
                mac = hmac.new(secret, f"{scheme}://{spelled}{tail}{signed}".encode(), hashlib.sha1)
                good |= hmac.compare_digest(base64.b64encode(mac.digest()), given.encode())
        return good

    def write_inbound_answer(self, is_taken: bool) -> HttpResponse:
        if not is_taken:
            return HttpResponse(503)
        return HttpResponse(200, (("content-type", "text/xml"),), b"<Response/>")


def _send_at(fields: Mapping[str, str]) -> float | None:
    if not fields.get("ScheduleType") and not fields.get("SendAt"):
        return None
    if fields.get("ScheduleType", "").lower() != "fixed":
        raise malformed("ScheduleType: expected fixed")
    return parse_iso(required_field(dict(fields), "SendAt"), "SendAt")


def _message(submission: Submission, sid: str) -> dict[str, object]:
    """A Message as the provider would show it, for one that was handed over by an earlier attempt."""
    account = submission.fields["path"].split("/")[3]
    form = submission.fields["form"]
    return {
        "account_sid": account, "api_version": "2010-04-01", "body": submission.texts[0], "date_created": None,
        "date_sent": None, "date_updated": None, "direction": "outbound-api", "error_code": None,
        "error_message": None, "from": form.get("From"), "messaging_service_sid": form.get("MessagingServiceSid"),
        "num_media": "0", "num_segments": "0", "price": None, "price_unit": None, "sid": sid, "status": "accepted",
        "subresource_uris": {}, "to": form["To"],
        "uri": f"/2010-04-01/Accounts/{account}/Messages/{sid}.json",
    }  # fmt: skip


def _with(response: HttpResponse, extra: tuple[tuple[str, str], ...]) -> HttpResponse:
    return response._replace(headers=(*response.headers, *extra))


def _error(status: int, code: int, message: str) -> HttpResponse:
    return json_response(
        status,
        {"code": code, "message": message, "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": status},
    )
