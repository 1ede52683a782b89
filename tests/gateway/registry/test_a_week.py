"""A week of the registry's life in a quarter of a minute, with everything that goes wrong in a week, and more."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.store import Store
from filters.consent import unpack
from gateway.registry.feed_place import unpack_place
from tests.support.certificates import server_context
from tests.support.push_world import LOGIN
from tests.support.registry_world import CONSENTS, RegistryWorld, item
from tests.support.sync_world import BRAND, SyncWorld, movement, read_dump

ROOT = Path(__file__).parents[3]
WEEK_S = 7 * 86_400
REAL_S = 14.0
SPEED = WEEK_S / REAL_S
PEOPLE = 120
DATABASE_STARTS = "2026-11-16 09:00:00"

FAULTS = [
    {"kind": "push-lost", "rate": 0.3},
    {"kind": "push-twice", "rate": 0.2},
    {"kind": "push-late", "rate": 0.3, "seconds": 20_000.0},
    {"kind": "cut", "rate": 0.04, "path": "changes"},
    {"kind": "half", "rate": 0.04, "path": "changes"},
    {"kind": "code", "rate": 0.03, "code": "H124", "path": "changes"},
    {"kind": "status", "rate": 0.03, "status": 500, "path": "changes"},
    {"kind": "maintenance", "rate": 0.02, "path": "changes"},
    {"kind": "garbage", "rate": 0.02, "path": "changes"},
    {"kind": "expired", "rate": 0.01, "path": "changes"},
]


class KilledSync:
    """The sync process; ``live`` keeps one running and kills it at random."""

    def __init__(self, settings: dict[str, object]) -> None:
        self._settings = json.dumps(settings)
        self._process: asyncio.subprocess.Process | None = None
        self.kills = 0

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.sync_process", self._settings),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            if line.strip() == b"active":
                return

    async def end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(number)
        return await process.wait()

    async def live(self, chance: random.Random) -> None:
        while True:
            await asyncio.sleep(chance.uniform(0.1, 1.5))
            assert await self.end(signal.SIGKILL) == -signal.SIGKILL
            self.kills += 1
            await self.start()


@pytest.fixture
async def fast_world(tmp_path: Path) -> AsyncIterator[RegistryWorld]:
    """A registry whose week takes a quarter of a minute, with all its limits on."""
    async with RegistryWorld(
        at=DATABASE_STARTS, speed=SPEED, is_limiting=True, push_trusts=tmp_path / "certificate.pem"
    ) as made:
        yield made


async def live(world: RegistryWorld, chance: random.Random, until: float) -> int:
    """People change their minds: on the registry's channels, each at most once in a simulated second."""
    states: dict[str, str] = {}
    moves = 0
    while world.clock.now() < until:
        person = f"p{chance.randrange(PEOPLE)}@example.com"
        known = states.get(person, "RET")
        states[person] = "ONAY" if known == "RET" else "RET"
        source = "IYS_WEB" if person in states else "IYS_WEB_YENI"
        await world.sim("POST", "movements", [movement(person, states[person], source=source)])
        moves += 1
        if chance.random() < 0.02:
            await world.sim("POST", "tokens/revoke", {"refresh": chance.random() < 0.5})
        await asyncio.sleep(0.004)
    return moves


async def test_after_a_bad_week_index_and_registry_agree_exactly(
    tmp_path: Path, fast_world: RegistryWorld, lmdb_store: Store, make_receiver: Callable[..., Any]
) -> None:
    """Pushes lost, doubled and late; pulls cut, refused and garbled; tokens revoked; the sync killed with -9.

    Every consent has the same status, date and source's side as the registry's; no documented limit was broken.
    """
    world, chance = fast_world, random.Random(20261116)
    receiver = await make_receiver(lmdb_store, server_context(tmp_path))
    sync = SyncWorld(world, lmdb_store)
    await sync.loaded()
    connections = [
        {"url": receiver.url, "type": "EPOSTA", "username": LOGIN[0], "password": LOGIN[1]},
    ]
    await world.login()
    answer = await world.call("POST", f"/sps/{BRAND}/brands/{BRAND}/push/registration", {"connection": connections})
    assert answer.status == 200, answer
    for number in range(5):
        added = await world.call(
            "POST", CONSENTS, item(recipient=f"hs{number}@example.com", consentDate=world.ago(3600.0))
        )
        assert added.status == 200, added
    await world.sim("PUT", "faults", {"seed": 7, "faults": FAULTS})
    process = KilledSync(
        {
            "registry": world.server.url,
            "store": str(tmp_path / "store"),
            "state": str(tmp_path / "state"),
            "fingerprint": "test-fp1",
            "at": world.clock.now(),
            "real_at": time.time(),
            "speed": SPEED,
            "interval_s": 600.0,
        }
    )
    await process.start()
    killing = asyncio.create_task(process.live(chance))
    try:
        moves = await live(world, chance, world.clock.now() + WEEK_S)
        killing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await killing
        await process.end(signal.SIGKILL)
        await world.sim("DELETE", "faults")
        await process.start()
        quiet_at = int(world.clock.now())
        give_up_at = time.monotonic() + 20
        while not await is_known(lmdb_store, quiet_at):
            places = [await lmdb_store.recall(f"pull/{BRAND}/{source}") for source in ("IYS", "HS")]
            assert time.monotonic() < give_up_at, (quiet_at, places, await lmdb_store.watermarks())
            await asyncio.sleep(0.05)
    finally:
        killing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await killing
        status = await process.end(signal.SIGTERM)
        await sync.close()
    assert status == 0
    dump = (await world.call("GET", f"/_sim/consents?brandCode={BRAND}")).body
    expected = read_dump(dump.decode() if isinstance(dump, bytes) else dump)
    found = {}
    for key, channel, kind in expected:
        value = (await lmdb_store.find(BRAND, [key])).values[0]
        state = unpack(value) if value else {}
        record = state.get((channel, kind))
        found[key, channel, kind] = None if record is None else (record.status, record.consent_at)
    assert found == expected
    stats = await lmdb_store.stats()
    assert sum(stats.records.values()) == len(expected)
    traffic = await world.sim("GET", "requests?limit=1")
    assert traffic["breaches"] == []
    told = (await world.sim("GET", "state"))["push"]
    print(f"{moves} movements, {process.kills} kills, {told}, {traffic['by_operation']}, {traffic['by_status']}")
    assert moves > 500
    assert process.kills >= 2
    assert told["delivered"] > 100


async def is_known(store: Store, at: int) -> bool:
    """Whether both sources are known up to ``at``, and the watermark says so."""
    places = [unpack_place(await store.recall(f"pull/{BRAND}/{source}")) for source in ("IYS", "HS")]
    watermark = (await store.watermarks()).get(BRAND, 0)
    return all(place is not None and place.until >= at for place in places) and watermark >= at
