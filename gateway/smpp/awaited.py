"""A message that a session has handed on and will answer: the part of a session that outlives it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from filters.smpp.message import UnsuccessfulDelivery
from filters.smpp.numbers import SUBMIT_SM
from filters.smpp.server_session import Submitted

if TYPE_CHECKING:
    from gateway.smpp.session import SmppSession


class Awaited:
    """One submit_sm, submit_multi or data_sm. Answered at most once; ``message_id`` is what the client was or will be
    told, "" while that is the SMSC's to say. ``body`` is the whole message where it is one submit_sm, b"" elsewhere."""

    __slots__ = (
        "asked_at", "body", "client", "destinations", "is_answered", "message", "message_id", "sequence", "session",
    )  # fmt: skip

    def __init__(self, session: SmppSession, submitted: Submitted, client: str, asked_at: float) -> None:
        self.session = session
        self.sequence, command, self.message, self.destinations, body = submitted
        self.body = body if command == SUBMIT_SM else b""
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
