"""The structured values that decide what a part is: Content-Type, -Disposition and -Transfer-Encoding (RFC 2045, 2183).

Readers differ in how they mend a broken value, and a message could show one reader what another does not see. So a
value that can be read in two ways is marked, and whoever needs it refuses the message (content-rules B5, malformed).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from filters.mime.limits import Limits
from filters.mime.refusal import MalformedContent, RewriteDetail

_TYPE = re.compile(rb"([!#$%&'*+.0-9A-Z^_`a-z{|}~-]+)[ \t]*/[ \t]*([!#$%&'*+.0-9A-Z^_`a-z{|}~-]+)[ \t]*")
# One parameter, a word without a value, or a stray semicolon; the latter two are ignored. A value is quoted, with
# escapes, or runs up to the next semicolon: the standard wants a token there, practice leaves out the quotes around
# boundaries that hold "=" or "/".
_PARAMETER = re.compile(
    rb';[ \t]*(?:([^][()<>@,;:\\"/?={} \t]+)'
    rb'(?:[ \t]*=[ \t]*(?:"([^"\\]*+(?:\\.[^"\\]*+)*)"|([^;"]*+)))?)?[ \t]*+(?=;|\Z)'
)
_COMMENT_BREAKER = re.compile(rb'[;="\\]')
_CACHED_VALUE_BYTES = 128
# Misspelt often, and taken by all for what it means: text as it stands.
_ENCODING_ALIASES = {b"7-bit": b"7bit", b"8-bit": b"8bit"}


class ContentType(NamedTuple):
    """What is read from a Content-Type field.

    ``media_type`` and ``charset`` in lower case; ``boundary`` as written; ``start`` the root's Content-ID of a
    multipart/related; ``is_ambiguous``: readers may disagree about the type, the charset or the boundary.
    """

    media_type: str = "text/plain"
    charset: str = ""
    boundary: bytes = b""
    start: bytes = b""
    has_name: bool = False
    is_flowed: bool = False
    is_ambiguous: bool = False


DEFAULT_TYPE = ContentType()
"""Without the field, and where it is empty, a part is text/plain in us-ascii (RFC 2045 5.2)."""

AMBIGUOUS_TYPE = ContentType(media_type="", is_ambiguous=True)


class Disposition(NamedTuple):
    """``is_attachment``: not meant to be shown with the text; ``has_name``: a file name is given."""

    is_attachment: bool = False
    has_name: bool = False


NO_DISPOSITION = Disposition()


def parse_content_type(value: bytes, limits: Limits) -> ContentType:
    """The type behind an unfolded value. Raises ``MalformedContent`` beyond the limits."""
    return _cached_content_type(value) if len(value) <= _CACHED_VALUE_BYTES else _parse_content_type(value, limits)


def parse_disposition(value: bytes, limits: Limits) -> Disposition:
    """The disposition behind an unfolded value. Raises ``MalformedContent`` beyond the limits."""
    _check_size(value, limits)
    kind, _, rest = value.partition(b";")
    kind = kind.strip().lower()
    # An unknown disposition is to be treated as an attachment (RFC 2183 2.8).
    return Disposition(kind not in (b"", b"inline"), b"filename" in rest.lower())


def parse_transfer_encoding(value: bytes) -> str:
    """The lower-case token, or "?" for a value that is not one token."""
    token = value.strip().lower()
    if b"(" in token:
        stripped = _without_comments(token)
        token = b"?" if stripped is None else stripped.strip()
    token = _ENCODING_ALIASES.get(token, token)
    return token.decode("ascii") if token.isascii() and token and not token.split(None, 1)[1:] else "?"


@lru_cache(maxsize=1024)
def _cached_content_type(value: bytes) -> ContentType:
    # Pure: the same value gives the same answer. Values are short here, so the cache stays below half a megabyte.
    return _parse_content_type(value, None)


def _check_size(value: bytes, limits: Limits | None) -> None:
    if limits is None:
        return
    if value.count(b";") > limits.parameters:
        raise MalformedContent(RewriteDetail.TOO_MANY_PARAMETERS)
    if len(value) > limits.value_bytes:
        raise MalformedContent(RewriteDetail.HEADER_TOO_LARGE)


def _parse_content_type(value: bytes, limits: Limits | None) -> ContentType:
    _check_size(value, limits)
    if b"(" in value:
        stripped = _without_comments(value)
        if stripped is None:
            return AMBIGUOUS_TYPE
        value = stripped
    value = value.strip()
    if not value:
        return DEFAULT_TYPE
    head = _TYPE.match(value)
    if head is None:
        # "text" alone is the one short form every reader takes the same way.
        return DEFAULT_TYPE if value.lower() == b"text" else AMBIGUOUS_TYPE
    media_type = (head[1] + b"/" + head[2]).decode("ascii").lower()
    parameters: dict[bytes, bytes] = {}
    is_ambiguous = has_name = False
    position = head.end()
    end = len(value)
    while position < end:
        found = _PARAMETER.match(value, position)
        if found is None:
            is_ambiguous = True
            break
        position = found.end()
        if found[2] is None and found[3] is None:
            continue
        name = found[1].lower()
        text = found[2] if found[2] is not None else found[3].strip()
        if name.startswith(b"name"):
            has_name = True
        elif name in (b"boundary", b"charset"):
            if parameters.setdefault(name, text) != text or _is_doubtful(text, found[2] is not None):
                is_ambiguous = True
        elif name.startswith((b"boundary*", b"charset*")):
            # RFC 2231 continuations and charsets: half of the readers ignore them.
            is_ambiguous = True
        elif name in (b"start", b"format"):
            parameters.setdefault(name, text)
    charset = parameters.get(b"charset", b"").strip()
    return ContentType(
        media_type,
        charset.decode("ascii", "replace").lower(),
        parameters.get(b"boundary", b""),
        parameters.get(b"start", b""),
        has_name,
        parameters.get(b"format", b"").lower() == b"flowed",
        is_ambiguous,
    )


def _is_doubtful(text: bytes, is_quoted: bool) -> bool:
    """Whether readers may take a boundary or charset differently: escapes, inner blanks, encoded words, 8-bit."""
    return (
        b"\\" in text
        or not text.isascii()
        or text != text.strip()
        or (not is_quoted and len(text.split()) > 1)
        or (text.startswith(b"=?") and text.endswith(b"?="))
    )


def _without_comments(value: bytes) -> bytes | None:
    """``value`` with each comment outside quotes as one blank (RFC 822 3.4.3).

    None for an unclosed comment, or one that holds a separator: a reader that does not know comments would split
    the value there.
    """
    kept = bytearray()
    comment = bytearray()
    depth = 0
    is_quoted = is_escaped = False
    for octet in value:
        if depth:
            depth += (octet == 0x28) - (octet == 0x29)
            comment.append(octet)
        elif is_quoted:
            kept.append(octet)
            if is_escaped:
                is_escaped = False
            elif octet == 0x5C:
                is_escaped = True
            elif octet == 0x22:
                is_quoted = False
        elif octet == 0x28:
            depth = 1
            kept.append(0x20)
        else:
            is_quoted = octet == 0x22
            kept.append(octet)
    if depth or _COMMENT_BREAKER.search(comment):
        return None
    return bytes(kept)
