"""SMS counted a second time: every segment is built bit by bit, as it would go over the air, and then counted.

Shares nothing with ``filters.sms``: its own letters, no capacities (a segment is full when its 1120 bits are), no
totals. Slow on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator

SEGMENT_BITS = 140 * 8

ONE_SEPTET = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà0123456789"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
ESCAPED = set("\f^{}\\[~]|€")
TURKISH = set("ĞğİıŞşç")
LOST_BY_LOCKING = set("èìØøÆæ¡¿")

IE_8_BIT = bytes.fromhex("0003010203")
IE_16_BIT = bytes.fromhex("080400010203")
IE_SINGLE = bytes.fromhex("240101")
IE_LOCKING = bytes.fromhex("250101")

NATIONAL = {
    "gsm7": b"",
    "turkish_single": IE_SINGLE,
    "turkish_locking": IE_LOCKING,
    "turkish_both": IE_LOCKING + IE_SINGLE,
    "ucs2": b"",
}


def bits_of(character: str, encoding: str) -> int | None:
    """Bits that a character takes; None where the encoding has no such character."""
    if encoding == "ucs2":
        code = ord(character)
        if 0xD800 <= code < 0xE000:
            return None
        return 16 if code < 0x10000 else 32
    is_locking = encoding in ("turkish_locking", "turkish_both")
    if is_locking and character in LOST_BY_LOCKING:
        return None
    if is_locking and (character in TURKISH or character == "€"):
        return 7
    if character in ONE_SEPTET:
        return 7
    if character in ESCAPED or (character in TURKISH and encoding == "turkish_single"):
        return 14
    return None


def can_hold(text: str, encoding: str) -> bool:
    return all(bits_of(character, encoding) is not None for character in text)


def header_bits(elements: bytes, encoding: str) -> int:
    """The header with its length octet, and the fill bits that bring 7-bit text to a septet boundary."""
    if not elements:
        return 0
    bits = 8 * (1 + len(elements))
    return bits if encoding == "ucs2" else bits + -bits % 7


def segments_of(text: str, encoding: str, *, reference_bits: int = 8) -> list[str]:
    """The text of each segment. Characters are laid in one by one; one that finds no room opens the next segment."""
    whole = header_bits(NATIONAL[encoding], encoding)
    if whole + sum(bits_of(character, encoding) or 0 for character in text) <= SEGMENT_BITS:
        return [text]
    numbered = NATIONAL[encoding] + (IE_8_BIT if reference_bits == 8 else IE_16_BIT)
    return list(_lay_in(text, encoding, header_bits(numbered, encoding)))


def _lay_in(text: str, encoding: str, header: int) -> Iterator[str]:
    segment, used = "", header
    for character in text:
        wanted = bits_of(character, encoding) or 0
        if used + wanted > SEGMENT_BITS:
            yield segment
            segment, used = "", header
        segment += character
        used += wanted
    yield segment


def count(text: str, encoding: str, *, reference_bits: int = 8, code: str = "") -> int:
    """Segments of ``text`` once the operator has put its code behind it."""
    return len(segments_of(text + code, encoding, reference_bits=reference_bits))
