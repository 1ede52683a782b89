"""Redis gone, slow, emptied, put back to yesterday or replaced: commercial mail waits, other mail flows, and nobody is
written to on the word of a store that is not the right one. Nothing is restarted but Redis itself."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from filters.consent import Change, Consent, pack_change
from filters.consent_key import KEY_BYTES
from filters.vocabulary import Channel, RecipientType, Status
from gateway import app
from loadtest.numbered_recipients import address_of
from loadtest.whole_gateway import BRAND, Redis
from tests.support.fault_world import PEOPLE, FaultWorld, Traffic, until

pytestmark = pytest.mark.xdist_group("faults-redis")

CONSENTING, REFUSING, UNKNOWN = address_of(1), address_of(7), address_of(9)


@pytest.fixture(scope="module")
def world(make_shared_world: Callable[..., FaultWorld]) -> FaultWorld:
    return make_shared_world(store="redis", store_settings='lookup_timeout = "300ms"\n')


def is_answering(world: FaultWorld) -> bool:
    """Every worker can ask the store."""
    workers = world.gateway.status().get("workers", [])
    return bool(workers) and all(worker["store"]["state"] == "answering" for worker in workers)


def store_states(world: FaultWorld) -> set[str]:
    return {str(worker["store"]["state"]) for worker in world.gateway.status().get("workers", [])}


def assert_only_deferred(traffic: Traffic, since: float, until_at: float) -> None:
    """Between the two moments commercial mail heard 451 and nothing else, informational mail 250 and nothing else."""
    assert set(traffic.answers("one", "five", since=since, until=until_at)) == {"451"}
    traffic.assert_exempt_flowed()


async def test_redis_killed(world: FaultWorld) -> None:
    """Away for a while: 451, and as soon as it is back everything is sent."""
    async with world.traffic(seconds=3.5) as traffic:
        await asyncio.sleep(0.7)
        world.redis.kill()
        gone_at = time.time()
        await asyncio.sleep(1)
        back_at = time.time()
        await asyncio.to_thread(world.redis.start)
        await until(lambda: is_answering(world))
    found = traffic.assert_kept()
    assert_only_deferred(traffic, gone_at + 0.1, back_at)
    assert found["commercial"].duplicates == 0


async def test_redis_slow(world: FaultWorld) -> None:
    """Too slow is as good as gone: 451 after the time that a look-up may take, and no late answer is believed."""
    async with world.traffic(seconds=3) as traffic:
        await asyncio.sleep(0.7)
        paused_at = time.time()
        await asyncio.to_thread(world.redis.ask, "CLIENT", "PAUSE", "1200", "ALL")
        await asyncio.sleep(1.4)
        await until(lambda: is_answering(world))
    traffic.assert_kept()
    assert_only_deferred(traffic, paused_at + 0.1, paused_at + 1.2)


async def test_redis_flushed(world: FaultWorld) -> None:
    """Emptied under the running gateway: "no record" of an empty store is no answer. An operator's word and a new
    import mend it; refusals taken here come back from this machine's journal."""
    recipient = address_of(2)
    assert await asyncio.to_thread(world.send, recipient) == 250
    assert await asyncio.to_thread(world.press, world.link_of(recipient)) == 200
    async with world.traffic(seconds=2.5) as traffic:
        await asyncio.sleep(0.7)
        await asyncio.to_thread(world.redis.ask, "FLUSHALL")
        flushed_at = time.time()
        await asyncio.sleep(1)
        assert store_states(world) == {"not_initialised"}
        mended_at = time.time()
        await asyncio.to_thread(world.accept_store)
        await asyncio.to_thread(world.seed)
        await until(lambda: is_answering(world))
    traffic.assert_kept()
    assert_only_deferred(traffic, flushed_at + 0.1, mended_at)
    assert await asyncio.to_thread(world.send, recipient) == 550, "the refusal outlived the store"


