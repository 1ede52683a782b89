"""The same way up over a store that several machines share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.store import Store
from gateway.registry.reporting.flights import FIRST_POLL_S
from tests.support.registry_world import RegistryWorld
from tests.support.reporting_world import DAY_S, HOLIDAYS, ReportingWorld

AYSE = "ayse@example.com"


@pytest.fixture
async def world(redis_store: Store) -> AsyncIterator[ReportingWorld]:
    """Over Redis."""
    async with RegistryWorld(holidays=HOLIDAYS) as registry:
        made = ReportingWorld(registry, redis_store)
        yield made
        await made.close()


async def test_lists_parked_reports_and_a_change_of_process_work_over_redis_too(world: ReportingWorld) -> None:
    await world.refuse(AYSE)
    await world.registry.advance(10 * DAY_S)
    everybody = [f"kisi{number}@example.com" for number in range(40)]
    for person in everybody:
        world.consented(person)
        await world.refuse(person)
    await world.refuse("fatma@example.com", is_known=False)
    await world.work()
    assert await world.parked() == {"H467": 1, "address_unknown": 1}
    world.make_reporter()
    await world.work_for(FIRST_POLL_S + 60, 30)
    assert await world.waiting() == []
    assert world.operations()["bulk-v2"] == 2, "the late one by itself, which refuses its list, then all others"
    assert all(world.stored(person) == ("RET", "HS_WEB") for person in everybody)
    assert world.reporter.describe()["parked"] == {"H467": 1, "address_unknown": 1}
