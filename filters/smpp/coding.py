"""Which octets are which text: data_coding, and what the SMSC means by its default alphabet (SMPP 3.4, 5.2.19)."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from filters.smpp.septets import pack, unpack
from filters.sms.alphabet import Encoding, decode_text, encode_text
from filters.sms.message import Alphabet


class DefaultAlphabet(StrEnum):
    """What data_coding 0 is on one link: the SMSC defines it, so its operator has to be asked."""

    GSM = "gsm"
    """GSM 7-bit, one octet each: what nearly all SMSCs take."""
    GSM_PACKED = "gsm-packed"
    LATIN_1 = "latin-1"


class Scheme(StrEnum):
    """How a text is put into octets."""

    GSM = "gsm"
    GSM_PACKED = "gsm-packed"
    ASCII = "ascii"
    LATIN_1 = "latin-1"
    UCS2 = "ucs-2"


class Coding(NamedTuple):
    """The encoding of one message: kept as the sender chose it (content rules C2.3)."""

    data_coding: int
    scheme: Scheme
    has_turkish_shift: bool = False
    has_turkish_locking: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the octets show how long a text is, and no header names a table."""
        if self.has_turkish_shift or self.has_turkish_locking:
            return False
        return self.scheme not in (Scheme.ASCII, Scheme.LATIN_1)

    @property
    def alphabet(self) -> Alphabet:
        """The same in the words all dialects share."""
        if self.scheme is Scheme.UCS2:
            return Alphabet.UNICODE
        if self.has_turkish_shift or self.has_turkish_locking:
            return Alphabet.TURKISH
        return Alphabet.DEFAULT


_SCHEMES: Final = {1: Scheme.ASCII, 3: Scheme.LATIN_1, 8: Scheme.UCS2}
_DEFAULTS: Final = {
    DefaultAlphabet.GSM: Scheme.GSM,
    DefaultAlphabet.GSM_PACKED: Scheme.GSM_PACKED,
    DefaultAlphabet.LATIN_1: Scheme.LATIN_1,
}
_TABLES: Final = {
    (False, False): Encoding.GSM7,
    (True, False): Encoding.TURKISH_SINGLE,
    (False, True): Encoding.TURKISH_LOCKING,
    (True, True): Encoding.TURKISH_BOTH,
}
ESCAPE: Final = 0x1B
_SAME_AS_ASCII: Final = {
    encoding: bytes(
        code for code in range(128) if code != ESCAPE and decode_text(bytes((code,)), encoding) == chr(code)
    )
    for encoding in _TABLES.values()
}
"""Septets that read as the ASCII character of the same number: most texts hold nothing else."""


@lru_cache(maxsize=256)
def find_coding(
    data_coding: int,
    default: DefaultAlphabet,
    *,
    has_turkish_shift: bool = False,
    has_turkish_locking: bool = False,
) -> Coding | None:
    """The coding of a text, or None where it is none that can be read: binary, flash, other alphabets."""
    scheme = _SCHEMES.get(data_coding)
    if data_coding == 0:
        scheme = _DEFAULTS[default]
    if scheme is None:
        return None
    is_septets = scheme in (Scheme.GSM, Scheme.GSM_PACKED)
    if (has_turkish_shift or has_turkish_locking) and not is_septets:
        return None
    return Coding(data_coding, scheme, has_turkish_shift, has_turkish_locking)


def read_units(octets: bytes, coding: Coding, header_bytes: int = 0) -> bytes:
    """The units of one part, whose text follows a header of so many octets: septets as octets, Latin-1 octets, or
    UTF-16 pairs of octets. Parts are joined as units, so that a pair cut by a careless sender is whole again."""
    return unpack(octets, header_bytes) if coding.scheme is Scheme.GSM_PACKED else octets


def decode_units(units: bytes, coding: Coding) -> str:
    """The text. Raises ``ValueError`` where the units are not that."""
    scheme = coding.scheme
    if scheme is Scheme.UCS2:
        # Surrogate pairs are let through: every handset reads UTF-16. A lone one is refused by the codec.
        return units.decode("utf-16-be")
    if scheme is Scheme.GSM or scheme is Scheme.GSM_PACKED:
        encoding = _TABLES[coding.has_turkish_shift, coding.has_turkish_locking]
        if not units.translate(None, _SAME_AS_ASCII[encoding]):
            return units.decode("ascii")
        return decode_text(units, encoding)
    return units.decode("latin-1" if scheme is Scheme.LATIN_1 else "ascii")


def encode_units(text: str, coding: Coding) -> bytes:
    """The text as units; packing comes after cutting. Raises ``ValueError`` for characters that the coding lacks."""
    scheme = coding.scheme
    if scheme is Scheme.UCS2:
        return text.encode("utf-16-be")
    if scheme is Scheme.GSM or scheme is Scheme.GSM_PACKED:
        encoding = _TABLES[coding.has_turkish_shift, coding.has_turkish_locking]
        if text.isascii() and not (octets := text.encode()).translate(None, _SAME_AS_ASCII[encoding]):
            return octets
        return encode_text(text, encoding)
    return text.encode("latin-1" if scheme is Scheme.LATIN_1 else "ascii")


def write_units(units: bytes, coding: Coding, header_bytes: int = 0) -> bytes:
    """What goes on the wire after a header of so many octets."""
    return pack(units, header_bytes) if coding.scheme is Scheme.GSM_PACKED else units
