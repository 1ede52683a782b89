"""How many segments a text becomes (3GPP TS 23.040; content rules C1).

A segment carries 140 octets. What is announced in a header (a national table, the place among several parts) is taken
from that. A character that takes two units is never split: the segment is closed one unit early instead, so the
number is not simply the total divided by the capacity.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from filters.sms.alphabet import Encoding, Units, is_seven_bit, measure_text, step_units

MAX_SEGMENTS: Final = 255
"""The place among the parts is one octet; operators often allow far fewer."""

_USER_DATA_OCTETS = 140
_LENGTH_OCTET = 1
_CONCATENATION = {8: 5, 16: 6}
"""Octets of the information elements 0x00 and 0x08, by width of the reference."""
_NATIONAL_TABLE = 3
"""Octets of each information element 0x24 (single shift) or 0x25 (locking shift)."""
_TABLES = {Encoding.TURKISH_SINGLE: 1, Encoding.TURKISH_LOCKING: 1, Encoding.TURKISH_BOTH: 2}


class Capacity(NamedTuple):
    """Units in the only segment of a short text, and in each segment of a long one."""

    single: int
    each: int


def find_capacity(encoding: Encoding, reference_bits: int = 8) -> Capacity:
    """Septets or 16-bit units that fit. ``reference_bits``: 8 or 16, how wide the sender's side counts long texts."""
    return _CAPACITIES[encoding, reference_bits]


def _make_capacity(encoding: Encoding, reference_bits: int) -> Capacity:
    tables = _NATIONAL_TABLE * _TABLES.get(encoding, 0)
    header = _LENGTH_OCTET + tables if tables else 0
    long_header = _LENGTH_OCTET + tables + _CONCATENATION[reference_bits]
    if is_seven_bit(encoding):
        return Capacity(_septets(header), _septets(long_header))
    return Capacity((_USER_DATA_OCTETS - header) // 2, (_USER_DATA_OCTETS - long_header) // 2)


def _septets(header_octets: int) -> int:
    """The header is filled up with bits to a whole septet (TS 23.040, 9.2.3.24)."""
    return (_USER_DATA_OCTETS - header_octets) * 8 // 7


_CAPACITIES: Final = {
    (encoding, bits): _make_capacity(encoding, bits) for encoding in Encoding for bits in _CONCATENATION
}


class Packing(NamedTuple):
    """A text laid out in segments of a long message: ``full`` ones that nothing can join, and ``used`` units in the
    next. ``total`` is what decides whether it is a long message at all.
    """

    capacity: Capacity
    total: int
    full: int
    used: int

    def count(self, more: int = 0) -> int:
        """Segments of the text with ``more`` characters of one unit behind it. An empty text takes one."""
        if self.total + more <= self.capacity.single:
            return 1
        return self.full - (-(self.used + more) // self.capacity.each)

    def find_room(self, segments: int) -> int:
        """The greatest ``more`` with ``count(more) <= segments``; negative where the text alone takes more."""
        if segments <= 1:
            return self.capacity.single - self.total
        return (segments - self.full) * self.capacity.each - self.used


def pack_units(units: Units, encoding: Encoding, capacity: Capacity) -> Packing:
    """Lay out a measured text."""
    each = capacity.each
    if not units.pairs or units.total <= each:
        full, used = divmod(units.total, each)
        return Packing(capacity, units.total, full, used)
    *before, last = _find_spans(units, encoding, each)
    return Packing(capacity, units.total, len(before), last[1] - last[0])


def count_segments(text: str, encoding: Encoding, *, reference_bits: int = 8, code_length: int = 0) -> int:
    """Segments of ``text`` with an operator code of ``code_length`` characters appended once behind it.

    Raises ``ValueError`` where ``encoding`` lacks a character.
    """
    capacity = find_capacity(encoding, reference_bits)
    return pack_units(_measure(text, encoding), encoding, capacity).count(code_length)


def _measure(text: str, encoding: Encoding) -> Units:
    units = measure_text(text, encoding)
    if units is None:
        raise ValueError(f"text: a character is not in {encoding}")
    return units


def _find_spans(units: Units, encoding: Encoding, each: int) -> Iterator[tuple[int, int]]:
    """Where each segment of a long text begins and ends, in units."""
    steps, width = step_units(units, encoding)
    start = 0
    while start < units.total:
        end = min(start + each, units.total)
        if end < units.total and _is_first_of_pair(steps[(end - 1) * width], width):
            end -= 1
        yield start, end
        start = end


def _is_first_of_pair(octet: int, width: int) -> bool:
    return 0xD8 <= octet <= 0xDB if width == 2 else octet == 0xFF
