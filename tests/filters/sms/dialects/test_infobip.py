"""Infobip beyond the contract: tags, alphabets, one decision for one request, answers in order, reports."""

from __future__ import annotations

import json
from typing import Any

import pytest

from filters.reason import Reason
from filters.sms.dialect import Call, CallKind, Fault, RequestRefusedError, Segments
from filters.sms.dialects.infobip import InfobipDialect
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Alphabet, ReportEntry, SmsFate, Submission, TextKind
from filters.vocabulary import MessageClass, Outcome, RecipientType
from loadtest.providers.infobip import InfobipSimulator
from loadtest.providers.simulator import Incoming

CODEC = InfobipDialect()
DROPPED = SmsFate(Outcome.DROPPED, Reason.NO_CONSENT)


def request(*messages: dict[str, Any], **more: Any) -> HttpRequest:
    body = {"messages": list(messages), **more}
    headers = (("content-type", "application/json"), ("authorization", "App key"))
    return HttpRequest("POST", "/sms/3/messages", "", headers, json.dumps(body).encode())


def message(*numbers: str, text: str = "Merhaba", **more: Any) -> dict[str, Any]:
    content = {"text": text, **more.pop("content", {})}
    return {"sender": "ORNEK", "destinations": [{"to": number} for number in numbers], "content": content, **more}


def read(*messages: dict[str, Any], **more: Any) -> Submission:
    return CODEC.read(request(*messages, **more), Call(CallKind.SEND, "v3.send"))


def tagged(kind: str, brand: int | None = 600123) -> dict[str, Any]:
    return {"regional": {"turkeyIys": {"brandCode": brand, "recipientType": kind}}}


def test_the_tag_is_the_presence_of_turkey_iys() -> None:
    """With person or merchant and brand; without it nothing is said."""
    found = read(message("905321110001", options=tagged("TACIR")))
    assert (found.tag_class, found.tag_type, found.brand) == (
        MessageClass.COMMERCIAL,
        RecipientType.BUSINESS,
        "600123",
    )
    untagged = read(message("905321110001"))
    assert (untagged.tag_class, untagged.tag_type, untagged.brand) == (None, None, "")


@pytest.mark.parametrize(
    "second",
    [
        message("905321110002", options=tagged("BIREYSEL")),
        message("905321110002", options=tagged("TACIR", 600124)),
        message("905321110002"),
        message("905321110002", options=tagged("TACIR")) | {"sender": "BASKA"},
        message("905321110002", options=tagged("bireysel")),
    ],
    ids=["type", "brand", "no tag", "sender", "a word that is none"],
)
def test_one_request_is_of_one_sender_and_one_tag(second: dict[str, Any]) -> None:
    """One decision is made for it; a message must not hide behind another's tag."""
    with pytest.raises(RequestRefusedError) as refusal:
        read(message("905321110001", options=tagged("TACIR")), second)
    assert refusal.value.fault is Fault.MALFORMED


@pytest.mark.parametrize(
    ("content", "alphabet"),
    [
        ({}, Alphabet.AUTO),
        ({"language": {"languageCode": "TR", "singleShift": True}}, Alphabet.TURKISH),
        ({"transliteration": "TURKISH"}, Alphabet.DEFAULT),
        ({"transliteration": "NONE"}, Alphabet.AUTO),
    ],
)
def test_the_alphabet_is_what_the_sender_asks_for(content: dict[str, Any], alphabet: Alphabet) -> None:
    """So that segments are counted as the provider will."""
    assert read(message("905321110001", content=content)).alphabet is alphabet


def test_flash_and_binary_messages_are_never_given_an_opt_out() -> None:
    """They vanish, or are no text."""
    assert read(message("905321110001", options={"flash": True})).kind is TextKind.BINARY
    binary = {"sender": "ORNEK", "destinations": [{"to": "905321110001"}], "content": {"hex": "00ff", "dataCoding": 4}}
    assert read(binary).kind is TextKind.BINARY


def test_a_later_time_is_read_with_its_offset() -> None:
    """As the provider's documents write it."""
    found = read(message("905321110001"), options={"schedule": {"sendAt": "2030-01-31T12:00:00.000+0300"}})
    assert found.send_at == 1_896_080_400.0
    with pytest.raises(RequestRefusedError):
        read(message("905321110001"), options={"schedule": {"sendAt": "tomorrow"}})


def test_rows_of_one_number_twice_are_told_apart() -> None:
    """The provider took the first and refused the second; ours in between keeps its place."""
    found = read(message("905321110001", "905321110002", "905321110001"))
    rows = [
        {"messageId": "a", "destination": "905321110001", "status": {"groupId": 1, "groupName": "PENDING", "id": 26}},
        {"messageId": "b", "destination": "905321110001", "status": {"groupId": 5, "groupName": "REJECTED", "id": 20}},
    ]
    response = HttpResponse(200, (), json.dumps({"bulkId": "1", "messages": rows}).encode())
    relayed = CODEC.read_answer(found, [0, 2], response)
    assert [fate.outcome for fate in relayed.fates] == [Outcome.RELAYED, Outcome.REFUSED]
    fates = [relayed.fates[0], DROPPED, relayed.fates[1]]
    answer = json.loads(CODEC.write_answer(found, fates, response, "", [Segments(1, 1)]).body)
    assert [row["messageId"] for row in answer["messages"]][::2] == ["a", "b"]
    assert answer["messages"][1]["status"]["name"] == "REJECTED_IYS_NO_CONSENT"


