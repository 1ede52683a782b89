"""What a charset label means for text that is added behind the sender's, which is never transcoded.

A table, not the codec registry: that one keeps every name it was ever asked for, and takes names that are no charsets.
"""

from __future__ import annotations

import re
from enum import Enum


class CharsetFamily(Enum):
    """How added text is written.

    ``UTF8``: footer in UTF-8. ``TURKISH``: in the octets common to iso-8859-9 and windows-1254. ``ASCII``: every other
    charset in which octets below 128 are ASCII, and unknown labels. ``STATEFUL``: ASCII after a return to the
    ASCII state. ``WIDE``: octets are decoded and encoded again. ``UNSUITABLE``: ASCII octets mean something else.
    """

    UTF8 = "utf-8"
    TURKISH = "iso-8859-9"
    ASCII = "ascii"
    STATEFUL = "iso-2022"
    WIDE = "wide"
    UNSUITABLE = "unsuitable"


_UTF8 = frozenset({"utf-8", "utf8"})
_TURKISH = frozenset(
    {
        "iso-8859-9",
        "iso8859-9",
        "iso_8859-9",
        "iso_8859-9:1989",
        "iso-ir-148",
        "latin5",
        "l5",
        "csisolatin5",
        "windows-1254",
        "cp1254",
        "x-cp1254",
    }
)
_WIDE = frozenset({"utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be"})
_STATEFUL = ("iso-2022", "iso2022", "iso_2022", "csiso2022", "jis")
# UTF-7 and HZ give "+" and "~" a meaning; UCS-2, UCS-4 and other names of UTF-16 and UTF-32 leave
# the byte order open; the rest are EBCDIC or compressed.
_UNSUITABLE = re.compile(
    r"(?:.*utf-?7|(?:x-|cs)?utf[-_]?(?:16|32).*|(?:x-)?unicode.*|hz(?:-gb-2312)?|.*ucs-?[24].*|csunicode.*|scsu|bocu-1|utf-ebcdic|.*ebcdic.*"
    r"|(?:cp|ibm|ibm-|x-cp|cp-)?0?(?:037|273|27[4578]|28[0145]|297|42[034]|500|87[015]|880|905|918|924|1026|1047|0?114\d))"
)


def find_family(charset: str) -> CharsetFamily:
    """The family of a lower-case label; "" (no label) is us-ascii."""
    if not charset or charset == "us-ascii":
        return CharsetFamily.ASCII
    if charset in _UTF8:
        return CharsetFamily.UTF8
    if charset in _TURKISH:
        return CharsetFamily.TURKISH
    if charset.startswith(_STATEFUL):
        return CharsetFamily.STATEFUL
    if charset.replace("_", "-") in _WIDE:
        return CharsetFamily.WIDE
    if len(charset) > 40 or _UNSUITABLE.fullmatch(charset):
        return CharsetFamily.UNSUITABLE if len(charset) <= 40 else CharsetFamily.ASCII
    return CharsetFamily.ASCII


def render_return_to_ascii(text: bytes) -> bytes:
    """What brings iso-2022 ``text`` back to the ASCII state at its end; empty if it is there already (RFC 1468, 1557).

    The last escape sequence that designates G0 decides for the Japanese family, the last shift for the others.
    """
    back = b""
    if text.rfind(b"\x0e") > text.rfind(b"\x0f"):
        back = b"\x0f"
    designated = max(text.rfind(b"\x1b("), text.rfind(b"\x1b$"))
    if designated >= 0 and text[designated : designated + 3] not in (b"\x1b(B", b"\x1b$)", b"\x1b$*", b"\x1b$+"):
        back += b"\x1b(B"
    return back


# From an escape sequence that designates G0, and neither as ASCII nor as JIS Roman, to the next; or from shift to
# shift.
_SHIFTED = re.compile(rb"\x1b(?!\([BJ]|\$[)*+])[^\x1b]*|\x0e[^\x0f]*")


def mask_shifted(text: bytes) -> bytes:
    """iso-2022 ``text``, at the same length, with letters for octets that only look like ASCII: there "<" is half of a
    character.
    """
    return _SHIFTED.sub(lambda run: b"x" * len(run[0]), text)


def has_shifted_line_end(text: bytes) -> bool:
    """Whether a line of iso-2022 ``text`` ends in another state than ASCII: for some readers the next begins in ASCII
    all the same.
    """
    return any(b"\n" in run for run in _SHIFTED.findall(text))


def find_wide_codec(charset: str, text: bytes) -> str | None:
    """The codec with explicit byte order for a ``WIDE`` label, or None where the order is open.

    By the label, or by the byte order mark. "utf-16" without a mark would be big-endian by RFC 2781, but readers
    guess: not for us to join in.
    """
    label = charset.replace("_", "-")
    if label.endswith(("le", "be")):
        return f"{label[:-2]}-{label[-2:]}"
    marks = (
        ((b"\xff\xfe\0\0", "utf-32-le"), (b"\0\0\xfe\xff", "utf-32-be"))
        if label == "utf-32"
        else ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
    )
    return next((codec for mark, codec in marks if text.startswith(mark)), None)
