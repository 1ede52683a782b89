"""One text leaf: what it holds already, and the splices that bring the opt-out into it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from filters.mime.charsets import (
    CharsetFamily,
    find_family,
    find_wide_codec,
    has_shifted_line_end,
    mask_shifted,
    render_return_to_ascii,
)
from filters.mime.footer import MAX_URL_BYTES, Footer, FooterForm
from filters.mime.markup import Markup, find_place, scan_markup
from filters.mime.refusal import MalformedContent, RewriteDetail
from filters.mime.structure import IDENTITY_ENCODINGS, Part
from filters.mime.transfer import (
    Piece,
    Splice,
    decode_base64,
    decode_quoted_printable,
    splice_base64,
    splice_identity,
    splice_quoted_printable,
)
from filters.mime.views import AMP, PLAIN
from filters.mime.visibility import find_visible, is_delimited

MAX_LINE_BYTES = 998
ORDINARY_URL_BYTES = 240
# Gmail cuts HTML at about 102 kB; a footer behind that stays behind a link of Gmail's.
LONG_HTML_BYTES = 90_000
# In one text. Each costs every copy a little, and no honest text offers the link more than a few times.
MAX_PLACEHOLDERS = 1_000

_LINK_END = re.compile(rb"[A-Za-z0-9._~:/?#@&=%+;-]*")
_DOUBTFUL_ESCAPE = re.compile(rb"==(?:[0-9A-Fa-f]{2}|\r\n)")
# A soft line break with blanks behind it (RFC 2045 6.7 rule 3): some readers drop them, for others it is none.
_PADDED_BREAK = re.compile(rb"= [ \t]*+(?:\r\n|\Z)")
_TABBED_BREAK = re.compile(rb"=\t[ \t]*+(?:\r\n|\Z)")
_ARMOUR = b"-----BEGIN PGP "


class Placeholder(NamedTuple):
    """The token for the link in the sender's own text. ``core`` occurs in every one of its ``spellings``."""

    core: bytes
    spellings: tuple[bytes, ...]


@lru_cache(maxsize=64)
def make_placeholder(token: bytes) -> Placeholder:
    """``token`` and, for one in double braces, its percent-encoded forms, into which HTML editors turn it in links.

    Raises ``ValueError`` for a token that could not be told from text.
    """
    if not 4 <= len(token) <= 64 or not token.isascii() or not token.decode("ascii").isprintable() or b" " in token:
        raise ValueError("placeholder: expected 4 to 64 printable ASCII characters without blanks")
    if not (token.startswith(b"{{") and token.endswith(b"}}") and len(token) > 4):
        return Placeholder(token, (token,))
    core = token[2:-2]
    return Placeholder(core, (token, b"%7B%7B" + core + b"%7D%7D", b"%7b%7b" + core + b"%7d%7d"))


class LeafEdit(NamedTuple):
    """``content[start:end]`` becomes ``pieces``, unless the URL of the copy is among ``present``: then the leaf shows
    this recipient's own link already.

    For the check before release: ``body_start`` of the leaf; ``place``, the first change in the decoded text, and
    ``left``, how much of that text stands behind the last; ``kept_bytes`` of the encoded text stand before the first.
    ``room``: the longest URL, in HTML form, for which no line gets too long. ``urls``: how often the URL comes in,
    ``fills``: how many of these take a placeholder's place.
    """

    start: int
    end: int
    pieces: list[Piece]
    present: frozenset[bytes]
    body_start: int
    place: int
    kept_bytes: int
    left: int
    room: int
    urls: int
    fills: int
    is_html: bool
    is_wide: bool
    is_long: bool


class _Text(NamedTuple):
    """A leaf's text. ``decoded``: its octets, or its UTF-8 form where ``codec`` names a wide charset. ``shown``: the
    same with nothing in it that only looks like markup.
    """

    encoded: bytes
    decoded: bytes
    shown: bytes
    codec: str | None
    family: CharsetFamily


