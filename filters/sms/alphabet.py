"""The alphabets of SMS and what each character costs in them (3GPP TS 23.038; content rules C1).

A 7-bit alphabet is two tables of 128 codes: the locking table, one septet a character, and the single shift table,
reached by an escape, two septets a character. Turkish replaces either or both, which costs header octets in each part
of a message. UCS-2 is counted in 16-bit units; a character beyond U+FFFF takes two.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

_ESCAPE: Final = 0x1B
_NOBODY: Final = "\ufffe"  # a noncharacter: "no character has this code", to the codec machinery as well

_DEFAULT: Final = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ" + _NOBODY + "ÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_SHIFTED: Final = {
    0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€",
}  # fmt: skip
_TURKISH_LOCKING: Final = {
    0x04: "€", 0x07: "ı", 0x0B: "Ğ", 0x0C: "ğ", 0x1C: "Ş", 0x1D: "ş", 0x40: "İ", 0x60: "ç",
}  # fmt: skip
_TURKISH_SHIFTED: Final = {0x47: "Ğ", 0x49: "İ", 0x53: "Ş", 0x63: "ç", 0x67: "ğ", 0x69: "ı", 0x73: "ş"}

_TO_ASCII: Final = str.maketrans("çÇğĞıİöÖşŞüÜâÂîÎûÛ‘’“”–—\u00a0", "cCgGiIoOsSuUaAiIuU''\"\"-- ") | {
    ord("…"): "...",
    ord("₺"): "TL",
}


class Encoding(StrEnum):
    """How a text travels. ``TURKISH_BOTH`` has the locking and the single shift table."""

    GSM7 = "gsm7"
    TURKISH_SINGLE = "turkish_single"
    TURKISH_LOCKING = "turkish_locking"
    TURKISH_BOTH = "turkish_both"
    UCS2 = "ucs2"


class Units(NamedTuple):
    """A text in an encoding. ``total``: septets, or 16-bit units. ``pairs``: how many characters take two of them.

    ``octets`` is the encoded form for ``step_units``, not the wire form.
    """

    total: int
    pairs: int
    octets: bytes


class _Table:
    """One 7-bit alphabet, as a map of characters to single octets: those above 0x7F mean "escape and the rest".

    The map is the C codec's own, which wants NUL at 0; ``@`` therefore stands at the code of the escape.
    """

    __slots__ = ("_from_code", "_map", "_pairs", "_to_code", "holds")

    def __init__(self, locking: dict[int, str], shifted: dict[int, str], folded: str = "") -> None:
        """``folded``: further characters that count one septet because the provider will have folded them."""
        codes = [locking.get(code, char) for code, char in enumerate(_DEFAULT)]
        codes[_ESCAPE], codes[0] = codes[0], "\0"
        shift = [shifted.get(code, _NOBODY) for code in range(128)]
        self._pairs = bytes(128 + code for code, char in enumerate(shift) if char != _NOBODY)
        # What the locking table has costs one septet; the shift table's copy serves only to read.
        upper = [_NOBODY if char in codes else char for char in shift]
        free = (code for code in range(127) if shift[code] == _NOBODY)
        for code, char in zip(free, [char for char in folded if char not in codes], strict=False):
            upper[code] = char
        written = "".join(codes + upper)
        self._map = codecs.charmap_build(written)
        self.holds = frozenset(written) - {"\0", _NOBODY}
        self._to_code = bytes.maketrans(bytes((_ESCAPE,)), b"\0")
        codes[_ESCAPE], codes[0] = " ", codes[_ESCAPE]  # an escape that begins nothing reads as a space (6.2.1.1)
        self._from_code = codes, shift

    def measure(self, text: str) -> Units | None:
        try:
            octets, _ = codecs.charmap_encode(text, "strict", self._map)
        except UnicodeEncodeError:
            return None
        if b"\0" in octets:  # only NUL itself maps there
            return None
        if octets.isascii():
            return Units(len(octets), 0, octets)
        pairs = len(octets) - len(octets.translate(None, self._pairs))
        return Units(len(octets) + pairs, pairs, octets)

    def step_units(self, octets: bytes) -> bytes:
        for pair in self._pairs:
            octets = octets.replace(bytes((pair,)), bytes((0xFF, pair - 128)))
        return octets

    def write(self, octets: bytes) -> bytes:
        octets = octets.translate(self._to_code)
        for pair in self._pairs:
            octets = octets.replace(bytes((pair,)), bytes((_ESCAPE, pair - 128)))
        return octets

    def read(self, septets: bytes) -> str:
        if not septets.isascii():
            raise ValueError("septets: expected one in each octet, below 0x80")
        codes, shift = self._from_code
        pieces: list[str] = []
        is_escaped = False
        for septet in septets:
            if is_escaped:
                # A code that the shift table leaves empty shows as in the locking table (3GPP TS 23.038, 6.2.1.1).
                pieces.append(codes[septet] if shift[septet] == _NOBODY else shift[septet])
                is_escaped = False
            elif septet == _ESCAPE:
                is_escaped = True
            else:
                pieces.append(codes[septet])
        return "".join(pieces)


_TABLES: Final = {
    Encoding.GSM7: _Table({}, _SHIFTED),
    Encoding.TURKISH_SINGLE: _Table({}, _SHIFTED | _TURKISH_SHIFTED),
    Encoding.TURKISH_LOCKING: _Table(_TURKISH_LOCKING, _SHIFTED),
    Encoding.TURKISH_BOTH: _Table(_TURKISH_LOCKING, _SHIFTED | _TURKISH_SHIFTED),
}

_SEVEN_BIT: Final = frozenset(_TABLES)

_LOOK_ALIKES: Final = "".join(chr(letter) for letter, plain in _TO_ASCII.items() if isinstance(plain, int))
_FOLDED: Final = _Table({}, _SHIFTED, _LOOK_ALIKES)

ASCII_ONE_UNIT: Final = frozenset(
    char
    for char in map(chr, range(32, 127))
    if all((units := table.measure(char)) and units.total == 1 for table in _TABLES.values())
)
"""The printable ASCII that costs one unit in every encoding: what a suffix is made of."""


def is_seven_bit(encoding: Encoding) -> bool:
    """Whether ``encoding`` is counted in septets."""
    return encoding in _SEVEN_BIT


def find_characters(encoding: Encoding) -> frozenset[str] | None:
    """All characters that a 7-bit ``encoding`` can hold; None for UCS-2, which holds every character there is."""
    table = _TABLES.get(encoding)
    return table.holds if table else None


def find_measure(encoding: Encoding) -> Callable[[str], Units | None]:
    """``measure_text`` for one encoding, for those that ask it of many texts."""
    return _TABLES[encoding].measure if encoding in _TABLES else _measure_ucs2


def measure_text(text: str, encoding: Encoding) -> Units | None:
    """What ``text`` costs in ``encoding``; None where it holds a character that ``encoding`` lacks.

    UCS-2 lacks nothing but half a surrogate pair, which is no character.
    """
    return find_measure(encoding)(text)


def _measure_ucs2(text: str) -> Units | None:
    try:
        octets = text.encode("utf-16-be")
    except UnicodeEncodeError:
        return None
    total = len(octets) // 2
    return Units(total, total - len(text), octets)


def measure_folded(text: str) -> Units | None:
    """What ``text`` costs in the default alphabet once ``fold_letters`` is done; None as for ``measure_text``."""
    units = _FOLDED.measure(text)
    return units or _TABLES[Encoding.GSM7].measure(fold_letters(text))


def find_costs(text: str) -> dict[Encoding, int]:
    """The encodings that can hold ``text``, with its cost in septets or 16-bit units, header octets not counted."""
    measured = ((encoding, measure_text(text, encoding)) for encoding in Encoding)
    return {encoding: units.total for encoding, units in measured if units is not None}


def step_units(units: Units, encoding: Encoding) -> tuple[bytes, int]:
    """The text as equally wide steps, one for each unit, and the width of a step in octets.

    The first unit of a pair begins with 0xFF in a 7-bit encoding, with 0xD8 to 0xDB in UCS-2.
    """
    table = _TABLES.get(encoding)
    return (table.step_units(units.octets), 1) if table else (units.octets, 2)


def encode_text(text: str, encoding: Encoding) -> bytes:
    """The user data of ``text``: septets, one in each octet ("unpacked"), or UCS-2 with the high octet first.

    Raises ``ValueError`` where ``encoding`` lacks a character, or for half a surrogate pair.
    """
    table = _TABLES.get(encoding)
    if table is None:
        return text.encode("utf-16-be")
    units = table.measure(text)
    if units is None:
        raise ValueError(f"text: a character is not in {encoding}")
    return table.write(units.octets)


def decode_text(octets: bytes, encoding: Encoding) -> str:
    """The text of user data as ``encode_text`` writes it. Raises ``ValueError`` for octets that are no such thing."""
    table = _TABLES.get(encoding)
    return table.read(octets) if table else octets.decode("utf-16-be")


def fold_letters(text: str) -> str:
    """``text`` as a provider folds it that was sent no alphabet: Turkish letters to ASCII look-alikes (C2).

    For counting and for our own words only; what a sender wrote is never changed.
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text).translate(_TO_ASCII)
