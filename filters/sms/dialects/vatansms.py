"""VatanSMS: one text to many (1toN) or a text to each (NtoN), in JSON with the credentials in the body.

Facts: sms-dialects section 6.4 (requests: high confidence, the provider's own client; answers: low, that client does
not type them; no sign of "no consent" was found). So an accepted request's answer is handed on as it is, with one
member of ours, ``izin``, where recipients were left out; where nobody is left the answer is an error (HTTP 422), never
a success. One-time passwords go to ``/otp`` in the fields of 1toN, which is not confirmed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from filters.sms.dialect import (
    Call,
    CallKind,
    Cancellation,
    Fault,
    RefusalModel,
    RequestRefusedError,
    Segments,
)
from filters.sms.dialects.answers import check_text, find_number, find_object
from filters.sms.dialects.composed import compose_vatansms
from filters.sms.dialects.headers import carried_headers, segments_header
from filters.sms.dialects.in_report import all_refused, all_relayed, all_unknown, is_relayed, passed_on, refused_whole
from filters.sms.dialects.left_out import add_left_out
from filters.sms.dialects.shapes import CODE, CODES, TEXT, Shape, check_shape
from filters.sms.dialects.spelled_numbers import SharedTexts
from filters.sms.dialects.strict_form import refuse_query
from filters.sms.dialects.strict_json import json_response, list_field, malformed, read_json_object, write_json
from filters.sms.dialects.times import find_time
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Alphabet, Relayed, ReportEntry, SmsFate, SmsRecipient, Submission, TextKind
from filters.vocabulary import MessageClass

MAX_RECIPIENTS = 50_000
"""The provider publishes none; as the largest of the others."""

MAX_TEXT_CHARACTERS = 4000

_COMMON: Shape = {
    "api_id": CODE, "api_key": TEXT, "sender": TEXT, "message_type": TEXT, "message_content_type": TEXT,
    "send_time": TEXT,
}  # fmt: skip
ONE_TO_N: Shape = {**_COMMON, "message": TEXT, "phones": CODES}
N_TO_N: Shape = {**_COMMON, "phones": [{"phone": CODE, "message": TEXT}]}

_CALLS = {
    "/1toN": Call(CallKind.SEND, "1toN"),
    "/NtoN": Call(CallKind.SEND, "NtoN"),
    "/otp": Call(CallKind.SEND, "otp"),
    "/senders": Call(CallKind.UNTOUCHED, "senders"),
    "/user/information": Call(CallKind.UNTOUCHED, "user.information"),
    "/report/detail": Call(CallKind.REPORT, "report.detail"),
    "/report/between": Call(CallKind.REPORT, "report.between"),
    "/report/single": Call(CallKind.REPORT, "report.single"),
    "/cancel/future-sms": Call(CallKind.CANCEL, "cancel"),
}
_BASE = "/api/v1"
_CLASSES = {"bilgi": MessageClass.INFORMATIONAL, "ticari": MessageClass.COMMERCIAL}
_ALPHABETS = {"": Alphabet.AUTO, "normal": Alphabet.DEFAULT, "turkce": Alphabet.TURKISH}

_STATUS: dict[Fault, int] = {
    Fault.MALFORMED: 422,
    Fault.UNKNOWN_FIELD: 422,
    Fault.BAD_NUMBER: 422,
    Fault.TOO_MANY_RECIPIENTS: 422,
    Fault.TOO_LARGE: 413,
    Fault.NO_TEXT: 422,
    Fault.TEXT_TOO_LONG: 422,
    Fault.NOT_ALLOWED: 403,
    Fault.UNAUTHENTICATED: 401,
    Fault.TOO_MANY_REQUESTS: 429,
    Fault.NOT_FOUND: 404,
    Fault.UNAVAILABLE: 503,
    Fault.UNKNOWN_OUTCOME: 503,
}


class VatanSmsDialect:
    """See the module's description. A ``Dialect`` and a ``Composer``."""

    name = "vatansms"
    refusal_model = RefusalModel.WHOLE_ANSWER
    profile = "vatansms"
    max_recipients = MAX_RECIPIENTS

    def recognise(self, request: HttpRequest) -> Call | None:
        if request.method != "POST" or not request.path.startswith(_BASE):
            return None
        call = _CALLS.get(request.path.removeprefix(_BASE))
        return call or Call(CallKind.REFUSED, "other")

    def read(self, request: HttpRequest, call: Call) -> Submission:
        refuse_query(request)
        body = read_json_object(request)
        phones = list_field(body, "phones")
        if len(phones) > MAX_RECIPIENTS:
            raise RequestRefusedError(Fault.TOO_MANY_RECIPIENTS, f"phones: expected at most {MAX_RECIPIENTS}")
        is_each = call.operation == "NtoN"
        check_shape(body, N_TO_N if is_each else ONE_TO_N)
        texts = SharedTexts()
        recipients: list[SmsRecipient] = []
        for index, phone in enumerate(phones):
            found = phone.get("phone") if is_each else phone
            if found is None:
                raise malformed(f"phones[{index}].phone: expected, but absent")
            spelled = str(found)
            text = texts.number((phone if is_each else body).get("message") or "", "message")
            recipients.append(SmsRecipient(find_number(spelled, "phones", index), spelled, text))
        for content in texts.all:
            check_text(content, "message", MAX_TEXT_CHARACTERS)
        return Submission(
            dialect=self.name,
            operation=call.operation,
            recipients=recipients,
            texts=texts.all,
            sender_title=body.get("sender") or "",
            credential_id=str(body.get("api_id") or ""),
            tag_class=_choice(_CLASSES, body, "message_content_type"),
            kind=TextKind.OTP if call.operation == "otp" else TextKind.PLAIN,
            alphabet=_choice(_ALPHABETS, body, "message_type") or Alphabet.AUTO,
            send_at=_send_time(body.get("send_time") or ""),
            fields={"body": body, "path": request.path, "headers": carried_headers(request)},
        )

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        body, path = submission.fields["body"], submission.fields["path"]
        phones = [body["phones"][position] for position in kept]
        if submission.operation == "NtoN":
            phones = [{**phone, "message": text} for phone, text in zip(phones, texts, strict=True)]
            body = {**body, "phones": phones}
        elif len(set(texts)) == 1:
            body = {**body, "message": texts[0], "phones": phones}
        else:
            # Texts that differ by recipient need the other call.
            each = [{"phone": phone, "message": text} for phone, text in zip(phones, texts, strict=True)]
            body = {name: value for name, value in body.items() if name != "message"} | {"phones": each}
            path = f"{_BASE}/NtoN"
        headers = (*submission.fields["headers"], ("content-type", "application/json"))
        return HttpRequest("POST", path, "", headers, write_json(body))

    def compose(self, submission: Submission, account: Mapping[str, str]) -> HttpRequest:
        """A ``Composer``; ``account`` as ``composed`` says."""
        return compose_vatansms(submission, account)

    def compose_cancel(self, submission: Submission, relayed: Relayed, nth: int) -> Cancellation | None:
        """Not confirmed: that the job is named by ``id``."""
        if not relayed.job_id:
            return None
        body = submission.fields["body"]
        asked = {name: body[name] for name in ("api_id", "api_key") if name in body} | {"id": relayed.job_id}
        headers = (*submission.fields["headers"], ("content-type", "application/json"))
        return Cancellation(
            HttpRequest("POST", f"{_BASE}/cancel/future-sms", "", headers, write_json(asked)), is_whole=True
        )

    def is_cancelled(self, response: HttpResponse) -> bool:
        found = find_object(response)
        return response.status == 200 and found is not None and found.get("status") in ("success", True)

    def read_answer(self, submission: Submission, kept: Sequence[int], response: HttpResponse) -> Relayed:
        found = find_object(response)
        if not found or response.status >= 500 or not (response.status < 300 or response.status >= 400):
            return all_unknown(len(kept))
        is_error = found.get("status") in ("error", "fail", "failed", False) or found.get("success") is False
        if response.status >= 300 or is_error:
            is_temporary = response.status == 429
            return all_refused(len(kept), str(response.status), is_temporary=is_temporary, is_passed_on=True)
        return all_relayed(len(kept), _job_id(found), str(response.status))

    def write_answer(
        self,
        submission: Submission,
        fates: Sequence[SmsFate],
        response: HttpResponse | None,
        minted_id: str,
        segments: Sequence[Segments],
    ) -> HttpResponse:
        if response is not None and is_relayed(fates):
            return add_left_out(passed_on(response, segments_header(segments)), submission, fates, "phone")
        if is_relayed(fates):
            # All that were permitted had been handed over by an earlier attempt.
            answer = json_response(
                200, {"status": "success", "id": int(minted_id) if minted_id.isdecimal() else minted_id}
            )
            return add_left_out(answer, submission, fates, "phone")
        if response is not None and any(fate.upstream_code for fate in fates):
            return passed_on(response)
        fault = refused_whole(fates)
        if fault is not None:
            return self.write_fault(fault, "")
        answer = json_response(422, {"status": "error", "message": "İYS: no recipient may receive this message."})
        return add_left_out(answer, submission, fates, "phone")

    def mint_id(self, number: int) -> str:
        # Fits the integers of every language, and begins where the provider's counters have not come.
        return str(8 * 10**15 + number % 10**15)

    def write_fault(self, fault: Fault, detail: str) -> HttpResponse:
        return json_response(_STATUS[fault], {"status": "error", "message": detail or str(fault)})

    def report_ids(self, request: HttpRequest, call: Call) -> Sequence[str]:
        found = read_json_object(request)
        wanted = (found.get(name) for name in ("report_id", "id"))
        return tuple(str(value) for value in wanted if type(value) in (str, int) and value != "")

    def overlay_report(
        self,
        request: HttpRequest,
        call: Call,
        response: HttpResponse | None,
        dropped: Mapping[str, Sequence[ReportEntry]],
    ) -> HttpResponse:
        # The shape of the provider's reports is not known, so nothing can be put between its rows: ours stand apart.
        if response is None:
            if call.kind is CallKind.CANCEL:
                return self.write_fault(Fault.NOT_FOUND, "")
            response = json_response(200, {"status": "success", "data": []})
        found = find_object(response)
        rows = [
            {"phone": entry.spelled, "reason": str(entry.reason)} for entries in dropped.values() for entry in entries
        ]
        if found is None or response.status != 200 or not rows:
            return response
        return passed_on(response)._replace(body=write_json({**found, "izin": {"left_out": rows}}))


def _choice(choices: Mapping[str, Any], body: Mapping[str, Any], name: str) -> Any:
    value = body.get(name) or ""
    if value and value not in choices:
        raise malformed(f"{name}: expected {' or '.join(choice for choice in choices if choice)}")
    return choices.get(value)


def _send_time(text: str) -> float | None:
    if not text:
        return None
    for pattern in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"):
        at = find_time(text, pattern)
        if at is not None:
            return at
    raise malformed("send_time: expected yyyy-MM-dd HH:mm:ss")


def _job_id(found: Mapping[str, Any]) -> str:
    inner = found.get("data")
    for place in (found, inner if type(inner) is dict else {}):
        for name in ("report_id", "id"):
            if type(place.get(name)) in (str, int):
                return str(place[name])
    return ""