def edit_leaf(
    part: Part, footer: Footer, placeholder: Placeholder, *, has_8bitmime: bool, is_view: bool
) -> LeafEdit | None:
    """The change to one leaf; None for a leaf that is no view of its own and holds no placeholder.

    Raises ``MalformedContent`` where the opt-out cannot be placed so that it is seen.
    """
    text = _read(part)
    decoded = text.decoded
    is_html = part.type.media_type != PLAIN
    markup: Markup | None = None
    filled: list[Splice] = []
    is_shown = False
    if placeholder.core in decoded:
        filled = _fill(decoded, placeholder, is_html)
        if filled and is_html:
            markup = scan_markup(text.shown)
        is_shown = any(_find_shown(text.shown, [(splice.start, splice.end) for splice in filled], markup))
    if not is_view and not filled:
        return None
    present: frozenset[bytes] = frozenset()
    splices = filled
    if is_view and not is_shown:
        if not is_html:
            _check_armour(decoded)
            footer_splice = _plain_splice(part, text, footer, has_8bitmime)
        else:
            markup = markup or scan_markup(text.shown)
            footer_splice = _html_splice(text, footer.amp if part.type.media_type == AMP else footer.html, markup)
        if not filled and footer.link_base in decoded:
            present = _find_links(text.shown, footer.link_base, markup)
        splices = sorted((*filled, footer_splice))
    room = MAX_URL_BYTES
    if part.encoding == "base64":
        spliced = splice_base64(text.encoded, decoded, splices, text.codec)
    elif part.encoding == "quoted-printable":
        spliced = splice_quoted_printable(text.encoded, decoded, splices)
    else:
        if filled:
            room = _find_room(decoded, filled)
        spliced = splice_identity(decoded, splices)
    return LeafEdit(
        start=part.body_start,
        end=part.end,
        pieces=spliced.pieces,
        present=present,
        body_start=part.body_start,
        place=splices[0].start,
        kept_bytes=spliced.kept_bytes,
        left=len(decoded) - splices[-1].end,
        room=room,
        urls=len(splices),
        fills=len(filled),
        is_html=is_html,
        is_wide=text.codec is not None,
        is_long=is_html and len(decoded) > LONG_HTML_BYTES,
    )


def _read(part: Part) -> _Text:
    encoding = part.encoding
    encoded = part.content[part.body_start : part.end]
    if encoding == "base64":
        decoded = decode_base64(encoded)
    elif encoding == "quoted-printable":
        if (
            _DOUBTFUL_ESCAPE.search(encoded)
            or _PADDED_BREAK.search(encoded)
            or (b"\t" in encoded and _TABBED_BREAK.search(encoded))
        ):
            # Some readers take the first "=" for itself, some for the start of a broken escape.
            raise MalformedContent(RewriteDetail.MALFORMED_ENCODING)
        decoded = decode_quoted_printable(encoded)
    elif encoding in IDENTITY_ENCODINGS:
        decoded = encoded
    else:
        raise MalformedContent(RewriteDetail.UNKNOWN_ENCODING)
    family = find_family(part.type.charset)
    codec = None
    if family is CharsetFamily.WIDE:
        codec = find_wide_codec(part.type.charset, decoded)
        if codec is None or encoding != "base64":
            raise MalformedContent(RewriteDetail.UNSUITABLE_CHARSET)
        try:
            decoded = decoded.decode(codec).encode("utf-8")
        except UnicodeDecodeError:
            raise MalformedContent(RewriteDetail.UNSUITABLE_CHARSET) from None
    elif family is CharsetFamily.UNSUITABLE or decoded.startswith((b"\xff\xfe", b"\xfe\xff")):
        # A byte order mark outranks the label in most readers.
        raise MalformedContent(RewriteDetail.UNSUITABLE_CHARSET)
    is_html = part.type.media_type != PLAIN
    shown = decoded
    if family is CharsetFamily.STATEFUL:
        shown = mask_shifted(decoded)
        if is_html and has_shifted_line_end(decoded):
            raise MalformedContent(RewriteDetail.UNSUITABLE_CHARSET)
    elif is_html and not part.type.charset and b"\x1b" in decoded:
        # By what a <meta> says, this may be a shift or not.
        raise MalformedContent(RewriteDetail.UNSUITABLE_CHARSET)
    return _Text(encoded, decoded, shown, codec, family)


def _fill(decoded: bytes, placeholder: Placeholder, is_html: bool) -> list[Splice]:
    """One splice for each occurrence of the placeholder, in order. Raises ``MalformedContent`` for too many."""
    if sum(map(decoded.count, placeholder.spellings)) > MAX_PLACEHOLDERS:
        raise MalformedContent(RewriteDetail.TOO_MANY_PLACEHOLDERS)
    found = []
    for spelling in placeholder.spellings:
        at = decoded.find(spelling)
        while at >= 0:
            found.append(Splice(at, at + len(spelling), b"", b"", b"", b"", is_html))
            at = decoded.find(spelling, at + len(spelling))
    found.sort()
    return found


def _check_armour(decoded: bytes) -> None:
    """Inline OpenPGP (RFC 9580 6.2): text behind the armour looks forged, text inside breaks it."""
    at = decoded.find(_ARMOUR)
    while at >= 0:
        if not at or decoded[at - 1] == 0x0A:
            kind = decoded[at + len(_ARMOUR) : at + len(_ARMOUR) + 20]
            if kind.startswith(b"SIGNED MESSAGE"):
                raise MalformedContent(RewriteDetail.SIGNED)
            if kind.startswith(b"MESSAGE"):
                raise MalformedContent(RewriteDetail.ENCRYPTED)
        at = decoded.find(_ARMOUR, at + 1)


