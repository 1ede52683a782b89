"""Who may call the paths that are given to providers: whoever knows the secret at their end, from the right network."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from hmac import compare_digest
from typing import Protocol, TypeVar

from gateway.clients import Network


class _HasSecret(Protocol):
    @property
    def secret(self) -> str: ...


Route = TypeVar("Route", bound=_HasSecret)


def find_by_secret(routes: Iterable[Route], secret: str) -> Route | None:
    """The one whose secret it is."""
    found = None
    for route in routes:  # all of them, whichever it is: time must not tell how much of a guess was right
        if compare_digest(route.secret.encode(), secret.encode("utf-8", "replace")):
            found = route
    return found


def is_within(peer: str, networks: Sequence[Network]) -> bool:
    """Whether ``peer`` ("" where it is not known) is in one of ``networks``; anybody is, where there are none."""
    if not networks:
        return True
    if not peer:
        return False
    address = ipaddress.ip_address(peer)
    return any(network.version == address.version and address in network for network in networks)
