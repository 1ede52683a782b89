"""İleti Merkezi: fields, codes and reports as its documents have them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from filters.phone import parse_phone
from filters.reason import Reason
from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.dialects.iletimerkezi import IletiMerkeziDialect
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import ReportEntry, SmsFate, SmsRecipient, Submission
from filters.vocabulary import MessageClass, Outcome, RecipientType

DIALECT = IletiMerkeziDialect()
AT = 1_800_000_000.0  # 15.01.2027 11:00 in Istanbul
NO_CONSENT = SmsFate(Outcome.DROPPED, Reason.NO_CONSENT)
ONE = {"text": "Merhaba", "receipents": {"number": ["5321110001"]}}


def asked(name: str = "send-sms", **order: Any) -> HttpRequest:
    whole = {"sender": "ORNEK", "iys": "1", "iysList": "BIREYSEL", "message": ONE, **order}
    body = {"request": {"authentication": {"key": "k", "hash": "h"}, "order": whole}}
    return HttpRequest("POST", f"/v1/{name}/json", "", (), json.dumps(body).encode())


def read(request: HttpRequest) -> Submission:
    call = DIALECT.recognise(request)
    assert call is not None
    return DIALECT.read(request, call)


def code_of(response: HttpResponse) -> object:
    code = json.loads(response.body)["response"]["status"]["code"]
    assert code == response.status
    assert type(code) is int
    return code


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"iys": "2"}, 468),
        ({"iys": True}, 468),
        ({"iysList": "HEPSI"}, 469),
        ({"sendDateTime": "1/1/27"}, 457),
        ({"sendDateTime": ["15/01/2027 11:00", "16/01/2027 11:00"]}, 457),
        ({"sender": None}, 450),
        ({"message": {"text": "", "receipents": {"number": ["5321110001"]}}}, 454),
        ({"message": {"text": "a", "receipents": {"number": ["5321110001,5321110002"]}}}, 466),
        ({"message": {"text": "a", "receipents": {"number": "5321110001"}}}, 400),
        ({"message": {"text": "a", "recipients": {"number": ["5321110001"]}}}, 400),
        ({"message": {"text": "a", "receipents": {"number": ["5321110001"], "numbers": ["5321110002"]}}}, 400),
        ({"message": []}, 400),
        ({"messages": [ONE]}, 400),
    ],
)
def test_a_doubtful_order_is_refused_with_the_code_of_its_field(order: dict[str, Any], code: int) -> None:
    """HTTP status and code are alike, and the code is an integer."""
    with pytest.raises(RequestRefusedError) as refusal:
        read(asked(**order))
    assert code_of(DIALECT.write_fault(refusal.value.fault, refusal.value.detail)) == code


@pytest.mark.parametrize("iys", ["1", 1])
def test_the_tag_keeps_its_kind(iys: object) -> None:
    """Its Python client sends text, its Node client an integer; upstream gets what the sender wrote."""
    submission = read(asked(iys=iys, iysList="TACIR"))
    assert (submission.tag_class, submission.tag_type) == (MessageClass.COMMERCIAL, RecipientType.BUSINESS)
    order = json.loads(DIALECT.write(submission, [0], ["x"]).body)["request"]["order"]
    assert (order["iys"], order["iysList"]) == (iys, "TACIR")


def test_without_iys_there_is_no_tag_and_beside_zero_the_list_means_nothing() -> None:
    """The list is mandatory only where iys is 1."""
    assert read(asked(iys=None, iysList=None)).tag_class is None
    informational = read(asked(iys="0", iysList="TACIR"))
    assert (informational.tag_class, informational.tag_type) == (MessageClass.INFORMATIONAL, None)


@pytest.mark.parametrize("value", [["15/01/2027 11:00"], "15/01/2027 11:00"])
def test_a_time_may_stand_alone_or_in_a_list(value: object) -> None:
    """Both forms are in circulation, and empty ones mean now."""
    assert read(asked(sendDateTime=value)).send_at == AT
    assert read(asked(sendDateTime=[])).send_at is None
    assert read(asked(sendDateTime="")).send_at is None


def test_one_message_stays_one_and_becomes_several_where_texts_differ() -> None:
    """An object stays an object, a list a list."""
    message = {"text": "a", "receipents": {"number": ["5321110001", "5321110002"]}}
    submission = read(asked(message=message))
    alone = json.loads(DIALECT.write(submission, [0, 1], ["b", "b"]).body)["request"]["order"]["message"]
    assert alone == {**message, "text": "b"}
    parted = json.loads(DIALECT.write(submission, [0, 1], ["b", "c"]).body)["request"]["order"]["message"]
    assert [each["text"] for each in parted] == ["b", "c"]


def test_nobody_left_is_452() -> None:
    """The one provider of its kind that says so at once."""
    assert code_of(DIALECT.write_answer(read(asked()), [NO_CONSENT], None, DIALECT.mint_id(1), ())) == 452


@pytest.mark.parametrize("code", [200, "200"])
def test_success_is_read_in_both_spellings(code: object) -> None:
    """Older documents show the code as text; the sender gets what the provider wrote."""
    body = json.dumps({"response": {"status": {"code": code, "message": "x"}, "order": {"id": "41"}}}).encode()
    submission, response = read(asked()), HttpResponse(200, (("content-type", "application/json"),), body)
    relayed = DIALECT.read_answer(submission, [0], response)
    assert (relayed.fates[0].outcome, relayed.job_id) == (Outcome.RELAYED, "41")
    assert DIALECT.write_answer(submission, relayed.fates, response, "", ()).body == body


def test_an_error_code_in_a_success_s_clothes_is_undressed() -> None:
    """Its Node client takes any 200 for success."""
    response = HttpResponse(200, (), b'{"response":{"status":{"code":401,"message":"x"}}}')
    submission = read(asked())
    relayed = DIALECT.read_answer(submission, [0], response)
    assert relayed.fates[0].outcome is Outcome.REFUSED
    assert code_of(DIALECT.write_answer(submission, relayed.fates, response, "", ())) == 401


def entries(count: int) -> list[ReportEntry]:
    return [ReportEntry(f"+90532111{number:04d}", "", "", Reason.NO_CONSENT, AT) for number in range(count)]


@pytest.mark.parametrize("code", [455, 456])
def test_a_refused_report_is_passed_on(code: int) -> None:
    """An unknown order, or one that is not due yet, is the provider's to tell."""
    request = asked("get-report", id="41")
    call = DIALECT.recognise(request)
    assert call is not None
    body = json.dumps({"response": {"status": {"code": code, "message": "x"}}}).encode()
    answer = DIALECT.overlay_report(request, call, HttpResponse(code, (), body), {"41": entries(1)})
    assert (answer.status, answer.body) == (code, body)


