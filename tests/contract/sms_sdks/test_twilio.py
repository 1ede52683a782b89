"""The official ``twilio`` library: what it hands to its user for each thing that can happen."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance

from filters.sms.dialects.twilio import TwilioDialect
from filters.sms.http import HttpRequest
from loadtest.providers.twilio import ACCOUNT, TOKEN
from tests.support.codec_bridge import SUFFIX, CodecBridge
from tests.support.sms_provider import RunningProvider

TO = "+905321110001"


def client_of(port: int, token: str = TOKEN) -> Client:
    client = Client(ACCOUNT, token)
    client.api.base_url = f"http://127.0.0.1:{port}"
    return client


async def create(client: Client, to: str = TO, **fields: object) -> MessageInstance:
    values = {"from_": "ORNEK", "body": "Merhaba"} | fields
    return await asyncio.to_thread(lambda: client.messages.create(to=to, **values))


async def refused(client: Client, **fields: object) -> TwilioRestException:
    with pytest.raises(TwilioRestException) as refusal:
        await create(client, **fields)
    return refusal.value


async def test_a_permitted_message_is_created(twilio_gate: CodecBridge, twilio_provider: RunningProvider) -> None:
    """The library gets the provider's Message; the provider got the text with the opt-out."""
    message = await create(client_of(twilio_gate.port))
    [sent] = await twilio_provider.sent()
    assert (message.sid, message.status, message.to) == (sent["sid"], "queued", TO)
    assert sent["text"] == f"Merhaba{SUFFIX}"


async def test_a_dropped_recipient_is_an_unsubscribed_one(
    twilio_gate: CodecBridge, twilio_provider: RunningProvider
) -> None:
    """Error 21610 with HTTP 400, as if the person had sent STOP; nothing reaches the provider."""
    twilio_gate.dropped = {TO}
    fault = await refused(client_of(twilio_gate.port))
    assert (fault.code, fault.status) == (21610, 400)
    assert "NO_CONSENT" in fault.msg
    assert twilio_gate.asked_upstream == 0
    assert await twilio_provider.sent() == []


async def test_the_provider_s_own_refusals_come_through(
    twilio_gate: CodecBridge, twilio_provider: RunningProvider
) -> None:
    """What the provider itself knows of the number, the sender hears in its words."""
    await twilio_provider.tell("refusing", numbers=[TO])
    fault = await refused(client_of(twilio_gate.port))
    assert (fault.code, fault.status) == (21610, 400)
    assert "NO_CONSENT" not in fault.msg


@pytest.mark.parametrize(
    ("fields", "code", "status"),
    [
        ({"body": "x" * 1601}, 21617, 400),
        ({"body": "x" * 1600}, 21617, 400),
        ({"to": "+90532111"}, 21211, 400),
        ({"to": "+905321110001,+905321110002"}, 21211, 400),
        ({"to": "whatsapp:+905321110001"}, 21211, 400),
        ({"body": ""}, 21602, 400),
    ],
    ids=["over-long", "over-long with the opt-out", "no number", "two numbers", "another channel", "no text"],
)
async def test_bad_requests_are_refused_with_the_provider_s_codes(
    twilio_gate: CodecBridge, twilio_provider: RunningProvider, fields: dict[str, str], code: int, status: int
) -> None:
    """Nothing of them is sent."""
    fault = await refused(client_of(twilio_gate.port), **fields)
    assert (fault.code, fault.status) == (code, status)
    assert await twilio_provider.sent() == []


async def test_wrong_credentials_are_the_provider_s_to_refuse(twilio_gate: CodecBridge) -> None:
    """20003 with HTTP 401 reaches the library."""
    fault = await refused(client_of(twilio_gate.port, "wrong"))
    assert (fault.code, fault.status) == (20003, 401)


async def test_every_letter_arrives(twilio_gate: CodecBridge, twilio_provider: RunningProvider) -> None:
    """Turkish letters, signs of the form syntax and pictures."""
    text = "Şöyle & böyle = %20 + çğıİ 🙂\nikinci satır"
    await create(client_of(twilio_gate.port), body=text)
    assert [sent["text"] for sent in await twilio_provider.sent()] == [text + SUFFIX]


async def test_a_scheduled_message_is_cancelled_by_its_id(
    twilio_gate: CodecBridge, twilio_provider: RunningProvider
) -> None:
    """Fetch and cancel pass through."""
    client = client_of(twilio_gate.port)
    message = await create(
        client,
        from_="ORNEK",
        messaging_service_sid="MG" + "0" * 32,
        schedule_type="fixed",
        send_at=datetime.now(UTC) + timedelta(hours=1),
    )
    assert message.status == "scheduled"
    updated = await asyncio.to_thread(lambda: client.messages(message.sid).update(status="canceled"))
    assert updated.status == "canceled"
    fetched = await asyncio.to_thread(lambda: client.messages(message.sid).fetch())
    assert fetched.status == "canceled"


def test_the_library_s_signature_is_ours() -> None:
    """What the official validator computes is accepted; a changed field, secret or address is not."""
    form = {"MessageSid": "SM1", "From": "+905321110001", "To": "3338", "Body": "RET çğ & +"}
    from urllib.parse import urlencode

    signature = RequestValidator("token").compute_signature("https://izin.example/in/twilio?brand=1", form)
    codec = TwilioDialect()

    def request(body: dict[str, str], host: str = "izin.example") -> HttpRequest:
        headers = (("host", host), ("x-twilio-signature", signature))
        return HttpRequest("POST", "/in/twilio", "brand=1", headers, urlencode(body).encode())

    assert codec.is_inbound_signed(request(form), b"token") is True
    assert codec.is_inbound_signed(request(form | {"Body": "ONAY"}), b"token") is False
    assert codec.is_inbound_signed(request(form), b"other") is False
    assert codec.is_inbound_signed(request(form, "other.example"), b"token") is False
    [message] = codec.read_inbound(request(form))
    assert (message.sender, message.destination, message.text, message.message_id) == tuple(
        form[name] for name in ("From", "To", "Body", "MessageSid")
    )
