"""Keeps one connection for look-ups: connects, logs in, and connects again when it is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from ssl import SSLContext

from adapters.store.errors import StoreUnreachableError
from adapters.store.redis_connection import RedisConnection, error_in, pack_command
from adapters.store.redis_errors import store_error
from adapters.store.url import RedisPlace
from filters.vocabulary import LookupFailure

_FIRST_DELAY_S = 0.05
_LONGEST_DELAY_S = 2.0


class RedisLink:
    """Holds at most one open connection; ``connection`` is None while there is none."""

    def __init__(
        self,
        name: str,
        place: RedisPlace,
        password: str,
        tls: SSLContext | None,
        *,
        connect_s: float,
        on_connected: Callable[[], Awaitable[None]],
    ) -> None:
        """``on_connected`` is waited for before the connection is used; an ``OSError`` of it ends the connection."""
        self._name = name
        self._place = place
        self._password = place.password or password
        self._tls = tls
        self._connect_s = connect_s
        self._on_connected = on_connected
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._connection: RedisConnection | None = None
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
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
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
            await connection.lost
            self._connection = None

    async def _connect(self) -> RedisConnection:
        async with asyncio.timeout(self._connect_s):
            _, connection = await asyncio.get_running_loop().create_connection(
                RedisConnection, self._place.host, self._place.port, ssl=self._tls
            )
        try:
            await self._log_in(connection)
            await self._on_connected()
        except BaseException:  # cancelled too: a connection half logged in is nobody's
            connection.discard(LookupFailure.UNREACHABLE)
            raise
        return connection

    async def _log_in(self, connection: RedisConnection) -> None:
        # By hand, as these two are said on the very connection that look-ups use.
        commands = []
        if self._password:
            words = [self._place.user, self._password] if self._place.user else [self._password]
            commands.append(pack_command(b"AUTH", *(word.encode() for word in words)))
        commands.append(pack_command(b"SELECT", b"%d" % self._place.database))
        error = error_in(await connection.ask(*commands, deadline_s=self._connect_s))
        if error:
            raise store_error(error)
