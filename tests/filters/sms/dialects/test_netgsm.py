"""Netgsm, REST v2 and older calls: fields, codes and reports as its documents have them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from filters.phone import parse_phone
from filters.reason import Reason
from filters.sms.dialect import Call, CallKind, Fault, RequestRefusedError
from filters.sms.dialects.netgsm import NetgsmDialect
from filters.sms.dialects.netgsm_legacy import NetgsmLegacyDialect
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Alphabet, ReportEntry, SmsFate, SmsRecipient, Submission, TextKind
from filters.vocabulary import MessageClass, Outcome, RecipientType

REST = NetgsmDialect()
LEGACY = NetgsmLegacyDialect()
AT = 1_800_000_000.0  # 15.01.2027 11:00:00 in Istanbul
DROPPED = SmsFate(Outcome.DROPPED, Reason.NO_CONSENT)


def call_of(request: HttpRequest) -> Call:
    call = REST.recognise(request) or LEGACY.recognise(request)
    assert call is not None
    return call


def rest(body: dict[str, Any] | str, path: str = "send") -> HttpRequest:
    text = body if isinstance(body, str) else json.dumps(body)
    return HttpRequest("POST", f"/sms/rest/v2/{path}", "", (("authorization", "Basic dTpw"),), text.encode())


def send(**fields: Any) -> HttpRequest:
    return rest({"msgheader": "ORNEK", "messages": [{"msg": "Merhaba", "no": "5321110001"}], **fields})


def read(request: HttpRequest) -> Submission:
    return REST.read(request, call_of(request))


@pytest.mark.parametrize("value", ["13", "1", "011", "abc", 13, 11.0, True, [11], {"a": 1}])
def test_an_iysfilter_that_nobody_knows_is_refused(value: object) -> None:
    """What "13" means is unknown, and a guess would be ours to answer for."""
    with pytest.raises(RequestRefusedError, match="iysfilter"):
        read(send(iysfilter=value))


@pytest.mark.parametrize(("value", "expected"), [("11", "individual"), (11, "individual"), ("12", "business")])
def test_the_tag_goes_upstream_as_it_came(value: object, expected: str) -> None:
    """The provider's own check runs after ours (sms-dialects 2.7)."""
    submission = read(send(iysfilter=value))
    assert (submission.tag_class, submission.tag_type) == (MessageClass.COMMERCIAL, RecipientType(expected))
    upstream = json.loads(REST.write(submission, [0], ["Merhaba"]).body)
    assert upstream["iysfilter"] == value


def test_long_integers_stay_what_they_are() -> None:
    """A job's id has 26 digits, and nobody says that it must be written as text."""
    long = int("1" * 26)
    assert json.loads(REST.write(read(send(referansID=long)), [0], ["a"]).body)["referansID"] == long
    request = rest({"jobids": [long]}, "report")
    page = json.dumps({"code": "00", "jobs": [{"jobid": long}]}).encode()
    dropped = {str(long): [entry("5321110001")]}
    answer = REST.overlay_report(request, call_of(request), HttpResponse(200, (), page), dropped)
    assert [row["jobid"] for row in json.loads(answer.body)["jobs"]] == [long, str(long)]


@pytest.mark.parametrize("fields", [{}, {"iysfilter": None}, {"iysfilter": ""}])
def test_an_absent_tag_is_no_tag(fields: dict[str, Any]) -> None:
    """Absent is not informational: what it means is the configuration's business."""
    assert read(send(**fields)).tag_class is None


