"""A simulated registry in the test's own loop, with a clock that stands still, and an embedded store."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.store import Store
from tests.support.registry_world import RegistryWorld
from tests.support.sync_world import SyncWorld


@pytest.fixture
async def world() -> AsyncIterator[RegistryWorld]:
    """The simulator, logged in to."""
    async with RegistryWorld() as registry:
        await registry.login()
        yield registry


@pytest.fixture
async def sync(world: RegistryWorld, lmdb_store: Store) -> AsyncIterator[SyncWorld]:
    """Sync parts over an embedded store."""
    made = SyncWorld(world, lmdb_store)
    yield made
    await made.close()
