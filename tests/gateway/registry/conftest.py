"""A simulated registry in the test's own loop, with a clock that stands still, and an embedded store."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from adapters.store import Store
from tests.support.push_world import Receiver
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


@pytest.fixture
async def make_receiver() -> AsyncIterator[Callable[[Store], Any]]:
    """Starts receivers over a store; ends them after the test."""
    made: list[Receiver] = []

    async def make(index: Store, tls: ssl.SSLContext | None = None) -> Receiver:
        receiver = Receiver(index, tls)
        made.append(receiver)
        await receiver.start()
        return receiver

    yield make
    for receiver in made:
        await receiver.stop()
