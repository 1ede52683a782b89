"""The SMSC as the gateway sees it: messages in, one result for each submit_sm out, deliveries up.

Links are kept bound by one task each; messages themselves need no task. A message waits for room in a window, in order,
for a bounded time. Throttled by the SMSC, everybody waits, longer each time. What was handed over and not answered is
UNKNOWN and is never handed over again.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple

from adapters.smpp.link import SmscLink
from adapters.smpp.settings import SmscSettings, load_tls_context
from filters.smpp.client_session import Bound, ClientEvent, ClientSession, Delivered, LinkEnded, SubmitAnswered
from filters.smpp.exchange import SubmitResult
from filters.smpp.message import ShortMessage
from filters.smpp.numbers import TEMPORARY, THROTTLING, CommandStatus
from filters.vocabulary import Outcome

_RELAYED: Final = Outcome.RELAYED
_TICK_S: Final = 0.25
_NOT_SENT: Final = SubmitResult(Outcome.DEFERRED)
_UNANSWERED: Final = SubmitResult(Outcome.UNKNOWN)

Delivery = Callable[[ShortMessage, Callable[[int], None]], None]
"""What is called with each deliver_sm: the message, and what to call once with the status to answer."""


class LinkEvent(StrEnum):
    """What is counted of links; closed."""

    BOUND = "bound"
    BIND_REFUSED = "bind_refused"
    CONNECT_FAILED = "connect_failed"
    ENDED = "ended"
    THROTTLED = "throttled"
    ANSWER_OVERDUE = "answer_overdue"


class SmscStatus(NamedTuple):
    """How the links are: bound, wanted, messages unanswered and waiting, and the last refusal of a bind (0: none)."""

    bound: int
    links: int
    unanswered: int
    waiting: int
    bind_status: int


class _Job:
    """The submit_sm of one message, answered together."""

    __slots__ = ("bodies", "done", "expires_at", "has_failed", "open", "results")

    def __init__(
        self,
        bodies: Sequence[bytes],
        done: Callable[[Sequence[SubmitResult]], None],
        expires_at: float,
    ) -> None:
        self.bodies = bodies
        self.done = done
        self.expires_at = expires_at
        self.results: list[SubmitResult] = [_NOT_SENT] * len(bodies)
        self.open = len(bodies)
        self.has_failed = False

    def settle(self, index: int, result: SubmitResult) -> None:
        self.results[index] = result
        self.open -= 1
        if result.outcome is not _RELAYED:
            self.has_failed = True
        if not self.open:
            self.done(self.results)


class SmscUpstream:
    """One SMSC. Everything happens in the loop's thread.

    ``deliver`` gets what the SMSC delivers; ``count`` each event of the links. Neither may raise.
    """

    def __init__(
        self,
        settings: SmscSettings,
        *,
        deliver: Delivery,
        count: Callable[[LinkEvent], None] = lambda _event: None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.settings = settings
        self._deliver = deliver
        self._count = count
        self._uniform = uniform
        self._context: ssl.SSLContext | None = load_tls_context(settings)
        self._links: list[SmscLink] = []
        self._asked: dict[SmscLink, dict[int, tuple[_Job, int]]] = {}
        self._queue: deque[tuple[_Job, int]] = deque()
        self._keepers: list[asyncio.Task[None]] = []
        self._ticking: asyncio.TimerHandle | None = None
        self._pause_s = 0.0
        self._throttled_until = 0.0
        self._is_leaving = False
        self._idle = asyncio.Event()
        self.first_bind = asyncio.Event()
        self._turn = 0
        self.bind_status = 0

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def status(self) -> SmscStatus:
        unanswered = sum(len(asked) for asked in self._asked.values())
        return SmscStatus(len(self._links), self.settings.links, unanswered, len(self._queue), self.bind_status)

    def start(self) -> None:
        """Begin to keep the links; must be called in the loop."""
        self._loop = asyncio.get_running_loop()
        self._keepers = [
            self._loop.create_task(self._keep_bound(number), name=f"smsc-{self.name}-{number}")
            for number in range(self.settings.links)
        ]
        self._ticking = self._loop.call_later(_TICK_S, self._tick)

    def submit(
        self,
        bodies: Sequence[bytes],
        done: Callable[[Sequence[SubmitResult]], None],
        valid_s: float | None = None,
    ) -> None:
        """Hand over the parts of one message, bodies of submit_sm as they are to leave; ``done`` gets one result for
        each, in order, exactly once.

        ``valid_s``: how long it may wait for its turn, if that is less than the settings say. After a part that was not
        taken, the parts that are still here are not sent.
        """
        if self._is_leaving or len(self._queue) + len(bodies) > self.settings.max_waiting:
            done([SubmitResult(Outcome.DEFERRED, CommandStatus.THROTTLED)] * len(bodies))
            return
        waiting_s = self.settings.waiting_s if valid_s is None else min(valid_s, self.settings.waiting_s)
        now = self._loop.time()
        job = _Job(bodies, done, now + waiting_s)
        for index in range(len(bodies)):
            self._queue.append((job, index))
        self._pump_at(now)

    async def drain(self, timeout_s: float) -> None:
        """Take nothing new, wait for answers, unbind."""
        self._is_leaving = True
        self._note_idleness()
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            pass
        links = list(self._links)
        for link in links:
            link.leave()
        if links:
            await asyncio.wait([link.ended for link in links], timeout=self.settings.unbind_s)
        await self.close()

    async def close(self) -> None:
        """End everything at once; what is unanswered is UNKNOWN, what waits is DEFERRED."""
        self._is_leaving = True
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        while self._queue:
            job, index = self._queue.popleft()
            job.settle(index, _NOT_SENT)

    # Links

    async def _keep_bound(self, number: int) -> None:
        settings = self.settings
        pause_s = 0.0
        attempt = number
        while not self._is_leaving:
            host, port = settings.addresses[attempt % len(settings.addresses)] if pause_s else settings.addresses[0]
            link = self._make_link()
            try:
                async with asyncio.timeout(settings.connect_s):
                    await self._loop.create_connection(
                        partial(_itself, link),
                        host,
                        port,
                        ssl=self._context,
                        server_hostname=(settings.tls_name or host) if self._context is not None else None,
                    )
            except (OSError, TimeoutError):  # ssl.SSLError is an OSError
                self._asked.pop(link, None)
                self._count(LinkEvent.CONNECT_FAILED)
            else:
                begun_at = self._loop.time()
                try:
                    ended = await link.ended
                finally:
                    link.abort()
                self._count(LinkEvent.ENDED)
                if ended.status:
                    self.bind_status = ended.status
                    self._count(LinkEvent.BIND_REFUSED)
                elif self._loop.time() - begun_at > settings.backoff_s[1]:
                    pause_s = 0.0
            attempt += 1
            first_s, longest_s = settings.backoff_s
            pause_s = min(pause_s * 2 or first_s, longest_s)
            await asyncio.sleep(self._uniform(pause_s / 2, pause_s))

    def _make_link(self) -> SmscLink:
        session = ClientSession(self.settings.limits, self.settings.bind, self._loop.time())
        link = SmscLink(session, self._take)
        self._asked[link] = {}
        return link

    def _take(self, link: SmscLink, event: ClientEvent) -> None:
        kind = type(event)
        if isinstance(event, SubmitAnswered):
            job, index = self._asked[link].pop(event.sequence)
            self._settle(job, index, event)
            self._pump()
        elif isinstance(event, Delivered):
            self._deliver(event.message, partial(link.answer, event))
        elif kind is Bound:
            self._links.append(link)
            self.bind_status = 0
            self.first_bind.set()
            self._count(LinkEvent.BOUND)
            self._pump()
        elif kind is LinkEnded:
            if link in self._links:
                self._links.remove(link)
            for job, index in self._asked.pop(link).values():
                job.settle(index, _UNANSWERED)
        if self._is_leaving:
            self._note_idleness()

    def _note_idleness(self) -> None:
        if not self._queue and not any(self._asked.values()):
            self._idle.set()

    # Messages

    def _settle(self, job: _Job, index: int, answer: SubmitAnswered) -> None:
        status = answer.status
        if status == 0:
            self._pause_s = 0.0
            job.settle(index, SubmitResult(_RELAYED, 0, answer.message_id))
        elif status is None:
            self._count(LinkEvent.ANSWER_OVERDUE)
            job.settle(index, _UNANSWERED)
        elif status in THROTTLING and not self._is_leaving:
            self._throttle()
            if self._loop.time() < job.expires_at:
                self._queue.appendleft((job, index))
            else:
                job.settle(index, SubmitResult(Outcome.DEFERRED, status))
        elif status in TEMPORARY:
            job.settle(index, SubmitResult(Outcome.DEFERRED, status))
        else:
            job.settle(index, SubmitResult(Outcome.REFUSED, status))

    def _throttle(self) -> None:
        """Pause; answers that come during the pause belong to the same burst and do not lengthen it."""
        now = self._loop.time()
        if now < self._throttled_until:
            return
        self._count(LinkEvent.THROTTLED)
        first_s, longest_s = self.settings.throttle_s
        self._pause_s = min(self._pause_s * 2 or first_s, longest_s)
        self._throttled_until = now + self._uniform(self._pause_s / 2, self._pause_s)
        self._loop.call_at(self._throttled_until, self._pump)

    def _pump(self) -> None:
        """Give waiting messages to links with room."""
        if self._queue:
            self._pump_at(self._loop.time())

    def _pump_at(self, now: float) -> None:
        queue = self._queue
        if not self._links or now < self._throttled_until:
            return
        while queue:
            link = self._find_link()
            if link is None:
                return
            job, index = queue.popleft()
            if job.has_failed:
                job.settle(index, _NOT_SENT)
                continue
            sequence = link.submit(job.bodies[index], now)
            self._asked[link][sequence] = (job, index)

    def _find_link(self) -> SmscLink | None:
        """The next link in turn that has room."""
        links = self._links
        if len(links) == 1:
            return links[0] if links[0].room > 0 else None
        for step in range(len(links)):
            link = links[(self._turn + step) % len(links)]
            if link.room > 0:
                self._turn += step + 1
                return link
        return None

    def _tick(self) -> None:
        now = self._loop.time()
        for link in list(self._asked):
            link.tick(now)
        if self._queue and any(job.expires_at <= now for job, _ in self._queue):
            waiting, self._queue = self._queue, deque()
            for job, index in waiting:
                if job.expires_at <= now:
                    job.settle(index, _NOT_SENT)
                else:
                    self._queue.append((job, index))
        self._pump()
        if self._is_leaving:
            self._note_idleness()
        self._ticking = self._loop.call_later(_TICK_S, self._tick)


def _itself(link: SmscLink) -> SmscLink:
    """A protocol factory for a link that exists already, so that it can be forgotten where the connection fails."""
    return link
