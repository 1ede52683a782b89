"""A next hop that breaks off: the client hears what is known, tries again, and only the unknown can come twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from loadtest.audit import read_lines
from tests.support.fault_world import FaultWorld

pytestmark = pytest.mark.xdist_group("faults-relay")


@pytest.fixture(scope="module")
def world(make_shared_world: Callable[..., FaultWorld]) -> FaultWorld:
    return make_shared_world()


async def test_sink_close_before_reply(world: FaultWorld) -> None:
    """Taken, and the connection cut without a word: 451, and each copy of which nobody heard comes again, no other."""
    await asyncio.to_thread(world.relay.restart, "--fault", "every=6:close-before-reply")
    async with world.traffic(seconds=2.5) as traffic:
        pass
    found = traffic.assert_kept()
    unheard = sum(
        not line["is_confirmed"] for line in read_lines(world.relay.journal) if line["at"] >= traffic.began_at
    )
    duplicates = found["commercial"].duplicates + found["exempt"].duplicates
    assert duplicates == unheard > 0
    assert set(found["commercial"].duplicate_causes) == {"after 451"}
    assert set(traffic.answers("one", "five", "exempt")) == {"250", "550", "451"}


@pytest.mark.parametrize("fault", ["421-data", "close-after-dot", "close-at-data", "421", "tempfail-data"])
async def test_sink_breaks_off_before_it_takes(world: FaultWorld, fault: str) -> None:
    """Whatever the next hop does before it takes a message: temporary to the client, nothing lost, nothing twice."""
    await asyncio.to_thread(world.relay.restart, "--fault", f"every=5:{fault}")
    async with world.traffic(seconds=1.2) as traffic:
        pass
    found = traffic.assert_kept()
    answers = traffic.answers("one", "five", "exempt")
    assert set(answers) <= {"250", "550", "451"}
    assert found["commercial"].duplicates == found["exempt"].duplicates == 0
