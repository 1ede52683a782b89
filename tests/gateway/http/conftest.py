"""A listener of which one half goes the short way and the other through an application."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from aiohttp import web

from filters.sms.http import HttpResponse
from gateway.http.direct import DIRECT_CALLS, DirectRequest
from gateway.opt_out.listener import HttpListener


class Calls:
    """Answers what begins with /calls: ``direct``, method, target and body; ``answer``, if there is one, instead."""

    def __init__(self) -> None:
        self.asked: list[DirectRequest] = []
        self.answer: HttpResponse | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def begin(self, request: DirectRequest) -> Coroutine[Any, Any, HttpResponse] | None:
        return self._answer(request) if request.raw_path.startswith("/calls") else None

    async def _answer(self, request: DirectRequest) -> HttpResponse:
        self.asked.append(request)
        told = b" ".join([b"direct", request.method.encode(), request.raw_path.encode(), request.take_body()])
        await self.may_answer.wait()
        return self.answer or HttpResponse(200, (("content-type", "text/plain"),), told)


class Site:
    """The listener with ``calls`` and an application behind it, and raw conversations with it."""

    def __init__(self, drain_s: float = 2.0) -> None:
        self.calls = Calls()
        self.malformed = self.turned_away = 0
        app = web.Application()
        app.add_routes(
            [web.route("*", "/calls/own/{name}", self._library), web.route("*", "/{path:.*}", self._library)]
        )
        app[DIRECT_CALLS] = self.calls
        self.listener = HttpListener(app, self, drain_s=drain_s)

    async def _library(self, request: web.Request) -> web.Response:
        body = await request.read()
        return web.Response(body=b" ".join([b"library", request.method.encode(), request.raw_path.encode(), body]))

    def http_malformed(self) -> None:
        self.malformed += 1

    def http_turned_away(self) -> None:
        self.turned_away += 1

    async def open(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        await self.listener.start(listening)

    async def connect(self, limit: int = 1 << 25) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return reader, writer

    async def say(self, *pieces: bytes, pause_s: float = 0.0) -> bytes:
        """All that comes back to ``pieces`` until the other side closes, which the last request should ask for."""
        reader, writer = await self.connect()
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_s)
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()


@pytest.fixture
async def open_site() -> AsyncIterator[Callable[..., Any]]:
    """Opens sites; they are closed with the test."""
    sites: list[Site] = []

    async def open_it(**options: Any) -> Site:
        sites.append(Site(**options))
        await sites[-1].open()
        return sites[-1]

    yield open_it
    for site in sites:
        site.calls.may_answer.set()
        await site.listener.close()


@pytest.fixture
async def site(open_site: Callable[..., Any]) -> Site:
    opened: Site = await open_site()
    return opened
