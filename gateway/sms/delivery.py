"""Delivery reports that providers post to the sender: they come to us, go on to the sender's own address, and the
numbers that we dropped are posted there too, where the provider's form is known.

``POST /sms/delivery/SECRET``: what the provider posts goes on as it is, and what the sender answers goes back, so that
the provider comes again for whatever the sender did not take. Messages from people in it count as refusals first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog
from aiohttp import web

from filters.sms.dialect import DeliveryCodec, InboundCodec, InboundMessage, RequestRefusedError
from filters.sms.http import HttpRequest, UpstreamFault
from filters.sms.message import ReportEntry
from gateway.clients import Network
from gateway.sms.exchange import BodyMemory, make_response, pass_on, read_body, read_head
from gateway.sms.ports import SmsUpstream
from gateway.sms.provider_paths import find_by_secret, is_within

log = structlog.stdlib.get_logger(__name__)

MAX_BODY_BYTES = 16 * 1024 * 1024

PUSH_AFTER_S = 1.0
"""So that the sender has our answer, and knows the job's id, before it hears of the job."""

_POSTS_AT_ONCE = 100

_JSON = {"Content-Type": "application/json"}

Post = Callable[[bytes, Mapping[str, str]], None]
"""Takes body and header fields of a request to the sender, and delivers it in its own time, again if need be."""


@dataclass(frozen=True, slots=True)
class DeliveryTarget:
    """Where the sender takes reports: ``sender`` hands one over and says what was answered, ``post`` only takes it."""

    sender: SmsUpstream
    post: Post


@dataclass(frozen=True, slots=True)
class DeliveryRoute:
    """One provider that may post reports. ``take`` says whether what a message of a person says is durable."""

    upstream: str
    codec: object
    secret: str
    networks: tuple[Network, ...]
    target: DeliveryTarget
    take: Callable[[InboundMessage], Awaitable[bool]]


class DeliveryReports:
    """Passes reports on. ``private`` are HTTP fields that stay here; ``count`` hears upstream, kind and status."""

    def __init__(
        self,
        routes: Sequence[DeliveryRoute],
        *,
        memory: BodyMemory,
        private: frozenset[str],
        find_peer: Callable[[web.Request, HttpRequest], str],
        count: Callable[[str, str, int], None],
    ) -> None:
        self._routes = tuple(routes)
        self._memory = memory
        self._private = private
        self._find_peer = find_peer
        self._count = count

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/sms/delivery/{secret}", self.answer),
            web.get("/sms/delivery/{secret}", self.answer, allow_head=False),
        ]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """What the sender answered; 503 where it was not reached. A stranger hears that there is nothing."""
        route = find_by_secret(self._routes, request.match_info["secret"])
        if route is None:
            return _status(404)
        try:
            head = read_head(request)
            if not is_within(self._find_peer(request, head), route.networks):
                return _status(404)
            body = await read_body(request, MAX_BODY_BYTES, self._memory)
        except RequestRefusedError:
            return _status(400)
        try:
            response = await self._pass_on(route, head._replace(body=body))
        finally:
            self._memory.give_back(len(body))
        self._count(route.upstream, "delivery", response.status)
        return response

    async def _pass_on(self, route: DeliveryRoute, whole: HttpRequest) -> web.StreamResponse:
        if not await self._take_messages(route, whole):
            return _status(503)
        # What comes before the sender's own address is that of the secret, which is not the sender's business.
        answer = await route.target.sender.send(pass_on(whole, whole.path, self._private))
        if isinstance(answer, UpstreamFault):
            log.warning("delivery.not_passed_on", upstream=route.upstream, cause=str(answer))
            return _status(503)
        return make_response(answer)

    async def _take_messages(self, route: DeliveryRoute, whole: HttpRequest) -> bool:
        """Some providers post both kinds to one address: a refusal among them must not be lost."""
        if not isinstance(route.codec, InboundCodec):
            return True
        try:
            messages = route.codec.read_inbound(whole)
        except RequestRefusedError:
            return True  # a report in a form we do not know
        is_taken = True
        for message in messages:
            is_taken = await route.take(message) and is_taken
        return is_taken


class DroppedPush:
    """Posts the dropped numbers of jobs to the sender of one upstream, as the provider would."""

    def __init__(self, codec: DeliveryCodec, post: Post, after_s: float = PUSH_AFTER_S) -> None:
        self._codec = codec
        self._post = post
        self._after_s = after_s
        self._waiting: dict[asyncio.TimerHandle, Iterator[bytes]] = {}
        self._posting: dict[asyncio.Task[None], Iterator[bytes]] = {}

    def push(self, job_id: str, entries: Sequence[ReportEntry]) -> None:
        """Soon, and never raising for the sender's sake."""
        bodies = self._codec.render_posts(job_id, entries)

        def begin() -> None:
            self._waiting.pop(timer)
            task = loop.create_task(self._post_all(bodies), name="dropped push")
            self._posting[task] = bodies
            task.add_done_callback(lambda done: self._posting.pop(done, None))

        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._after_s, begin)
        self._waiting[timer] = bodies

    def close(self) -> None:
        """Post what waits, at once."""
        for task in self._posting:
            task.cancel()
        for timer in self._waiting:
            timer.cancel()
        for bodies in [*self._posting.values(), *self._waiting.values()]:
            for body in bodies:
                self._post(body, _JSON)
        self._waiting.clear()

    async def _post_all(self, bodies: Iterator[bytes]) -> None:
        for number, body in enumerate(bodies, start=1):
            self._post(body, _JSON)
            if number % _POSTS_AT_ONCE == 0:
                await asyncio.sleep(0)  # others have their turn


def _status(status: int) -> web.Response:
    return web.Response(status=status, headers={"Server": "izinkapi", "Cache-Control": "no-store"})
