"""What a server announced in its answer to EHLO, and what of a message it can therefore be given."""

from __future__ import annotations

from typing import NamedTuple

from adapters.smtp.outcomes import NO_8BITMIME, NO_SMTPUTF8, TOO_LARGE
from adapters.smtp.wire_reply import WireReply
from filters.envelope import RecipientOutcome
from filters.exchange import OutgoingMail, UpstreamCapabilities


class Extensions(NamedTuple):
    """Announced service extensions. ``size_bytes`` None: no limit known (RFC 1870 section 4: 0 means the same)."""

    has_pipelining: bool = False
    has_8bitmime: bool = False
    has_smtputf8: bool = False
    has_dsn: bool = False
    has_size: bool = False
    size_bytes: int | None = None
    has_starttls: bool = False
    auth_mechanisms: frozenset[str] = frozenset()

    @property
    def capabilities(self) -> UpstreamCapabilities:
        """The part of it that a listener may announce in turn."""
        return UpstreamCapabilities(self.size_bytes, self.has_8bitmime, self.has_smtputf8, self.has_dsn)


def parse_extensions(reply: WireReply) -> Extensions:
    """The lines after the first of a 250 to EHLO or LHLO (RFC 5321 4.1.1.1); unknown ones are ignored."""
    keywords: dict[str, list[str]] = {}
    for line in reply.text.split(b"\n")[1:]:
        words = line.decode("ascii", "replace").upper().split()
        if not words:
            continue
        keyword, values = words[0], words[1:]
        if keyword.startswith("AUTH="):  # what servers before RFC 2554 sent, and some still send beside the right one
            keyword, values = "AUTH", [keyword[5:], *values]
        keywords.setdefault(keyword, []).extend(values)
    size = keywords.get("SIZE", [])
    # isdecimal and 19 digits: a size nobody can mean is no limit rather than a conversion without bound
    limit = int(size[0]) if size and size[0].isascii() and size[0].isdecimal() and len(size[0]) < 20 else 0
    return Extensions(
        has_pipelining="PIPELINING" in keywords,
        has_8bitmime="8BITMIME" in keywords,
        has_smtputf8="SMTPUTF8" in keywords,
        has_dsn="DSN" in keywords,
        has_size="SIZE" in keywords,
        size_bytes=limit or None,
        has_starttls="STARTTLS" in keywords,
        auth_mechanisms=frozenset(keywords.get("AUTH", ())),
    )


def find_obstacle(mail: OutgoingMail, extensions: Extensions) -> RecipientOutcome | None:
    """Why this server can never take ``mail``, or None.

    No downgrade exists for SMTPUTF8 (RFC 6531 3.5); converting 8-bit content would break signatures (RFC 6152 3).
    """
    if mail.is_smtputf8 and not extensions.has_smtputf8:
        return NO_SMTPUTF8
    if mail.is_8bit and not extensions.has_8bitmime:
        return NO_8BITMIME
    if mail.mail_parameters and b"BODY=BINARYMIME" in mail.mail_parameters.upper():
        return NO_8BITMIME  # needs BDAT (RFC 3030), which the gateway does not speak
    if extensions.size_bytes is not None and len(mail.content) > extensions.size_bytes:
        return TOO_LARGE
    return None


def narrow(known: list[Extensions]) -> UpstreamCapabilities | None:
    """What every host of a group has: a listener must not promise what the next host cannot keep."""
    if not known:
        return None
    sizes = [extensions.size_bytes for extensions in known if extensions.size_bytes is not None]
    return UpstreamCapabilities(
        size_bytes=min(sizes, default=None),
        has_8bitmime=all(extensions.has_8bitmime for extensions in known),
        has_smtputf8=all(extensions.has_smtputf8 for extensions in known),
        has_dsn=all(extensions.has_dsn for extensions in known),
    )
