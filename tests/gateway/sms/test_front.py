"""Where SMS clients reach us, over real sockets: whose call, which call, what passes and what does not."""

from __future__ import annotations

import asyncio
import base64
import io
import ipaddress
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import argon2
import pytest
import structlog
from aiohttp import web
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from yarl import URL

from filters.client import Client
from filters.exchange import Refusal
from filters.sms.dialects.netgsm import NetgsmDialect
from filters.sms.dialects.plain import PlainDialect
from filters.sms.dialects.plain_openapi import OPENAPI
from filters.sms.dialects.twilio import TwilioDialect
from filters.sms.dialects.verimor import VerimorDialect
from filters.sms.http import HttpRequest, HttpResponse, UpstreamFault
from filters.sms.keyword import BrandKeyword, KeywordBook
from filters.sms.note_seal import NoteSeal
from filters.vocabulary import Channel, Status
from gateway.clients import ClientAccess, ClientDirectory
from gateway.opt_out.listener import HttpListener
from gateway.sms.check import Checks
from gateway.sms.exchange import BodyMemory
from gateway.sms.front import SmsFront
from gateway.sms.inbound import Inbound, InboundRoute
from gateway.sms.route import SmsRoute
from gateway.sms.seen import SeenMessages
from tests.support.sms_world import NOW, SHOP, SHOP_CLIENT, SmsWorld, number

YES, NO = number(1), number(2)
SECRET = "secret-end-of-a-path"


class Counts:
    def __init__(self) -> None:
        self.malformed = self.turned_away = 0
        self.calls: list[tuple[str, str, int]] = []
        self.inbound: list[str] = []

    def http_malformed(self) -> None:
        self.malformed += 1

    def http_turned_away(self) -> None:
        self.turned_away += 1


class Recorder:
    """Refusals that were made durable; or fails."""

    def __init__(self) -> None:
        self.refusals: list[Refusal] = []
        self.is_failing = False

    async def record(self, refusal: Refusal) -> None:
        if self.is_failing:
            raise OSError("the disk is full")
        self.refusals.append(refusal)


class Passing:
    """An upstream that answers everything with ``answer`` and keeps what it was asked."""

    def __init__(self) -> None:
        self.name = "provider"
        self.asked: list[HttpRequest] = []
        self.answer: HttpResponse | UpstreamFault = HttpResponse(
            200,
            (("content-type", "text/plain"), ("x-provider", "1"), ("connection", "close, x-hop"), ("x-hop", "1")),
            b"ok",
        )

    async def send(self, request: HttpRequest, valid_s: float | None = None) -> HttpResponse | UpstreamFault:
        self.asked.append(request)
        return self.answer


