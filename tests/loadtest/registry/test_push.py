"""Citizens' movements are pushed to a real https receiver, with the faults that push can have."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.certificates import server_context
from tests.support.registry_world import BRAND, CONSENTS, RegistryWorld, item

REGISTRATION = BRAND + "/push/registration"
LOGIN = "Basic " + base64.b64encode(b"user:secret").decode()


@dataclass
class Receiver:
    """Takes pushes under basic authentication, or misbehaves: 503 to the next ``failing`` calls."""

    url: str = ""
    taken: list[dict[str, Any]] = field(default_factory=list)
    bodies: int = 0
    failing: int = 0
    delay_s: float = 0.0
    is_open: bool = False

    async def handle(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != LOGIN and not self.is_open:
            return web.Response(status=401)
        await asyncio.sleep(self.delay_s)
        if self.failing:
            self.failing -= 1
            return web.Response(status=503)
        self.bodies += 1
        self.taken += (await request.json())["list"]
        return web.Response()

    async def wait_for(self, amount: int) -> list[dict[str, Any]]:
        """What came without the test record, once there is that much of it."""
        async with asyncio.timeout(10):
            while len(self.taken) < amount + 1:
                await asyncio.sleep(0.01)
        return self.taken[1:]


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_post("/push", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(tmp_path))
    await site.start()
    made.url = f"https://localhost:{runner.addresses[0][1]}/push"
    yield made
    await runner.cleanup()


@pytest.fixture
async def pushing(tmp_path: Path, receiver: Receiver) -> AsyncIterator[RegistryWorld]:
    """A registry whose clock runs and that trusts the receiver's certificate."""
    async with RegistryWorld(speed=1.0, push_trusts=tmp_path / "certificate.pem") as made:
        await made.login()
        await made.sim("PUT", "settings", {"push_retry_s": 0.02, "push_answer_s": 0.5})
        yield made


def connection(receiver: Receiver, **changes: Any) -> dict[str, Any]:
    return {"url": receiver.url, "type": "EPOSTA", "username": "user", "password": "secret"} | changes


async def register(world: RegistryWorld, receiver: Receiver, **changes: Any) -> list[str]:
    reply = await world.call("POST", REGISTRATION, {"connection": [connection(receiver, **changes)]})
    return reply.codes


async def test_registration_sends_the_test_record_and_deliveries_follow(
    pushing: RegistryWorld, receiver: Receiver
) -> None:
    """Only citizens' movements of the registered type, within moments, with the codes of provider and brand."""
    assert await register(pushing, receiver) == []
    assert receiver.taken[0]["brandCode"] == receiver.taken[0]["iysCode"] == 121212
    await pushing.call("POST", CONSENTS, item())
    await pushing.citizen(recipient="+905321234567", type="MESAJ", status="ONAY")
    await pushing.citizen()
    (movement,) = await receiver.wait_for(1)
    assert set(movement) == {
        "iysCode", "brandCode", "consentDate", "creationDate", "source", "recipient", "recipientType", "status", "type",
        "transactionId",
    }  # fmt: skip
    assert (movement["iysCode"], movement["brandCode"], movement["source"]) == (600123, 600123, "IYS_WEB")
    assert (movement["recipient"], movement["status"]) == ("ayse@example.com", "RET")


