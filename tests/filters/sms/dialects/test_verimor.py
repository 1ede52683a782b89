"""Verimor: fields, symbolic codes, status pages and incoming messages as its documents have them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from filters.phone import parse_phone
from filters.reason import Reason
from filters.sms.dialect import CallKind, Fault, InboundMessage, RequestRefusedError
from filters.sms.dialects import verimor_status
from filters.sms.dialects.verimor import VerimorDialect
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Alphabet, ReportEntry, SmsRecipient, Submission
from filters.vocabulary import MessageClass, Outcome, RecipientType

DIALECT = VerimorDialect()
AT = 1_800_000_000.0  # 2027-01-15 11:00:00 in Istanbul
ONE = {"msg": "Merhaba", "dest": "905321110001"}


def send(**fields: Any) -> HttpRequest:
    body = {"username": "u", "password": "p", "source_addr": "ORNEK", "messages": [ONE], **fields}
    return HttpRequest("POST", "/v2/send.json", "", (), json.dumps(body).encode())


def read(request: HttpRequest) -> Submission:
    call = DIALECT.recognise(request)
    assert call is not None
    return DIALECT.read(request, call)


@pytest.mark.parametrize(
    ("fields", "symbol"),
    [
        ({"is_commercial": "true"}, "INVALID_JSON"),
        ({"is_commercial": 1}, "INVALID_JSON"),
        ({"iys_recipient_type": "HEPSI"}, "INVALID_IYS_RECIPIENT_TYPE"),
        ({"datacoding": 3}, "INVALID_DATACODING"),
        ({"send_at": "yarin"}, "INVALID_DELIVERY_TIME"),
        ({"source_addr": 5}, "INVALID_SOURCE_ADDRESS"),
        ({"messages": [{"msg": "a"}]}, "MISSING_DESTINATION_ADDRESS"),
        ({"messages": [{"dest": "905321110001"}]}, "MISSING_MESSAGE"),
        ({"messages": [{"msg": "a", "dest": "905321110001,"}]}, "INVALID_DESTINATION_ADDRESS"),
        ({"messages": [{"msg": "a", "dest": "905321110001;905321110002"}]}, "INVALID_DESTINATION_ADDRESS"),
        ({"messages": [{"msg": "a", "dest": ["905321110001"]}]}, "MISSING_DESTINATION_ADDRESS"),
        ({"messages": [{**ONE, "Dest": "905321110002"}]}, "INVALID_JSON"),
        ({"messages": [{**ONE, "id": "a,b"}]}, "INVALID_JSON"),
        ({"destinations": ["905321110001"]}, "INVALID_JSON"),
    ],
)
def test_a_doubtful_request_is_refused_with_the_symbol_of_its_field(fields: dict[str, Any], symbol: str) -> None:
    """A symbolic code in plain text, and never HTTP 200."""
    with pytest.raises(RequestRefusedError) as refusal:
        read(send(**fields))
    answer = DIALECT.write_fault(refusal.value.fault, refusal.value.detail)
    assert (answer.status, answer.body.decode()) == (400, symbol)


def test_a_body_that_is_not_utf_8_has_its_own_symbol() -> None:
    """So has one that is too large."""
    for body, symbol in ((b'{"a":"\xfe"}', b"INVALID_UTF8"), (b" " * 10_000_001, b"REQUEST_TOO_LARGE")):
        with pytest.raises(RequestRefusedError) as refusal:
            read(HttpRequest("POST", "/v2/send.json", "", (), body))
        assert DIALECT.write_fault(refusal.value.fault, refusal.value.detail).body == symbol


def test_messages_may_repeat_the_recipient_type_but_not_contradict() -> None:
    """One request is decided for one recipient type; another one in a message would slip through."""
    typed = {**ONE, "iys_recipient_type": "TACIR"}
    submission = read(send(is_commercial=True, messages=[typed, typed]))
    assert (submission.tag_class, submission.tag_type) == (MessageClass.COMMERCIAL, RecipientType.BUSINESS)
    upstream = json.loads(DIALECT.write(submission, [1], ["x"]).body)
    assert upstream["messages"] == [{"msg": "x", "dest": "905321110001", "iys_recipient_type": "TACIR"}]
    for messages, outer in (([typed], "BIREYSEL"), ([typed, ONE], None)):
        with pytest.raises(RequestRefusedError, match="iys_recipient_type"):
            read(send(is_commercial=True, iys_recipient_type=outer, messages=messages))


def test_own_ids_stay_with_their_numbers() -> None:
    """``id`` runs parallel to ``dest``, also when somebody in the middle is dropped."""
    message = {"msg": "a", "dest": "905321110001, 905321110002,905321110003", "id": "x,,z"}
    submission = read(send(messages=[message], custom_id="kampanya"))
    assert [verimor_status.split_reference(who.reference) for who in submission.recipients] == [
        ("kampanya", "x"),
        ("kampanya", ""),
        ("kampanya", "z"),
    ]
    upstream = json.loads(DIALECT.write(submission, [1, 2], ["b", "b"]).body)
    assert upstream["messages"] == [{"msg": "b", "dest": "905321110002,905321110003", "id": ",z"}]
    assert upstream["custom_id"] == "kampanya"


@pytest.mark.parametrize(
    "value",
    ["2027-01-15 11:00:00", "2027-01-15T11:00:00+03:00", "2027-01-15T08:00:00Z", "2027-01-15 08:00:00 +0000"],
)
def test_a_start_is_read_in_every_spelling(value: str) -> None:
    """Local without an offset, ISO 8601 with one."""
    assert read(send(send_at=value)).send_at == AT


@pytest.mark.parametrize(
    ("body", "outcome", "job"),
    [
        (b"5000001\n", Outcome.RELAYED, "5000001"),
        (b'{"campaign_id":5000001,"custom_id":null,"status":"OK"}', Outcome.RELAYED, "5000001"),
        (b"INVALID_JSON", Outcome.REFUSED, ""),
    ],
)
def test_answers_of_both_documentations_are_read(body: bytes, outcome: Outcome, job: str) -> None:
    """Plain text in the older one, JSON in the newer one; a symbol is no campaign number whatever the status."""
    submission, response = read(send()), HttpResponse(200, (), body)
    relayed = DIALECT.read_answer(submission, [0], response)
    assert (relayed.fates[0].outcome, relayed.job_id) == (outcome, job)
    answer = DIALECT.write_answer(submission, relayed.fates, response, "", ())
    assert (answer.status == 200) is (outcome is Outcome.RELAYED)


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (401, b"Yetkisiz IP", Outcome.REFUSED),
        (400, b"MUKERRER_RAPORLAMA", Outcome.REFUSED),
        (413, b"", Outcome.REFUSED),
        (429, b"", Outcome.DEFERRED),
    ],
)
def test_refusals_are_handed_on(status: int, body: bytes, outcome: Outcome) -> None:
    """The sender hears them from us as it would from the provider."""
    relayed = DIALECT.read_answer(read(send()), [0], HttpResponse(status, (), body))
    assert relayed.fates[0].outcome is outcome
    assert relayed.is_passed_on


def entry(spelled: str, reference: str = "", reason: Reason = Reason.NO_CONSENT) -> ReportEntry:
    return ReportEntry(spelled, parse_phone(spelled).e164, reference, reason, AT)


def status(query: str, response: HttpResponse | None, dropped: dict[str, list[ReportEntry]]) -> list[dict[str, Any]]:
    request = HttpRequest("GET", "/v2/status", f"username=u&password=p&{query}")
    call = DIALECT.recognise(request)
    assert call is not None
    rows: list[dict[str, Any]] = json.loads(DIALECT.overlay_report(request, call, response, dropped).body)
    return rows


def test_a_row_of_ours_has_everything_that_rows_have() -> None:
    """Campaign, own ids, number as spelled, and the provider's word for "no consent"."""
    reference = verimor_status.join_reference("kampanya", "kayit")
    (row,) = status("id=7", None, {"7": [entry("05321110001", reference)]})
    assert row | {"message_id": 0} == {
        "campaign_id": 7,
        "campaign_custom_id": "kampanya",
        "message_id": 0,
        "message_custom_id": "kayit",
        "dest": "05321110001",
        "size": 0,
        "international_multiplier": 1,
        "credits": 0,
        "status": "NOT_ALLOWED_BY_IYS",
        "gsm_error": None,
        "sent_at": "2027-01-15 11:00:00",
        "done_at": "2027-01-15 11:00:00",
    }


