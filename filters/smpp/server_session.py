"""The SMSC's side of one link, towards our clients: states, sequence numbers, windows (SMPP 3.4, 2.2 and 2.9).

No I/O: octets in, events out, and what is to be said collects until it is taken. The session answers by itself what
needs no judgement (enquire_link, unbind, nonsense); for the rest it hands out an event and is told the result, in any
order. While a bind is being judged, and while as many messages are unanswered as the window allows, nothing further is
read: a client is slowed down rather than refused.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from filters.smpp.bind import Bind, parse_bind, render_bind_answer
from filters.smpp.fields import Address, PduError
from filters.smpp.frames import Frame, FrameReader, render_frame
from filters.smpp.message import (
    ShortMessage,
    UnsuccessfulDelivery,
    parse_data,
    parse_submit,
    parse_submit_multi,
    render_message_id,
    render_multi_answer,
    render_submit,
)
from filters.smpp.numbers import (
    BIND_RECEIVER,
    BIND_TRANSMITTER,
    BINDS,
    CANCEL_SM,
    DATA_SM,
    DELIVER_SM,
    ENQUIRE_LINK,
    GENERIC_NACK,
    MAX_SEQUENCE,
    OUTBIND,
    QUERY_SM,
    REPLACE_SM,
    REQUESTS,
    RESPONSE,
    SUBMIT_MULTI,
    SUBMIT_SM,
    UNBIND,
    CommandStatus,
)


class LinkState(StrEnum):
    """2.2, and what comes between."""

    OPEN = "open"
    BINDING = "binding"
    BOUND_TX = "bound_tx"
    BOUND_RX = "bound_rx"
    BOUND_TRX = "bound_trx"
    UNBINDING = "unbinding"
    CLOSED = "closed"

    @property
    def may_submit(self) -> bool:
        return self in _MAY_SUBMIT

    @property
    def may_receive(self) -> bool:
        return self in (LinkState.BOUND_RX, LinkState.BOUND_TRX)

    @property
    def is_bound(self) -> bool:
        return self in (LinkState.BOUND_TX, LinkState.BOUND_RX, LinkState.BOUND_TRX)


_MAY_SUBMIT: Final = frozenset({LinkState.BOUND_TX, LinkState.BOUND_TRX})
_new = tuple.__new__  # half the time of a class's own way


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """``window``: messages of one client unanswered at once. ``deliver_window``: messages to it unanswered at once."""

    system_id: str = "IZINKAPI"
    window: int = 100
    deliver_window: int = 20
    max_pdu_bytes: int = 70_000
    max_errors: int = 20


class BindAsked(NamedTuple):
    """Somebody asks to be let in: answer by ``accept_bind`` or ``refuse_bind``."""

    bind: Bind


class Submitted(NamedTuple):
    """A message to send; answer by ``answer_submit``. ``body`` is what ``message`` was read from."""

    sequence: int
    command: int
    message: ShortMessage
    destinations: tuple[Address, ...]
    body: bytes


class DeliverAnswered(NamedTuple):
    """The client's answer to what was delivered to it."""

    sequence: int
    status: int


class Ended(NamedTuple):
    """Say what is left to say and close."""


ServerEvent = BindAsked | Submitted | DeliverAnswered | Ended

_ENDED: Final = Ended()
_READS_NOTHING: Final = frozenset({LinkState.BINDING, LinkState.CLOSED})
_REFUSED_REQUESTS: Final = {
    QUERY_SM: CommandStatus.QUERY_FAILED,
    CANCEL_SM: CommandStatus.CANCEL_FAILED,
    REPLACE_SM: CommandStatus.REPLACE_FAILED,
}
"""What we do not offer: a replaced text would leave unread, and the states of messages are told by receipts."""
_STATES: Final = {BIND_RECEIVER: LinkState.BOUND_RX, BIND_TRANSMITTER: LinkState.BOUND_TX}
_DELIVER_ANSWER: Final = DELIVER_SM | RESPONSE
_ENQUIRE_ANSWER: Final = ENQUIRE_LINK | RESPONSE


