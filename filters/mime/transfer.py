"""Splices into encoded text: only the encoded lines around the splice change (RFC 2045 6.7, 6.8).

A splice is stated in offsets of the decoded text. The result is a list of pieces: octets that are the same in every
copy, the number of a URL form where the personal URL goes, and base64 runs, whose octets depend on the URL's length.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from typing import NamedTuple

from filters.mime.refusal import MalformedContent, RewriteDetail

URL_PLAIN, URL_HTML, URL_QP, URL_HTML_QP = range(4)
"""Forms of the personal URL: as it is; with ``&amp;``; each of them for quoted-printable."""

LINE_COLUMNS = 76
_URL_COLUMNS = 72
_MAX_LINE_BYTES = 4_096
_LINE_BYTES = 100
_TAIL_BYTES = 512
_QP_TOKEN = re.compile(rb"=\r\n|=[0-9A-Fa-f]{2}|[^=]+|=")
BLANKS = b" \t\r\n"


class Splice(NamedTuple):
    """``decoded[start:end]`` becomes ``before`` + URL + ``after``; the ``qp_`` forms are the same, encoded."""

    start: int
    end: int
    before: bytes
    after: bytes
    qp_before: bytes
    qp_after: bytes
    is_html: bool


class Base64Run(NamedTuple):
    """Pieces that are joined and encoded for each copy.

    ``room``: columns left in the line that the run continues; ``columns``: length of the lines after it. ``codec``: the
    pieces are UTF-8 and are written in this codec.
    """

    pieces: tuple[bytes | int, ...]
    room: int
    columns: int
    codec: str | None

    def render(self, forms: Sequence[bytes]) -> bytes:
        text = b"".join([forms[piece] if isinstance(piece, int) else piece for piece in self.pieces])
        if self.codec is not None:
            text = text.decode("utf-8", "surrogatepass").encode(self.codec, "surrogatepass")
        encoded = binascii.b2a_base64(text, newline=False)
        room = self.room
        columns = self.columns
        lines = [encoded[at : at + columns] for at in range(room, len(encoded), columns)]
        lines.insert(0, encoded[:room])
        return b"\r\n".join(lines)


Piece = bytes | int | Base64Run


def render_url_forms(url: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """The URL in each of its forms, in the order of their numbers."""
    escaped = url.replace(b"&", b"&amp;") if b"&" in url else url
    quoted = _quote_url(url)
    return url, escaped, quoted, quoted if escaped is url else _quote_url(escaped)


def _quote_url(url: bytes) -> bytes:
    """A URL as quoted-printable, in lines short enough for one more character before and two behind.

    No line but the first begins with a hyphen or a dot: encoded text must never look like a boundary line, whatever the
    boundary and whatever the token, and ``RewritePlan.may_have_dot_lines`` counts on the dot.
    """
    quoted = url.replace(b"=", b"=3D")
    if len(quoted) <= _URL_COLUMNS:
        return quoted
    lines = []
    position = 0
    while position < len(quoted):
        end = position + _URL_COLUMNS
        if end < len(quoted):
            # Not inside an escape.
            cut = quoted.rfind(b"=", end - 2, end)
            if cut > position:
                end = cut
        line = quoted[position:end]
        lines.append(b"=%02X%s" % (line[0], line[1:]) if line.startswith((b"-", b".")) else line)
        position = end
    return b"=\r\n".join(lines)


def encode_quoted_printable(text: bytes) -> bytes:
    """``text`` (lines ended by CRLF) as quoted-printable in lines of at most 76 characters; UTF-8 stays whole."""
    lines = []
    for line in text.split(b"\r\n"):
        out = bytearray()
        column = 0
        for token in _split_characters(line):
            encoded = b"".join(
                b"%c" % octet if 0x20 <= octet <= 0x7E and octet != 0x3D else b"=%02X" % octet for octet in token
            )
            if column + len(encoded) > _URL_COLUMNS:
                out += b"=\r\n"
                column = 0
            if not column and encoded in (b"-", b".", b"F"):
                encoded = b"=%02X" % encoded[0]
            out += encoded
            column += len(encoded)
        if out.endswith(b" "):
            out[-1:] = b"=20"
        lines.append(bytes(out))
    return b"\r\n".join(lines)


def _split_characters(line: bytes) -> list[bytes]:
    """Octets, with the octets of one UTF-8 character together."""
    return re.findall(rb"[\xc2-\xf4][\x80-\xbf]+|[\x00-\xff]", line)


def decode_quoted_printable(encoded: bytes) -> bytes:
    return binascii.a2b_qp(encoded)


def decode_base64(encoded: bytes) -> bytes:
    """Strict but for white space, because readers differ in what they do with anything else in it.

    Raises ``MalformedContent``.
    """
    try:
        return binascii.a2b_base64(encoded.translate(None, BLANKS), strict_mode=True)
    except binascii.Error:
        raise MalformedContent(RewriteDetail.MALFORMED_ENCODING) from None


class Spliced(NamedTuple):
    """The new encoded text; its first ``kept_bytes`` are those of the old one."""

    pieces: list[Piece]
    kept_bytes: int


def splice_identity(body: bytes, splices: Sequence[Splice]) -> Spliced:
    """For 7bit, 8bit and binary."""
    pieces: list[Piece] = []
    position = 0
    for splice in splices:
        pieces += (
            body[position : splice.start] + splice.before,
            URL_HTML if splice.is_html else URL_PLAIN,
            splice.after,
        )
        position = splice.end
    pieces.append(body[position:])
    return Spliced(pieces, splices[0].start)


def splice_quoted_printable(encoded: bytes, decoded: bytes, splices: Sequence[Splice]) -> Spliced:
    """Raises ``MalformedContent`` where the encoded text does not follow its encoding around a splice."""
    pieces: list[Piece] = []
    position = kept_bytes = 0
    for splice in splices:
        is_placeholder = not splice.before
        start = _find_encoded(encoded, decoded, splice.start)
        end = start if splice.end == splice.start else _find_encoded(encoded, decoded, splice.end)
        kept = encoded[position:start]
        kept_bytes = kept_bytes or len(kept)
        if is_placeholder:
            # Lines of its own for the URL. What follows may not begin a line with a hyphen (see _quote_url).
            after = b"=\r\n"
            if encoded.startswith(b"-", end):
                after += b"=2D"
                end += 1
            pieces += (kept + b"=\r\n", URL_HTML_QP if splice.is_html else URL_QP, after)
        else:
            if start == len(encoded):
                stripped = kept.rstrip(b" \t")
                if stripped.endswith(b"="):
                    # The text ends in a soft break that was never finished: "=" needs its line end.
                    kept = stripped + b"\r\n"
            elif kept.endswith((b" ", b"\t")):
                # At the end of a line it would no longer be part of the text.
                kept += b"=\r\n"
            pieces += (kept + splice.qp_before, URL_HTML_QP if splice.is_html else URL_QP, splice.qp_after)
        position = end
    pieces.append(encoded[position:])
    return Spliced(pieces, kept_bytes)


def _find_encoded(encoded: bytes, decoded: bytes, offset: int) -> int:
    """The offset in ``encoded`` at which ``decoded[offset:]`` begins.

    Line starts are points where decoding can begin afresh. First a guess near the end, where footers go; else by
    halving, each time decoding only the half in question, so that the whole is linear.
    """
    tail = decoded[offset : offset + _TAIL_BYTES]
    if offset + len(tail) == len(decoded):
        if not tail:
            return len(encoded)
        if tail.startswith(b"<") and b"=" not in tail and encoded.endswith(tail):
            # An encoded text that ends as the decoded one does; "<" is no hexadecimal digit, so it begins a token.
            return len(encoded) - len(tail)
    low, high, passed = 0, len(encoded), 0
    near = encoded.rfind(b"\n", 0, max(high - 3 * (len(decoded) - offset) - _LINE_BYTES, 0)) + 1
    if near:
        behind = len(binascii.a2b_qp(encoded[near:]))
        if len(decoded) - behind <= offset:
            low, passed = near, len(decoded) - behind
    while high - low > _LINE_BYTES:
        half = (low + high) // 2
        middle = encoded.rfind(b"\n", low, half) + 1
        if middle <= low:
            middle = encoded.find(b"\n", half, high - 1) + 1
            if not middle:
                break
        inside = len(binascii.a2b_qp(encoded[low:middle]))
        if passed + inside <= offset:
            low = middle
            passed += inside
        else:
            high = middle
    if high - low > _MAX_LINE_BYTES:
        raise MalformedContent(RewriteDetail.LINE_TOO_LONG)
    at = low
    for token in _QP_TOKEN.finditer(encoded, low, high):
        if passed >= offset:
            break
        text = token[0]
        if text.startswith(b"="):
            passed += text != b"=\r\n"
            at = token.end()
        else:
            step = min(len(text), offset - passed)
            passed += step
            at = token.start() + step
    if binascii.a2b_qp(encoded[low:at]) != decoded[offset - len(binascii.a2b_qp(encoded[low:at])) : offset] or (
        binascii.a2b_qp(encoded[at:high]) != decoded[offset : offset + len(binascii.a2b_qp(encoded[at:high]))]
    ):
        raise MalformedContent(RewriteDetail.MALFORMED_ENCODING)
    return at


def splice_base64(encoded: bytes, decoded: bytes, splices: Sequence[Splice], codec: str | None = None) -> Spliced:
    """Everything before the first splice stays as it is, down to its line ends; with a ``codec`` nothing does.

    With a ``codec``, ``decoded`` and the splices are in UTF-8.
    """
    first = splices[0].start
    group = 0 if codec else first // 3
    at = _find_group(encoded, group) if group else 0
    end = len(encoded.rstrip(BLANKS))
    columns = LINE_COLUMNS
    room = columns
    if at:
        # Continue the line that the kept part ends in; a sender's longer lines stay the measure.
        columns = max(columns, encoded.find(b"\r") & ~3 if b"\r" in encoded else 0)
        room = columns - (at - (encoded.rfind(b"\n", 0, at) + 1))
        if room < 0 or columns > 996:
            room, columns = 0, LINE_COLUMNS
    inner: list[bytes | int] = []
    position = 3 * group
    for splice in splices:
        inner += (
            decoded[position : splice.start] + splice.before,
            URL_HTML if splice.is_html else URL_PLAIN,
            splice.after,
        )
        position = splice.end
    inner.append(decoded[position:])
    tail = encoded[end:]
    return Spliced([encoded[:at], Base64Run(tuple(inner), room, columns, codec), tail], at)


def _find_group(encoded: bytes, group: int) -> int:
    """The offset of the first character of base64 group ``group``, or of the line end before it."""
    wanted = 4 * group
    blanks = counted = 0
    while True:
        at = wanted + blanks
        found = blanks + (at - counted) - len(encoded[counted:at].translate(None, BLANKS))
        if found == blanks:
            return at
        counted, blanks = at, found
