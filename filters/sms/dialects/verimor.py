"""Verimor v2 (sms-dialects 5): accepted now, ``NOT_ALLOWED_BY_IYS`` in the status.

Not confirmed: whether a send is answered with the bare campaign number (older documents; what we mint) or with JSON
(newer site); both are read, and the upstream's form is passed on. That an absent ``is_commercial`` means "not
commercial" to the provider is seen in samples only; to us it means that the tag is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from filters.sms.dialect import (
    Call,
    CallKind,
    Cancellation,
    Fault,
    InboundMessage,
    JobSearch,
    RefusalModel,
    RequestRefusedError,
    Segments,
)
from filters.sms.dialects import verimor_inbound, verimor_status
from filters.sms.dialects.headers import segments_header
from filters.sms.dialects.in_report import (
    all_refused,
    all_relayed,
    all_unknown,
    is_relayed,
    passed_on,
    refused_whole,
)
from filters.sms.dialects.spelled_numbers import SharedTexts, dialled_digits, read_number_list
from filters.sms.dialects.strict_form import read_query, refuse_query, required_field, write_form
from filters.sms.dialects.strict_json import (
    boolean_field,
    check_fields,
    code_field,
    list_field,
    malformed,
    read_json_object,
    text_field,
    write_json,
)
from filters.sms.dialects.times import write_time
from filters.sms.dialects.verimor_values import (
    CLASSES,
    RECIPIENT_TYPES,
    SEND_AT_FORMAT,
    alphabet_of,
    datacoding_of,
    fault_answer,
    read_answer_text,
    read_send_at,
    refusal,
)
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Relayed, ReportEntry, SmsFate, SmsRecipient, Submission, TextKind
from filters.vocabulary import MessageClass, RecipientType

MAX_RECIPIENTS = 50_000
MAX_BODY_BYTES = 10_000_000

SEND_JSON = Call(CallKind.SEND, "send.json")
SEND_GET = Call(CallKind.SEND, "send")
STATUS = Call(CallKind.REPORT, "status")
CANCEL = Call(CallKind.CANCEL, "cancel")

_CALLS: dict[tuple[str, str], Call] = {
    ("POST", "/v2/send.json"): SEND_JSON,
    ("GET", "/v2/send"): SEND_GET,
    ("GET", "/v2/status"): STATUS,
    ("GET", "/v2/headers"): Call(CallKind.UNTOUCHED, "headers"),
    ("GET", "/v2/balance"): Call(CallKind.UNTOUCHED, "balance"),
    ("GET", "/v2/inbound_messages"): Call(CallKind.UNTOUCHED, "inbound_messages"),
    ("POST", "/v2/iys_consents.json"): Call(CallKind.UNTOUCHED, "iys_consents"),
    **{(method, "/v2/blacklists"): Call(CallKind.UNTOUCHED, "blacklists") for method in ("GET", "POST", "DELETE")},
}
_CANCEL_PATH = re.compile(r"/v2/cancel/([0-9]{1,32})", re.ASCII).fullmatch

_KEPT_FIELDS = ("custom_id", "datacoding", "valid_for", "send_at", "is_commercial", "iys_recipient_type")
_SEND_FIELDS = frozenset({"username", "password", "source_addr", "messages", *_KEPT_FIELDS})
_GET_FIELDS = frozenset({"username", "password", "source_addr", "msg", "dest", "id", *_KEPT_FIELDS})
_MESSAGE_FIELDS = frozenset({"msg", "dest", "id", "iys_recipient_type"})

_MINTED_ID_DIGITS = 18


class VerimorDialect:
    """See the module's description. All of ``filters.sms.dialect``: it composes, searches, pushes and hears."""

    name = "verimor"
    refusal_model = RefusalModel.IN_REPORT
    profile = "verimor"
    max_recipients = MAX_RECIPIENTS

    def recognise(self, request: HttpRequest) -> Call | None:
        if request.method == "POST" and _CANCEL_PATH(request.path):
            return CANCEL
        return _CALLS.get((request.method, request.path))

    # -- requests -------------------------------------------------------------------------------------------------

    def read(self, request: HttpRequest, call: Call) -> Submission:
        if call.operation == SEND_GET.operation:
            query: dict[str, Any] = dict(read_query(request, _GET_FIELDS))
            message = {"msg": required_field(query, "msg"), "dest": required_field(query, "dest")}
            if "id" in query:
                message["id"] = query["id"]
            if "is_commercial" in query and query["is_commercial"] not in CLASSES:
                raise malformed("is_commercial: expected true or false")
            return self._submission(query, [message], call, CLASSES.get(query.get("is_commercial", "")))
        refuse_query(request)
        if len(request.body) > MAX_BODY_BYTES:
            raise RequestRefusedError(Fault.TOO_LARGE, f"the body: expected at most {MAX_BODY_BYTES} bytes")
        found = read_json_object(request)
        check_fields(found, _SEND_FIELDS)
        is_commercial = boolean_field(found, "is_commercial")
        tag_class = None if is_commercial is None else CLASSES[str(is_commercial).lower()]
        return self._submission(found, list_field(found, "messages"), call, tag_class)

    def _submission(
        self, found: dict[str, Any], messages: list[Any], call: Call, tag_class: MessageClass | None
    ) -> Submission:
        custom_id = code_field(found, "custom_id")
        if not custom_id.isprintable():
            raise malformed("custom_id: expected printable characters")
        recipients, texts, parts = _read_messages(messages, custom_id)
        code_field(found, "valid_for")
        return Submission(
            dialect=self.name,
            operation=call.operation,
            recipients=recipients,
            texts=texts,
            sender_title=text_field(found, "source_addr"),
            credential_id=code_field(found, "username", default=None),
            tag_class=tag_class,
            tag_type=_read_type(found, messages),
            alphabet=alphabet_of(code_field(found, "datacoding")),
            send_at=read_send_at(text_field(found, "send_at")),
            fields={
                "account": {name: found[name] for name in ("username", "password") if name in found},
                "password": code_field(found, "password", default=None),
                "has_title": found.get("source_addr") is not None,
                "kept": {name: found[name] for name in _KEPT_FIELDS if found.get(name) is not None},
                "parts": parts,
                "types": [message.get("iys_recipient_type") for message in messages],
                "has_ids": [message.get("id") is not None for message in messages],
            },
        )

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        fields = submission.fields
        head: dict[str, Any] = dict(fields["account"])
        if fields["has_title"]:
            head["source_addr"] = submission.sender_title
        messages = _group(submission, kept, texts)
        if submission.operation == SEND_JSON.operation:
            body = write_json({**head, **fields["kept"], "messages": messages})
            return HttpRequest("POST", "/v2/send.json", "", (("content-type", "application/json"),), body)
        if len(messages) != 1:
            # The form has room for one text only.
            raise RequestRefusedError(Fault.TEXT_TOO_LONG, "msg: expected the same text for everybody")
        return HttpRequest("GET", "/v2/send", write_form({**head, **fields["kept"], **messages[0]}.items()))

    def compose(self, submission: Submission, account: Mapping[str, str]) -> HttpRequest:
        """``account``: username, password; source_addr where the submission names no sender title."""
        if submission.kind not in (TextKind.PLAIN, TextKind.OTP):
            raise malformed("kind: expected plain or otp")
        is_exempt = submission.tag_class in (MessageClass.INFORMATIONAL, MessageClass.SERVICE)
        body: dict[str, Any] = {
            "username": account.get("username", ""),
            "password": account.get("password", ""),
            "source_addr": submission.sender_title or account.get("source_addr", ""),
            "datacoding": datacoding_of(submission.alphabet, submission.texts),
            "is_commercial": not is_exempt,
        }
        if not is_exempt:
            is_business = submission.tag_type is RecipientType.BUSINESS
            body["iys_recipient_type"] = "TACIR" if is_business else "BIREYSEL"
        if submission.send_at is not None:
            body["send_at"] = write_time(submission.send_at, SEND_AT_FORMAT)
        messages: list[tuple[int, list[str]]] = []
        for recipient in submission.recipients:
            if not messages or messages[-1][0] != recipient.text:
                messages.append((recipient.text, []))
            messages[-1][1].append(dialled_digits(recipient.number))
        body["messages"] = [{"msg": submission.texts[text], "dest": ",".join(dest)} for text, dest in messages]
        return HttpRequest("POST", "/v2/send.json", "", (("content-type", "application/json"),), write_json(body))

    def compose_cancel(self, submission: Submission, relayed: Relayed, nth: int) -> Cancellation | None:
        path = f"/v2/cancel/{relayed.job_id}"
        if not _CANCEL_PATH(path):
            return None
        headers = (("content-type", "application/json"),)
        return Cancellation(
            HttpRequest("POST", path, "", headers, write_json(submission.fields["account"])), is_whole=True
        )

    def is_cancelled(self, response: HttpResponse) -> bool:
        return response.status == 200

    # -- answers --------------------------------------------------------------------------------------------------

    def read_answer(self, submission: Submission, kept: Sequence[int], response: HttpResponse) -> Relayed:
        campaign, symbol = read_answer_text(response)
        if response.status == 200 and campaign:
            return all_relayed(len(kept), campaign, "")
        if symbol or response.status in (401, 413, 429):
            return all_refused(
                len(kept),
                symbol or str(response.status),
                is_temporary=response.status == 429,
                # Its clients take any 200 for a campaign number: such an answer is written anew.
                is_passed_on=400 <= response.status < 500,
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
        if response is not None:
            if is_relayed(fates) or response.status in (401, 413, 429):
                return passed_on(response, segments_header(segments))
            _, symbol = read_answer_text(response)
            if symbol:
                return refusal(400, symbol)
            return self.write_fault(Fault.UNKNOWN_OUTCOME, "the provider's answer could not be read")
        if fault := refused_whole(fates):
            return self.write_fault(fault, "no number could be sent to")
        return passed_on(refusal(200, minted_id), segments_header(segments))

    def mint_id(self, number: int) -> str:
        """18 digits of which the first is 9: fits into 64 bits, and is far from the provider's running numbers."""
        return "9" + str(number % 10 ** (_MINTED_ID_DIGITS - 1)).zfill(_MINTED_ID_DIGITS - 1)

    def write_fault(self, fault: Fault, detail: str) -> HttpResponse:
        return fault_answer(fault, detail)

    # -- reports and incoming messages ----------------------------------------------------------------------------

    def report_ids(self, request: HttpRequest, call: Call) -> Sequence[str]:
        if call.kind is CallKind.CANCEL:
            asked = _CANCEL_PATH(request.path)
            return [asked[1]] if asked else []
        return verimor_status.asked_campaign_ids(request)

    def find_search(self, request: HttpRequest, call: Call) -> JobSearch | None:
        asked = verimor_status.find_custom_id(request) if call.kind is CallKind.REPORT else None
        return None if asked is None else JobSearch(*asked)

    def own_job_id(self, submission: Submission) -> str:
        return str(submission.fields["kept"].get("custom_id", ""))

    def overlay_report(
        self,
        request: HttpRequest,
        call: Call,
        response: HttpResponse | None,
        dropped: Mapping[str, Sequence[ReportEntry]],
    ) -> HttpResponse:
        if call.kind is CallKind.CANCEL:
            # Nothing of a campaign of ours was sent or will be: what was asked for is so.
            return passed_on(response) if response is not None else refusal(200, "OK")
        return verimor_status.overlay(request, response, dropped)

    def render_posts(self, job_id: str, entries: Sequence[ReportEntry]) -> Iterator[bytes]:
        yield verimor_status.render_push(job_id, entries)

    def read_inbound(self, request: HttpRequest) -> Sequence[InboundMessage]:
        return verimor_inbound.read(request)

    def is_inbound_signed(self, request: HttpRequest, secret: bytes) -> bool | None:
        return None

    def write_inbound_answer(self, is_taken: bool) -> HttpResponse:
        """Anything but 200 makes the provider come again, three times five minutes apart."""
        return refusal(200, "OK") if is_taken else refusal(503, "SERVICE_UNAVAILABLE")


def _read_messages(messages: list[Any], custom_id: str) -> tuple[list[SmsRecipient], list[str], list[int]]:
    """Recipients, texts, and for each recipient the number of its message."""
    texts = SharedTexts()
    recipients: list[SmsRecipient] = []
    parts: list[int] = []
    for part, message in enumerate(messages):
        where = f"messages[{part}]"
        if type(message) is not dict:
            raise malformed(f"{where}: expected an object")
        check_fields(message, _MESSAGE_FIELDS, where)
        text = texts.number(text_field(message, "msg", where), f"{where}.msg")
        numbers = read_number_list(code_field(message, "dest", where, default=None), f"{where}.dest")
        ids = [""] * len(numbers)
        if message.get("id") is not None:
            ids = code_field(message, "id", where).split(",")
        if len(ids) != len(numbers) or not all(own.isprintable() for own in ids):
            raise malformed(f"{where}.id: expected as many as in dest")
        for (number, spelled), own in zip(numbers, ids, strict=True):
            reference = verimor_status.join_reference(custom_id, own)
            recipients.append(SmsRecipient(number, spelled, text, reference))
        parts += [part] * len(numbers)
        if len(recipients) > MAX_RECIPIENTS:
            raise RequestRefusedError(Fault.TOO_MANY_RECIPIENTS, f"dest: expected at most {MAX_RECIPIENTS}")
    return recipients, texts.all, parts


def _read_type(found: dict[str, Any], messages: list[dict[str, Any]]) -> RecipientType | None:
    """The recipient type of the request; messages may repeat it, but not say another one."""
    said = {text_field(found, "iys_recipient_type")}
    said |= {text_field(message, "iys_recipient_type", f"messages[{part}]") for part, message in enumerate(messages)}
    in_messages = {message.get("iys_recipient_type") or "" for message in messages}
    said.discard("")
    if said - RECIPIENT_TYPES.keys():
        raise malformed("iys_recipient_type: expected BIREYSEL or TACIR")
    if len(said) > 1 or (said and not found.get("iys_recipient_type") and "" in in_messages):
        raise malformed("iys_recipient_type: expected the same for all messages")
    return RECIPIENT_TYPES[said.pop()] if said else None


def _group(submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> list[dict[str, str]]:
    """The messages for ``kept``: recipients of one message stay together as long as they get the same text."""
    fields = submission.fields
    parts: Sequence[int] = fields["parts"]
    groups: list[tuple[int, str, list[int]]] = []
    for position, text in zip(kept, texts, strict=True):
        if not groups or groups[-1][0] != parts[position] or groups[-1][1] != text:
            groups.append((parts[position], text, []))
        groups[-1][2].append(position)
    messages = []
    for part, text, positions in groups:
        recipients = [submission.recipients[position] for position in positions]
        message = {"msg": text, "dest": ",".join(recipient.spelled for recipient in recipients)}
        if fields["has_ids"][part]:
            message["id"] = ",".join(verimor_status.split_reference(who.reference)[1] for who in recipients)
        if (kind := fields["types"][part]) is not None:
            message["iys_recipient_type"] = kind
        messages.append(message)
    return messages
