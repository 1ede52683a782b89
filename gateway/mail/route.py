"""What the pipeline needs to know to carry mail: per listener and per brand, made ready once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from filters.brand import Brand
from filters.client import Client
from filters.decision.policy import Policy
from filters.envelope import Envelope
from filters.mime.footer import Footer
from filters.mime.plan_memory import PlanMemory
from filters.mime.settings import RewriteSettings
from filters.token import OptOutLinks
from filters.vocabulary import MessageClass, RecipientType
from gateway.ports import MailUpstream


class ContentSigner(Protocol):
    """Signs a finished copy (DKIM). Slow: it is called in a thread."""

    def sign(self, content: bytes) -> bytes:
        """The complete signature field to put on top, CRLF included."""


MakeLinks = Callable[[Brand, bytes, RecipientType | None, bytes], OptOutLinks]
"""(brand, canonical address, declared recipient type, consent key) → links."""


@dataclass(frozen=True, slots=True)
class BrandRoute:
    """One brand: rules, footer, settings, optional signer; what is known of bodies already met."""

    brand: Brand
    policy: Policy
    footer: Footer
    rewriting: RewriteSettings
    signer: ContentSigner | None = None
    plans: PlanMemory = field(default_factory=PlanMemory)


_STRICTNESS = {MessageClass.INFORMATIONAL: 0, MessageClass.SERVICE: 1, MessageClass.COMMERCIAL: 2}


@dataclass(frozen=True, slots=True)
class MailRoute:
    """Where the mail of one listener goes, and what its class is known to be before the message is seen.

    ``fixed_class`` is the listener's; ``sender_classes`` by client name, then by MAIL FROM address or ``@domain``, as
    ``fold_senders`` makes them. Where several fix the class, the strictest holds.
    """

    listener: str
    upstream: MailUpstream
    protocol: str = "ESMTP"
    fixed_class: MessageClass | None = None
    sender_classes: Mapping[str, Mapping[str, MessageClass]] = field(default_factory=dict)

    def client_of(self, envelope: Envelope) -> Client:
        """The client with the class that login, listener and sender address fix together."""
        client = envelope.client
        if self.fixed_class is None and not self.sender_classes:
            return client
        known = [
            fixed
            for fixed in (client.fixed_class, self.fixed_class, self._class_of_sender(envelope))
            if fixed is not None
        ]
        if not known:
            return client
        strictest = max(known, key=_STRICTNESS.__getitem__)
        return client if strictest is client.fixed_class else replace(client, fixed_class=strictest)

    def _class_of_sender(self, envelope: Envelope) -> MessageClass | None:
        classes = self.sender_classes.get(envelope.client.name)
        if not classes:
            return None
        sender = _fold(envelope.sender)
        return classes.get(sender, classes.get(sender[sender.rfind("@") :]))


def fold_senders(classes: Mapping[str, MessageClass]) -> dict[str, MessageClass]:
    """``classes`` with senders as they are compared: without ASCII case, for a client that writes ``News@`` means the
    mailbox that the operator called ``news@``. Of two spellings of one sender the stricter class holds."""
    folded: dict[str, MessageClass] = {}
    for sender, message_class in classes.items():
        key = _fold(sender.encode())
        folded[key] = max(message_class, folded.get(key, message_class), key=_STRICTNESS.__getitem__)
    return folded


def _fold(sender: bytes) -> str:
    return sender.lower().decode("utf-8", "replace")  # bytes fold by ASCII alone
