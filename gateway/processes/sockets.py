"""Listening sockets: bound once by the supervisor, inherited by the workers.

Each listener has one socket per worker slot, all on the same port (SO_REUSEPORT), and the supervisor keeps every one of
them open. So the kernel spreads connections over the workers, and connections that wait in the backlog of a worker
that crashed or is being replaced are taken by the next worker of that slot instead of being reset.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

BACKLOG = 2048


class BindError(Exception):
    """A listening address could not be taken."""


def bind(host: str, port: int, slots: int) -> list[socket.socket]:
    """``slots`` listening sockets on ``host:port``; port 0 takes one free port for all of them.

    Raises ``BindError`` naming the address; nothing stays bound then.
    """
    bound: list[socket.socket] = []
    try:
        for _ in range(slots):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listening = socket.socket(family, socket.SOCK_STREAM)
            bound.append(listening)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if len(bound) == 1 and slots > 0:
                _refuse_foreign_owner(family, host, port)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind((host, port))
            port = listening.getsockname()[1]
            listening.listen(BACKLOG)
            listening.setblocking(False)
    except OSError as error:
        close(bound)
        raise BindError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return bound


def _refuse_foreign_owner(family: int, host: str, port: int) -> None:
    """Fail if another process listens there already.

    With SO_REUSEPORT alone a second gateway of the same user would silently share the port with the first, and half
    of the mail would be decided by the wrong configuration.
    """
    if port == 0:
        return
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def close(sockets: Iterable[socket.socket]) -> None:
    for listening in sockets:
        listening.close()
