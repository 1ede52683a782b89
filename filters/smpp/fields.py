"""What bodies are made of: C-octet strings, addresses, TLVs (SMPP 3.4, sections 3.1 and 5.3). Strict: never repaired.

Texts on the wire (titles, numbers, ids) have no alphabet in the standard; Latin-1 keeps every octet as it came.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final, NamedTuple

from filters.smpp.numbers import FIXED_LENGTHS, CommandStatus

TLV_HEAD: Final = Struct(">HH")
MAX_TLVS: Final = 64


class PduError(Exception):
    """A PDU that cannot be read. ``status`` is what its sender is told; the text names the field, never a value."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Address(NamedTuple):
    """Type of number, numbering plan, and the number or title as written (5.2.5 to 5.2.8)."""

    ton: int
    npi: int
    value: str


class Tlv(NamedTuple):
    """An optional parameter."""

    tag: int
    value: bytes


def read_string(body: bytes, at: int, size: int, status: int, field: str) -> tuple[str, int]:
    """The C-octet string at ``at`` of at most ``size`` octets with its NUL, and where the next field begins."""
    end = body.find(0, at, at + size)
    if end < 0:
        raise PduError(status, f"{field}: longer than {size - 1} octets, or without its end")
    return body[at:end].decode("latin-1"), end + 1


def read_octet(body: bytes, at: int, field: str) -> tuple[int, int]:
    """One octet."""
    if at >= len(body):
        raise PduError(CommandStatus.INVALID_COMMAND_LENGTH, f"{field}: missing")
    return body[at], at + 1


def read_address(body: bytes, at: int, size: int, status: int, field: str) -> tuple[Address, int]:
    """Type, plan and value of an address whose value takes at most ``size`` octets."""
    if at + 2 >= len(body):
        raise PduError(CommandStatus.INVALID_COMMAND_LENGTH, f"{field}: missing")
    end = body.find(0, at + 2, at + 2 + size)
    if end < 0:
        raise PduError(status, f"{field}: longer than {size - 1} octets, or without its end")
    return Address(body[at], body[at + 1], body[at + 2 : end].decode("latin-1")), end + 1


def read_tlvs(body: bytes, at: int) -> tuple[Tlv, ...]:
    """All TLVs from ``at`` to the end. A tag stands once; known ones have their length."""
    end = len(body)
    if at == end:
        return ()
    tlvs: list[Tlv] = []
    seen: set[int] = set()
    while at < end:
        if end - at < 4:
            raise PduError(CommandStatus.INVALID_TLV_STREAM, "optional parameters: cut off")
        tag, length = TLV_HEAD.unpack_from(body, at)
        at += 4
        if length > end - at:
            raise PduError(CommandStatus.INVALID_TLV_LENGTH, "optional parameter: longer than its PDU")
        if tag in seen or len(tlvs) >= MAX_TLVS:
            raise PduError(CommandStatus.INVALID_TLV_STREAM, "optional parameters: one stands twice, or too many")
        if FIXED_LENGTHS.get(tag, length) != length:
            raise PduError(CommandStatus.INVALID_TLV_LENGTH, "optional parameter: not of its length")
        seen.add(tag)
        tlvs.append(Tlv(tag, body[at : at + length]))
        at += length
    return tuple(tlvs)


def find_tlv(tlvs: Iterable[Tlv], tag: int) -> bytes | None:
    """The value of ``tag``, or None."""
    for found, value in tlvs:
        if found == tag:
            return value
    return None


def render_string(text: str, size: int) -> bytes:
    """``text`` with its NUL; raises ``ValueError`` where it does not fit ``size`` octets or cannot be written."""
    octets = text.encode("latin-1")
    if len(octets) >= size or b"\0" in octets:
        raise ValueError("a text does not fit its SMPP field")
    return octets + b"\0"


def render_address(address: Address, size: int) -> bytes:
    return bytes((address.ton, address.npi)) + render_string(address.value, size)


def render_tlvs(tlvs: Iterable[Tlv]) -> bytes:
    return b"".join(TLV_HEAD.pack(tag, len(value)) + value for tag, value in tlvs)
