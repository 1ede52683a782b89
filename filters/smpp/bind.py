"""Bind requests and their answers (SMPP 3.4, 4.1)."""

from __future__ import annotations

from typing import NamedTuple

from filters.smpp.fields import PduError, Tlv, find_tlv, read_octet, read_string, read_tlvs, render_string, render_tlvs
from filters.smpp.numbers import INTERFACE_VERSION, CommandStatus, Tag


class Bind(NamedTuple):
    """Who asks to be let in. ``password`` has at most eight octets: the protocol's limit, not ours."""

    system_id: str
    password: str
    system_type: str = ""
    interface_version: int = INTERFACE_VERSION
    ton: int = 0
    npi: int = 0
    address_range: str = ""

    def __repr__(self) -> str:
        return "Bind(...)"


def parse_bind(body: bytes) -> Bind:
    """Raises ``PduError``."""
    failed = CommandStatus.BIND_FAILED
    system_id, at = read_string(body, 0, 16, CommandStatus.INVALID_SYSTEM_ID, "system_id")
    password, at = read_string(body, at, 9, CommandStatus.INVALID_PASSWORD, "password")
    system_type, at = read_string(body, at, 13, failed, "system_type")
    version, at = read_octet(body, at, "interface_version")
    ton, at = read_octet(body, at, "addr_ton")
    npi, at = read_octet(body, at, "addr_npi")
    address_range, at = read_string(body, at, 41, failed, "address_range")
    if at != len(body):
        raise PduError(CommandStatus.INVALID_COMMAND_LENGTH, "bind: octets left over")
    return Bind(system_id, password, system_type, version, ton, npi, address_range)


def render_bind(bind: Bind) -> bytes:
    """Raises ``ValueError`` where a field does not fit."""
    return b"".join(
        (
            render_string(bind.system_id, 16),
            render_string(bind.password, 9),
            render_string(bind.system_type, 13),
            bytes((bind.interface_version, bind.ton, bind.npi)),
            render_string(bind.address_range, 41),
        )
    )


def render_bind_answer(system_id: str) -> bytes:
    """Our name, and that we speak 3.4 (TLVs are welcome)."""
    return render_string(system_id, 16) + render_tlvs((Tlv(Tag.INTERFACE_VERSION, bytes((INTERFACE_VERSION,))),))


def parse_bind_answer(body: bytes) -> tuple[str, int]:
    """The SMSC's name and interface version (0 where it does not say); a body may be missing."""
    if not body:
        return "", 0
    system_id, at = read_string(body, 0, 16, CommandStatus.SYSTEM_ERROR, "system_id")
    version = find_tlv(read_tlvs(body, at), Tag.INTERFACE_VERSION)
    return system_id, version[0] if version else 0
