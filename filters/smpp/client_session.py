"""The ESME's side of one link, towards the SMSC: bind, window, enquire_link (SMPP 3.4, 2.2 and 7.2).

No I/O and no clock: octets and the time go in, events come out, and what is to be said collects until it is taken.
What was submitted and is unanswered when the link ends is unknown: the SMSC may have sent it, so nobody sends it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from filters.smpp.bind import Bind, parse_bind_answer, render_bind
from filters.smpp.fields import PduError
from filters.smpp.frames import Frame, FrameReader, render_frame
from filters.smpp.message import ShortMessage, parse_data, parse_message_id, parse_submit
from filters.smpp.numbers import (
    BIND_TRANSCEIVER,
    DATA_SM,
    DELIVER_SM,
    ENQUIRE_LINK,
    GENERIC_NACK,
    MAX_SEQUENCE,
    RESPONSE,
    SUBMIT_SM,
    UNBIND,
    CommandStatus,
)


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """``window``: submits unanswered at once. ``answer_s``: how long for an answer, to a submit as to enquire_link;
    ``quiet_s``: after so much silence enquire_link is sent; ``bind_s``: for the bind's answer."""

    window: int = 50
    max_pdu_bytes: int = 70_000
    answer_s: float = 60.0
    quiet_s: float = 30.0
    bind_s: float = 15.0


class EndReason(StrEnum):
    """Why a link ended."""

    BIND_REFUSED = "bind_refused"
    BIND_TIMED_OUT = "bind_timed_out"
    UNBOUND = "unbound"
    SILENT = "silent"
    BROKEN = "broken"
    LOST = "lost"


class Bound(NamedTuple):
    """The SMSC let us in; ``has_tlvs``: it speaks 3.4."""

    system_id: str
    has_tlvs: bool


class SubmitAnswered(NamedTuple):
    """The SMSC's word on one submit. ``status`` None: it said nothing in time, and whether it sent is not known."""

    sequence: int
    status: int | None
    message_id: str


class Delivered(NamedTuple):
    """A receipt or somebody's message; answer by ``answer_delivery``."""

    sequence: int
    command: int
    message: ShortMessage


class LinkEnded(NamedTuple):
    """Say what is left to say and close. ``unanswered`` are the sequence numbers nobody will hear of."""

    reason: EndReason
    status: int
    unanswered: tuple[int, ...]


ClientEvent = Bound | SubmitAnswered | Delivered | LinkEnded

_new = tuple.__new__  # half the time of the class's own way
_SUBMIT_ANSWER: Final = SUBMIT_SM | RESPONSE
_BIND_ANSWER: Final = BIND_TRANSCEIVER | RESPONSE