def test_a_row_that_is_missing_is_unknown_and_not_taken_for_another() -> None:
    """Who is not in the answer may have got the message or not."""
    found = read(message("905321110001", "905321110002"))
    row = {"messageId": "b", "destination": "905321110002", "status": {"groupId": 1, "groupName": "PENDING", "id": 26}}
    response = HttpResponse(200, (), json.dumps({"messages": [row]}).encode())
    assert [fate.outcome for fate in CODEC.read_answer(found, [0, 1], response).fates] == [
        Outcome.UNKNOWN,
        Outcome.RELAYED,
    ]


def test_the_report_knows_a_dropped_message_by_the_id_of_the_answer() -> None:
    """By bulkId all of them, by messageId the one; error 4140."""
    found = read(message("905321110001", "905321110002"))
    minted = CODEC.mint_id(7)
    answer = json.loads(CODEC.write_answer(found, [DROPPED, DROPPED], None, minted, ()).body)
    ids = [row["messageId"] for row in answer["messages"]]
    entries = [ReportEntry(each.spelled, "", "", Reason.NO_CONSENT, 1.8e9) for each in found.recipients]
    for query, wanted in ((f"bulkId={minted}", ids), (f"messageId={ids[1]}", ids[1:])):
        asked = HttpRequest("GET", "/sms/3/reports", query)
        call = CODEC.recognise(asked)
        assert call is not None
        assert list(CODEC.report_ids(asked, call)) == [minted]
        report = json.loads(CODEC.overlay_report(asked, call, None, {minted: entries}).body)
        assert [row["messageId"] for row in report["results"]] == wanted
        assert {row["error"]["id"] for row in report["results"]} == {4140}


def test_what_the_node_client_adds_of_its_own_is_understood() -> None:
    """It leaves ``type`` in the body, and a slash before the question mark."""
    body = {"type": "text", "messages": [{"from": "O", "destinations": [{"to": "905321110001"}], "text": "Merhaba"}]}
    headers = (("content-type", "application/json"),)
    asked = HttpRequest("POST", "/sms/2/text/advanced", "", headers, json.dumps(body).encode())
    call = CODEC.recognise(asked)
    assert call is not None
    assert json.loads(CODEC.write(CODEC.read(asked, call), [0], ["Merhaba RET"]).body)["messages"][0]["text"] == (
        "Merhaba RET"
    )
    with pytest.raises(RequestRefusedError):
        CODEC.read(asked._replace(body=asked.body.replace(b'"text",', b'"binary",', 1)), call)
    cancel = CODEC.recognise(HttpRequest("PUT", "/sms/1/bulks/status/", "bulkId=1"))
    assert cancel is not None
    assert cancel.kind is CallKind.CANCEL
    error = json.loads(CODEC.write_fault(Fault.TEXT_TOO_LONG, "text: too long").body)
    assert error["requestError"]["serviceException"]["text"] == "text: too long"


def test_calls_that_cannot_be_checked_are_refused() -> None:
    """Sends in other forms, and a later time for what is scheduled."""
    for method, path in (
        ("POST", "/sms/2/binary/advanced"),
        ("GET", "/sms/1/text/query"),
        ("POST", "/sms/1/text/single"),
        ("PUT", "/sms/1/bulks"),
    ):
        call = CODEC.recognise(HttpRequest(method, path))
        assert call is not None
        assert call.kind is CallKind.REFUSED


def test_the_simulated_push_of_incoming_messages_is_read() -> None:
    """Sender (with a plus), number, text and id as the provider tells them."""
    incoming = Incoming("905321110001", "3338", "RET ÖRNEK", 1.8e9, 5)
    post = InfobipSimulator(1).told_incoming("http://127.0.0.1/", incoming)
    [found] = CODEC.read_inbound(HttpRequest("POST", "/in", "", tuple(post.headers.items()), post.body))
    assert (found.sender, found.destination, found.text) == ("+905321110001", "3338", "RET ÖRNEK")
    assert found.message_id
    assert found.received_at is not None


@pytest.mark.parametrize("status", ["PROCESSING", "PENDING", "PAUSED", "canceled", None, 1])
def test_what_is_scheduled_may_be_ended_and_not_taken_up_again(status: Any) -> None:
    """A bulk paused today and resumed next week would be sent by consents looked up today."""
    body = json.dumps({"status": status}).encode()
    call = Call(CallKind.CANCEL, "bulks.status")
    headers = (("content-type", "application/json"),)
    with pytest.raises(RequestRefusedError) as refusal:
        CODEC.report_ids(HttpRequest("PUT", "/sms/1/bulks/status", "bulkId=1", headers, body), call)
    assert refusal.value.fault is Fault.NOT_ALLOWED
    ended = HttpRequest("PUT", "/sms/1/bulks/status", "bulkId=1", headers, b'{"status": "CANCELED"}')
    assert CODEC.report_ids(ended, call) == ("1",)


@pytest.mark.parametrize("more", [{"dataCoding": 240}, {"esmClass": 64}])
def test_a_text_with_a_coding_or_class_of_its_own_is_not_plain(more: dict[str, int]) -> None:
    """240 is flash, and 64 says that a header stands before the text."""
    assert read(message("905321110001", content=more)).kind is TextKind.BINARY