async def test_redis_rolled_back(world: FaultWorld) -> None:
    """Started again from an older copy: a refusal is missing in it, so nothing is believed until an operator says so;
    and then the refusal is there again."""
    recipient = address_of(3)
    older = Path(world.redis.directory) / "older"
    shutil.copytree(Path(world.redis.directory) / "appendonlydir", older)
    assert await asyncio.to_thread(world.send, recipient) == 250
    assert await asyncio.to_thread(world.press, world.link_of(recipient)) == 200
    assert await asyncio.to_thread(world.send, recipient) == 550
    async with world.traffic(seconds=4) as traffic:
        await asyncio.sleep(0.7)
        world.redis.kill()
        shutil.rmtree(Path(world.redis.directory) / "appendonlydir")
        older.rename(Path(world.redis.directory) / "appendonlydir")
        await asyncio.to_thread(world.redis.start)
        await until(lambda: store_states(world) == {"rolled_back"})
        noticed_at = time.time()
        assert await asyncio.to_thread(world.send, recipient) == 451
        await asyncio.sleep(0.5)
        mended_at = time.time()
        await asyncio.to_thread(world.accept_store)
        await until(lambda: is_answering(world))
    traffic.assert_kept()
    assert_only_deferred(traffic, noticed_at, mended_at)
    assert await asyncio.to_thread(world.send, recipient) == 550


async def test_redis_foreign(world: FaultWorld, tmp_path: Path) -> None:
    """Another Redis in its place, filled with the same secret and a consent of everybody, as a copy of a test system
    would be: not one message is sent on its word."""
    world_redis = world.redis
    other = Redis(tmp_path / "other", world_redis.port)
    async with world.traffic(seconds=5) as traffic:
        await asyncio.sleep(0.5)
        world_redis.kill()
        await asyncio.to_thread(other.start)
        try:
            await fill_foreign(world, other.url, tmp_path / "its-state")
            await until(lambda: store_states(world) == {"foreign"})
            noticed_at = time.time()
            for recipient in (CONSENTING, REFUSING, UNKNOWN):
                assert await asyncio.to_thread(world.send, recipient) == 451
            await asyncio.sleep(0.5)  # so that the traffic has its answers too
            gone_at = time.time()
        finally:
            other.end()
            await asyncio.to_thread(world_redis.start)
        await until(lambda: is_answering(world))
    traffic.assert_kept()
    assert_only_deferred(traffic, noticed_at, gone_at)


async def fill_foreign(world: FaultWorld, url: str, state_directory: Path) -> None:
    """Everybody's consent, under the gateway's own index secret, by a machine that knows nothing of this one."""
    from adapters.store import open_store

    keys = app.consent_keys(app.load(world.gateway.config))
    store = open_store(url, state_directory=state_directory, secret_fingerprint=keys.fingerprint)
    try:
        await store.start()
        await store.initialise()
        change = Change(
            bytes(KEY_BYTES), Channel.EMAIL, RecipientType.INDIVIDUAL, Consent(Status.APPROVED, 1_711_000_000, "HS_WEB")
        )
        everybody = [keys.derive(BRAND, address_of(number).encode()) for number in range(1, PEOPLE + 1)]
        for _ in range(20):  # its revision lies beyond what this machine knows of the right store
            await store.load(BRAND, sorted(key + pack_change(change) for key in everybody))
        await store.apply(BRAND, [], watermark_at=int(time.time()))
    finally:
        await store.close()


async def test_store_unreachable_at_start(make_world: Callable[..., FaultWorld]) -> None:
    """The gateway comes up without its store, says what it waits for, takes what needs no look-up, and is ready by
    itself once the store is there."""
    world = make_world(store="redis", starts=False, workers=1)
    world.redis.end()
    world.gateway.start()
    await until(lambda: world.gateway.status().get("reasons") == ["store: unreachable"])
    assert await asyncio.to_thread(world.send, REFUSING, is_commercial=False) == 250
    assert await asyncio.to_thread(world.send, CONSENTING) == 451
    world.redis.start()
    await asyncio.to_thread(world.gateway.wait_until_ready)
    assert await asyncio.to_thread(world.send, CONSENTING) == 250
    assert await asyncio.to_thread(world.send, REFUSING) == 550
