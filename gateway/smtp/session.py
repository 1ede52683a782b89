"""One connection: feeds its dialogue from ``data_received`` and carries out what the dialogue asks for.

No task, no stream and no timer a connection: bytes go straight into the dialogue, results come back by callbacks, and
the listener's one timer sweeps over all sessions. Only TLS needs a task, for its handshake.

**Results that come late.** The client may be gone, or the session given up, before a handler answers. Each request is
an ``_Awaited`` that takes one answer; one that its session no longer waits for goes nowhere, except that the memory a
message holds is given back then, and not before.

**Backpressure.** While a result is awaited, little more is read than what one socket read may bring; a client that
does not read its replies is not read from either, and is dropped when that lasts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from filters.client import Client
from filters.reply import Reply
from gateway.clients import LoginFailure
from gateway.peer import normalise_peer
from gateway.smtp import replies
from gateway.smtp.dialogue import Dialogue
from gateway.smtp.effects import CheckLogin, CheckRecipient, Close, Effect, HandleMessage, StartTls
from gateway.smtp.settings import TlsMode

if TYPE_CHECKING:
    from gateway.smtp.listener import MailListener

log = structlog.stdlib.get_logger(__name__)

MAX_KEPT_BYTES: Final = 64 * 1024
"""Pipelined ahead of a result that is awaited; beyond it the transport is paused."""

_LINGER_S: Final = 2.0
_FAREWELL_S: Final = 0.5
"""When we go down, how long a client has for its QUIT before it is hung up on."""
"""How long a client may go on sending after we closed, so that our last reply is not lost to a reset."""


class SessionEvent(StrEnum):
    """What is counted of sessions; closed."""

    CONNECTION_OPENED = "connection_opened"
    CONNECTION_CLOSED = "connection_closed"
    CONNECTION_REFUSED = "connection_refused"
    PROXY_HEADER_REFUSED = "proxy_header_refused"
    TLS_STARTED = "tls_started"
    TLS_FAILED = "tls_failed"
    LOGIN_SUCCEEDED = "login_succeeded"
    LOGIN_FAILED = "login_failed"
    MESSAGE_RECEIVED = "message_received"
    CLIENT_LOST = "client_lost"
    TIMED_OUT = "timed_out"
    FAULT = "fault"


class _Awaited:
    """The callback a handler gets: takes the first call and ignores the rest.

    ``charge`` bytes of the memory budget are held until then, whether or not the session still exists: it is the
    handler that holds the message.
    """

    __slots__ = ("_charge", "_session")

    def __init__(self, session: MailSession, charge: int) -> None:
        self._session: MailSession | None = session
        self._charge = charge

    def __call__(self, result: object) -> Any:
        """Whether somebody still waited for it. (``Any``: most callers do not look.)"""
        session = self._session
        if session is None:
            return False
        self._session = None
        session.listener.budget.release(self._charge)
        return session.take_result(self, result)


_NOTHING: Final = object()
_FAULT: Final = object()
_FAULT_REPLY: Final = Reply(451, "3.0", "Temporary fault in this gateway, please try again")


class MailSession(asyncio.Protocol):
    """One client's connection; ``peer`` is its address, normalised."""

    __slots__ = (
        "_awaited",
        "_dialogue",
        "_early",
        "_has_eof",
        "_is_asking",
        "_is_lingering",
        "_is_paused",
        "_is_write_blocked",
        "_opened_at",
        "_result",
        "_seen_steps",
        "_since",
        "_tls_task",
        "_transport",
        "listener",
        "peer",
    )

    def __init__(self, listener: MailListener, peer: str = "") -> None:
        self.listener = listener
        self.peer = peer
        """Empty until the connection is made, unless a PROXY header told it."""
        self._dialogue = Dialogue(listener.settings, listener.extensions, listener.budget)
        self._transport: asyncio.Transport | None = None
        self._awaited: _Awaited | None = None
        self._result: Any = _NOTHING
        self._is_asking = False
        self._is_paused = False
        self._is_write_blocked = False
        self._is_lingering = False
        self._has_eof = False
        self._tls_task: asyncio.Task[None] | None = None
        self._early: list[bytes] = []
        # For the sweep: how many steps it saw last, and since when there have been no more.
        self._opened_at = self._since = 0.0
        self._seen_steps = -1

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        listener = self.listener
        if not self.peer:
            self.peer = peer_of(transport)
        self._opened_at = self._since = listener.now()
        refusal = listener.admit(self)
        if refusal:
            listener.count(SessionEvent.CONNECTION_REFUSED)
            self._transport.write(refusal)
            self._transport.close()
            return
        listener.count(SessionEvent.CONNECTION_OPENED)
        dialogue = self._dialogue
        dialogue.session_id = listener.next_session_id()
        dialogue.peer = self.peer
        dialogue.client = listener.clients.find_by_network(self.peer)
        dialogue.is_tls = listener.settings.tls is TlsMode.IMPLICIT
        dialogue.greet()
        self._send_replies()

    def data_received(self, data: bytes) -> None:
        if self._is_lingering:
            return
        if self._tls_task is not None:
            # Decrypted already: the handshake is over, but the task that waited for it has not run yet.
            self._early.append(data)
            return
        dialogue = self._dialogue
        try:
            effect = dialogue.receive(data)
        except Exception as error:  # a fault of ours ends this session alone
            self._give_up(error)
            return
        if effect is not None:
            self._carry_out(effect)
        elif self._awaited is not None:
            if dialogue.kept_bytes > MAX_KEPT_BYTES:
                self._pause()
            return
        self._send_replies()

    def eof_received(self) -> bool:
        """A client that has said all it wants may still wait for the reply to it; TLS cannot be half-closed."""
        self._has_eof = True
        return self._awaited is not None and not self._dialogue.is_tls

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        self._transport = None
        if self._awaited is not None or self._dialogue.content_bytes is not None:
            self.listener.count(SessionEvent.CLIENT_LOST)
        self._awaited = None
        self._dialogue.abandon()
        if self._tls_task is not None:
            self._tls_task.cancel()
        self.listener.forget(self)

    def pause_writing(self) -> None:
        self._is_write_blocked = True
        self._pause()

    def resume_writing(self) -> None:
        self._is_write_blocked = False
        self._go_on_reading()

    # What the listener calls

    def sweep(self, now: float) -> None:
        """End what takes too long."""
        if self._transport is None or self._tls_task is not None:
            return  # the handshake has a time limit of its own
        dialogue = self._dialogue
        if dialogue.steps != self._seen_steps:
            self._seen_steps = dialogue.steps
            self._since = now
        settings = self.listener.settings
        elapsed = now - self._since
        content_bytes = dialogue.content_bytes
        if self._is_lingering:
            if elapsed > _LINGER_S:
                self._transport.abort()
        elif self._is_write_blocked:
            if elapsed > settings.idle_timeout_s:
                self.listener.count(SessionEvent.TIMED_OUT)
                self._transport.abort()
        elif self._awaited is not None:
            if elapsed > settings.answer_timeout_s:
                self._time_out(replies.ANSWER_OVERDUE)
        elif content_bytes is not None:
            if content_bytes < (elapsed - settings.data_grace_s) * settings.min_data_rate:
                self._time_out(replies.TOO_SLOW)
        elif dialogue.is_leaving:
            if elapsed > _FAREWELL_S:
                self.break_off(replies.SHUTTING_DOWN)
        elif elapsed > settings.idle_timeout_s:
            self._time_out(replies.IDLE_TOO_LONG)
        elif now - self._opened_at > settings.max_session_s and dialogue.envelope is None:
            self._time_out(replies.SESSION_TOO_LONG)

    def shut_down(self) -> None:
        """Begin no other message; ``sweep`` says goodbye when the client has nothing to say any more."""
        if self._tls_task is not None:
            self.break_off(b"")
        else:
            self._dialogue.shut_down()

    def break_off(self, reply: bytes) -> None:
        """Go now; a message under way is not answered, so the client keeps it."""
        if self._transport is None:
            return
        if self._tls_task is not None or self._is_lingering:
            self._transport.abort()
            return
        self._awaited = None
        self._go_on(partial(self._dialogue.break_off, reply))

    def abort(self) -> None:
        """Go without a word."""
        if self._transport is not None:
            self._transport.abort()

    # Effects and their results

    def take_result(self, awaited: _Awaited, result: Any) -> bool:
        """A handler's answer, which may come within the very call that asked for it; False: the session gave up."""
        if awaited is not self._awaited:
            return False
        self._awaited = None
        if self._is_asking:
            self._result = result
        else:
            self._go_on(partial(self._resume, result))
        return True

    def _go_on(self, step: Callable[[], Effect | None]) -> None:
        """Take ``step`` of the dialogue, carry out what follows from it, say what there is to say."""
        try:
            effect = step()
        except Exception as error:  # a fault of ours ends this session alone
            self._give_up(error)
            return
        if effect is not None:
            self._carry_out(effect)
        self._send_replies()
        self._go_on_reading()
        if self._has_eof and self._awaited is None and self._transport is not None:
            self._transport.close()

    def _carry_out(self, effect: Effect) -> None:
        """Carry out ``effect`` and those that follow from it, until a result has to be waited for."""
        following: Effect | None = effect
        while following is not None:
            kind = type(following)
            if kind is not HandleMessage and kind is not CheckRecipient and self._has_ended(following):
                return
            self._result = _NOTHING
            self._is_asking = True
            try:
                self._ask(following)
            except Exception as error:  # the handler's: the dialogue answers it as a fault
                self._report_fault(error)
                if self._awaited is not None:
                    self._awaited(_FAULT)
            finally:
                self._is_asking = False
            result = self._result
            if result is _NOTHING:
                return
            self._result = _NOTHING
            try:
                following = self._resume(result)
            except Exception as error:  # a fault of ours ends this session alone
                self._give_up(error)
                return

    def _has_ended(self, effect: Effect) -> bool:
        """Carry out what ends the plain conversation, if ``effect`` is that."""
        if isinstance(effect, Close):
            self._close(lingers=not effect.is_farewell)
            return True
        if isinstance(effect, StartTls):
            self._send_replies()
            self._start_tls()
            return True
        return False

    def _ask(self, effect: Effect) -> None:
        """Put the question that ``effect`` is; the result comes to ``take_result``."""
        listener = self.listener
        if type(effect) is HandleMessage:
            listener.count(SessionEvent.MESSAGE_RECEIVED)
            self._awaited = awaited = _Awaited(self, effect.charge)
            listener.handler.handle(effect.envelope, effect.content, awaited)
        elif type(effect) is CheckRecipient:
            self._awaited = awaited = _Awaited(self, 0)
            listener.handler.check_recipient(effect.envelope, effect.recipient, awaited)
        elif type(effect) is CheckLogin:
            self._awaited = awaited = _Awaited(self, 0)
            listener.clients.check_login(effect.username, effect.password, self.peer, awaited)

    def _resume(self, result: Any) -> Effect | None:
        """Tell the dialogue the result of what it asked for."""
        dialogue = self._dialogue
        asked = type(dialogue.effect)
        if asked is HandleMessage:
            return dialogue.message_answered(None if result is _FAULT else result)
        if asked is CheckRecipient:
            return dialogue.recipient_checked(_FAULT_REPLY if result is _FAULT else result)
        if isinstance(result, Client):
            self.listener.count(SessionEvent.LOGIN_SUCCEEDED)
            return dialogue.login_checked(result)
        self.listener.count(SessionEvent.LOGIN_FAILED)
        return dialogue.login_checked(None, _LOGIN_REPLIES.get(result, replies.LOGIN_PUT_OFF))

    # The connection

    def _send_replies(self) -> None:
        said = self._dialogue.take_replies()
        if said and self._transport is not None:
            self._transport.write(said)

    def _pause(self) -> None:
        if not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def _go_on_reading(self) -> None:
        if (
            self._is_paused
            and self._transport is not None
            and not self._is_write_blocked
            and (self._awaited is None or self._dialogue.kept_bytes <= MAX_KEPT_BYTES)
        ):
            self._is_paused = False
            self._transport.resume_reading()

    def _close(self, *, lingers: bool) -> None:
        """Send what is to be said and close.

        With input unread the kernel answers it by a reset, which may destroy the reply on its way; so unless the
        client said QUIT, only our half is closed at first and what still comes is thrown away for a moment.
        """
        self._send_replies()
        transport = self._transport
        if transport is None:
            return
        if lingers and not self._has_eof and transport.can_write_eof():
            self._is_lingering = True
            self._since = self.listener.now()
            self._seen_steps = self._dialogue.steps
            transport.write_eof()
        else:
            transport.close()

    def _time_out(self, reply: bytes) -> None:
        self.listener.count(SessionEvent.TIMED_OUT)
        self.break_off(reply)

    def _give_up(self, error: Exception) -> None:
        """The dialogue itself failed: its state cannot be trusted, so the session ends, with a temporary reply."""
        self._report_fault(error)
        self._awaited = None
        try:
            self._dialogue.break_off(replies.FAULT_CLOSES)
        finally:
            self._close(lingers=True)

    def _report_fault(self, error: Exception) -> None:
        """By type only: the text of an exception may hold an address."""
        self.listener.count(SessionEvent.FAULT)
        log.error("session.failed", session=self._dialogue.session_id, fault=type(error).__name__)

    # TLS

    def _start_tls(self) -> None:
        """STARTTLS: shake hands on the plain connection, from which nothing more is read in clear."""
        assert self._transport is not None
        self._transport.pause_reading()
        self._tls_task = asyncio.get_running_loop().create_task(self._shake_hands(self._transport), name="smtp-tls")

    async def _shake_hands(self, plain: asyncio.Transport) -> None:
        listener = self.listener
        context = listener.ssl_context
        try:
            assert context is not None, "a listener with TLS has a certificate"
            encrypted = await asyncio.get_running_loop().start_tls(
                plain,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=listener.settings.handshake_timeout_s,
            )
        except (OSError, asyncio.CancelledError) as error:  # ssl.SSLError and time-outs are OSErrors
            listener.count(SessionEvent.TLS_FAILED)
            self._tls_task = None
            plain.abort()
            self.connection_lost(None)
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        self._tls_task = None
        if encrypted is None or self._transport is None:
            return  # the client left in the very moment
        listener.count(SessionEvent.TLS_STARTED)
        self._transport = encrypted
        self._is_paused = False
        self._is_write_blocked = False
        self._go_on(self._dialogue.tls_started)
        early, self._early = self._early, []
        for data in early:
            self.data_received(data)


_LOGIN_REPLIES: Final[dict[object, bytes]] = {
    LoginFailure.WRONG: replies.LOGIN_REFUSED,
    LoginFailure.TOO_MANY_FAILURES: replies.LOGIN_BARRED,
    LoginFailure.BUSY: replies.LOGIN_PUT_OFF,
}


def peer_of(transport: asyncio.BaseTransport) -> str:
    """The address at the other end, normalised."""
    return normalise_peer(transport.get_extra_info("peername")[0])
