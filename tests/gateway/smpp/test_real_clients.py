"""Other people's SMPP clients, unchanged: Python's smpplib and npm's smpp."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.gsm

from tests.gateway.smpp.conftest import Start
from tests.support.smpp_world import SUFFIX

CLIENT = Path(__file__).parents[2] / "e2e" / "clients" / "smpp"
SOMEBODY, NOBODY = "905321234567", "905329876543"
LONG = "Sonbahar indirimi basladi, secili urunlerde yuzde kirk. " * 6
TURKISH = "Öğle arası ağaçlı yolda, şimdi ışıl ışıl İstanbul’da. "


# -- smpplib -----------------------------------------------------------------------------------------------------


class PythonClient:
    """smpplib as its documentation uses it."""

    def __init__(self, port: int, password: str = "secret") -> None:
        self.client = smpplib.client.Client("127.0.0.1", port, timeout=10, allow_unknown_opt_params=True)
        self.answers: list[tuple[int, str]] = []
        self.receipts: list[str] = []
        self.client.set_message_sent_handler(self._sent)
        self.client.set_message_received_handler(self._received)
        # By default a refused submit raises; a shop that sends many looks at the status instead.
        self.client.set_error_pdu_handler(lambda _pdu: None)
        self.client.connect()
        try:
            self.client.bind_transceiver(system_id="shop", password=password)
        except smpplib.exceptions.PDUError:
            self.client.disconnect()
            raise

    def _sent(self, pdu: Any) -> None:
        self.answers.append((pdu.status, (pdu.message_id or b"").decode()))

    def _received(self, pdu: Any) -> int:
        self.receipts.append(pdu.short_message.decode("latin-1"))
        return 0

    def send(self, text: str, destination: str, **more: Any) -> int:
        """How many parts the library made of it."""
        parts, coding, flags = smpplib.gsm.make_parts(text)
        for part in parts:
            self.client.send_message(
                source_addr_ton=smpplib.consts.SMPP_TON_ALNUM,
                source_addr_npi=smpplib.consts.SMPP_NPI_UNK,
                source_addr="SHOP",
                dest_addr_ton=smpplib.consts.SMPP_TON_INTL,
                dest_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
                destination_addr=destination,
                short_message=part,
                data_coding=coding,
                esm_class=flags,
                registered_delivery=True,
                **more,
            )
        return len(parts)

    def hear(self, answers: int, receipts: int = 0) -> None:
        while len(self.answers) < answers or len(self.receipts) < receipts:
            self.client.read_once()

    def leave(self) -> None:
        self.client.unbind()
        self.client.disconnect()


@pytest.mark.parametrize(
    "text", ["Indirim", LONG, TURKISH, TURKISH * 5], ids=["plain", "long", "turkish", "long-turkish"]
)
async def test_smpplib_sends_and_hears_its_receipts(start: Start, text: str) -> None:
    """Its own parts, its own alphabets; the receipts name the ids it was given."""
    world = await start()

    def shop() -> PythonClient:
        client = PythonClient(world.port)
        parts = client.send(text, SOMEBODY)
        client.hear(parts, parts)
        client.leave()
        return client

    client = await asyncio.to_thread(shop)
    assert {status for status, _ in client.answers} == {0}
    assert sorted(receipt.split()[0] for receipt in client.receipts) == sorted(
        f"id:{sent}" for _, sent in client.answers
    )
    assert world.smsc.messages() == [("SHOP", SOMEBODY, text + SUFFIX)]
    assert world.smsc.incomplete() == 0


async def test_smpplib_hears_refusals_and_wrong_numbers(start: Start) -> None:
    """Mixed with what is permitted, in one session."""
    world = await start()
    world.pipeline.refused.add("+" + NOBODY)

    def shop() -> list[int]:
        client = PythonClient(world.port)
        statuses = []
        for number in (SOMEBODY, NOBODY, "12", SOMEBODY):
            client.send("Indirim", number)
            client.hear(len(statuses) + 1)
            statuses.append(client.answers[-1][0])
        client.leave()
        return statuses

    assert await asyncio.to_thread(shop) == [0, 0x45, 0x0B, 0]
    assert world.smsc.taken == 2


async def test_smpplib_with_a_wrong_password_is_refused(start: Start) -> None:
    world = await start()

    def shop() -> str:
        try:
            PythonClient(world.port, "wrong")
        except smpplib.exceptions.PDUError as error:
            return str(error)
        return ""

    assert "14" in await asyncio.to_thread(shop)  # 0x0E


# -- npm smpp ----------------------------------------------------------------------------------------------------

NodeSend = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(scope="module")
def node_send(tmp_path_factory: pytest.TempPathFactory) -> NodeSend:
    """``node_send(port, messages, deliveries)``: what the library says; installed in the version that is pinned."""
    npm, node = shutil.which("npm"), shutil.which("node")
    assert npm is not None, "npm is missing: sh config/requirements/system-packages.sh"
    assert node is not None, "nodejs is missing: sh config/requirements/system-packages.sh"
    folder = tmp_path_factory.mktemp("smpp-client")
    for name in ("package.json", "package-lock.json", "send.js"):
        shutil.copy(CLIENT / name, folder)
    quiet = ("--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--no-update-notifier")
    installed = subprocess.run([npm, "ci", *quiet], cwd=folder, capture_output=True, text=True, timeout=90, check=False)
    assert installed.returncode == 0, installed.stderr

    async def send(
        port: int, messages: list[dict[str, Any]], deliveries: int = 0, password: str = "secret"
    ) -> dict[str, Any]:
        order = {
            "url": f"smpp://127.0.0.1:{port}",
            "bind": {"system_id": "shop", "password": password},
            "messages": messages,
            "deliveries": deliveries,
        }
        process = await asyncio.create_subprocess_exec(
            node, "send.js", cwd=folder, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(30):
            said, _ = await process.communicate(json.dumps(order).encode())
        assert process.returncode == 0
        heard: dict[str, Any] = json.loads(said)
        return heard

    return send


def node_message(destination: str, text: str, **more: Any) -> dict[str, Any]:
    return {
        "source_addr_ton": 5,
        "source_addr": "SHOP",
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "destination_addr": destination,
        "short_message": text,
        **more,
    }


async def test_node_smpp_sends_mixed_messages(start: Start, node_send: NodeSend) -> None:
    """Permitted, refused, wrong, Turkish and over-long in one session; a receipt where one was asked for."""
    world = await start()
    world.pipeline.refused.add("+" + NOBODY)
    turkish = TURKISH.strip()
    payload = {"payload_hex": (TURKISH * 4).encode("utf-16-be").hex(), "data_coding": 8}
    long = node_message(SOMEBODY, "", **payload)
    del long["short_message"]
    heard = await node_send(
        world.port,
        [
            node_message(SOMEBODY, "Indirim", registered_delivery=1),
            node_message(NOBODY, "Indirim"),
            node_message("12", "Indirim"),
            node_message(SOMEBODY, turkish),
            long,
        ],
        deliveries=1,
    )
    assert heard["bind"] == 0
    assert [answer["status"] for answer in heard["answers"]] == [0, 0x45, 0x0B, 0, 0]
    assert f"id:{heard['answers'][0]['id']} " in heard["deliveries"][0]["text"]
    assert sorted(text for _, _, text in world.smsc.messages()) == sorted(
        ["Indirim" + SUFFIX, turkish + SUFFIX, TURKISH * 4 + SUFFIX]
    )


async def test_node_smpp_with_a_wrong_password_is_refused(start: Start, node_send: NodeSend) -> None:
    world = await start()
    heard = await node_send(world.port, [], password="wrong")
    assert heard["bind"] == 0x0E
