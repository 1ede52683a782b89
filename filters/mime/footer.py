"""The visible opt-out: who sends, and one link that stops it (Law 6563 7/2; Reg. 8/2, 9/3, 9/4).

Rendered once per brand in the forms that content-rules B5 asks for, each with one slot for the personal URL.
"""

from __future__ import annotations

import base64
import textwrap
import unicodedata
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from filters.brand import Brand
from filters.mime.limits import DEFAULT_LIMITS, Limits
from filters.mime.transfer import LINE_COLUMNS, encode_quoted_printable

Language = Literal["tr", "en", "tr+en"]

_SLOT = "\0"
_PLAIN_COLUMNS = 72
_MAX_TEXT = 400

# Letters of Turkish as ASCII (content-rules C2); the rest loses its accents by decomposition.
_TO_ASCII = str.maketrans("çÇğĞıİöÖşŞüÜâÂîÎûÛ‘’“”–—\u00a0", "cCgGiIoOsSuUaAiIuU''\"\"-- ") | {
    ord("…"): "...",
    ord("₺"): "TL",
}


class FooterTexts(NamedTuple):
    """The words around link and identity. ``invitation`` stands before the link in plain text, ``link_words`` are the
    link's own text in HTML and name the act; ``sender``, ``mersis``, ``trader_id``, ``contact`` are labels.
    """

    invitation: str
    link_words: str
    sender: str
    mersis: str
    trader_id: str
    contact: str


_TEXTS: dict[str, FooterTexts] = {
    "tr": FooterTexts(
        "E-posta almayı durdurmak için bu bağlantıyı açın:",
        "E-posta almayı durdurmak için tıklayın",
        "Gönderen",
        "MERSİS No",
        "T.C. Kimlik No",
        "İletişim",
    ),
    "en": FooterTexts(
        "To stop receiving these e-mails, open this link:",
        "Click here to stop receiving these e-mails",
        "Sender",
        "MERSIS No",
        "T.C. identity No",
        "Contact",
    ),
    "tr+en": FooterTexts(
        "E-posta almayı durdurmak için bu bağlantıyı açın / To stop receiving these e-mails, open this link:",
        "E-posta almayı durdurmak için tıklayın / Click here to stop receiving these e-mails",
        "Gönderen / Sender",
        "MERSİS No",
        "T.C. Kimlik No",
        "İletişim / Contact",
    ),
}


class FooterForm(NamedTuple):
    """One rendering: what stands before and after the URL, as octets and as quoted-printable.

    Neither holds a line that begins with a hyphen, which with ``transfer`` proves that no added line is a boundary
    line. ``before`` starts at a line start, ``after`` ends with CRLF.
    """

    before: bytes
    after: bytes
    qp_before: bytes
    qp_after: bytes


class Footer(NamedTuple):
    """A brand's footer. ``plain_turkish`` is in the octets common to iso-8859-9 and windows-1254, or the ASCII form
    where the text does not fit them. ``html`` is pure ASCII with numeric references; ``amp`` as well,
    without "!important", which AMP forbids to all. ``link_base``: what every personal URL of the brand begins with.
    ``list_id`` and ``list_id_utf8``: complete List-Id fields.
    ``allowance_bytes``: what one message can grow by at most, header fields included.
    """

    plain_utf8: FooterForm
    plain_turkish: FooterForm
    plain_ascii: FooterForm
    html: FooterForm
    amp: FooterForm
    link_base: bytes
    list_id: bytes
    list_id_utf8: bytes
    allowance_bytes: int


LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")
"""Here http is accepted as well: what never leaves the machine is for trying things out (RFC 8058 wants https)."""

MAX_URL_BYTES = 900
"""Longest personal URL, with ``&`` written as ``&amp;``; longest ``mailto:`` URI. A header line holds either."""


def find_texts(language: Language) -> FooterTexts:
    """Our own words in ``language``, to be replaced in part where a brand has its own."""
    return _TEXTS[language]


