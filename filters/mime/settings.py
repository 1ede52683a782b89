"""What a site decides about rewriting."""

from __future__ import annotations

from dataclasses import dataclass

from filters.mime.leaf import make_placeholder
from filters.mime.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True, slots=True)
class RewriteSettings:
    """``placeholder``: token for the link in the sender's text. ``keep_sender_optout``: leave a complete one-click pair
    of the sender's in place of ours (its endpoint then has to report refusals). ``signed_domains``: lower-case domains
    whose DKIM signature is made again behind us; theirs are removed. ``keeps_foreign_signatures``: whether others
    stay. ``removes_amp``: drop the AMP alternative instead of putting the link into it.
    """

    placeholder: bytes = b"{{opt_out_url}}"
    keep_sender_optout: bool = False
    signed_domains: frozenset[bytes] = frozenset()
    keeps_foreign_signatures: bool = True
    removes_amp: bool = False
    limits: Limits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        make_placeholder(self.placeholder)
