"""From the SMSC to clients: receipts under the clients' own ids, and people's messages.

What a person wrote goes to the refusals first; the SMSC hears that we took it once a refusal in it is durable. Then it
goes on to the client whose number it was sent to. Nothing is kept for clients that are not bound: the SMSC is told to
come again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import structlog

from filters.smpp.coding import DefaultAlphabet, decode_units, find_coding, read_units
from filters.smpp.fields import PduError
from filters.smpp.message import ShortMessage
from filters.smpp.numbers import HAS_HEADER, TEMPORARY, CommandStatus
from filters.smpp.receipt import is_receipt, parse_receipt
from filters.smpp.user_data import UserData, parse_user_data
from filters.sms.dialect import InboundMessage
from gateway.smpp.ports import InboundHandler
from gateway.smpp.receipts import ReceiptBook, ToDeliver
from gateway.smpp.session import SmppEvent

if TYPE_CHECKING:
    from gateway.smpp.listener import SmppListener

log = structlog.stdlib.get_logger(__name__)

MAX_WAITING: Final = 10_000
"""Deliveries that wait for one client's window."""
MAX_ATTEMPTS: Final = 3
_SAME_MESSAGE_S: Final = 600.0
"""Told twice within this time, it is the SMSC repeating itself; later, the person did."""


class Deliveries:
    """What comes from one SMSC. ``routes`` says whose client a number of ours is; "" stands for all others."""

    def __init__(
        self,
        upstream: str,
        *,
        inbound: InboundHandler | None = None,
        routes: Mapping[str, str] | None = None,
        default_alphabet: DefaultAlphabet = DefaultAlphabet.GSM,
        book: ReceiptBook | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.book = book if book is not None else ReceiptBook()
        self._upstream = upstream
        self._inbound = inbound
        self._routes = dict(routes or {})
        self._default_alphabet = default_alphabet
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        self._listeners: list[SmppListener] = []
        self._waiting: dict[str, deque[tuple[ShortMessage, int]]] = {}

    def add(self, listener: SmppListener) -> None:
        """Clients of ``listener`` are among those served."""
        self._listeners.append(listener)

    def take(self, message: ShortMessage, answer: Callable[[int], None]) -> None:
        """A deliver_sm or data_sm of the SMSC's; ``answer`` is called once with the status to say."""
        try:
            if is_receipt(message):
                self._take_receipt(message, answer)
            else:
                self._take_message(message, answer)
        except Exception as fault:  # the SMSC is told to come again
            log.error("smpp.delivery_failed", fault=type(fault).__name__, exc_info=fault)
            answer(CommandStatus.RECEIVER_TEMPORARY)

    def deliver(self, client: str, message: ShortMessage, attempts: int = 0) -> None:
        """Hand ``message`` to ``client`` as soon as a window of its has room."""
        waiting = self._waiting.setdefault(client, deque())
        if len(waiting) >= MAX_WAITING:
            waiting.popleft()
            self._count(SmppEvent.DELIVERY_FAILED)
        waiting.append((message, attempts))
        self.pump(client)

    def pump(self, client: str) -> None:
        """Give ``client`` what waits for it, as far as it takes it."""
        waiting = self._waiting.get(client)
        while waiting:
            session = next(
                (found for listener in self._listeners if (found := listener.find_receiver(client)) is not None), None
            )
            if session is None:
                return
            message, attempts = waiting.popleft()
            session.deliver(message, partial(self._delivered, client, message, attempts))

    def sweep(self, now: float) -> None:
        """The listeners' timer; ``now`` is their clock."""
        self.book.sweep(now)

    def _take_receipt(self, message: ShortMessage, answer: Callable[[int], None]) -> None:
        receipt = parse_receipt(message)
        if receipt is None:
            # It names no message, and will not when it is repeated.
            answer(CommandStatus.OK)
            return
        self.book.find(receipt, self._listener_clock(), partial(self._receipt_found, answer))

    def _receipt_found(self, answer: Callable[[int], None], found: ToDeliver | None) -> None:
        if found is None:
            # Perhaps another process of ours knows it: the SMSC may give it to that one.
            answer(CommandStatus.RECEIVER_TEMPORARY)
            return
        if found.messages and not self._has_receiver(found.client):
            self.book.restore(found)
            answer(CommandStatus.RECEIVER_TEMPORARY)
            return
        answer(CommandStatus.OK)
        for message in found.messages:
            self.deliver(found.client, message)

    def _take_message(self, message: ShortMessage, answer: Callable[[int], None]) -> None:
        client = self._routes.get(message.destination.value.removeprefix("+"), self._routes.get("", ""))
        if self._inbound is None:
            self._pass_on(message, client, answer, True)
            return
        self._inbound.handle(self._read(message), self._upstream, partial(self._pass_on, message, client, answer))

    def _pass_on(self, message: ShortMessage, client: str, answer: Callable[[int], None], is_durable: bool) -> None:
        if not is_durable or (client and not self._has_receiver(client)):
            # A refusal in it holds already: it does not wait until the client is there to read it.
            answer(CommandStatus.RECEIVER_TEMPORARY)
            return
        answer(CommandStatus.OK)
        if client:
            self.deliver(client, message)

    def _read(self, message: ShortMessage) -> InboundMessage:
        """The text as far as it is one; the rest is for the client only."""
        now = self._wall_clock()
        digest = blake2b(repr((message, int(now / _SAME_MESSAGE_S))).encode(), digest_size=16).hexdigest()
        text = ""
        try:
            is_headed = bool(message.esm_class & HAS_HEADER)
            data = parse_user_data(message.payload) if is_headed else UserData(message.payload)
            coding = find_coding(
                message.data_coding,
                self._default_alphabet,
                has_turkish_shift=data.has_turkish_shift,
                has_turkish_locking=data.has_turkish_locking,
            )
            if coding is not None and not data.has_other:
                text = decode_units(read_units(data.content, coding, data.header_bytes), coding)
        except (PduError, ValueError):
            text = ""
        return InboundMessage(message.source.value, message.destination.value, text, digest, now)

    def _delivered(self, client: str, message: ShortMessage, attempts: int, status: int) -> None:
        if status == CommandStatus.OK:
            self._count(SmppEvent.DELIVERED)
        elif status in TEMPORARY and attempts + 1 < MAX_ATTEMPTS:
            self._waiting.setdefault(client, deque()).appendleft((message, attempts + 1))
            return
        else:
            self._count(SmppEvent.DELIVERY_FAILED)
        self.pump(client)

    def _has_receiver(self, client: str) -> bool:
        return any(listener.has_receiver(client) for listener in self._listeners)

    def _listener_clock(self) -> float:
        return self._listeners[0].now() if self._listeners else self._monotonic()

    def _count(self, event: SmppEvent) -> None:
        if self._listeners:
            self._listeners[0].count(event)
