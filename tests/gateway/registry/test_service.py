"""The sync service: one machine at a time, tasks begun again, everything given back at the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from adapters.store import Store
from gateway.registry.lease import MachineLock, StoreLease, machine_name
from gateway.registry.service import SyncService


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Duty:
    """A task that counts its runs; it fails as often as told."""

    name = "duty"

    def __init__(self, failures: int = 0) -> None:
        self.runs = 0
        self.is_running = False
        self._failures = failures

    async def run(self, stop: asyncio.Event) -> None:
        self.runs += 1
        if self.runs <= self._failures:
            raise RuntimeError("ayse@example.com")
        self.is_running = True
        try:
            await stop.wait()
        finally:
            self.is_running = False

    def describe(self) -> dict[str, object]:
        return {"runs": self.runs}


class Broken:
    """A lease whose store is away."""

    async def hold(self) -> bool:
        raise OSError

    async def release(self) -> None:
        raise OSError


@pytest.fixture(params=["lmdb", "redis"])
async def store(request: pytest.FixtureRequest, open_test_store: Callable[..., Store]) -> Store:
    url = "lmdb:store" if request.param == "lmdb" else request.getfixturevalue("redis_server").url
    made = open_test_store(url, **({"map_size_bytes": 1 << 30} if request.param == "lmdb" else {}))
    await made.start()
    await made.initialise()
    return made


@contextlib.asynccontextmanager
async def running(service: SyncService) -> AsyncIterator[None]:
    """Runs it for the block, and ends it in order."""
    job = asyncio.create_task(service.run())
    try:
        yield
    finally:
        service.leave()
        async with asyncio.timeout(10):
            await job


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def test_one_of_two_machines_holds_the_lease(store: Store) -> None:
    """And the other has it at once when it is given back."""
    first, second = StoreLease(store, "a"), StoreLease(store, "b")
    assert await first.hold()
    assert not await second.hold()
    assert await first.hold()
    await first.release()
    assert await second.hold()
    assert not await first.hold()


async def test_a_machine_that_died_is_followed_after_a_term_and_not_before(store: Store) -> None:
    """By the follower's own clock: nobody's is compared with another's."""
    clock = Clock()
    dead, next_one = StoreLease(store, "a"), StoreLease(store, "b", term_s=15.0, monotonic=clock)
    assert await dead.hold()
    assert not await next_one.hold()
    clock.now += 15.0
    assert not await next_one.hold()
    clock.now += 0.1
    assert await next_one.hold()
    assert not await dead.hold()


async def test_a_renewed_lease_is_not_taken(store: Store) -> None:
    """However much time has passed between two looks."""
    clock = Clock()
    alive, other = StoreLease(store, "a"), StoreLease(store, "b", term_s=15.0, monotonic=clock)
    assert await alive.hold()
    for _ in range(3):
        assert not await other.hold()
        clock.now += 20.0
        assert await alive.hold()
    assert not await other.hold()


async def test_the_same_machine_goes_on_at_once_after_a_kill(store: Store, tmp_path: Path) -> None:
    """Its name is kept; that only one process of it runs is the lock file's business."""
    name = machine_name(tmp_path / "state" / "name")
    assert await StoreLease(store, name).hold()
    assert machine_name(tmp_path / "state" / "name") == name
    assert await StoreLease(store, name).hold()


@pytest.mark.parametrize("garbage", [b"", b"null", b"[]", b"{", b'{"holder": 3, "beat": "x"}'])
async def test_a_lease_that_cannot_be_read_is_nobodys(store: Store, garbage: bytes) -> None:
    """It would else be nobody's for ever."""
    await store.keep("lease/sync", garbage)
    assert await StoreLease(store, "a").hold()


def test_one_process_of_a_machine_has_the_lock(tmp_path: Path) -> None:
    """The next one gets it when it is let go of."""
    first, second = MachineLock(tmp_path / "x" / "lock"), MachineLock(tmp_path / "x" / "lock")
    assert first.take()
    assert first.take()
    assert not second.take()
    first.release()
    assert second.take()
    second.release()


async def test_tasks_run_while_the_lease_is_held(store: Store) -> None:
    """They end when another has it, and begin again when it comes back."""
    clock = Clock()
    duty = Duty()
    service = SyncService([duty], StoreLease(store, "a"), term_s=0.2)
    async with running(service):
        await until(lambda: duty.is_running)
        assert service.is_active
        await store.keep("lease/sync", b'{"holder": "b", "beat": 1}')
        await until(lambda: not duty.is_running and not service.is_active)
        await StoreLease(store, "b", monotonic=clock).release()
        await until(lambda: duty.is_running)
    assert not duty.is_running
    assert await StoreLease(store, "c").hold()


async def test_a_task_that_fails_is_begun_again(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    """The status names the fault, and never what it was about."""
    duty = Duty(failures=1)
    service = SyncService([duty], StoreLease(store, "a"), term_s=0.5)
    async with running(service):
        await until(lambda: duty.is_running)
        told = service.describe()["tasks"]
    assert isinstance(told, dict)
    assert told["duty"]["problem"] == "RuntimeError"
    assert (told["duty"]["restarts"], told["duty"]["runs"]) == (1, 2)
    assert "ayse@example.com" not in str(told)


async def test_without_a_store_nobody_is_active() -> None:
    """Who cannot know whether another machine is at it keeps still."""
    duty = Duty()
    service = SyncService([duty], Broken(), term_s=0.2)
    async with running(service):
        await asyncio.sleep(0.3)
        assert not service.is_active
        assert service.describe()["lease_problem"] == "OSError"
    assert duty.runs == 0
