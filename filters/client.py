"""A client: the system that hands us messages, and what it may do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Client:
    """Rights and defaults of one client; tags tighten, never loosen (design D4).

    ``brands`` are the codes it may send for; ``default_class`` stands where a message has no tag;
    ``allowed_classes`` are those it may claim. ``fixed_class`` is set where the class is known before RCPT, whatever
    the message's header says (by login, listener or sender address): refused recipients then get their own 550.
    """
