"""The upstream as the program sees it: messages in, one answer for each, never more connections than allowed.

A message takes an idle connection, or waits in a bounded queue while one is opened. Hosts are tried in the order of
the settings; one that failed is left alone for a while (``health``). A message that can reach no host is deferred at
once, as the client can wait better than we can: there is no queue of our own (design D1).
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import structlog

from adapters.smtp.connection import Job, UpstreamConnection
from adapters.smtp.dialogue import Finished
from adapters.smtp.extensions import Extensions, find_obstacle, narrow
from adapters.smtp.health import HostHealth, HostState
from adapters.smtp.host import Host
from adapters.smtp.outcomes import (
    NO_ROOM,
    OTHER_HOST,
    SHUT_DOWN,
    UNREACHABLE,
    Fault,
    TransactionResult,
    summarise,
)
from adapters.smtp.settings import TlsMode, UpstreamSettings, load_tls_context
from filters.envelope import RecipientOutcome
from filters.exchange import EXPIRED, OutgoingMail, UpstreamCapabilities

MAX_ATTEMPTS = 3

FOLLOWER_VALID_S = 0.5
"""For so long a decision must still hold where the message has to wait for the answer to another one's final dot."""

_FAULTS = {
    TransactionResult.LOST: Fault.LOST,
    TransactionResult.UNKNOWN: Fault.LOST,
    TransactionResult.TIMED_OUT: Fault.TIMED_OUT,
    TransactionResult.GARBAGE: Fault.GARBAGE,
}

_NOT_HEARD = frozenset({TransactionResult.TIMED_OUT, TransactionResult.GARBAGE})
"""How a message ends whose envelope followed a final dot and was not understood there."""

log = structlog.stdlib.get_logger(__name__)

Done = Callable[[Sequence[RecipientOutcome]], None]


class UpstreamObserver(Protocol):
    """What a counter may want to know; called in the loop's thread, must not raise."""

    def on_reply(self, upstream: str, result: TransactionResult) -> None:
        """A message was answered; RETRIED: it will be tried on another connection and answered later."""

    def on_connection(self, upstream: str, change: int) -> None:
        """A connection was made (+1) or is closed (-1)."""


class HostStatus(NamedTuple):
    """One host for the status page; ``since`` in seconds since 1970 UTC, ``last_fault`` of the closed list."""

    address: str
    state: HostState
    since: float
    last_fault: Fault | None


class UpstreamStatus(NamedTuple):
    """The upstream for the status page."""

    name: str
    is_reachable: bool
    hosts: tuple[HostStatus, ...]
    connections: int
    idle: int
    waiting: int


