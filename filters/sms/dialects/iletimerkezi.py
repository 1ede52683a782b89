"""İleti Merkezi (sms-dialects 4): accepted now, shown as "not sent" in the report.

One dialect in three syntaxes: JSON, XML and one query call. That its own check tells of a number without consent by 112
is implied by its documents, not stated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from filters.sms.dialects import iletimerkezi_report
from filters.sms.dialects.answers import is_try_again
from filters.sms.dialects.headers import segments_header
from filters.sms.dialects.iletimerkezi_json import JsonSyntax, Syntax, Tree
from filters.sms.dialects.iletimerkezi_values import status_code_of
from filters.sms.dialects.iletimerkezi_xml import QuerySyntax, XmlSyntax
from filters.sms.dialects.in_report import (
    all_refused,
    all_relayed,
    all_unknown,
    is_relayed,
    passed_on,
)
from filters.sms.dialects.spelled_numbers import SharedTexts, dialled_digits, read_number
from filters.sms.dialects.strict_json import (
    check_fields,
    code_field,
    list_field,
    malformed,
    object_field,
    text_field,
)
from filters.sms.dialects.times import find_time, write_time
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Alphabet, Relayed, ReportEntry, SmsFate, SmsRecipient, Submission, TextKind
from filters.vocabulary import MessageClass, RecipientType

MAX_RECIPIENTS = 50_000

SEND = Call(CallKind.SEND, "send-sms")

_CALLS: dict[str, Call] = {
    "send-sms": SEND,
    "get-report": Call(CallKind.REPORT, "get-report"),
    "cancel-order": Call(CallKind.CANCEL, "cancel-order"),
    **{
        operation: Call(CallKind.UNTOUCHED, operation)
        for operation in (
            "get-reports",
            "get-sender",
            "get-balance",
            "get-blacklist",
            "add-blacklist",
            "delete-blacklist",
            "consent/create",
            "consent/show",
            "get-inbox",
        )
    },
}
"""``get-reports`` lists orders, not numbers: nothing of ours belongs in it."""

_BODY_FIELDS = frozenset({"request"})
_REQUEST_FIELDS = frozenset({"authentication", "order"})
_KEY_LOGIN, _USER_LOGIN = ("key", "hash"), ("username", "password")
"""The second is that of its older documents."""

_ORDER_FIELDS = frozenset({"sender", "sendDateTime", "iys", "iysList", "message"})
_MESSAGE_FIELDS = frozenset({"text", "receipents"})
_RECIPIENTS_FIELDS = frozenset({"number"})
_KEPT_FIELDS = ("sendDateTime", "iys", "iysList")

_DATE_FORMATS = ("%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S")
_CLASSES = {"1": MessageClass.COMMERCIAL, "0": MessageClass.INFORMATIONAL}
_TYPES = {"": None, "BIREYSEL": RecipientType.INDIVIDUAL, "TACIR": RecipientType.BUSINESS}

_MINTED_ID_DIGITS = 18


class IletiMerkeziDialect:
    """See the module's description. A ``Dialect``, a ``Composer``, a ``Canceller`` and a ``DeliveryCodec``."""

    name = "iletimerkezi"
    refusal_model = RefusalModel.IN_REPORT
    profile = "iletimerkezi"
    max_recipients = MAX_RECIPIENTS

    def __init__(self, syntax: Syntax | None = None) -> None:
        self._syntax = syntax or JsonSyntax()

    @property
    def twins(self) -> tuple[IletiMerkeziDialect, ...]:
        """The same dialect in its other syntaxes."""
        return IletiMerkeziDialect(XmlSyntax()), IletiMerkeziDialect(QuerySyntax())

    def recognise(self, request: HttpRequest) -> Call | None:
        return _CALLS.get(self._syntax.operation_of(request) or "")

    # -- requests -------------------------------------------------------------------------------------------------

    def read(self, request: HttpRequest, call: Call) -> Submission:
        body = self._syntax.read(request)
        check_fields(body, _BODY_FIELDS)
        found = object_field(body, "request")
        check_fields(found, _REQUEST_FIELDS, "request")
        login = _read_login(object_field(found, "authentication", "request"))
        order = object_field(found, "order", "request")
        check_fields(order, _ORDER_FIELDS, "order")
        recipients, texts, parts = _read_messages(order)
        iys = code_field(order, "iys", "order")
        if iys and iys not in _CLASSES:
            raise malformed("order.iys: expected 1 or 0")
        kind = text_field(order, "iysList", "order")
        if kind not in _TYPES:
            raise malformed("order.iysList: expected BIREYSEL or TACIR")
        return Submission(
            dialect=self.name,
            operation=call.operation,
            recipients=recipients,
            texts=texts,
            sender_title=text_field(order, "sender", "order", default=None),
            credential_id=next(iter(login.values())),
            tag_class=_CLASSES.get(iys),
            # Beside iys = 0 the list is harmless and means nothing.
            tag_type=None if iys == "0" else _TYPES[kind],
            alphabet=Alphabet.AUTO,
            send_at=_read_date(order.get("sendDateTime")),
            fields={
                "login": login,
                "parts": parts,
                "is_list": type(order["message"]) is list,
                "kept": {name: order[name] for name in _KEPT_FIELDS if order.get(name) is not None},
            },
        )

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        parts: Sequence[int] = submission.fields["parts"]
        messages: list[dict[str, Any]] = []
        last: tuple[int, str] | None = None
        for position, text in zip(kept, texts, strict=True):
            if (parts[position], text) != last:
                last = parts[position], text
                messages.append({"text": text, "receipents": {"number": []}})
            messages[-1]["receipents"]["number"].append(submission.recipients[position].spelled)
        is_list = submission.fields["is_list"] or len(messages) > 1
        return self._syntax.write(
            SEND.operation,
            submission.fields["login"],
            {
                "sender": submission.sender_title,
                **submission.fields["kept"],
                "message": messages if is_list else messages[0],
            },
        )

    def compose(self, submission: Submission, account: Mapping[str, str]) -> HttpRequest:
        """``account``: key, hash; sender where the submission names no sender title."""
        if submission.kind not in (TextKind.PLAIN, TextKind.OTP):
            raise malformed("kind: expected plain or otp")
        is_exempt = submission.tag_class in (MessageClass.INFORMATIONAL, MessageClass.SERVICE)
        return JsonSyntax().write(
            SEND.operation,
            {name: account.get(name, "") for name in _KEY_LOGIN},
            {
                "sender": submission.sender_title or account.get("sender", ""),
                "sendDateTime": []
                if submission.send_at is None
                else [write_time(submission.send_at, _DATE_FORMATS[0])],
                "iys": "0" if is_exempt else "1",
                "iysList": "TACIR" if submission.tag_type is RecipientType.BUSINESS else "BIREYSEL",
                "message": [
                    {
                        "text": submission.texts[recipient.text],
                        "receipents": {"number": [dialled_digits(recipient.number)]},
                    }
                    for recipient in submission.recipients
                ],
            },
        )

    def compose_cancel(self, submission: Submission, relayed: Relayed, nth: int) -> Cancellation | None:
        if not relayed.job_id:
            return None
        request = JsonSyntax().write("cancel-order", submission.fields["login"], {"id": relayed.job_id})
        return Cancellation(request, is_whole=True)

    def is_cancelled(self, response: HttpResponse) -> bool:
        return response.status == 200 and JsonSyntax().read_answer(response)[0] == 200

    # -- answers --------------------------------------------------------------------------------------------------

    def read_answer(self, submission: Submission, kept: Sequence[int], response: HttpResponse) -> Relayed:
        code, order = self._syntax.read_answer(response)
        if code == 200 and response.status == 200:
            return all_relayed(len(kept), str(order.get("id", "")), str(code))
        if code and code != 200:
            is_temporary = code in (429, 451) or code >= 500
            # Its Node client takes any 200 for success: such an answer is written anew.
            is_passed_on = response.status != 200
            return all_refused(len(kept), str(code), is_temporary=is_temporary, is_passed_on=is_passed_on)
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
            if is_relayed(fates):
                return passed_on(response, segments_header(segments))
            code, _ = self._syntax.read_answer(response)
            if code and code != 200:
                return self._syntax.answer(code)
            return self.write_fault(Fault.UNKNOWN_OUTCOME, "the provider's answer could not be read")
        if any(is_try_again(fate) for fate in fates):
            return self.write_fault(Fault.UNAVAILABLE, "nobody could be checked")
        if all(fate.reason is Reason.ADDRESS_INVALID for fate in fates):
            return self.write_fault(Fault.BAD_NUMBER, "no number could be read")
        # The one dialect of its kind that has a word for it: nobody usable is left.
        return passed_on(self._syntax.answer(452), segments_header(segments))

    def mint_id(self, number: int) -> str:
        """18 digits of which the first is 9: fits into 64 bits, and is far from the provider's running numbers."""
        return "9" + str(number % 10 ** (_MINTED_ID_DIGITS - 1)).zfill(_MINTED_ID_DIGITS - 1)

    def write_fault(self, fault: Fault, detail: str) -> HttpResponse:
        return self._syntax.answer(status_code_of(fault, detail), detail)

    # -- reports --------------------------------------------------------------------------------------------------

    def report_ids(self, request: HttpRequest, call: Call) -> Sequence[str]:
        return iletimerkezi_report.asked_order_ids(self._syntax.read_order(request))

    def render_posts(self, job_id: str, entries: Sequence[ReportEntry]) -> Iterator[bytes]:
        return iletimerkezi_report.render_posts(job_id, entries)

    def overlay_report(
        self,
        request: HttpRequest,
        call: Call,
        response: HttpResponse | None,
        dropped: Mapping[str, Sequence[ReportEntry]],
    ) -> HttpResponse:
        if call.kind is CallKind.CANCEL:
            # Nothing of an order of ours was sent or will be: what was asked for is so.
            return passed_on(response) if response is not None else self._syntax.answer(200)
        return iletimerkezi_report.overlay(self._syntax, self._syntax.read_order(request), response, dropped)


