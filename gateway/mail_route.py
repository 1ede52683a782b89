"""What the pipeline needs to know to carry mail: per listener, per brand, and for the whole installation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from filters.brand import Brand
from filters.mime.footer import Footer
from filters.mime.plan import RewriteSettings
from filters.policy import Policy
from filters.vocabulary import RecipientType
from gateway.ports import MailUpstream


class ContentSigner(Protocol):
    """Signs a finished copy (DKIM). Slow: it is called in a thread."""

    def sign(self, content: bytes) -> bytes:
        """The complete signature field to put on top, CRLF included."""


class OptOutLinks(NamedTuple):
    """Where one recipient refuses: an https address, a ``mailto:`` URI or "", and a short name of the token."""

    url: str
    mailto: str
    token_id: str


MakeLinks = Callable[[Brand, bytes, RecipientType | None, bytes], OptOutLinks]
"""(brand, canonical address, declared recipient type, consent key) → links."""


@dataclass(frozen=True, slots=True)
class BrandRoute:
    """One brand with everything made ready once: rules, footer, settings, optional signer."""

    brand: Brand
    policy: Policy
    footer: Footer
    rewriting: RewriteSettings
    signer: ContentSigner | None = None


@dataclass(frozen=True, slots=True)
class MailRoute:
    """Where the mail of one listener goes."""

    listener: str
    upstream: MailUpstream
    protocol: str = "ESMTP"
