"""The user data header: what stands before the text when esm_class says so (3GPP TS 23.040, 9.2.3.24).

Read strictly: an element stands once, lengths add up. Anything but concatenation and national tables makes the message
something else than a text to read (ports, pictures, vCards), so nothing is appended to it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from filters.smpp.fields import PduError
from filters.smpp.numbers import CommandStatus

CONCATENATED_8: Final = 0x00
CONCATENATED_16: Final = 0x08
SINGLE_SHIFT: Final = 0x24
LOCKING_SHIFT: Final = 0x25
TURKISH: Final = 1


class Concatenation(NamedTuple):
    """Which part of which message this is; ``number`` counts from one. ``is_wide``: 16 bits of reference."""

    reference: int
    total: int
    number: int
    is_wide: bool = False


class UserData(NamedTuple):
    """A header read and the octets after it. ``has_other``: an element we do not know."""

    content: bytes
    header_bytes: int = 0
    part: Concatenation | None = None
    has_turkish_shift: bool = False
    has_turkish_locking: bool = False
    has_other: bool = False


def _broken(detail: str) -> PduError:
    return PduError(CommandStatus.INVALID_ESM_CLASS, f"user data header: {detail}")


def parse_user_data(payload: bytes) -> UserData:
    """Header and content of a payload that begins with a header. Raises ``PduError``."""
    if not payload or payload[0] + 1 > len(payload):
        raise _broken("longer than the text")
    end = payload[0] + 1
    at = 1
    part: Concatenation | None = None
    shifts: dict[int, bool] = {}
    has_other = False
    while at < end:
        if end - at < 2 or end - at - 2 < payload[at + 1]:
            raise _broken("an element is cut off")
        element, length = payload[at], payload[at + 1]
        value = payload[at + 2 : at + 2 + length]
        at += 2 + length
        if element in (CONCATENATED_8, CONCATENATED_16):
            if part is not None or length != (3 if element == CONCATENATED_8 else 4):
                raise _broken("concatenation stands twice or has a wrong length")
            part = Concatenation(int.from_bytes(value[:-2], "big"), value[-2], value[-1], element == CONCATENATED_16)
        elif element in (SINGLE_SHIFT, LOCKING_SHIFT):
            if element in shifts or length != 1:
                raise _broken("a national table stands twice or has a wrong length")
            shifts[element] = value[0] == TURKISH
            has_other = has_other or value[0] not in (0, TURKISH)
        else:
            has_other = True
    if part is not None and not 1 <= part.number <= part.total:
        raise _broken("a part that its message does not have")
    return UserData(
        payload[end:], end, part, shifts.get(SINGLE_SHIFT, False), shifts.get(LOCKING_SHIFT, False), has_other
    )


def render_header(
    part: Concatenation | None, *, has_turkish_shift: bool = False, has_turkish_locking: bool = False
) -> bytes:
    """The header with its length octet, or b"" where there is nothing to say."""
    elements = b""
    if part is not None:
        kind, size = (CONCATENATED_16, 2) if part.is_wide else (CONCATENATED_8, 1)
        reference = (part.reference % (1 << 8 * size)).to_bytes(size, "big")
        elements += bytes((kind, size + 2)) + reference + bytes((part.total, part.number))
    if has_turkish_shift:
        elements += bytes((SINGLE_SHIFT, 1, TURKISH))
    if has_turkish_locking:
        elements += bytes((LOCKING_SHIFT, 1, TURKISH))
    return bytes((len(elements),)) + elements if elements else b""
