"""Our own interface leaving through a provider's dialect: what was asked for arrives there, for the permitted alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.client import Client
from filters.sms.dialects.plain import SEND, PlainDialect
from filters.sms.dialects.registry import DIALECTS, make_dialect
from filters.sms.http import HttpRequest, HttpResponse
from filters.vocabulary import MessageClass
from gateway.sms.route import Outlet, SmsRoute
from tests.support.sms_world import SHOP_CLIENT, SmsWorld, number

COMPOSERS = sorted(name for name, make in DIALECTS.items() if hasattr(make(), "compose"))
ACCOUNT = {
    **dict.fromkeys(("username", "usercode", "key", "api_id", "account_sid"), "AC" + "0" * 32),
    **dict.fromkeys(("password", "hash", "api_key", "auth_token", "secret"), "word"),
}


class Refusing:
    """A provider that keeps what it is asked and says no."""

    name = "provider"

    def __init__(self) -> None:
        self.asked: list[HttpRequest] = []

    async def send(self, request: HttpRequest, valid_s: float | None = None) -> HttpResponse:
        self.asked.append(request)
        return HttpResponse(500, (), b"no")


async def send(
    name: str, body: dict[str, Any], consenting: list[str], client: Client = SHOP_CLIENT
) -> tuple[Refusing, HttpResponse]:
    world = SmsWorld()
    try:
        await world.consent(consenting or [number(99)])
        dialect: Any = make_dialect(name)
        provider = Refusing()
        route = SmsRoute("http", PlainDialect(), provider, outlet=Outlet(dialect, dialect, ACCOUNT))
        request = HttpRequest("POST", "/v1/messages", "", (), orjson.dumps(body))
        answered = await world.pipeline.handle(request, SEND, route, client)
        return provider, answered.response
    finally:
        world.close()


@pytest.mark.parametrize("name", COMPOSERS)
async def test_a_request_of_ours_is_written_in_the_providers_dialect(name: str) -> None:
    most = make_dialect(name).max_recipients
    body = {"text": "Bahar indirimi", "recipients": [number(1), number(2)][-most:], "sender": "ORNEK"}
    provider, response = await send(name, body, [number(2)])
    (asked,) = provider.asked
    dialect = make_dialect(name)
    call = dialect.recognise(asked)
    assert call is not None
    read = dialect.read(asked, call)
    assert [recipient.number and recipient.number.e164 for recipient in read.recipients] == [number(2)]
    assert read.sender_title == "ORNEK"
    (text,) = read.texts
    assert text.startswith("Bahar indirimi")
    assert "RET ORNEK" in text
    assert read.tag_class in (None, MessageClass.COMMERCIAL)
    assert response.status >= 400, "what the provider answered is no success"


async def test_the_provider_is_told_the_class_that_was_decided() -> None:
    """A client whose messages are commercial cannot have them pass the provider's check as informational."""
    client = replace(SHOP_CLIENT, fixed_class=MessageClass.COMMERCIAL)
    body = {"text": "Bahar indirimi", "recipients": [number(1)], "sender": "ORNEK", "class": "informational"}
    provider, _ = await send("netgsm", body, [number(1)], client)
    assert orjson.loads(provider.asked[0].body)["iysfilter"] == "11"
    client = replace(SHOP_CLIENT, default_class=MessageClass.INFORMATIONAL)
    provider, _ = await send("netgsm", {**body, "class": None}, [number(1)], client)
    assert orjson.loads(provider.asked[0].body)["iysfilter"] == "0"


@pytest.mark.parametrize("name", COMPOSERS)
@settings(max_examples=15)
@given(
    people=st.lists(
        st.tuples(st.integers(0, 30), st.booleans(), st.sampled_from(["Bahar", "Yaz", "Şimdi"])), min_size=1
    ),
    message_class=st.sampled_from(["commercial", "informational"]),
)
def test_the_permitted_alone_are_written_with_their_own_texts(
    name: str, people: list[tuple[int, bool, str]], message_class: str
) -> None:
    people = people[: make_dialect(name).max_recipients]
    consenting = sorted({number(n) for n, has_consented, _ in people if has_consented})
    body = {
        "recipients": [{"to": number(n), "text": text} for n, _, text in people],
        "sender": "ORNEK",
        "class": message_class,
        "recipient_type": "individual",
    }
    provider, _ = asyncio.run(send(name, body, consenting))
    expected = [
        (number(n), text) for n, _, text in people if message_class == "informational" or number(n) in consenting
    ]
    written = []
    for asked in provider.asked:
        dialect = make_dialect(name)
        call = dialect.recognise(asked)
        assert call is not None
        read = dialect.read(asked, call)
        written += [
            (recipient.number and recipient.number.e164, read.texts[recipient.text].split(" ")[0])
            for recipient in read.recipients
        ]
    if provider.asked:
        assert written == expected
    else:
        assert not expected or len({text for _, text in expected}) > 1, "only a form for one text may refuse"
