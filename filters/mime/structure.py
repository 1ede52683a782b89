"""Entities and multiparts as offsets into the content (RFC 2046 5.1), parsed only where someone looks.

A multipart is split when its children are asked for. So attachments, enclosed messages and parts behind the text are
never analysed: nothing depends on them, and what is broken in them stays the sender's. What *is* split must be
unambiguous, for two readers who split it differently would show different texts.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from filters.mime.fields import (
    AMBIGUOUS_TYPE,
    DEFAULT_TYPE,
    NO_DISPOSITION,
    ContentType,
    Disposition,
    parse_content_type,
    parse_disposition,
    parse_transfer_encoding,
)
from filters.mime.headers import HeaderBlock
from filters.mime.limits import DEFAULT_LIMITS, Limits
from filters.mime.refusal import MalformedContent, RewriteDetail

_PADDING_AND_LINE_END = re.compile(rb"[ \t]*(\r\n|\Z)")
_BLANK_LINE = re.compile(rb"\r\n[ \t]+\r\n")
_CACHED_HEADER_BYTES = 200
_NO_PADDING = b"\r\n"
IDENTITY_ENCODINGS = frozenset({"7bit", "8bit", "binary"})


STALE_FIELDS = frozenset({b"content-md5", b"content-length"})
"""Fields of a part that no longer hold once its text is changed."""


class _ContentFields(NamedTuple):
    """What a header says about its entity. ``is_doubtful``: it can be read in two ways, so it must not be relied on."""

    type: ContentType
    encoding: str
    disposition: Disposition
    content_id: bytes
    has_stale: bool
    has_defect: bool
    is_doubtful: bool


class Part:
    """An entity: the message itself or one part of a multipart.

    ``start``..``end`` is the whole entity, ``body_start``..``end`` its body, ``header_end`` where its fields end; the
    line end before a boundary line belongs to the boundary. ``encoding`` is the lower-case transfer encoding, "7bit"
    where none is given. ``is_doubtful``: its header can be read in two ways, so it must not be relied upon.
    """

    __slots__ = (
        "body_start",
        "content",
        "content_id",
        "disposition",
        "encoding",
        "end",
        "has_defect",
        "has_stale",
        "header_end",
        "is_doubtful",
        "start",
        "type",
    )

    def __init__(
        self, content: bytes, start: int, header_end: int, body_start: int, end: int, fields: _ContentFields
    ) -> None:
        self.content = content
        self.start = start
        self.header_end = header_end
        self.body_start = body_start
        self.end = end
        self.type, self.encoding, self.disposition, self.content_id = fields[:4]
        self.has_stale, self.has_defect, self.is_doubtful = fields[4:]

    @property
    def is_multipart(self) -> bool:
        return self.type.media_type.startswith("multipart/")


def _read_content_fields(headers: HeaderBlock, limits: Limits) -> _ContentFields:
    content_type = DEFAULT_TYPE
    encoding = "7bit"
    disposition = NO_DISPOSITION
    content_id = b""
    has_stale = False
    content = headers.content
    seen: dict[bytes, bytes] = {}
    for field in headers.fields:
        name, start, end = field
        if not name.startswith(b"content-"):
            continue
        value = headers.value(field)
        if name == b"content-type":
            content_type = parse_content_type(value, limits)
        elif name == b"content-transfer-encoding":
            encoding = parse_transfer_encoding(value) if value else "7bit"
        elif name == b"content-disposition":
            disposition = parse_disposition(value, limits)
        else:
            if name == b"content-id":
                content_id = value
            has_stale |= name in STALE_FIELDS
            continue
        # A repeated field is harmless only if it says the same; a blank before the colon, or a folded line of nothing
        # but blanks, ends the header for some readers.
        if (
            seen.setdefault(name, value) != value
            or content[start + len(name)] != 0x3A
            or _BLANK_LINE.search(content, start, end)
        ):
            content_type = AMBIGUOUS_TYPE
    return _ContentFields(
        content_type,
        encoding,
        disposition,
        content_id,
        has_stale,
        headers.has_defect,
        headers.has_defect or content_type.is_ambiguous,
    )


@lru_cache(maxsize=1024)
def _cached_content_fields(header: bytes) -> _ContentFields:
    # Pure: the same octets say the same. Parts of one sender repeat their short headers in every message.
    return _read_content_fields(HeaderBlock(header, 0, len(header), len(header)), DEFAULT_LIMITS)


def make_root(headers: HeaderBlock, limits: Limits) -> Part:
    """The message itself as an entity. Raises ``MalformedContent`` when a content field exceeds the limits."""
    content = headers.content
    fields = _read_content_fields(headers, limits)
    return Part(content, headers.start, headers.end, headers.body_start, len(content), fields)


_NO_FIELDS = _ContentFields(DEFAULT_TYPE, "7bit", NO_DISPOSITION, b"", False, False, False)


def scan_part(content: bytes, start: int, end: int, limits: Limits) -> Part:
    """The part between two boundary lines. Raises ``MalformedContent`` when its header exceeds the limits."""
    if content.startswith(b"\r\n", start, end):
        return Part(content, start, start, start + 2, end, _NO_FIELDS)
    blank = content.find(b"\r\n\r\n", start, min(end, start + limits.header_bytes))
    if blank >= 0:
        header_end = blank + 2
        if header_end - start <= _CACHED_HEADER_BYTES:
            fields = _cached_content_fields(content[start:header_end])
        else:
            fields = _read_content_fields(HeaderBlock(content, start, header_end, header_end + 2), limits)
        return Part(content, start, header_end, header_end + 2, end, fields)
    if end - start > limits.header_bytes:
        raise MalformedContent(RewriteDetail.HEADER_TOO_LARGE)
    # Without the empty line some readers take all of it for header, some for text.
    return Part(content, start, start, start, end, _NO_FIELDS._replace(is_doubtful=True))


def split_multipart(part: Part, ancestors: tuple[bytes, ...], limits: Limits) -> list[Part]:
    """The children of ``part``, in order.

    ``ancestors`` are the boundaries of the multiparts around it. Raises ``MalformedContent``: for a missing, doubtful
    or repeated boundary, one that is the beginning of another, a missing close delimiter, a delimiter behind it, an
    encoding that a multipart cannot have (RFC 2045 6.4), and beyond the limits.
    """
    boundary = part.type.boundary
    if part.is_doubtful or part.encoding not in IDENTITY_ENCODINGS:
        raise MalformedContent(RewriteDetail.MALFORMED_TYPE)
    if not boundary:
        raise MalformedContent(RewriteDetail.MALFORMED_MULTIPART)
    if len(ancestors) >= limits.depth:
        raise MalformedContent(RewriteDetail.TOO_DEEP)
    for outer in ancestors:
        if outer.startswith(boundary) or boundary.startswith(outer):
            raise MalformedContent(RewriteDetail.AMBIGUOUS_BOUNDARY)
    content = part.content
    end = part.end
    delimiter = b"\r\n--" + boundary
    length = len(delimiter)
    spans: list[tuple[int, int]] = []
    find = content.find
    opened_at = -1
    # The line end of the empty line after the header may be the one that belongs to the first delimiter.
    found = find(delimiter, max(part.body_start - 2, 0), end)
    while True:
        if found < 0:
            raise MalformedContent(RewriteDetail.MALFORMED_MULTIPART)
        if opened_at >= 0:
            spans.append((opened_at, max(found, opened_at)))
            if len(spans) > limits.parts:
                raise MalformedContent(RewriteDetail.TOO_MANY_PARTS)
        after = found + length
        if content.startswith(_NO_PADDING, after, end):
            opened_at = after + 2
            found = find(delimiter, after, end)
            continue
        if content.startswith(b"--", after, end):
            break
        padding = _PADDING_AND_LINE_END.match(content, after, end)
        if padding is None or not padding[1]:
            # The boundary is only the beginning of this line: some readers take it for a delimiter, some do not.
            raise MalformedContent(RewriteDetail.AMBIGUOUS_BOUNDARY)
        opened_at = padding.end()
        found = find(delimiter, padding.start(1), end)
    closed = _PADDING_AND_LINE_END.match(content, after + 2, end)
    if closed is None or find(delimiter, after, end) >= 0:
        raise MalformedContent(RewriteDetail.AMBIGUOUS_BOUNDARY)
    if not spans:
        raise MalformedContent(RewriteDetail.MALFORMED_MULTIPART)
    return [scan_part(content, start, stop, limits) for start, stop in spans]
