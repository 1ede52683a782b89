"""Push: taken from the registry alone, durable before it is confirmed, harmless in any order and number."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.store import Store
from filters.consent import merge, unpack
from filters.registry.merging import read_movements as read_changes
from filters.registry.pushing import MOST_MOVEMENTS, PushError, read_push
from filters.vocabulary import Status
from gateway.registry.push_registration import PushRegistration
from loadtest.registry.push import TEST_RECORD
from tests.support.certificates import server_context
from tests.support.push_world import LOGIN, Login, Receiver
from tests.support.redis_server import RedisServer
from tests.support.registry_world import RegistryWorld
from tests.support.sync_world import BRAND, KEYS, SLOT, SyncWorld

RET, ONAY = "RET", "ONAY"


def pushed(recipient: str = "ayse@example.com", status: str = RET, **changes: Any) -> dict[str, Any]:
    """A movement as the registry pushes it."""
    return {
        "iysCode": BRAND,
        "brandCode": BRAND,
        "consentDate": "2026-11-18 11:59:00",
        "creationDate": "2026-11-18 11:59:01",
        "source": "IYS_WEB",
        "recipient": recipient,
        "recipientType": "BIREYSEL",
        "status": status,
        "type": "EPOSTA",
        "transactionId": "a" * 64,
    } | changes


@pytest.fixture
async def receiver(sync: SyncWorld, make_receiver: Callable[[Store], Any]) -> Receiver:
    """Over the world's own store."""
    made: Receiver = await make_receiver(sync.store)
    return made


async def test_what_was_confirmed_is_in_force(receiver: Receiver, sync: SyncWorld) -> None:
    """By the time the registry reads 200 the next decision sees it."""
    assert await receiver.post([pushed()]) == 200
    assert await sync.status("ayse@example.com") is Status.REJECTED
    assert receiver.counts.results == {"taken": 1}


@pytest.mark.parametrize("login", [None, ("iys", "wrong"), ("", ""), ("IYS", LOGIN[1])])
async def test_a_stranger_is_sent_away(receiver: Receiver, sync: SyncWorld, login: Login | None) -> None:
    """Whoever could post here could give consents."""
    assert await receiver.post([pushed(status=ONAY)], login) == 401
    assert await sync.status("ayse@example.com") is None


@pytest.mark.parametrize("field", ["Basic", "Basic =", "Basic ççç", "Bearer aXlzOnBhcm9sYQ==", "Basic aXlz"])
async def test_a_login_that_is_none_is_a_strangers(receiver: Receiver, field: str) -> None:
    """Whatever stands in the field."""
    assert await receiver.post([pushed()], None, Authorization=field) == 401


async def test_the_test_record_of_a_registration_is_swallowed(receiver: Receiver, sync: SyncWorld) -> None:
    """It is for no brand of ours, and confirmed all the same."""
    assert await receiver.post([TEST_RECORD]) == 200
    assert (await sync.store.stats()).recipients == {}
    assert receiver.counts.results == {"test": 1}


async def test_another_firms_movement_enters_nothing(receiver: Receiver, sync: SyncWorld) -> None:
    """Confirmed, so that it is not repeated for ever, and counted."""
    assert await receiver.post([pushed(brandCode=600999), pushed(iysCode=600999)]) == 200
    assert (await sync.store.stats()).recipients == {}
    assert receiver.counts.results == {"foreign": 2}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"list": 3}', b'{"other": []}', b"\xff" * 100])
async def test_what_is_no_list_is_not_confirmed(receiver: Receiver, body: bytes) -> None:
    """It may have been cut on its way."""
    assert await receiver.post(body) == 400


async def test_what_cannot_be_read_is_asked(receiver: Receiver, sync: SyncWorld) -> None:
    """Its address can be: every consent it may have is put down as a question before the registry is told 200."""
    assert await receiver.post([pushed(status="BELKI"), pushed("ok@example.com")]) == 200
    assert {each.recipient for each in await sync.book.waiting(BRAND)} == {"ayse@example.com"}
    assert await sync.status("ok@example.com") is Status.REJECTED


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "", 405), ("POST", "/x", 404), ("PUT", "", 405)])
async def test_nothing_else_is_answered(receiver: Receiver, method: str, path: str, status: int) -> None:
    """And no answer says what we are built with."""
    async with aiohttp.ClientSession() as client, client.request(method, receiver.url + path) as answer:
        assert answer.status == status
        assert answer.headers["Server"] == "izinkapi"


async def test_a_store_that_is_away_is_no_confirmation(
    receiver: Receiver, sync: SyncWorld, make_receiver: Callable[[Store], Any]
) -> None:
    """The registry repeats it, or the pull brings it."""
    await sync.store.close()
    assert await receiver.post([pushed()]) == 503


@pytest.fixture
async def pushing_world(tmp_path: Path) -> AsyncIterator[RegistryWorld]:
    """A registry whose clock runs, and that trusts the receivers' certificate."""
    async with RegistryWorld(speed=1.0, push_trusts=tmp_path / "certificate.pem") as made:
        await made.login()
        yield made


