"""Every code of the registry's error list: provoked by a request, or by a switch where no request leads to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from loadtest.registry.rules.codes import CODES
from tests.support.registry_world import BRAND, CONSENTS, RegistryWorld, item, key, retailer

BULK = CONSENTS + "/request"
MULTI = CONSENTS + "/BIREYSEL/status/EPOSTA"
ACCESS = CONSENTS + "/retailers/access"
PUSH = BRAND + "/push/registration"
RETAILERS = BRAND + "/retailers"
AGREEMENT = BRAND + "/agreements/2026-11-17"
LONG_PHONE = "+9053212345678901"

Prepare = Callable[[RegistryWorld], Awaitable[None]]


class Case(NamedTuple):
    """A request and the code it meets. ``before`` sets the scene."""

    code: str
    method: str
    path: str
    body: Any = None
    before: Prepare | None = None


def subscribed(**changes: Any) -> Prepare:
    """The provider's subscription with ``changes``; none at all without."""

    async def prepare(world: RegistryWorld) -> None:
        document = await world.sim("GET", "world")
        document["providers"][0]["subscription"] = changes or None
        await world.sim("PUT", "world", document)

    return prepare


def removed(kind: str) -> Prepare:
    """The server forgets what the token still names."""

    async def prepare(world: RegistryWorld) -> None:
        document = await world.sim("GET", "world")
        document[kind] = document[kind][1:]
        await world.sim("PUT", "world", document)

    return prepare


def added(*items: dict[str, Any]) -> Prepare:
    async def prepare(world: RegistryWorld) -> None:
        for each in items:
            assert (await world.call("POST", CONSENTS, each)).status == 200

    return prepare


def dealers(*made: dict[str, Any]) -> Prepare:
    async def prepare(world: RegistryWorld) -> None:
        for each in made:
            assert (await world.call("POST", RETAILERS, each)).status == 201

    return prepare


async def logged_out(world: RegistryWorld) -> None:
    world.token = "x.y.z"


async def as_partner(world: RegistryWorld) -> None:
    await world.login("ortak@partner.example")


async def as_small_partner(world: RegistryWorld) -> None:
    document = await world.sim("GET", "world")
    partner = next(each for each in document["users"] if each["role"] == "partner")
    partner["rights"] = [{"brand": 600123, "channels": ["MESAJ"], "has_agreement_control": False}]
    await world.sim("PUT", "world", document)
    await as_partner(world)


async def as_partner_without_contract(world: RegistryWorld) -> None:
    document = await world.sim("GET", "world")
    document["providers"] = [each for each in document["providers"] if each["iys_code"] != 900001]
    await world.sim("PUT", "world", document)
    await as_partner(world)


async def used_dealer(world: RegistryWorld) -> None:
    await dealers(retailer())(world)
    await added(item(retailerCode=10_000_001))(world)


async def limited(world: RegistryWorld) -> None:
    await world.sim("PUT", "settings", {"is_limiting": True, "requests_per_second": 1000})


async def out_of_status(world: RegistryWorld) -> None:
    await limited(world)
    await world.sim("PUT", "settings", {"status_requests_per_hour": 0, "history_requests_per_hour": 0})


async def out_of_seconds(world: RegistryWorld) -> None:
    await limited(world)
    await world.sim("PUT", "settings", {"requests_per_second": 0})


async def out_of_tokens(world: RegistryWorld) -> None:
    await limited(world)
    await world.sim("PUT", "settings", {"token_requests_per_hour": 0})


def connection(**changes: Any) -> dict[str, Any]:
    made = {"url": "https://127.0.0.1:9/push", "type": "EPOSTA", "username": "u", "password": "p"} | changes
    return {"connection": [{name: value for name, value in made.items() if value is not ...}]}


def add(code: str, before: Prepare | None = None, **changes: Any) -> Case:
    return Case(code, "POST", CONSENTS, item(**changes), before)


def dealer(code: str, before: Prepare | None = None, **changes: Any) -> Case:
    return Case(code, "POST", RETAILERS, retailer(**changes), before)


