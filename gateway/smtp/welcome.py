"""What comes before a session: the PROXY header and, with implicit TLS, the handshake.

Both happen on the accepted socket before a transport reads from it: a header must be read to its last byte and not one
further, because what follows may be a handshake, and bytes that a transport has read cannot be put back. A listener
with neither has no use for this and lets the event loop accept.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from gateway.peer import normalise_peer
from gateway.smtp.proxy_protocol import ProxyHeaderError, ProxyHeaderReader
from gateway.smtp.session import MailSession, SessionEvent
from gateway.smtp.settings import TlsMode

if TYPE_CHECKING:
    from gateway.smtp.listener import MailListener

_EXHAUSTED_S = 0.1
"""Pause when the system has no descriptor or memory for another connection."""


async def accept_connections(listener: MailListener, listening: socket.socket) -> None:
    """Accept on ``listening`` and welcome each connection, until cancelled; closes ``listening`` then."""
    loop = asyncio.get_running_loop()
    welcoming: set[asyncio.Task[None]] = set()
    try:
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError:
                await asyncio.sleep(_EXHAUSTED_S)
                continue
            if listener.session_count + len(welcoming) >= listener.settings.max_connections:
                listener.count(SessionEvent.CONNECTION_REFUSED)
                connection.close()
                continue
            task = loop.create_task(_welcome(listener, connection, normalise_peer(address[0])), name="smtp-welcome")
            welcoming.add(task)
            task.add_done_callback(welcoming.discard)
    finally:
        for task in welcoming:
            task.cancel()
        listening.close()


async def _welcome(listener: MailListener, connection: socket.socket, peer: str) -> None:
    settings = listener.settings
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    is_connected = False
    try:
        if listener.expects_proxy_header(peer):
            async with asyncio.timeout(settings.handshake_timeout_s):
                peer = await _read_proxy_header(connection) or peer
        has_tls = settings.tls is TlsMode.IMPLICIT
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: MailSession(listener, peer),
            connection,
            ssl=listener.ssl_context if has_tls else None,
            ssl_handshake_timeout=settings.handshake_timeout_s if has_tls else None,
        )
        is_connected = True
        if has_tls:
            listener.count(SessionEvent.TLS_STARTED)
    except (ProxyHeaderError, TimeoutError) as error:
        is_header = isinstance(error, ProxyHeaderError) or settings.tls is not TlsMode.IMPLICIT
        listener.count(SessionEvent.PROXY_HEADER_REFUSED if is_header else SessionEvent.TLS_FAILED)
    except OSError:  # the handshake failed (ssl.SSLError is one), or the peer is gone
        listener.count(SessionEvent.TLS_FAILED)
    finally:
        if not is_connected:
            connection.close()


async def _read_proxy_header(connection: socket.socket) -> str:
    """The client's address, normalised; "" if the balancer speaks for itself."""
    loop = asyncio.get_running_loop()
    header = ProxyHeaderReader()
    while True:
        piece = await loop.sock_recv(connection, header.wanted_bytes)
        if not piece:
            raise ProxyHeaderError("closed before the header was complete")
        peer = header.read(piece)
        if peer is not None:
            return normalise_peer(peer.address) if peer.address is not None else ""
