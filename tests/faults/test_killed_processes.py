"""SIGKILL to any process of the gateway or behind it: clients keep their mail, try again, and nobody else gets any."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from loadtest.whole_gateway import wait_for_end
from tests.support.fault_world import FaultWorld, until

pytestmark = pytest.mark.xdist_group("faults-killed")


@pytest.fixture(scope="module")
def world(make_shared_world: Callable[..., FaultWorld]) -> FaultWorld:
    return make_shared_world()


async def test_worker_killed(world: FaultWorld) -> None:
    """Its sessions are cut, the other worker goes on, the killed one is replaced, and every message is settled."""
    before = world.gateway.status()["worker_restarts"]
    async with world.traffic(seconds=3) as traffic:
        await asyncio.sleep(1)
        killed = world.gateway.kill_worker()
        await until(lambda: world.gateway.status()["worker_restarts"] == before + 1)
    found = traffic.assert_kept()
    assert killed not in world.gateway.worker_pids()
    assert set(traffic.answers("exempt")) <= {"250", "lost"}
    assert set(traffic.answers("one")) <= {"250", "550", "lost"}
    lost = traffic.answers("one", "five", "exempt")["lost"]
    assert found["commercial"].duplicates + found["exempt"].duplicates <= 5 * lost, "only what was cut comes twice"


async def test_gateway_killed(world: FaultWorld) -> None:
    """Supervisor and workers die at once and are started again: the same."""
    async with world.traffic(seconds=3) as traffic:
        await asyncio.sleep(1)
        await asyncio.to_thread(world.gateway.kill_all)
        world.gateway.start()
        await asyncio.to_thread(world.gateway.wait_until_ready)
    traffic.assert_kept()
    assert traffic.reports["one"].connect_failures > 0
    assert set(traffic.answers("one", "five", "exempt")) <= {"250", "550", "451", "lost"}


async def test_supervisor_killed(world: FaultWorld) -> None:
    """Workers without an owner finish what they have and end, and a new supervisor gets their ports."""
    async with world.traffic(seconds=3) as traffic:
        await asyncio.sleep(1)
        orphans = world.gateway.kill_supervisor()
        assert len(orphans) == 2
        await asyncio.to_thread(wait_for_end, orphans, 15.0)
        world.gateway.start()
        await asyncio.to_thread(world.gateway.wait_until_ready)
    found = traffic.assert_kept()
    assert found["commercial"].duplicates == found["exempt"].duplicates == 0, "a drain cuts nothing off"


async def test_relay_killed(world: FaultWorld) -> None:
    """While there is no next hop clients hear 451; when it is back mail flows without anybody's doing."""
    async with world.traffic(seconds=4) as traffic:
        await asyncio.sleep(1)
        world.relay.kill()
        await asyncio.sleep(1)
        await asyncio.to_thread(world.relay.start)
    found = traffic.assert_kept()
    answers = traffic.answers("one", "five", "exempt")
    assert set(answers) == {"250", "550", "451"}
    causes = found["commercial"].duplicate_causes | found["exempt"].duplicate_causes
    assert set(causes) <= {"after 451"}, "only where the relay took a message and died before it said so"