def make_footer(
    brand: Brand, language: Language = "tr+en", *, texts: FooterTexts | None = None, limits: Limits = DEFAULT_LIMITS
) -> Footer:
    """Render the footer of ``brand``.

    Raises ``ValueError`` for a brand without identity (Law 6563 7/2) or without an https ``opt_out_url``, and for own
    ``texts`` that are empty, too long, or would be cut off or altered by readers.
    """
    if not brand.has_identity:
        raise ValueError("brand identity: expected MERSİS number and title, or trader's name and T.C. number")
    address = urlsplit(brand.opt_out_url)
    is_secure = address.scheme == "https" or (address.scheme == "http" and address.hostname in LOOPBACK_HOSTS)
    if not is_secure or not address.hostname or not brand.opt_out_url.isascii():
        raise ValueError("opt_out_url: expected an ASCII https URL")
    words = _checked(texts or _TEXTS[language])
    identity = _identity(brand, words)
    plain = [*_wrap(words.invitation), f"<{_SLOT}>", *_wrap(identity)]
    ascii_form = _plain_form([to_ascii(line) for line in plain], "ascii")
    footer = Footer(
        plain_utf8=_plain_form(plain, "utf-8"),
        plain_turkish=_turkish_form(plain) or ascii_form,
        plain_ascii=ascii_form,
        html=_html_form(words.link_words, identity, is_important=True),
        amp=_html_form(words.link_words, identity, is_important=False),
        link_base=brand.opt_out_url.rstrip("/").encode("ascii") + b"/",
        list_id=_list_id(brand, address.hostname, is_utf8=False),
        list_id_utf8=_list_id(brand, address.hostname, is_utf8=True),
        allowance_bytes=0,
    )
    return footer._replace(allowance_bytes=_allowance(footer, limits))


def to_ascii(text: str) -> str:
    """``text`` with Turkish letters and typographic marks in their plain ASCII forms; "?" for what has none."""
    composed = unicodedata.normalize("NFC", text).translate(_TO_ASCII)
    decomposed = unicodedata.normalize("NFKD", composed)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).encode("ascii", "replace").decode("ascii")


