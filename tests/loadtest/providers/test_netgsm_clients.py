"""Netgsm's own libraries take the simulated provider for the real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import netgsm
import pytest

from loadtest.providers.netgsm import NetgsmSimulator
from tests.support.netgsm_node import NetgsmNode
from tests.support.sms_provider import RunningProvider

MESSAGES = [{"msg": "Merhaba çğış", "no": "5321110001"}, {"msg": "Merhaba", "no": "5321110002"}]


@pytest.fixture
async def provider() -> AsyncIterator[RunningProvider]:
    async with RunningProvider(NetgsmSimulator(seed=1)) as running:
        yield running


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> NetgsmNode:
    return NetgsmNode(tmp_path_factory.mktemp("netgsm"))


def python_client(provider: RunningProvider, password: str = "sifre-1") -> netgsm.Netgsm:
    return netgsm.Netgsm("8500000001", password, api_url=provider.base_url, appname="ornek")


async def test_python_sends_and_reads_the_report(provider: RunningProvider) -> None:
    """Sent, waiting, and after a while delivered or refused by İYS."""
    client = python_client(provider)
    await provider.tell("refusing", numbers=["5321110002"])
    answer = await asyncio.to_thread(client.sms.send, "ORNEK", MESSAGES, encoding="TR", iysfilter="11")
    assert answer["code"] == "00"
    assert [each["text"] for each in await provider.sent()] == ["Merhaba çğış", "Merhaba"]
    span = ("01.01.2000 00:00:00", "01.01.2100 00:00:00")
    early = await asyncio.to_thread(client.sms.get_report, *span, jobids=[answer["jobid"]])
    assert [row["status"] for row in early["jobs"]] == [0, 0]
    await provider.tell("clock", seconds=60)
    late = await asyncio.to_thread(client.sms.get_report, *span, jobids=[answer["jobid"]])
    assert [row["status"] for row in late["jobs"]] == [1, 16]


@pytest.mark.parametrize(
    ("title", "password", "code"), [("YABANCI", "sifre-1", "40"), ("ORNEK", "falsch", "30")], ids=["title", "password"]
)
async def test_python_raises_on_refusals(provider: RunningProvider, title: str, password: str, code: str) -> None:
    """HTTP 406 with a code is what makes the library raise."""
    client = python_client(provider, password)
    with pytest.raises(netgsm.NotAcceptableException) as refusal:
        await asyncio.to_thread(client.sms.send, title, MESSAGES)
    assert refusal.value.code == code


async def test_the_same_number_too_often_is_refused(provider: RunningProvider) -> None:
    """More than 20 jobs to one number within a minute: code 85; a minute later it goes again."""
    client = python_client(provider)
    for _ in range(20):
        await asyncio.to_thread(client.sms.send, "ORNEK", MESSAGES[:1])
    with pytest.raises(netgsm.NotAcceptableException) as refusal:
        await asyncio.to_thread(client.sms.send, "ORNEK", MESSAGES[:1])
    assert refusal.value.code == "85"
    await provider.tell("clock", seconds=61)
    assert (await asyncio.to_thread(client.sms.send, "ORNEK", MESSAGES[:1]))["code"] == "00"


async def test_node_calls_everything_it_knows(provider: RunningProvider, node: NetgsmNode) -> None:
    """Sends, one-time password, report, cancellation, titles, inbox and balance."""
    await provider.tell("incoming", sender="5321110009", destination="8500000001", text="RET")
    results = await asyncio.to_thread(
        node.call,
        provider.base_url,
        [
            ("sendRestSms", {"msgheader": "ORNEK", "encoding": "TR", "iysfilter": "11", "messages": MESSAGES}),
            ("sendOtpSms", {"msgheader": "ORNEK", "msg": "Kod 1234", "no": "5321110003"}),
            ("cancelSms", {"jobid": "1"}),
            ("getHeaders", {}),
            ("getInbox", {}),
            ("checkBalance", {"stip": 2}),
            ("sendRestSms", {"msgheader": "YABANCI", "messages": MESSAGES}),
        ],
    )
    sent, otp, cancelled, titles, inbox, balance, refused = results
    assert sent["answer"]["code"] == otp["answer"]["code"] == "00"
    assert cancelled["error"]["code"] == "60"
    assert titles["answer"]["msgheaders"] == ["ORNEK", "ORNEKMARKA"]
    assert inbox["answer"]["messages"][0]["message"] == "RET"
    assert balance["answer"]["balance"]
    assert (refused["error"]["status"], refused["error"]["code"]) == (406, "40")
    (report,) = await asyncio.to_thread(
        node.call, provider.base_url, [("getReport", {"bulkIds": [sent["answer"]["jobid"]]})]
    )
    assert [row["number"] for row in report["answer"]["jobs"]] == ["5321110001", "5321110002"]
