"""JetSMS, VatanSMS and Turkcell: how who was left out shows where the providers have said little."""

from __future__ import annotations

import json
from typing import Any

import pytest

from filters.reason import Reason
from filters.sms.dialect import Dialect, Segments
from filters.sms.dialects.jetsms import JetSmsDialect
from filters.sms.dialects.mutlucell import MutlucellDialect
from filters.sms.dialects.turkcell import TurkcellDialect
from filters.sms.dialects.vatansms import VatanSmsDialect
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import ReportEntry, SmsFate, Submission
from filters.vocabulary import MessageClass, Outcome

JSON = (("content-type", "application/json"),)
DROPPED = SmsFate(Outcome.DROPPED, Reason.NO_CONSENT)
TAKEN = SmsFate(Outcome.RELAYED, None, "", "200")


def read(codec: Dialect, path: str, body: dict[str, Any]) -> Submission:
    request = HttpRequest("POST", path, "", JSON, json.dumps(body).encode())
    call = codec.recognise(request)
    assert call is not None
    return codec.read(request, call)


def turkcell(**more: Any) -> Submission:
    body = {"message": "Merhaba", "sender": "ORNEK", "receivers": ["5321110001", 5321110002], **more}
    return read(TurkcellDialect(), "/api/api/integration/v2/sms/send/oton", body)


@pytest.mark.parametrize("is_capital", [False, True])
def test_jetsms_answers_in_the_letters_of_the_provider_s_answer(is_capital: bool) -> None:
    """Documents and service differ; a client reads what it always read, in the request's order."""
    names = ("ResponseCode", "ResponseGroupIdArray", "GsmNumber", "MessageId", "Status")
    if not is_capital:
        names = ("responseCode", "responseGroupIdArray", "gsmNumber", "messageid", "status")
    messages = [{"recipient": f"532111000{n}", "messagetext": "Merhaba"} for n in range(3)]
    codec = JetSmsDialect()
    found = read(codec, "/api/SendSms", {"user": "u", "originator": "ORNEK", "smsmessages": messages})
    rows = [{names[2]: "5321110001", names[3]: "77", names[4]: "0"}]
    response = HttpResponse(200, JSON, json.dumps({names[0]: "00", names[1]: rows}).encode())
    fates = [DROPPED, codec.read_answer(found, [1], response).fates[0], DROPPED]
    answer = json.loads(codec.write_answer(found, fates, response, "", [Segments(1, 1)]).body)
    assert [(row[names[2]], row[names[4]]) for row in answer[names[1]]] == [
        ("5321110000", "-1"),
        ("5321110001", "0"),
        ("5321110002", "-1"),
    ]


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ("1", MessageClass.COMMERCIAL),
        (1, MessageClass.COMMERCIAL),
        (True, MessageClass.COMMERCIAL),
        ("0", None),
        (0, None),
    ],
)
def test_jetsms_filter_tightens_and_never_loosens(value: object, tag: MessageClass | None) -> None:
    """Its values are not documented: on is commercial, off is no promise."""
    body = {"originator": "O", "iysfilter": value, "smsmessages": [{"recipient": "5321110001", "messagetext": "a"}]}
    assert read(JetSmsDialect(), "/api/SendSms", body).tag_class is tag


def test_jetsms_broadcast_text_reaches_the_provider_with_each_number() -> None:
    """The opt-out stands in it."""
    body = {"originator": "O", "broadcastmessage": "Merhaba", "smsmessages": [{"receipent": "5321110001"}]}
    found = read(JetSmsDialect(), "/api/SendSms", body)
    upstream = json.loads(JetSmsDialect().write(found, [0], ["Merhaba RET"]).body)
    assert upstream["smsmessages"] == [{"receipent": "5321110001", "messagetext": "Merhaba RET"}]
    assert "broadcastmessage" not in upstream


