"""İleti Merkezi's XML and query-string calls: the content of the JSON ones, read as strictly."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from filters.reason import Reason
from filters.sms.dialect import Dialect, Fault, RequestRefusedError
from filters.sms.dialects.registry import make_family
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import ReportEntry, Submission
from filters.vocabulary import MessageClass, RecipientType

LOGIN = "<key>k</key><hash>h</hash>"
ONE = "<message><text>Merhaba</text><receipents><number>5321110001</number></receipents></message>"
TAGS = "<iys>1</iys><iysList>TACIR</iysList>"
ORDER = f"<sender>ORNEK</sender>{TAGS}{ONE}"


def find(request: HttpRequest) -> Dialect:
    """Whoever of the family knows the call; no two do."""
    (found,) = [dialect for dialect in make_family("iletimerkezi") if dialect.recognise(request) is not None]
    return found


def read(request: HttpRequest) -> Submission:
    dialect = find(request)
    call = dialect.recognise(request)
    assert call is not None
    return dialect.read(request, call)


def xml(order: str = ORDER, login: str = LOGIN, name: str = "send-sms") -> HttpRequest:
    body = f"<request><authentication>{login}</authentication><order>{order}</order></request>"
    return HttpRequest("POST", f"/v1/{name}", "", (("content-type", "text/xml"),), body.encode())


def query(fields: str) -> HttpRequest:
    return HttpRequest("GET", "/v1/send-sms/get/", f"key=k&hash=h&text=Merhaba&sender=ORNEK{fields}")


def code_of(response: HttpResponse) -> int:
    code = int(ET.fromstring(response.body).findtext("status/code") or "0")
    assert code == response.status
    return code


@pytest.mark.parametrize(
    "request_",
    [xml(), query("&receipents=5321110001&iys=1&iysList=TACIR")],
    ids=["xml", "query"],
)
def test_a_twin_says_what_the_json_says(request_: HttpRequest) -> None:
    """Tag, sender, account and recipients."""
    found = read(request_)
    assert [(each.spelled, found.texts[each.text]) for each in found.recipients] == [("5321110001", "Merhaba")]
    assert (found.tag_class, found.tag_type) == (MessageClass.COMMERCIAL, RecipientType.BUSINESS)
    assert (found.sender_title, found.credential_id) == ("ORNEK", "k")


def test_a_text_keeps_its_blanks_and_its_marks() -> None:
    """CDATA, references and what XML would take for its own, there and back."""
    text = "  a < b &amp; ]] \u00e7\U0001f600  "
    asked = read(xml(ORDER.replace("Merhaba", f"<![CDATA[{text}]]>")))
    assert asked.texts == [text]
    dialect = find(xml())
    assert read(dialect.write(asked, [0], [text])).texts == [text]


@pytest.mark.parametrize("login", ["<username>5321110000</username><password>p</password>", LOGIN])
def test_either_login_goes_on_as_it_came(login: str) -> None:
    asked = read(xml(login=login))
    assert f"<authentication>{login}</authentication>".encode() in find(xml()).write(asked, [0], ["a"]).body


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (ORDER.replace("</receipents>", "</receipents><receipents><number>5321110002</number></receipents>"), 400),
        (ORDER.replace("<number>", "<Number>5321110002</Number><number>"), 400),
        (ORDER.replace("<number>", "<gsm>5321110002</gsm><number>"), 400),
        (ORDER.replace("<number>", "<number type='a'>"), 400),
        (ORDER.replace("<number>", "<number><no>5321110002</no>"), 400),
        (ORDER.replace("</text>", "</text><text>Baska</text>"), 400),
        (ORDER.replace("<message>", "<receipents><number>5321110002</number></receipents><message>"), 400),
        (ORDER.replace("5321110001", "5321110001,5321110002"), 466),
        (ORDER.replace("<sender>", "<sender>BASKA</sender><sender>"), 450),
        (ORDER.replace(TAGS, "<iys>2</iys>"), 468),
        (ORDER.replace(TAGS, "<iys>1</iys><iysList>HEPSI</iysList>"), 469),
        (ORDER.replace(TAGS, "<iys>1</iys><iys>0</iys>"), 468),
        (ORDER.replace(TAGS, "<iys a='0'>1</iys>"), 400),
        (ORDER.replace(TAGS, "<sendDateTime>1/1/27</sendDateTime>"), 457),
        (ORDER.replace("Merhaba", " "), 454),
        ("<sender>ORNEK</sender>", 400),
        (TAGS + ONE, 450),
    ],
)
def test_an_order_that_could_be_read_otherwise_is_refused_in_xml(order: str, code: int) -> None:
    """With the provider's own code, HTTP status and code alike."""
    request = xml(order)
    with pytest.raises(RequestRefusedError) as refused:
        read(request)
    assert code_of(find(request).write_fault(refused.value.fault, refused.value.detail)) == code