TACIR = item(recipientType="TACIR")
CASES = [
    # Form of the request
    Case("H014", "POST", CONSENTS, b"{"),
    Case("H085", "POST", CONSENTS, []),
    Case("H090", "POST", ACCESS, []),
    Case("H092", "POST", BULK, {"consents": [item()]}),
    Case("H092", "POST", BULK, []),
    Case("H095", "POST", PUSH, []),
    Case("H097", "POST", CONSENTS + "/status", []),
    Case("H098", "GET", CONSENTS + "/changes?after=2026-11-18"),
    Case("H171", "PUT", ACCESS, []),
    Case("H172", "POST", ACCESS + "/remove", []),
    Case("H172", "POST", ACCESS + "/remove/all", []),
    Case("H173", "POST", BRAND + "/consent/retailers/access/list", []),
    Case("H403", "POST", MULTI, ["ayse@example.com"]),
    add("H118", name="Ayşe"),
    # Missing
    add("H110", status=...),
    add("H111", type=...),
    add("H112", consentDate=...),
    add("H113", source=...),
    add("H114", recipient=...),
    Case("H168", "POST", MULTI, {}),
    Case("H169", "POST", ACCESS, key()),
    Case("H170", "POST", CONSENTS + "/status", key(recipientType=...)),
    Case("H093", "POST", PUSH, connection(username=...)),
    Case("H093", "POST", PUSH, connection(password="")),
    add("H266", retailerCode=None),
    add("H267", retailerCode=""),
    # Wrong value
    add("H115", status="RED"),
    add("H116", recipientType="BİREYSEL"),
    add("H117", type="SMS"),
    add("H119", source="IYS_WEB"),
    add("H120", recipient="ayşe@example.com"),
    add("H121", type="MESAJ", recipient="05321234567"),
    add("H121", type="MESAJ", recipient="ayse@example.com"),
    add("H122", recipient=5),
    add("H160", type="MESAJ", recipient=LONG_PHONE),
    Case("H166", "POST", CONSENTS + "/status", key(type="ARAMA", recipient=LONG_PHONE)),
    Case("H464", "POST", CONSENTS + "/BIREYSEL/status/MESAJ", {"recipients": ["ayse@example.com"]}),
    Case("H478", "POST", MULTI, {"recipients": "ayse@example.com"}),
    Case("H190", "GET", "/sps/shop/brands"),
    Case("H191", "POST", "/sps/600123/brands/shop/consents", item()),
    add("H486", source="HS_KARAR", status="RET"),
    # Dates
    add("H155", source="HS_2015", consentDate="2015-05-01 00:00:01"),
    add("H156", consentDate="2015-04-30 23:59:59"),
    add("H157", consentDate="2026-02-29 10:00:00"),
    add("H158", consentDate="2026-11-18 10:00:00 "),
    add("H158", consentDate="2026-11-18T10:00:00"),
    add("H162", consentDate="2026-11-18 12:00:01"),
    add("H467", consentDate="2026-11-12 23:59:59"),
    Case("H501", "GET", BRAND + "/agreements/17.11.2026"),
    Case("H502", "GET", BRAND + "/agreements/2026-11-18"),
    Case("H502", "GET", BRAND + "/agreements/2026-11-10"),
    # Lists
    Case("H091", "POST", BULK, [item(recipient=f"a{number}@example.com") for number in range(1001)]),
    Case("H126", "POST", ACCESS, key(retailerAccess=list(range(10_000_000, 10_000_101)))),
    Case("H127", "POST", ACCESS + "/remove/all", key() | {"recipients": [f"a{n}@example.com" for n in range(101)]}),
    add("H163", retailerAccess=[]),
    Case("H164", "POST", MULTI, {"recipients": []}),
    Case("H193", "POST", MULTI, {"recipients": ["ayse@example.com", "AYSE@example.com"]}),
    Case("H194", "POST", BULK, [item(), item(status="RET")]),
    # State
    add("H174", added(item(), item(status="RET", consentDate="2026-11-18 10:00:01")), status="RET"),
    add("H174", added(item())),
    add("H175", status="RET"),
    add("H178", added(item()), status="RET", consentDate="2026-11-18 09:59:59"),
    Case("H401", "POST", ACCESS, key(retailerAccess=[10_000_001]), dealers(retailer())),
    Case(
        "H462", "POST", CONSENTS, {name: value for name, value in TACIR.items() if name != "consentDate"}, added(TACIR)
    ),
    Case("H463", "POST", CONSENTS, {name: value for name, value in TACIR.items() if name != "source"}, added(TACIR)),
    add("H408", source="HS_KARAR"),
    add("H525", subscribed(consent_limit=0, is_exceeding_allowed=False)),
    Case("H525", "POST", BULK, [item()], subscribed(consent_limit=0, is_exceeding_allowed=False)),
    # Paging
    Case("H182", "GET", RETAILERS + "?offset=x"),
    Case("H183", "POST", CONSENTS + "/history?limit=-1", key()),
    Case("H184", "GET", RETAILERS + "?all=maybe"),
    Case("H185", "GET", RETAILERS + "?short=maybe"),
    Case("H186", "POST", CONSENTS + "/history?limit=101", key()),
    Case("H187", "POST", CONSENTS + "/history?limit=0", key()),
    Case("H506", "GET", CONSENTS + "/changes?source=iys"),
    Case("H507", "GET", CONSENTS + "/changes?limit=1001"),
    Case("H507", "GET", CONSENTS + "/changes?limit=0"),
    # Id of a bulk request
    Case("H198", "GET", BULK + "/" + "a1" * 19),
    Case("H199", "GET", BULK + "/abcdef"),
    Case("H400", "GET", BULK + "/123456"),
    # Rights
    Case("H351", "GET", "/sps/600123/brands", None, logged_out),
    Case("H353", "GET", "/sps/700456/brands"),
    Case("H353", "POST", "/sps/600123/brands/700456/consents", item()),
    add("H180", retailerCode=10_000_009),
    add("H180", retailerAccess=[10_000_009]),
    Case("H195", "POST", CONSENTS, item(), removed("brands")),
    Case("H196", "POST", CONSENTS, item(), removed("providers")),
    add("H520", subscribed(status="PAUSED")),
    add("H520", subscribed(status="EXPIRED")),
    add("H521", subscribed(status="CLOSED")),
    add("H524", subscribed()),
    add("H586", subscribed(has_api=False)),
    Case("H355", "POST", CONSENTS, item(), as_small_partner),
    Case("H355", "GET", AGREEMENT, None, as_small_partner),
    Case("H363", "GET", "/integrator/900001/sps"),
    Case("H522", "GET", "/integrator/900001/subscription"),
    Case("H129", "GET", "/integrator/900002/sps", None, as_partner),
    Case("H031", "GET", "/integrator/900001/sps/1", None, as_partner),
    Case("H437", "GET", "/integrator/900001/subscription", None, as_partner_without_contract),
    Case("H001", "GET", "/sps/1/brands"),
    Case("H018", "GET", "/sps/600123/brands/1/retailers"),
    Case("H058", "GET", RETAILERS + "/10000009"),
    # Limits
    Case("H084", "POST", "/oauth2/token", {"grant_type": "password"}, out_of_tokens),
    Case("H086", "POST", CONSENTS + "/status", key(), out_of_status),
    Case("H089", "POST", CONSENTS + "/history", key(), out_of_status),
    Case("H124", "GET", "/sps/600123/brands", None, out_of_seconds),
    # Server
    Case("H061", "DELETE", RETAILERS + "/10000001", None, used_dealer),
    # Reconciliation, push
    Case("H512", "PUT", AGREEMENT, {"agreementStatus": False}),
    Case("H530", "POST", PUSH, connection()),
    Case("H531", "POST", PUSH, connection(url="http://127.0.0.1:9/push")),
    # Dealers
    dealer("H016", title=5),
    dealer("H017", title="x" * 256),
    dealer("H201", status="pending"),
    dealer("H214", title=" "),
    dealer("H215", name=""),
    dealer("H216", tckn=...),
    dealer("H217", city=...),
    dealer("H218", city={"name": "Yalova"}),
    dealer("H219", city={"code": 77}),
    dealer("H220", town=...),
    dealer("H221", town={"name": "Termal"}),
    dealer("H222", town={"code": 945}),
    dealer("H224", mobile="0532"),
    dealer("H225", tckn="1000000014"),
    dealer("H226", tckn="00000000146"),
    dealer("H227", mersis="1"),
    dealer("H228", mersis="x" * 16),
    dealer("H229", alias="!"),
    dealer("H230", dealers(retailer())),
    dealer("H231", dealers(retailer(mersis="1" * 16)), tckn="10000000147", mersis="1" * 16),
    dealer("H243", tin="123456789x"),
    dealer("H244", tin="123"),
    dealer("H288", tin=...),
    dealer("H253", dealers(retailer(status="passive"))),
]

