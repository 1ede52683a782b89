"""Netgsm REST v2 (sms-dialects 3.1 to 3.3): accepted now, refused in the report.

The provider's description is its OpenAPI file and two official clients. Not confirmed by it: the cap of recipients per
request (ours is 50,000), the body it posts to webhooks (so they are not read), ``iysfilter`` "13" (refused).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import Any

from filters.phone import PhoneNumber
from filters.sms.dialect import (
    Call,
    CallKind,
    Cancellation,
    Fault,
    JobSearch,
    RefusalModel,
    RequestRefusedError,
    Segments,
)
from filters.sms.dialects import netgsm_report
from filters.sms.dialects.headers import account_of, segments_header
from filters.sms.dialects.in_report import (
    all_refused,
    all_relayed,
    all_unknown,
    basic_header,
    is_relayed,
    passed_on,
    refused_whole,
)
from filters.sms.dialects.netgsm_values import (
    ACCEPTED,
    DATE_FORMAT,
    FAULT_CODES,
    MAX_RECIPIENTS,
    TEMPORARY_CODES,
    alphabet_of,
    encoding_of,
    iysfilter_of,
    mint_job_id,
    read_date,
    read_iysfilter,
)
from filters.sms.dialects.spelled_numbers import SharedTexts, national_digits, read_number, read_numbers
from filters.sms.dialects.strict_form import refuse_query
from filters.sms.dialects.strict_json import (
    check_fields,
    code_field,
    json_response,
    list_field,
    malformed,
    parse_json,
    read_json_object,
    text_columns,
    text_field,
    write_json,
)
from filters.sms.dialects.times import write_time
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Relayed, ReportEntry, SmsFate, SmsRecipient, Submission, TextKind
from filters.vocabulary import MessageClass

SEND = Call(CallKind.SEND, "rest_v2.send")
OTP = Call(CallKind.SEND, "rest_v2.otp")
REPORT = Call(CallKind.REPORT, "rest_v2.report")
CANCEL = Call(CallKind.CANCEL, "rest_v2.cancel")

_BASE = "/sms/rest/v2/"
_CALLS: dict[tuple[str, str], Call] = {
    ("POST", f"{_BASE}send"): SEND,
    ("POST", f"{_BASE}otp"): OTP,
    ("POST", f"{_BASE}report"): REPORT,
    ("POST", f"{_BASE}cancel"): CANCEL,
    **{
        (method, path): Call(CallKind.UNTOUCHED, operation)
        for method, path, operation in (
            ("GET", f"{_BASE}inbox", "rest_v2.inbox"),
            ("GET", f"{_BASE}msgheader", "rest_v2.msgheader"),
            ("POST", f"{_BASE}stats", "rest_v2.stats"),
            ("POST", f"{_BASE}length", "rest_v2.length"),
            ("POST", f"{_BASE}inboxwebhook", "rest_v2.inboxwebhook"),
            ("DELETE", f"{_BASE}inboxwebhook", "rest_v2.inboxwebhook"),
            ("POST", f"{_BASE}reportwebhook", "rest_v2.reportwebhook"),
            ("DELETE", f"{_BASE}reportwebhook", "rest_v2.reportwebhook"),
            ("POST", "/balance", "balance"),
        )
    },
}

_MESSAGE_FIELDS = frozenset({"msg", "no"})
_KEPT_FIELDS = ("iysfilter", "encoding", "startdate", "stopdate", "partnercode", "appname", "referansID")
_SEND_FIELDS = frozenset({"msgheader", "messages", *_KEPT_FIELDS})
_OTP_FIELDS = frozenset({"msgheader", "msg", "no", "appname"})


class NetgsmDialect:
    """See the module's description. A ``Dialect``, a ``Composer`` and a ``JobSearcher``."""

    name = "netgsm"
    refusal_model = RefusalModel.IN_REPORT
    profile = "netgsm"
    max_recipients = MAX_RECIPIENTS

    def recognise(self, request: HttpRequest) -> Call | None:
        return _CALLS.get((request.method, request.path))

    # -- requests -------------------------------------------------------------------------------------------------

    def read(self, request: HttpRequest, call: Call) -> Submission:
        refuse_query(request)
        if len([name for name, _ in request.headers if name == "authorization"]) > 1:
            raise malformed("Authorization: expected once")
        found = read_json_object(request)
        return self._read_otp(request, found) if call.operation == OTP.operation else self._read_send(request, found)

    def _read_send(self, request: HttpRequest, found: dict[str, Any]) -> Submission:
        check_fields(found, _SEND_FIELDS)
        listed = list_field(found, "messages")
        if len(listed) > MAX_RECIPIENTS:
            raise RequestRefusedError(Fault.TOO_MANY_RECIPIENTS, f"messages: expected at most {MAX_RECIPIENTS}")
        reference = code_field(found, "referansID")
        recipients, texts = _read_messages(listed, reference)
        for name in ("partnercode", "appname"):
            code_field(found, name)
        message_class, recipient_type = read_iysfilter(code_field(found, "iysfilter"), "iysfilter")
        read_date(code_field(found, "stopdate"), "stopdate")
        return Submission(
            dialect=self.name,
            operation=SEND.operation,
            recipients=recipients,
            texts=texts,
            sender_title=text_field(found, "msgheader", default=None),
            credential_id=account_of(request),
            tag_class=message_class,
            tag_type=recipient_type,
            alphabet=alphabet_of(text_field(found, "encoding"), "encoding"),
            send_at=read_date(code_field(found, "startdate"), "startdate"),
            fields={
                "authorization": request.header("authorization"),
                "kept": {name: found[name] for name in _KEPT_FIELDS if found.get(name) is not None},
            },
        )

    def _read_otp(self, request: HttpRequest, found: dict[str, Any]) -> Submission:
        check_fields(found, _OTP_FIELDS)
        texts = SharedTexts()
        spelled = code_field(found, "no", default=None)
        recipient = SmsRecipient(read_number(spelled, "no"), spelled, texts.number(text_field(found, "msg"), "msg"))
        code_field(found, "appname")
        return Submission(
            dialect=self.name,
            operation=OTP.operation,
            recipients=[recipient],
            texts=texts.all,
            sender_title=text_field(found, "msgheader", default=None),
            credential_id=account_of(request),
            # The provider has a call of its own for one-time passwords; it is never commercial there.
            tag_class=MessageClass.INFORMATIONAL,
            kind=TextKind.OTP,
            fields={
                "authorization": request.header("authorization"),
                "kept": {"appname": found["appname"]} if found.get("appname") is not None else {},
            },
        )

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        recipients = submission.recipients
        body: dict[str, Any] = {"msgheader": submission.sender_title}
        if submission.operation == OTP.operation:
            body |= {"msg": texts[0], "no": recipients[kept[0]].spelled}
        else:
            body["messages"] = [
                {"msg": text, "no": recipients[position].spelled} for position, text in zip(kept, texts, strict=True)
            ]
        headers = [("content-type", "application/json"), ("accept", "application/json")]
        if (authorization := submission.fields["authorization"]) is not None:
            headers.append(("authorization", authorization))
        path = _BASE + submission.operation.removeprefix("rest_v2.")
        return HttpRequest("POST", path, "", tuple(headers), write_json(body | submission.fields["kept"]))

    def compose(self, submission: Submission, account: Mapping[str, str]) -> HttpRequest:
        """``account``: username, password; msgheader where the submission names no sender title."""
        is_otp = submission.kind is TextKind.OTP
        if submission.kind not in (TextKind.PLAIN, TextKind.OTP):
            raise malformed("kind: expected plain or otp")
        if is_otp and len(submission.recipients) != 1:
            raise malformed("recipients: expected one for a one-time password")
        body: dict[str, Any] = {"msgheader": submission.sender_title or account.get("msgheader", "")}
        messages = [
            {"msg": submission.texts[recipient.text], "no": national_digits(recipient.number)}
            for recipient in submission.recipients
        ]
        if is_otp:
            body |= messages[0]
        else:
            body |= {"messages": messages, "iysfilter": iysfilter_of(submission.tag_class, submission.tag_type)}
            if encoding := encoding_of(submission.alphabet, submission.texts):
                body["encoding"] = encoding
            if submission.send_at is not None:
                body["startdate"] = write_time(submission.send_at, DATE_FORMAT)
        credentials = basic_header(account.get("username", ""), account.get("password", ""))
        path = f"{_BASE}otp" if is_otp else f"{_BASE}send"
        return HttpRequest("POST", path, "", (("content-type", "application/json"), credentials), write_json(body))

    def compose_cancel(self, submission: Submission, relayed: Relayed, nth: int) -> Cancellation | None:
        authorization = submission.fields["authorization"]
        if not relayed.job_id or authorization is None or submission.operation == OTP.operation:
            return None
        headers = (("content-type", "application/json"), ("authorization", authorization))
        body = write_json({"jobid": relayed.job_id})
        return Cancellation(HttpRequest("POST", f"{_BASE}cancel", "", headers, body), is_whole=True)

    def is_cancelled(self, response: HttpResponse) -> bool:
        return response.status == 200 and _read_code(response)[0] in ACCEPTED

    # -- answers --------------------------------------------------------------------------------------------------

    def read_answer(self, submission: Submission, kept: Sequence[int], response: HttpResponse) -> Relayed:
        code, job_id = _read_code(response)
        if response.status == 200 and code in ACCEPTED:
            return all_relayed(len(kept), job_id, code)
        # A job's id beside another code than those of success: something may have been taken.
        if code and code not in ACCEPTED and not job_id and response.status < 500:
            return all_refused(
                len(kept),
                code,
                is_temporary=code in TEMPORARY_CODES,
                # Its Python client takes any 200 for success: such an answer is written anew.
                is_passed_on=response.status != 200,
            )
        return all_unknown(len(kept))

    def write_answer(
        self,
        submission: Submission,
        fates: Sequence[SmsFate],
        response: HttpResponse | None,
        minted_id: str,
        segments: Sequence[Segments],
    ) -> HttpResponse:
        is_otp = submission.operation == OTP.operation
        if response is not None and is_relayed(fates):
            return passed_on(response, segments_header(segments))
        if response is not None:
            code, _ = _read_code(response)
            if code and code not in ACCEPTED:
                return _refusal(code, "refused by the provider")
            return self.write_fault(Fault.UNKNOWN_OUTCOME, "the provider's answer could not be read")
        if fault := refused_whole(fates):
            return self.write_fault(fault, "no number could be sent to")
        if is_otp:
            # One number and no report: code 50 is this call's "the number cannot be sent to".
            return _refusal("50", "the number may not be sent to")
        accepted = json_response(200, {"code": "00", "jobid": minted_id, "description": "queued"})
        return passed_on(accepted, segments_header(segments))

    def mint_id(self, number: int) -> str:
        return mint_job_id(number)

    def write_fault(self, fault: Fault, detail: str) -> HttpResponse:
        return _refusal(FAULT_CODES[fault], detail)

    # -- reports --------------------------------------------------------------------------------------------------

    def report_ids(self, request: HttpRequest, call: Call) -> Sequence[str]:
        return netgsm_report.asked_job_ids(request)

    def find_search(self, request: HttpRequest, call: Call) -> JobSearch | None:
        span = netgsm_report.find_span(request) if call.kind is CallKind.REPORT else None
        return None if span is None else JobSearch(account_of(request), start=span[0], stop=span[1])

    def own_job_id(self, submission: Submission) -> str:
        return ""

    def overlay_report(
        self,
        request: HttpRequest,
        call: Call,
        response: HttpResponse | None,
        dropped: Mapping[str, Sequence[ReportEntry]],
    ) -> HttpResponse:
        if call.kind is CallKind.CANCEL:
            if response is not None:
                return passed_on(response)
            # Nothing of a job of ours was sent or will be: what was asked for is so.
            job_id = next(iter(netgsm_report.asked_job_ids(request)), "")
            return json_response(200, {"code": "00", "jobid": job_id, "description": "cancelled"})
        return netgsm_report.overlay(request, response, dropped)


