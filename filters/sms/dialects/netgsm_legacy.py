"""Netgsm's older interface: ``GET /sms/send/get/`` and the XML calls (sms-dialects 3.4). Accepted now, refused in the
report, as in REST v2.

Official samples and many clients agree on the sending calls; the lines of the report are known by their first two
columns only (number and status), so that is what a dropped number gets there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from filters.sms.dialect import Call, CallKind, Fault, RefusalModel, RequestRefusedError, Segments
from filters.sms.dialects import netgsm_xml
from filters.sms.dialects.headers import segments_header
from filters.sms.dialects.in_report import (
    all_refused,
    all_relayed,
    all_unknown,
    is_relayed,
    passed_on,
    refused_whole,
)
from filters.sms.dialects.netgsm_report import status_of
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
from filters.sms.dialects.spelled_numbers import SharedTexts, national_digits, read_number_list
from filters.sms.dialects.strict_form import read_query, refuse_query, required_field, write_form
from filters.sms.dialects.strict_json import malformed
from filters.sms.dialects.times import write_time
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Relayed, ReportEntry, SmsFate, SmsRecipient, Submission, TextKind

GET = Call(CallKind.SEND, "legacy.get")
XML = Call(CallKind.SEND, "legacy.xml")
OTP = Call(CallKind.SEND, "legacy.otp")
REPORT = Call(CallKind.REPORT, "legacy.report")

_CALLS: dict[tuple[str, str], Call] = {
    ("GET", "/sms/send/get"): GET,
    ("POST", "/sms/send/xml"): XML,
    ("POST", "/sms/send/otp"): OTP,
    ("GET", "/sms/report"): REPORT,
}
_KEPT_FIELDS = ("startdate", "stopdate", "dil", "filter", "izin", "bayikodu", "appkey")
_GET_FIELDS = frozenset({"usercode", "password", "gsmno", "message", "msgheader", *_KEPT_FIELDS})

_LINE_END = "<br>"
_ALL_STATUSES = "100"


class NetgsmLegacyDialect:
    """See the module's description. A ``Dialect`` and a ``Composer``."""

    name = "netgsm_legacy"
    refusal_model = RefusalModel.IN_REPORT
    profile = "netgsm"
    max_recipients = MAX_RECIPIENTS

    def recognise(self, request: HttpRequest) -> Call | None:
        return _CALLS.get((request.method, request.path.removesuffix("/")))

    # -- requests -------------------------------------------------------------------------------------------------

    def read(self, request: HttpRequest, call: Call) -> Submission:
        if call.operation == GET.operation:
            return self._read_get(request)
        refuse_query(request)
        return netgsm_xml.read(request, self.name, call.operation, is_otp=call.operation == OTP.operation)

    def _read_get(self, request: HttpRequest) -> Submission:
        fields = read_query(request, _GET_FIELDS)
        if "filter" in fields and "izin" in fields:
            raise malformed("izin: expected absent beside filter")
        texts = SharedTexts()
        text = texts.number(required_field(fields, "message"), "message")
        numbers = read_number_list(required_field(fields, "gsmno"), "gsmno")
        if len(numbers) > MAX_RECIPIENTS:
            raise RequestRefusedError(Fault.TOO_MANY_RECIPIENTS, f"gsmno: expected at most {MAX_RECIPIENTS}")
        message_class, recipient_type = read_iysfilter(fields.get("filter", fields.get("izin", "")), "filter")
        read_date(fields.get("stopdate", ""), "stopdate")
        return Submission(
            dialect=self.name,
            operation=GET.operation,
            recipients=[SmsRecipient(number, spelled, text) for number, spelled in numbers],
            texts=texts.all,
            sender_title=required_field(fields, "msgheader"),
            credential_id=required_field(fields, "usercode"),
            tag_class=message_class,
            tag_type=recipient_type,
            alphabet=alphabet_of(fields.get("dil", ""), "dil"),
            send_at=read_date(fields.get("startdate", ""), "startdate"),
            fields={
                "path": request.path,
                "password": required_field(fields, "password"),
                "kept": {name: fields[name] for name in _KEPT_FIELDS if name in fields},
            },
        )

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        if submission.operation != GET.operation:
            return netgsm_xml.write(submission, kept, texts)
        if len(set(texts)) != 1:
            # The form has room for one text only.
            raise RequestRefusedError(Fault.TEXT_TOO_LONG, "message: expected the same text for everybody")
        fields = {
            "usercode": submission.credential_id,
            "password": submission.fields["password"],
            "gsmno": ",".join(submission.recipients[position].spelled for position in kept),
            "message": texts[0],
            "msgheader": submission.sender_title,
            **submission.fields["kept"],
        }
        return HttpRequest("GET", submission.fields["path"], write_form(fields.items()))

    def compose(self, submission: Submission, account: Mapping[str, str]) -> HttpRequest:
        """``account``: usercode, password; msgheader where the submission names no sender title."""
        if submission.kind is not TextKind.PLAIN:
            raise malformed("kind: expected plain")
        header = {
            "usercode": account.get("usercode", account.get("username", "")),
            "password": account.get("password", ""),
            "type": "n:n",
            "msgheader": submission.sender_title or account.get("msgheader", ""),
            "filter": iysfilter_of(submission.tag_class, submission.tag_type),
        }
        if submission.send_at is not None:
            header["startdate"] = write_time(submission.send_at, DATE_FORMAT)
        if encoding := encoding_of(submission.alphabet, submission.texts):
            header["encoding"] = encoding
        pairs = [
            (submission.texts[recipient.text], national_digits(recipient.number)) for recipient in submission.recipients
        ]
        return netgsm_xml.write_request("/sms/send/xml", header, {}, pairs, has_pairs=True)

    # -- answers --------------------------------------------------------------------------------------------------

    def read_answer(self, submission: Submission, kept: Sequence[int], response: HttpResponse) -> Relayed:
        code, job_id = _read_answer(submission, response)
        if response.status == 200 and code in ACCEPTED:
            return all_relayed(len(kept), job_id, code)
        if response.status == 200 and code:
            return all_refused(len(kept), code, is_temporary=code in TEMPORARY_CODES, is_passed_on=True)
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
        if response is not None:
            if is_relayed(fates) or _read_answer(submission, response)[0]:
                return passed_on(response, segments_header(segments))
            return self.write_fault(Fault.UNKNOWN_OUTCOME, "the provider's answer could not be read")
        if fault := refused_whole(fates):
            return self.write_fault(fault, "no number could be sent to")
        if is_otp:
            return netgsm_xml.write_otp_refusal("50")
        return _text(f"00 {minted_id}", segments_header(segments))

    def mint_id(self, number: int) -> str:
        return mint_job_id(number)

    def write_fault(self, fault: Fault, detail: str) -> HttpResponse:
        return _text(FAULT_CODES[fault])

    # -- reports --------------------------------------------------------------------------------------------------

    def report_ids(self, request: HttpRequest, call: Call) -> Sequence[str]:
        asked = dict(parse_qsl(request.query, keep_blank_values=True))
        return [job_id.strip() for job_id in asked.get("bulkid", "").split(",") if job_id.strip()]

    def overlay_report(
        self,
        request: HttpRequest,
        call: Call,
        response: HttpResponse | None,
        dropped: Mapping[str, Sequence[ReportEntry]],
    ) -> HttpResponse:
        wanted = dict(parse_qsl(request.query, keep_blank_values=True)).get("status") or _ALL_STATUSES
        lines = [
            f"{_column(entry.spelled)} {status}"
            for job_id in (self.report_ids(request, call) or sorted(dropped))
            for entry in dropped.get(job_id, ())
            if wanted in (_ALL_STATUSES, status := str(status_of(entry.reason)))
        ]
        upstream = response.body.decode("utf-8", "replace").strip() if response is not None else "60"
        is_refusal = response is not None and (response.status != 200 or (upstream.isdigit() and upstream != "60"))
        if is_refusal or not lines:
            return passed_on(response) if response is not None else _text("60")
        before = [] if upstream == "60" else [line for line in upstream.split(_LINE_END) if line.strip()]
        return _text(_LINE_END.join([*before, *lines]) + _LINE_END)


def _column(spelled: str) -> str:
    """A number in a report whose columns are parted by blanks: what could be taken for a column or a line goes."""
    return "".join(character for character in spelled if character in "+0123456789") or "-"


def _read_answer(submission: Submission, response: HttpResponse) -> tuple[str, str]:
    """Code and job id of an answer in text, or in XML to a one-time password; "" for what cannot be read."""
    if submission.operation == OTP.operation:
        return netgsm_xml.read_otp_answer(response)
    words = response.body.decode("ascii", "replace").split()
    if len(words) == 2 and words[0] in ACCEPTED and words[1].isdigit():
        return words[0], words[1]
    if len(words) == 1 and words[0].isdigit() and 2 <= len(words[0]) <= 3 and words[0] not in ACCEPTED:
        return words[0], ""
    return "", ""


def _text(text: str, more: tuple[tuple[str, str], ...] = ()) -> HttpResponse:
    return HttpResponse(200, (("content-type", "text/html; charset=utf-8"), *more), text.encode())