@dataclass
class Reply:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Place:
    """A listener on loopback with everything behind it."""

    def __init__(self, world: SmsWorld, routes: list[SmsRoute], accesses: list[ClientAccess], **options: Any) -> None:
        self.world = world
        self.counts = Counts()
        self.recorder = Recorder()
        self.memory = BodyMemory(options.pop("memory_bytes", 1 << 24))
        self.clients = ClientDirectory(accesses)
        self.front = SmsFront(
            routes=routes,
            pipeline=world.pipeline,
            clients=self.clients,
            dropped=world.dropped,
            memory=self.memory,
            private=frozenset({"x-izin-class"}),
            count=lambda *call: self.counts.calls.append(call),
            **options,
        )
        checks = Checks(
            find_client=self.front.find_client,
            brands=world.pipeline._brands,
            tags=world.pipeline._tags,
            keys=world.keys,
            index=world.index,
            memory=self.memory,
            count=lambda *call: self.counts.calls.append(call),
            clock=lambda: world.now,
        )
        self.confirmed: list[tuple[int, str]] = []

        async def confirm(brand: int, e164: str) -> None:
            self.confirmed.append((brand, e164))

        self.inbound = Inbound(
            [InboundRoute("provider", PlainDialect(), SECRET, confirm=confirm)],
            book=KeywordBook([BrandKeyword(SHOP, "RET ORNEK", "3338", ("Örnek Mağaza",))]),
            recorder=self.recorder,
            keys=world.keys,
            seen=SeenMessages(world.index, NoteSeal({1: b"n" * 32}, 1)),
            memory=self.memory,
            find_peer=self.front.peer_of,
            count=self.counts.inbound.append,
            clock=lambda: world.now,
        )
        app = web.Application()
        app.add_routes(checks.routes())
        app.add_routes(self.inbound.routes())
        self.front.serve(app)
        self.listener = HttpListener(app, self.counts, drain_s=0.1)
        self.url = ""
        self.port = 0

    async def __aenter__(self) -> Self:
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        await self.listener.start(listening)
        self.session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        await self.listener.close()
        self.clients.close()

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        fields = ({"Content-Type": "application/json"} if raw is not None else {}) | {
            name.replace("_", "-"): headers[name] for name in headers
        }
        url = URL(self.url + path, encoded=True)
        async with self.session.request(method, url, data=raw and io.BytesIO(raw), headers=fields) as response:
            return Reply(response.status, await response.read(), dict(response.headers))

    async def raw(self, wire: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(wire)
        answer = await asyncio.wait_for(reader.read(65536), 5)
        writer.close()
        return answer


LOCAL = ClientAccess(SHOP_CLIENT, (ipaddress.ip_network("127.0.0.0/8"),))


@pytest.fixture
async def open_place(make_world: Callable[..., SmsWorld]) -> AsyncIterator[Callable[..., Any]]:
    places: list[Place] = []

    async def open_it(routes: Any = None, accesses: Any = None, **options: Any) -> Place:
        world = make_world()
        await world.consent([YES])
        await world.consent([NO], Status.REJECTED)
        place = Place(
            world, routes(world) if routes else [world.route], [LOCAL] if accesses is None else accesses, **options
        )
        places.append(await place.__aenter__())
        return place

    yield open_it
    for place in places:
        await place.__aexit__()


# -- whose call -------------------------------------------------------------------------------------------------------


async def test_a_client_is_known_by_its_network(open_place: Any) -> None:
    place = await open_place()
    reply = await place.call("POST", "/v1/messages", {"text": "x", "recipients": [YES, NO]})
    assert [entry["outcome"] for entry in reply.json["recipients"]] == ["relayed", "dropped"]
    assert place.counts.calls == [("provider", "send", 200)]


async def test_a_stranger_is_refused_before_its_body_is_read(open_place: Any) -> None:
    place = await open_place(accesses=[ClientAccess(SHOP_CLIENT, (ipaddress.ip_network("192.0.2.0/24"),))])
    wire = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    assert (await place.raw(wire)).startswith(b"HTTP/1.1 401")
    assert (await place.call("POST", "/v1/check", {"recipient": YES})).status == 401


async def test_a_client_is_known_by_its_login(open_place: Any) -> None:
    hashed = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("parola")
    place = await open_place(accesses=[ClientAccess(SHOP_CLIENT, (), "shop", hashed)])
    right, wrong = (base64.b64encode(f"shop:{word}".encode()).decode() for word in ("parola", "yanlis"))
    assert (await place.call("POST", "/v1/check", {"recipient": YES}, Authorization=f"Basic {right}")).status == 200
    assert (await place.call("POST", "/v1/check", {"recipient": YES}, Authorization=f"Basic {wrong}")).status == 401
    assert (await place.call("POST", "/v1/check", {"recipient": YES}, Authorization="Basic %%%")).status == 401
    assert (await place.call("POST", "/v1/check", {"recipient": YES})).status == 401


async def test_a_login_that_was_meant_for_us_does_not_go_upstream(open_place: Any) -> None:
    hashed = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("parola")
    place = await open_place(accesses=[ClientAccess(SHOP_CLIENT, (), "shop", hashed)])
    login = base64.b64encode(b"shop:parola").decode()
    body = {"text": "x", "recipients": [YES]}
    assert (await place.call("POST", "/v1/messages", body, Authorization=f"Basic {login}")).status == 200
    (asked,) = place.world.upstream.asked
    assert asked.header("authorization") is None


async def test_behind_a_trusted_proxy_the_last_forwarded_address_counts(open_place: Any) -> None:
    """What stands before it was written by whoever wanted to."""
    place = await open_place(
        accesses=[ClientAccess(SHOP_CLIENT, (ipaddress.ip_network("192.0.2.7/32"),))],
        forwarded_from=[ipaddress.ip_network("127.0.0.1/32")],
    )
    ask = {"recipient": YES}
    assert (await place.call("POST", "/v1/check", ask, X_Forwarded_For="198.51.100.1, 192.0.2.7")).status == 200
    assert (await place.call("POST", "/v1/check", ask, X_Forwarded_For="192.0.2.7, 198.51.100.1")).status == 401
    assert (await place.call("POST", "/v1/check", ask)).status == 401


async def test_without_a_trusted_proxy_no_forwarded_address_counts(open_place: Any) -> None:
    place = await open_place(accesses=[ClientAccess(SHOP_CLIENT, (ipaddress.ip_network("192.0.2.7/32"),))])
    reply = await place.call("POST", "/v1/check", {"recipient": YES}, X_Forwarded_For="192.0.2.7")
    assert reply.status == 401


# -- which call -------------------------------------------------------------------------------------------------------


async def test_an_unknown_call_is_answered_in_the_dialects_own_form(open_place: Any) -> None:
    place = await open_place()
    reply = await place.call("GET", "/nothing/here")
    assert (reply.status, reply.json["error"]["code"]) == (404, "not_found")


async def test_two_upstreams_are_told_apart_by_prefix(open_place: Any) -> None:
    passing = Passing()
    place = await open_place(lambda world: [world.route, SmsRoute("http", NetgsmDialect(), passing, "/bulk")])
    assert (await place.call("GET", "/bulk/sms/rest/v2/msgheader")).body == b"ok"
    assert passing.asked[0].path == "/sms/rest/v2/msgheader"
    assert (await place.call("GET", "/sms/rest/v2/msgheader")).status == 404
    assert (await place.call("GET", "/bulksms/rest/v2/msgheader")).status == 404


async def test_an_untouched_call_passes_with_its_credentials_and_without_what_is_ours(open_place: Any) -> None:
    passing = Passing()
    place = await open_place(lambda _world: [SmsRoute("http", NetgsmDialect(), passing)])
    reply = await place.call(
        "GET",
        "/sms/rest/v2/msgheader?a=%2F",
        Authorization="Basic eA==",
        X_Izin_Class="commercial",
        X_Forwarded_For="192.0.2.1",
        TE="trailers",
        Connection="keep-alive, X-Mine",
        X_Mine="1",
    )
    (asked,) = passing.asked
    names = {name for name, _ in asked.headers}
    assert asked.header("authorization") == "Basic eA=="
    assert asked.query == "a=%2F"
    assert not names & {"host", "connection", "te", "x-izin-class", "x-forwarded-for", "x-mine", "content-length"}
    assert (reply.status, reply.body, reply.headers.get("x-provider")) == (200, b"ok", "1")
    assert "x-hop" not in {name.lower() for name in reply.headers}


async def test_what_could_send_unchecked_is_refused(open_place: Any) -> None:
    passing = Passing()
    place = await open_place(lambda _world: [SmsRoute("http", NetgsmDialect(), passing)])
    for path in ("/sms/rest/v1/send", "/sms/rest/v2/send/", "/sms/rest/v2/voice"):
        reply = await place.call("POST", path, {"messages": [{"msg": "x", "no": NO}]})
        assert reply.status >= 400
    assert passing.asked == []


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("", {"X-HTTP-Method-Override": "POST"}, b""),
        ("", {"X-Original-URL": "/2010-04-01/Accounts/AC1/Calls.json"}, b""),
        ("?_method=POST", {}, b""),
        ("?%5FMETHOD=post", {}, b""),
        ("", {}, b"POST /2010-04-01/Accounts/AC1/Messages.json HTTP/1.1\r\n\r\n"),
    ],
    ids=["another method", "another path", "in the query", "in the query, escaped", "a body behind GET"],
)
async def test_a_question_does_not_pass_where_a_server_could_take_it_for_a_send(
    open_place: Any, path: str, headers: dict[str, str], body: bytes
) -> None:
    """The list of messages and the call that sends have one path; the method is all that tells them apart."""
    passing = Passing()
    place = await open_place(lambda _world: [SmsRoute("http", TwilioDialect(), passing)])
    address = "/2010-04-01/Accounts/AC1/Messages.json"
    assert (await place.call("GET", address)).body == b"ok"
    passing.asked.clear()
    reply = await place.call("GET", address + path, body or None, **headers)
    assert reply.status == 400
    assert passing.asked == []


