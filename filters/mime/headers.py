"""A header block as names and offsets into the content (RFC 5322 2.2), found in one pass at the speed of C."""

from __future__ import annotations

import re
from collections.abc import Collection

from filters.mime.limits import DEFAULT_LIMITS, Limits
from filters.mime.refusal import MalformedContent, RewriteDetail

# A field: name, optional white space (obsolete, RFC 5322 4.5), colon, value with its continuation lines, CRLF.
# Anchored at line starts, so that a line without a colon is tried once and not again from each of its octets; what
# is repeated inside is possessive, so that there is nothing to go back to.
_FIELD = re.compile(rb"^([!-9;-~]++)((?::|[ \t]++:)[^\r\n]*+\r\n(?:[ \t][^\r\n]*+\r\n)*+)", re.MULTILINE)

# What mailbox files put before a message. It is no field, no reader shows it, and it cannot stay: under the fields that
# go on top of it, it would end the header.
_MAILBOX_LINE = re.compile(rb">?From (?![ \t]*:)[^\r\n]*\r\n")

# A continuation line of nothing but blanks (obsolete, RFC 5322 4.2).
_BLANK_FOLDING = re.compile(rb"\r\n[ \t]++\r\n")

Field = tuple[bytes, int, int]


class HeaderBlock:
    """The header of a message or part.

    ``start``: offset of the first field, behind a mailbox file's "From " line if there is one.
    ``fields``: (lower-case name, start, end) with offsets into ``content``, end after the field's last CRLF.
    ``body_start``: offset of the first body octet. ``end``: where the fields end; less than ``body_start`` by the
    empty line, equal to it if there is none. ``has_defect``: some line is neither a field nor its continuation, so
    that readers disagree about where the header ends; fields around it are listed all the same.
    """

    __slots__ = ("body_start", "content", "end", "fields", "has_defect", "start")

    def __init__(self, content: bytes, start: int, end: int, body_start: int) -> None:
        self.content = content
        self.start = start
        self.end = end
        self.body_start = body_start
        fields: list[Field] = []
        position = start
        for name, rest in _FIELD.findall(content, start, end):
            after = position + len(name) + len(rest)
            fields.append((name.lower(), position, after))
            position = after
        self.has_defect = position != end
        if self.has_defect:
            # The offsets above assume that fields are adjacent; with a defect they are taken one by one.
            fields = [(found[1].lower(), *found.span()) for found in _FIELD.finditer(content, start, end)]
        self.fields = fields

    @property
    def has_doubtful_end(self) -> bool:
        """Whether some readers would end the header before ``end``: at a line that is no field, or one of blanks."""
        return self.has_defect or _BLANK_FOLDING.search(self.content, self.start, self.end) is not None

    def value(self, field: Field) -> bytes:
        """The unfolded value of one of ``fields`` (RFC 5322 2.2.3), without surrounding white space."""
        content = self.content
        raw = content[content.index(b":", field[1]) + 1 : field[2]]
        return (raw.replace(b"\r\n", b"") if raw.count(b"\r\n") > 1 else raw).strip()

    def values(self, name: bytes) -> list[bytes]:
        """Raw unfolded values of all fields called ``name`` (lower case), in order."""
        return [self.value(field) for field in self.fields if field[0] == name]

    def find_all(self, names: Collection[bytes]) -> dict[bytes, list[bytes]]:
        """Raw unfolded values by name, for several names in one pass; absent names are not in the answer."""
        found: dict[bytes, list[bytes]] = {}
        for field in self.fields:
            if field[0] in names:
                found.setdefault(field[0], []).append(self.value(field))
        return found


def scan_headers(content: bytes, limits: Limits = DEFAULT_LIMITS) -> HeaderBlock:
    """The header of a message. Raises ``MalformedContent`` when it exceeds ``limits.header_bytes``.

    A message that starts with an empty line has no fields; one without an empty line has no body.
    """
    start = 0
    if content.startswith((b"From ", b">From ")):
        line = _MAILBOX_LINE.match(content)
        start = line.end() if line else 0
    if content.startswith(b"\r\n", start):
        return HeaderBlock(content, start, start, start + 2)
    blank = content.find(b"\r\n\r\n", start, limits.header_bytes)
    if blank >= 0:
        return HeaderBlock(content, start, blank + 2, blank + 4)
    if len(content) > limits.header_bytes:
        raise MalformedContent(RewriteDetail.HEADER_TOO_LARGE)
    return HeaderBlock(content, start, len(content), len(content))


def render_without(headers: HeaderBlock, dropped: Collection[bytes], dropped_at: Collection[int] = ()) -> bytes:
    """The header's octets without the fields named in ``dropped`` and those starting at ``dropped_at``."""
    content = headers.content
    pieces = []
    kept_from = headers.start
    for name, start, end in headers.fields:
        if name in dropped or start in dropped_at:
            pieces.append(content[kept_from:start])
            kept_from = end
    pieces.append(content[kept_from : headers.end])
    return b"".join(pieces)
