"""JetSMS (Biotekno): many recipients in one JSON object, each with a status of its own in the answer.

Facts: sms-dialects section 6.2 (medium confidence: the provider's own client and another one; neither lists the values
of the İYS fields nor those of the statuses). Built: status 0 is taken, any other is refused; ours is -1, which no
status of the provider's can be mistaken for. ``iysfilter`` switched on means commercial; switched off it promises
nothing, so the client's configured default applies. Its older XML service is its twin, ``jetsms_xml``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from filters.reason import Reason
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
from filters.sms.dialects.composed import compose_jetsms
from filters.sms.dialects.headers import carried_headers, segments_header
from filters.sms.dialects.holding import read_excluded_hours
from filters.sms.dialects.in_report import all_refused, all_unknown
from filters.sms.dialects.jetsms_values import (
    MAX_RECIPIENTS,
    MAX_TEXT_CHARACTERS,
    START_FORMAT,
    fault_of,
    mint_group_id,
)
from filters.sms.dialects.jetsms_xml import JetSmsXmlDialect
from filters.sms.dialects.shapes import CODE, CODES, SWITCH, TEXT, TEXTS, Shape, check_shape
from filters.sms.dialects.strict_form import refuse_query
from filters.sms.dialects.strict_json import json_response, list_field, malformed, read_json_object, write_json
from filters.sms.dialects.times import find_time
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Alphabet, Relayed, ReportEntry, SmsFate, SmsRecipient, Submission, TextKind
from filters.vocabulary import MessageClass, Outcome, RecipientType

REFUSED_STATUS = "-1"

SHAPE: Shape = {
    "user": TEXT, "password": TEXT, "originator": TEXT, "reference": CODE, "startdate": TEXT, "expiredate": TEXT,
    "broadcastmessage": TEXT, "exclusionstarttime": TEXT, "exclusionexpiretime": TEXT, "channel": TEXT,
    "blacklistfilter": SWITCH, "domesticfilter": SWITCH, "forceenglish": SWITCH, "iysfilter": SWITCH, "iyscode": CODE,
    "brandcode": CODE, "retailercode": CODE, "recipienttype": TEXT, "multichanneltype": TEXT, "multichannels": TEXTS,
    "multioriginators": TEXTS, "simcheckinday": CODE, "mnpcheckinday": CODE,
    "smsmessages": [
        {"messagetext": TEXT, "recipient": CODE, "receipent": CODE, "messageid": CODE, "messageType": CODE,
         "messageparams": CODES},
    ],
}  # fmt: skip

_CALLS = {
    "/api/SendSms": Call(CallKind.SEND, "send"),
    "/api/CancelSms": Call(CallKind.CANCEL, "cancel"),
    "/api/ReportSms": Call(CallKind.REPORT, "report"),
    "/api/ReportSmsSummary": Call(CallKind.REPORT, "report.summary"),
    "/api/ReportSmsDetail": Call(CallKind.REPORT, "report.detail"),
    "/api/reportoriginator": Call(CallKind.UNTOUCHED, "originators"),
}
_TYPES = {"BIREYSEL": RecipientType.INDIVIDUAL, "TACIR": RecipientType.BUSINESS}
_OFF = (None, "", "0", 0, False, "false", "False")
_PLAIN_TYPES = (None, "", "0", 0, "4", 4)
"""Text and Unicode text; the others are binary, WAP push and flash."""


class JetSmsDialect:
    """See the module's description. A ``Dialect`` and a ``Composer``."""

    name = "jetsms"
    refusal_model = RefusalModel.IN_ANSWER
    profile = "jetsms"
    max_recipients = MAX_RECIPIENTS

    @property
    def twins(self) -> tuple[JetSmsXmlDialect, ...]:
        """The older XML service."""
        return (JetSmsXmlDialect(),)

    def recognise(self, request: HttpRequest) -> Call | None:
        if request.method != "POST":
            return None
        if request.path in _CALLS:
            return _CALLS[request.path]
        return Call(CallKind.REFUSED, "other") if request.path.lower().startswith(("/api/", "/sms-web")) else None

    def read(self, request: HttpRequest, call: Call) -> Submission:
        refuse_query(request)
        body = read_json_object(request)
        messages = list_field(body, "smsmessages")
        if len(messages) > MAX_RECIPIENTS:
            raise RequestRefusedError(Fault.TOO_MANY_RECIPIENTS, f"smsmessages: expected at most {MAX_RECIPIENTS}")
        check_shape(body, SHAPE)
        broadcast = body.get("broadcastmessage") or ""
        recipients: list[SmsRecipient] = []
        numbers: dict[str, int] = {}
        for index, message in enumerate(messages):
            text = message.get("messagetext") or broadcast
            shared = numbers.get(text)
            if shared is None:
                check_text(text, f"smsmessages[{index}].messagetext", MAX_TEXT_CHARACTERS)
                shared = numbers[text] = len(numbers)
            one, other, reference = message.get("recipient"), message.get("receipent"), message.get("messageid")
            if (one is None) is (other is None):
                raise malformed(f"smsmessages[{index}].recipient: expected once")
            spelled = str(other if one is None else one)
            number = find_number(spelled, "smsmessages", index)
            recipients.append(SmsRecipient(number, spelled, shared, "" if reference is None else str(reference)))
        is_on = body.get("iysfilter") not in _OFF
        return Submission(
            dialect=self.name,
            operation=call.operation,
            recipients=recipients,
            texts=list(numbers),
            sender_title=body.get("originator") or "",
            credential_id=body.get("user") or "",
            tag_class=MessageClass.COMMERCIAL if is_on else None,
            tag_type=_recipient_type(body.get("recipienttype") or ""),
            brand=str(body.get("brandcode") or ""),
            kind=_kind(messages),
            alphabet=Alphabet.AUTO if body.get("forceenglish") in _OFF else Alphabet.DEFAULT,
            send_at=_start(body.get("startdate") or ""),
            hold_s=read_excluded_hours(
                body.get("exclusionstarttime") or "", body.get("exclusionexpiretime") or "", "exclusionstarttime"
            ),
            fields={"body": body, "headers": carried_headers(request)},
        )

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        body = submission.fields["body"]
        messages = [
            {**body["smsmessages"][position], "messagetext": text} for position, text in zip(kept, texts, strict=True)
        ]
        rebuilt = {name: value for name, value in body.items() if name != "broadcastmessage"}
        headers = (*submission.fields["headers"], ("content-type", "application/json"))
        return HttpRequest("POST", "/api/SendSms", "", headers, write_json({**rebuilt, "smsmessages": messages}))

    def compose(self, submission: Submission, account: Mapping[str, str]) -> HttpRequest:
        """A ``Composer``; ``account`` as ``composed`` says."""
        return compose_jetsms(submission, account)

    def compose_cancel(self, submission: Submission, relayed: Relayed, nth: int) -> Cancellation | None:
        """Not confirmed: the names of its fields beside those of the account."""
        message_id = relayed.fates[nth].upstream_id
        if not message_id:
            return None
        body = submission.fields["body"]
        account = {name: body[name] for name in ("user", "password") if name in body}
        headers = (*submission.fields["headers"], ("content-type", "application/json"))
        request = HttpRequest("POST", "/api/CancelSms", "", headers, write_json({**account, "messageid": message_id}))
        return Cancellation(request, is_whole=False)

    def is_cancelled(self, response: HttpResponse) -> bool:
        found = find_object(response)
        said = _get(found, "status") if found is not None else None
        if said is None and found is not None:
            said = _get(found, "responsecode")
        return response.status == 200 and str(said) in ("0", "00")

    def read_answer(self, submission: Submission, kept: Sequence[int], response: HttpResponse) -> Relayed:
        found = find_object(response)
        if 400 <= response.status < 500:
            is_temporary = response.status == 429
            return all_refused(len(kept), str(response.status), is_temporary=is_temporary, is_passed_on=True)
        rows = _rows(found)
        if found is None or response.status != 200 or rows is None:
            return all_unknown(len(kept))
        if not rows and str(_get(found, "responsecode")) not in ("0", "00"):
            return all_refused(len(kept), str(_get(found, "responsecode")), is_temporary=False, is_passed_on=True)
        entries = _by_number(rows)
        fates = tuple(_fate(_take(entries, submission.recipients[position])) for position in kept)
        # The request has no id of its own: what the provider gave the first one taken stands for it.
        return Relayed(fates, next((fate.upstream_id for fate in fates if fate.upstream_id), ""))

    def write_answer(
        self,
        submission: Submission,
        fates: Sequence[SmsFate],
        response: HttpResponse | None,
        minted_id: str,
        segments: Sequence[Segments],
    ) -> HttpResponse:
        found = (find_object(response) if response is not None else None) or {}
        entries = _by_number(_rows(found) or [])
        # The provider's documents and its service differ in upper and lower case: answer as it did.
        names = _names(found)
        rows: list[dict[str, Any]] = []
        for position, (recipient, fate) in enumerate(zip(submission.recipients, fates, strict=True)):
            entry = _take(entries, recipient) if fate.outcome is Outcome.RELAYED or fate.upstream_code else None
            if entry is None:
                status = "0" if fate.outcome is Outcome.RELAYED else REFUSED_STATUS
                message_id = recipient.reference or fate.upstream_id or (minted_id and f"{minted_id}{position:05d}")
                entry = dict(zip(names[1:], (recipient.spelled, message_id, status), strict=True))
            rows.append(entry)
        head = {name: value for name, value in found.items() if name.lower() != "responsegroupidarray"}
        if not head:
            head = {"responseCode": "00", "responseMessage": ""}
        answer = json_response(200, {**head, names[0]: rows})
        return answer._replace(headers=(*answer.headers, *segments_header(segments)))

    def mint_id(self, number: int) -> str:
        return mint_group_id(number)

    def write_fault(self, fault: Fault, detail: str) -> HttpResponse:
        status, message = fault_of(fault, detail)
        return json_response(status, {"responseCode": str(status), "responseMessage": message})

    def report_ids(self, request: HttpRequest, call: Call) -> Sequence[str]:
        found = read_json_object(request)
        wanted = [found.get("groupid"), found.get("processid"), found.get("messageid")]
        listed = found.get("messageIds")
        wanted += listed if type(listed) is list else []
        return tuple(str(value) for value in wanted if type(value) in (str, int) and value != "")

    def overlay_report(
        self,
        request: HttpRequest,
        call: Call,
        response: HttpResponse | None,
        dropped: Mapping[str, Sequence[ReportEntry]],
    ) -> HttpResponse:
        if call.operation != "report" or (response is not None and response.status != 200):
            return response if response is not None else self.write_fault(Fault.NOT_FOUND, "")
        found = find_object(response) if response is not None else {"ResponseCode": "00", "ResponseMessage": ""}
        if found is None or type(found.get("MessageReportArray", [])) is not list:
            return response if response is not None else self.write_fault(Fault.UNAVAILABLE, "")
        rows = [
            {"GsmNumber": entry.spelled, "Status": REFUSED_STATUS, "MessageId": entry.reference or job_id}
            for job_id, entries in dropped.items()
            for entry in entries
        ]
        return json_response(200, {**found, "MessageReportArray": [*found.get("MessageReportArray", []), *rows]})


