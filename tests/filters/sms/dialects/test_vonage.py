"""Vonage beyond the contract: requests that only the sender could sign, further recipients, signed webhooks."""

from __future__ import annotations

import json

import pytest

from filters.sms.dialect import CallKind, Fault, RequestRefusedError
from filters.sms.dialects.vonage_messages import VonageMessagesDialect
from filters.sms.dialects.vonage_sms import VonageSmsDialect
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import Alphabet, Submission, TextKind
from filters.vocabulary import Outcome
from loadtest.providers.simulator import Incoming
from loadtest.providers.vonage import SIGNATURE_SECRET, VonageSimulator

SMS, MESSAGES = VonageSmsDialect(), VonageMessagesDialect()
FORM = (("content-type", "application/x-www-form-urlencoded"),)
JSON = (("content-type", "application/json"),)
INCOMING = Incoming("905321110001", "3338", "RET ÖRNEK & = çğ", 1.8e9, 5)


def read_sms(query: str) -> Submission:
    request = HttpRequest("GET", "/sms/json", query)
    call = SMS.recognise(request)
    assert call is not None
    return SMS.read(request, call)


def test_a_query_is_a_request_to_send() -> None:
    """It leaves as it came, with credentials and reference."""
    found = read_sms("api_key=key&api_secret=secret&to=905321110001&from=ORNEK&text=Merhaba&client-ref=r1")
    assert (found.credential_id, found.recipients[0].reference) == ("key", "r1")
    upstream = SMS.write(found, [0], ["Merhaba RET"])
    assert (upstream.method, upstream.body) == ("GET", b"")
    assert upstream.query.endswith("to=905321110001&from=ORNEK&text=Merhaba+RET&client-ref=r1")


def test_a_signed_request_is_refused() -> None:
    """The signature covers the text without the opt-out."""
    with pytest.raises(RequestRefusedError) as refusal:
        read_sms("api_key=key&sig=0123456789abcdef&timestamp=1&to=905321110001&from=ORNEK&text=Merhaba")
    assert refusal.value.fault is Fault.NOT_ALLOWED


@pytest.mark.parametrize(
    ("more", "kind", "alphabet"),
    [
        ("", TextKind.PLAIN, Alphabet.AUTO),
        ("&type=unicode", TextKind.PLAIN, Alphabet.UNICODE),
        ("&message-class=0", TextKind.BINARY, Alphabet.AUTO),
        ("&message-class=00", TextKind.BINARY, Alphabet.AUTO),
        ("&message-class=1&protocol-id=65", TextKind.PLAIN, Alphabet.AUTO),
        ("&protocol-id=64", TextKind.BINARY, Alphabet.AUTO),
        ("&udh=050003CC0201", TextKind.BINARY, Alphabet.AUTO),
        ("&body=00ff", TextKind.BINARY, Alphabet.AUTO),
        ("&type=binary&body=00ff&udh=060504", TextKind.BINARY, Alphabet.AUTO),
    ],
    ids=[
        "text",
        "unicode",
        "flash",
        "flash spelled otherwise",
        "shown",
        "never shown",
        "a part",
        "two texts",
        "binary",
    ],
)
def test_types_say_what_may_be_added(more: str, kind: TextKind, alphabet: Alphabet) -> None:
    """Flash and binary messages are never given an opt-out."""
    found = read_sms(f"to=905321110001&from=ORNEK&text=Merhaba{more}")
    assert (found.kind, found.alphabet) == (kind, alphabet)


@pytest.mark.parametrize("more", ["&type=wappush", "&to=905321110002", "&To=905321110002", "&to[]=905321110002"])
def test_other_kinds_and_further_recipients_are_refused(more: str) -> None:
    """Whatever another reader might find there."""
    with pytest.raises(RequestRefusedError):
        read_sms(f"to=905321110001&from=ORNEK&text=Merhaba{more}")


def test_a_message_taken_in_part_is_taken() -> None:
    """One entry per segment: the person may have been reached."""
    found = read_sms("to=905321110001&from=ORNEK&text=Merhaba")
    parts = [{"status": "1", "error-text": "throttled"}, {"status": "0", "message-id": "x"}]
    body = json.dumps({"message-count": "2", "messages": parts}).encode()
    assert SMS.read_answer(found, [0], HttpResponse(200, (), body)).fates[0].outcome is Outcome.RELAYED


@pytest.mark.parametrize(
    "change",
    [
        {"failover": [{"to": "905321110002", "channel": "sms"}]},
        {"channel": "whatsapp"},
        {"message_type": "template"},
        {"to": ["905321110001"]},
        {"sms": {"to": "905321110002"}},
        {"text": None},
    ],
    ids=["failover", "channel", "type", "list", "nested", "no text"],
)
def test_messages_that_reach_others_or_otherwise_are_refused(change: dict[str, object]) -> None:
    """Other channels are nothing that was decided on."""
    body = {"to": "905321110001", "from": "ORNEK", "channel": "sms", "message_type": "text", "text": "a"} | change
    request = HttpRequest("POST", "/v1/messages", "", JSON, json.dumps(body).encode())
    call = MESSAGES.recognise(request)
    assert call is not None
    assert call.kind is CallKind.SEND
    with pytest.raises(RequestRefusedError):
        MESSAGES.read(request, call)


@pytest.mark.parametrize(("codec", "path"), [(SMS, "/sms"), (MESSAGES, "/messages")], ids=["sms", "messages"])
def test_signed_webhooks_are_told_from_forged_ones(codec: VonageSmsDialect | VonageMessagesDialect, path: str) -> None:
    """What the simulator signs is read; another secret, a changed body or no signature is not believed."""
    post = VonageSimulator(1).told_incoming(f"http://127.0.0.1{path}", INCOMING)
    headers = tuple((name.lower(), value) for name, value in post.headers.items())
    request = HttpRequest("POST", path, "", headers, post.body)
    secret = SIGNATURE_SECRET.encode()
    assert codec.is_inbound_signed(request, secret) is True
    assert codec.is_inbound_signed(request, b"another") is False
    assert codec.is_inbound_signed(request._replace(body=post.body.replace(b"RET", b"AL")), secret) is False
    bare = tuple(header for header in headers if header[0] != "authorization")
    unsigned = request._replace(headers=bare, body=post.body.partition(b"&sig=")[0])
    assert codec.is_inbound_signed(unsigned, secret) is False
    [found] = codec.read_inbound(request)
    assert (found.sender, found.destination, found.text) == (f"+{INCOMING.sender}", "3338", INCOMING.text)
    assert found.received_at == INCOMING.at


@pytest.mark.parametrize("token", ["a.b", "a.b.c", "....", "é.é.é", "bnVsbA.bnVsbA.bnVsbA", ""])
def test_broken_tokens_are_no_signature(token: str) -> None:
    """False, and never an exception."""
    request = HttpRequest("POST", "/messages", "", (("authorization", f"Bearer {token}"),), b"{}")
    assert MESSAGES.is_inbound_signed(request, b"secret") is False
