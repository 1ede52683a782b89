"""A kill between any two writes only repeats: the same end whatever was cut off, and never a watermark too far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from adapters.store import Store
from filters.consent import Change
from filters.exchange import Applied, Lookup, OutboxItem
from filters.vocabulary import Status
from gateway.registry.pull import LAG_S, Pull
from gateway.registry.questions import QuestionBook
from tests.support.registry_world import RegistryWorld
from tests.support.sync_world import BRAND, KEYS, SEAL, SyncWorld, movement

HOUR_S = 3600


class Killed(BaseException):
    """The process is gone."""


class MortalStore:
    """A store that passes on so many writes; ``is_done``: the last one reaches the disk, or it does not."""

    def __init__(self, store: Store, writes: int, *, is_done: bool) -> None:
        self._store = store
        self._left = writes
        self._is_done = is_done

    async def _write(self, write: Callable[[], Any]) -> Any:
        self._left -= 1
        if self._left > 0:
            return await write()
        if self._is_done:
            await write()
        raise Killed

    async def apply(
        self,
        brand: int,
        changes: Sequence[Change],
        *,
        watermark_at: int | None = None,
        outbox: Sequence[OutboxItem] = (),
    ) -> Applied:
        found: Applied = await self._write(lambda: self._store.apply(brand, changes, watermark_at=watermark_at))
        return found

    async def keep(self, name: str, value: bytes | None) -> None:
        await self._write(lambda: self._store.keep(name, value))

    async def replace(self, name: str, expected: bytes | None, value: bytes) -> bool:
        done: bool = await self._write(lambda: self._store.replace(name, expected, value))
        return done

    async def recall(self, name: str) -> bytes | None:
        return await self._store.recall(name)

    async def find(self, brand: int, keys: Sequence[bytes], message_digest: bytes | None = None) -> Lookup:
        return await self._store.find(brand, keys)

    async def watermarks(self) -> dict[int, int]:
        return await self._store.watermarks()

    async def stats(self) -> Any:
        return await self._store.stats()

    async def outbox_due(self, until: int, limit: int) -> list[OutboxItem]:
        return []

    async def outbox_remove(self, items: Sequence[OutboxItem]) -> None: ...


@pytest.mark.parametrize("is_done", [True, False], ids=["after-the-write", "before-the-write"])
async def test_a_kill_at_any_write_is_made_up_for(
    sync: SyncWorld, world: RegistryWorld, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    """Each run is killed one write later than the one before, until one gets through."""
    monkeypatch.setattr("gateway.registry.pull.PAGE", 2)
    began_at = await sync.loaded()
    people = [f"p{number}@example.com" for number in range(5)]
    for person in people:
        await world.sim("POST", "movements", [movement(person, "ONAY")])
        await world.advance(1)
    await world.sim("POST", "movements", [movement(people[0], "RET")])
    await world.advance(2 * HOUR_S)
    kills = 0
    for writes in range(1, 40):
        mortal = MortalStore(sync.store, writes, is_done=is_done)
        pull = Pull([sync.link], mortal, mortal, QuestionBook(mortal, SEAL), KEYS, clock=world.clock.now)
        try:
            await pull.turn(sync.link)
            break
        except Killed:
            kills += 1
        known = await sync.watermark()
        assert known is not None
        if known > began_at:
            assert [await sync.status(person) for person in people] == [Status.REJECTED] + [Status.APPROVED] * 4
    assert kills >= 3
    assert [await sync.status(person) for person in people] == [Status.REJECTED] + [Status.APPROVED] * 4
    assert await sync.watermark() == int(world.clock.now()) - LAG_S
    assert (await sync.store.stats()).recipients == {BRAND: 5}
