"""No room for evidence, or in the store: nothing commercial leaves without proof, no refusal is confirmed that is not
kept, and room is all it takes to go on."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Callable

import lmdb

from loadtest.numbered_recipients import address_of
from tests.support.fault_world import FaultWorld, until

CONSENTING, REFUSING = address_of(1), address_of(7)


def limit_files(world: FaultWorld, size_bytes: int) -> None:
    """From now on no file of the gateway's workers can grow beyond ``size_bytes``: to them, a full disk."""
    for pid in world.gateway.worker_pids():
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, hard))


def is_writable(world: FaultWorld) -> bool:
    return all(worker["evidence"]["is_writable"] for worker in world.gateway.status()["workers"])


async def test_evidence_disk_full(make_world: Callable[..., FaultWorld]) -> None:
    """What cannot be recorded is deferred; what had left already is remembered and does not leave twice; once there is
    room it goes on by itself, and the evidence has no gap."""
    world = make_world(store="redis")
    async with world.traffic(seconds=4, rate=25) as traffic:
        await asyncio.sleep(0.7)
        limit_files(world, 1)
        await until(lambda: not any(w["evidence"]["is_writable"] for w in world.gateway.status()["workers"]))
        full_at = time.time()
        await asyncio.sleep(1)
        room_at = time.time()
        limit_files(world, resource.RLIM_INFINITY)
        await until(lambda: is_writable(world))
    found = traffic.assert_kept()
    assert found["commercial"].duplicates == 0
    # Whom the table drops hears so even now: nothing leaves, so nothing leaves unproved.
    assert set(traffic.answers("one", "five", since=full_at, until=room_at)) == {"451", "550"}
    traffic.assert_exempt_flowed()
    await asyncio.to_thread(world.gateway.stop)
    command = [*world.gateway.command[:3], "evidence", "verify", "-c", str(world.gateway.config)]
    verified = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    assert await verified.wait() == 0


async def test_lmdb_map_full(make_world: Callable[..., FaultWorld]) -> None:
    """No page left in the store: mail goes on, for reading needs no room; a refusal is not confirmed, for it is not
    kept, and pressed again once there is room it is."""
    world = make_world(store_settings='map_size = "64 MiB"\n', workers=1)
    recipient = address_of(2)
    assert await asyncio.to_thread(world.send, recipient) == 250
    link = world.link_of(recipient)
    ballast = await asyncio.to_thread(fill_map, world)
    assert ballast
    async with world.traffic(seconds=1.5) as traffic:
        assert await asyncio.to_thread(world.press, link) == 503
        assert await asyncio.to_thread(world.press, link) == 503
    traffic.assert_kept()
    await asyncio.to_thread(empty_map, world, ballast)
    assert await asyncio.to_thread(world.press, link) == 200
    assert await asyncio.to_thread(world.send, recipient) == 550


def open_map(world: FaultWorld) -> lmdb.Environment:
    return lmdb.open(str(world.directory / "var/store"), map_size=64 << 20, max_dbs=8)


def fill_map(world: FaultWorld) -> list[bytes]:
    """Take all pages but the few that taking one more would cost; the keys of what was put in."""
    keys: list[bytes] = []
    with open_map(world) as env:
        table = env.open_db(b"ballast")
        for size_bytes in (1 << 20, 1 << 14, 3000):
            while True:
                key = b"%08d" % len(keys)
                try:
                    with env.begin(write=True) as txn:
                        txn.put(key, os.urandom(size_bytes), db=table)
                except lmdb.MapFullError:
                    break
                keys.append(key)
    return keys


def empty_map(world: FaultWorld, keys: list[bytes]) -> None:
    """Give the pages back, the smallest first: deleting needs a little room too."""
    with open_map(world) as env:
        table = env.open_db(b"ballast")
        for key in reversed(keys):
            with env.begin(write=True) as txn:
                txn.delete(key, db=table)
