"""The 7-bit alphabets of SMS: default, its extension, and the Turkish national tables (3GPP TS 23.038, 6.2 and A.3).

Septets are octets below 0x80 here, one each ("unpacked", as most SMSCs take data_coding 0); ``pack`` and ``unpack`` go
to and from eight septets in seven octets. An octet or character that no table has is an error, never a question mark:
the text that is judged must be the text that is sent.
"""

from __future__ import annotations

from typing import Final

ESCAPE: Final = 0x1B

_DEFAULT: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = {
    0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€",
}  # fmt: skip
_TURKISH_SHIFT: Final = {0x47: "Ğ", 0x49: "İ", 0x53: "Ş", 0x63: "ç", 0x67: "ğ", 0x69: "ı", 0x73: "ş"}
_TURKISH_LOCKING: Final = {
    0x04: "€", 0x07: "ı", 0x0B: "Ğ", 0x0C: "ğ", 0x1C: "Ş", 0x1D: "ş", 0x40: "İ", 0x60: "ç",
}  # fmt: skip

_FOREIGN: Final = "\uffff"


class SeptetTable:
    """One combination of locking and single shift table."""

    __slots__ = ("_characters", "_escaped", "_septets")

    def __init__(self, *, has_turkish_shift: bool = False, has_turkish_locking: bool = False) -> None:
        base = dict(enumerate(_DEFAULT)) | (_TURKISH_LOCKING if has_turkish_locking else {})
        del base[ESCAPE]
        self._escaped = _EXTENSION | (_TURKISH_SHIFT if has_turkish_shift else {})
        self._characters: dict[int, str] = base
        # ASCII characters that the alphabet lacks (the back-tick) must not pass for the septet of the same number.
        self._septets: dict[int, str] = dict.fromkeys(range(128), _FOREIGN)
        for septet, character in self._escaped.items():
            self._septets[ord(character)] = chr(ESCAPE) + chr(septet)
        for septet, character in base.items():
            self._septets[ord(character)] = chr(septet)

    def decode(self, septets: bytes) -> str:
        """The text; raises ``ValueError`` for octets above 0x7F and for escapes that mean nothing."""
        if not septets.isascii():
            raise ValueError("octets outside the 7-bit alphabet")
        if ESCAPE not in septets:
            return septets.decode("ascii").translate(self._characters)
        pieces: list[str] = []
        at = 0
        while (escape := septets.find(ESCAPE, at)) >= 0:
            pieces.append(septets[at:escape].decode("ascii").translate(self._characters))
            character = self._escaped.get(septets[escape + 1]) if escape + 1 < len(septets) else None
            if character is None:
                raise ValueError("an escape that means nothing")
            pieces.append(character)
            at = escape + 2
        pieces.append(septets[at:].decode("ascii").translate(self._characters))
        return "".join(pieces)

    def encode(self, text: str) -> bytes:
        """One octet for each septet; raises ``ValueError`` for a character that the tables lack."""
        return text.translate(self._septets).encode("ascii")  # UnicodeEncodeError is a ValueError


PLAIN: Final = SeptetTable()
TURKISH_SHIFT: Final = SeptetTable(has_turkish_shift=True)
TURKISH_LOCKING: Final = SeptetTable(has_turkish_locking=True)
TURKISH_BOTH: Final = SeptetTable(has_turkish_shift=True, has_turkish_locking=True)


def pack(septets: bytes, header_octets: int = 0) -> bytes:
    """Eight septets in seven octets, lowest bit first (23.038, 6.1.2.1), after a header of so many octets: with fill
    bits up to the next septet. Seven spare bits at the end become a CR, which would otherwise be read as "@"."""
    fill = -header_octets * 8 % 7
    bits = fill
    value = 0
    for septet in septets:
        value |= septet << bits
        bits += 7
    if bits % 8 == 1:
        value |= 0x0D << bits
        bits += 7
    return value.to_bytes((bits + 7) // 8, "little")


def unpack(octets: bytes, header_octets: int = 0) -> bytes:
    """The septets in ``octets``, which follow a header of so many octets."""
    fill = -header_octets * 8 % 7
    value = int.from_bytes(octets, "little") >> fill
    count = max(0, (len(octets) * 8 - fill) // 7)
    septets = bytes(value >> 7 * number & 0x7F for number in range(count))
    # Seven spare bits are no character: zero by the older rule, CR by the newer.
    if count and (len(octets) * 8 - fill) % 7 == 0 and septets[-1] in (0x00, 0x0D):
        return septets[:-1]
    return septets
