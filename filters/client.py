"""A client: the system that hands us messages, and what it may do."""

from __future__ import annotations

from dataclasses import dataclass, field

from filters.vocabulary import MessageClass, RecipientType


@dataclass(frozen=True, slots=True)
class Client:
    """Rights and defaults of one client; tags tighten, never loosen (design D4).

    ``brands`` are the codes it may send for; ``default_class`` stands where a message has no tag;
    ``allowed_classes`` are those it may claim. ``fixed_class`` is set where the class is known before RCPT, whatever
    the message's header says (by login, listener or sender address): refused recipients then get their own 550.
    ``max_message_bytes`` 0 means the listener's limit.
    ``retailer_code``: it is a dealer of its brands, under this number of the registry; to it a consent counts only
    where the consent lists that number (E11).
    """

    name: str
    brands: tuple[int, ...]
    default_class: MessageClass = MessageClass.COMMERCIAL
    allowed_classes: frozenset[MessageClass] = field(default_factory=lambda: frozenset(MessageClass))
    fixed_class: MessageClass | None = None
    default_recipient_type: RecipientType | None = None
    max_message_bytes: int = 0
    retailer_code: int | None = None
