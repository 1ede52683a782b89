"""Consents that a sender hands over for the registry, on their way from its request to the registry and home again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapters.store import Store
from filters.client import Client
from filters.exchange import Refusal
from filters.registry.words import render_time
from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.http import HttpRequest
from filters.vocabulary import Channel, RecipientType, Status
from gateway.registry.registering import Registering
from gateway.registry.registering_api import ConsentsApi
from gateway.sms.exchange import BodyMemory
from tests.support.registry_world import RegistryWorld
from tests.support.reporting_world import BRAND, DAY_S, HOLIDAYS, KEYS, SEAL, ReportingWorld

AYSE = "ayse@example.com"
Post = Callable[..., Any]


@pytest.fixture
async def world(lmdb_store: Store) -> AsyncIterator[ReportingWorld]:
    """Registry, store and reporter under one clock that stands at noon of a Wednesday."""
    async with RegistryWorld(holidays=HOLIDAYS) as registry:
        made = ReportingWorld(registry, lmdb_store)
        yield made
        await made.close()


def make_registering(world: ReportingWorld) -> Registering:
    async def record(refusals: Any) -> None:
        for refusal in refusals:
            assert isinstance(refusal, Refusal)
            await world.refusals.record(refusal)

    return Registering(world.store, world.notes, KEYS, SEAL, world.calendar, record, clock=world.now)


@pytest.fixture
async def post(world: ReportingWorld) -> AsyncIterator[Post]:
    """Asks the API as the client ``shop``; ``post(rows)``, ``post(id="…")``."""

    async def find_client(request: web.Request, head: HttpRequest) -> Client:
        if head.header("authorization") is None:
            raise RequestRefusedError(Fault.UNAUTHENTICATED, "this client is not known to the gateway")
        return Client("shop", (BRAND,))

    api = ConsentsApi(
        find_client=find_client,
        brands=[BRAND],
        registering=make_registering(world),
        notes=world.notes,
        memory=BodyMemory(1 << 24),
        count=lambda *_: None,
    )
    app = web.Application()
    app.add_routes(api.routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/consents"
    async with aiohttp.ClientSession() as session:

        async def ask(
            body: Any = None, *, item_id: str = "", query: str = "", headers: dict[str, str] | None = None
        ) -> tuple[int, Any]:
            sent = {"Authorization": "x", "Content-Type": "application/json"} | (headers or {})
            sent = {name: value for name, value in sent.items() if value}
            if item_id:
                async with session.get(f"{base}/{item_id}", headers=sent) as answer:
                    return answer.status, await answer.json()
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            async with session.post(base + query, data=data, headers=sent) as answer:
                return answer.status, await answer.json()

        yield ask
    await runner.cleanup()


def row(world: ReportingWorld, **changes: Any) -> dict[str, Any]:
    made = {
        "recipient": AYSE,
        "type": "EPOSTA",
        "recipientType": "BIREYSEL",
        "status": "ONAY",
        "source": "HS_WEB",
        "consentDate": render_time(int(world.now()) - 3600),
    }
    return {name: value for name, value in (made | changes).items() if value is not ...}


async def test_a_consent_handed_over_is_registered_and_only_then_in_force(world: ReportingWorld, post: Post) -> None:
    """From the request to the registry, and what became of it asked by its id."""
    status, told = await post([row(world)])
    assert (status, told["accepted"]) == (202, 1)
    item_id = told["items"][0]["id"]
    assert (await post(item_id=item_id))[1]["state"] == "waiting"
    assert await world.state(AYSE) == {}
    await world.work()
    assert world.stored(AYSE) == ("ONAY", "HS_WEB")
    assert (await world.state(AYSE))[Channel.EMAIL, RecipientType.INDIVIDUAL].status is Status.APPROVED
    assert (await post(item_id=item_id))[1]["state"] == "stored"


async def test_a_refusal_handed_over_is_in_force_at_once(world: ReportingWorld, post: Post) -> None:
    world.consented(AYSE)
    await post([row(world, status="RET")])
    held = (await world.state(AYSE))[Channel.EMAIL, RecipientType.INDIVIDUAL]
    assert (held.status, held.own) == (Status.REJECTED, True)
    await world.work()
    assert world.stored(AYSE) == ("RET", "HS_WEB")


async def test_an_old_refusal_is_in_force_though_its_report_is_late(world: ReportingWorld, post: Post) -> None:
    """A refusal is never refused for being late."""
    _, told = await post([row(world, status="RET", consentDate=render_time(int(world.now()) - 30 * DAY_S))])
    assert told["accepted"] == 1
    assert (await world.state(AYSE))[Channel.EMAIL, RecipientType.INDIVIDUAL].status is Status.REJECTED


async def test_lines_of_json_are_taken_as_a_list_is(world: ReportingWorld, post: Post) -> None:
    lines = b"\n".join(json.dumps(row(world, recipient=f"kisi{n}@example.com")).encode() for n in range(3))
    status, told = await post(lines + b"\n", headers={"Content-Type": "application/x-ndjson"})
    assert (status, told["accepted"]) == (202, 3)
    assert len(await world.waiting()) == 3


async def test_the_same_consent_twice_is_one(world: ReportingWorld, post: Post) -> None:
    first = (await post([row(world)]))[1]["items"][0]["id"]
    again = (await post([row(world)]))[1]["items"][0]["id"]
    assert first == again
    assert len(await world.waiting()) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"recipient": "ayse@"}, "H120"),
        ({"recipient": ...}, "H114"),
        ({"recipient": None}, "H120"),
        ({"type": "MESAJ"}, "H121"),
        ({"type": "MESAJ", "recipient": "05321234567"}, "H121"),
        ({"type": "MESAJ", "recipient": "+9005321234567"}, "H121"),
        ({"type": "email"}, "H117"),
        ({"type": ...}, "H111"),
        ({"recipientType": "KISI"}, "H116"),
        ({"status": "RED"}, "H115"),
        ({"status": ...}, "H110"),
        ({"source": ...}, "H113"),
        ({"source": "IYS_WEB"}, "H119"),
        ({"source": "HS_KARAR"}, "H408"),
        ({"consentDate": ...}, "H112"),
        ({"consentDate": "18.11.2026 10:00"}, "H158"),
        ({"consentDate": "2026-11-18 10:00:00 "}, "H158"),
        ({"consentDate": "2026-02-30 10:00:00"}, "H157"),
        ({"consentDate": "2014-11-18 10:00:00"}, "H156"),
        ({"consentDate": "2027-11-18 10:00:00"}, "H162"),
        ({"consentDate": "2026-11-10 10:00:00"}, "H467"),
        ({"source": "HS_2015"}, "H155"),
        ({"retailerCode": ""}, "H267"),
        ({"retailerCode": 12}, "H180"),
        ({"retailerAccess": []}, "H163"),
        ({"name": "Ayşe"}, "H118"),
    ],
    ids=str,
)
async def test_a_bad_row_is_told_by_the_registrys_own_code(
    world: ReportingWorld, post: Post, changes: dict[str, Any], code: str
) -> None:
    """Found here, before it could count against the account; the good row beside it is taken."""
    status, told = await post([row(world, **changes), row(world, recipient="fatma@example.com")])
    assert status == 202
    assert code in told["items"][0]["codes"]
    assert "id" in told["items"][1]
    assert len(await world.waiting()) == 1


async def test_what_the_registry_refuses_later_comes_home(world: ReportingWorld, post: Post) -> None:
    """A dealer it does not know: H180, with the consent's own id."""
    _, told = await post([row(world, retailerCode=12345678)])
    await world.work()
    _, state = await post(item_id=told["items"][0]["id"])
    assert (state["state"], state["code"]) == ("refused", "H180")
    assert await world.parked() == {"H180": 1}


