"""The official ``infobip-api-python-client``: its strict model of answers reads ours, recipient by recipient."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from infobip_api_client import ApiClient, Configuration
from infobip_api_client.api.sms_api import SmsApi
from infobip_api_client.exceptions import ApiException
from infobip_api_client.models import (
    IysRecipientType,
    MessageGeneralStatus,
    SmsDestination,
    SmsMessage,
    SmsMessageContent,
    SmsMessageOptions,
    SmsRegionalOptions,
    SmsRequest,
    SmsResponse,
    SmsTextContent,
    TurkeyIysOptions,
)

from loadtest.providers.infobip import KEY
from tests.support.codec_bridge import SUFFIX, CodecBridge
from tests.support.sms_provider import RunningProvider

NUMBERS = [f"90532111000{last}" for last in range(4)]


def api_of(port: int, key: str = KEY) -> SmsApi:
    return SmsApi(ApiClient(Configuration(host=f"http://127.0.0.1:{port}", api_key=key)))


def message(numbers: list[str], text: str = "Merhaba", kind: IysRecipientType | None = None) -> SmsMessage:
    options = None
    if kind is not None:
        tag = TurkeyIysOptions(brand_code=600123, recipient_type=kind)
        options = SmsMessageOptions(regional=SmsRegionalOptions(turkey_iys=tag))
    return SmsMessage(
        sender="ORNEK",
        destinations=[SmsDestination(to=number) for number in numbers],
        content=SmsMessageContent(SmsTextContent(text=text)),
        options=options,
    )


async def send(port: int, *messages: SmsMessage, key: str = KEY) -> SmsResponse:
    api = api_of(port, key)
    try:
        return await asyncio.to_thread(lambda: api.send_sms_messages(SmsRequest(messages=list(messages))))
    finally:
        close(api)


def close(api: SmsApi) -> None:
    """The library leaves its connections to the garbage collector."""
    api.api_client.rest_client.pool_manager.clear()


def told(answer: SmsResponse) -> list[tuple[Any, ...]]:
    return [(row.destination, row.status.group_name, row.status.id) for row in answer.messages]


PENDING, REJECTED = MessageGeneralStatus.PENDING, MessageGeneralStatus.REJECTED


async def test_permitted_recipients_are_pending(infobip_gate: CodecBridge, infobip_provider: RunningProvider) -> None:
    """Ids are the provider's; the İYS tag stands in the provider's request as the sender wrote it."""
    answer = await send(infobip_gate.port, message(NUMBERS, kind=IysRecipientType.BIREYSEL))
    sent = await infobip_provider.sent()
    assert told(answer) == [(number, PENDING, 26) for number in NUMBERS]
    assert [row.message_id for row in answer.messages] == [each["sid"] for each in sent]
    assert {(each["text"], each["tag"], each["job"]) for each in sent} == {
        (f"Merhaba{SUFFIX}", "turkeyIys", answer.bulk_id)
    }


async def test_dropped_recipients_are_rejected_in_their_place(
    infobip_gate: CodecBridge, infobip_provider: RunningProvider
) -> None:
    """Two messages, four recipients, the first and the last left out: the answer keeps the request's order."""
    infobip_gate.dropped = {f"+{NUMBERS[0]}", f"+{NUMBERS[3]}"}
    answer = await send(infobip_gate.port, message(NUMBERS[:2]), message(NUMBERS[2:], "Selam"))
    assert told(answer) == [
        (NUMBERS[0], REJECTED, 14),
        (NUMBERS[1], PENDING, 26),
        (NUMBERS[2], PENDING, 26),
        (NUMBERS[3], REJECTED, 14),
    ]
    assert answer.messages[0].status.name == "REJECTED_IYS_NO_CONSENT"
    assert len({row.message_id for row in answer.messages}) == 4
    sent = await infobip_provider.sent()
    assert [(each["number"], each["text"]) for each in sent] == [
        (NUMBERS[1], f"Merhaba{SUFFIX}"),
        (NUMBERS[2], f"Selam{SUFFIX}"),
    ]


async def test_nobody_left_makes_an_id_and_no_request(
    infobip_gate: CodecBridge, infobip_provider: RunningProvider
) -> None:
    """All dropped: the library reads an answer like any other."""
    infobip_gate.dropped = {f"+{number}" for number in NUMBERS}
    answer = await send(infobip_gate.port, message(NUMBERS))
    assert told(answer) == [(number, REJECTED, 14) for number in NUMBERS]
    assert answer.bulk_id.startswith("0")
    assert infobip_gate.asked_upstream == 0


async def test_the_provider_s_own_refusal_keeps_its_place(
    infobip_gate: CodecBridge, infobip_provider: RunningProvider
) -> None:
    """The provider rejects one, we another; both are told apart by name."""
    await infobip_provider.tell("refusing", numbers=[NUMBERS[1]])
    infobip_gate.dropped = {f"+{NUMBERS[2]}"}
    answer = await send(infobip_gate.port, message(NUMBERS, kind=IysRecipientType.TACIR))
    assert [row.status.name for row in answer.messages] == [
        "PENDING_ACCEPTED",
        "REJECTED_DESTINATION",
        "REJECTED_IYS_NO_CONSENT",
        "PENDING_ACCEPTED",
    ]


async def test_every_letter_arrives(infobip_gate: CodecBridge, infobip_provider: RunningProvider) -> None:
    """Turkish letters, quotes and pictures."""
    text = 'Şöyle "böyle" \\ çğıİ 🙂\nikinci satır'
    await send(infobip_gate.port, message(NUMBERS[:1], text))
    assert [each["text"] for each in await infobip_provider.sent()] == [text + SUFFIX]


async def test_a_number_that_is_none_is_answered_for(
    infobip_gate: CodecBridge, infobip_provider: RunningProvider
) -> None:
    """The others go out."""
    answer = await send(infobip_gate.port, message([NUMBERS[0], "905321"]))
    assert told(answer) == [(NUMBERS[0], PENDING, 26), ("905321", REJECTED, 52)]
    assert len(await infobip_provider.sent()) == 1


@pytest.mark.parametrize(
    ("text", "key", "status"), [("x" * 4001, KEY, 400), ("Merhaba", "wrong", 401)], ids=["over-long", "credentials"]
)
async def test_refused_requests_raise_with_the_provider_s_status(
    infobip_gate: CodecBridge, infobip_provider: RunningProvider, text: str, key: str, status: int
) -> None:
    """The library raises what it raises for the provider."""
    with pytest.raises(ApiException) as refusal:
        await send(infobip_gate.port, message(NUMBERS, text), key=key)
    assert refusal.value.status == status
    assert await infobip_provider.sent() == []


async def test_reports_pass_through(infobip_gate: CodecBridge, infobip_provider: RunningProvider) -> None:
    """Delivery reports are read by the library's model."""
    answer = await send(infobip_gate.port, message(NUMBERS[:1]))
    await infobip_provider.tell("clock", seconds=60)
    api = api_of(infobip_gate.port)
    reports = await asyncio.to_thread(lambda: api.get_outbound_sms_message_delivery_reports(bulk_id=answer.bulk_id))
    close(api)
    assert [row.status.group_name for row in reports.results] == [MessageGeneralStatus.DELIVERED]
