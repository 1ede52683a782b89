"""Long texts cut into parts anew, with one reference for all of them (content rules C1 and C2.1).

A part has 140 octets: 160 septets or 70 UTF-16 units, less what the header takes. An escape and its
septet, or two surrogates, are never parted; the part before then ends one unit early.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from filters.smpp.coding import ESCAPE, Coding, Scheme, encode_units, write_units
from filters.smpp.fields import Tlv
from filters.smpp.numbers import HAS_HEADER, Tag
from filters.smpp.user_data import Concatenation, render_header
from filters.sms.alphabet import Encoding, measure_text

PART_OCTETS: Final = 140
MAX_PARTS: Final = 255
MAX_UNSPLIT: Final = 254
MAX_PAYLOAD: Final = 0xFFFF


_new = tuple.__new__
_OCTETS: Final = (Scheme.ASCII, Scheme.LATIN_1)


class LongStyle(StrEnum):
    """How a message of more than one part travels."""

    HEADER_8 = "udh-8"
    HEADER_16 = "udh-16"
    SAR = "sar"
    PAYLOAD = "payload"
    """Whole, in message_payload; the SMSC cuts it."""
    UNSPLIT = "unsplit"
    """Whole, in short_message beyond one part's size; the SMSC cuts it."""


class Piece(NamedTuple):
    """One submit_sm's worth of a text."""

    payload: bytes
    esm_class: int = 0
    tlvs: tuple[Tlv, ...] = ()
    is_in_tlv: bool = False


class TooLongError(ValueError):
    """The text needs more parts than there can be."""


def split_text(text: str, coding: Coding, style: LongStyle, find_reference: Callable[[], int]) -> list[Piece]:
    """``text`` in as few pieces as ``style`` allows. ``find_reference`` is asked where they are several.

    Raises ``TooLongError``; ``ValueError`` for characters that the coding lacks.
    """
    units = encode_units(text, coding)
    if style in (LongStyle.PAYLOAD, LongStyle.UNSPLIT):
        return [_whole(units, coding, is_in_tlv=style is LongStyle.PAYLOAD)]
    if coding.is_plain and len(units) <= capacity(coding, 0):
        return [_new(Piece, (write_units(units, coding), 0, (), False))]
    shifts = {"has_turkish_shift": coding.has_turkish_shift, "has_turkish_locking": coding.has_turkish_locking}
    header = render_header(None, **shifts)
    # What the SMSC will send a Latin-1 text as depends on its letters.
    is_wide_text = coding.scheme in _OCTETS and measure_text(text, Encoding.GSM7) is None
    if len(units) <= _room(coding, len(header), is_wide_text=is_wide_text):
        return [_piece(header, units, coding)]
    is_header = style is not LongStyle.SAR
    is_wide = style is LongStyle.HEADER_16
    if is_header:
        header = render_header(Concatenation(0, 1, 1, is_wide), **shifts)
    elif not header:
        # The SMSC makes the header out of the TLVs; room for it has to be left.
        header = render_header(Concatenation(0, 1, 1))
    cuts = _cut(units, coding, _room(coding, len(header), is_wide_text=is_wide_text))
    if len(cuts) > MAX_PARTS:
        raise TooLongError("more than 255 parts")
    reference = find_reference()
    pieces = []
    for number, cut in enumerate(cuts, 1):
        if is_header:
            header = render_header(Concatenation(reference, len(cuts), number, is_wide), **shifts)
            pieces.append(_piece(header, cut, coding))
        else:
            piece = _piece(render_header(None, **shifts), cut, coding)
            pieces.append(piece._replace(tlvs=_sar(reference, len(cuts), number)))
    return pieces


def capacity(coding: Coding, header_bytes: int) -> int:
    """How many octets of units fit beside a header of so many octets (with its length octet).

    Latin-1 and ASCII count as the SMSC will send them: in the 7-bit alphabet where that can be.
    """
    if coding.scheme is Scheme.UCS2:
        room = PART_OCTETS - header_bytes
        return room - room % 2
    return 160 - (header_bytes * 8 + 6) // 7


def _room(coding: Coding, header_bytes: int, *, is_wide_text: bool) -> int:
    return (PART_OCTETS - header_bytes) // 2 if is_wide_text else capacity(coding, header_bytes)


def _cut(units: bytes, coding: Coding, room: int) -> list[bytes]:
    cuts: list[bytes] = []
    at = 0
    while len(units) - at > room:
        end = at + room
        if coding.scheme is Scheme.UCS2:
            if 0xD8 <= units[end - 2] <= 0xDB:
                end -= 2
        elif coding.scheme in (Scheme.GSM, Scheme.GSM_PACKED) and units[end - 1] == ESCAPE:
            end -= 1
        cuts.append(units[at:end])
        at = end
    cuts.append(units[at:])
    return cuts


def _piece(header: bytes, units: bytes, coding: Coding) -> Piece:
    return Piece(header + write_units(units, coding, len(header)), HAS_HEADER if header else 0)


def _whole(units: bytes, coding: Coding, *, is_in_tlv: bool) -> Piece:
    header = render_header(
        None, has_turkish_shift=coding.has_turkish_shift, has_turkish_locking=coding.has_turkish_locking
    )
    piece = _piece(header, units, coding)
    if len(piece.payload) > MAX_PAYLOAD:
        raise TooLongError("more than a payload holds")
    return piece._replace(is_in_tlv=is_in_tlv or len(piece.payload) > MAX_UNSPLIT)


def _sar(reference: int, total: int, number: int) -> tuple[Tlv, ...]:
    return (
        Tlv(Tag.SAR_REFERENCE, (reference & 0xFFFF).to_bytes(2, "big")),
        Tlv(Tag.SAR_TOTAL, bytes((total,))),
        Tlv(Tag.SAR_NUMBER, bytes((number,))),
    )
