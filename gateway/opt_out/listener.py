"""An HTTP listener for strangers: small limits, short patience, and silence about what it was sent."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl

from aiohttp import web

from gateway.http.connection import Connection, ConnectionObserver
from gateway.http.direct import DIRECT_CALLS, DirectConnection

MAX_LINE_BYTES = 4 * 1024
MAX_FIELD_BYTES = 8 * 1024
MAX_FIELDS = 64
IDLE_S = 20.0
"""For the first request to arrive in full, and between requests on a kept connection."""

_LINGERING_S = 2.0
_DRAIN_S = 5.0
_BACKLOG = 1024

_SILENT = logging.getLogger("izinkapi.opt_out.http")
_SILENT.setLevel(logging.CRITICAL + 1)
_SILENT.addFilter(lambda _record: False)

_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _Busy(asyncio.Protocol):
    """A connection beyond the limit: told to come back, and closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(_BUSY)
        transport.close()


class HttpListener:
    """Serves ``app`` on inherited sockets. ``max_connections`` for this process; ``drain_s`` for requests under way.

    What ``app`` names under ``DIRECT_CALLS`` is asked before it, but for the paths of its more particular routes.
    """

    def __init__(
        self,
        app: web.Application,
        observer: ConnectionObserver,
        *,
        max_connections: int = 1000,
        max_line_bytes: int = MAX_LINE_BYTES,
        drain_s: float = _DRAIN_S,
    ) -> None:
        self._app = app
        self._direct = app.get(DIRECT_CALLS)
        self._reserved: tuple[str, ...] = ()
        self._runner = web.AppRunner(app, access_log=None, logger=_SILENT, shutdown_timeout=drain_s)
        self._observer = observer
        self._max_connections = max_connections
        self._max_line_bytes = max_line_bytes
        self._servers: list[asyncio.Server] = []

    async def start(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections on ``listening``; may be called for several sockets."""
        if self._runner.server is None:
            await self._runner.setup()
            beginnings = {resource.canonical.partition("{")[0] for resource in self._app.router.resources()}
            self._reserved = tuple(sorted(beginnings - {"/"}))
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(self._make_connection, sock=listening, ssl=tls, backlog=_BACKLOG))

    async def close(self) -> None:
        """Stop accepting, let requests under way finish for a few seconds, close."""
        for server in self._servers:
            server.close()
        await self._runner.cleanup()
        for server in self._servers:
            await server.wait_closed()

    def _make_connection(self) -> asyncio.Protocol:
        manager = self._runner.server
        if manager is None or len(manager.connections) >= self._max_connections:
            self._observer.http_turned_away()
            return _Busy()
        kind = Connection if self._direct is None else DirectConnection
        connection = kind(
            manager,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE_S,
            logger=_SILENT,
            access_log=_SILENT,
            max_line_size=self._max_line_bytes,
            max_field_size=MAX_FIELD_BYTES,
            max_headers=MAX_FIELDS,
            lingering_time=_LINGERING_S,
            # The body is not parsed, so unpacking it would only serve a bomb.
            auto_decompress=False,
        )
        connection.observer = self._observer
        if self._direct is not None and isinstance(connection, DirectConnection):
            connection.calls = self._direct
            connection.reserved = self._reserved
        return connection
