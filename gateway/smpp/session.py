"""One client's connection: octets straight into its pure session, events to the listener, results back.

No task and no timer a connection; the listener's one timer sweeps over all sessions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import structlog

from filters.client import Client
from filters.smpp.message import ShortMessage, UnsuccessfulDelivery
from filters.smpp.numbers import CommandStatus
from filters.smpp.server_session import (
    BindAsked,
    DeliverAnswered,
    LinkState,
    ServerEvent,
    ServerSession,
    Submitted,
)
from gateway.peer import normalise_peer
from gateway.smpp.awaited import Awaited

if TYPE_CHECKING:
    from gateway.smpp.listener import SmppListener

log = structlog.stdlib.get_logger(__name__)

_FAREWELL_S: Final = 2.0
"""How long a client has for its unbind_resp when we go down, once nothing of its is under way."""


class SmppEvent(StrEnum):
    """What is counted of sessions; closed."""

    CONNECTION_OPENED = "connection_opened"
    CONNECTION_CLOSED = "connection_closed"
    CONNECTION_REFUSED = "connection_refused"
    BIND_SUCCEEDED = "bind_succeeded"
    BIND_FAILED = "bind_failed"
    MESSAGE_RECEIVED = "message_received"
    PART_RECEIVED = "part_received"
    CLIENT_LOST = "client_lost"
    TIMED_OUT = "timed_out"
    FAULT = "fault"
    DELIVERED = "delivered"
    DELIVERY_FAILED = "delivery_failed"


class SmppSession(asyncio.Protocol):
    """One client's link; ``client`` is set while it is bound."""

    __slots__ = (
        "_awaited",
        "_deliveries",
        "_is_busy",
        "_is_flush_due",
        "_is_paused",
        "_is_write_blocked",
        "_link",
        "_listener",
        "_opened_at",
        "_seen_steps",
        "_since",
        "_system_type",
        "_transport",
        "_was_asked",
        "client",
        "peer",
        "system_id",
    )

    def __init__(self, listener: SmppListener) -> None:
        self._listener = listener
        self._link = ServerSession(listener.settings.limits)
        self._transport: asyncio.Transport | None = None
        self._awaited: dict[int, Awaited] = {}
        self._deliveries: dict[int, tuple[float, Callable[[int], None]]] = {}
        self._is_busy = False
        self._is_flush_due = False
        self._is_paused = False
        self._is_write_blocked = False
        self._opened_at = self._since = 0.0
        self._seen_steps = -1
        self._was_asked = False
        self._system_type = ""
        self.client: Client | None = None
        self.system_id = ""
        self.peer = ""

    @property
    def can_deliver(self) -> bool:
        return self._transport is not None and not self._is_write_blocked and self._link.can_deliver

    @property
    def is_receiver(self) -> bool:
        """Whether the client takes deliveries on this link, now or when it has answered others."""
        return self._transport is not None and self._link.state.may_receive and not self._link.is_leaving

    @property
    def system_type(self) -> str:
        return self._system_type

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        address = transport.get_extra_info("peername")
        self.peer = normalise_peer(address[0]) if address else "0.0.0.0"  # noqa: S104 - nobody listens there
        self._opened_at = self._since = self._listener.now()
        if not self._listener.admit(self):
            self._listener.count(SmppEvent.CONNECTION_REFUSED)
            self._transport.abort()
            return
        self._listener.count(SmppEvent.CONNECTION_OPENED)

    def data_received(self, data: bytes) -> None:
        self._is_busy = True
        try:
            self._take(self._link.receive(data))
        except Exception as fault:  # a fault of ours ends this session alone
            self._give_up(fault)
            return
        finally:
            self._is_busy = False
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        self._transport = None
        if self._awaited:
            self._listener.count(SmppEvent.CLIENT_LOST)
        self._awaited.clear()
        self._listener.forget(self)
        deliveries, self._deliveries = self._deliveries, {}
        for _, done in deliveries.values():
            done(CommandStatus.RECEIVER_TEMPORARY)

    def pause_writing(self) -> None:
        self._is_write_blocked = True
        self._settle_reading()

    def resume_writing(self) -> None:
        self._is_write_blocked = False
        self._settle_reading()

    # What the listener calls

    def answer(self, awaited: Awaited, status: int, message_id: str, failed: tuple[UnsuccessfulDelivery, ...]) -> None:
        """The result of a message; without effect where it is not waited for any more."""
        if self._awaited.get(awaited.sequence) is not awaited:
            return
        del self._awaited[awaited.sequence]
        self._link.answer_submit(awaited.sequence, status, message_id, failed)
        if not self._is_busy:
            self._flush_soon()

    def waits_for(self, awaited: Awaited) -> bool:
        return self._awaited.get(awaited.sequence) is awaited

    def deliver(self, message: ShortMessage, done: Callable[[int], None]) -> None:
        """Hand a message to the client (``can_deliver`` holds); ``done`` gets the status it answers."""
        sequence = self._link.deliver(message)
        self._deliveries[sequence] = (self._listener.now(), done)
        if not self._is_busy:
            self._flush_soon()

    def sweep(self, now: float) -> None:
        """End what takes too long."""
        if self._transport is None:
            return
        settings, link = self._listener.settings, self._link
        if link.steps != self._seen_steps:
            self._seen_steps, self._since, self._was_asked = link.steps, now, False
        for awaited in list(self._awaited.values()):
            if now - awaited.asked_at <= settings.answer_timeout_s:
                break
            self._listener.count(SmppEvent.TIMED_OUT)
            awaited.answer(CommandStatus.SYSTEM_ERROR)
        for sequence, (since, done) in list(self._deliveries.items()):
            if now - since <= settings.deliver_timeout_s:
                break
            del self._deliveries[sequence]
            link.forget_delivery(sequence)
            done(CommandStatus.RECEIVER_TEMPORARY)
        idle_s = now - self._since
        if not link.state.is_bound:
            if now - self._opened_at > settings.bind_timeout_s:
                self._time_out()
        elif link.is_leaving:
            if not self._awaited and idle_s > _FAREWELL_S:
                self._transport.close()
        elif idle_s > settings.idle_timeout_s:
            self._time_out()
        elif idle_s > settings.idle_timeout_s / 2 and not self._was_asked:
            self._was_asked = True
            link.enquire()
            self._flush()

    def shut_down(self) -> None:
        """Take nothing new; what is under way is answered still."""
        self._link.leave()
        self._flush()
        if not self._link.state.is_bound and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Go without a word."""
        if self._transport is not None:
            self._transport.abort()

    # Events

    def _take(self, events: list[ServerEvent]) -> None:
        for event in events:
            if type(event) is Submitted:
                self._submit(event)
            elif type(event) is DeliverAnswered:
                waiting = self._deliveries.pop(event.sequence, None)
                if waiting is not None:
                    waiting[1](event.status)
            elif type(event) is BindAsked:
                self._bind(event)
            else:
                self._flush()
                if self._transport is not None:
                    self._transport.close()

    def _submit(self, event: Submitted) -> None:
        client = self.client
        assert client is not None  # no bind, no submit
        now = self._listener.now()
        awaited = Awaited(self, event, client.name, now)
        self._awaited[event.sequence] = awaited
        try:
            self._listener.submit(awaited, client)
        except Exception as fault:  # whatever it is, the client has to be answered
            self._listener.count(SmppEvent.FAULT)
            log.error("smpp.failed", fault=type(fault).__name__, exc_info=fault)
            awaited.answer(CommandStatus.SYSTEM_ERROR)

    def _bind(self, event: BindAsked) -> None:
        bind = event.bind
        self._listener.admission.judge(bind, self.peer, partial(self._bind_judged, bind.system_id, bind.system_type))

    def _bind_judged(self, system_id: str, system_type: str, result: Client | int) -> None:
        if self._transport is None or self._link.state is not LinkState.BINDING:
            return
        listener = self._listener
        if isinstance(result, Client) and not listener.has_room_for(result):
            result = int(CommandStatus.BIND_FAILED)
        if isinstance(result, Client):
            self.client, self.system_id, self._system_type = result, system_id, system_type
            self._link.accept_bind()
            listener.count(SmppEvent.BIND_SUCCEEDED)
            listener.bound(self)
        else:
            self._link.refuse_bind(result)
            listener.count(SmppEvent.BIND_FAILED)
        if not self._is_busy:
            self._go_on()

    # The connection

    def _go_on(self) -> None:
        """Read on what has come already, as far as the window allows, and say what there is to say."""
        while self._link.has_frames and not self._link.is_full:
            self._is_busy = True
            try:
                self._take(self._link.go_on())
            except Exception as fault:  # a fault of ours ends this session alone
                self._give_up(fault)
                return
            finally:
                self._is_busy = False
        self._flush()
        self._settle_reading()
        if self.client is not None and self.can_deliver:
            self._listener.has_room(self.client.name)

    def _give_up(self, fault: Exception) -> None:
        """A fault of ours in the middle of a link: nothing that is unanswered counts as taken."""
        self._listener.count(SmppEvent.FAULT)
        log.error("smpp.failed", fault=type(fault).__name__, exc_info=fault)
        self.abort()

    def _settle_reading(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        wants_pause = self._link.is_full or self._is_write_blocked
        if wants_pause and not self._is_paused:
            self._is_paused = True
            transport.pause_reading()
        elif self._is_paused and not wants_pause:
            self._is_paused = False
            transport.resume_reading()

    def _flush_soon(self) -> None:
        """Once for all answers that this turn of the loop brings."""
        if not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self._flush_later)

    def _flush_later(self) -> None:
        self._is_flush_due = False
        self._go_on()

    def _flush(self) -> None:
        if (said := self._link.take_output()) and self._transport is not None:
            self._transport.write(said)

    def _time_out(self) -> None:
        self._listener.count(SmppEvent.TIMED_OUT)
        if self._transport is not None:
            self._transport.close()