def test_a_status_can_be_asked_for_by_own_id_and_by_number() -> None:
    """``custom_id`` instead of ``id``; ``dest`` in any spelling."""
    ours = [entry("05321110001", "kampanya\x1fa"), entry("05321110002", "kampanya\x1fb")]
    dropped = {"7": ours, "8": [entry("05321110003", "andere\x1fc")]}
    assert [row["dest"] for row in status("custom_id=kampanya", None, dropped)] == ["05321110001", "05321110002"]
    assert [row["dest"] for row in status("id=7&dest=905321110002", None, dropped)] == ["05321110002"]
    assert status("id=9", None, dropped) == []


def test_a_full_page_of_the_provider_s_is_not_made_longer() -> None:
    """Ours come behind its last row, on the page that has room."""
    full = [{"campaign_id": 7, "message_id": number, "dest": "905321110009"} for number in range(1, 101)]
    dropped = {"7": [entry("05321110001")]}
    assert len(status("id=7", HttpResponse(200, (), json.dumps(full).encode()), dropped)) == 100
    assert len(status("id=7&greater_than=100", HttpResponse(200, (), b"[]"), dropped)) == 1


def test_a_push_tells_of_dropped_numbers_as_of_others() -> None:
    """The same rows, marked outbound, with the same ids as the status shows."""
    ours = [entry("05321110001"), entry("05321110002")]
    pushed = json.loads(verimor_status.render_push("7", ours))
    assert [{k: v for k, v in row.items() if k != "type"} for row in pushed] == status("id=7", None, {"7": ours})
    assert {row["type"] for row in pushed} == {"outbound"}