def _one_line(text: str) -> str:
    """``text`` without control characters and line ends, blanks collapsed: nothing from settings can add a line."""
    visible = "".join(" " if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" else c for c in text)
    return " ".join(visible.split())


def _checked(words: FooterTexts) -> FooterTexts:
    cleaned = FooterTexts(*(_one_line(text) for text in words))
    for name, text in zip(FooterTexts._fields, cleaned, strict=True):
        if not text or len(text) > _MAX_TEXT:
            raise ValueError(f"footer text {name}: expected 1 to {_MAX_TEXT} characters, found {len(text)}")
    # A signature marker is cut by quoting readers; ">" and "From " are altered on the way (RFC 3676 4.4).
    if cleaned.invitation.startswith(("-", ">", "From ")):
        raise ValueError('footer text invitation: may not begin with "-", ">" or "From "')
    return cleaned


def _identity(brand: Brand, words: FooterTexts) -> str:
    if brand.mersis and brand.title:
        who = f"{words.sender}: {brand.title}, {words.mersis}: {brand.mersis}"
    else:
        who = f"{words.sender}: {brand.trader_name}, {words.trader_id}: {brand.trader_id}"
    return _one_line(f"{who}, {words.contact}: {brand.contact}" if brand.contact else who)


def _wrap(text: str) -> list[str]:
    """Lines of at most 72 columns, cut only at blanks that do not bring a hyphen, ">" or "From " to a line start."""
    lines: list[str] = []
    for line in textwrap.wrap(text, _PLAIN_COLUMNS, break_on_hyphens=False):
        if lines and line.startswith(("-", ">", "From ")):
            lines[-1] += " " + line
        else:
            lines.append(line)
    return lines


def _plain_form(lines: list[str], codec: str) -> FooterForm:
    text = "".join(f"{line}\r\n" for line in lines)
    before, after = text.encode(codec).split(_SLOT.encode())
    return FooterForm(before, after, encode_quoted_printable(before), encode_quoted_printable(after))


def _turkish_form(lines: list[str]) -> FooterForm | None:
    try:
        form = _plain_form(lines, "iso-8859-9")
    except UnicodeEncodeError:
        return None
    # 0x80 to 0x9F are controls in one of the two and letters in the other.
    return None if any(0x80 <= octet <= 0x9F for octet in form.before + form.after) else form


def _to_html(text: str) -> str:
    named = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return named.encode("ascii", "xmlcharrefreplace").decode("ascii")


# What a style sheet of the sender's could hide the footer by. A rule with "!important" there would win over a style
# without, and none wins over a style with it.
_SHOWN = "visibility:visible!important;opacity:1!important"
_BOX = (
    f"display:block!important;{_SHOWN};position:static!important;height:auto!important;max-height:none!important;"
    "text-indent:0!important;clear:both;margin:16px 0 0 0;padding:12px 8px;border-top:1px solid #cccccc;"
    "background-color:#ffffff!important;color:#333333!important;font-family:Arial,Helvetica,sans-serif;"
    "font-size:12px!important;line-height:18px!important;text-align:center"
)
_LINK = (
    f"display:inline!important;{_SHOWN};position:static!important;color:#0b57d0!important;font-size:12px!important;"
    "text-decoration:underline"
)


def _html_form(link_words: str, identity: str, *, is_important: bool) -> FooterForm:
    # Own inline styles: sizes and colours that are read, whatever the sender's style sheet says. The link is the
    # first thing in it, absolute, and in a line of its own, so that its length is bounded.
    before = f'\r\n<div style="{_BOX}">\r\n<a href="'
    after = (
        f'"\r\nstyle="{_LINK}">\r\n'
        + "".join(f"{line}\r\n" for line in _wrap_html(link_words))
        + "</a><br>\r\n"
        + "".join(f"{line}\r\n" for line in _wrap_html(identity))
        + "</div>\r\n"
    )
    if not is_important:
        before, after = (text.replace("!important", "") for text in (before, after))
    # The URL gets encoded lines of its own: a soft break on each side.
    return FooterForm(
        before.encode("ascii"),
        after.encode("ascii"),
        encode_quoted_printable(before.encode("ascii")) + b"=\r\n",
        b"=\r\n" + encode_quoted_printable(after.encode("ascii")),
    )


def _wrap_html(text: str) -> list[str]:
    lines: list[str] = []
    for line in textwrap.wrap(_to_html(text), 200, break_on_hyphens=False, break_long_words=False):
        if lines and line.startswith("-"):
            lines[-1] += " " + line
        else:
            lines.append(line)
    return lines


def _list_id(brand: Brand, host: str, *, is_utf8: bool) -> bytes:
    """One List-Id per brand (RFC 2919): stable, domain-like, below 255 characters."""
    name = _one_line(brand.name).replace("\\", "").replace('"', "")[:60]
    if name.isascii() or is_utf8:
        phrase = f'"{name}"'.encode()
    else:
        # RFC 2047: one encoded word is at most 75 characters, so at most 45 octets; characters stay whole.
        words: list[bytes] = []
        word = b""
        for character in name:
            octets = character.encode()
            if len(word) + len(octets) > 45:
                words.append(word)
                word = b""
            word += octets
        phrase = b" ".join(b"=?utf-8?b?" + base64.b64encode(part) + b"?=" for part in (*words, word))
    return b"List-Id: %s <%d.%s>\r\n" % (phrase, brand.code, host[-200:].lstrip(".-").encode("ascii"))


def _allowance(footer: Footer, limits: Limits) -> int:
    """Growth of one message in the worst case: every view in the dearest encoding, all header fields new."""
    forms = (footer.plain_utf8, footer.plain_turkish, footer.plain_ascii, footer.html)
    quoted = max(len(form.qp_before) + len(form.qp_after) for form in forms)
    plain = max(len(form.before) + len(form.after) for form in forms)
    # A wide charset has up to four octets a character, base64 four characters for three of them, and line ends.
    wide = 4 * (max(len(form.before) + len(form.after) for form in (footer.plain_ascii, footer.html)) + MAX_URL_BYTES)
    encoded = max(plain + MAX_URL_BYTES, wide)
    based = encoded * 4 // 3 + (encoded * 4 // 3 // LINE_COLUMNS + 4) * 2
    views = limits.views * (max(quoted + 4 * MAX_URL_BYTES, based) + 64)
    headers = 2 * MAX_URL_BYTES + len(footer.list_id_utf8) + len(footer.list_id) + 256
    return views + headers
