"""The short way for HTTP calls that come in masses: no request and response objects of the framework, no look-up of a
handler, no task for each call.

Framing stays the framework's: its parser, its limits, its patience, its queue of pipelined requests. Only what is quite
ordinary goes the short way: HTTP/1.1 on a kept connection, a body with an announced length that has arrived as a whole,
nothing expected or upgraded. At anything else the connection goes over to the framework for good, request in hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

import structlog
from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from multidict import CIMultiDictProxy

from filters.sms.http import HttpResponse
from gateway.http.answer import render_answer
from gateway.http.connection import Connection

log = structlog.stdlib.get_logger(__name__)

MOST_AWAITED_BYTES = 64 * 1024
"""Of a body behind its head, before anybody has asked who sends it: what the framework's own buffer takes."""

BODY_S = 1.0
"""For such a body; after that it is the framework's to wait for."""


class DirectRequest:
    """What there is to know of one request. ``method``, ``headers``, ``raw_path`` (the target as it came), ``remote``
    (the peer's address, or None) and ``transport`` (None once the connection is lost) are as those of ``web.Request``.
    """

    __slots__ = ("_connection", "_payload", "headers", "method", "raw_path")

    def __init__(self, message: RawRequestMessage, payload: StreamReader, connection: DirectConnection) -> None:
        self.method: str = message.method
        self.raw_path: str = message.path
        self.headers: CIMultiDictProxy[str] = message.headers
        self._payload = payload
        self._connection = connection

    @property
    def remote(self) -> str | None:
        return self._connection.remote

    @property
    def transport(self) -> asyncio.Transport | None:
        return self._connection.transport

    def take_body(self) -> bytes:
        """The whole body; once."""
        return self._payload.read_nowait()


class DirectCalls(Protocol):
    """Who answers what goes the short way."""

    def begin(self, request: DirectRequest) -> Coroutine[Any, Any, HttpResponse] | None:
        """The answer to come, or None for what is left to the application; then nothing of the body was taken.

        Neither this nor the answer raises.
        """


DIRECT_CALLS: web.AppKey[DirectCalls] = web.AppKey("DIRECT_CALLS", DirectCalls)
"""Under this an application names who answers direct calls. Its own routes go before them."""


class DirectConnection(Connection):
    """``calls`` answers what is ordinary and not below one of ``reserved``, beginnings of paths."""

    __slots__ = ("calls", "remote", "reserved")

    calls: DirectCalls
    reserved: tuple[str, ...]
    remote: str | None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = self.peername
        self.remote = str(peer[0]) if isinstance(peer, (tuple, list)) else None if peer is None else str(peer)

    async def start(self) -> None:
        """The requests of this connection, one after the other, until it ends or goes over to the framework."""
        loop, messages = self._loop, self._messages
        while not self._force_close:
            if not messages:
                self._waiter = loop.create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            message, payload = messages[0]
            answer: Coroutine[Any, Any, HttpResponse] | None = None
            if (
                type(message) is RawRequestMessage
                and _is_ordinary(message)
                and not message.path.startswith(self.reserved)
                and (payload.is_eof() or await _is_there_soon(message, payload))
            ):
                answer = self.calls.begin(DirectRequest(message, payload, self))
            if answer is None:
                await super().start()
                return
            self._take_from_queue()
            if not await self._give(answer) or self._close:
                break
            self._next_keepalive_close_time = close_at = loop.time() + self._keepalive_timeout
            if self._keepalive_handle is None:
                self._keepalive_handle = loop.call_at(close_at, self._process_keepalive)
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    def _take_from_queue(self) -> None:
        self._messages.popleft()
        if self._manager is not None:
            self._manager.requests_count += 1
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()

    async def _give(self, answer: Coroutine[Any, Any, HttpResponse]) -> bool:
        """Whether the answer is with the client, as far as that can be seen from here."""
        self._request_in_progress = True
        try:
            response = await answer
            transport = self.transport
            if transport is None or transport.is_closing():
                return False
            transport.write(render_answer(response))
            if self._paused:
                await self._drain_helper()
        except ConnectionError:
            return False
        except Exception as fault:  # headers that would be two readers' two answers
            log.error("http.answer_failed", fault=type(fault).__name__)
            return False
        finally:
            self._request_in_progress = False
            if self._handler_waiter is not None and not self._handler_waiter.done():
                self._handler_waiter.set_result(None)  # it is being shut down, and waited for this one
        return True


def _is_ordinary(message: RawRequestMessage) -> bool:
    return (
        message.version == HttpVersion11
        and not message.should_close
        and not message.upgrade
        and not message.chunked
        and message.method != hdrs.METH_HEAD
        and hdrs.EXPECT not in message.headers
    )


async def _is_there_soon(message: RawRequestMessage, payload: StreamReader) -> bool:
    """Many clients send head and body apart."""
    announced = message.headers.get(hdrs.CONTENT_LENGTH, "")
    if not announced.isdecimal() or int(announced) > MOST_AWAITED_BYTES:
        return False
    try:
        async with asyncio.timeout(BODY_S):
            await payload.wait_eof()
    except Exception:  # late, or broken: the framework knows how to say so
        return False
    return True
