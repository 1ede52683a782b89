"""Values that cross a port: what the gateway hands to an adapter, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from filters.envelope import EnvelopeRecipient, RecipientOutcome
from filters.reply import Reply
from filters.vocabulary import Channel, LookupFailure, Outcome, RecipientType, Status


class Lookup(NamedTuple):
    """The index's answer for one message.

    ``values`` are packed consents (``filters.consent.unpack``) in the order of the keys, None for "no record".
    ``watermark_at``: registry time (seconds since 1970 UTC) up to which everything about the brand is known, None if
    it was never loaded. ``revision`` counts the applied changes. ``taken`` are the consent keys of recipients to whom
    this very message was already handed over (design D2); empty unless a digest was given.
    """

    values: Sequence[bytes | None]
    watermark_at: int | None
    revision: int
    taken: frozenset[bytes] = frozenset()


class Applied(NamedTuple):
    """What ``apply`` did: how many records changed, and the revision afterwards."""

    changed: int
    revision: int


class OutboxItem(NamedTuple):
    """A refusal on its way to the registry.

    ``sealed`` is the report, encrypted (it holds the address); ``due_at`` the legal deadline, seconds since 1970 UTC.
    """

    item_id: bytes
    brand: int
    due_at: int
    sealed: bytes


@dataclass(slots=True)
class OutgoingMail:
    """One upstream transaction. ``content`` has CRLF line ends and is not dot-stuffed.

    ``may_have_dot_lines`` False: it is certain that no line of the content begins with a dot.
    ``valid_s``: how many seconds from now it may wait for a connection; a transaction not begun by then is not begun
    but answered ``EXPIRED``. ``is_again``: it comes back after that, decided anew, and goes before those who wait.
    ``still_stands`` is asked where the next hop wants the content later than ``valid_s``: it calls back once, with
    whether the content may still leave; if not, nothing is sent and the answer is ``EXPIRED`` as well.
    """

    sender: bytes
    mail_parameters: bytes
    recipients: Sequence[EnvelopeRecipient]
    content: bytes
    is_smtputf8: bool = False
    is_8bit: bool = False
    valid_s: float = inf
    is_again: bool = False
    may_have_dot_lines: bool = True
    still_stands: Callable[[Callable[[bool], None]], None] | None = None


EXPIRED = RecipientOutcome(Outcome.DEFERRED, Reply(451, "3.2", "waited too long for the next hop"))
"""Known by identity: nothing was sent, and the decision behind the mail has to be made again (edge case E19)."""


class UpstreamCapabilities(NamedTuple):
    """What the next hop announced; a listener must not announce more."""

    size_bytes: int | None
    has_8bitmime: bool
    has_smtputf8: bool
    has_dsn: bool


class Refusal(NamedTuple):
    """A person's refusal as it reached us (link, one-click, mail). ``address`` is the canonical address key or b""
    where only the hashed ``key`` is known; ``received_at`` seconds since 1970 UTC; ``source`` a registry source name.
    """

    brand: int
    channel: Channel
    key: bytes
    address: bytes
    recipient_type: RecipientType | None
    received_at: int
    source: str


class StoreStats(NamedTuple):
    """What the consent index holds.

    ``records`` counts consents by brand, channel, recipient type and status; ``recipients`` the keys of each brand;
    ``outbox`` the reports still to be made. ``used_bytes`` is what the store needs for all of it.
    """

    records: Mapping[tuple[int, Channel, RecipientType, Status], int]
    recipients: Mapping[int, int]
    outbox: Mapping[int, int]
    watermarks: Mapping[int, int]
    used_bytes: int
    generation: bytes
    revision: int


class StoreHealth(NamedTuple):
    """Whether the index can be asked: ``failure`` None means yes. ``detail`` is one sentence for an operator."""

    failure: LookupFailure | None
    detail: str
    revision: int
