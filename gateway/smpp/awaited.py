"""A message that a session has handed on and will answer: the part of a session that outlives it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from filters.smpp.fields import Address
from filters.smpp.message import ShortMessage, UnsuccessfulDelivery

if TYPE_CHECKING:
    from gateway.smpp.session import SmppSession


class Awaited:
    """One submit_sm, submit_multi or data_sm. Answered at most once; ``message_id`` is what the client was or will be
    told, "" while that is the SMSC's to say."""

    __slots__ = ("asked_at", "client", "destinations", "is_answered", "message", "message_id", "sequence", "session")

    def __init__(
        self,
        session: SmppSession,
        sequence: int,
        message: ShortMessage,
        destinations: tuple[Address, ...],
        client: str,
        asked_at: float,
    ) -> None:
        self.session = session
        self.sequence = sequence
        self.message = message
        self.destinations = destinations
        self.client = client
        self.asked_at = asked_at
        self.message_id = ""
        self.is_answered = False

    def answer(self, status: int, message_id: str = "", failed: tuple[UnsuccessfulDelivery, ...] = ()) -> None:
        """Tell the client, if it is still there and was not told yet."""
        if not self.is_answered:
            self.is_answered = True
            self.session.answer(self, status, message_id, failed)

    def is_gone(self) -> bool:
        """Whether the client cannot be told any more."""
        return not self.session.waits_for(self)


def mint_message_id() -> str:
    """An id of ours; no SMSC makes one of this shape."""
    return f"iz{secrets.token_hex(8)}"
