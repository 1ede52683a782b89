"""One dialogue on one socket, with its deadlines. Callbacks only; a task just for the TLS handshake after STARTTLS."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol, cast

from adapters.smtp.commands import PIECE_BYTES, iterate_stuffed, stuff_dots
from adapters.smtp.dialogue import Broken, ContentWanted, Dialogue, Event, Finished, Opened, Phase, TlsWanted
from adapters.smtp.extensions import Extensions
from adapters.smtp.host import Host
from adapters.smtp.outcomes import Fault
from adapters.smtp.settings import UpstreamSettings
from filters.envelope import RecipientOutcome
from filters.exchange import OutgoingMail

FOLLOWED_BYTES = 64 * 1024
"""Content up to this size goes out in one write, so that what follows it does not wait in a buffer of ours."""

PROMPT_S = 0.1
"""A server that answered the last final dot within this time is given the next envelope before its answer."""


class Job:
    """One message on its way: what ``relay`` was given, and how often it was tried.

    Loop times: at ``expires_at`` it is deferred if no connection took it, after ``valid_until`` none may begin it.
    ``is_follower``: its envelope left behind the final dot of the message before, and no content yet, which must not
    leave after ``valid_until`` either.
    """

    __slots__ = ("attempts", "done", "expires_at", "is_follower", "mail", "valid_until")

    def __init__(self, mail: OutgoingMail, done: Callable[[Sequence[RecipientOutcome]], None]) -> None:
        self.mail = mail
        self.done = done
        self.attempts = 0
        self.expires_at = 0.0
        self.valid_until = math.inf
        self.is_follower = False


class ConnectionOwner(Protocol):
    """Whom a connection tells what happened to it. None of these raises."""

    def connection_made(self, connection: UpstreamConnection) -> None:
        """The socket is there; nothing is known of the server yet."""

    def connection_opened(self, connection: UpstreamConnection, extensions: Extensions) -> None:
        """Greeting, TLS and AUTH succeeded."""

    def connection_ready(self, connection: UpstreamConnection) -> None:
        """The next job may be started."""

    def find_follower(self, connection: UpstreamConnection, now: float) -> Job | None:
        """A job that could follow the one under way without waiting for its answer; it stays where it is."""

    def take_follower(self, job: Job) -> None:
        """What ``find_follower`` found is on its way."""

    def connection_goes_on(self, connection: UpstreamConnection) -> None:
        """A transaction ended well enough for the next, which has begun."""

    def job_expired(self, job: Job) -> None:
        """It is to be decided again; nothing of its content was sent. Called after ``connection_over``."""

    def job_finished(self, connection: UpstreamConnection, job: Job, finished: Finished) -> None:
        """A transaction is over; called after ``connection_ready`` where both are due."""

    def connection_over(self, connection: UpstreamConnection, fault: Fault) -> None:
        """The connection must not be used any more; called once, before ``job_finished`` where both are due."""

    def connection_gone(self, connection: UpstreamConnection) -> None:
        """The socket is closed; the last call."""


class UpstreamConnection(asyncio.Protocol):
    """The protocol object of one upstream connection.

    ``deadline`` is the loop time at which patience ends, infinity while nothing is awaited; the owner's sweep calls
    ``sweep``. ``opened_at``, ``used_at`` (last message) and ``heard_at`` (last command, NOOP too) are loop times.
    """

    def __init__(
        self,
        owner: ConnectionOwner,
        host: Host,
        settings: UpstreamSettings,
        tls_context: ssl.SSLContext | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.host = host
        self.dialogue = Dialogue(settings)
        self.transactions = 0
        self.opened_at = self.used_at = self.heard_at = loop.time()
        self.deadline = self.opened_at + settings.timeouts.greeting_s
        self.is_open = False
        self.is_over = False
        self._owner = owner
        self._settings = settings
        self._timeouts = settings.timeouts
        self._tls_context = tls_context
        self._loop = loop
        self._now = loop.time
        self._transport: asyncio.Transport | None = None
        self._job: Job | None = None
        self._following: Job | None = None
        self._is_asking = False
        self._following_bytes = 0
        self._content_out_at = 0.0
        self._is_prompt = False
        self._is_tls = False
        self._pieces: Iterator[bytes] | None = None
        self._is_pumping = False
        self._is_paused = False
        self._unsent_bytes = 0
        self._replies_seen = 0
        self._upgrade: asyncio.Task[None] | None = None

    # what the owner asks

    def start(self, job: Job) -> Finished | None:
        """Send a message; only when the dialogue is READY. ``Finished`` if it could not even be begun."""
        finished = self.dialogue.begin(job.mail)
        if finished is not None:
            return finished
        self._job = job
        job.is_follower = False
        job.attempts += 1
        self.transactions += 1
        self.used_at = self.heard_at = now = self._now()
        self.deadline = now + self._timeouts.command_s
        self._flush()
        return None

    def noop(self) -> None:
        """Keep the connection warm; it becomes ready again when the server has answered."""
        self.dialogue.noop()
        self.heard_at = now = self._now()
        self.deadline = now + self._timeouts.command_s
        self._flush()

    def quit(self) -> None:
        """Leave politely; the socket closes when the server has answered or patience ends."""
        if self.is_over:
            return
        self.is_over = True
        self.dialogue.quit()
        self.deadline = self._now() + self._timeouts.quit_s
        self._flush()
        self._owner.connection_over(self, Fault.SHUT_DOWN)

    def sweep(self, now: float) -> None:
        """Give up if patience ended; a slow but moving transfer of content gets more time for each step."""
        if now < self.deadline:
            return
        if self._is_paused and self._transport is not None:
            unsent_bytes = self._transport.get_write_buffer_size()
            if unsent_bytes != self._unsent_bytes:
                self._unsent_bytes = unsent_bytes
                self.deadline = now + self._timeouts.data_block_s
                return
        self.cut(Fault.TIMED_OUT)

    def cut(self, fault: Fault) -> None:
        """Close at once and report the transaction under way; does nothing the second time."""
        if not self.is_over:
            self.is_over = True
            self._note_dot_left()
            finished = self.dialogue.abandon(fault)
            following = self.dialogue.abandon_following(fault)
            self._owner.connection_over(self, fault)
            self._report(finished)
            self._report(following)
        self.deadline = math.inf
        if self._upgrade is not None:
            self._upgrade.cancel()
        if self._transport is not None:
            self._transport.abort()

    # what the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._adopt(cast(asyncio.Transport, transport))  # uvloop's is none by inheritance
        self._owner.connection_made(self)

    def data_received(self, data: bytes) -> None:
        if self.is_over and self.dialogue.phase is not Phase.QUIT:
            return
        if self._is_paused:
            self._note_dot_left()
        self._handle(self.dialogue.receive(data))

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        if self._pieces is not None:
            self._pump()
        elif self.dialogue.phase is Phase.CONTENT and not self._is_asking:
            self._note_content_out()

    def eof_received(self) -> None:
        # Nothing can come any more, so no message may be given to it between now and `connection_lost`.
        self.cut(Fault.LOST)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.cut(Fault.LOST)
        self._owner.connection_gone(self)

    # inside

    def _adopt(self, transport: asyncio.Transport) -> None:
        # High-water mark as low as it goes: `pause_writing` then means "something of ours has not left yet". A TLS
        # transport counts a full buffer at the mark itself, so 0 would pause it for good.
        transport.set_write_buffer_limits(high=1 if transport.get_extra_info("ssl_object") else 0)
        self._is_paused = False
        self._is_tls = transport.get_extra_info("ssl_object") is not None
        self._transport = transport

    def _flush(self) -> None:
        output = self.dialogue.output
        if output and self._transport is not None:
            self._transport.writelines(output)
            self.dialogue.output = []

    def _handle(self, events: list[Event]) -> None:
        dialogue = self.dialogue
        if dialogue.output:
            self._flush()
        # At most two: the message under way, and the one whose envelope had followed it.
        ended: list[tuple[Job, Finished]] = []
        broken: Fault | None = None
        for event in events:
            kind = type(event)
            if kind is ContentWanted:
                if ended:
                    self._note_going_on()
                self._write_content()
                for job, finished in ended:
                    self._owner.job_finished(self, job, finished)
                return
            if isinstance(event, Finished):
                if self._job is not None:
                    ended.append((self._job, event))
                self._job, self._following = self._following, None
                if self._content_out_at:
                    self._is_prompt = self._now() - self._content_out_at < PROMPT_S
                    self._content_out_at = 0.0
            elif isinstance(event, Broken):
                broken = event.fault
            elif isinstance(event, Opened):
                self.is_open = True
                self.opened_at = self.used_at = self.heard_at = self._now()
                self._owner.connection_opened(self, event.extensions)
            elif isinstance(event, TlsWanted):
                self._upgrade = self._loop.create_task(self._start_tls(), name="upstream STARTTLS")
        if broken is not None:
            if not self.is_over:
                self.is_over = True
                self._owner.connection_over(self, broken)
            for job, finished in ended:
                self._owner.job_finished(self, job, finished)
            self.cut(broken)
            return
        if dialogue.phase is Phase.READY:
            self.deadline = math.inf
            self._owner.connection_ready(self)
            for job, finished in ended:
                self._owner.job_finished(self, job, finished)
            return
        if ended and self._job is not None:
            self._note_going_on()
        for job, finished in ended:
            self._owner.job_finished(self, job, finished)
        if dialogue.replies_seen != self._replies_seen and not self.is_over:
            # Only whole replies buy time: a server that sends a byte now and then gets none.
            self._replies_seen = dialogue.replies_seen
            if dialogue.phase is not Phase.CONTENT:
                self.deadline = self._now() + self._timeouts.command_s

    def _report(self, finished: Finished | None) -> None:
        job = self._job
        if finished is not None and job is not None:
            self._job, self._following = self._following, None
            self._owner.job_finished(self, job, finished)

    def _note_going_on(self) -> None:
        """The final dot was answered, and the next message's envelope is under way."""
        self.used_at = self.heard_at = now = self._now()
        self.deadline = now + self._timeouts.command_s
        self._owner.connection_goes_on(self)

    def _write_content(self) -> None:
        job = self._job
        assert job is not None
        if job.valid_until >= self._now():
            self._send_content(job)
            return
        still_stands = job.mail.still_stands
        if still_stands is None:
            # Whoever gave no way to ask meant only that it must not wait for a connection, nor behind another.
            (self._expire if job.is_follower else self._send_content)(job)
            return
        self._is_asking = True
        still_stands(partial(self._go_on_late, job))

    def _go_on_late(self, job: Job, stands: bool) -> None:
        """The answer for a message whose content the server wanted later than its decision holds."""
        if self._job is not job or not self._is_asking or self.is_over:
            return  # the connection was lost meanwhile, and the message is answered
        self._is_asking = False
        if stands:
            self._send_content(job)
        else:
            self._expire(job)

    def _expire(self, job: Job) -> None:
        """Nothing of the content has left, and after DATA there is no other way back (RFC 5321 4.1.1.5)."""
        self._job = None
        self.cut(Fault.TIMED_OUT)
        self._owner.job_expired(job)

    def _send_content(self, job: Job) -> None:
        assert self._transport is not None
        job.is_follower = False
        content = job.mail.content
        if len(content) > PIECE_BYTES:
            self.deadline = self._now() + self._timeouts.data_block_s
            self._pieces = iterate_stuffed(content)
            self._pump()
            return
        pieces = stuff_dots(content, job.mail.may_have_dot_lines)
        self._transport.writelines((*pieces, self._find_following(len(content))))
        if self._is_paused:
            self.deadline = self._now() + self._timeouts.data_block_s
        else:
            self._note_content_out()

    def _find_following(self, content_bytes: int) -> bytes:
        """The envelope of a message that waits, to leave right behind the final dot; b"" if there is none.

        That spares a message a write, a read and a round trip, where messages wait for connections. Only behind small
        content and to a server that has just been quick, as the message can no longer go to another connection.
        """
        self._following_bytes = 0
        if not self._is_prompt or self._is_tls or content_bytes > FOLLOWED_BYTES:
            return b""
        job = self._owner.find_follower(self, self._now())
        if job is None:
            return b""
        commands = self.dialogue.follow(job.mail)
        if commands is None:
            return b""
        self._owner.take_follower(job)
        job.attempts += 1
        job.is_follower = True
        self.transactions += 1
        self._following = job
        self._following_bytes = len(commands)
        return commands

    def _note_dot_left(self) -> None:
        """Where an envelope follows, the dot has left before the buffer is empty."""
        if (
            self._is_paused
            and self._following_bytes
            and self.dialogue.phase is Phase.CONTENT
            and (self._transport is None or self._transport.get_write_buffer_size() <= self._following_bytes)
        ):
            self._note_content_out()

    def _pump(self) -> None:
        """Write pieces until the transport's buffer fills; a resumption inside a write begins no second round."""
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while self._pieces is not None and not self._is_paused and not self.is_over:
                piece = next(self._pieces, None)
                if piece is None:
                    self._pieces = None
                    break
                assert self._transport is not None
                self._transport.write(piece)
                self.deadline = self._now() + self._timeouts.data_block_s
        finally:
            self._is_pumping = False
        if self._pieces is None and not self.is_over:
            self._note_content_out()

    def _note_content_out(self) -> None:
        """The final dot has left our buffers. Until then a lost connection cannot have delivered the message."""
        self.dialogue.content_written()
        self._content_out_at = now = self._now()
        self.deadline = now + self._timeouts.after_dot_s

    async def _start_tls(self) -> None:
        assert self._transport is not None
        assert self._tls_context is not None
        transport: asyncio.Transport | None = None
        try:
            transport = await self._loop.start_tls(
                self._transport,
                self,
                self._tls_context,
                server_hostname=self._settings.tls_name or self.host.address[0],
                ssl_handshake_timeout=self._timeouts.command_s,
            )
        except OSError:  # every TLS and certificate error is one
            transport = None
        finally:
            self._upgrade = None
        if transport is None or self.is_over:
            self.cut(Fault.TLS_FAILED)
            return
        self._adopt(transport)
        self.deadline = self._now() + self._timeouts.command_s
        self.dialogue.tls_started()
        self._flush()
