"""What the gateway asks of the outside: each port as small as its use, kept by the adapters.

The hot path uses callbacks, not coroutines: a task per message costs more than the decision itself. A ``done``
callback is called exactly once, in the loop's thread, possibly before the call returns; it gets a value that says
what happened, never an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from filters.consent import Change
from filters.envelope import Answer, Envelope, EnvelopeRecipient, RecipientOutcome
from filters.exchange import Applied, Lookup, OutboxItem, OutgoingMail, Refusal, UpstreamCapabilities
from filters.reply import Reply
from filters.vocabulary import LookupFailure


class ConsentIndex(Protocol):
    """Our copy of the registry, and the memory of what was already taken."""

    def lookup(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        done: Callable[[Lookup | LookupFailure], None],
    ) -> None:
        """States of ``keys`` under ``brand``, the watermark, and what is remembered of ``message_digest``."""

    def remember_taken(self, message_digest: bytes, keys: Sequence[bytes], done: Callable[[bool], None]) -> None:
        """Keep for some days that these recipients have this message; ``done(True)`` once it is kept."""

    def forget_taken(self, message_digest: bytes, keys: Sequence[bytes], done: Callable[[bool], None]) -> None:
        """Take ``keys`` out of that memory again; ``done(True)`` once they are."""


class ConsentWriter(Protocol):
    """Atomic changes to the index."""

    async def apply(
        self,
        brand: int,
        changes: Sequence[Change],
        *,
        watermark_at: int | None = None,
        outbox: Sequence[OutboxItem] = (),
    ) -> Applied:
        """Merge ``changes``, move the watermark forward and add to the outbox: all or nothing, durable on return.

        Raises ``StoreError`` (adapters.store) when it is not known to be durable.
        """


class MailUpstream(Protocol):
    """The SMTP relay we hand messages to."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> UpstreamCapabilities | None:
        """None until a connection has told."""

    def relay(self, mail: OutgoingMail, done: Callable[[Sequence[RecipientOutcome]], None]) -> None:
        """Hand ``mail`` over; ``done`` gets one outcome per recipient, in order.

        RELAYED only after the upstream's own 2xx to the final dot; REFUSED for its 5xx; DEFERRED for its 4xx and for
        every fault before the final dot; UNKNOWN when the connection was lost after the dot and before the reply;
        ``EXPIRED`` for all when the transaction was not begun within ``mail.valid_s``.
        """


class EvidenceLog(Protocol):
    """Where each decision is kept."""

    def append(self, record: bytes, done: Callable[[bool], None]) -> None:
        """Keep ``record`` (JSON); ``done(True)`` once it is on the disk, ``done(False)`` if that failed."""

    @property
    def is_writable(self) -> bool:
        """Whether the last commit succeeded; while it is False no commercial message is taken."""


class MailHandler(Protocol):
    """What a mail listener asks of the pipeline."""

    def check_recipient(
        self, envelope: Envelope, recipient: EnvelopeRecipient, answer: Callable[[Reply | None], None]
    ) -> None:
        """At RCPT: ``answer(None)`` to go on, or the refusal, where the class is already known."""

    def handle(self, envelope: Envelope, content: bytes, answer: Callable[[Answer], bool | None]) -> None:
        """After the final dot. ``content`` is un-stuffed, CRLF throughout, checked for bare CR, LF and NUL.

        ``answer`` says False where the client cannot be told any more.
        """


class RefusalRecorder(Protocol):
    """Makes a refusal durable and effective."""

    async def record(self, refusal: Refusal) -> None:
        """Returns once the refusal and its report are durable; raises ``OSError`` or ``StoreError`` otherwise."""
