"""Reads the PROXY header off a balancer's connection, then hands the connection to a session.

A protocol of its own, because it must read to the last byte of the header and not one further: what follows may be a
TLS handshake, and bytes once read cannot be put back. A ``BufferedProtocol`` says how much it takes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from gateway.peer import normalise_peer
from gateway.smtp.proxy_protocol import ProxyHeaderError, ProxyHeaderReader
from gateway.smtp.session import MailSession, SessionEvent, peer_of

if TYPE_CHECKING:
    from gateway.smtp.listener import MailListener


class ProxyGate(asyncio.BufferedProtocol):
    """Stands before a session until it is known whom the connection belongs to."""

    def __init__(self, listener: MailListener) -> None:
        self._listener = listener
        self._header = ProxyHeaderReader()
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._balancer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._balancer = peer_of(transport)
        if not self._listener.expects_proxy_header(self._balancer):
            self._hand_over(self._balancer)
            return
        self._listener.hold_gate(self)
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._listener.settings.handshake_timeout_s, self.refuse)

    def get_buffer(self, sizehint: int) -> bytearray:
        self._buffer = bytearray(self._header.wanted_bytes)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        try:
            peer = self._header.read(bytes(self._buffer[:nbytes]))
        except ProxyHeaderError:
            self.refuse()
            return
        if peer is not None:
            self._hand_over(self._balancer if peer.address is None else normalise_peer(peer.address))

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()

    def refuse(self) -> None:
        """Close without a word: whoever speaks here is not set up to be understood."""
        self._listener.count(SessionEvent.PROXY_HEADER_REFUSED)
        self._leave()
        if self._transport is not None:
            self._transport.abort()

    def _hand_over(self, peer: str) -> None:
        self._leave()
        assert self._transport is not None
        session = MailSession(self._listener, peer)
        self._transport.set_protocol(session)
        session.connection_made(self._transport)

    def _leave(self) -> None:
        self._listener.release_gate(self)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
