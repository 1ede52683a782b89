"""A peer's address in the one form in which it is compared and counted."""

from __future__ import annotations

import ipaddress

_GROUP_BITS = 64


def normalise_peer(address: str) -> str:
    """``address`` without a zone, and as IPv4 where IPv6 only carries it. Raises ``ValueError`` if it is no address."""
    if ":" not in address:
        return str(ipaddress.IPv4Address(address))
    parsed = ipaddress.IPv6Address(address.partition("%")[0])
    return str(parsed.ipv4_mapped or parsed)


def peer_group(address: str) -> str:
    """What limits per peer count together: an IPv4 address, or an IPv6 /64, all of which one host can use."""
    if ":" not in address:
        return address
    network = int(ipaddress.IPv6Address(address)) >> (128 - _GROUP_BITS) << (128 - _GROUP_BITS)
    return f"{ipaddress.IPv6Address(network)}/{_GROUP_BITS}"