def test_turkcell_tags_what_says_nothing_as_commercial() -> None:
    """The provider's own default."""
    assert turkcell().tag_class is MessageClass.COMMERCIAL
    assert turkcell(etkFlag=False).tag_class is MessageClass.INFORMATIONAL


def test_turkcell_keeps_numbers_as_they_were_written() -> None:
    """Text stays text and integers stay integers."""
    body = json.loads(TurkcellDialect().write(turkcell(), [1], ["Merhaba RET"]).body)
    assert (body["receivers"], body["message"]) == ([5321110002], "Merhaba RET")


def test_turkcell_says_996_only_where_nobody_is_left() -> None:
    """In part, the provider's success names who was left out."""
    codec, found = TurkcellDialect(), turkcell()
    assert codec.write_answer(found, [DROPPED, DROPPED], None, codec.mint_id(1), ()).status == 996
    response = HttpResponse(200, JSON, b'{"messageId":"9"}')
    partly = codec.write_answer(found, [DROPPED, TAKEN], response, "", ())
    assert partly.status == 200
    assert json.loads(partly.body) == {
        "messageId": "9",
        "izin": {"left_out": [{"receiver": "5321110001", "reason": "NO_CONSENT"}]},
    }


def test_vatansms_says_no_success_where_nobody_is_left() -> None:
    """And names who was left out, in the answer and in the report."""
    codec = VatanSmsDialect()
    body = {"api_id": 1, "sender": "ORNEK", "message": "Merhaba", "phones": ["5321110001"]}
    found = read(codec, "/api/v1/1toN", body)
    answer = codec.write_answer(found, [DROPPED], None, codec.mint_id(1), ())
    assert (answer.status, json.loads(answer.body)["status"]) == (422, "error")
    asked = HttpRequest("POST", "/api/v1/report/detail", "", JSON, b'{"report_id":5}')
    call = codec.recognise(asked)
    assert call is not None
    entry = ReportEntry("5321110001", "+905321110001", "", Reason.NO_CONSENT, 1.8e9)
    theirs = HttpResponse(200, JSON, b'{"status":"success","data":[]}')
    report = json.loads(codec.overlay_report(asked, call, theirs, {"5": [entry]}).body)
    assert report["izin"]["left_out"] == [{"phone": "5321110001", "reason": "NO_CONSENT"}]
    assert report["data"] == []


@pytest.mark.parametrize("body", [b"$-1#5", b"$#5", b"23abc", b"20 ", b"$12", b"OK", b"$1#5<br>"])
def test_mutlucell_s_answer_is_success_or_error_in_its_exact_shape(body: bytes) -> None:
    """Anything else is unknown; a bare number is never success."""
    pack = b'<smspack ka="u" pwd="p" org="O"><mesaj><metin>a</metin><nums>5321110001</nums></mesaj></smspack>'
    request = HttpRequest("POST", "/smsgw-ws/sndblkex", "", (("content-type", "text/xml"),), pack)
    codec = MutlucellDialect()
    call = codec.recognise(request)
    assert call is not None
    fate = codec.read_answer(codec.read(request, call), [0], HttpResponse(200, (), body)).fates[0]
    assert fate.outcome is (Outcome.REFUSED if body == b"20 " else Outcome.UNKNOWN)


def test_mutlucell_keeps_the_blanks_around_a_text() -> None:
    """The sender's words are its own, line ends at the end of them too."""
    codec = MutlucellDialect()
    body = "<smspack ka='u' pwd='p' org='O'><mesaj><metin> Merhaba\n</metin><nums>5321110001</nums></mesaj></smspack>"
    request = HttpRequest("POST", "/smsgw-ws/sndblkex", "", (("content-type", "text/xml"),), body.encode())
    call = codec.recognise(request)
    assert call is not None
    found = codec.read(request, call)
    assert found.texts == [" Merhaba\n"]
    assert codec.read(codec.write(found, [0], found.texts), call).texts == found.texts