def _plain_splice(part: Part, text: _Text, footer: Footer, has_8bitmime: bool) -> Splice:
    decoded = text.decoded
    form = _plain_form(part, text, footer, has_8bitmime)
    # The last line is ended, then one empty line.
    separator = b"" if not decoded else b"\r\n" if decoded.endswith(b"\r\n") else b"\r\n\r\n"
    if part.type.is_flowed and _is_soft(decoded):
        # A soft line flows into the next one (RFC 3676 4.2): an empty line more, so that it takes that.
        separator += b"\r\n"
    if text.family is CharsetFamily.STATEFUL:
        back = render_return_to_ascii(decoded)
        if back:
            separator = back + separator
            quoted = b"".join(b"=%02X" % octet for octet in back) + separator[len(back) :]
            return _append(decoded, form, separator, quoted)
    return _append(decoded, form, separator, separator)


def _append(decoded: bytes, form: FooterForm, separator: bytes, quoted_separator: bytes) -> Splice:
    return Splice(
        len(decoded),
        len(decoded),
        separator + form.before,
        form.after,
        quoted_separator + form.qp_before,
        form.qp_after,
        False,
    )


def _plain_form(part: Part, text: _Text, footer: Footer, has_8bitmime: bool) -> FooterForm:
    """The richest form that changes neither the part's charset nor its encoding nor the message's need for 8BITMIME."""
    if text.codec is not None:
        return footer.plain_utf8
    if part.encoding in IDENTITY_ENCODINGS and (part.encoding == "7bit" or not has_8bitmime or text.decoded.isascii()):
        return footer.plain_ascii
    if text.family is CharsetFamily.UTF8:
        try:
            text.decoded.decode("utf-8")
        except UnicodeDecodeError:
            # A wrong label: only ASCII is read alike under the right one.
            return footer.plain_ascii
        return footer.plain_utf8
    return footer.plain_turkish if text.family is CharsetFamily.TURKISH else footer.plain_ascii


def _is_soft(decoded: bytes) -> bool:
    line = decoded.removesuffix(b"\r\n")
    return line.endswith(b" ") and line[line.rfind(b"\n") + 1 :] != b"-- "


def _html_splice(text: _Text, form: FooterForm, markup: Markup) -> Splice:
    html = text.decoded
    place = find_place(text.shown, markup)
    if place is None:
        raise MalformedContent(RewriteDetail.HIDDEN_TAIL)
    if html.startswith(b"--", place):
        # The footer ends its line, so this would begin one, and could be taken for a boundary line.
        raise MalformedContent(RewriteDetail.AMBIGUOUS_BOUNDARY)
    before, qp_before = form.before, form.qp_before
    if text.family is CharsetFamily.STATEFUL:
        back = render_return_to_ascii(html[:place])
        if back and place < len(html):
            raise MalformedContent(RewriteDetail.UNSUITABLE_CHARSET)
        before = back + before
        qp_before = b"".join(b"=%02X" % octet for octet in back) + qp_before
    return Splice(place, place, before, form.after, qp_before, form.qp_after, True)


def _find_links(decoded: bytes, base: bytes, markup: Markup | None) -> frozenset[bytes]:
    """The personal links that the leaf shows, in their plain form."""
    spans = []
    at = decoded.find(base)
    while at >= 0:
        end = _LINK_END.match(decoded, at)
        assert end is not None  # it matches the empty string
        spans.append(end.span())
        at = decoded.find(base, end.end())
    shown = _find_shown(decoded, spans, markup)
    links = [decoded[start:end] for (start, end), is_shown in zip(spans, shown, strict=True) if is_shown]
    return frozenset(link.replace(b"&amp;", b"&") if markup else link for link in links)


def _find_shown(decoded: bytes, links: list[tuple[int, int]], markup: Markup | None) -> list[bool]:
    """For each URL: whether it surely is one of its own that is seen. In doubt the footer comes as well."""
    if markup is None:
        return [is_delimited(decoded, start, end) for start, end in links]
    return [False] * len(links) if markup.is_ambiguous else find_visible(decoded, links, markup.unseen)


def _find_room(body: bytes, filled: list[Splice]) -> int:
    """The longest URL that keeps every line within 998 octets when it takes the place of each placeholder.

    Raises ``MalformedContent`` where that is less than the links of ordinary addresses need.
    """
    room = MAX_URL_BYTES
    line_end = -1
    rest = count = 0
    for splice in filled:
        if splice.start >= line_end:
            line_start = body.rfind(b"\n", 0, splice.start) + 1
            line_end = body.find(b"\r\n", splice.end)
            line_end = len(body) if line_end < 0 else line_end
            rest, count = line_end - line_start, 0
        rest -= splice.end - splice.start
        count += 1
        room = min(room, (MAX_LINE_BYTES - rest) // count)
    if room < ORDINARY_URL_BYTES:
        raise MalformedContent(RewriteDetail.LINE_TOO_LONG)
    return room
