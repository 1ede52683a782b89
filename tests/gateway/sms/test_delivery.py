"""Delivery reports that the provider posts: they pass through us to the sender, and dropped numbers are posted too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from filters.reason import Reason
from filters.sms.dialect import InboundMessage
from filters.sms.dialects.iletimerkezi import IletiMerkeziDialect
from filters.sms.dialects.infobip import InfobipDialect
from filters.sms.dialects.plain import PlainDialect
from filters.sms.dialects.verimor import VerimorDialect
from filters.sms.http import HttpRequest, HttpResponse, UpstreamFault
from filters.sms.message import ReportEntry
from gateway.sms.delivery import DeliveryReports, DeliveryRoute, DeliveryTarget, DroppedPush
from gateway.sms.exchange import BodyMemory
from tests.support.sms_world import NOW, SmsWorld, message, number

SECRET = "secret-end-of-a-path"
ROWS = [{"type": "outbound", "campaign_id": 17, "message_id": 1, "dest": "905320000001", "status": "DELIVERED"}]
REFUSAL = {"type": "inbound", "message_id": 5, "source_addr": "905320000001", "destination_addr": "3338",
           "content": "RET ORNEK"}  # fmt: skip
ENTRIES = [ReportEntry("905320000002", "+905320000002", "bahar\x1f7", Reason.REFUSED, float(NOW))]

BAD_NUMBER = ReportEntry("bozuk", "", "", Reason.ADDRESS_INVALID, float(NOW))


@dataclass
class Sender:
    """The sender's own address. ``answer`` is what it says."""

    name: str = "sender"
    answer: HttpResponse | UpstreamFault = field(
        default_factory=lambda: HttpResponse(200, (("content-type", "text/plain"),), b"OK")
    )
    heard: list[HttpRequest] = field(default_factory=list)
    posted: list[tuple[bytes, Mapping[str, str]]] = field(default_factory=list)
    messages: list[InboundMessage] = field(default_factory=list)
    is_durable: bool = True

    async def send(self, request: HttpRequest, valid_s: float | None = None) -> HttpResponse | UpstreamFault:
        self.heard.append(request)
        return self.answer

    def post(self, body: bytes, fields: Mapping[str, str]) -> None:
        self.posted.append((body, fields))

    async def take(self, told: InboundMessage) -> bool:
        self.messages.append(told)
        return self.is_durable

    def route(self, codec: object, networks: Sequence[Any] = ()) -> DeliveryRoute:
        return DeliveryRoute("verimor", codec, SECRET, tuple(networks), DeliveryTarget(self, self.post), self.take)


@pytest.fixture
def sender() -> Sender:
    return Sender()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Any]]:
    """Serves a route; what is given back is its base URL."""
    servers: list[TestServer] = []

    async def start(route: DeliveryRoute) -> str:
        reports = DeliveryReports(
            [route],
            memory=BodyMemory(1 << 20),
            private=frozenset({"x-izin-class"}),
            find_peer=lambda _request, _head: "127.0.0.1",
            count=lambda *_: None,
        )
        app = web.Application()
        app.add_routes(reports.routes())
        servers.append(TestServer(app))
        await servers[-1].start_server()
        return str(servers[-1].make_url("")).rstrip("/")

    yield start
    for server in servers:
        await server.close()


