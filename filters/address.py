"""E-mail addresses: one strict parser."""

from __future__ import annotations

from typing import NamedTuple


class EmailAddress(NamedTuple):
    """A mailbox, made only by ``parse_email``.

    ``wire`` is what RCPT TO carries, byte for byte; ``key`` the canonical form under which consent is looked up
    (local part folded by ASCII only, domain as lower-case A-label).
    """

    wire: bytes
    key: bytes
    needs_smtputf8: bool
