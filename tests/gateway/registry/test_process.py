"""The sync process: begun again when it dies, anew for a new plan, killed only where it does not leave."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable

from gateway.registry.process import SyncProcess

REPORTS = """
import signal, socket, sys, time
signal.signal(signal.SIGTERM, {on_term})
channel = socket.socket(fileno=int(sys.stdin.buffer.read()))
while True:
    channel.sendall(b'{{"state": "active", "tasks": {{}}}}\\n')
    time.sleep(0.05)
"""
OBEDIENT = REPORTS.format(on_term="lambda *_: sys.exit(0)")
STUBBORN = REPORTS.format(on_term="signal.SIG_IGN")


class Plan:
    """A configuration; without ``channel`` there is nothing to keep in step with."""

    def __init__(self, *, is_wanted: bool = True) -> None:
        self.environment: dict[str, str] = {}
        self._is_wanted = is_wanted

    def sync_order(self, channel: int) -> bytes | None:
        return b"%d" % channel if self._is_wanted else None


class Supervised:
    """A process under test, and who is gone."""

    def __init__(self, program: str, *, is_wanted: bool = True) -> None:
        self.plan = Plan(is_wanted=is_wanted)
        self.gone: list[int] = []
        self.sync = SyncProcess(
            [sys.executable, "-c", program], lambda: self.plan, self.gone.append, leaves_within_s=0.5
        )

    @property
    def state(self) -> object:
        return self.sync.describe()["state"]


@contextlib.asynccontextmanager
async def running(program: str, **more: bool) -> AsyncIterator[Supervised]:
    supervised = Supervised(program, **more)
    job = asyncio.create_task(supervised.sync.run())
    try:
        yield supervised
    finally:
        job.cancel()
        await asyncio.wait([job])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


def is_alive(pid: int | None) -> bool:
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return False
    return True


async def test_it_tells_what_the_process_said_last() -> None:
    """And ends it when it is no longer wanted."""
    async with running(OBEDIENT) as supervised:
        await until(lambda: supervised.state == "active")
        pid = supervised.sync.pid
        assert is_alive(pid)
    assert not is_alive(pid)
    assert supervised.gone == [pid]


async def test_one_that_is_killed_is_replaced() -> None:
    """And the restart is counted."""
    async with running(OBEDIENT) as supervised:
        await until(lambda: supervised.state == "active")
        first = supervised.sync.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervised.sync.pid not in (None, first) and supervised.state == "active")
        assert supervised.sync.restarts == 1


async def test_a_new_plan_begins_it_anew() -> None:
    """That is no fault, and not counted as one."""
    async with running(OBEDIENT) as supervised:
        await until(lambda: supervised.state == "active")
        first = supervised.sync.pid
        supervised.plan = Plan()
        await until(lambda: supervised.sync.pid not in (None, first))
        assert not is_alive(first)
        assert supervised.sync.restarts == 0


async def test_one_that_does_not_leave_is_killed() -> None:
    """After its time to finish."""
    async with running(STUBBORN) as supervised:
        await until(lambda: supervised.state == "active")
        pid = supervised.sync.pid
    assert not is_alive(pid)


async def test_without_a_registry_nothing_runs_until_there_is_one() -> None:
    """A reload may bring it."""
    async with running(OBEDIENT, is_wanted=False) as supervised:
        await until(lambda: supervised.state == "not configured")
        assert supervised.sync.pid is None
        supervised.plan = Plan()
        await until(lambda: supervised.state == "active")