async def post(url: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status, await answer.read()


async def test_what_the_provider_posts_reaches_the_sender_byte_for_byte(serve: Any, sender: Sender) -> None:
    """And the sender's answer goes back; the secret and fields of ours stay here."""
    url = await serve(sender.route(VerimorDialect()))
    body = b" " + json.dumps(ROWS).encode()
    assert await post(f"{url}/sms/delivery/{SECRET}?a=b", body, **{"X-Provider": "1", "X-Izin-Class": "x"}) == (
        200,
        b"OK",
    )
    (heard,) = sender.heard
    assert (heard.method, heard.path, heard.query, heard.body) == ("POST", "", "a=b", body)
    names = {name for name, _ in heard.headers}
    assert "x-provider" in names
    assert "x-izin-class" not in names
    assert SECRET not in repr(heard)


@pytest.mark.parametrize(
    ("answer", "status"),
    [(UpstreamFault.UNREACHABLE, 503), (UpstreamFault.TIMED_OUT, 503), (HttpResponse(500), 500)],
)
async def test_the_provider_comes_again_where_the_sender_did_not_take_it(
    serve: Any, sender: Sender, answer: HttpResponse | UpstreamFault, status: int
) -> None:
    sender.answer = answer
    url = await serve(sender.route(VerimorDialect()))
    assert (await post(f"{url}/sms/delivery/{SECRET}", b"[]"))[0] == status


async def test_strangers_find_nothing_there(serve: Any, sender: Sender) -> None:
    """Neither with another secret nor from another network."""
    url = await serve(sender.route(VerimorDialect(), [ip_network("192.0.2.0/24")]))
    assert (await post(f"{url}/sms/delivery/another-secret-end", b"[]"))[0] == 404
    assert (await post(f"{url}/sms/delivery/{SECRET}", b"[]"))[0] == 404
    assert sender.heard == []


@pytest.mark.parametrize("is_durable", [True, False])
async def test_a_refusal_among_the_reports_counts_before_they_go_on(
    serve: Any, sender: Sender, is_durable: bool
) -> None:
    """Where it is not durable the provider has to come again, and the sender hears nothing yet."""
    sender.is_durable = is_durable
    url = await serve(sender.route(VerimorDialect()))
    status, _ = await post(
        f"{url}/sms/delivery/{SECRET}", json.dumps([*ROWS, REFUSAL]).encode(), **{"Content-Type": "application/json"}
    )
    assert [told.text for told in sender.messages] == ["RET ORNEK"]
    assert (status, len(sender.heard)) == ((200, 1) if is_durable else (503, 0))


async def test_a_form_that_nobody_knows_goes_on_untouched(serve: Any, sender: Sender) -> None:
    url = await serve(sender.route(PlainDialect()))
    assert (await post(f"{url}/sms/delivery/{SECRET}", b"<xml/>", **{"Content-Type": "text/xml"}))[0] == 200
    assert sender.heard[0].body == b"<xml/>"


async def test_dropped_numbers_are_posted_in_the_provider_s_form(sender: Sender) -> None:
    """A moment after the answer, or at once where the worker ends before."""
    push = DroppedPush(VerimorDialect(), sender.post, after_s=0.01)
    push.push("17", ENTRIES)
    assert sender.posted == []
    await asyncio.sleep(0.05)
    ((body, fields),) = sender.posted
    assert fields["Content-Type"] == "application/json"
    (row,) = json.loads(body)
    assert (row["type"], row["campaign_id"], row["dest"]) == ("outbound", 17, "905320000002")
    assert (row["status"], row["campaign_custom_id"], row["message_custom_id"]) == ("NOT_ALLOWED_BY_IYS", "bahar", "7")
    late = DroppedPush(VerimorDialect(), sender.post, after_s=60)
    late.push("18", ENTRIES)
    late.close()
    assert json.loads(sender.posted[1][0])[0]["campaign_id"] == 18


async def test_iletimerkezi_s_sender_hears_of_each_dropped_number_by_itself(sender: Sender) -> None:
    """One post a message, as the provider's own: the order's id, the text asked for, and its one word for not sent."""
    push = DroppedPush(IletiMerkeziDialect(), sender.post, after_s=0)
    push.push("104525848", [ENTRIES[0]._replace(text="Bahar"), BAD_NUMBER])
    await asyncio.sleep(0.05)
    reports = [json.loads(body)["report"] for body, _ in sender.posted]
    assert [(each["packet_id"], each["status"], each["to"], each["body"]) for each in reports] == [
        (104525848, "undelivered", "+905320000002", "Bahar"),
        (104525848, "undelivered", "bozuk", ""),
    ]
    ids = {each["id"] for each in reports}
    assert len(ids) == 2
    assert all(type(each) is int and 10**15 < each < 2**53 for each in ids)


async def test_infobip_s_sender_hears_of_dropped_numbers_as_of_reports(sender: Sender) -> None:
    """In the provider's own rows, the same ids as in the answer and in the report."""
    push = DroppedPush(InfobipDialect(), sender.post, after_s=0)
    push.push("2034072219640523072", ENTRIES * 1001)
    await asyncio.sleep(0.05)
    results = [row for body, _ in sender.posted for row in json.loads(body)["results"]]
    assert [len(json.loads(body)["results"]) for body, _ in sender.posted] == [1000, 1]
    assert {row["status"]["groupName"] for row in results} == {"REJECTED"}
    assert {row["error"]["name"] for row in results} == {"EC_CONSENT_FAILED"}
    assert {(row["bulkId"], row["to"]) for row in results} == {("2034072219640523072", "905320000002")}


async def test_a_worker_that_ends_in_the_middle_posts_the_rest_and_nothing_twice(sender: Sender) -> None:
    """Fifty thousand dropped numbers are fifty thousand posts: others have their turn between them."""
    push = DroppedPush(IletiMerkeziDialect(), sender.post, after_s=0)
    push.push("7", ENTRIES * 1000)
    while not sender.posted:
        await asyncio.sleep(0)
    assert len(sender.posted) < 1000
    push.close()
    await asyncio.sleep(0.01)
    assert len(sender.posted) == len({body for body, _ in sender.posted}) == 1000


async def test_a_job_is_pushed_once_it_was_taken_and_a_refused_request_is_not(
    make_world: Callable[..., SmsWorld],
) -> None:
    pushed: list[tuple[str, Sequence[ReportEntry]]] = []
    world = make_world(push_dropped=lambda job_id, entries: pushed.append((job_id, entries)))
    await world.consent([number(1)])
    await world.ask(message(number(1)))
    assert pushed == []
    _, answer = await world.ask(message(number(1), number(2), text="Yeni urunler"))
    assert [(job_id, [(entry.e164, entry.text) for entry in entries]) for job_id, entries in pushed] == [
        (answer["id"], [(number(2), "Yeni urunler")])
    ]
    await world.ask(message(number(2), text="", sender="ORNEK"))
    assert len(pushed) == 1