@pytest.mark.parametrize(
    ("body", "fault", "named"),
    [
        ({"messages": [{"msg": "a", "no": "5321110001,5321110002"}]}, Fault.BAD_NUMBER, "messages"),
        ({"messages": [{"msg": "a", "no": ["5321110001"]}]}, Fault.MALFORMED, "no"),
        ({"messages": [{"msg": "a", "no": 5321110001.0}]}, Fault.MALFORMED, "no"),
        ({"messages": [{"msg": "a", "no": "5321110001", "gsmno": "5321110002"}]}, Fault.UNKNOWN_FIELD, "gsmno"),
        ({"messages": [{"msg": "a", "No": "5321110001"}]}, Fault.UNKNOWN_FIELD, "spelling no"),
        ({"messages": [{"msg": "a"}]}, Fault.MALFORMED, "no"),
        ({"messages": [{"no": "5321110001"}]}, Fault.NO_TEXT, "msg"),
        ({"messages": [{"msg": " ", "no": "5321110001"}]}, Fault.NO_TEXT, "msg"),
        ({"messages": [{"msg": "a\x00b", "no": "5321110001"}]}, Fault.MALFORMED, "msg"),
        ({"messages": {"msg": "a", "no": "5321110001"}}, Fault.MALFORMED, "messages"),
        ({"messages": []}, Fault.MALFORMED, "messages"),
        ({"messages": [None]}, Fault.MALFORMED, r"messages\[0\]"),
        ({"encoding": "UCS2"}, Fault.MALFORMED, "encoding"),
        ({"startdate": "1.1.2027"}, Fault.MALFORMED, "startdate"),
        ({"recipients": ["5321110002"]}, Fault.UNKNOWN_FIELD, "recipients"),
        ({"msgheader": None}, Fault.MALFORMED, "msgheader"),
    ],
)
def test_a_doubtful_request_is_refused_by_the_name_of_the_field(body: dict[str, Any], fault: Fault, named: str) -> None:
    """The sender learns which field; the number is in no sentence."""
    with pytest.raises(RequestRefusedError, match=named) as refusal:
        read(send(**body))
    assert refusal.value.fault is fault
    assert "532111" not in refusal.value.detail


def test_a_start_in_turkish_time_is_told() -> None:
    """ddMMyyyyHHmm, three hours before UTC all year."""
    assert read(send(startdate="150120271100")).send_at == AT


@pytest.mark.parametrize(("encoding", "expected"), [("TR", "turkish"), ("tr", "turkish"), ("", "default")])
def test_the_alphabet_is_what_the_encoding_asks_for(encoding: str, expected: str) -> None:
    """Without it the provider folds Turkish letters."""
    assert read(send(encoding=encoding)).alphabet is Alphabet(expected)


def test_a_one_time_password_is_one_and_is_refused_as_the_call_does() -> None:
    """It has no report to look into, so a number that may not be sent to is code 50."""
    request = rest({"msgheader": "ORNEK", "msg": "Kod 1234", "no": 5321110001, "appname": "x"}, "otp")
    submission = read(request)
    assert submission.kind is TextKind.OTP
    assert submission.tag_class is MessageClass.INFORMATIONAL
    upstream = REST.write(submission, [0], submission.texts)
    assert upstream.path == request.path
    assert json.loads(upstream.body) == {
        "msgheader": "ORNEK",
        "msg": "Kod 1234",
        "no": "5321110001",
        "appname": "x",
    }
    answer = REST.write_answer(submission, [DROPPED], None, REST.mint_id(1), ())
    assert (answer.status, json.loads(answer.body)["code"]) == (406, "50")


def test_an_error_code_in_a_success_s_clothes_is_undressed() -> None:
    """The provider's Python client takes any 200 for success."""
    submission = read(send())
    response = HttpResponse(200, (), b'{"code":"30","description":"x"}')
    relayed = REST.read_answer(submission, [0], response)
    assert relayed.fates[0].outcome is Outcome.REFUSED
    answer = REST.write_answer(submission, relayed.fates, response, REST.mint_id(1), ())
    assert (answer.status, json.loads(answer.body)["code"]) == (406, "30")


@pytest.mark.parametrize("code", ["00", "01", "02"])
def test_a_replaced_date_is_still_accepted(code: str) -> None:
    """01 and 02 mean accepted too, and are passed on as they are."""
    body = json.dumps({"code": code, "jobid": "17377215342605050417149344", "description": "queued"}).encode()
    relayed = REST.read_answer(read(send()), [0], HttpResponse(200, (), body))
    assert relayed.fates[0].outcome is Outcome.RELAYED
    assert relayed.job_id == "17377215342605050417149344"


