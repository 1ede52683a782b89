"""Machines that leave by one address and share one Redis keep the registry's limits together, whatever their clocks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from adapters.registry import Credentials, RateGate, RegistryAddress, limits_name, records_of_this_process
from adapters.store import Store
from filters.registry.call import Priority, Quota
from filters.registry.failures import Failure
from filters.registry.limits import Limits
from gateway.registry.shared_limits import SharedCount
from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME
from tests.support.redis_server import RedisServer
from tests.support.simulated_registry import SimulatedRegistry

NAME = "registry/limits/of-the-test"


@pytest.fixture
def registry() -> Iterator[SimulatedRegistry]:
    """In real time, with its limits."""
    made = SimulatedRegistry()
    made.start()
    yield made
    made.stop()


def skewed(seconds: float) -> Callable[[], float]:
    """A machine's clock that is wrong."""
    return lambda: time.time() + seconds


@pytest.fixture
async def stores(redis_server: RedisServer, open_test_store: Callable[..., Store]) -> list[Store]:
    """Those of two machines."""
    return [open_test_store(redis_server.url) for _ in range(2)]


async def test_two_machines_together_break_no_limit(registry: SimulatedRegistry, stores: list[Store]) -> None:
    """One clock a minute fast, the other one slow; both want all they can get for three seconds."""
    addresses = []
    for store, ahead_s in zip(stores, (60.0, -60.0), strict=True):
        count = SharedCount(store, f"registry/limits/{limits_name(registry.url)}", skewed(ahead_s))
        gate = RateGate(count, Limits(), count.now)
        addresses.append(RegistryAddress(registry.url, records=records_of_this_process(), gate=gate))
    done: list[int] = [0, 0]

    async def work(number: int) -> None:
        client = addresses[number].client(Credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD))
        while time.monotonic() < ends_at:
            answer = await client.brands(600123)
            assert not isinstance(answer, Failure), answer
            done[number] += 1

    ends_at = time.monotonic() + 3.0
    await asyncio.gather(*(work(number) for number in (0, 1) for _ in range(6)))
    for address in addresses:
        await address.close()
    assert registry.breaches() == []
    assert min(done) > 0, "neither is starved by the other's clock"
    assert sum(done) >= 15


async def test_the_hour_is_one_for_all_machines(stores: list[Store]) -> None:
    """What one has spent the other does not have; and it is not forgotten when both end."""
    limits = Limits(token_per_hour=3)
    gates = []
    for store, ahead_s in zip(stores, (600.0, -600.0), strict=True):
        count = SharedCount(store, NAME, skewed(ahead_s))
        gates.append(RateGate(count, limits, count.now))
    let_in = [isinstance(await gates[n % 2].enter(Quota.TOKEN, Priority.LOGIN, 0.3), float) for n in range(4)]
    assert let_in == [True, True, True, False]
    for gate in gates:
        await gate.close()
    count = SharedCount(stores[0], NAME)
    assert not isinstance(await RateGate(count, limits, count.now).enter(Quota.TOKEN, Priority.LOGIN, 0.3), float)


async def test_a_machine_that_takes_less_for_itself_forgets_nothing_of_the_others(stores: list[Store]) -> None:
    """Its own limit is for it alone: with two a second it still leaves all ten of the other to be counted."""
    counts = [SharedCount(store, NAME) for store in stores]
    many, few = RateGate(counts[0], Limits(), counts[0].now), RateGate(counts[1], Limits(per_second=2), counts[1].now)
    for _ in range(9):
        turn = await many.enter(Quota.NONE, Priority.QUERY, 0.5)
        assert isinstance(turn, float)
        await many.leave(turn)
    assert isinstance(await few.enter(Quota.NONE, Priority.QUERY, 0.1), Failure)
    assert isinstance(await many.enter(Quota.NONE, Priority.QUERY, 0.1), float), "the tenth"
    assert isinstance(await many.enter(Quota.NONE, Priority.QUERY, 0.1), Failure), "no eleventh"


async def test_without_the_store_nothing_is_sent(redis_server: RedisServer, stores: list[Store]) -> None:
    """Nobody knows what the others send."""
    count = SharedCount(stores[0], NAME)
    gate = RateGate(count, Limits(), count.now)
    assert isinstance(await gate.enter(Quota.NONE, Priority.QUERY, 1.0), float)
    await stores[0].close()
    assert isinstance(await gate.enter(Quota.NONE, Priority.QUERY, 1.0), Failure)