async def test_a_report_is_asked_for_whole_and_unpacked(open_place: Any) -> None:
    """We could not put dropped numbers into what we cannot read, and "unchanged" is not true of our part of it."""
    passing = Passing()
    place = await open_place(lambda _world: [SmsRoute("http", NetgsmDialect(), passing)])
    asked = {"Accept_Encoding": "gzip, br", "If_None_Match": '"1"', "Range": "bytes=0-9"}
    await place.call("POST", "/sms/rest/v2/report", {"jobids": ["1"]}, **asked)
    assert not {name for name, _ in passing.asked[-1].headers} & {"accept-encoding", "if-none-match", "range"}
    await place.call("GET", "/sms/rest/v2/msgheader", **asked)
    assert passing.asked[-1].header("accept-encoding") == "gzip, br", "what we do not read may be packed"


@pytest.mark.parametrize("fault", list(UpstreamFault))
async def test_a_provider_without_an_answer_is_the_dialects_fault(open_place: Any, fault: UpstreamFault) -> None:
    passing = Passing()
    passing.answer = fault
    place = await open_place(lambda _world: [SmsRoute("http", NetgsmDialect(), passing)])
    reply = await place.call("GET", "/sms/rest/v2/msgheader")
    assert (reply.status, reply.json["code"]) == (406, "100")


