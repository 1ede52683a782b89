"""The official ``vonage`` library, SMS and Messages: what it hands to its user for each thing that can happen."""

from __future__ import annotations

import asyncio

import pytest
from vonage import Auth, HttpClientOptions, Vonage
from vonage_http_client.errors import AuthenticationError, ForbiddenError, HttpRequestError
from vonage_messages import Sms
from vonage_sms import SmsMessage, SmsResponse
from vonage_sms.errors import SmsError

from loadtest.providers.vonage import KEY, SECRET
from tests.support.codec_bridge import SUFFIX, CodecBridge
from tests.support.sms_provider import RunningProvider

TO = "905321110001"


def client_of(gate: CodecBridge, secret: str = SECRET) -> Vonage:
    host = f"localhost:{gate.port}"
    options = HttpClientOptions(api_host=host, rest_host=host, max_retries=0, timeout=10)
    return Vonage(Auth(api_key=KEY, api_secret=secret), options)


async def send_sms(gate: CodecBridge, secret: str = SECRET, **fields: object) -> SmsResponse:
    values = {"to": TO, "from_": "ORNEK", "text": "Merhaba"} | fields
    client = client_of(gate, secret)
    try:
        return await asyncio.to_thread(lambda: client.sms.send(SmsMessage(**values)))
    finally:
        client.http_client._session.close()


async def send_message(gate: CodecBridge, secret: str = SECRET, **fields: object) -> str:
    values = {"to": TO, "from_": "ORNEK", "text": "Merhaba"} | fields
    client = client_of(gate, secret)
    try:
        answer = await asyncio.to_thread(lambda: client.messages.send(Sms(**values)))
    finally:
        client.http_client._session.close()
    return str(answer.message_uuid)


async def test_a_permitted_sms_is_taken(vonage_gate: CodecBridge, vonage_provider: RunningProvider) -> None:
    """The library reads status 0 and the provider's id."""
    answer = await send_sms(vonage_gate)
    [sent] = await vonage_provider.sent()
    assert answer.messages[0].message_id == sent["sid"]
    assert (sent["number"], sent["text"]) == (TO, f"Merhaba{SUFFIX}")


async def test_a_dropped_sms_is_status_7(vonage_gate: CodecBridge, vonage_provider: RunningProvider) -> None:
    """Number barred, with the reason; nothing reaches the provider."""
    vonage_gate.dropped = {f"+{TO}"}
    with pytest.raises(SmsError, match=r"error code 7: Number barred\. NO_CONSENT"):
        await send_sms(vonage_gate)
    assert vonage_gate.asked_upstream == 0


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"text": "x" * 3201}, 12), ({"to": "905321"}, 3), ({"to": f"{TO},905321110002"}, 3), ({"text": " "}, 2)],
    ids=["over-long", "no number", "two numbers", "no text"],
)
async def test_bad_sms_are_refused_with_the_provider_s_codes(
    vonage_gate: CodecBridge, vonage_provider: RunningProvider, fields: dict[str, str], code: int
) -> None:
    """Nothing of them is sent."""
    with pytest.raises(SmsError, match=f"error code {code}: "):
        await send_sms(vonage_gate, **fields)
    assert await vonage_provider.sent() == []


async def test_wrong_credentials_of_an_sms_are_the_provider_s_to_refuse(vonage_gate: CodecBridge) -> None:
    """Status 4 reaches the library."""
    with pytest.raises(SmsError, match="error code 4"):
        await send_sms(vonage_gate, "wrong")


@pytest.mark.parametrize("kind", [None, "unicode"])
async def test_every_letter_of_an_sms_arrives(
    vonage_gate: CodecBridge, vonage_provider: RunningProvider, kind: str | None
) -> None:
    """Turkish letters, signs of the form syntax and pictures; the encoding asked for stays."""
    text = "Şöyle & böyle = %20 + çğıİ 🙂"
    await send_sms(vonage_gate, text=text, type=kind)
    assert [sent["text"] for sent in await vonage_provider.sent()] == [text + SUFFIX]


async def test_a_permitted_message_is_accepted(vonage_gate: CodecBridge, vonage_provider: RunningProvider) -> None:
    """The library reads the provider's message_uuid."""
    message_id = await send_message(vonage_gate)
    [sent] = await vonage_provider.sent()
    assert (message_id, sent["text"]) == (sent["sid"], f"Merhaba{SUFFIX}")


async def test_a_dropped_message_is_problem_1050(vonage_gate: CodecBridge) -> None:
    """HTTP 403 with the type that says number barred."""
    vonage_gate.dropped = {f"+{TO}"}
    with pytest.raises(ForbiddenError) as refusal:
        await send_message(vonage_gate)
    problem = refusal.value.response.json()
    assert problem["type"].endswith("1050")
    assert "NO_CONSENT" in problem["detail"]
    assert vonage_gate.asked_upstream == 0


async def test_failover_recipients_are_refused(vonage_gate: CodecBridge, vonage_provider: RunningProvider) -> None:
    """Whom the library would try next is a recipient too; nobody is written to."""
    client = client_of(vonage_gate)
    first, second = (Sms(to=to, from_="ORNEK", text="Merhaba") for to in (TO, "905321110002"))
    with pytest.raises(HttpRequestError) as refusal:
        await asyncio.to_thread(lambda: client.messages.send(first, failover=[second]))
    client.http_client._session.close()
    assert refusal.value.response.status_code == 422
    assert await vonage_provider.sent() == []


async def test_wrong_credentials_of_a_message_are_the_provider_s_to_refuse(vonage_gate: CodecBridge) -> None:
    """HTTP 401 reaches the library."""
    with pytest.raises(AuthenticationError):
        await send_message(vonage_gate, "wrong")
