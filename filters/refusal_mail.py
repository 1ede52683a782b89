"""What a mail to a refusal address says: the few header fields that matter, read from its first bytes.

The refusal itself stands in the address the mail was sent to (``filters.token``: mail code). The header only helps to
name the person's own address in the report to the registry, and tells a bounce from a will.

**Automatic mail counts.** Apple's mail programs send a person's unsubscription with an empty or constant subject and
mark it ``Auto-Submitted: auto-replied``, other providers unsubscribe for their users with the null return path. The
address appears in List-Unsubscribe only, never as a sender, so nothing replies to it by itself. The one exception is a
delivery status report (RFC 3464): that is a machine telling about a mail somebody forged.
"""

from __future__ import annotations

import binascii
import re
from typing import NamedTuple

MAX_HEADER_BYTES = 64 * 1024
_MAX_VALUE_CHARS = 2048
_MAX_CANDIDATES = 8

_WANTED = frozenset({b"subject", b"from", b"content-type"})
_ENCODED_WORD = re.compile(r"=\?[A-Za-z0-9_-]{1,40}\?([QqBb])\?([!->@-~]{0,800})\?=")
_BETWEEN_WORDS = re.compile(r"\?=[ \t]{1,80}=\?")
_TOKEN_LIKE = re.compile(r"[A-Za-z0-9_-]{40,512}")
_STATUS_REPORT = re.compile(r"multipart/report\b.*\breport-type\s*=\s*\"?delivery-status\b", re.IGNORECASE)


class RefusalMail(NamedTuple):
    """``token_candidates``: words of the subject that may be a token; ``from_address``: the address in From, as
    written, or b""."""

    token_candidates: tuple[str, ...]
    from_address: bytes
    is_status_report: bool


def parse_refusal_mail(content: bytes) -> RefusalMail:
    """Never fails: what is malformed is not there. Looks at ``MAX_HEADER_BYTES`` at most, each byte a few times."""
    fields = _read_fields(content[:MAX_HEADER_BYTES])
    subject = _decode_words(fields.get(b"subject", ""))
    return RefusalMail(
        tuple(_TOKEN_LIKE.findall(subject)[:_MAX_CANDIDATES]),
        _find_address(fields.get(b"from", "")),
        _STATUS_REPORT.match(fields.get(b"content-type", "")) is not None,
    )


def _read_fields(head: bytes) -> dict[bytes, str]:
    """The wanted fields, unfolded, the first of each name, cut to a length no honest one has."""
    fields: dict[bytes, str] = {}
    name = b""
    for line in head.split(b"\n"):
        line = line.rstrip(b"\r")
        if not line:
            break
        if line[:1] in b" \t":
            if name and len(fields[name]) < _MAX_VALUE_CHARS:
                fields[name] += line.decode("utf-8", "replace")
            continue
        label, colon, value = line.partition(b":")
        name = label.strip().lower()
        if not colon or name not in _WANTED or name in fields:
            name = b""
            continue
        fields[name] = value.decode("utf-8", "replace")
    return {name: value[:_MAX_VALUE_CHARS].strip() for name, value in fields.items()}


def _decode_words(text: str) -> str:
    """RFC 2047 encoded words decoded, as far as a token needs it: some programs encode any long subject."""
    if "=?" not in text:
        return text
    return _ENCODED_WORD.sub(_decode_word, _BETWEEN_WORDS.sub("?==?", text))


def _decode_word(match: re.Match[str]) -> str:
    data = match[2].encode("ascii")
    try:
        decoded = binascii.a2b_base64(data) if match[1] in "Bb" else binascii.a2b_qp(data, header=True)
    except binascii.Error:
        return ""
    return decoded.decode("utf-8", "replace")


def _find_address(value: str) -> bytes:
    """The address in a From field: between the last angle brackets, or the whole if there are none."""
    end = value.rfind(">")
    if end >= 0:
        start = value.rfind("<", 0, end)
        value = value[start + 1 : end] if start >= 0 else ""
    return value.strip().encode("utf-8")