class ClientSession:
    """One link to the SMSC, bound as a transceiver. Times are seconds of any monotonic clock."""

    __slots__ = (
        "_begun_at",
        "_enquired",
        "_heard_at",
        "_limits",
        "_out",
        "_reader",
        "_sequence",
        "_waiting",
        "is_bound",
        "is_ended",
        "is_leaving",
    )

    def __init__(self, limits: ClientLimits, bind: Bind, now: float) -> None:
        self._limits = limits
        self._reader = FrameReader(limits.max_pdu_bytes)
        self._waiting: dict[int, float] = {}
        self._begun_at = self._heard_at = now
        self._enquired: tuple[int, float] | None = None
        self._sequence = 1
        self._out: list[bytes] = [render_frame(BIND_TRANSCEIVER, 1, render_bind(bind))]
        self.is_bound = False
        self.is_ended = False
        self.is_leaving = False

    @property
    def room(self) -> int:
        """How many more messages may be submitted now."""
        return self._limits.window - len(self._waiting) if self.is_bound and not self.is_leaving else 0

    @property
    def unanswered(self) -> int:
        return len(self._waiting)

    def submit(self, body: bytes, now: float) -> int:
        """Hand a message over (there must be room), the body of a submit_sm; its sequence number."""
        sequence = self._next_sequence()
        self._waiting[sequence] = now
        self._out.append(render_frame(SUBMIT_SM, sequence, body))
        return sequence

    def answer_delivery(self, delivered: Delivered, status: int) -> None:
        """The answer has an empty message_id (4.6.2)."""
        body = b"\0" if status == CommandStatus.OK else b""
        self._out.append(render_frame(delivered.command | RESPONSE, delivered.sequence, body, status))

    def leave(self) -> None:
        """Submit nothing more and say unbind."""
        if self.is_bound and not self.is_leaving:
            self.is_leaving = True
            self._out.append(render_frame(UNBIND, self._next_sequence()))

    def take_output(self) -> bytes:
        if not self._out:
            return b""
        said = b"".join(self._out)
        self._out.clear()
        return said

    def receive(self, data: bytes, now: float) -> list[ClientEvent]:
        """What ``data`` brings."""
        if self.is_ended:
            return []
        self._heard_at = now
        events: list[ClientEvent] = []
        for frame in self._reader.feed(data):
            event = self._answer(frame) if frame.command == _SUBMIT_ANSWER else self._take(frame)
            if event is not None:
                events.append(event)
                if type(event) is LinkEnded:
                    return events
        if self._reader.is_broken:
            events.append(self.end(EndReason.BROKEN))
        return events

    def tick(self, now: float) -> list[ClientEvent]:
        """What the clock brings: late answers, and whether the SMSC is still there."""
        if self.is_ended:
            return []
        limits = self._limits
        if not self.is_bound:
            return [self.end(EndReason.BIND_TIMED_OUT)] if now - self._begun_at > limits.bind_s else []
        if self._enquired is not None and now - self._enquired[1] > limits.answer_s:
            return [self.end(EndReason.SILENT)]
        if self._enquired is None and now - self._heard_at >= limits.quiet_s:
            sequence = self._next_sequence()
            self._enquired = (sequence, now)
            self._out.append(render_frame(ENQUIRE_LINK, sequence))
        events: list[ClientEvent] = []
        overdue = now - limits.answer_s
        # In the order of asking, so the first that is not late ends the search.
        for sequence, asked_at in list(self._waiting.items()):
            if asked_at > overdue:
                break
            del self._waiting[sequence]
            events.append(SubmitAnswered(sequence, None, ""))
        return events

    def end(self, reason: EndReason, status: int = 0) -> LinkEnded:
        """The link is over; what is unanswered stays so."""
        self.is_ended = True
        self.is_bound = False
        unanswered = tuple(self._waiting)
        self._waiting.clear()
        return LinkEnded(reason, status, unanswered)

    def _answer(self, frame: Frame) -> ClientEvent | None:
        """The hot path: one submit_sm_resp."""
        if self._waiting.pop(frame.sequence, None) is None:
            return None
        message_id = ""
        if not frame.status:
            try:
                message_id = parse_message_id(frame.body)
            except PduError:
                # It was taken; only its receipts cannot be told apart.
                message_id = ""
        return _new(SubmitAnswered, (frame.sequence, frame.status, message_id))

    def _take(self, frame: Frame) -> ClientEvent | None:
        command, sequence = frame.command, frame.sequence
        if command == ENQUIRE_LINK:
            self._out.append(render_frame(ENQUIRE_LINK | RESPONSE, sequence))
        elif command == ENQUIRE_LINK | RESPONSE:
            self._enquired = None
        elif command in (DELIVER_SM, DATA_SM):
            return self._delivery(frame)
        elif command == _BIND_ANSWER and not self.is_bound:
            return self._bind_answer(frame)
        elif command == GENERIC_NACK:
            if self._waiting.pop(sequence, None) is not None:
                return SubmitAnswered(sequence, frame.status or CommandStatus.INVALID_COMMAND, "")
            if not self.is_bound:
                return self.end(EndReason.BIND_REFUSED, frame.status)
        elif command == UNBIND:
            self._out.append(render_frame(UNBIND | RESPONSE, sequence))
            return self.end(EndReason.UNBOUND)
        elif command == UNBIND | RESPONSE:
            if self.is_leaving:
                return self.end(EndReason.UNBOUND)
        elif not command & RESPONSE:
            self._out.append(render_frame(GENERIC_NACK, sequence, status=CommandStatus.INVALID_COMMAND))
        return None

    def _bind_answer(self, frame: Frame) -> ClientEvent:
        if frame.status:
            return self.end(EndReason.BIND_REFUSED, frame.status)
        try:
            system_id, version = parse_bind_answer(frame.body)
        except PduError:
            system_id, version = "", 0
        self.is_bound = True
        return Bound(system_id, version >= 0x34)

    def _delivery(self, frame: Frame) -> ClientEvent | None:
        try:
            message = (parse_data if frame.command == DATA_SM else parse_submit)(frame.body)
        except PduError as error:
            self._out.append(render_frame(frame.command | RESPONSE, frame.sequence, status=error.status))
            return None
        return Delivered(frame.sequence, frame.command, message)

    def _next_sequence(self) -> int:
        while True:
            self._sequence = self._sequence % MAX_SEQUENCE + 1
            if self._sequence not in self._waiting:
                return self._sequence