SWITCHED = {
    "H067": "there are codes for 3000 dealers of a brand; filling them takes longer than a test may",
    "H082": "the server's own look-up of word lists fails",
    "H083": "the older name of H124",
    "H123": "the server is busy",
    "H125": "the same meaning as H091",
    "H176": "administrators cannot log in here",
    "H192": "the server is too slow for itself",
    "H197": "a search call that is not described any more",
    "H241": "the server's own look-up of word lists fails",
    "H245": "which call asks for partner groups is not described",
    "H250": "shown under the dealer calls only, where a token is asked for first",
    "H251": "shown under the dealer calls only, where a token is asked for first",
    "H252": "shown under the dealer calls only, where a token is asked for first",
    "H268": "which call asks for a provider's partner is not described",
    "H402": "the partner's query has no body that could be wrong",
    "H404": "a search call that is not described any more",
    "H405": "the brand query has no body that could be wrong",
    "H450": "of a consent flow that is not described any more",
    "H459": "of a consent flow that is not described any more",
    "H503": "the old code for a wrong recipient type in the summary; today H116",
    **dict.fromkeys(("H452", "H453", "H454", "H455", "H456", "H460", "H465"), "of a consent flow that is gone"),
    **dict.fromkeys(
        (
            "H015", "H060", "H062", "H100", "H101", "H102", "H103", "H105", "H106", "H107", "H179", "H181", "H412",
            "H470", "H476",
        ),
        "a fault inside the server",
    ),
}  # fmt: skip
"""Codes that no request leads to, with the reason: the switch under ``/_sim/faults`` gives them."""