def _kind(messages: Sequence[Mapping[str, Any]]) -> TextKind:
    if any(message.get("messageType") not in _PLAIN_TYPES for message in messages):
        return TextKind.BINARY
    # The provider puts the parameters into the text: what is sent is not what we see.
    return TextKind.TEMPLATE if any(message.get("messageparams") for message in messages) else TextKind.PLAIN


def _recipient_type(text: str) -> RecipientType | None:
    """The provider's own word for a merchant may be another one than ours: then the answer says what was expected."""
    if text and text.upper() not in _TYPES:
        raise malformed("recipienttype: expected BIREYSEL or TACIR")
    return _TYPES.get(text.upper())


def _start(text: str) -> float | None:
    if not text:
        return None
    at = find_time(text, START_FORMAT)
    if at is None:
        raise malformed("startdate: expected ddMMyyyyHHmmss")
    return at


def _get(found: Mapping[str, Any], name: str) -> Any:
    return next((value for key, value in found.items() if key.lower() == name), None)


def _rows(found: Mapping[str, Any] | None) -> list[dict[str, Any]] | None:
    rows = _get(found, "responsegroupidarray") if found else None
    if rows is None and found and _get(found, "responsecode") is not None:
        return []
    return rows if type(rows) is list and all(type(row) is dict for row in rows) else None


