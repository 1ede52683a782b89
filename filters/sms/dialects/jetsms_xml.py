"""JetSMS's older XML service: accepted as a whole by ``00`` and a group's id, so who got nothing shows in the report.

Facts: sms-dialects section 6.2 for address and answer; the elements are known from third parties' clients, six of which
agree. ``smmgsd`` is one text to a comma list, ``mmmgsd`` a text each. Not known: what other answers than ``00`` mean,
any field for İYS (so configuration tags the message), and whether the JSON service calls off what came this way. That
its report is asked there, by the group's id, is inferred.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from filters.sms.dialect import Call, CallKind, Fault, RefusalModel, RequestRefusedError, Segments
from filters.sms.dialects.answers import check_text
from filters.sms.dialects.headers import carried_headers, segments_header
from filters.sms.dialects.in_report import all_refused, all_relayed, all_unknown, is_relayed, passed_on, refused_whole
from filters.sms.dialects.jetsms_values import (
    MAX_RECIPIENTS,
    MAX_TEXT_CHARACTERS,
    START_FORMAT,
    fault_of,
    mint_group_id,
)
from filters.sms.dialects.spelled_numbers import SharedTexts, read_number_list
from filters.sms.dialects.strict_form import refuse_query
from filters.sms.dialects.strict_json import malformed
from filters.sms.dialects.strict_xml import Element, check_element, read_xml, write_document, write_element, write_text
from filters.sms.dialects.times import find_time
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Relayed, ReportEntry, SmsFate, SmsRecipient, Submission, TextKind

ONE_TEXT, TEXT_EACH = "smmgsd", "mmmgsd"
SEND = Call(CallKind.SEND, "xmlsms")

_PATHS = ("/SMS-Web8/xmlsms", "/SMS-Web/xmlsms")
_HEAD = ("username", "password", "outbox-name", "reference", "start-date", "expire-date", "message-header")
_PLAIN_TEXT = ("content-type", "text/plain; charset=utf-8")
_TAKEN = re.compile(r"00(?:[ \t]+([0-9A-Za-z-]{1,40}))?[ \t\r\n]*", re.ASCII).fullmatch
_REFUSED = re.compile(r"[0-9]{1,5}(?:\s.*)?", re.ASCII | re.DOTALL).fullmatch


class JetSmsXmlDialect:
    """See the module's description. A ``Dialect``."""

    name = "jetsms"
    refusal_model = RefusalModel.IN_REPORT
    profile = "jetsms"
    max_recipients = MAX_RECIPIENTS

    def recognise(self, request: HttpRequest) -> Call | None:
        return SEND if request.method == "POST" and request.path.removesuffix("/") in _PATHS else None

    def read(self, request: HttpRequest, call: Call) -> Submission:
        refuse_query(request)
        root = read_xml(request, "message-context")
        check_element(root, (*_HEAD, "text", "gsmnos", "message"), ("type",))
        for child in root.children:
            if child.name != "message" and (child.children or child.attributes):
                check_element(child)
        recipients, texts = _read_messages(root)
        if len(recipients) > MAX_RECIPIENTS:
            raise RequestRefusedError(Fault.TOO_MANY_RECIPIENTS, f"gsmnos: expected at most {MAX_RECIPIENTS}")
        head = {name: root.text_of(name) for name in _HEAD if root.one(name) is not None}
        return Submission(
            dialect=self.name,
            operation=call.operation,
            recipients=recipients,
            texts=texts,
            sender_title=root.text_of("outbox-name"),
            credential_id=root.text_of("username"),
            # What stands before the text may make it something else than text.
            kind=TextKind.BINARY if head.get("message-header") else TextKind.PLAIN,
            send_at=_start(head.get("start-date", "")),
            fields={
                "path": request.path,
                "type": root.attributes["type"],
                "head": head,
                "headers": carried_headers(request),
            },
        )

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        fields = submission.fields
        spelled = [submission.recipients[position].spelled for position in kept]
        is_one_text = fields["type"] == ONE_TEXT and len(set(texts)) == 1
        head = "".join(write_element(Element(name, text=value)) for name, value in fields["head"].items())
        if is_one_text:
            form = ONE_TEXT
            rest = f"<text>{write_text(texts[0])}</text><gsmnos>{write_text(','.join(spelled))}</gsmnos>"
        else:
            form = TEXT_EACH
            rest = "".join(
                f"<message><gsmno>{write_text(number)}</gsmno><text>{write_text(text)}</text></message>"
                for number, text in zip(spelled, texts, strict=True)
            )
        document = write_document(f'<message-context type="{form}">{head}{rest}</message-context>')
        headers = (*fields["headers"], ("content-type", "text/xml; charset=utf-8"))
        return HttpRequest("POST", fields["path"], "", headers, document)

    def read_answer(self, submission: Submission, kept: Sequence[int], response: HttpResponse) -> Relayed:
        text = response.body[:200].decode("latin-1").lstrip()
        if response.status == 200 and (taken := _TAKEN(text)):
            return all_relayed(len(kept), taken[1] or "", "00")
        if 400 <= response.status < 500 or (response.status == 200 and _REFUSED(text) and text[:2] != "00"):
            code = text.split()[0] if text else str(response.status)
            return all_refused(len(kept), code, is_temporary=response.status == 429, is_passed_on=True)
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
        if fault := refused_whole(fates):
            return self.write_fault(fault, "")
        return HttpResponse(200, (_PLAIN_TEXT, *extra), f"00 {minted_id}".encode())

    def mint_id(self, number: int) -> str:
        return mint_group_id(number)

    def write_fault(self, fault: Fault, detail: str) -> HttpResponse:
        """Its clients look for ``00`` at the beginning, or for an HTTP status; both say no."""
        status, sentence = fault_of(fault, detail)
        return HttpResponse(status, (_PLAIN_TEXT,), f"{status} {sentence}".encode())

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


