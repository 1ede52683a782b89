"""Who sends to whom, apart from content."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from filters.address import EmailAddress
from filters.client import Client
from filters.reply import Reply
from filters.vocabulary import Outcome


class EnvelopeRecipient(NamedTuple):
    """One RCPT: the address, and its DSN parameters as the client wrote them (b"NOTIFY=NEVER ORCPT=...", or b"")."""

    address: EmailAddress
    parameters: bytes


@dataclass(slots=True)
class Envelope:
    """One mail transaction as the client stated it.

    ``sender`` is the reverse-path exactly as it will be sent on, without angle brackets; b"" is the null path.
    ``mail_parameters`` are those to pass on (BODY, SMTPUTF8, RET, ENVID), as written; SIZE and AUTH are not among them.
    """

    client: Client
    listener: str
    session_id: str
    sender: bytes
    mail_parameters: bytes = b""
    is_smtputf8: bool = False
    is_8bitmime: bool = False
    recipients: list[EnvelopeRecipient] = field(default_factory=list)
    peer: str = ""
    helo: str = ""
    is_tls: bool = False


class RecipientOutcome(NamedTuple):
    """The fate of one recipient and the reply that tells it to the client."""

    outcome: Outcome
    reply: Reply


class Answer(NamedTuple):
    """What the client is told after the final dot: one reply for all, and one for each recipient in order.

    A listener that can give one reply per recipient (LMTP, PRDR) sends ``per_recipient``, the others ``overall``.
    """

    overall: Reply
    per_recipient: tuple[Reply, ...]
