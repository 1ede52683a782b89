"""What all simulated providers have in common: accounts, a clock that tests can move, faults, and a look inside.

Everything under ``/_sim/`` is for tests and demo, never part of the provider:

========================  =====================================================================================
``GET /_sim/sent``        every message taken: account, job, number (ten digits or with country code), text, tag …
``GET /_sim/requests``    every request to the provider, as method, path, query and body
``POST /_sim/fault``      ``{"mode": "slow", "seconds": 2, "count": 1}``; modes below; count null: until changed
``POST /_sim/refusing``   ``{"numbers": [...]}``: who has no consent with the provider's own check
``POST /_sim/clock``      ``{"seconds": 60}``: time passes, reports mature
``POST /_sim/incoming``   an SMS from a person: ``{"sender", "destination", "text"}``
``POST /_sim/push``       ``{"url": …}``: posts what the provider would post there now; answers the statuses
``POST /_sim/reset``      forgets everything but its accounts
========================  =====================================================================================

Fault modes: ``down`` (closed without an answer, nothing taken), ``error`` (HTTP 500, nothing taken), ``garbage``
(taken, nonsense as the answer), ``slow`` (taken, answered after ``seconds``), ``silent`` (taken, never answered),
``close`` (taken, closed without an answer), ``cut`` (taken, closed in the middle of the answer).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from aiohttp import ClientSession, ClientTimeout, web

FAULTS = ("down", "error", "garbage", "slow", "silent", "close", "cut")
MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_REQUESTS_KEPT = 1000

MATURES_AFTER_S = 5.0
"""Until then a message is under way."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Sent:
    """One message that the provider took. ``tag`` and ``reference`` in the provider's own words."""

    account: str
    job: str
    number: str
    text: str
    title: str
    tag: str = ""
    reference: str = ""
    at: float = 0.0
    due_at: float = 0.0
    message_id: int = 0
    is_cancelled: bool = False


@dataclass
class Incoming:
    """An SMS from a person."""

    sender: str
    destination: str
    text: str
    at: float
    message_id: int
    is_listed: bool = False


@dataclass
class Fault:
    """What goes wrong with the next ``count`` requests; None: with all until another is set."""

    mode: str = ""
    seconds: float = 0.0
    count: int | None = None


@dataclass
class Window:
    """At most ``limit`` events of each key within ``seconds``."""

    limit: int
    seconds: float
    _events: dict[str, deque[float]] = field(default_factory=dict)

    def take(self, key: str, now: float) -> bool:
        """Whether one more is allowed; it is counted if so."""
        events = self._events.setdefault(key, deque())
        while events and events[0] <= now - self.seconds:
            events.popleft()
        if len(events) >= self.limit:
            return False
        events.append(now)
        return True

    def clear(self) -> None:
        self._events.clear()


class RefusedError(Exception):
    """The provider says no with ``code``; ``Simulator.refusal`` puts it into the provider's form."""

    def __init__(self, code: str | int) -> None:
        super().__init__(str(code))
        self.code = str(code)


def ten_digits(spelled: str) -> str | None:
    """A Turkish mobile number without prefix, a foreign one with its country code; None for what is no number."""
    digits = re.sub(r"[ ()+.-]", "", spelled)
    if not re.fullmatch(r"[0-9]{8,17}", digits):
        return None
    turkish = re.fullmatch(r"(?:00?90|90|0)?(5[0-9]{9})", digits)
    if turkish:
        return turkish[1]
    return digits.removeprefix("00") if len(digits) > 10 else None


