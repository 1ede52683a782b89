"""Turkcell Mesajüssü: one text to many numbers of ten digits; refusals ride on HTTP statuses of the provider's own.

Facts: sms-dialects section 6.3 (medium-low confidence: third parties' code only). ``etkFlag``, by default true, marks a
message commercial and makes Turkcell append its own cancel text behind our opt-out; both then stand in the text.
Status 996, recipient blacklisted, is the answer where nobody is left. How the provider answers in part is not known: an
accepted request's answer is handed on with one member of ours, ``izin``, that names who was left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256

from filters.sms.dialect import Call, CallKind, Fault, RefusalModel, RequestRefusedError, Segments
from filters.sms.dialects.answers import check_text, find_number, find_object
from filters.sms.dialects.headers import account_of, carried_headers, segments_header
from filters.sms.dialects.in_report import all_refused, all_relayed, all_unknown, is_relayed, passed_on, refused_whole
from filters.sms.dialects.left_out import add_left_out
from filters.sms.dialects.shapes import BOOLEAN, CODES, TEXT, Shape, check_shape
from filters.sms.dialects.strict_form import refuse_query
from filters.sms.dialects.strict_json import json_response, list_field, read_json_object, text_field, write_json
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Relayed, ReportEntry, SmsFate, SmsRecipient, Submission
from filters.vocabulary import MessageClass

MAX_RECIPIENTS = 50_000
"""The provider publishes none; as the largest of the others."""

MAX_TEXT_CHARACTERS = 4000

BLACKLISTED = 996

SHAPE: Shape = {"message": TEXT, "sender": TEXT, "etkFlag": BOOLEAN, "receivers": CODES}

# The service's own address has "/api" twice; clients put none, one or both into their base address.
_CALL = re.compile(r"(?:/api){0,2}/integration/v2(/[A-Za-z0-9/_-]{1,64})", re.ASCII).fullmatch

_STATUS: dict[Fault, int] = {
    Fault.MALFORMED: 400,
    Fault.UNKNOWN_FIELD: 400,
    Fault.BAD_NUMBER: 400,
    Fault.TOO_MANY_RECIPIENTS: 932,
    Fault.TOO_LARGE: 413,
    Fault.NO_TEXT: 400,
    Fault.TEXT_TOO_LONG: 400,
    Fault.NOT_ALLOWED: 971,
    Fault.UNAUTHENTICATED: 918,
    Fault.TOO_MANY_REQUESTS: 429,
    Fault.NOT_FOUND: 404,
    Fault.UNAVAILABLE: 503,
    Fault.UNKNOWN_OUTCOME: 503,
}
_TEMPORARY = frozenset({429, 869, 938})
"""Too many, outside 09:00 to 21:00 (two codes)."""


class TurkcellDialect:
    """See the module's description. A ``Dialect``."""

    name = "turkcell"
    refusal_model = RefusalModel.WHOLE_ANSWER
    profile = "turkcell"
    max_recipients = MAX_RECIPIENTS

    def recognise(self, request: HttpRequest) -> Call | None:
        found = _CALL(request.path)
        if found is None or request.method != "POST":
            return None
        if found[1] == "/sms/send/oton":
            return Call(CallKind.SEND, "oton")
        return Call(CallKind.UNTOUCHED, "login") if found[1] == "/login" else Call(CallKind.REFUSED, "other")

    def read(self, request: HttpRequest, call: Call) -> Submission:
        refuse_query(request)
        body = read_json_object(request)
        receivers = list_field(body, "receivers")
        if len(receivers) > MAX_RECIPIENTS:
            raise RequestRefusedError(Fault.TOO_MANY_RECIPIENTS, f"receivers: expected at most {MAX_RECIPIENTS}")
        check_shape(body, SHAPE)
        text = check_text(text_field(body, "message"), "message", MAX_TEXT_CHARACTERS)
        is_commercial = body.get("etkFlag") is not False
        return Submission(
            dialect=self.name,
            operation=call.operation,
            recipients=[
                SmsRecipient(find_number(str(receiver), "receivers", index), str(receiver), 0)
                for index, receiver in enumerate(receivers)
            ],
            texts=[text],
            sender_title=text_field(body, "sender"),
            credential_id=account_of(request) or _account_of_token(request),
            tag_class=MessageClass.COMMERCIAL if is_commercial else MessageClass.INFORMATIONAL,
            fields={"body": body, "path": request.path, "headers": carried_headers(request, "token")},
        )

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        if len(set(texts)) != 1:
            raise ValueError("texts: one request of this dialect carries one text")
        body = submission.fields["body"]
        receivers = [body["receivers"][position] for position in kept]
        headers = (*submission.fields["headers"], ("content-type", "application/json"))
        rebuilt = write_json({**body, "message": texts[0], "receivers": receivers})
        return HttpRequest("POST", submission.fields["path"], "", headers, rebuilt)

    def read_answer(self, submission: Submission, kept: Sequence[int], response: HttpResponse) -> Relayed:
        if 200 <= response.status < 300:
            found = find_object(response)
            if not found:
                return all_unknown(len(kept))
            message_id = found.get("messageId")
            job_id = str(message_id) if type(message_id) in (str, int) else ""
            return all_relayed(len(kept), job_id, str(response.status))
        if 400 <= response.status < 500 or response.status >= 600:
            is_temporary = response.status in _TEMPORARY
            return all_refused(len(kept), str(response.status), is_temporary=is_temporary, is_passed_on=True)
        return all_unknown(len(kept))

    def write_answer(
        self,
        submission: Submission,
        fates: Sequence[SmsFate],
        response: HttpResponse | None,
        minted_id: str,
        segments: Sequence[Segments],
    ) -> HttpResponse:
        if is_relayed(fates):
            answer = (
                passed_on(response, segments_header(segments))
                if response is not None
                else json_response(200, {"messageId": minted_id})
            )
            return add_left_out(answer, submission, fates, "receiver")
        if response is not None and any(fate.upstream_code for fate in fates):
            return passed_on(response)
        fault = refused_whole(fates)
        if fault is not None:
            return self.write_fault(fault, "")
        answer = json_response(BLACKLISTED, {"message": "No receiver may receive this message."})
        return add_left_out(answer, submission, fates, "receiver")

    def mint_id(self, number: int) -> str:
        # Fits the integers of every language, and begins where the provider's counters have not come.
        return str(8 * 10**15 + number % 10**15)

    def write_fault(self, fault: Fault, detail: str) -> HttpResponse:
        return json_response(_STATUS[fault], {"message": detail or str(fault)})

    def report_ids(self, request: HttpRequest, call: Call) -> Sequence[str]:
        return ()

    def overlay_report(
        self,
        request: HttpRequest,
        call: Call,
        response: HttpResponse | None,
        dropped: Mapping[str, Sequence[ReportEntry]],
    ) -> HttpResponse:
        return response if response is not None else self.write_fault(Fault.NOT_FOUND, "")


def _account_of_token(request: HttpRequest) -> str:
    """Tokens change daily and name nobody; the beginning of the hash tells them apart in logs."""
    token = request.header("token") or ""
    return f"token:{sha256(token.encode()).hexdigest()[:16]}" if token else ""