@pytest.mark.parametrize("code", ["80", "85", "100"])
def test_what_passes_by_itself_is_temporary(code: str) -> None:
    """Too many sends and system faults: later it may go."""
    response = HttpResponse(406, (), json.dumps({"code": code}).encode())
    assert REST.read_answer(read(send()), [0], response).fates[0].outcome is Outcome.DEFERRED


def entry(spelled: str, reason: Reason = Reason.NO_CONSENT, at: float = AT) -> ReportEntry:
    return ReportEntry(spelled, "", "ref", reason, at)


def test_a_report_by_span_of_time_shows_what_was_dropped_in_it() -> None:
    """No job is named: the span decides, in whole seconds of Turkish time."""
    request = rest({"startdate": "15.01.2027 11:00:00", "stopdate": "15.01.2027 11:00:10"}, "report")
    dropped = {"9" * 26: [entry("5321110001"), entry("5321110002", at=AT + 10.9), entry("5321110003", at=AT + 11)]}
    answer = REST.overlay_report(request, call_of(request), None, dropped)
    rows = json.loads(answer.body)["jobs"]
    assert [row["number"] for row in rows] == ["5321110001", "5321110002"]
    assert rows[0]["deliveredDate"] == "15.01.2027 11:00:00"
    assert rows[0]["referansID"] == "ref"


def test_the_status_says_why() -> None:
    """Refused by İYS is 16, a bad number 3, and a check that could not be made 17."""
    request = rest({"jobids": ["9"]}, "report")
    reasons = (Reason.REFUSED, Reason.ADDRESS_INVALID, Reason.LOOKUP_FAILED)
    dropped = {"9": [entry("5321110001", reason) for reason in reasons]}
    answer = REST.overlay_report(request, call_of(request), None, dropped)
    assert [row["status"] for row in json.loads(answer.body)["jobs"]] == [16, 3, 17]


@pytest.mark.parametrize("body", [b'{"code":"80"}', b'{"code":"30"}', b"<html>"])
def test_a_report_that_is_refused_stays_refused(body: bytes) -> None:
    """Ours is laid over pages, not over refusals."""
    request = rest({"jobids": ["9"]}, "report")
    answer = REST.overlay_report(request, call_of(request), HttpResponse(406, (), body), {"9": [entry("5321110001")]})
    assert answer.body == body


def test_a_job_of_ours_can_be_cancelled() -> None:
    """Nothing of it was sent; that is what was asked for."""
    request = rest({"jobid": "9" * 26}, "cancel")
    call = call_of(request)
    assert call.kind is CallKind.CANCEL
    assert list(REST.report_ids(request, call)) == ["9" * 26]
    assert json.loads(REST.overlay_report(request, call, None, {}).body)["code"] == "00"


@pytest.mark.parametrize("path", ["/sms/rest/v2/%73end", "/SMS/rest/v2/send", "/sms/rest/v3/send", "/sms/rest/v2/"])
def test_other_paths_are_no_calls(path: str) -> None:
    """What is not known is not passed on."""
    assert REST.recognise(HttpRequest("POST", path)) is None


def test_older_xml_with_one_text_stays_with_one_text() -> None:
    """1:n goes upstream as 1:n, with the sender's own header fields."""
    body = (
        "<mainbody><header><company dil='TR'>Netgsm</company><usercode>u</usercode><password>p</password>"
        "<type>1:n</type><msgheader>ORNEK</msgheader><filter>11</filter></header>"
        "<body><msg><![CDATA[Merhaba & dost]]></msg><no>5321110001</no><no>5321110002</no></body></mainbody>"
    )
    request = HttpRequest("POST", "/sms/send/xml", "", (), body.encode())
    submission = LEGACY.read(request, call_of(request))
    assert submission.credential_id == "u"
    upstream = LEGACY.write(submission, [1], ["Merhaba & dost B"]).body.decode()
    assert '<company dil="TR">Netgsm</company>' in upstream
    assert upstream.endswith("<body><msg>Merhaba &amp; dost B</msg><no>5321110002</no></body></mainbody>")
    several = LEGACY.write(submission, [0, 1], ["A", "B"]).body.decode()
    assert "<type>n:n</type>" in several
    assert "<mp><msg>B</msg><no>5321110002</no></mp>" in several


