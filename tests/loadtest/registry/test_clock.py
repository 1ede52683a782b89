"""The registry's time runs by itself, faster if wished, can be moved, and goes on after a restart."""

from __future__ import annotations

import asyncio

import pytest

from loadtest.registry.clock import Clock
from tests.support.registry_world import CONSENTS, RegistryWorld


class RealTime:
    """What the machine's clock says."""

    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now


def test_it_runs_at_its_speed_from_where_it_was_put() -> None:
    """A thousand simulated seconds a second; moving keeps the speed unless another is given."""
    real = RealTime()
    clock = Clock(100.0, 1000.0, real)
    real.now += 2
    assert clock.now() == 2100
    assert clock.real_s(500) == 0.5
    clock.move(10.0)
    real.now += 1
    assert clock.now() == 1010
    clock.move(clock.now(), 0.0)
    real.now += 100
    assert clock.now() == 1010


def test_a_restart_takes_no_time_out_of_it() -> None:
    """The anchor says where it would be by now."""
    real = RealTime()
    first = Clock(100.0, 10.0, real)
    real.now += 7
    second = Clock(real=real)
    second.resume(first.anchor())
    assert second.now() == first.now() == 170


async def test_a_week_can_pass_while_a_test_looks_on() -> None:
    """At an hour in a second a movement enters the feed by itself; the speed is set while it runs."""
    async with RegistryWorld(speed=1.0) as world:
        await world.sim("PUT", "settings", {"access_token_s": 30 * 86_400})
        await world.login()
        await world.citizen(status="ONAY")
        assert (await world.call("GET", CONSENTS + "/changes")).status == 204
        await world.sim("PUT", "clock", {"speed": 3600})
        async with asyncio.timeout(10):
            while (reply := await world.call("GET", CONSENTS + "/changes")).status == 204:
                await asyncio.sleep(0.005)
        assert [each["source"] for each in reply.body["list"]] == ["IYS_WEB_YENI"]
        assert (await world.sim("GET", "clock"))["speed"] == 3600


@pytest.mark.parametrize("given", [{"at": "yesterday"}, {"at": None}, {"speed": "fast"}, [1]])
async def test_what_is_no_time_moves_nothing(world: RegistryWorld, given: object) -> None:
    """400 with a sentence, and the clock stands where it stood."""
    before = await world.sim("GET", "clock")
    assert (await world.call("PUT", "/_sim/clock", given)).status == 400
    assert await world.sim("GET", "clock") == before
