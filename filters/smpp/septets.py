"""Eight septets in seven octets: how a few SMSCs take data_coding 0 (3GPP TS 23.038, 6.1.2.1).

Everywhere else a septet has an octet of its own, as ``filters.sms.alphabet`` writes it.
"""

from __future__ import annotations

from typing import Final

_CR: Final = 0x0D


def pack(septets: bytes, header_octets: int = 0) -> bytes:
    """Lowest bit first, after a header of so many octets: with fill bits up to the next septet. Seven spare bits at
    the end become a CR, which would otherwise be read as "@"."""
    bits = -header_octets * 8 % 7
    value = 0
    for septet in septets:
        value |= septet << bits
        bits += 7
    if bits % 8 == 1:
        value |= _CR << bits
        bits += 7
    return value.to_bytes((bits + 7) // 8, "little")


def unpack(octets: bytes, header_octets: int = 0) -> bytes:
    """The septets in ``octets``, which follow a header of so many octets."""
    fill = -header_octets * 8 % 7
    value = int.from_bytes(octets, "little") >> fill
    bits = len(octets) * 8 - fill
    septets = bytes(value >> 7 * number & 0x7F for number in range(max(0, bits // 7)))
    # Seven spare bits are no character: zero by the older rule, CR by the newer.
    if septets and bits % 7 == 0 and septets[-1] in (0x00, _CR):
        return septets[:-1]
    return septets
