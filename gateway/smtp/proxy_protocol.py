"""The PROXY header (HAProxy's PROXY protocol, versions 1 and 2): who the client is behind a load balancer.

A listener reads it only from the networks it was told of, and from those it demands it: a header believed from anyone
else would let anyone be any client. Whatever is not exactly a header closes the connection.

The header is read to its last byte and not one further, since what follows may be a TLS handshake, which belongs to
another reader.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import NamedTuple

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_V1_MAX_BYTES = 107
_V1_MIN_BYTES = 15  # "PROXY UNKNOWN" CRLF: no header of either version is shorter, so as much can be read at once
_V2_FIXED_BYTES = 16
_V2_MAX_BYTES = 4096  # the addresses and what else balancers add; TLVs are not looked at
_IPV4 = struct.Struct(">4s4sHH")
_IPV6 = struct.Struct(">16s16sHH")
_STREAM_OVER_IPV4 = 0x11
_STREAM_OVER_IPV6 = 0x21
_STREAM_OVER_UNIX = 0x31
_UNSPECIFIED = 0x00
_UNIX_BYTES = 216


class ProxyHeaderError(ValueError):
    """What came is not a PROXY header."""


class ProxiedPeer(NamedTuple):
    """``address`` is the client's, or None where the balancer speaks for itself (health check) or does not know."""

    address: str | None


class ProxyHeaderReader:
    """Takes a header in pieces; says how many bytes it wants next, which never reach beyond the header."""

    __slots__ = ("_head",)

    def __init__(self) -> None:
        self._head = bytearray()

    @property
    def wanted_bytes(self) -> int:
        """How many more bytes are certainly part of the header."""
        have = len(self._head)
        if have < _V1_MIN_BYTES:
            return _V1_MIN_BYTES - have
        if not self._head.startswith(_SIGNATURE):
            return 2 if not self._head.endswith(b"\r") and have + 2 <= _V1_MAX_BYTES else 1
        if have < _V2_FIXED_BYTES:
            return _V2_FIXED_BYTES - have
        return _V2_FIXED_BYTES + int.from_bytes(self._head[14:16], "big") - have

    def read(self, data: bytes) -> ProxiedPeer | None:
        """Take at most ``wanted_bytes``; the peer once the header is complete. Raises ``ProxyHeaderError``."""
        head = self._head
        head += data
        common = min(len(head), len(_SIGNATURE))
        if head[:common] == _SIGNATURE[:common]:
            return self._read_v2()
        prefix = b"PROXY "
        if head[: len(prefix)] != prefix[: len(head)]:
            raise ProxyHeaderError("neither version's signature")
        if head.endswith(b"\r\n"):
            return _parse_v1(bytes(head))
        if len(head) >= _V1_MAX_BYTES:
            raise ProxyHeaderError("version 1 header without an end")
        return None

    def _read_v2(self) -> ProxiedPeer | None:
        head = self._head
        if len(head) < _V2_FIXED_BYTES:
            return None
        length = _V2_FIXED_BYTES + int.from_bytes(head[14:16], "big")
        if length > _V2_MAX_BYTES:
            raise ProxyHeaderError("version 2 header too long")
        if len(head) < length:
            return None
        return _parse_v2(head[12], head[13], bytes(head[_V2_FIXED_BYTES:]))


def _parse_v1(line: bytes) -> ProxiedPeer:
    """``PROXY TCP4|TCP6 source destination sport dport`` or ``PROXY UNKNOWN`` and anything."""
    try:
        words = line[:-2].decode("ascii").split(" ")
    except UnicodeDecodeError:
        raise ProxyHeaderError("version 1 header is not ASCII") from None
    if words[1] == "UNKNOWN":
        return ProxiedPeer(None)
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise ProxyHeaderError("version 1 header has not six words")
    for port in words[4:]:
        if not (port.isdecimal() and len(port) <= 5 and int(port) <= 65535 and (port == "0" or port[0] != "0")):
            raise ProxyHeaderError("version 1 header has a bad port")
    try:
        if words[1] == "TCP4":
            addresses = [str(ipaddress.IPv4Address(word)) for word in words[2:4]]
        else:
            addresses = [str(ipaddress.IPv6Address(word)) for word in words[2:4] if "%" not in word]
    except ValueError:
        raise ProxyHeaderError("version 1 header has a bad address") from None
    if len(addresses) != 2:
        raise ProxyHeaderError("version 1 header has a bad address")
    return ProxiedPeer(addresses[0])


def _parse_v2(version_and_command: int, family: int, rest: bytes) -> ProxiedPeer:
    if version_and_command == 0x20:  # LOCAL: the balancer's own connection
        return ProxiedPeer(None)
    if version_and_command != 0x21:
        raise ProxyHeaderError("version 2 header has an unknown version or command")
    if family == _STREAM_OVER_IPV4 and len(rest) >= _IPV4.size:
        return ProxiedPeer(str(ipaddress.IPv4Address(_IPV4.unpack_from(rest)[0])))
    if family == _STREAM_OVER_IPV6 and len(rest) >= _IPV6.size:
        return ProxiedPeer(str(ipaddress.IPv6Address(_IPV6.unpack_from(rest)[0])))
    if family == _UNSPECIFIED or (family == _STREAM_OVER_UNIX and len(rest) >= _UNIX_BYTES):
        return ProxiedPeer(None)
    raise ProxyHeaderError("version 2 header has a family that mail does not come by")