def test_incoming_messages_are_told_with_their_keyword() -> None:
    """Rows of other types are left alone."""
    rows = [
        {"type": "outbound", "message_id": 1},
        {
            "type": "inbound",
            "message_id": 77,
            "created_at": "2027-01-15 11:00:01",
            "network": "TURKCELL",
            "source_addr": "905321110001",
            "destination_addr": "4609",
            "keyword": "ORNEK",
            "content": "ornek ret",
            "received_at": "2027-01-15 11:00:00",
        },
        {"type": "inbound", "message_id": "78", "source_addr": 905321110001, "destination_addr": "4609",
         "keyword": "ORNEK", "content": "RET"},
    ]  # fmt: skip
    request = HttpRequest("POST", "/", "", (), json.dumps(rows).encode())
    assert list(DIALECT.read_inbound(request)) == [
        InboundMessage("905321110001", "4609", "ornek ret", "77", AT),
        InboundMessage("905321110001", "4609", "ORNEK RET", "78", None),
    ]
    assert DIALECT.is_inbound_signed(request, b"") is None


@pytest.mark.parametrize("body", [b"{}", b"[1]", b'[{"type":"inbound"}]', b"type=inbound"])
def test_an_incoming_message_without_its_fields_is_refused(body: bytes) -> None:
    """A refusal that cannot be understood is not answered as if it were."""
    with pytest.raises(RequestRefusedError):
        DIALECT.read_inbound(HttpRequest("POST", "/", "", (), body))


def test_cancelling_names_the_campaign_in_the_path() -> None:
    """Only digits; a campaign of ours is cancelled by being ours."""
    request = HttpRequest("POST", "/v2/cancel/900000000000000001")
    call = DIALECT.recognise(request)
    assert call is not None
    assert call.kind is CallKind.CANCEL
    assert list(DIALECT.report_ids(request, call)) == ["900000000000000001"]
    assert DIALECT.overlay_report(request, call, None, {}).status == 200
    assert DIALECT.recognise(HttpRequest("POST", "/v2/cancel/1/../../send.json")) is None


def test_too_many_are_refused_as_the_provider_does() -> None:
    """50,000 SMS a request."""
    dest = ",".join(f"90532{number:07d}" for number in range(50_001))
    with pytest.raises(RequestRefusedError) as refusal:
        read(send(messages=[{"msg": "a", "dest": dest}]))
    assert refusal.value.fault is Fault.TOO_MANY_RECIPIENTS


@pytest.mark.parametrize(
    ("text", "alphabet", "datacoding"),
    [("abc", Alphabet.AUTO, 0), ("abş", Alphabet.AUTO, 1), ("🙂", Alphabet.AUTO, 2), ("abc", Alphabet.UNICODE, 2)],
)
def test_another_dialect_s_request_can_leave_this_way(text: str, alphabet: Alphabet, datacoding: int) -> None:
    """Composed anew, it reads back as the same recipients, texts, tag and time, in an alphabet that holds them."""
    plain = Submission(
        "plain",
        "messages.send",
        [SmsRecipient(parse_phone("+905321110001"), "+905321110001", 0), SmsRecipient(None, "bad", 0)],
        [text],
        sender_title="ORNEK",
        alphabet=alphabet,
        send_at=AT,
    )
    request = DIALECT.compose(plain, {"username": "u", "password": "p"})
    native = read(request)
    assert json.loads(request.body)["datacoding"] == datacoding
    assert [who.number.e164 if who.number else None for who in native.recipients] == ["+905321110001", None]
    assert (native.tag_class, native.tag_type) == (MessageClass.COMMERCIAL, RecipientType.INDIVIDUAL)
    assert (native.texts, native.send_at) == ([text], AT)
