"""Entities and multiparts as offsets into the content (RFC 2046 5.1), parsed only where someone looks.

A multipart is split when its children are asked for. So attachments, enclosed messages and parts behind the text are
never analysed: nothing depends on them, and what is broken in them stays the sender's. What *is* split must be
unambiguous, for two readers who split it differently would show different texts.
"""

from __future__ import annotations

import re

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
from filters.mime.limits import Limits
from filters.mime.refusal import MalformedContent, RewriteDetail

_PADDING_AND_LINE_END = re.compile(rb"[ \t]*(\r\n|\Z)")
_NO_PADDING = b"\r\n"
IDENTITY_ENCODINGS = frozenset({"7bit", "8bit", "binary"})


class Part:
    """An entity: the message itself or one part of a multipart.

    ``start``..``end`` is the whole entity, ``body_start``..``end`` its body; the line end before a boundary line
    belongs to the boundary. ``encoding`` is the lower-case transfer encoding, "7bit" where none is given.
    ``is_doubtful``: its header or content fields can be read in two ways, so it must not be relied upon.
    """

    __slots__ = (
        "body_start",
        "content_id",
        "disposition",
        "encoding",
        "end",
        "headers",
        "is_doubtful",
        "start",
        "type",
    )

    def __init__(self, headers: HeaderBlock, end: int, limits: Limits) -> None:
        self.headers = headers
        self.start = headers.start
        self.body_start = headers.body_start
        self.end = end
        self.type: ContentType = DEFAULT_TYPE
        self.encoding = "7bit"
        self.disposition: Disposition = NO_DISPOSITION
        self.content_id = b""
        self.is_doubtful = headers.has_defect
        seen: dict[bytes, bytes] = {}
        content = headers.content
        for field in headers.fields:
            name, start, _ = field
            if not name.startswith(b"content-"):
                continue
            value = headers.value(field)
            if name == b"content-type":
                self.type = parse_content_type(value, limits)
            elif name == b"content-transfer-encoding":
                self.encoding = parse_transfer_encoding(value) if value else "7bit"
            elif name == b"content-disposition":
                self.disposition = parse_disposition(value, limits)
            elif name == b"content-id":
                self.content_id = value
                continue
            else:
                continue
            # A repeated field is harmless only if it says the same; a blank before the colon, or a folded line of
            # nothing but blanks, ends the header for some readers.
            if (
                seen.setdefault(name, value) != value
                or content[start + len(name)] != 0x3A
                or b"\r\n \r\n" in content[start : field[2]]
            ):
                self.type = AMBIGUOUS_TYPE
        if self.type.is_ambiguous:
            self.is_doubtful = True

    @property
    def is_multipart(self) -> bool:
        return self.type.media_type.startswith("multipart/")


def scan_part(content: bytes, start: int, end: int, limits: Limits) -> Part:
    """The part between two boundary lines. Raises ``MalformedContent`` when its header exceeds the limits."""
    if content.startswith(b"\r\n", start, end):
        return Part(HeaderBlock(content, start, start, start + 2), end, limits)
    blank = content.find(b"\r\n\r\n", start, min(end, start + limits.header_bytes))
    if blank >= 0:
        return Part(HeaderBlock(content, start, blank + 2, blank + 4), end, limits)
    if end - start > limits.header_bytes:
        raise MalformedContent(RewriteDetail.HEADER_TOO_LARGE)
    # Without the empty line some readers take all of it for header, some for text.
    part = Part(HeaderBlock(content, start, start, start), end, limits)
    part.is_doubtful = True
    return part


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
    content = part.headers.content
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
