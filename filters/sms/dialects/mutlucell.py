"""Mutlucell: an XML package of texts with comma lists of numbers; who got nothing shows in the report as 7, rejected.

Facts: sms-dialects section 6.1 (sending: high confidence; nothing is known of İYS fields, so configuration tags the
message). Answers are always HTTP 200: ``$package#credits``, or an error as a bare number. Report, balance and sender
list calls are known from third parties' code only. ``addLinkToEnd`` makes the provider append a link of its own behind
our opt-out; both then stand in the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from filters.reason import Reason
from filters.sms.dialect import Call, CallKind, Fault, RefusalModel, RequestRefusedError, Segments
from filters.sms.dialects.answers import check_text
from filters.sms.dialects.composed import compose_mutlucell
from filters.sms.dialects.headers import carried_headers, segments_header
from filters.sms.dialects.in_report import all_refused, all_relayed, all_unknown, is_relayed, passed_on, refused_whole
from filters.sms.dialects.spelled_numbers import SharedTexts, read_number_list
from filters.sms.dialects.strict_form import refuse_query
from filters.sms.dialects.strict_json import malformed
from filters.sms.dialects.strict_xml import Element, check_element, read_xml, write_document
from filters.sms.dialects.times import find_time
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Alphabet, Relayed, ReportEntry, SmsFate, SmsRecipient, Submission

MAX_RECIPIENTS = 50_000
"""The provider publishes none; as the largest of the others."""

MAX_TEXT_CHARACTERS = 4000

REJECTED = "7"
FAILED = "6"

_ATTRIBUTES = ("ka", "pwd", "org", "tarih", "bitis", "charset", "aboneid", "bayiid", "addLinkToEnd")
_CALLS = {
    "/smsgw-ws/sndblkex": Call(CallKind.SEND, "send"),
    "/smsgw-ws/gtblkrprtex": Call(CallKind.REPORT, "report"),
    "/smsgw-ws/gtcrdtex": Call(CallKind.UNTOUCHED, "credits"),
    "/smsgw-ws/gtorgex": Call(CallKind.UNTOUCHED, "originators"),
    "/smsgw-ws/gtsummaryex": Call(CallKind.UNTOUCHED, "summary"),
}
_ALPHABETS = {
    "": Alphabet.AUTO,
    "default": Alphabet.DEFAULT,
    "turkish": Alphabet.TURKISH,
    "unicode": Alphabet.UNICODE,
}
_SUCCESS = re.compile(r"\$([0-9]{1,32})#[0-9.,]{0,32}", re.ASCII).fullmatch
_ERROR = re.compile(r"[0-9]{2}", re.ASCII).fullmatch
_PLAIN_TEXT = ("content-type", "text/plain; charset=utf-8")

_CODES: dict[Fault, str] = {
    Fault.MALFORMED: "20",
    Fault.UNKNOWN_FIELD: "20",
    Fault.BAD_NUMBER: "20",
    Fault.TOO_MANY_RECIPIENTS: "20",
    Fault.TOO_LARGE: "20",
    Fault.NO_TEXT: "20",
    Fault.TEXT_TOO_LONG: "20",
    Fault.NOT_ALLOWED: "21",
    Fault.UNAUTHENTICATED: "23",
    Fault.TOO_MANY_REQUESTS: "24",
    Fault.NOT_FOUND: "20",
    Fault.UNAVAILABLE: "25",
    Fault.UNKNOWN_OUTCOME: "25",
}


class MutlucellDialect:
    """See the module's description. A ``Dialect`` and a ``Composer``."""

    name = "mutlucell"
    refusal_model = RefusalModel.IN_REPORT
    profile = "mutlucell"
    max_recipients = MAX_RECIPIENTS

    def recognise(self, request: HttpRequest) -> Call | None:
        if request.method != "POST":
            return None
        if request.path in _CALLS:
            return _CALLS[request.path]
        return Call(CallKind.REFUSED, "other") if request.path.lower().startswith("/smsgw-ws/") else None

    def read(self, request: HttpRequest, call: Call) -> Submission:
        refuse_query(request)
        root = read_xml(request, "smspack")
        check_element(root, ("mesaj",), _ATTRIBUTES)
        attributes = root.attributes
        recipients: list[SmsRecipient] = []
        texts = SharedTexts()
        for message in root.children:
            check_element(message, ("metin", "nums"))
            for child in message.children:
                check_element(child)
            message.text_of("metin", None)  # refused where absent or twice; the text itself keeps its blanks
            text = check_text(message.all("metin")[0].text, "mesaj.metin", MAX_TEXT_CHARACTERS)
            shared = texts.number(text, "mesaj.metin")
            numbers = read_number_list(message.text_of("nums", None), "mesaj.nums")
            recipients += [SmsRecipient(number, spelled, shared) for number, spelled in numbers]
            if len(recipients) > MAX_RECIPIENTS:
                raise RequestRefusedError(Fault.TOO_MANY_RECIPIENTS, f"nums: expected at most {MAX_RECIPIENTS}")
        if not recipients:
            raise malformed("smspack.mesaj: expected, but absent")
        alphabet = _ALPHABETS.get(attributes.get("charset", ""))
        if alphabet is None:
            raise malformed("smspack.charset: expected default, turkish or unicode")
        return Submission(
            dialect=self.name,
            operation=call.operation,
            recipients=recipients,
            texts=texts.all,
            sender_title=attributes.get("org", ""),
            credential_id=attributes.get("ka", ""),
            alphabet=alphabet,
            send_at=_start(attributes.get("tarih", "")),
            fields={"attributes": attributes, "headers": carried_headers(request)},
        )

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        runs: list[tuple[str, list[str]]] = []
        for position, text in zip(kept, texts, strict=True):
            if not runs or runs[-1][0] != text:
                runs.append((text, []))
            runs[-1][1].append(submission.recipients[position].spelled)
        messages = [
            Element("mesaj", children=[Element("metin", text=text), Element("nums", text=",".join(numbers))])
            for text, numbers in runs
        ]
        document = write_document(Element("smspack", submission.fields["attributes"], messages))
        headers = (*submission.fields["headers"], ("content-type", "text/xml; charset=UTF-8"))
        return HttpRequest("POST", "/smsgw-ws/sndblkex", "", headers, document)

    def compose(self, submission: Submission, account: Mapping[str, str]) -> HttpRequest:
        """A ``Composer``; ``account`` as ``composed`` says."""
        return compose_mutlucell(submission, account)

    def read_answer(self, submission: Submission, kept: Sequence[int], response: HttpResponse) -> Relayed:
        text = response.body[:100].decode("ascii", "replace").strip()
        if response.status != 200:
            return all_unknown(len(kept))
        if taken := _SUCCESS(text):
            return all_relayed(len(kept), taken[1], "00")
        if _ERROR(text):
            return all_refused(len(kept), text, is_temporary=text in ("24", "25"), is_passed_on=True)
        return all_unknown(len(kept))

    def write_answer(
        self,
        submission: Submission,
        fates: Sequence[SmsFate],
        response: HttpResponse | None,
        minted_id: str,
        segments: Sequence[Segments],
    ) -> HttpResponse:
        extra = segments_header(segments)
        if response is not None and is_relayed(fates):
            return passed_on(response, extra)
        if response is not None and any(fate.upstream_code for fate in fates):
            return passed_on(response)
        fault = refused_whole(fates)
        if fault is not None:
            return self.write_fault(fault, "")
        return HttpResponse(200, (_PLAIN_TEXT, *extra), f"${minted_id}#0".encode())

    def mint_id(self, number: int) -> str:
        # Fits the integers of every language, and begins where the provider's counters have not come.
        return str(8 * 10**15 + number % 10**15)

    def write_fault(self, fault: Fault, detail: str) -> HttpResponse:
        return HttpResponse(200, (_PLAIN_TEXT,), _CODES[fault].encode())

    def report_ids(self, request: HttpRequest, call: Call) -> Sequence[str]:
        root = read_xml(request, "smsrapor")
        check_element(root, (), ("ka", "pwd", "id"))
        found = root.attributes.get("id")
        return (found,) if found else ()

    def overlay_report(
        self,
        request: HttpRequest,
        call: Call,
        response: HttpResponse | None,
        dropped: Mapping[str, Sequence[ReportEntry]],
    ) -> HttpResponse:
        if response is not None and (
            response.status != 200 or _ERROR(response.body.decode("utf-8", "replace").strip())
        ):
            return response
        theirs = [response.body.rstrip(b"\r\n")] if response is not None and response.body.strip() else []
        ours = [
            f"{entry.spelled} {FAILED if entry.reason is Reason.ADDRESS_INVALID else REJECTED}".encode()
            for entries in dropped.values()
            for entry in entries
        ]
        if response is None:
            return HttpResponse(200, (_PLAIN_TEXT,), b"\n".join(ours))
        return passed_on(response)._replace(body=b"\n".join([*theirs, *ours]))


def _start(text: str) -> float | None:
    if not text:
        return None
    at = find_time(text, "%Y-%m-%d %H:%M")
    if at is None:
        raise malformed("smspack.tarih: expected yyyy-MM-dd HH:mm")
    return at
