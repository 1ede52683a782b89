"""Servers and stores that several parts of the suite need. Each test gets its own data; a Redis is shared by the
tests of one process, as starting one takes longer than most tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from adapters.store import Store, StoreOptions, open_store
from tests.support.redis_server import RedisServer

FINGERPRINT = b"test-fp1"

# A property must not fail because the machine does other work too; what never ends meets pytest's own time limit.
# How fast examples are drawn says something about the machine only, and would fail a test on a busy one now and then.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for tests that only need it to be there and empty."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server(shared_redis: RedisServer) -> RedisServer:
    """A Redis without a key in it, on a free port of the loopback interface."""
    shared_redis.ask("FLUSHALL")
    return shared_redis


@pytest.fixture
def make_redis(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Starts servers that the test may stop, kill and restart; ``make_redis("--appendonly", "yes")``."""
    servers: list[RedisServer] = []

    def make(*options: str) -> RedisServer:
        server = RedisServer(tmp_path / f"redis-{len(servers)}", *options)
        servers.append(server)  # before it starts: one that is not ready in time is ended too
        server.start()
        return server

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
async def open_test_store(tmp_path: Path) -> AsyncIterator[Callable[..., Store]]:
    """Opens stores and closes them after the test: ``open_test_store(url, state="machine-a", taken_days=1)``."""
    stores: list[Store] = []

    def make(url: str, *, state: str = "state", fingerprint: bytes = FINGERPRINT, **options: object) -> Store:
        store = open_store(
            url,
            state_directory=tmp_path / state,
            secret_fingerprint=fingerprint,
            base_directory=tmp_path,
            options=StoreOptions(**options),
        )
        stores.append(store)
        return store

    yield make
    for store in stores:
        await store.close()


@pytest.fixture
async def lmdb_store(open_test_store: Callable[..., Store]) -> Store:
    """An embedded store, initialised and empty."""
    store = open_test_store("lmdb:store", map_size_bytes=1 << 30)
    await store.start()
    await store.initialise()
    return store


@pytest.fixture
async def redis_store(redis_server: RedisServer, open_test_store: Callable[..., Store]) -> Store:
    """A shared store, initialised and empty."""
    store = open_test_store(redis_server.url)
    await store.start()
    await store.initialise()
    return store