_new = tuple.__new__
"""Half the time of the class's own way."""
_make: Callable[[tuple[PhoneNumber | None, str, int, str]], SmsRecipient] = partial(_new, SmsRecipient)
_MANY = 10


def _read_messages(listed: list[Any], reference: str) -> tuple[list[SmsRecipient], list[str]]:
    texts = SharedTexts()
    columns = text_columns(listed, "no", "msg") if len(listed) >= _MANY else None
    if columns is not None:
        column, written = columns
        numbers, places = read_numbers(column, "messages[].no"), texts.numbers(written, "messages[].msg")
        return list(map(_make, zip(numbers, column, places, repeat(reference), strict=False))), texts.all
    recipients = []
    before, shared = None, 0
    for position, message in enumerate(listed):
        if type(message) is not dict:
            raise malformed(f"messages[{position}]: expected an object")
        if message.keys() != _MESSAGE_FIELDS:
            check_fields(message, _MESSAGE_FIELDS, f"messages[{position}]")
        spelled, text = message.get("no"), message.get("msg")
        if type(spelled) is not str or type(text) is not str:
            spelled = code_field(message, "no", f"messages[{position}]", default=None)
            text = text_field(message, "msg", f"messages[{position}]")
        number = read_number(spelled, "messages[].no")
        if text != before:
            before, shared = text, texts.number(text, "messages[].msg")
        recipients.append(_new(SmsRecipient, (number, spelled, shared, reference)))
    return recipients, texts.all


def _read_code(response: HttpResponse) -> tuple[str, str]:
    """Code and job id of an answer; "" for what is not there."""
    try:
        found = parse_json(response.body)
    except RequestRefusedError:
        return "", ""
    if type(found) is not dict:
        return "", ""
    code = found.get("code")
    job_id = found.get("jobid") or found.get("jobId") or ""
    return str(code) if type(code) in (str, int) else "", str(job_id) if type(job_id) in (str, int) else ""


def _refusal(code: str, detail: str) -> HttpResponse:
    return json_response(406, {"code": code, "jobid": None, "description": detail})
