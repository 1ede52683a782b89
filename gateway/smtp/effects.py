"""What the dialogue asks of the world. It stops at each of these until it is told the result."""

from __future__ import annotations

from typing import NamedTuple

from filters.envelope import Envelope, EnvelopeRecipient


class CheckRecipient(NamedTuple):
    """May this recipient be taken? Resume with ``Dialogue.recipient_checked``."""

    envelope: Envelope
    recipient: EnvelopeRecipient


class HandleMessage(NamedTuple):
    """A message is complete. Resume with ``Dialogue.message_answered``.

    ``charge`` is what it holds of the memory budget, in bytes; whoever carries the effect out gives it back.
    """

    envelope: Envelope
    content: bytes
    charge: int


class CheckLogin(NamedTuple):
    """Is this password right? Resume with ``Dialogue.login_checked``."""

    username: bytes
    password: bytes

    def __repr__(self) -> str:
        return "CheckLogin(...)"  # a traceback or a failed assertion must not print the password


class StartTls(NamedTuple):
    """Send the replies in clear, then shake hands. Resume with ``Dialogue.tls_started``."""


class Close(NamedTuple):
    """Send the replies, then close. ``is_farewell``: the client asked for it, so nothing of it is left unread."""

    is_farewell: bool


Effect = CheckRecipient | HandleMessage | CheckLogin | StartTls | Close