def _names(found: Mapping[str, Any]) -> tuple[str, str, str, str]:
    if any(name[:1].isupper() for name in found):
        return ("ResponseGroupIdArray", "GsmNumber", "MessageId", "Status")
    return ("responseGroupIdArray", "gsmNumber", "messageid", "status")


def _by_number(rows: Sequence[dict[str, Any]]) -> dict[str, deque[dict[str, Any]]]:
    entries: dict[str, deque[dict[str, Any]]] = {}
    for row in rows:
        entries.setdefault(_last_ten(str(_get(row, "gsmnumber"))), deque()).append(row)
    return entries


def _take(entries: Mapping[str, deque[dict[str, Any]]], recipient: SmsRecipient) -> dict[str, Any] | None:
    rows = entries.get(_last_ten(recipient.spelled))
    return rows.popleft() if rows else None


def _last_ten(number: str) -> str:
    return "".join(character for character in number if character in "0123456789")[-10:]


def _fate(entry: Mapping[str, Any] | None) -> SmsFate:
    status = _get(entry, "status") if entry is not None else None
    if entry is None or type(status) not in (str, int):
        return SmsFate(Outcome.UNKNOWN, Reason.UPSTREAM_LOST)
    if str(status) == "0":
        return SmsFate(Outcome.RELAYED, None, str(_get(entry, "messageid") or ""), "0")
    return SmsFate(Outcome.REFUSED, Reason.UPSTREAM_REFUSED, "", str(status))
