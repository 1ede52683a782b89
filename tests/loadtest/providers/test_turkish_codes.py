"""Simulated Netgsm, İleti Merkezi and Verimor refuse with every code that the reference lists for them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from filters.sms.http import HttpRequest, HttpResponse
from loadtest.providers.iletimerkezi import IletiMerkeziSimulator
from loadtest.providers.netgsm import NetgsmSimulator
from loadtest.providers.verimor import VerimorSimulator
from tests.support.sms_provider import RunningProvider

JSON = ("content-type", "application/json")


def basic(user: str, password: str) -> tuple[str, str]:
    import base64

    return ("authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())


@pytest.fixture
async def netgsm() -> AsyncIterator[RunningProvider]:
    async with RunningProvider(NetgsmSimulator(seed=1, sends_a_minute=3)) as running:
        yield running


@pytest.fixture
async def iletimerkezi() -> AsyncIterator[RunningProvider]:
    async with RunningProvider(IletiMerkeziSimulator(seed=1)) as running:
        yield running


@pytest.fixture
async def verimor() -> AsyncIterator[RunningProvider]:
    async with RunningProvider(VerimorSimulator(seed=1)) as running:
        yield running


# -- Netgsm ----------------------------------------------------------------------------------------------------------


async def ask_netgsm(
    provider: RunningProvider, path: str, body: Any, user: str = "8500000001", password: str = "sifre-1"
) -> tuple[int, str]:
    request = HttpRequest("POST", f"/sms/rest/v2/{path}", "", (JSON, basic(user, password)), json.dumps(body).encode())
    answer = await provider.ask(request)
    return answer.status, json.loads(answer.body)["code"]


def netgsm_body(**fields: Any) -> dict[str, Any]:
    return {"msgheader": "ORNEK", "iysfilter": "11", "messages": [{"msg": "a", "no": "5321110001"}], **fields}


@pytest.mark.parametrize(
    ("fields", "user", "password", "code"),
    [
        ({"messages": [{"msg": "a" * 918, "no": "5321110001"}]}, "8500000001", "sifre-1", "20"),
        ({}, "8500000001", "falsch", "30"),
        ({"msgheader": "YABANCI"}, "8500000001", "sifre-1", "40"),
        ({}, "8500000002", "sifre-2", "50"),
        ({}, "8500000003", "sifre-3", "51"),
        ({"messages": []}, "8500000001", "sifre-1", "70"),
        ({"iysfilter": "13"}, "8500000001", "sifre-1", "70"),
    ],
)
async def test_netgsm_refuses_with_406(
    netgsm: RunningProvider, fields: dict[str, Any], user: str, password: str, code: str
) -> None:
    """One code for each fault, all with HTTP 406, and nothing is taken."""
    assert await ask_netgsm(netgsm, "send", netgsm_body(**fields), user, password) == (406, code)
    assert await netgsm.sent() == []


async def test_netgsm_limits_sends_and_reports(netgsm: RunningProvider) -> None:
    """80 where too many come within a minute, 60 where nothing is found."""
    for _ in range(3):
        assert (await ask_netgsm(netgsm, "send", netgsm_body()))[1] == "00"
    assert await ask_netgsm(netgsm, "send", netgsm_body()) == (406, "80")
    for _ in range(10):
        assert await ask_netgsm(netgsm, "report", {"jobids": ["1"]}) == (406, "60")
    assert await ask_netgsm(netgsm, "report", {"jobids": ["1"]}) == (406, "80")
    await netgsm.tell("clock", seconds=61)
    assert (await ask_netgsm(netgsm, "send", netgsm_body()))[1] == "00"


async def test_netgsm_replaces_dates_and_cancels_what_is_still_to_come(netgsm: RunningProvider) -> None:
    """01 and 02 are accepted; a job that lies ahead can be cancelled once known, others not."""
    assert (await ask_netgsm(netgsm, "send", netgsm_body(startdate="99999999")))[1] == "01"
    assert (await ask_netgsm(netgsm, "send", netgsm_body(stopdate="99999999")))[1] == "02"
    assert (await ask_netgsm(netgsm, "send", netgsm_body(startdate="010120991200")))[1] == "00"
    sent = await netgsm.sent()
    assert await ask_netgsm(netgsm, "cancel", {"jobid": sent[0]["job"]}) == (406, "60")
    assert await ask_netgsm(netgsm, "cancel", {"jobid": sent[2]["job"]}) == (200, "00")


# -- İleti Merkezi ---------------------------------------------------------------------------------------------------

ONE = {"text": "a", "receipents": {"number": ["5321110001"]}}


async def ask_iletimerkezi(
    provider: RunningProvider, call: str, key: str = "anahtar-1", secret: str = "ozet-1", **parts: Any
) -> HttpResponse:
    body = {"request": {"authentication": {"key": key, "hash": secret}, **parts}}
    answer = await provider.ask(HttpRequest("POST", f"/v1/{call}/json", "", (JSON,), json.dumps(body).encode()))
    assert answer.status == json.loads(answer.body)["response"]["status"]["code"]
    return answer


@pytest.mark.parametrize(
    ("order", "key", "secret", "code"),
    [
        ({}, "anahtar-1", "falsch", 401),
        ({}, "anahtar-3", "ozet-3", 402),
        ({"message": {"text": "a"}}, "anahtar-1", "ozet-1", 422),
        ({"sender": "YABANCI"}, "anahtar-1", "ozet-1", 450),
        ({"sender": "APITEST"}, "anahtar-1", "ozet-1", 450),
        ({"message": {"text": "a", "receipents": {"number": ["12"]}}}, "anahtar-1", "ozet-1", 452),
        ({"message": {**ONE, "text": "a" * 1067}}, "anahtar-1", "ozet-1", 453),
        ({"message": {**ONE, "text": ""}}, "anahtar-1", "ozet-1", 454),
        ({"sendDateTime": ["yarin"]}, "anahtar-1", "ozet-1", 457),
        ({"iys": ""}, "anahtar-1", "ozet-1", 468),
        ({"iysList": ""}, "anahtar-1", "ozet-1", 469),
        ({}, "anahtar-2", "ozet-2", 470),
    ],
)
async def test_iletimerkezi_refuses_with_its_codes(
    iletimerkezi: RunningProvider, order: dict[str, Any], key: str, secret: str, code: int
) -> None:
    """The HTTP status is the code, and nothing is taken."""
    whole = {"sender": "ORNEK", "sendDateTime": [], "iys": "1", "iysList": "BIREYSEL", "message": ONE, **order}
    assert (await ask_iletimerkezi(iletimerkezi, "send-sms", key, secret, order=whole)).status == code
    assert await iletimerkezi.sent() == []


async def test_iletimerkezi_knows_repetitions_reports_and_its_block_list(iletimerkezi: RunningProvider) -> None:
    """451 within ten minutes, 455 and 456 and 458 in reports, 466 and 452 around the block list."""
    order = {"sender": "ORNEK", "sendDateTime": [], "iys": "0", "message": ONE}
    ask = ask_iletimerkezi
    assert (await ask(iletimerkezi, "send-sms", order=order)).status == 200
    assert (await ask(iletimerkezi, "send-sms", order=order)).status == 451
    later = {**order, "sendDateTime": ["01/01/2099 12:00"], "message": {**ONE, "text": "b"}}
    job = json.loads((await ask(iletimerkezi, "send-sms", order=later)).body)["response"]["order"]["id"]
    assert (await ask(iletimerkezi, "get-report", order={"id": job})).status == 456
    assert (await ask(iletimerkezi, "cancel-order", order={"id": job})).status == 200
    assert (await ask(iletimerkezi, "get-report", order={"id": "1"})).status == 455
    span = {"start": "2026-01-01", "end": "2026-01-20"}
    assert (await ask(iletimerkezi, "get-reports", order=span)).status == 458
    assert (await ask(iletimerkezi, "add-blacklist", blacklist={"number": "12"})).status == 466
    assert (await ask(iletimerkezi, "add-blacklist", blacklist={"number": "+905321110001"})).status == 200
    await iletimerkezi.tell("clock", seconds=601)
    assert (await ask(iletimerkezi, "send-sms", order=order)).status == 452


# -- Verimor ---------------------------------------------------------------------------------------------------------


async def ask_verimor(provider: RunningProvider, raw: bytes | None = None, **fields: Any) -> tuple[int, str]:
    body = {
        "username": "908500000001",
        "password": "sifre-1",
        "source_addr": "ORNEK",
        "messages": [{"msg": "a", "dest": "905321110001"}],
        **fields,
    }
    request = HttpRequest("POST", "/v2/send.json", "", (JSON,), raw if raw is not None else json.dumps(body).encode())
    answer = await provider.ask(request)
    return answer.status, answer.body.decode()


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"password": "falsch"}, (401, "UNAUTHORIZED")),
        ({"raw": b'{"a":"\xfe"}'}, (400, "INVALID_UTF8")),
        ({"raw": b"{"}, (400, "INVALID_JSON")),
        ({"raw": b" " * 10_000_001}, (413, "TOO_LARGE")),
        ({"source_addr": "YABANCI"}, (400, "INVALID_SOURCE_ADDRESS")),
        ({"datacoding": 7}, (400, "INVALID_DATACODING")),
        ({"valid_for": "x"}, (400, "INVALID_PERIOD")),
        ({"send_at": "yarin"}, (400, "INVALID_DELIVERY_TIME")),
        ({"messages": []}, (400, "MISSING_MESSAGE")),
        ({"messages": [{"msg": "a"}]}, (400, "MISSING_DESTINATION_ADDRESS")),
        ({"messages": [{"msg": "a" * 1072, "dest": "905321110001"}]}, (400, "MESSAGE_TOO_LONG")),
        ({"messages": [{"msg": "a", "dest": "90,"  * 50_001}]}, (400, "MESSAGE_COUNT_LIMIT_EXCEEDED")),
        ({"is_commercial": True}, (400, "INVALID_IYS_RECIPIENT_TYPE")),
        ({"is_commercial": True, "username": "908500000002", "password": "sifre-2"}, (400, "MISSING_IYS_BRAND_CODE")),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)  # fmt: skip
async def test_verimor_refuses_with_symbols(
    verimor: RunningProvider, fields: dict[str, Any], answer: tuple[int, str]
) -> None:
    """Plain text, HTTP 400 for most, and nothing is taken."""
    assert await ask_verimor(verimor, **fields) == answer
    assert await verimor.sent() == []


async def test_verimor_knows_repetitions_within_a_day(verimor: RunningProvider) -> None:
    """MUKERRER_RAPORLAMA until 24 hours have passed."""
    assert (await ask_verimor(verimor))[0] == 200
    assert await ask_verimor(verimor) == (400, "MUKERRER_RAPORLAMA")
    await verimor.tell("clock", seconds=86_401)
    assert (await ask_verimor(verimor))[0] == 200


async def test_verimor_limits_status_queries(verimor: RunningProvider) -> None:
    """Twenty a minute, then 429."""
    query = "username=908500000001&password=sifre-1&id=1"
    statuses = [(await verimor.ask(HttpRequest("GET", "/v2/status", query))).status for _ in range(21)]
    assert statuses == [200] * 20 + [429]
