"""The gateway as its users meet it: real clients before it, real next hops behind it, real processes throughout.

Each module shares one gateway where it can, for starting one takes longer than most tests; so the suite runs each file
in one process (``--dist loadfile``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.gateway_fixtures import gateways, make_gateway, make_sink
from tests.support.gateway_process import GatewayProcess

__all__ = ["make_gateway", "make_sink"]


@pytest.fixture(scope="module")
def make_shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., GatewayProcess]]:
    """As ``make_gateway``, for all tests of a module."""
    yield from gateways(tmp_path_factory)


@pytest.fixture(scope="module")
def gateway(make_shared_gateway: Callable[..., GatewayProcess]) -> GatewayProcess:
    """Two workers, the embedded store, one sink; each test names people of its own."""
    return make_shared_gateway()