def test_a_report_asked_by_a_number_is_the_same_order() -> None:
    """Ids are written as text or as integers, pages too."""
    request = HttpRequest(
        "POST", "/v1/get-report/json", "", (), b'{"request":{"order":{"id":41,"page":"2","rowCount":"2"}}}'
    )
    call = DIALECT.recognise(request)
    assert call is not None
    assert list(DIALECT.report_ids(request, call)) == ["41"]
    order = json.loads(DIALECT.overlay_report(request, call, None, {"41": entries(3)}).body)["response"]["order"]
    assert order["message"] == [{"number": "+905321110002", "status": 112}]
    assert (order["status"], order["undelivered"]) == (114, 3)


@pytest.mark.parametrize("path", ["/v1/send-sms", "/v1/send-sms/get/", "/v1/send-sms/xml"])
def test_the_xml_and_query_twins_are_not_spoken(path: str) -> None:
    """What cannot be checked is not passed on."""
    assert DIALECT.recognise(HttpRequest("POST", path)) is None


def test_another_dialect_s_request_can_leave_this_way() -> None:
    """Composed anew, it reads back as the same recipients, texts, tag and time."""
    plain = Submission(
        "plain",
        "messages.send",
        [SmsRecipient(parse_phone("+905321110001"), "+905321110001", 0), SmsRecipient(None, "bad", 0)],
        ["Merhaba"],
        sender_title="ORNEK",
        tag_class=MessageClass.SERVICE,
        send_at=AT,
    )
    native = read(DIALECT.compose(plain, {"key": "k", "hash": "h"}))
    assert [who.number.e164 if who.number else None for who in native.recipients] == ["+905321110001", None]
    assert (native.tag_class, native.send_at, native.texts) == (MessageClass.INFORMATIONAL, AT, ["Merhaba"])


def test_too_many_are_too_many_across_messages() -> None:
    """The cap counts recipients of the request, not of a message."""
    half = {"text": "a", "receipents": {"number": [f"532{number:07d}" for number in range(25_001)]}}
    with pytest.raises(RequestRefusedError) as refusal:
        read(asked(message=[half, half]))
    assert refusal.value.fault is Fault.TOO_MANY_RECIPIENTS
