"""The XML bodies of Netgsm's older interface: ``<mainbody>`` with header and body, 1:n or n:n (sms-dialects 3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.dialects.netgsm_values import ACCEPTED, MAX_RECIPIENTS, alphabet_of, read_date, read_iysfilter
from filters.sms.dialects.spelled_numbers import SharedTexts, read_number
from filters.sms.dialects.strict_json import malformed
from filters.sms.dialects.strict_xml import (
    Element,
    check_element,
    parse_xml,
    read_xml,
    write_document,
    write_element,
    write_text,
)
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import SmsRecipient, Submission, TextKind
from filters.vocabulary import MessageClass

ONE_TEXT = "1:n"
TEXT_EACH = "n:n"

_KEPT_FIELDS = ("startdate", "stopdate", "bayikodu", "filter", "encoding", "appkey")
_HEADER = ("company", "usercode", "password", "type", "msgheader", *_KEPT_FIELDS)
_XML_HEADERS = (("content-type", "text/xml; charset=utf-8"),)


def read(request: HttpRequest, dialect: str, operation: str, *, is_otp: bool) -> Submission:
    """A sending request. Raises ``RequestRefusedError``."""
    root = read_xml(request, "mainbody")
    check_element(root, ("header", "body"))
    header, body = root.one("header"), root.one("body")
    if header is None or body is None:
        raise malformed("mainbody: expected header and body")
    check_element(header, _HEADER)
    company = header.one("company")
    dialect_of_company = {}
    for child in header.children:
        check_element(child, (), ("dil",) if child is company else ())
    if company is not None:
        dialect_of_company = company.attributes
    form = header.text_of("type", ONE_TEXT) or ONE_TEXT
    recipients, texts = _read_body(body, form)
    if is_otp and len(recipients) != 1:
        raise malformed("no: expected one number for a one-time password")
    message_class, recipient_type = read_iysfilter(header.text_of("filter"), "filter")
    read_date(header.text_of("stopdate"), "stopdate")
    return Submission(
        dialect=dialect,
        operation=operation,
        recipients=recipients,
        texts=texts,
        sender_title=header.text_of("msgheader", None),
        credential_id=header.text_of("usercode", None),
        tag_class=MessageClass.INFORMATIONAL if is_otp else message_class,
        tag_type=None if is_otp else recipient_type,
        kind=TextKind.OTP if is_otp else TextKind.PLAIN,
        alphabet=alphabet_of(dialect_of_company.get("dil", "") or header.text_of("encoding"), "encoding"),
        send_at=read_date(header.text_of("startdate"), "startdate"),
        fields={
            "path": request.path,
            "company": (company.text.strip(), dict(company.attributes)) if company is not None else None,
            "password": header.text_of("password", None),
            "type": header.text_of("type") if header.one("type") is not None else None,
            "kept": {name: header.text_of(name) for name in _KEPT_FIELDS if header.one(name) is not None},
        },
    )


def _read_body(body: Element, form: str) -> tuple[list[SmsRecipient], list[str]]:
    check_element(body, ("msg", "no") if form == ONE_TEXT else ("mp",))
    if form == ONE_TEXT:
        message = body.one("msg")
        pairs = [(message, number) for number in body.all("no")]
    elif form == TEXT_EACH:
        pairs = [_read_pair(pair) for pair in body.children]
    else:
        raise malformed("type: expected 1:n or n:n")
    if len(pairs) > MAX_RECIPIENTS:
        raise RequestRefusedError(Fault.TOO_MANY_RECIPIENTS, f"body.no: expected at most {MAX_RECIPIENTS}")
    texts = SharedTexts()
    recipients = []
    for message, number in pairs:
        if message is None:
            raise malformed("body.msg: expected, but absent")
        if message.children or message.attributes or number.children or number.attributes:
            raise malformed("body: expected text in msg and no")
        spelled = number.text.strip()
        place = texts.number(message.text, "body.msg")
        recipients.append(SmsRecipient(read_number(spelled, "body.no"), spelled, place))
    if not recipients:
        raise malformed("body.no: expected at least one")
    return recipients, texts.all


def _read_pair(pair: Element) -> tuple[Element | None, Element]:
    children = pair.children
    if len(children) == 2 and children[0].name == "msg" and children[1].name == "no" and not pair.attributes:
        return children[0], children[1]
    check_element(pair, ("msg", "no"))
    return pair.one("msg"), pair.one("no") or Element("no")


def write(submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
    """The upstream request; a text for all becomes a text each where they are not the same any more."""
    fields = submission.fields
    has_pairs = fields["type"] == TEXT_EACH or len(set(texts)) > 1
    header = {"usercode": submission.credential_id, "password": fields["password"]}
    if fields["type"] is not None or has_pairs:
        header["type"] = TEXT_EACH if has_pairs else ONE_TEXT
    header |= {"msgheader": submission.sender_title, **fields["kept"]}
    pairs = [(text, submission.recipients[position].spelled) for position, text in zip(kept, texts, strict=True)]
    company = fields["company"]
    attributes = company[1] if company else {}
    if company:
        header = {"company": company[0], **header}
    return write_request(fields["path"], header, attributes, pairs, has_pairs=has_pairs)


def write_request(
    path: str,
    header: Mapping[str, str],
    company_attributes: Mapping[str, str],
    pairs: Sequence[tuple[str, str]],
    *,
    has_pairs: bool,
) -> HttpRequest:
    """``pairs`` of text and number; without ``has_pairs`` all texts are the same one."""
    head = Element(
        "header",
        children=[
            Element(name, dict(company_attributes) if name == "company" else {}, text=value)
            for name, value in header.items()
        ],
    )
    written = {text: f"<msg>{write_text(text)}</msg>" for text in {text for text, _ in pairs}}
    if has_pairs:
        body = "".join(f"<mp>{written[text]}<no>{write_text(no)}</no></mp>" for text, no in pairs)
    else:
        body = written[pairs[0][0]] + "".join(f"<no>{write_text(no)}</no>" for _, no in pairs)
    document = f"<mainbody>{write_element(head)}<body>{body}</body></mainbody>"
    return HttpRequest("POST", path, "", _XML_HEADERS, write_document(document))


def read_otp_answer(response: HttpResponse) -> tuple[str, str]:
    """Code and job id; "" for what cannot be read. This call says "0" where the others say "00"."""
    try:
        root = parse_xml(response.body)
    except RequestRefusedError:
        return "", ""
    main = next((child for child in root.children if child.name == "main"), root)
    code = next((child.text.strip() for child in main.children if child.name == "code"), "")
    job_id = next((child.text.strip() for child in main.children if child.name == "jobID"), "")
    if code in ("0", *ACCEPTED):
        return "00", job_id
    return (code, "") if code.isdigit() and code.isascii() else ("", "")


def write_otp_refusal(code: str) -> HttpResponse:
    """The answer to a one-time password that was not sent."""
    main = Element("main", children=[Element("code", text=code)])
    return HttpResponse(200, _XML_HEADERS, write_document(Element("xml", children=[main])))