async def test_what_the_registry_pushes_is_in_force_on_two_nodes_within_a_second(
    tmp_path: Path,
    pushing_world: RegistryWorld,
    redis_server: RedisServer,
    open_test_store: Callable[..., Store],
    make_receiver: Callable[..., Any],
) -> None:
    """Registered by our own task, refused to strangers as the registry demands; then sixty people refuse.

    From the moment the citizen's refusal is in the registry to the first look-up on each node that finds it.
    """
    nodes = [open_test_store(redis_server.url, state=name) for name in ("a", "b")]
    for node in nodes:
        await node.start()
        await node.initialise()
    tls = server_context(tmp_path)
    receivers = [await make_receiver(node, tls) for node in nodes]
    sync = SyncWorld(pushing_world, nodes[0])
    registration = PushRegistration(sync.links, receivers[0].url, *LOGIN)
    assert await registration.register(sync.link)
    assert await registration.register(sync.link)
    known = (await pushing_world.call("GET", f"/sps/{BRAND}/brands/{BRAND}/push/registration")).body
    assert len(known) == 3

    async def first_seen(node: Store, key: bytes, wanted: Status) -> float:
        while True:
            value = (await node.find(BRAND, [key])).values[0]
            if value and unpack(value)[SLOT].status is wanted:
                return time.monotonic()
            await asyncio.sleep(0.002)

    taken: list[float] = []
    for number in range(60):
        person = f"p{number}@example.com"
        key = KEYS.derive(BRAND, person.encode())
        await pushing_world.citizen(status=ONAY, recipient=person, consentDate=pushing_world.ago(60))
        async with asyncio.timeout(5):
            await asyncio.gather(*(first_seen(node, key, Status.APPROVED) for node in nodes))
            began_at = time.monotonic()
            _, *seen = await asyncio.gather(
                pushing_world.citizen(recipient=person), *(first_seen(node, key, Status.REJECTED) for node in nodes)
            )
        taken.append(max(seen) - began_at)
    await sync.close()
    taken.sort()
    print(f"in force on both nodes: median {taken[30] * 1000:.1f} ms, p99 {taken[-1] * 1000:.1f} ms")
    assert taken[-1] < 1.0


MOVEMENTS = st.lists(
    st.builds(
        lambda who, status, second, source: pushed(
            f"p{who}@example.com", status, consentDate=f"2026-11-18 11:00:{second:02}", source=source
        ),
        st.integers(0, 2),
        st.sampled_from([ONAY, RET]),
        st.integers(0, 5),
        st.sampled_from(["IYS_WEB", "IYS_AHS_HAT_KAPATMA", "IYS_WEB_YENI", "HS_WEB", "IYS_NEW_WAY"]),
    ),
    max_size=12,
)


def fold(items: Sequence[dict[str, Any]]) -> dict[bytes, Any]:
    """What an index would hold after ``items`` in their order."""
    states: dict[bytes, Any] = {}
    for movements, _ in read_push(json.dumps({"list": items}).encode()).by_brand.values():
        for change in read_changes(movements, (), lambda address: KEYS.derive(BRAND, address)).changes:
            merge(states.setdefault(change.key, {}), change.channel, change.recipient_type, change.consent)
    return states


@given(MOVEMENTS, st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_order_and_repetition_do_not_matter(items: list[dict[str, Any]], chance: Any) -> None:
    """Whatever is lost and sent again, doubled, or overtaken on its way."""
    again = [*items, *chance.sample(items, len(items) // 2)]
    chance.shuffle(again)
    assert fold(again) == fold(items)


@given(MOVEMENTS)
@settings(max_examples=100)
def test_nobody_is_permitted_whose_last_word_was_a_refusal(items: list[dict[str, Any]]) -> None:
    """At equal dates too; and a closed line refuses whatever else it says."""
    found = fold(items)
    for who in {each["recipient"] for each in items}:
        own = [each for each in items if each["recipient"] == who]
        last = max(each["consentDate"] for each in own)
        is_refused = any(
            each["status"] == RET or each["source"] == "IYS_AHS_HAT_KAPATMA"
            for each in own
            if each["consentDate"] == last
        )
        state = found[KEYS.derive(BRAND, who.encode())][SLOT]
        assert (state.status is Status.REJECTED) is is_refused


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["list", "iysCode", "brandCode", "recipient", "status", "type", "recipientType", "consentDate"]
                ),
                inner,
            )
        ),
        max_leaves=20,
    ).map(lambda value: json.dumps({"list": [value]}).encode())
)
@settings(max_examples=200)
def test_whatever_is_posted_is_read_or_refused(body: bytes) -> None:
    """Nothing else is raised."""
    try:
        found = read_push(body)
    except PushError:
        return
    assert found.tests >= 0


def test_a_list_without_end_is_refused() -> None:
    """More than the registry would ever send at once."""
    with pytest.raises(PushError):
        read_push(json.dumps({"list": [0] * (MOST_MOVEMENTS + 1)}).encode())