def _read_messages(root: Element) -> tuple[list[SmsRecipient], list[str]]:
    """One text to all of a list, which some clients put into a ``message``; or a text and its numbers each."""
    messages, form = root.all("message"), root.attributes.get("type")
    texts = SharedTexts()
    recipients: list[SmsRecipient] = []
    if form == ONE_TEXT:
        lists = [root.one("gsmnos"), *(_only_child(message, "gsmnos") for message in messages)]
        found = [each for each in lists if each is not None]
        if len(found) != 1:
            raise malformed("gsmnos: expected once")
        _add(recipients, texts, root.one("text"), found[0])
    elif form == TEXT_EACH:
        if root.one("text") is not None or root.one("gsmnos") is not None:
            raise malformed("text: expected in message")
        for message in messages:
            if [child.name for child in message.children] != ["gsmno", "text"] or message.attributes:
                check_element(message, ("gsmno", "text"))
            _add(recipients, texts, message.one("text"), message.one("gsmno"))
    else:
        raise malformed("message-context.type: expected smmgsd or mmmgsd")
    if not recipients:
        raise malformed("message: expected, but absent")
    return recipients, texts.all


def _only_child(message: Element, name: str) -> Element | None:
    check_element(message, (name,))
    return message.one(name)


def _add(recipients: list[SmsRecipient], texts: SharedTexts, text: Element | None, numbers: Element | None) -> None:
    if text is None or numbers is None:
        raise malformed("message: expected a text and numbers")
    for leaf in (text, numbers):
        if leaf.children or leaf.attributes:
            check_element(leaf)
    shared = texts.number(check_text(text.text, "text", MAX_TEXT_CHARACTERS), "text")
    recipients += [
        SmsRecipient(number, spelled, shared) for number, spelled in read_number_list(numbers.text.strip(), "gsmnos")
    ]


def _start(text: str) -> float | None:
    if not text:
        return None
    at = find_time(text, START_FORMAT)
    if at is None:
        raise malformed("start-date: expected ddMMyyyyHHmmss")
    return at