class Simulator:
    """Base of the simulated providers. ``routes`` says what it answers; ``app`` is the server's application."""

    def __init__(self, seed: int | None = None) -> None:
        self.random = random.Random(seed)
        self.sent: list[Sent] = []
        self.incoming: list[Incoming] = []
        self.refusing: set[str] = set()
        self.requests: deque[dict[str, Any]] = deque(maxlen=MAX_REQUESTS_KEPT)
        self.fault = Fault()
        self.shifted_s = 0.0
        self._message_ids = 0

    def routes(self) -> list[web.RouteDef]:
        raise TypeError("a simulated provider says what it answers")

    def refusal(self, request: web.Request, code: str) -> web.Response:
        """The provider's own way of saying no."""
        raise TypeError("a simulated provider says how it refuses")

    def windows(self) -> list[Window]:
        """Limits that ``/_sim/reset`` sets back."""
        return []

    def pushes(self) -> list[Any]:
        """What the provider would post to the customer now: bodies, as JSON values."""
        return []

    def now(self) -> float:
        return time.time() + self.shifted_s

    def next_message_id(self) -> int:
        self._message_ids += 1
        return 70_000_000 + self._message_ids

    def is_mature(self, message: Sent) -> bool:
        return self.now() >= max(message.at, message.due_at) + MATURES_AFTER_S

    def app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._watch])
        app.add_routes(self.routes())
        app.add_routes(
            [
                web.get("/_sim/sent", self._show_sent),
                web.get("/_sim/requests", self._show_requests),
                web.post("/_sim/fault", self._set_fault),
                web.post("/_sim/refusing", self._set_refusing),
                web.post("/_sim/clock", self._move_clock),
                web.post("/_sim/incoming", self._take_incoming),
                web.post("/_sim/push", self._push),
                web.post("/_sim/reset", self._reset),
            ]
        )
        return app

    # -- faults ---------------------------------------------------------------------------------------------------

    @web.middleware
    async def _watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/_sim/"):
            return await handler(request)
        body = await request.read()
        self.requests.append(
            {
                "method": request.method,
                "path": request.path,
                "query": request.query_string,
                "body": body.decode("utf-8", "replace"),
            }
        )
        mode, seconds = self._next_fault()
        if mode == "down":
            return _cut_off(request)
        if mode == "error":
            return web.Response(status=500, text="Internal Server Error")
        try:
            response = await handler(request)
        except RefusedError as refused:
            response = self.refusal(request, refused.code)
        if mode == "slow":
            await asyncio.sleep(seconds)
        elif mode == "silent":
            await asyncio.sleep(3600)
        elif mode == "garbage":
            return web.Response(text="<html><body>\x00{]} 200 OK", content_type="text/html")
        elif mode == "close":
            return _cut_off(request)
        elif mode == "cut":
            return await _cut_in_the_middle(request, response)
        return response

    def _next_fault(self) -> tuple[str, float]:
        fault = self.fault
        if not fault.mode or fault.count == 0:
            return "", 0.0
        if fault.count is not None:
            fault.count -= 1
        return fault.mode, fault.seconds

    # -- a look inside --------------------------------------------------------------------------------------------

    async def _show_sent(self, request: web.Request) -> web.Response:
        return web.json_response([asdict(message) for message in self.sent])

    async def _show_requests(self, request: web.Request) -> web.Response:
        return web.json_response(list(self.requests))

    async def _set_fault(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if asked.get("mode", "") not in ("", *FAULTS):
            return web.Response(status=400, text=f"mode: expected one of {', '.join(FAULTS)}")
        self.fault = Fault(asked.get("mode", ""), float(asked.get("seconds", 0)), asked.get("count"))
        return web.Response()

    async def _set_refusing(self, request: web.Request) -> web.Response:
        numbers = (await request.json())["numbers"]
        self.refusing = {number for spelled in numbers if (number := ten_digits(spelled))}
        return web.Response()

    async def _move_clock(self, request: web.Request) -> web.Response:
        self.shifted_s += float((await request.json())["seconds"])
        return web.Response()

    async def _take_incoming(self, request: web.Request) -> web.Response:
        told = await request.json()
        self.incoming.append(
            Incoming(told["sender"], told["destination"], told["text"], self.now(), self.next_message_id())
        )
        return web.Response()

    async def _push(self, request: web.Request) -> web.Response:
        url = (await request.json())["url"]
        statuses = []
        async with ClientSession(timeout=ClientTimeout(total=10)) as session:
            for body in self.pushes():
                async with session.post(url, json=body) as response:
                    statuses.append(response.status)
        return web.json_response(statuses)

    async def _reset(self, request: web.Request) -> web.Response:
        self.sent.clear()
        self.incoming.clear()
        self.refusing.clear()
        self.requests.clear()
        self.fault = Fault()
        self.shifted_s = 0.0
        for window in self.windows():
            window.clear()
        return web.Response()


def _cut_off(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _cut_in_the_middle(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b"{}"
    half = web.StreamResponse(status=response.status, headers={"Content-Type": response.content_type})
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half


def serve(simulator: Simulator, default_port: int) -> None:
    """Runs it as a program on the loopback interface until it is told to stop."""
    parser = argparse.ArgumentParser(description=type(simulator).__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=default_port)
    chosen = parser.parse_args()
    web.run_app(simulator.app(), host=chosen.host, port=chosen.port, print=None)
