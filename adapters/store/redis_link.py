"""Keeps one connection to Redis: connects, greets, checks what it finds, and connects again when it is lost."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable
from typing import NamedTuple

from adapters.store.errors import StoreError, StoreUnreachableError
from adapters.store.redis_connection import RedisConnection, error_in, pack_command, store_error
from adapters.store.store import StoreOptions
from adapters.store.url import RedisPlace
from filters.vocabulary import LookupFailure

_FIRST_DELAY_S = 0.05
_LONGEST_DELAY_S = 2.0


class RedisSettings(NamedTuple):
    """What the server was found to be: whether it may drop records by itself, and whether a write is on its disk
    before it is answered."""

    may_evict: bool
    is_fsyncing: bool


class RedisLink:
    """Holds at most one open connection; ``connection`` is None while there is none."""

    def __init__(self, name: str, place: RedisPlace, options: StoreOptions, on_ready: Callable[[], None]) -> None:
        self._name = name
        self._place = place
        self._options = options
        self._on_ready = on_ready
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._connection: RedisConnection | None = None
        self.settings: RedisSettings | None = None
        self.problem = "not connected yet"

    @property
    def connection(self) -> RedisConnection | None:
        connection = self._connection
        return connection if connection is not None and connection.is_open else None

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep_connected(), name=self._name)

    async def wait_for_connection(self, timeout_s: float) -> RedisConnection:
        """An open connection. Raises ``StoreUnreachableError`` with the reason why there is none."""
        try:
            async with asyncio.timeout(timeout_s):
                while (connection := self.connection) is None:
                    self._ready.clear()
                    await self._ready.wait()
        except TimeoutError:
            raise StoreUnreachableError(f"Redis at {self._place!r}: {self.problem}") from None
        return connection

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.discard(LookupFailure.UNREACHABLE)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _keep_connected(self) -> None:
        delay_s = 0.0
        while True:
            if delay_s:
                # Spread, so that the workers of many machines do not all knock at the same moment.
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311 (not a secret)
            try:
                connection = await self._connect()
            except OSError as error:  # TLS failures and ours are OSErrors too
                self.problem = str(error.strerror or error) or "no answer in time"
                delay_s = min(max(delay_s * 2, _FIRST_DELAY_S), _LONGEST_DELAY_S)
                continue
            delay_s = 0.0
            self.problem = "the connection was lost"
            self._connection = connection
            self._ready.set()
            self._on_ready()
            await connection.lost
            self._connection = None

    async def _connect(self) -> RedisConnection:
        place, deadline_s = self._place, max(self._options.lookup_deadline_s, 1.0)
        tls = (self._options.tls or ssl.create_default_context()) if place.has_tls else None
        async with asyncio.timeout(deadline_s):
            _, connection = await asyncio.get_running_loop().create_connection(
                RedisConnection, place.host, place.port, ssl=tls
            )
        try:
            await self._greet(connection, deadline_s)
        except BaseException:
            connection.discard(LookupFailure.UNREACHABLE)
            raise
        return connection

    async def _greet(self, connection: RedisConnection, deadline_s: float) -> None:
        place = self._place
        commands = []
        password = place.password or self._options.password
        if password:
            words = [place.user, password] if place.user else [password]
            commands.append(pack_command(b"AUTH", *(word.encode() for word in words)))
        commands.append(pack_command(b"SELECT", b"%d" % place.database))
        error = error_in(await connection.ask(*commands, deadline_s=deadline_s))
        if error:
            raise store_error(error)
        memory, config = await connection.ask(
            pack_command(b"INFO", b"memory"), pack_command(b"CONFIG", b"GET", b"append*"), deadline_s=deadline_s
        )
        error = error_in([memory])
        if error:
            raise store_error(error)
        # CONFIG is often forbidden on a hosted Redis; then it counts as not syncing, and the journal is what keeps.
        found = config if isinstance(config, list) else []
        settings = dict(zip(found[::2], found[1::2], strict=False))
        self.settings = RedisSettings(
            _may_evict(memory), settings.get(b"appendonly") == b"yes" and settings.get(b"appendfsync") == b"always"
        )


def _may_evict(info: bytes) -> bool:
    """Whether Redis drops keys of its own accord when memory runs out. A refusal dropped is a refusal forgotten.

    The ``volatile-`` policies touch only keys with an expiry: those of the retry memory.
    """
    if not isinstance(info, bytes):
        raise StoreError("Redis answered INFO with something else")
    lines = dict(line.partition(b":")[::2] for line in info.splitlines() if b":" in line)
    return lines.get(b"maxmemory", b"0") != b"0" and lines.get(b"maxmemory_policy", b"").startswith(b"allkeys")
