"""An HTTP listener for strangers: small limits, short patience, and silence about what it was sent.

The framework's own server answers bytes it cannot parse with the text of its exception and logs them with a trace
back; both may hold a token. Here the answer is a fixed sentence, and what is logged is counted by the observer instead.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Protocol

from aiohttp import web

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


class ListenerObserver(Protocol):
    """Who counts what never reached a handler. Must not raise."""

    def http_malformed(self) -> None:
        """Bytes that are no HTTP request."""

    def http_turned_away(self) -> None:
        """A connection beyond the limit."""


class _Connection(web.RequestHandler):
    """One connection; answers what is not HTTP without repeating it."""

    __slots__ = ("observer",)

    observer: ListenerObserver

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        is_ours = status >= 500
        self.observer.http_malformed()
        response = web.Response(
            status=503 if is_ours else 400,
            text="Temporarily unavailable.\n" if is_ours else "Bad request.\n",
            headers={"Server": "izinkapi", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
        )
        response.force_close()
        return response


class _Busy(asyncio.Protocol):
    """A connection beyond the limit: told to come back, and closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(_BUSY)
        transport.close()


class HttpListener:
    """Serves ``app`` on inherited sockets. ``max_connections`` for this process; ``drain_s`` for requests under way."""

    def __init__(
        self,
        app: web.Application,
        observer: ListenerObserver,
        *,
        max_connections: int = 1000,
        max_line_bytes: int = MAX_LINE_BYTES,
        drain_s: float = _DRAIN_S,
    ) -> None:
        self._runner = web.AppRunner(app, access_log=None, logger=_SILENT, shutdown_timeout=drain_s)
        self._observer = observer
        self._max_connections = max_connections
        self._max_line_bytes = max_line_bytes
        self._servers: list[asyncio.Server] = []

    async def start(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections on ``listening``; may be called for several sockets."""
        if self._runner.server is None:
            await self._runner.setup()
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
        connection = _Connection(
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
        return connection
