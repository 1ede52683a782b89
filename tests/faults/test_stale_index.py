"""The registry was last heard of too long ago, or the clock jumps: a consent is not acted on, a refusal is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from loadtest.numbered_recipients import address_of
from tests.support.fault_world import FaultWorld

CONSENTING, REFUSING, UNKNOWN = address_of(1), address_of(7), address_of(9)


@pytest.fixture(scope="module")
def world(make_shared_world: Callable[..., FaultWorld]) -> FaultWorld:
    return make_shared_world(workers=1, watermark_at=int(time.time()) - 30 * 3600, starts=False)


async def test_index_stale(world: FaultWorld) -> None:
    """Thirty hours behind: 451 to whom there is a consent, 550 to whom there is none, other mail untouched; and as soon
    as the index is brought up to date everything is sent, without a restart."""
    world.gateway.start()
    await asyncio.to_thread(world.gateway.wait_for_port, world.gateway.admin_port)
    while world.gateway.status().get("reasons") != ["brand 600123: index is stale"]:
        await asyncio.sleep(0.05)
    assert await asyncio.to_thread(world.send, CONSENTING) == 451
    assert await asyncio.to_thread(world.send, REFUSING) == 550
    assert await asyncio.to_thread(world.send, UNKNOWN) == 550
    assert await asyncio.to_thread(world.send, CONSENTING, REFUSING) == 451
    assert await asyncio.to_thread(world.send, REFUSING, is_commercial=False) == 250
    async with world.traffic(seconds=2) as traffic:
        await asyncio.sleep(1)
        mended_at = time.time()
        await asyncio.to_thread(world.seed)
    traffic.assert_kept()
    assert traffic.answers("one", until=mended_at).keys() == {"451", "550"}
    assert traffic.answers("five", until=mended_at).keys() == {"451"}
    traffic.assert_exempt_flowed()
    assert await asyncio.to_thread(world.send, CONSENTING) == 250
