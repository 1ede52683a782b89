"""A registry, a store and a reporter for each test, under one clock that stands at noon of a Wednesday."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.store import Store
from tests.support.registry_world import RegistryWorld
from tests.support.reporting_world import HOLIDAYS, ReportingWorld


@pytest.fixture
async def world(lmdb_store: Store) -> AsyncIterator[ReportingWorld]:
    """Nothing waits yet."""
    async with RegistryWorld(holidays=HOLIDAYS) as registry:
        made = ReportingWorld(registry, lmdb_store)
        yield made
        await made.close()