INSIDE_AN_ANSWER = {"H568": "an entry in the list of opt-out links; see test_links.py"}


@pytest.mark.parametrize("case", CASES, ids=[f"{each.code}-{number}" for number, each in enumerate(CASES)])
async def test_a_request_meets_its_code(world: RegistryWorld, case: Case) -> None:
    """Code and status are those of the error list, in the envelope of section 1.1."""
    if case.before is not None:
        await case.before(world)
    reply = await world.call(case.method, case.path, case.body)
    assert case.code in reply.codes
    assert reply.status == CODES[case.code].status
    entries = [reply.body] if case.code == "H084" else reply.body["errors"]
    assert all(set(each) <= {"code", "message", "location", "value", "index"} and each["message"] for each in entries)


@pytest.mark.parametrize("code", sorted(SWITCHED))
async def test_a_switch_gives_the_codes_that_no_request_meets(world: RegistryWorld, code: str) -> None:
    """One call is answered with the code, the next one as ever."""
    await world.sim("PUT", "faults", {"faults": [{"kind": "code", "code": code, "count": 1}]})
    reply = await world.call("GET", "/sps/600123/brands")
    assert (reply.status, reply.codes) == (CODES[code].status, [code])
    assert (await world.call("GET", "/sps/600123/brands")).status == 200


def test_no_code_is_forgotten() -> None:
    """Each code of the list is provoked by a request or a switch, and none is in both."""
    asked = {case.code for case in CASES}
    assert asked | SWITCHED.keys() | INSIDE_AN_ANSWER.keys() == CODES.keys()
    assert not asked & SWITCHED.keys()
