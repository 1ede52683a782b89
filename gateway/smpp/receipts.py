"""Whose message an SMSC's id is, until its receipts have come.

One message of a client may be several at the SMSC, and the other way round: the client hears once for each part it
sent, when all parts at the SMSC have come to their end, and then the worst of their ends. Kept in this process's
memory, bounded in number and age; and by ``KeptMessages`` where other processes find it, and this one once it was
started again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, Protocol

from filters.smpp.message import ShortMessage
from filters.smpp.receipt import MessageState, Receipt, render_receipt, wants_receipt

_WORST_FIRST: Final = (
    MessageState.REJECTED,
    MessageState.UNDELIVERABLE,
    MessageState.EXPIRED,
    MessageState.DELETED,
    MessageState.UNKNOWN,
    MessageState.DELIVERED,
)


class ClientPart(NamedTuple):
    """One submit_sm of a client: the id it was told, and what it sent (without the text)."""

    message_id: str
    message: ShortMessage


@dataclass(slots=True)
class Tracked:
    """One message of ``client``. ``open_ids`` are the SMSC's whose end has not come."""

    client: str
    parts: tuple[ClientPart, ...]
    open_ids: set[str]
    kept_at: float
    state: MessageState | None = None
    error: str = "000"


class ToDeliver(NamedTuple):
    """deliver_sm messages for one client. ``tracked`` is what they came from, for ``ReceiptBook.restore``."""

    client: str
    messages: tuple[ShortMessage, ...]
    smsc_id: str = ""
    tracked: Tracked | None = None


class KeptMessages(Protocol):
    """What outlives this process, for messages that the SMSC took under one id."""

    def keep(self, smsc_id: str, client: str, parts: Sequence[ClientPart]) -> None:
        """Perhaps in vain: then only this process knows the message."""

    def find(self, smsc_id: str, done: Callable[[str, tuple[ClientPart, ...]], None]) -> None:
        """``done`` gets client and parts of a message that was kept; it is not called for any other."""


class ReceiptBook:
    """``max_messages`` are remembered for at most ``max_age_s``; the oldest goes first.

    A receipt may overtake the answer to its own message: one that nobody knows yet is kept for ``patience_s``.
    Messages that are several at the SMSC are not among ``kept``: their ends would have to meet in one place.
    """

    def __init__(
        self,
        *,
        max_messages: int = 500_000,
        max_age_s: float = 3 * 86400.0,
        patience_s: float = 2.0,
        max_early: int = 10_000,
        kept: KeptMessages | None = None,
    ) -> None:
        self._kept = kept
        self._max_messages = max_messages
        self._max_age_s = max_age_s
        self._patience_s = patience_s
        self._max_early = max_early
        self._by_id: OrderedDict[str, Tracked] = OrderedDict()
        self._early: OrderedDict[str, tuple[float, Receipt, Callable[[ToDeliver | None], None]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_id)

    def track(self, client: str, parts: Sequence[ClientPart], smsc_ids: Sequence[str], now: float) -> None:
        """Remember a message that the SMSC took under ``smsc_ids``."""
        for part in parts:
            if part.message.registered_delivery & 0x03:
                break
        else:
            return  # nobody asked
        ids = {smsc_id for smsc_id in smsc_ids if smsc_id}
        if not ids:
            return
        # Of the text nothing is needed any more.
        slim = tuple(ClientPart(part.message_id, part.message._replace(payload=b"")) for part in parts)
        tracked = Tracked(client, slim, ids, now)
        for smsc_id in ids:
            self._by_id[smsc_id] = tracked
        if self._kept is not None and len(ids) == 1:
            self._kept.keep(next(iter(ids)), client, slim)
        while len(self._by_id) > self._max_messages:
            self._by_id.popitem(last=False)
        if self._early:
            for smsc_id in tuple(ids):
                early = self._early.pop(smsc_id, None)
                if early is not None:
                    _, receipt, done = early
                    done(self._settle(smsc_id, tracked, receipt))

    def find(self, receipt: Receipt, now: float, done: Callable[[ToDeliver | None], None]) -> None:
        """``done`` gets what the client is to hear (perhaps nothing yet), or None where nobody knows the message."""
        tracked = self._by_id.get(receipt.message_id)
        if tracked is not None:
            done(self._settle(receipt.message_id, tracked, receipt))
        elif len(self._early) >= self._max_early or receipt.message_id in self._early:
            done(None)
        else:
            self._early[receipt.message_id] = (now, receipt, done)
            if self._kept is not None:
                self._kept.find(receipt.message_id, partial(self._found_kept, receipt.message_id, now))

    def _found_kept(self, smsc_id: str, now: float, client: str, parts: tuple[ClientPart, ...]) -> None:
        early = self._early.pop(smsc_id, None)
        if early is not None:
            _, receipt, done = early
            done(self._settle(smsc_id, Tracked(client, parts, {smsc_id}, now), receipt))

    def sweep(self, now: float) -> None:
        """Forget what is too old."""
        while self._early:
            smsc_id, (since, _, done) = next(iter(self._early.items()))
            if now - since < self._patience_s:
                break
            del self._early[smsc_id]
            done(None)
        while self._by_id:
            smsc_id, tracked = next(iter(self._by_id.items()))
            if now - tracked.kept_at < self._max_age_s:
                break
            del self._by_id[smsc_id]

    def _settle(self, smsc_id: str, tracked: Tracked, receipt: Receipt) -> ToDeliver:
        if not receipt.state.is_final:
            return ToDeliver(tracked.client, ())
        self._by_id.pop(smsc_id, None)
        tracked.open_ids.discard(smsc_id)
        if tracked.state is None or _WORST_FIRST.index(receipt.state) < _WORST_FIRST.index(tracked.state):
            tracked.state, tracked.error = receipt.state, receipt.error
        if tracked.open_ids:
            return ToDeliver(tracked.client, ())
        state = tracked.state
        return ToDeliver(
            tracked.client,
            tuple(
                render_receipt(
                    Receipt(part.message_id, state, tracked.error, receipt.submitted, receipt.done), part.message
                )
                for part in tracked.parts
                if wants_receipt(part.message, state)
            ),
            smsc_id,
            tracked,
        )

    def restore(self, undelivered: ToDeliver) -> None:
        """The client could not be told: remember the message again, for the SMSC will repeat its receipt."""
        if undelivered.tracked is not None:
            undelivered.tracked.open_ids.add(undelivered.smsc_id)
            self._by_id[undelivered.smsc_id] = undelivered.tracked