async def test_a_list_without_a_good_row_is_refused(world: ReportingWorld, post: Post) -> None:
    status, told = await post([row(world, status="RED")])
    assert (status, told["accepted"], told["refused"]) == (422, 0, 1)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"[", b"\xff", b'[{"a":1}]x', b"null", b'"a"', b"[" * 100_000])
async def test_what_is_no_list_is_refused_as_a_whole(post: Post, body: bytes) -> None:
    status, told = await post(body)
    assert status == 400
    assert "example" not in json.dumps(told)


async def test_a_stranger_hands_over_nothing(world: ReportingWorld, post: Post) -> None:
    status, _ = await post([row(world)], headers={"Authorization": ""})
    assert status == 401
    assert await world.waiting() == []


async def test_another_brand_is_not_this_clients(world: ReportingWorld, post: Post) -> None:
    """Consents of one brand never answer for another."""
    assert (await post([row(world)], query="?brand=600124"))[0] == 403
    assert (await post([row(world)], query="?brand=600123"))[0] == 202
    assert (await post([row(world)], query="?marka=600123"))[0] == 400


async def test_an_unknown_id_is_not_found(post: Post) -> None:
    assert (await post(item_id="0" * 32))[0] == 404
    assert (await post(item_id="x"))[0] == 404


async def test_the_note_names_nobody(world: ReportingWorld, post: Post) -> None:
    """A dump of the store shows no address (KVKK)."""
    _, told = await post([row(world)])
    _, state = await post(item_id=told["items"][0]["id"])
    assert AYSE not in json.dumps(state)
    assert all(AYSE.encode() not in item.sealed for item in await world.waiting())
