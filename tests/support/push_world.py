"""A push receiver on a free port of loopback, over a store, and somebody who posts to it."""

from __future__ import annotations

import json
import ssl
from collections import Counter

import aiohttp

from adapters.store import Store
from gateway.opt_out.listener import HttpListener
from gateway.processes import sockets
from gateway.registry.push import PushReceiver
from gateway.registry.questions import QuestionBook
from tests.support.sync_world import BRAND, KEYS, SEAL

Login = tuple[str, str]
LOGIN: Login = ("iys", "parola:with:colons")


class Counting:
    """Counts what the receiver and its listener tell."""

    def __init__(self) -> None:
        self.results: Counter[str] = Counter()

    def push_received(self, result: str, number: int) -> None:
        self.results[result] += number

    def http_malformed(self) -> None: ...

    def http_turned_away(self) -> None: ...


class Receiver:
    """A receiver on a free port, and somebody who posts to it."""

    def __init__(self, index: Store, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.counts = Counting()
        receiver = PushReceiver(
            index, QuestionBook(index, SEAL), KEYS, {(BRAND, BRAND): BRAND}, LOGIN[0], LOGIN[1], self.counts
        )
        self._listener = HttpListener(receiver.build_app("/iys"), self.counts)
        self.url = ""

    async def start(self) -> None:
        (listening,) = sockets.bind("127.0.0.1", 0, 1)
        scheme, host = ("https", "localhost") if self._tls else ("http", "127.0.0.1")
        self.url = f"{scheme}://{host}:{listening.getsockname()[1]}/iys"
        await self._listener.start(listening, self._tls)

    async def stop(self) -> None:
        await self._listener.close()

    async def post(self, body: object, login: Login | None = LOGIN, **headers: str) -> int:
        data = body if isinstance(body, bytes) else json.dumps({"list": body}).encode()
        if login is not None:
            headers["Authorization"] = aiohttp.encode_basic_auth(*login)
        async with (
            aiohttp.ClientSession() as client,
            client.post(self.url, data=data, headers=headers) as answer,
        ):
            await answer.read()
            return answer.status
