"""The kept connections to one provider. How many there are at once is the business of ``turns``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from yarl import URL

from adapters.sms.connection import Connection, write_head
from adapters.sms.settings import HttpUpstreamSettings
from filters.sms.http import HttpRequest, HttpResponse, UpstreamFault


class Connections:
    """The one that was used last is used first, so that those of a busy hour grow old and close.

    ``on_change`` hears of each that opens (1) and closes (-1).
    """

    def __init__(self, settings: HttpUpstreamSettings, on_change: Callable[[int], None]) -> None:
        url = URL(settings.base_url, encoded=True)
        self._address = (url.raw_host or "", url.port or 80)
        self._host = str(url.raw_host) if url.is_default_port() else f"{url.raw_host}:{url.port}"
        if url.raw_host is not None and ":" in url.raw_host:
            self._host = f"[{url.raw_host}]" + ("" if url.is_default_port() else f":{url.port}")
        self._prefix = url.raw_path.rstrip("/")
        self._tls = (settings.tls or True) if url.scheme == "https" else None
        self._settings = settings
        self._on_change = on_change
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._all_closed: asyncio.Future[None] | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def ask(self, request: HttpRequest, until: float | None = None) -> HttpResponse | UpstreamFault:
        """The provider's answer to ``request``, asked once, or ``EXPIRED`` where a connection took longer than
        ``until`` (the loop's time)."""
        try:
            head = write_head(request, self._host, self._prefix)
        except ValueError:
            return UpstreamFault.UNREACHABLE  # nothing of it leaves
        loop = asyncio.get_running_loop()
        left_s = self._settings.timeout_s
        connection = self._take_idle(loop.time())
        if connection is None:
            began = loop.time()
            try:
                connection = await self._connect(loop)
            except OSError:  # a time-out, a name that is not found and a wrong certificate are ones too
                return UpstreamFault.UNREACHABLE
            left_s -= loop.time() - began
            if until is not None and loop.time() > until:
                self._keep(connection, loop)  # for the request when it has been decided again
                return UpstreamFault.EXPIRED
        try:
            answer = await connection.ask(head, request.body, left_s)
        except BaseException:  # nobody waits for it any more, and the next one must not get it
            connection.abort()
            raise
        if connection.is_usable:
            self._keep(connection, loop)
        return answer

    def _keep(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(self._settings.idle_s, self._close_old)

    async def close(self) -> None:
        """At once, whatever is under way."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._idle.clear()
        if self._open:
            self._all_closed = asyncio.get_running_loop().create_future()
            for connection in list(self._open):
                connection.abort()
            await self._all_closed

    def _take_idle(self, now: float) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable and now - connection.idle_since < self._settings.idle_s:
                return connection
            connection.abort()
        return None

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> Connection:
        host, port = self._address
        limit = self._settings.max_response_bytes
        async with asyncio.timeout(min(self._settings.connect_s, self._settings.timeout_s)):
            _, connection = await loop.create_connection(
                lambda: Connection(loop, limit, self._note), host, port, ssl=self._tls
            )
        return connection

    def _note(self, connection: Connection, change: int) -> None:
        if change > 0:
            self._open.add(connection)
        else:
            self._open.discard(connection)
            if not self._open and self._all_closed is not None and not self._all_closed.done():
                self._all_closed.set_result(None)
        self._on_change(change)

    def _close_old(self) -> None:
        self._sweep = None
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._settings.idle_s
        old = [connection for connection in self._idle if connection.idle_since <= oldest or not connection.is_usable]
        self._idle = [connection for connection in self._idle if connection not in old]
        for connection in old:
            connection.abort()
        if self._idle:
            self._sweep = loop.call_later(self._settings.idle_s, self._close_old)