async def test_a_report_shows_whom_we_dropped(open_place: Any) -> None:
    place = await open_place()
    sent = (await place.call("POST", "/v1/messages", {"text": "x", "recipients": [NO, YES]})).json
    report = (await place.call("GET", f"/v1/messages/{sent['id']}")).json
    assert [(entry["to"], entry["outcome"]) for entry in report["recipients"]] == [(YES, "relayed"), (NO, "dropped")]
    minted = (await place.call("POST", "/v1/messages", {"text": "x", "recipients": [NO]})).json
    asked = len(place.world.upstream.asked)
    report = (await place.call("GET", f"/v1/messages/{minted['id']}")).json
    assert [entry["reason"] for entry in report["recipients"]] == ["REFUSED"]
    assert (await place.call("DELETE", f"/v1/messages/{minted['id']}")).json == {"id": minted["id"], "cancelled": 0}
    assert len(place.world.upstream.asked) == asked, "a job of ours is not asked of the provider"


# -- the short way ----------------------------------------------------------------------------------------------------


async def test_calls_of_a_dialect_do_not_pass_through_the_application(
    open_place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused does, and so does what is nobody's."""
    place = await open_place()
    begun: list[tuple[str, bool]] = []
    begin = SmsFront.begin

    def watched(front: SmsFront, request: Any) -> Any:
        answer = begin(front, request)
        begun.append((request.raw_path, answer is not None))
        return answer

    monkeypatch.setattr(SmsFront, "begin", watched)
    body = {"text": "x", "recipients": [YES, NO]}
    sent = (await place.call("POST", "/v1/messages", body)).json
    await place.call("GET", f"/v1/messages/{sent['id']}")
    await place.call("GET", "/nobody")
    assert begun == [("/v1/messages", True), (f"/v1/messages/{sent['id']}", True), ("/nobody", False)]
    again = await place.call("POST", "/v1/messages", body | {"text": "y"})
    assert again.status == 200, "the connection was handed over, and serves on"
    assert len(begun) == 3


async def test_a_path_of_ours_is_never_offered_to_the_dialects(
    open_place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await open_place()
    monkeypatch.setattr(SmsFront, "begin", lambda _front, request: pytest.fail(request.raw_path))
    assert (await place.call("POST", "/v1/check", {"recipient": YES})).status == 200
    assert (await place.call("POST", f"/sms/inbound/{SECRET}", told())).status == 200


async def test_both_ways_refuse_a_stranger_and_give_memory_back(open_place: Any) -> None:
    place = await open_place(accesses=[])
    body = b'{"text":"x","recipients":["' + YES.encode() + b'"]}'
    for fields in (b"", b"Connection: close\r\n"):
        head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n" % (fields, len(body))
        answer = await place.raw(head + body)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"unauthenticated" in answer
    assert place.memory.used_bytes == 0
    assert place.front.in_hand == 0
    assert place.world.upstream.asked == []


# -- framing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wire",
    [
        b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST http://elsewhere/v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"POST //v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\nContent-Length: 0\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: a\r\nContent-Type: b\r\nContent-Length: 0\r\n\r\n",
        b"not http at all\r\n\r\n",
    ],
)
async def test_what_two_readers_could_read_as_two_requests_is_refused(open_place: Any, wire: bytes) -> None:
    place = await open_place()
    answer = await place.raw(wire)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400", b"HTTP/1.1 404"))
    assert place.world.upstream.asked == []


async def test_a_body_beyond_the_limit_is_refused(open_place: Any) -> None:
    from dataclasses import replace

    place = await open_place(lambda world: [replace(world.route, max_body_bytes=1000)])
    reply = await place.call("POST", "/v1/messages", {"text": "x" * 2000, "recipients": [YES]})
    assert (reply.status, reply.json["error"]["code"]) == (413, "too_large")
    assert place.memory.used_bytes == 0


async def test_bodies_share_a_memory_that_is_given_back(open_place: Any) -> None:
    place = await open_place(memory_bytes=500)
    reply = await place.call("POST", "/v1/messages", {"text": "x" * 600, "recipients": [YES]})
    assert reply.status == 503
    assert (await place.call("POST", "/v1/messages", {"text": "x", "recipients": [YES]})).status == 200
    assert place.memory.used_bytes == 0


async def test_a_packed_body_is_refused(open_place: Any) -> None:
    place = await open_place()
    assert (await place.call("POST", "/v1/messages", b"\x1f\x8b", Content_Encoding="gzip")).status == 400


# -- checks -----------------------------------------------------------------------------------------------------------


async def test_a_check_says_what_sending_would_decide(open_place: Any) -> None:
    place = await open_place()
    one = (await place.call("POST", "/v1/check", {"recipient": NO})).json
    assert (one["permitted"], one["reason"], one["freshness"], one["staleness_s"]) == (False, "REFUSED", "fresh", 60)
    many = (await place.call("POST", "/v1/check", {"recipients": [NO, "x", YES] * 3000})).json
    assert [entry["reason"] for entry in many["results"][-3:]] == ["REFUSED", "ADDRESS_INVALID", "CONSENT"]
    assert (many["recipients"], many["permitted"]) == (9000, 3000)
    assert place.world.upstream.asked == []


async def test_each_channel_has_its_own_consents(open_place: Any) -> None:
    place = await open_place()
    await place.world.consent([NO], channel=Channel.CALL)
    for channel, permitted in (("MESAJ", False), ("ARAMA", True)):
        reply = await place.call("POST", "/v1/check", {"recipient": NO, "channel": channel})
        assert reply.json["permitted"] is permitted
    reply = await place.call("POST", "/v1/check", {"recipient": "biri@example.com", "channel": "EPOSTA"})
    assert reply.json["reason"] == "NO_CONSENT"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"recipient": YES, "recipients": [YES]},
        {"recipients": []},
        {"recipients": [1]},
        {"recipients": YES},
        {"recipient": YES, "channel": "SMS"},
        {"recipient": YES, "Recipient": YES},
        {"recipient": YES, "class": "promo"},
        {"recipients": [YES] * 100_001},
        {"recipient": "1" * 400},
        [YES],
    ],
)
async def test_a_check_that_is_not_plain_is_refused(open_place: Any, body: Any) -> None:
    place = await open_place()
    assert (await place.call("POST", "/v1/check", body)).status == 400


