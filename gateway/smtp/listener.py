"""A listening socket with its sessions: admission, one common timer, drain."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import secrets
import socket
import ssl
from collections.abc import Callable

from filters.exchange import UpstreamCapabilities
from gateway.clients import ClientDirectory
from gateway.peer import peer_group
from gateway.ports import MailHandler
from gateway.smtp import replies
from gateway.smtp.extensions import Extensions
from gateway.smtp.memory_budget import MemoryBudget
from gateway.smtp.session import MailSession, SessionEvent
from gateway.smtp.settings import ListenerSettings, TlsMode
from gateway.smtp.welcome import accept_connections

_BACKLOG = 2048
_SWEEP_S = 1.0
_DRAIN_SWEEP_S = 0.1


class MailListener:
    """Takes connections on one socket. All of it happens in the loop's thread.

    ``clients`` and ``ssl_context`` may be replaced at any time; new connections and handshakes use the new ones.
    ``capabilities`` tells what the next hop announced, ``footer_allowance`` how many bytes the opt-out may add.
    ``count`` is called with each event; it must be quick and must not raise.
    """

    def __init__(
        self,
        settings: ListenerSettings,
        *,
        handler: MailHandler,
        clients: ClientDirectory,
        budget: MemoryBudget,
        capabilities: Callable[[], UpstreamCapabilities | None],
        footer_allowance: Callable[[], int] = lambda: 0,
        ssl_context: ssl.SSLContext | None = None,
        count: Callable[[SessionEvent], None] = lambda _event: None,
    ) -> None:
        if settings.tls is not TlsMode.NONE and ssl_context is None:
            raise ValueError(f"listener {settings.name}: TLS needs a certificate")
        self.settings = settings
        self.handler = handler
        self.clients = clients
        self.budget = budget
        self.ssl_context = ssl_context
        self.count = count
        self.extensions = Extensions(settings, capabilities, footer_allowance, lambda: self.clients.has_logins)
        self._sessions: set[MailSession] = set()
        self._peers: dict[str, int] = {}
        self._is_accepting = False
        self._server: asyncio.Server | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event = asyncio.Event()
        # Unique among workers and restarts, so that a session can be named in logs without naming its peer.
        self._session_prefix = secrets.token_hex(4)
        self._session_numbers = itertools.count(1)
        self._clock: Callable[[], float] = lambda: 0.0

    @property
    def session_count(self) -> int:
        return len(self._sessions)

    async def start(self, sock: socket.socket) -> None:
        """Accept connections on ``sock``, which listens already and does not block."""
        loop = asyncio.get_running_loop()
        self._clock = loop.time
        self._is_accepting = True
        if self.settings.proxy_networks or self.settings.tls is TlsMode.IMPLICIT:
            self._accepting = loop.create_task(accept_connections(self, sock), name=f"smtp-accept-{self.settings.name}")
        else:
            self._server = await loop.create_server(lambda: MailSession(self), sock=sock, backlog=_BACKLOG)
        self._sweeping = loop.call_later(_SWEEP_S, self._sweep)

    def stop_accepting(self) -> None:
        """Close the listening socket; sessions go on."""
        self._is_accepting = False
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._accepting is not None:
            self._accepting.cancel()
            self._accepting = None

    async def drain(self, timeout_s: float) -> None:
        """Stop accepting and end all sessions: idle ones soon, the others after their message or ``timeout_s``."""
        self.stop_accepting()
        for session in tuple(self._sessions):
            session.shut_down()
        give_up_at = self._clock() + timeout_s
        while self._sessions and self._clock() < give_up_at:
            await self._wait_until_empty(min(_DRAIN_SWEEP_S, timeout_s))
            for session in tuple(self._sessions):
                session.sweep(self._clock())
        for session in tuple(self._sessions):
            session.break_off(replies.SHUTTING_DOWN)
        await self._wait_until_empty(_SWEEP_S)
        self.close()

    def close(self) -> None:
        """End everything at once, whatever is under way; nothing unanswered counts as taken."""
        self.stop_accepting()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for session in tuple(self._sessions):
            session.abort()

    # What sessions call

    def now(self) -> float:
        return self._clock()

    def next_session_id(self) -> str:
        return f"{self._session_prefix}-{next(self._session_numbers):x}"

    def admit(self, session: MailSession) -> bytes:
        """Count ``session`` in; the reply that refuses it, b"" for none."""
        if not self._is_accepting:
            return replies.SHUTTING_DOWN
        if len(self._sessions) >= self.settings.max_connections:
            return replies.TOO_MANY_CONNECTIONS
        group = peer_group(session.peer)
        others = self._peers.get(group, 0)
        if others >= self.settings.max_connections_per_peer:
            return replies.TOO_MANY_FROM_PEER
        self._peers[group] = others + 1
        self._sessions.add(session)
        return b""

    def forget(self, session: MailSession) -> None:
        """``session``'s connection is gone."""
        if session not in self._sessions:
            return  # it was refused
        self._sessions.remove(session)
        group = peer_group(session.peer)
        others = self._peers[group] - 1
        if others:
            self._peers[group] = others
        else:
            del self._peers[group]
        self.count(SessionEvent.CONNECTION_CLOSED)
        if not self._sessions:
            self._emptied.set()

    def expects_proxy_header(self, peer: str) -> bool:
        """Whether ``peer`` is a balancer, which must begin with a PROXY header."""
        address = ipaddress.ip_address(peer)
        return any(address in network for network in self.settings.proxy_networks)

    def _sweep(self) -> None:
        now = self._clock()
        for session in tuple(self._sessions):
            session.sweep(now)
        self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    async def _wait_until_empty(self, timeout_s: float) -> None:
        if not self._sessions:
            return
        self._emptied.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._emptied.wait()
        except TimeoutError:
            return
