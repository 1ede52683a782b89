"""What stands around a mail listener in tests: a handler that answers by recipient name, clients, settings."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from filters.client import Client
from filters.envelope import Answer, Envelope, EnvelopeRecipient
from filters.exchange import UpstreamCapabilities
from filters.reply import Reply
from gateway.smtp.dialogue import Dialogue
from gateway.smtp.extensions import Extensions
from gateway.smtp.memory_budget import MemoryBudget
from gateway.smtp.settings import ListenerSettings

SHOP = Client("shop", (600123,))
EVERYTHING = UpstreamCapabilities(None, True, True, True)
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)

_TAKEN = Reply(250, "0.0", "Relayed")
_DROPPED = Reply(550, "7.1", "No consent")
_DEFERRED = Reply(451, "4.1", "Next hop is away")


class TakenMessage(NamedTuple):
    """A message as the handler got it."""

    sender: bytes
    mail_parameters: bytes
    recipients: tuple[tuple[bytes, bytes], ...]
    content: bytes


def check(recipient: EnvelopeRecipient) -> Reply | None:
    """The answer at RCPT: ``refused...`` has none, ``busy...`` has none for now, all others go on."""
    name = recipient.address.wire
    if name.startswith(b"refused"):
        return _DROPPED
    if name.startswith(b"busy"):
        return Reply(421, "4.1", "Index is away")
    return None


def answer_for(envelope: Envelope) -> Answer:
    """The answer after the content: ``dropped...`` and ``deferred...`` are, all others are relayed."""
    replies = tuple(
        _DROPPED
        if recipient.address.wire.startswith(b"dropped")
        else _DEFERRED
        if recipient.address.wire.startswith(b"deferred")
        else _TAKEN
        for recipient in envelope.recipients
    )
    if _DEFERRED in replies:
        return Answer(_DEFERRED, replies)
    return Answer(_TAKEN if _TAKEN in replies else _DROPPED, replies)


@dataclass
class ScriptedHandler:
    """A ``MailHandler``. Senders named ``crash`` and recipients named ``fault...`` raise with an address in the text.

    With ``is_holding`` answers wait in ``held`` until they are called.
    """

    messages: list[TakenMessage] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    is_holding: bool = False
    held: list[Callable[[], None]] = field(default_factory=list)

    def check_recipient(
        self, envelope: Envelope, recipient: EnvelopeRecipient, answer: Callable[[Reply | None], None]
    ) -> None:
        if recipient.address.wire.startswith(b"fault"):
            raise LookupError("secret@customer.example")
        answer(check(recipient))

    def handle(self, envelope: Envelope, content: bytes, answer: Callable[[Answer], None]) -> None:
        if envelope.sender.startswith(b"crash"):
            raise LookupError("secret@customer.example")
        self.envelopes.append(envelope)
        self.messages.append(taken(envelope, content))
        if self.is_holding:
            self.held.append(lambda: answer(answer_for(envelope)))
        else:
            answer(answer_for(envelope))


def taken(envelope: Envelope, content: bytes) -> TakenMessage:
    return TakenMessage(
        envelope.sender,
        envelope.mail_parameters,
        tuple((recipient.address.wire, recipient.parameters) for recipient in envelope.recipients),
        content,
    )


def make_dialogue(
    settings: ListenerSettings | None = None,
    *,
    client: Client | None = SHOP,
    capabilities: UpstreamCapabilities | None = EVERYTHING,
    has_logins: bool = False,
    footer_allowance: int = 0,
    budget: MemoryBudget | None = None,
) -> Dialogue:
    settings = settings or ListenerSettings(name="in", hostname="gate.example")
    extensions = Extensions(settings, lambda: capabilities, lambda: footer_allowance, lambda: has_logins)
    return Dialogue(
        settings, extensions, budget or MemoryBudget(1 << 26), session_id="s-1", peer="127.0.0.1", client=client
    )
