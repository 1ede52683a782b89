"""Both ends of SMS traffic over HTTP, as light as they can be: a client that keeps connections busy, and a provider.

They share the loop of the process that measures. Each speaks only as much HTTP as the servers and clients between them
do: heads with ``Content-Length``, kept connections.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Sequence
from typing import cast

_LARGE_BYTES = 32 * 1024
_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_DESTINATION = re.compile(rb'"to": ?"([0-9]+)"')
_NETGSM_ANSWER = b'{"code":"00","jobid":"17377215342605050417149344","description":"queued"}'
_INFOBIP_ANSWER = (
    b'{"bulkId":"2034072219640523072","messages":[{"messageId":"2033247207850523791","status":{"groupId":1,'
    b'"groupName":"PENDING","id":26,"name":"PENDING_ACCEPTED","description":"Pending Accepted"},'
    b'"destination":"%s","details":{"messageCount":1}}]}'
)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


class _Messages(asyncio.Protocol):
    """Cuts a stream into heads and bodies."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._have = self._need = self._body_at = 0
        self.begun_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        if not self._have:
            self.begun_at = time.monotonic()
        self._parts.append(data)
        self._have += len(data)
        if self._have < self._need:
            return
        whole = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        while whole:
            if not self._need:
                head_end = whole.find(_HEAD_END)
                if head_end < 0:
                    break
                self._body_at = head_end + len(_HEAD_END)
                length = _LENGTH.search(whole, 0, head_end)
                self._need = self._body_at + (int(length[1]) if length else 0)
            if len(whole) < self._need:
                break
            body_at, need = self._body_at, self._need
            self._need = 0
            self.take(whole[:body_at], whole[body_at:need])
            whole = whole[need:]
        self._parts = [whole] if whole else []
        self._have = len(whole)

    def take(self, head: bytes, body: bytes) -> None:
        raise AssertionError("each end says what it does with a message")


class Provider:
    """Takes everything and answers at once as Netgsm or Infobip does.

    ``last_body`` is the last request's; ``large_body`` that of the last large one, whose first byte came at
    ``large_began_at`` and which was answered at ``large_answered_at`` (``time.monotonic``).
    """

    def __init__(self) -> None:
        self.last_body = self.large_body = b""
        self.large_began_at = self.large_answered_at = 0.0
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Its port on 127.0.0.1."""
        self._server = await asyncio.get_running_loop().create_server(lambda: _ProviderEnd(self), "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


class _ProviderEnd(_Messages):
    def __init__(self, provider: Provider) -> None:
        super().__init__()
        self._provider = provider

    def take(self, head: bytes, body: bytes) -> None:
        provider = self._provider
        provider.last_body = body
        answer = _NETGSM_ANSWER
        if head.startswith(b"POST /sms/3/"):
            destination = _DESTINATION.search(body)
            answer = _INFOBIP_ANSWER % (destination[1] if destination else b"")
        self.transport.write(_ANSWER % (len(answer), answer))
        if len(body) >= _LARGE_BYTES:
            provider.large_body = body
            provider.large_began_at, provider.large_answered_at = self.begun_at, time.monotonic()


class _ClientEnd(_Messages):
    def __init__(self, load: Load) -> None:
        super().__init__()
        self._load = load

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.fail("a connection was closed")

    def take(self, head: bytes, body: bytes) -> None:
        load = self._load
        if not head.startswith(b"HTTP/1.1 200") or load.must_hold not in body:
            load.fail(f"answered {head[:40]!r} {body[:200]!r}")
            return
        now = time.monotonic()
        load.delays.append(now - self._sent_at)
        if now < load.end_at:
            self._send()
        else:
            load.end_one()

    def _send(self) -> None:
        self._sent_at = time.monotonic()
        self.transport.write(next(self._load.requests))


class Load:
    """``connections`` clients of 127.0.0.1:``port``, each with one of ``requests`` (in turn) unanswered.

    An answer has status 200 and ``must_hold`` in its body, else ``run`` raises ``RuntimeError``.
    """

    def __init__(self, port: int, requests: Sequence[bytes], connections: int, must_hold: bytes) -> None:
        self._port = port
        self._connections = connections
        self.requests = itertools.cycle(requests)
        self.must_hold = must_hold
        self.delays: list[float] = []
        self.end_at = 0.0
        self._open = 0

    async def run(self, seconds: float) -> float:
        """The seconds it took. ``delays`` has one entry (s) for each answer."""
        loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = loop.create_future()
        began = time.monotonic()
        self.end_at = began + seconds
        self._open = self._connections
        ends = [
            await loop.create_connection(lambda: _ClientEnd(self), "127.0.0.1", self._port)
            for _ in range(self._connections)
        ]
        try:
            async with asyncio.timeout(seconds + 60):
                await self._done
        finally:
            for transport, _ in ends:
                transport.abort()
        return time.monotonic() - began

    def end_one(self) -> None:
        """A connection has its last answer."""
        self._open -= 1
        if not self._open and not self._done.done():
            self._done.set_result(None)

    def fail(self, why: str) -> None:
        """The run is over."""
        if not self._done.done():
            self._done.set_exception(RuntimeError(why))


def write_request(path: str, body: bytes, authorization: str) -> bytes:
    """A POST of JSON as it goes over the wire."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: sms.example\r\nContent-Type: application/json\r\nAccept: */*\r\n"
        f"Authorization: {authorization}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode("ascii") + body