def _read_login(found: Tree) -> dict[str, str]:
    """Key and hash, or user name and password; never names of both."""
    names = _USER_LOGIN if any(name in found for name in _USER_LOGIN) else _KEY_LOGIN
    check_fields(found, frozenset(names), "authentication")
    return {name: text_field(found, name, "authentication", default=None) for name in names}


def _read_messages(order: dict[str, Any]) -> tuple[list[SmsRecipient], list[str], list[int]]:
    """Recipients, texts, and for each recipient the number of its message."""
    is_single = type(order.get("message")) is dict
    listed = [order["message"]] if is_single else list_field(order, "message", "order")
    texts = SharedTexts()
    recipients: list[SmsRecipient] = []
    parts: list[int] = []
    for part, message in enumerate(listed):
        where = "message" if is_single else f"message[{part}]"
        if type(message) is not dict:
            raise malformed(f"{where}: expected an object")
        check_fields(message, _MESSAGE_FIELDS, where)
        text = texts.number(text_field(message, "text", where), f"{where}.text")
        inner = object_field(message, "receipents", where)
        check_fields(inner, _RECIPIENTS_FIELDS, f"{where}.receipents")
        for number in list_field(inner, "number", f"{where}.receipents"):
            spelled = number if type(number) is str else code_field({"number": number}, "number", where, default=None)
            recipients.append(SmsRecipient(read_number(spelled, f"{where}.receipents.number"), spelled, text))
            parts.append(part)
        if len(recipients) > MAX_RECIPIENTS:
            raise RequestRefusedError(Fault.TOO_MANY_RECIPIENTS, f"number: expected at most {MAX_RECIPIENTS}")
    return recipients, texts.all, parts


def _read_date(value: Any) -> float | None:
    if type(value) is list and len(value) <= 1:
        value = value[0] if value else ""
    if value is None or value == "":
        return None
    if type(value) is str:
        for form in _DATE_FORMATS:
            if (found := find_time(value, form)) is not None:
                return found
    raise malformed("order.sendDateTime: expected DD/MM/YYYY HH:MM")
