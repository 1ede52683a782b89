"""Simulated providers do what their documents say where no codec looks: rates, reports, callbacks, tokens, credits."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from twilio.request_validator import RequestValidator

from filters.sms.http import HttpRequest, HttpResponse
from loadtest.providers.infobip import InfobipSimulator
from loadtest.providers.mutlucell import MutlucellSimulator
from loadtest.providers.turkcell import TurkcellSimulator
from loadtest.providers.twilio import ACCOUNT, TOKEN, TwilioSimulator
from loadtest.providers.vonage import VonageSimulator
from tests.support.sms_provider import RunningProvider

FORM = ("content-type", "application/x-www-form-urlencoded")
JSON = ("content-type", "application/json")


class Customer:
    """What a provider calls: remembers every request."""

    def __init__(self) -> None:
        self.calls: list[tuple[dict[str, str], bytes]] = []
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._take)
        self.server = TestServer(app, host="127.0.0.1")

    async def _take(self, request: web.Request) -> web.Response:
        self.calls.append((dict(request.headers), await request.read()))
        return web.Response()


def basic(user: str, password: str) -> tuple[str, str]:
    return ("authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())


def twilio(**fields: str) -> HttpRequest:
    form = {"To": "+905321110001", "From": "ORNEK", "Body": "Merhaba"} | fields
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    return HttpRequest("POST", path, "", (FORM, basic(ACCOUNT, TOKEN)), urlencode(form).encode())


def vonage_sms() -> HttpRequest:
    form = {"to": "905321110001", "from": "ORNEK", "text": "Merhaba"}
    return HttpRequest("POST", "/sms/json", "", (FORM, basic("key", "secret")), urlencode(form).encode())


def infobip(*numbers: str) -> HttpRequest:
    message = {"sender": "ORNEK", "destinations": [{"to": each} for each in numbers], "content": {"text": "Merhaba"}}
    headers = (JSON, ("authorization", "App key"))
    return HttpRequest("POST", "/sms/3/messages", "", headers, json.dumps({"messages": [message]}).encode())


def found(response: HttpResponse) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(response.body)
    return answer


async def test_twilio_tells_the_fate_to_the_message_s_own_address() -> None:
    """Once, when it is mature, signed so that the official validator believes it."""
    customer = Customer()
    async with RunningProvider(TwilioSimulator(1)) as provider, customer.server:
        url = str(customer.server.make_url("/fate"))
        for to in ("+905321110001", "+905321119902"):
            assert (await provider.ask(twilio(To=to, StatusCallback=url))).status == 201
        await provider.tell("push")
        assert customer.calls == []
        await provider.tell("clock", seconds=60)
        await provider.tell("push")
        await provider.tell("push")
    told = [dict(parse_qsl(body.decode())) for _, body in customer.calls]
    assert [(each["To"], each["MessageStatus"]) for each in told] == [
        ("+905321110001", "delivered"),
        ("+905321119902", "undelivered"),
    ]
    assert told[1]["ErrorCode"] == "30005"
    validator = RequestValidator(TOKEN)
    for (headers, _), form in zip(customer.calls, told, strict=True):
        assert validator.validate(url, form, headers["X-Twilio-Signature"])


@pytest.mark.parametrize(("lead_s", "status"), [(600, 400), (3600, 201), (40 * 86400, 400)])
async def test_twilio_takes_scheduled_messages_within_its_bounds_only(lead_s: float, status: int) -> None:
    """15 minutes to 35 days, through a Messaging Service."""
    async with RunningProvider(TwilioSimulator(1)) as provider:
        at = (datetime.now(UTC) + timedelta(seconds=lead_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
        fields = {"MessagingServiceSid": "MG1", "ScheduleType": "fixed", "SendAt": at}
        assert (await provider.ask(twilio(**fields))).status == status


async def test_too_many_requests_are_refused_in_the_provider_s_words() -> None:
    """20429, status 1 and HTTP 429; a second later they are taken again."""
    async with RunningProvider(TwilioSimulator(1, per_second=1)) as provider:
        statuses = [(await provider.ask(twilio())).status for _ in range(2)]
        await provider.tell("clock", seconds=2)
        assert [*statuses, (await provider.ask(twilio())).status] == [201, 429, 201]
    async with RunningProvider(VonageSimulator(1, per_second=1)) as provider:
        answers = [found(await provider.ask(vonage_sms())) for _ in range(2)]
        assert [each["messages"][0]["status"] for each in answers] == ["0", "1"]
    async with RunningProvider(InfobipSimulator(1, per_second=1)) as provider:
        assert [(await provider.ask(infobip("905321110001"))).status for _ in range(2)] == [200, 429]


async def test_infobip_hands_a_report_out_once() -> None:
    """And only when the message is mature."""
    async with RunningProvider(InfobipSimulator(1)) as provider:
        bulk_id = found(await provider.ask(infobip("905321110001", "905321119902")))["bulkId"]
        asked = HttpRequest("GET", "/sms/3/reports", f"bulkId={bulk_id}")
        assert found(await provider.ask(asked))["results"] == []
        await provider.tell("clock", seconds=60)
        rows = found(await provider.ask(asked))["results"]
        assert [(row["status"]["groupName"], row["error"]["id"]) for row in rows] == [
            ("DELIVERED", 0),
            ("UNDELIVERABLE", 4140),
        ]
        assert found(await provider.ask(asked))["results"] == []


async def test_turkcell_s_token_lapses_when_nobody_uses_it() -> None:
    """918 after ten idle minutes; each use begins them anew."""
    async with RunningProvider(TurkcellSimulator(1)) as provider:
        login = json.dumps({"username": "turkcell", "password": "sifre"}).encode()
        root = "/api/api/integration/v2"
        token = found(await provider.ask(HttpRequest("POST", f"{root}/login", "", (JSON,), login)))["token"]
        body = json.dumps({"message": "a", "sender": "ORNEK", "receivers": ["5321110001"]}).encode()
        send = HttpRequest("POST", f"{root}/sms/send/oton", "", (JSON, ("token", token)), body)
        statuses = []
        for idle_s in (500, 500, 601):
            await provider.tell("clock", seconds=idle_s)
            statuses.append((await provider.ask(send)).status)
        assert statuses == [200, 200, 918]


async def test_mutlucell_stops_at_the_last_credit() -> None:
    """22, and nothing of the package is taken."""
    simulator = MutlucellSimulator(1)
    simulator.credits = 1
    numbers = "5321110001,5321110002"
    pack = (
        f'<smspack ka="mutlu" pwd="anahtar" org="ORNEK"><mesaj><metin>a</metin><nums>{numbers}</nums></mesaj></smspack>'
    )
    async with RunningProvider(simulator) as provider:
        answer = await provider.ask(
            HttpRequest("POST", "/smsgw-ws/sndblkex", "", (("content-type", "text/xml"),), pack.encode())
        )
        assert answer.body == b"22"
        assert await provider.sent() == []


async def test_only_loopback_addresses_are_called() -> None:
    """Whatever address a message brings along."""
    async with RunningProvider(TwilioSimulator(1)) as provider:
        await provider.ask(twilio(StatusCallback="http://192.0.2.1/fate"))
        await provider.tell("clock", seconds=60)
        await provider.tell("push", url="http://izin.example/in")
        assert provider.simulator.taken[0].is_told
