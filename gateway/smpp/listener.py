"""A listening socket with its sessions: admission, messages to the pipeline and answers back, one common timer."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from filters.client import Client
from filters.smpp.carrier import RecipientAnswer, pack_request, unpack_answers
from filters.smpp.fields import PduError
from filters.smpp.message import ShortMessage, UnsuccessfulDelivery
from filters.smpp.numbers import HAS_HEADER, TEMPORARY, CommandStatus
from filters.smpp.reassembly import find_part
from filters.smpp.receipt import MessageState, Receipt, receipt_date, render_receipt, wants_receipt
from filters.sms.http import HttpResponse
from gateway.peer import peer_group
from gateway.smpp.admission import Admission
from gateway.smpp.awaited import Awaited, mint_message_id
from gateway.smpp.deliveries import Deliveries
from gateway.smpp.long_messages import LongMessages
from gateway.smpp.ports import SmppHandler
from gateway.smpp.receipts import ClientPart
from gateway.smpp.session import SmppEvent, SmppSession
from gateway.smpp.settings import SmppListenerSettings

_BACKLOG: Final = 512
_SWEEP_S: Final = 0.25


class SmppListener:
    """Takes binds on one socket. All of it happens in the loop's thread.

    ``admission`` may be replaced at any time. ``count`` is called with each event; it must be quick and must not raise.
    ``wall_clock`` gives seconds since 1970 UTC.
    """

    def __init__(
        self,
        settings: SmppListenerSettings,
        *,
        handler: SmppHandler,
        admission: Admission,
        deliveries: Deliveries,
        ssl_context: ssl.SSLContext | None = None,
        count: Callable[[SmppEvent], None] = lambda _event: None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        if settings.tls and ssl_context is None:
            raise ValueError(f"listener {settings.name}: TLS needs a certificate")
        self.settings = settings
        self.admission = admission
        self.count = count
        self._handler = handler
        self._deliveries = deliveries
        self._ssl_context = ssl_context
        self._wall_clock = wall_clock
        self._long_messages = LongMessages(self)
        self._sessions: set[SmppSession] = set()
        self._peers: dict[str, int] = {}
        self._bound: dict[str, list[SmppSession]] = {}
        self._in_hand = 0
        self._is_accepting = False
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()
        self._clock: Callable[[], float] = lambda: 0.0
        deliveries.add(self)

    @property
    def session_count(self) -> int:
        return len(self._sessions)

    @property
    def in_hand(self) -> int:
        """Messages with the pipeline."""
        return self._in_hand

    async def start(self, sock: socket.socket) -> None:
        """Accept connections on ``sock``, which listens already and does not block."""
        loop = asyncio.get_running_loop()
        self._clock = loop.time
        self._is_accepting = True
        settings = self.settings
        self._server = await loop.create_server(
            partial(SmppSession, self),
            sock=sock,
            backlog=_BACKLOG,
            ssl=self._ssl_context if settings.tls else None,
            ssl_handshake_timeout=settings.handshake_timeout_s if settings.tls else None,
        )
        self._sweeping = loop.call_later(_SWEEP_S, self._sweep)

    def stop_accepting(self) -> None:
        """Close the listening socket; sessions go on."""
        self._is_accepting = False
        if self._server is not None:
            self._server.close()
            self._server = None

    async def drain(self, timeout_s: float) -> None:
        """Stop accepting, ask every client to unbind, answer what is under way; after ``timeout_s`` hang up.

        Incomplete long messages are put off: their senders come again.
        """
        self.stop_accepting()
        self._long_messages.give_up_all()
        for session in tuple(self._sessions):
            session.shut_down()
        if self._sessions:
            self._emptied.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._emptied.wait()
            except TimeoutError:
                pass
        self.close()

    def close(self) -> None:
        """End everything at once; nothing unanswered counts as taken."""
        self.stop_accepting()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for session in tuple(self._sessions):
            session.abort()

    # What sessions call

    def now(self) -> float:
        return self._clock()

    def admit(self, session: SmppSession) -> bool:
        """Count ``session`` in, if there is room."""
        group = peer_group(session.peer)
        others = self._peers.get(group, 0)
        settings = self.settings
        if (
            not self._is_accepting
            or len(self._sessions) >= settings.max_connections
            or others >= settings.max_connections_per_peer
        ):
            return False
        self._peers[group] = others + 1
        self._sessions.add(session)
        return True

    def forget(self, session: SmppSession) -> None:
        """``session``'s connection is gone."""
        if session not in self._sessions:
            return  # it was refused
        self._sessions.remove(session)
        group = peer_group(session.peer)
        others = self._peers.pop(group) - 1
        if others:
            self._peers[group] = others
        if session.client is not None:
            of_client = self._bound[session.client.name]
            of_client.remove(session)
            if not of_client:
                del self._bound[session.client.name]
        self.count(SmppEvent.CONNECTION_CLOSED)
        if not self._sessions:
            self._emptied.set()

    def has_room_for(self, client: Client) -> bool:
        """Whether ``client`` may bind once more."""
        return self._is_accepting and len(self._bound.get(client.name, ())) < self.settings.max_binds_per_client

    def bound(self, session: SmppSession) -> None:
        """``session`` has a client now."""
        assert session.client is not None
        self._bound.setdefault(session.client.name, []).append(session)

    def has_room(self, client: str) -> None:
        """A session of ``client`` may take deliveries."""
        self._deliveries.pump(client)

    def submit(self, awaited: Awaited, client: Client) -> None:
        """A message: on to the pipeline, or to the other parts of its text."""
        message = awaited.message
        if self._in_hand >= self.settings.max_messages_in_hand:
            awaited.answer(CommandStatus.THROTTLED)
            return
        try:
            place = find_part(message) if message.tlvs or message.esm_class & HAS_HEADER else None
            if place is not None:
                self.count(SmppEvent.PART_RECEIVED)
                self._long_messages.add(awaited, client, place)
                return
        except PduError as error:
            awaited.answer(error.status)
            return
        self.carry((message,), awaited, client, awaited.is_gone, partial(self._answer, awaited))

    # To the pipeline and back

    def carry(
        self,
        parts: Sequence[ShortMessage],
        awaited: Awaited,
        client: Client,
        is_gone: Callable[[], bool],
        answer: Callable[[Sequence[RecipientAnswer]], None],
    ) -> None:
        """Hand one whole message to the pipeline; ``answer`` gets a word for each destination."""
        self.count(SmppEvent.MESSAGE_RECEIVED)
        session = awaited.session
        request = pack_request(
            parts,
            awaited.destinations,
            system_id=session.system_id,
            system_type=session.system_type,
            received_at=self._wall_clock(),
            body=awaited.body if len(parts) == 1 else b"",
        )
        self._in_hand += 1
        try:
            self._handler.handle(request, client, is_gone, partial(self._answered, len(awaited.destinations), answer))
        except Exception:  # only counted here; the session answers it
            self._in_hand -= 1
            raise

    def _answered(
        self, destinations: int, answer: Callable[[Sequence[RecipientAnswer]], None], response: HttpResponse
    ) -> None:
        self._in_hand -= 1
        try:
            answers = unpack_answers(response, destinations)
        except ValueError:
            self.count(SmppEvent.FAULT)
            answers = [RecipientAnswer(CommandStatus.SYSTEM_ERROR)] * destinations
        answer(answers)

    def _answer(self, awaited: Awaited, answers: Sequence[RecipientAnswer]) -> None:
        if len(answers) > 1:
            self._answer_many(awaited, answers)
            return
        (said,) = answers
        if self.accepts(said, awaited.message):
            awaited.message_id = mint_message_id()
            awaited.answer(CommandStatus.OK, awaited.message_id)
            self.tell(awaited.client, awaited.message_id, awaited.message, MessageState.REJECTED)
            return
        if not said.status:
            awaited.message_id = (said.smsc_ids[0] if said.smsc_ids else "") or mint_message_id()
            self.track(awaited.client, [ClientPart(awaited.message_id, awaited.message)], said.smsc_ids)
        awaited.answer(said.status, awaited.message_id)

    def _answer_many(self, awaited: Awaited, answers: Sequence[RecipientAnswer]) -> None:
        """submit_multi: one id for all, and a list of those who do not get it."""
        statuses = {said.status for said in answers}
        message_id = awaited.message_id = mint_message_id()
        failed: list[UnsuccessfulDelivery] = []
        for destination, said in zip(awaited.destinations, answers, strict=True):
            message = awaited.message._replace(destination=destination)
            if said.status == CommandStatus.OK:
                self.track(awaited.client, [ClientPart(message_id, message)], said.smsc_ids)
            else:
                failed.append(UnsuccessfulDelivery(destination, said.status))
        if CommandStatus.OK in statuses:
            awaited.answer(CommandStatus.OK, message_id, tuple(failed))
        elif len(statuses) == 1:
            awaited.answer(statuses.pop())
        else:
            # Of several reasons the one that lets the sender come again counts, where there is one.
            is_temporary = not statuses.isdisjoint(TEMPORARY)
            awaited.answer(CommandStatus.SYSTEM_ERROR if is_temporary else CommandStatus.SUBMIT_FAILED)

    def accepts(self, said: RecipientAnswer, message: ShortMessage) -> bool:
        """Whether a refusal is told by a receipt instead of a status."""
        return (
            self.settings.refusal.by_receipt and said.is_for_consent and wants_receipt(message, MessageState.REJECTED)
        )

    def track(self, client: str, parts: Sequence[ClientPart], smsc_ids: Sequence[str]) -> None:
        """Remember whose receipts will come under ``smsc_ids``."""
        self._deliveries.book.track(client, parts, smsc_ids, self._clock())

    def tell(self, client: str, message_id: str, message: ShortMessage, state: MessageState) -> None:
        """A receipt of our own, where the sender asked for one."""
        if not wants_receipt(message, state):
            return
        today = receipt_date(self._wall_clock())
        error = self.settings.refusal.receipt_error if state is MessageState.REJECTED else "000"
        receipt = Receipt(message_id, state, error, today, today)
        self._deliveries.deliver(client, render_receipt(receipt, message))

    # What deliveries call

    def find_receiver(self, client: str) -> SmppSession | None:
        """A session of ``client`` that can take a delivery now; the one that had the last goes to the end."""
        sessions = self._bound.get(client, [])
        for session in sessions:
            if session.can_deliver:
                sessions.remove(session)
                sessions.append(session)
                return session
        return None

    def has_receiver(self, client: str) -> bool:
        """Whether ``client`` is bound so that it takes deliveries, now or soon."""
        return any(session.is_receiver for session in self._bound.get(client, ()))

    def _sweep(self) -> None:
        now = self._clock()
        self._long_messages.sweep(now)
        for session in tuple(self._sessions):
            session.sweep(now)
        self._deliveries.sweep(now)
        self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)
