"""Informational mail: header fields change, nothing else does."""

from __future__ import annotations

from filters.mime.headers import HeaderBlock, render_without


def stamp(content: bytes, headers: HeaderBlock, remove: frozenset[bytes], add: bytes) -> bytes:
    """``content`` without the fields named in ``remove`` (lower case) and with ``add`` on top.

    ``add`` is complete field lines, each ended by CRLF, or empty. No opt-out goes in: informational mail must not
    carry one (content-rules B2). Content that begins with a blank and has no field at all is text without a header: an
    empty line keeps its first line from becoming a continuation of ``add``, where no reader would find it. Where fields
    follow such a line there must be none, or From and Subject would become text.
    """
    kept = render_without(headers, remove)
    if add and not headers.fields and kept.startswith((b" ", b"\t")):
        add += b"\r\n"
    return b"".join((add, kept, content[headers.end :]))