class ServerSession:
    """One client's link. ``state`` and ``steps`` (PDUs read) may be looked at."""

    __slots__ = (
        "_bind_command",
        "_bind_sequence",
        "_errors",
        "_frames",
        "_limits",
        "_out",
        "_reader",
        "_sequence",
        "_to_answer",
        "_waiting",
        "is_leaving",
        "state",
        "steps",
    )

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._reader = FrameReader(limits.max_pdu_bytes)
        self._frames: deque[Frame] = deque()
        self._out: list[bytes] = []
        self._to_answer: dict[int, int] = {}
        self._waiting: set[int] = set()
        self._sequence = 0
        self._bind_command = self._bind_sequence = 0
        self._errors = 0
        self.state = LinkState.OPEN
        self.is_leaving = False
        self.steps = 0

    @property
    def unanswered(self) -> int:
        """Messages that the client waits for."""
        return len(self._to_answer)

    @property
    def undelivered(self) -> int:
        """Messages that the client has not answered."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether nothing further is read for now; the connection should not be read either."""
        return self.state is LinkState.BINDING or len(self._to_answer) >= self._limits.window

    @property
    def has_frames(self) -> bool:
        """Whether something is left to ``go_on`` with."""
        return bool(self._frames)

    @property
    def can_deliver(self) -> bool:
        return self.state.may_receive and not self.is_leaving and len(self._waiting) < self._limits.deliver_window

    def receive(self, data: bytes) -> list[ServerEvent]:
        """What ``data`` brings, as far as it may be read now."""
        self._frames.extend(self._reader.feed(data))
        return self.go_on()

    def go_on(self) -> list[ServerEvent]:
        """What has come already and may be read now."""
        events: list[ServerEvent] = []
        frames, to_answer, window = self._frames, self._to_answer, self._limits.window
        while frames and len(to_answer) < window and self.state not in _READS_NOTHING:
            frame = frames.popleft()
            self.steps += 1
            event = self._submit(frame) if frame.command == SUBMIT_SM else self._take(frame)
            if event is not None:
                events.append(event)
        if self._reader.is_broken and not frames and self.state is not LinkState.CLOSED:
            # Where the next PDU begins is not known any more.
            self._say(GENERIC_NACK, 0, status=CommandStatus.INVALID_COMMAND_LENGTH)
            events.append(self._end())
        return events

    def take_output(self) -> bytes:
        """What is to be said, in one piece."""
        if not self._out:
            return b""
        said = b"".join(self._out)
        self._out.clear()
        return said

    # Results

    def accept_bind(self) -> None:
        """Let the client in."""
        self.state = _STATES.get(self._bind_command, LinkState.BOUND_TRX)
        body = render_bind_answer(self._limits.system_id)
        self._say(self._bind_command | RESPONSE, self._bind_sequence, body)

    def refuse_bind(self, status: int) -> None:
        """Turn the client away; it may ask again on this connection, as often as errors are borne."""
        self.state = LinkState.OPEN
        self._errors += 1
        self._say(self._bind_command | RESPONSE, self._bind_sequence, status=status)

    def answer_submit(
        self, sequence: int, status: int, message_id: str = "", failed: tuple[UnsuccessfulDelivery, ...] = ()
    ) -> None:
        """Answer a message. ``failed`` is for submit_multi. Without effect where it is answered already."""
        command = self._to_answer.pop(sequence, None)
        if command is None or self.state is LinkState.CLOSED:
            return
        body = b""
        if not status:
            is_multi = command == SUBMIT_MULTI
            body = render_multi_answer(message_id, failed) if is_multi else render_message_id(message_id)
        self._out.append(render_frame(command | RESPONSE, sequence, body, status))

    def deliver(self, message: ShortMessage) -> int:
        """Hand a message to the client (``can_deliver`` must hold); its sequence number."""
        sequence = self._sequence = self._sequence % MAX_SEQUENCE + 1
        self._waiting.add(sequence)
        self._out.append(render_frame(DELIVER_SM, sequence, render_submit(message)))
        return sequence

    def forget_delivery(self, sequence: int) -> None:
        """Do not wait for this answer any longer."""
        self._waiting.discard(sequence)

    def enquire(self) -> None:
        """Ask whether the client is still there."""
        self._sequence = self._sequence % MAX_SEQUENCE + 1
        self._say(ENQUIRE_LINK, self._sequence)

    def leave(self) -> None:
        """Begin nothing new: ask the client to unbind. Messages under way are answered still."""
        if self.is_leaving or self.state is LinkState.CLOSED:
            return
        self.is_leaving = True
        if self.state.is_bound:
            self._sequence = self._sequence % MAX_SEQUENCE + 1
            self._say(UNBIND, self._sequence)

    # What comes

    def _submit(self, frame: Frame) -> ServerEvent | None:
        """The hot path: one submit_sm."""
        sequence = frame.sequence
        status = self._why_not(sequence)
        if not status:
            try:
                message = parse_submit(frame.body)
            except PduError as error:
                status = error.status
            else:
                self._to_answer[sequence] = SUBMIT_SM
                return _new(Submitted, (sequence, SUBMIT_SM, message, (message.destination,), frame.body))
        return self._refuse(frame, status)

    def _why_not(self, sequence: int) -> int:
        """The status that refuses a message before it is read, 0 for none."""
        if self.state not in _MAY_SUBMIT:
            return CommandStatus.INVALID_BIND_STATE
        if self.is_leaving:
            return CommandStatus.SYSTEM_ERROR
        if sequence in self._to_answer:
            # Two answers under one number could not be told apart.
            return CommandStatus.SYSTEM_ERROR
        return 0

    def _take(self, frame: Frame) -> ServerEvent | None:
        command, sequence = frame.command, frame.sequence
        if command == ENQUIRE_LINK:
            self._say(_ENQUIRE_ANSWER, sequence)
        elif command in (_DELIVER_ANSWER, GENERIC_NACK):
            if sequence in self._waiting:
                self._waiting.remove(sequence)
                failed = command == GENERIC_NACK and not frame.status
                return DeliverAnswered(sequence, CommandStatus.INVALID_COMMAND if failed else frame.status)
        elif command in (SUBMIT_MULTI, DATA_SM):
            return self._submit_otherwise(frame)
        elif command in BINDS:
            return self._bind(frame)
        elif command == UNBIND:
            self._say(UNBIND | RESPONSE, sequence)
            return self._end()
        elif command == UNBIND | RESPONSE:
            if self.is_leaving:
                return self._end()
        elif command in _REFUSED_REQUESTS:
            status = _REFUSED_REQUESTS[command] if self.state.may_submit else CommandStatus.INVALID_BIND_STATE
            return self._refuse(frame, status)
        elif command in REQUESTS and command != OUTBIND:
            return self._refuse(frame, CommandStatus.INVALID_BIND_STATE)
        elif not command & RESPONSE:
            # outbind is the SMSC's to say; the rest is nobody's.
            return self._nack(sequence, CommandStatus.INVALID_COMMAND)
        return None

    def _submit_otherwise(self, frame: Frame) -> ServerEvent | None:
        status = self._why_not(frame.sequence)
        if not status:
            try:
                if frame.command == DATA_SM:
                    message = parse_data(frame.body)
                    destinations: tuple[Address, ...] = (message.destination,)
                else:
                    message, destinations = parse_submit_multi(frame.body)
            except PduError as error:
                status = error.status
            else:
                self._to_answer[frame.sequence] = frame.command
                return Submitted(frame.sequence, frame.command, message, destinations, frame.body)
        return self._refuse(frame, status)

    def _bind(self, frame: Frame) -> ServerEvent | None:
        if self.state is not LinkState.OPEN:
            return self._refuse(frame, CommandStatus.ALREADY_BOUND)
        if self.is_leaving:
            return self._refuse(frame, CommandStatus.BIND_FAILED)
        try:
            bind = parse_bind(frame.body)
        except PduError as error:
            return self._refuse(frame, error.status)
        self.state = LinkState.BINDING
        self._bind_command, self._bind_sequence = frame.command, frame.sequence
        return BindAsked(bind)

    def _refuse(self, frame: Frame, status: int) -> ServerEvent | None:
        self._say(frame.command | RESPONSE, frame.sequence, status=status)
        return self._count_error()

    def _nack(self, sequence: int, status: int) -> ServerEvent | None:
        self._say(GENERIC_NACK, sequence, status=status)
        return self._count_error()

    def _count_error(self) -> ServerEvent | None:
        """Clients with work to do are borne longer: a message that cannot be read is no attack."""
        if self.state.may_submit:
            return None
        self._errors += 1
        return self._end() if self._errors >= self._limits.max_errors else None

    def _say(self, command: int, sequence: int, body: bytes = b"", status: int = 0) -> None:
        self._out.append(render_frame(command, sequence, body, status))

    def _end(self) -> Ended:
        self.state = LinkState.CLOSED
        self._frames.clear()
        return _ENDED