@pytest.mark.parametrize(
    "body",
    [
        "<!DOCTYPE request><request><authentication>{login}</authentication><order>{order}</order></request>",
        "<?php?><request><authentication>{login}</authentication><order>{order}</order></request>",
        "<request><authentication>{login}</authentication><order>{order}</order><order>{order}</order></request>",
        "<request><authentication>{login}</authentication><authentication/><order>{order}</order></request>",
        "<request><authentication>{login}<username>u</username></authentication><order>{order}</order></request>",
        "<request xmlns='urn:a'><authentication>{login}</authentication><order>{order}</order></request>",
        "<Request><authentication>{login}</authentication><order>{order}</order></Request>",
        "<request>5321110002<authentication>{login}</authentication><order>{order}</order></request>",
        "<request><order>{order}</order></request>",
    ],
)
def test_documents_with_more_than_elements_are_refused(body: str) -> None:
    """Entities, instructions, namespaces, a second order, a second login."""
    request = xml()._replace(body=body.format(login=LOGIN, order=ORDER).encode())
    with pytest.raises(RequestRefusedError):
        read(request)


@pytest.mark.parametrize(
    "fields",
    [
        "",
        "&receipents=5321110001&receipents=5321110002",
        "&receipents=5321110001&Receipents=5321110002",
        "&receipents=5321110001&recipients=5321110002",
        "&receipents=5321110001&receipents[]=5321110002",
        "&receipents=5321110001,",
        "&receipents=5321110001;5321110002",
        "&receipents=5321110001&sendDateTime=23/04/2030%2009:00",
        "&receipents=5321110001&username=u&password=p",
    ],
)
def test_a_query_that_could_be_read_otherwise_is_refused(fields: str) -> None:
    """A time of sending too: the provider's documents know none for this call."""
    with pytest.raises(RequestRefusedError):
        read(query(fields))


def test_texts_that_became_different_do_not_fit_into_the_query() -> None:
    asked = read(query("&receipents=5321110001,5321110002&iys=0"))
    with pytest.raises(RequestRefusedError) as refused:
        find(query("")).write(asked, [0, 1], ["a", "b"])
    assert refused.value.fault is Fault.TEXT_TOO_LONG


def test_an_order_of_any_syntax_is_called_off_by_its_own_login() -> None:
    """In JSON: one call is as good as another."""
    (json_twin,) = make_family("iletimerkezi")[-1:]
    asked = read(xml(login="<username>u</username><password>p</password>"))
    relayed = find(xml()).read_answer(asked, [0], find(xml())._syntax.answer(200, "", {"id": "41"}))
    cancellation = json_twin.compose_cancel(asked, relayed, 0)
    assert cancellation is not None
    assert cancellation.request.path == "/v1/cancel-order/json"
    assert b'"username":"u"' in cancellation.request.body
    assert b'"id":"41"' in cancellation.request.body


def test_a_report_in_xml_keeps_the_providers_rows_before_ours() -> None:
    request = xml("<id>428</id><page>1</page><rowCount>5</rowCount>", name="get-report")
    dialect = find(request)
    call = dialect.recognise(request)
    assert call is not None
    assert list(dialect.report_ids(request, call)) == ["428"]
    upstream = (
        "<?xml version='1.0' encoding='UTF-8'?><response><status><code>200</code><message>a</message></status><order>"
        "<id>428</id><status>113</status><message><number>5301234567</number><status>110</status></message></order>"
        "</response>"
    )
    dropped = {"428": [ReportEntry("0532 111 00 01", "+905321110001", "", Reason.NO_CONSENT, 1_800_000_000.0)]}
    answer = dialect.overlay_report(request, call, HttpResponse(200, (), upstream.encode()), dropped)
    rows = ET.fromstring(answer.body).findall("order/message")
    assert [(row.findtext("number"), row.findtext("status")) for row in rows] == [
        ("5301234567", "110"),
        ("0532 111 00 01", "112"),
    ]