async def test_a_check_for_a_brand_that_is_not_the_clients_is_refused(open_place: Any) -> None:
    place = await open_place(accesses=[ClientAccess(Client("other", (SHOP + 1,)), LOCAL.networks)])
    assert (await place.call("POST", "/v1/check", {"recipient": YES, "brand": SHOP})).status == 403


async def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_fault_of_ours(open_place: Any) -> None:
    """Whoever drops connections fills no log with faults and tracebacks, and nothing is kept of the body."""
    place = await open_place()
    with structlog.testing.capture_logs() as logged:
        _, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{" + b" " * 50_000)
        await writer.drain()
        async with asyncio.timeout(5):
            while not place.front.in_hand:
                await asyncio.sleep(0.01)
            writer.close()
            while place.front.in_hand:
                await asyncio.sleep(0.01)
    assert [line for line in logged if line["log_level"] == "error"] == []
    assert place.memory.used_bytes == 0


# -- refusals by SMS --------------------------------------------------------------------------------------------------


def told(text: str = "RET ORNEK", message_id: str = "mo-1", sender: str = YES) -> dict[str, str]:
    return {"id": message_id, "from": sender, "to": "3338", "text": text}


async def test_a_refusal_is_recorded_and_confirmed(open_place: Any) -> None:
    place = await open_place()
    reply = await place.call("POST", f"/sms/inbound/{SECRET}", told())
    assert (reply.status, reply.json) == (200, {"taken": True})
    (refusal,) = place.recorder.refusals
    assert (refusal.brand, refusal.channel, refusal.source) == (SHOP, Channel.SMS, "HS_MESAJ")
    assert refusal.address == YES.encode()
    assert refusal.received_at == NOW
    await place.inbound.close()
    assert place.confirmed == [(SHOP, YES)]


async def test_a_message_told_twice_counts_once(open_place: Any) -> None:
    """An old refusal told again must not undo a consent given since."""
    place = await open_place()
    for _ in range(3):
        assert (await place.call("POST", f"/sms/inbound/{SECRET}", told())).status == 200
    assert len(place.recorder.refusals) == 1
    await place.call("POST", f"/sms/inbound/{SECRET}", told(message_id="mo-2"))
    assert len(place.recorder.refusals) == 2
    assert place.counts.inbound == ["refusal", "repeated", "repeated", "refusal"]


async def test_two_people_under_one_id_both_refuse(open_place: Any) -> None:
    """A provider that counts anew after a restart must not cost anybody their refusal."""
    place = await open_place()
    for sender in (YES, number(77), YES):
        reply = await place.call("POST", f"/sms/inbound/{SECRET}", told(sender=sender))
        assert (reply.status, reply.json) == (200, {"taken": True})
    assert [refusal.address for refusal in place.recorder.refusals] == [YES.encode(), number(77).encode()]


@pytest.mark.parametrize("sender", ["4915112345678", "+4915112345678", "004915112345678"])
async def test_a_refusal_from_abroad_counts_however_its_number_is_written(open_place: Any, sender: str) -> None:
    """Told that it was taken, the provider would not come again."""
    place = await open_place()
    assert (await place.call("POST", f"/sms/inbound/{SECRET}", told(sender=sender))).status == 200
    assert [refusal.address for refusal in place.recorder.refusals] == [b"+4915112345678"]


async def test_a_refusal_that_is_not_durable_is_not_confirmed_and_may_come_again(open_place: Any) -> None:
    place = await open_place()
    place.recorder.is_failing = True
    assert (await place.call("POST", f"/sms/inbound/{SECRET}", told())).status == 503
    place.recorder.is_failing = False
    assert (await place.call("POST", f"/sms/inbound/{SECRET}", told())).status == 200
    assert len(place.recorder.refusals) == 1
    await place.inbound.close()
    assert len(place.confirmed) == 1


async def test_every_refusal_of_a_large_push_counts(open_place: Any) -> None:
    """Told to come again, the provider would bring the same messages, and the last of them would never be heard."""
    place = await open_place()
    place.inbound._routes = (InboundRoute("provider", VerimorDialect(), SECRET),)
    pushed = [
        {
            "type": "inbound",
            "message_id": n,
            "created_at": "2026-01-31 10:00:00",
            "network": "TURKCELL",
            "source_addr": number(n).removeprefix("+"),
            "destination_addr": "3338",
            "keyword": "RET",
            "content": "RET ORNEK",
            "received_at": "2026-01-31 10:00:00",
        }
        for n in range(1, 1102)
    ]
    assert (await place.call("POST", f"/sms/inbound/{SECRET}", pushed)).status == 200
    assert len({refusal.address for refusal in place.recorder.refusals}) == 1101


@pytest.mark.parametrize("path", ["/sms/inbound/wrong-end-of-a-path", f"/sms/inbound/{SECRET}x", "/sms/inbound/"])
async def test_nobody_without_the_secret_refuses_for_others(open_place: Any, path: str) -> None:
    place = await open_place()
    assert (await place.call("POST", path, told())).status == 404
    assert place.recorder.refusals == []


async def test_other_talk_is_taken_and_refuses_nothing(open_place: Any) -> None:
    place = await open_place()
    for n, text in enumerate(["kargom nerede", "iptal etmeyin", "evet", "ONAY ORNEK"]):
        assert (await place.call("POST", f"/sms/inbound/{SECRET}", told(text, f"mo-{n}"))).status == 200
    assert place.recorder.refusals == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"id":"1","from":"x","to":"3338"}', b'{"id":1,"from":2,"text":3}']
)
async def test_a_webhook_nobody_can_read_is_refused(open_place: Any, body: bytes) -> None:
    place = await open_place()
    assert (await place.call("POST", f"/sms/inbound/{SECRET}", body)).status == 400
    assert place.recorder.refusals == []