async def test_what_is_not_taken_comes_again_until_attempts_are_used_up(
    pushing: RegistryWorld, receiver: Receiver
) -> None:
    """503 three times, then taken; a receiver that never takes is given up in the end."""
    await register(pushing, receiver)
    receiver.failing = 3
    await pushing.citizen(status="ONAY")
    assert len(await receiver.wait_for(1)) == 1
    assert (await pushing.sim("GET", "state"))["push"] == {"waiting": 0, "delivered": 1, "given_up": 0}
    await pushing.sim("PUT", "settings", {"push_attempts": 2})
    receiver.failing = 1000
    await pushing.citizen(status="RET")
    async with asyncio.timeout(10):
        while (await pushing.sim("GET", "state"))["push"]["given_up"] != 1:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("spoil", "changes", "codes"),
    [
        (lambda receiver: setattr(receiver, "is_open", True), {}, ["H530"]),  # takes strangers too
        (lambda receiver: setattr(receiver, "failing", 9), {}, ["H530"]),
        (lambda receiver: setattr(receiver, "delay_s", 0.7), {}, ["H191"]),
        (lambda _receiver: None, {"password": "wrong"}, ["H530"]),
        (lambda _receiver: None, {"type": "SMS"}, ["H117"]),
        (lambda _receiver: None, {"username": ""}, ["H093"]),
    ],
)
async def test_a_receiver_that_does_not_do_is_not_registered(
    pushing: RegistryWorld, receiver: Receiver, spoil: Callable[[Receiver], None], changes: Any, codes: list[str]
) -> None:
    """It must ask for the password, take the record, and answer in time."""
    spoil(receiver)
    assert await register(pushing, receiver, **changes) == codes
    assert (await pushing.call("GET", REGISTRATION)).body == []


async def test_a_certificate_that_nobody_vouches_for_is_refused(receiver: Receiver) -> None:
    """Without the receiver's authority among the trusted ones."""
    async with RegistryWorld(speed=1.0) as world:
        await world.login()
        assert await register(world, receiver) == ["H530"]


async def test_plain_http_needs_the_switch(receiver: Receiver) -> None:
    """H531 without it; with it the receiver is tried."""
    plain = receiver.url.replace("https:", "http:")
    async with RegistryWorld(speed=1.0) as world:
        await world.login()
        assert await register(world, receiver, url=plain) == ["H531"]
    async with RegistryWorld(speed=1.0, is_http_push_allowed=True) as world:
        await world.login()
        assert await register(world, receiver, url=plain) == ["H530"]  # tried: the port speaks TLS only


async def test_two_connections_a_type_and_unregistering(pushing: RegistryWorld, receiver: Receiver) -> None:
    """A third is refused; one that was taken away gets nothing more and is listed as not connected."""
    for name in ("?a", "?b"):
        assert await register(pushing, receiver, url=receiver.url + name) == []
    assert await register(pushing, receiver, url=receiver.url + "?c") == ["H530"]
    gone = connection(receiver, url=receiver.url + "?a")
    assert (await pushing.call("POST", BRAND + "/push/unregistration", gone)).status == 200
    assert (await pushing.call("POST", BRAND + "/push/unregistration", gone)).codes == ["H530"]
    listed = (await pushing.call("GET", REGISTRATION)).body
    assert [(each["type"], each["status"]) for each in listed] == [("EPOSTA", "Bağlı değil"), ("EPOSTA", "Bağlı")]
    receiver.taken.clear()
    receiver.taken.append({})
    await pushing.citizen(status="ONAY")
    assert len(await receiver.wait_for(1)) == 1


async def test_pushes_are_lost_repeated_and_reordered_by_switch(pushing: RegistryWorld, receiver: Receiver) -> None:
    """The same seed loses the same movements; what is lost is in the feed all the same."""
    await register(pushing, receiver)
    faults = [
        {"kind": "push-lost", "every": 3},
        {"kind": "push-twice", "every": 5},
        {"kind": "push-late", "rate": 1.0, "seconds": 0.3},
    ]
    await pushing.sim("PUT", "faults", {"seed": 3, "faults": faults})
    addresses = [f"a{number}@example.com" for number in range(20)]
    for address in addresses:
        await pushing.citizen(recipient=address, status="ONAY")
    taken = [each["recipient"] for each in await receiver.wait_for(17)]
    assert len(taken) == 17  # 20 less 6, and 3 of the rest twice (the 15th is lost anyway)
    assert set(taken) < set(addresses)
    assert len(set(taken)) == 14
    assert list(dict.fromkeys(taken)) != sorted(set(taken), key=addresses.index)
    await pushing.advance(3601)
    changes = (await pushing.call("GET", CONSENTS + "/changes")).body["list"]
    assert sorted(each["recipient"] for each in changes) == sorted(addresses)