def test_an_older_report_gets_lines_of_ours() -> None:
    """Number and status, one line each; a status that was asked for decides."""
    request = HttpRequest("GET", "/sms/report/", "usercode=u&password=p&bulkid=9,8&type=1&status=100")
    dropped = {"9": [entry("05321110001")], "8": [entry("5321110002", Reason.ADDRESS_INVALID)]}
    response = HttpResponse(200, (), b"5321110003 1<br>")
    answer = LEGACY.overlay_report(request, call_of(request), response, dropped)
    assert answer.body == b"5321110003 1<br>05321110001 16<br>5321110002 3<br>"
    only_refused = request._replace(query=request.query.replace("100", "16"))
    answer = LEGACY.overlay_report(only_refused, call_of(request), HttpResponse(200, (), b"60"), dropped)
    assert answer.body == b"05321110001 16<br>"


@pytest.mark.parametrize(
    ("spelled", "column"), [("0532 111 00 01", "05321110001"), ("1<br>5329990001 1", "153299900011"), ("x y", "-")]
)
def test_an_older_report_has_two_columns_however_a_number_was_spelled(spelled: str, column: str) -> None:
    """Blanks and markup in a number would make columns and lines of their own."""
    request = HttpRequest("GET", "/sms/report/", "usercode=u&password=p&bulkid=9")
    dropped = {"9": [ReportEntry(spelled, "", "", Reason.ADDRESS_INVALID, AT)]}
    assert LEGACY.overlay_report(request, call_of(request), None, dropped).body == f"{column} 3<br>".encode()


@pytest.mark.parametrize("dialect", [REST, LEGACY], ids=lambda dialect: dialect.name)
def test_another_dialect_s_request_can_leave_as_netgsm(dialect: Any) -> None:
    """Composed anew, it reads back as the same recipients, texts, tag and time."""
    plain = Submission(
        "plain",
        "messages.send",
        [SmsRecipient(parse_phone("+905321110001"), "+905321110001", 0), SmsRecipient(None, "bad", 1)],
        ["Merhaba ş", "Selam"],
        sender_title="ORNEK",
        tag_class=MessageClass.COMMERCIAL,
        tag_type=RecipientType.BUSINESS,
        send_at=AT,
    )
    request = dialect.compose(plain, {"username": "u", "usercode": "u", "password": "p"})
    native = dialect.read(request, call_of(request))
    assert [who.number.e164 if who.number else None for who in native.recipients] == ["+905321110001", None]
    assert [native.texts[who.text] for who in native.recipients] == plain.texts
    assert (native.tag_class, native.tag_type, native.send_at) == (plain.tag_class, plain.tag_type, AT)
    assert native.alphabet is Alphabet.TURKISH
    assert native.credential_id == "u"


@pytest.mark.parametrize("body", [b'{"code":0,"jobid":5}', b'{"code":"0","jobid":"5"}', b'{"code":"85","jobid":5}'])
def test_a_code_of_refusal_beside_the_id_of_a_job_says_nothing_for_certain(body: bytes) -> None:
    """Refused, it would be sent again, perhaps to who has it: the provider names no job where it took nothing."""
    relayed = REST.read_answer(read(send()), [0], HttpResponse(200, (), body))
    assert [fate.outcome for fate in relayed.fates] == [Outcome.UNKNOWN]
    refused = REST.read_answer(
        read(send()), [0], HttpResponse(200, (), body.replace(b"5}", b"0}").replace(b'"5"', b"null"))
    )
    assert refused.fates[0].outcome in (Outcome.REFUSED, Outcome.DEFERRED)