class SmtpUpstream:
    """Implements the port ``MailUpstream``. Belongs to the loop in which ``start`` was awaited.

    ``uniform`` gives the jitter of the pauses. Raises ``UpstreamSettingsError`` for an unusable CA file.
    """

    def __init__(
        self,
        settings: UpstreamSettings,
        observer: UpstreamObserver | None = None,
        *,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._tls_context = load_tls_context(settings)
        self._hosts = [Host(address, HostHealth(settings.backoff_s, uniform)) for address in settings.addresses]
        self._capabilities: UpstreamCapabilities | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._live: set[UpstreamConnection] = set()
        self._sockets: set[UpstreamConnection] = set()
        self._idle: list[UpstreamConnection] = []
        self._openings: set[asyncio.Task[None]] = set()
        self._setting_up = 0
        self._waiting: deque[Job] = deque()
        self._waiting_bytes = 0
        self._in_flight = 0
        self._is_taking = False
        self._is_closing = False
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._changed: list[asyncio.Future[None]] = []
        timeouts = settings.timeouts
        shortest_s = min(timeouts.command_s, timeouts.waiting_s, timeouts.after_dot_s, settings.idle_s, 4.0)
        self._sweep_s = max(0.02, min(shortest_s, settings.backoff_s[0] * 2, settings.noop_s or 4.0) / 4)

    # the port

    @property
    def name(self) -> str:
        """The name in the configuration; a metric label."""
        return self._settings.name

    @property
    def capabilities(self) -> UpstreamCapabilities | None:
        """What all hosts that were reached so far have in common; None until one was."""
        return self._capabilities

    @property
    def has_room(self) -> bool:
        """Whether ``relay`` would take a message now rather than defer it for want of room."""
        settings = self._settings
        return len(self._waiting) < settings.max_waiting and self._waiting_bytes < settings.max_waiting_bytes

    @property
    def is_reachable(self) -> bool:
        """Whether a message would have somewhere to go: a session stands, or a host is not known to be down."""
        return bool(self._live) or any(host.health.state is HostState.UP for host in self._hosts)

    @property
    def status(self) -> UpstreamStatus:
        """A snapshot for the status page."""
        hosts = tuple(
            HostStatus(_render_address(*host.address), host.health.state, host.since, host.last_fault)
            for host in self._hosts
        )
        return UpstreamStatus(
            self.name, self.is_reachable, hosts, len(self._sockets), len(self._idle), len(self._waiting)
        )

    def relay(self, mail: OutgoingMail, done: Done) -> None:
        """Hand ``mail`` over; ``done`` is called exactly once with one outcome per recipient, in order."""
        self._in_flight += 1
        job = Job(mail, done)
        if not mail.recipients:
            self._answer(job, [], TransactionResult.REFUSED)
        elif not self._is_taking or self._loop is None:
            self._answer_all(job, SHUT_DOWN, TransactionResult.DEFERRED)
        elif self._idle:
            connection = self._idle.pop()
            job.valid_until = self._loop.time() + mail.valid_s
            if not self._try_start(connection, job):
                self._idle.append(connection)
        elif not mail.is_again and not self.has_room:
            self._answer_all(job, NO_ROOM, TransactionResult.NO_ROOM)
        else:
            now = self._loop.time()
            job.expires_at = now + self._settings.timeouts.waiting_s
            job.valid_until = now + mail.valid_s
            self._enqueue(job)

    async def start(self) -> bool:
        """Open one connection to learn what the upstream can do; True if a host answered.

        False is no reason to stop: hosts are tried again from then on, and messages are deferred meanwhile.
        """
        self._loop = asyncio.get_running_loop()
        self._is_taking = True
        self._is_closing = False
        self._sweep()
        while self._capabilities is None:
            if not self._openings and not self._sockets and not self._open_connection():
                return False
            await self._change()
        return True

    async def drain(self, timeout_s: float) -> bool:
        """Wait until every message handed over is answered; False if that took longer than ``timeout_s``."""
        return await self._wait_until(lambda: not self._in_flight, timeout_s)

    async def close(self, drain_s: float = 0.0) -> None:
        """Take nothing more, give messages under way ``drain_s`` seconds, answer the rest, close all connections."""
        self._is_taking = False
        await self.drain(drain_s)
        self._is_closing = True
        while self._waiting:
            self._answer_all(self._dequeue(), SHUT_DOWN, TransactionResult.DEFERRED)
        for task in list(self._openings):
            task.cancel()
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.quit()
        for connection in list(self._live):
            connection.cut(Fault.SHUT_DOWN)
        await self._wait_until(lambda: not self._sockets and not self._openings, self._settings.timeouts.quit_s)
        for connection in list(self._sockets):
            connection.cut(Fault.SHUT_DOWN)
        await self._wait_until(lambda: not self._sockets and not self._openings, self._settings.timeouts.quit_s)
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None
        self._loop = None

    # what connections tell

    def connection_made(self, connection: UpstreamConnection) -> None:
        """A socket is open."""
        self._sockets.add(connection)
        self._live.add(connection)
        self._setting_up += 1
        if self._observer is not None:
            self._observer.on_connection(self.name, 1)

    def connection_opened(self, connection: UpstreamConnection, extensions: Extensions) -> None:
        """The session is set up: the host works, and we know what it can do."""
        host = connection.host
        if host.health.state is not HostState.UP:
            host.since = time.time()
            log.info("upstream.recovered", upstream=self.name, host=_render_address(*host.address))
        host.health.succeed()
        host.last_fault = None
        self._setting_up -= 1
        if host.extensions != extensions:
            host.extensions = extensions
            self._capabilities = narrow([each.extensions for each in self._hosts if each.extensions is not None])
        self._tell_change()

    def connection_ready(self, connection: UpstreamConnection) -> None:
        """Give it the next message, keep it, or let it go."""
        assert self._loop is not None
        if connection.transactions:
            connection.host.health.count_success()
        settings = self._settings
        now = self._loop.time()
        if (
            connection.transactions >= settings.max_transactions
            or now - connection.opened_at >= settings.max_age_s
            or (not self._is_taking and not self._waiting)
        ):
            connection.quit()
            return
        while self._waiting:
            job = self._dequeue()
            if job.valid_until < now:
                # It comes back decided anew, to the front: so no more than one a connection is decided ahead of time.
                self._answer_all(job, EXPIRED, TransactionResult.RETRIED)
            elif self._try_start(connection, job):
                return
        self._idle.append(connection)

    def find_follower(self, connection: UpstreamConnection, now: float) -> Job | None:
        """The first in the queue, where this connection may have it, wholly in time; one that is tried again goes by
        itself."""
        settings = self._settings
        if (
            not self._waiting
            or not self._is_taking
            or not connection.host.takes_followers
            or connection.transactions >= settings.max_transactions
            or now - connection.opened_at >= settings.max_age_s
        ):
            return None
        job = self._waiting[0]
        if job.attempts or job.valid_until - now < FOLLOWER_VALID_S:
            return None
        return job if find_obstacle(job.mail, connection.dialogue.extensions) is None else None

    def take_follower(self, job: Job) -> None:
        """It leaves the queue, of which it is the first."""
        taken = self._dequeue()
        assert taken is job

    def connection_goes_on(self, connection: UpstreamConnection) -> None:
        """A transaction ran to its end."""
        connection.host.health.count_success()

    def job_expired(self, job: Job) -> None:
        """The server was slow: the decision behind the message has to be made again."""
        self._answer_all(job, EXPIRED, TransactionResult.RETRIED)

    def job_finished(self, connection: UpstreamConnection, job: Job, finished: Finished) -> None:
        """Answer, or try once more where nothing of the message can have been taken."""
        host = connection.host
        if job.is_follower and finished.result in _NOT_HEARD and host.takes_followers:
            # A server that throws away what stands behind a final dot would do so each time.
            host.takes_followers = False
            log.warning("upstream.takes_no_followers", upstream=self.name, host=_render_address(*host.address))
        is_stale = connection.transactions > 1 or finished.result is TransactionResult.LOST
        if finished.is_retryable and is_stale and job.attempts < MAX_ATTEMPTS and not self._is_closing:
            self._count(TransactionResult.RETRIED)
            assert self._loop is not None
            job.expires_at = job.expires_at or self._loop.time() + self._settings.timeouts.waiting_s
            job.valid_until = min(job.valid_until, connection.used_at + job.mail.valid_s)
            self._waiting.appendleft(job)
            self._waiting_bytes += len(job.mail.content)
            if self._idle and not connection.is_over:
                self.connection_ready(self._idle.pop())
            self._serve_waiting()
            return
        if finished.result in _FAULTS:
            self._count_fault(connection.host, finished.result)
        self._answer(job, finished.outcomes, finished.result)

    def connection_over(self, connection: UpstreamConnection, fault: Fault) -> None:
        """It takes no more messages; if its session never stood, that speaks against the host."""
        self._live.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if not connection.is_open:
            self._setting_up -= 1
            self._count_failure(connection.host, fault)
        if self._loop is not None:
            self._loop.call_soon(self._serve_waiting)

    def connection_gone(self, connection: UpstreamConnection) -> None:
        """The socket is closed."""
        self._sockets.discard(connection)
        if self._observer is not None:
            self._observer.on_connection(self.name, -1)
        self._serve_waiting()
        self._tell_change()

    # waiting and opening

    def _enqueue(self, job: Job) -> None:
        if job.mail.is_again:
            if self._waiting:  # the sweep looks at the first alone
                job.expires_at = min(job.expires_at, self._waiting[0].expires_at)
            self._waiting.appendleft(job)
        else:
            self._waiting.append(job)
        self._waiting_bytes += len(job.mail.content)
        self._serve_waiting()

    def _dequeue(self) -> Job:
        job = self._waiting.popleft()
        self._waiting_bytes -= len(job.mail.content)
        return job

    def _try_start(self, connection: UpstreamConnection, job: Job) -> bool:
        """Start ``job``; False if it was answered instead and the connection is still free."""
        obstacle = find_obstacle(job.mail, connection.dialogue.extensions)
        if obstacle is not None:
            if any(host.extensions is None or find_obstacle(job.mail, host.extensions) is None for host in self._hosts):
                obstacle = OTHER_HOST  # a host that could take it may come back: no permanent refusal
            self._answer_all(job, obstacle, summarise([obstacle]))
            return False
        finished = connection.start(job)
        if finished is not None:
            self._answer(job, finished.outcomes, finished.result)
            return False
        return True

    def _serve_waiting(self) -> None:
        """Open connections for those who wait; with no hope of one, defer them now."""
        if self._is_closing or self._loop is None:
            return
        wanted = len(self._waiting) - len(self._openings) - self._setting_up
        room = self._settings.max_connections - len(self._sockets) - len(self._openings)
        if wanted > 0 and room <= 0:
            return  # a connection in use, or one being closed, will make room
        for _ in range(min(wanted, room)):
            if not self._open_connection():
                break
        if self._waiting and not self._live and not self._openings:
            waiting, self._waiting = self._waiting, deque()
            self._waiting_bytes = 0
            for job in waiting:
                self._answer_all(job, UNREACHABLE, TransactionResult.UNREACHABLE)

    def _open_connection(self) -> bool:
        """Begin to open a connection to the first host that may be tried; False if there is none."""
        assert self._loop is not None
        now = self._loop.time()
        for host in self._hosts:
            if host.health.may_try(now):
                host.health.begin()
                task = self._loop.create_task(self._connect(host), name="upstream connect")
                self._openings.add(task)
                task.add_done_callback(self._opening_ended)
                return True
        return False

    def _opening_ended(self, task: asyncio.Task[None]) -> None:
        self._openings.discard(task)
        self._serve_waiting()
        self._tell_change()

    async def _connect(self, host: Host) -> None:
        assert self._loop is not None
        settings = self._settings
        loop = self._loop
        is_tls = settings.tls is TlsMode.TLS
        try:
            async with asyncio.timeout(settings.timeouts.connect_s):
                await loop.create_connection(
                    lambda: UpstreamConnection(self, host, settings, self._tls_context, loop),
                    *host.address,
                    ssl=self._tls_context if is_tls else None,
                    server_hostname=(settings.tls_name or host.address[0]) if is_tls else None,
                )
        except asyncio.CancelledError:
            host.health.cancel()
            raise
        except OSError as error:
            is_tls_fault = isinstance(error, ssl.SSLError)
            self._count_failure(host, Fault.TLS_FAILED if is_tls_fault else Fault.CONNECT_FAILED)

    def _count_failure(self, host: Host, fault: Fault) -> None:
        if self._is_closing or self._loop is None:
            host.health.cancel()
            return
        if host.health.state is HostState.UP:
            host.since = time.time()
        host.health.fail(self._loop.time())
        host.last_fault = fault
        address = _render_address(*host.address)
        log.warning("upstream.failed", upstream=self.name, host=address, fault=str(fault))

    def _count_fault(self, host: Host, result: TransactionResult) -> None:
        """A host that takes connections but ends no transaction is as good as down."""
        assert self._loop is not None
        host.last_fault = _FAULTS[result]
        if host.health.count_fault(self._loop.time()):
            host.since = time.time()
            address = _render_address(*host.address)
            log.warning("upstream.lost", upstream=self.name, host=address, fault=str(host.last_fault))
            for connection in [each for each in self._idle if each.host is host]:
                connection.quit()

    # answering

    def _answer_all(self, job: Job, outcome: RecipientOutcome, result: TransactionResult) -> None:
        self._answer(job, [outcome] * len(job.mail.recipients), result)

    def _answer(self, job: Job, outcomes: list[RecipientOutcome], result: TransactionResult) -> None:
        self._in_flight -= 1
        if self._observer is not None:
            self._observer.on_reply(self.name, result)
        try:
            job.done(outcomes)
        except Exception as error:  # the caller's, of any kind
            # The caller's fault must not cost other messages their connection; its text may hold an address.
            log.error("upstream.callback_failed", upstream=self.name, error=type(error).__name__)
        if not self._in_flight and self._changed:
            self._tell_change()

    def _count(self, result: TransactionResult) -> None:
        if self._observer is not None:
            self._observer.on_reply(self.name, result)

    # time

    def _sweep(self) -> None:
        """One timer for all deadlines: a timer per message would cost more than the message."""
        assert self._loop is not None
        self._sweep_timer = self._loop.call_later(self._sweep_s, self._sweep)
        now = self._loop.time()
        settings = self._settings
        for connection in list(self._sockets):
            connection.sweep(now)
        while self._waiting and self._waiting[0].expires_at <= now:
            self._answer_all(self._dequeue(), NO_ROOM, TransactionResult.NO_ROOM)
        for connection in list(self._idle):
            if now - connection.used_at >= settings.idle_s or now - connection.opened_at >= settings.max_age_s:
                self._idle.remove(connection)
                connection.quit()
            elif settings.noop_s is not None and now - connection.heard_at >= settings.noop_s:
                self._idle.remove(connection)
                connection.noop()
        self._serve_waiting()
        if self._needs_probe():
            self._open_connection()

    def _needs_probe(self) -> bool:
        """Without traffic nobody would notice that a host is back, and the service would not become ready."""
        if self._is_closing or self._live or self._openings:
            return False
        return self._capabilities is None or not self.is_reachable

    def _tell_change(self) -> None:
        changed, self._changed = self._changed, []
        for future in changed:
            if not future.done():
                future.set_result(None)

    def _change(self) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        self._changed.append(future)
        return future

    async def _wait_until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                while not holds():
                    await self._change()
        except TimeoutError:
            return holds()
        return True


def _render_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