# -- the description --------------------------------------------------------------------------------------------------


def test_the_description_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(OPENAPI).validate()


def fits(schema: str, value: Any) -> None:
    document = {"$ref": f"#/components/schemas/{schema}", "components": OPENAPI["components"]}
    Draft202012Validator(document).validate(value)


async def test_requests_and_answers_are_as_described(open_place: Any) -> None:
    place = await open_place()
    body = {
        "text": "x",
        "recipients": [YES, {"to": NO, "text": "y", "reference": "r"}, "bozuk"],
        "sender": "ORNEK",
        "class": "commercial",
        "recipient_type": "individual",
        "brand": SHOP,
        "campaign": "bahar",
        "kind": "plain",
        "encoding": "auto",
        "dry_run": False,
    }
    fits("Message", body)
    sent = (await place.call("POST", "/v1/messages", body)).json
    fits("Answer", sent)
    fits("Report", (await place.call("GET", f"/v1/messages/{sent['id']}")).json)
    fits("Fault", (await place.call("POST", "/v1/messages", {})).json)
    ask = {"recipients": [YES, NO], "channel": "MESAJ", "brand": SHOP}
    fits("Check", ask)
    fits("CheckedList", (await place.call("POST", "/v1/check", ask)).json)
    fits("Checked", (await place.call("POST", "/v1/check", {"recipient": YES})).json)
