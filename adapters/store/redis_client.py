"""What is asked of Redis beside look-ups, through redis-py: changes, the outbox, counters, settings.

Three things are taken out of the library's hands, and only these:

* **Nothing is tried again by itself.** Whether a command that was cut off was carried out is not known, and what is
  then to be done is the caller's business. Each may be repeated: merging twice is merging once, an outbox item keeps
  its id, a report is removed once. Only what came back would be untrue: "nothing changed", of one's own change.
* **One deadline** for the whole question, waiting for a connection included, instead of one for each read and write.
  A question that is late or cancelled takes its connection with it (redis-py closes one whose reply was not read), so
  no late reply can be taken for the answer to a later question.
* **The TLS context** is the one that look-ups use.

RESP2, as on the connections for look-ups: nothing here needs the types or the pushed messages of RESP3, and where none
are asked for, a reply that nobody asked for stays the sign of a broken connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import SSLContext
from typing import Any, NamedTuple

from redis.asyncio import ConnectionPool, Redis, SSLConnection
from redis.commands.core import AsyncScript
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from adapters.store.errors import StoreError, StoreTimedOutError, StoreUnreachableError
from adapters.store.redis_errors import store_error
from adapters.store.url import RedisPlace

_AT_ONCE = 4
"""Questions under way at a time; more wait here. Redis runs one script after the other anyway."""


class RedisSettings(NamedTuple):
    """What the server was found to be: whether it may drop records by itself, and whether a write is on its disk
    before it is answered."""

    may_evict: bool
    is_fsyncing: bool


class RedisClient:
    """Connects when first asked. ``close`` ends what is under way."""

    def __init__(
        self, place: RedisPlace, password: str, tls: SSLContext | None, *, connect_s: float, deadline_s: float
    ) -> None:
        self._deadline_s = deadline_s
        self._connect_s = connect_s
        self._settings: dict[str, Any] = {
            "host": place.host,
            "port": place.port,
            "db": place.database,
            "username": place.user or None,
            "password": place.password or password or None,
            "protocol": 2,
            "socket_connect_timeout": connect_s,
            "socket_timeout": None,  # `asking` has the deadline
            "driver_info": None,  # not every user may say CLIENT SETINFO, and nobody reads it
        }
        if tls is not None:
            self._settings |= {"connection_class": _TlsConnection, "tls": tls}
        self._redis = self._new()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._under_way: set[asyncio.Timeout] = set()
        self._is_closed = False

    def _new(self) -> Redis:
        # Given as a pool, redis-py tries nothing again; given as arguments, it would ten times.
        return Redis.from_pool(ConnectionPool(**self._settings))

    def load_script(self, path: Path) -> Callable[[Sequence[bytes], Sequence[bytes]], Awaitable[Any]]:
        """Lua that runs inside Redis, called with keys and arguments; sent whole only where Redis does not have it yet,
        which Redis says before it runs anything."""
        script: AsyncScript = self._redis.register_script(path.read_bytes())

        async def run(keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
            async with self.asking():
                return await script(keys, arguments)

        return run

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[Redis]:
        """redis-py's client, for one question; what it raises leaves as a ``StoreError``."""
        async with self._within(self._deadline_s), self._turns:
            if self._is_closed:
                raise StoreUnreachableError("the store is closed")
            yield self._redis

    async def read_settings(self) -> RedisSettings:
        """Asks over a connection of its own, made now: one from before may lead to the server that was there before.

        Raises ``StoreError``.
        """
        async with self._within(self._connect_s):
            redis = self._new()
            try:
                async with redis.pipeline(transaction=False) as questions:
                    questions.info("memory")
                    questions.config_get("append*")
                    memory, config = await questions.execute(raise_on_error=False)
            finally:
                await redis.aclose()
            if isinstance(memory, RedisError):
                raise memory
        # CONFIG is often forbidden on a hosted Redis; then it counts as not syncing, and the journal is what keeps.
        found = config if isinstance(config, dict) else {}
        return RedisSettings(
            may_evict=_may_evict(memory),
            is_fsyncing=found.get("appendonly") == "yes" and found.get("appendfsync") == "always",
        )

    async def close(self) -> None:
        """What is under way ends with ``StoreUnreachableError``."""
        self._is_closed = True
        for timeout in self._under_way:
            if not timeout.expired():
                timeout.reschedule(asyncio.get_running_loop().time())
        # Once all have ended nobody is left who could open another connection.
        for _ in range(_AT_ONCE):
            await self._turns.acquire()
        for _ in range(_AT_ONCE):
            self._turns.release()
        with contextlib.suppress(RedisError, OSError):
            await self._redis.aclose()

    @asynccontextmanager
    async def _within(self, deadline_s: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(deadline_s) as timeout:
                self._under_way.add(timeout)
                try:
                    yield
                finally:
                    self._under_way.discard(timeout)
        except TimeoutError:
            if self._is_closed:
                raise StoreUnreachableError("the store is closed") from None
            raise StoreTimedOutError("Redis did not answer in time") from None
        except RedisError as error:
            raise _our_error(error) from None


class _TlsConnection(SSLConnection):
    """With a context made by us: redis-py's own would trust the system's authorities beside the one configured."""

    def __init__(self, *, tls: SSLContext, **settings: Any) -> None:
        super().__init__(**settings)
        self.ssl_context.context = tls


def _our_error(error: RedisError) -> StoreError:
    if isinstance(error, RedisTimeoutError):
        return StoreTimedOutError("Redis did not answer in time")
    # redis-py cuts the first word off the errors it knows.
    kind = error.status_code or (str(error) if isinstance(error, ResponseError) else "")
    if isinstance(error, RedisConnectionError) and not isinstance(error, AuthenticationError):
        return StoreUnreachableError(f"Redis refused: {kind}" if kind else "the connection to Redis was lost")
    return store_error(kind) if kind else StoreError("Redis answered what cannot be read")


def _may_evict(memory: dict[str, Any]) -> bool:
    """Whether Redis drops keys of its own accord when memory runs out. A refusal dropped is a refusal forgotten.

    The ``volatile-`` policies touch only keys with an expiry: those of the retry memory.
    """
    return bool(memory.get("maxmemory")) and str(memory.get("maxmemory_policy", "")).startswith("allkeys")
