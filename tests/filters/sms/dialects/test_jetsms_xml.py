"""JetSMS's older XML service: the forms that its clients write, and whatever could be read otherwise refused."""

from __future__ import annotations

import json

import pytest

from filters.reason import Reason
from filters.sms.dialect import Dialect, RequestRefusedError
from filters.sms.dialects.registry import make_family
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import ReportEntry, SmsFate, Submission, TextKind
from filters.vocabulary import Outcome

HEAD = "<username>u</username><password>p</password><outbox-name>ORNEK</outbox-name>"
ONE = "<text>Merhaba</text><gsmnos>5321110001,5321110002</gsmnos>"


def post(inner: str, kind: str = "smmgsd", path: str = "/SMS-Web8/xmlsms") -> HttpRequest:
    body = f"<message-context type='{kind}'>{inner}</message-context>"
    return HttpRequest("POST", path, "", (("content-type", "text/xml; charset=utf-8"),), body.encode())


def find(request: HttpRequest) -> Dialect:
    found = [dialect for dialect in make_family("jetsms") if dialect.recognise(request)]
    return next(dialect for dialect in found if str(dialect.recognise(request)).count("refused") == 0)


def read(request: HttpRequest) -> Submission:
    dialect = find(request)
    call = dialect.recognise(request)
    assert call is not None
    return dialect.read(request, call)


@pytest.mark.parametrize(
    "request_",
    [
        post(HEAD + ONE),
        post(f"{HEAD}{ONE}", path="/SMS-Web/xmlsms/"),
        post(f"{HEAD}<text>Merhaba</text><message><gsmnos>5321110001,5321110002</gsmnos></message>"),
        post(
            f"{HEAD}<reference/><start-date></start-date><expire-date></expire-date>"
            "<message><gsmno>5321110001</gsmno><text>Merhaba</text></message>"
            "<message><gsmno>5321110002</gsmno><text>Merhaba</text></message>",
            "mmmgsd",
        ),
    ],
)
def test_the_forms_of_its_clients_say_the_same(request_: HttpRequest) -> None:
    """And what is written for one of the two is read alike."""
    found = read(request_)
    assert [(each.spelled, found.texts[each.text]) for each in found.recipients] == [
        ("5321110001", "Merhaba"),
        ("5321110002", "Merhaba"),
    ]
    assert (found.sender_title, found.credential_id, found.tag_class) == ("ORNEK", "u", None)
    again = read(find(request_).write(found, [1], ["Merhaba RET"]))
    assert [(each.spelled, again.texts[each.text]) for each in again.recipients] == [("5321110002", "Merhaba RET")]


@pytest.mark.parametrize(
    "request_",
    [
        post(HEAD + ONE, "mmmgsd"),
        post(HEAD + ONE, "other"),
        post(HEAD + ONE + "<gsmnos>5321110003</gsmnos>"),
        post(HEAD + ONE + "<message><gsmnos>5321110003</gsmnos></message>"),
        post(HEAD + ONE + "<GSMNOS>5321110003</GSMNOS>"),
        post(HEAD + ONE + "<text>Baska</text>"),
        post(HEAD + ONE.replace("5321110002", "")),
        post(HEAD + ONE.replace("<text>", "<text type='a'>")),
        post(HEAD + ONE.replace("Merhaba", " ")),
        post(HEAD + "<start-date>2027-01-15</start-date>" + ONE),
        post(HEAD + "<message><gsmno>5321110001</gsmno><gsmno>5321110003</gsmno><text>a</text></message>", "mmmgsd"),
        post(HEAD, "mmmgsd"),
    ],
)
def test_what_could_be_read_otherwise_is_refused_and_is_no_success(request_: HttpRequest) -> None:
    """Clients look for 00 at the beginning, or at the HTTP status."""
    with pytest.raises(RequestRefusedError) as refused:
        read(request_)
    answer = find(request_).write_fault(refused.value.fault, refused.value.detail)
    assert answer.status >= 400
    assert not answer.body.startswith(b"00")


def test_what_stands_in_a_header_is_no_plain_text() -> None:
    """No opt-out can be put behind it, so a commercial one is refused later."""
    assert read(post(f"{HEAD}<message-header>0605040B84</message-header>{ONE}")).kind is TextKind.BINARY


@pytest.mark.parametrize(
    ("answer", "outcome", "job_id"),
    [
        (HttpResponse(200, (), b"00 110906180000526"), Outcome.RELAYED, "110906180000526"),
        (HttpResponse(200, (), b"00"), Outcome.RELAYED, ""),
        (HttpResponse(200, (), b"23 hatali"), Outcome.REFUSED, ""),
        (HttpResponse(401, (), b""), Outcome.REFUSED, ""),
        (HttpResponse(200, (), b"000"), Outcome.UNKNOWN, ""),
        (HttpResponse(200, (), b"00 1 2"), Outcome.UNKNOWN, ""),
        (HttpResponse(200, (), b"<html>"), Outcome.UNKNOWN, ""),
        (HttpResponse(500, (), b"00 1"), Outcome.UNKNOWN, ""),
    ],
)
def test_only_a_clear_yes_is_taken_for_one(answer: HttpResponse, outcome: Outcome, job_id: str) -> None:
    request = post(HEAD + ONE)
    relayed = find(request).read_answer(read(request), [0, 1], answer)
    assert ({fate.outcome for fate in relayed.fates}, relayed.job_id) == ({outcome}, job_id)


def test_with_nobody_left_the_sender_gets_an_id_by_which_the_json_service_is_asked() -> None:
    """The report of the newer service lists them all."""
    request = post(HEAD + ONE)
    fates = [SmsFate(Outcome.DROPPED, Reason.NO_CONSENT)] * 2
    answer = find(request).write_answer(read(request), fates, None, find(request).mint_id(7), ())
    group = answer.body.decode().removeprefix("00 ")
    report = HttpRequest(
        "POST", "/api/ReportSms", "", (("content-type", "application/json"),), json.dumps({"groupid": group}).encode()
    )
    dialect = find(report)
    call = dialect.recognise(report)
    assert call is not None
    assert list(dialect.report_ids(report, call)) == [group]
    dropped = {group: [ReportEntry("5321110001", "+905321110001", "", Reason.NO_CONSENT, 1_800_000_000.0)]}
    rows = json.loads(dialect.overlay_report(report, call, None, dropped).body)["MessageReportArray"]
    assert [(row["GsmNumber"], row["Status"]) for row in rows] == [("5321110001", "-1")]
