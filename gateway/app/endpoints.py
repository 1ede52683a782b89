"""The names under which listening sockets pass from the supervisor to its workers."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.configuration.values import Endpoint


@dataclass(frozen=True, slots=True)
class NamedEndpoint:
    """A listening address by the key under which a worker gets its socket."""

    key: str
    host: str
    port: int


def endpoint_key(kind: str, address: Endpoint) -> str:
    """``smtp 127.0.0.1:2525``: the same for supervisor and worker, and for the same listener after a reload."""
    return f"{kind} {address}"
