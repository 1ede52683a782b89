"""The simulated registry, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from adapters.registry import Credentials, Patience, RegistryAddress, RegistryClient
from filters.registry.limits import Limits
from tests.support.simulated_registry import SimulatedRegistry

USERNAME, PASSWORD = "kullanici@shop.example", "sandbox-parola"
PARTNER = "ortak@partner.example"
MakeAddress = Callable[..., RegistryAddress]


@pytest.fixture(scope="session")
def registry_process() -> Iterator[SimulatedRegistry]:
    """One simulator for the tests of this process."""
    registry = SimulatedRegistry()
    registry.start()
    yield registry
    registry.stop()


@pytest.fixture
def registry(registry_process: SimulatedRegistry) -> SimulatedRegistry:
    """The simulator without faults, counts or blocks; each test writes addresses of its own."""
    registry_process.reset()
    return registry_process


@pytest.fixture
async def make_address(registry: SimulatedRegistry) -> AsyncIterator[MakeAddress]:
    """Addresses of the simulator, closed after the test: ``make_address(limits=Limits(...))``."""
    made: list[RegistryAddress] = []

    def make(base_url: str | None = None, **options: object) -> RegistryAddress:
        options.setdefault("clock", registry.now)
        options.setdefault("patience", Patience(answer_s=5.0, connect_s=2.0, turn_s=20.0))
        address = RegistryAddress(base_url or registry.url, **options)
        made.append(address)
        return address

    yield make
    for address in made:
        await address.close()


@pytest.fixture
def client(registry: SimulatedRegistry, make_address: MakeAddress) -> RegistryClient:
    """A provider's client, without the limit of a second on either side: these tests are about meaning."""
    registry.set(requests_per_second=100_000)
    return make_address(limits=Limits(per_second=100_000)).client(Credentials(USERNAME, PASSWORD))


@pytest.fixture
def partner(registry: SimulatedRegistry, make_address: MakeAddress) -> RegistryClient:
    """A partner's client, likewise."""
    registry.set(requests_per_second=100_000)
    return make_address(limits=Limits(per_second=100_000)).client(Credentials(PARTNER, PASSWORD))
