"""What is announced at EHLO: only what the next hop has too, so that nothing taken here is lost there."""

from __future__ import annotations

from collections.abc import Callable

from filters.client import Client
from filters.exchange import UpstreamCapabilities
from filters.reply import Reply
from gateway.smtp import replies
from gateway.smtp.settings import ListenerSettings, TlsMode

_CACHED_REPLIES = 64


class Extensions:
    """The extensions of one listener.

    ``capabilities`` tells what the next hop announced, None while it is not known (then it is taken to have none of
    the optional ones). ``footer_allowance`` is the number of bytes the opt-out may add to a message. ``has_logins``
    tells whether any client may log in at all.
    """

    __slots__ = ("_capabilities", "_footer_allowance", "_has_logins", "_rendered", "_settings")

    def __init__(
        self,
        settings: ListenerSettings,
        capabilities: Callable[[], UpstreamCapabilities | None],
        footer_allowance: Callable[[], int],
        has_logins: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._capabilities = capabilities
        self._footer_allowance = footer_allowance
        self._has_logins = has_logins
        self._rendered: dict[tuple[object, ...], bytes] = {}

    def next_hop(self) -> UpstreamCapabilities | None:
        return self._capabilities()

    def can_log_in(self, *, is_tls: bool) -> bool:
        """Whether AUTH is offered: passwords cross the wire in clear only where the listener allows it."""
        return (is_tls or self._settings.allows_clear_login) and self._has_logins()

    def stranger_reply(self, *, is_tls: bool) -> bytes:
        """What a peer hears at MAIL that neither its address nor a login makes a client."""
        if self.can_log_in(is_tls=is_tls):
            return replies.LOGIN_FIRST
        if self._settings.tls is TlsMode.STARTTLS and self.can_log_in(is_tls=True):
            return replies.TLS_FIRST
        return replies.UNKNOWN_CLIENT

    def size_limit_bytes(self, client: Client | None, capabilities: UpstreamCapabilities | None) -> int:
        """The largest content taken: what fits us, the client's allowance and, footer included, the next hop."""
        limit = self._settings.max_message_bytes
        if client is not None and client.max_message_bytes:
            limit = min(limit, client.max_message_bytes)
        if capabilities is not None and capabilities.size_bytes:
            limit = min(limit, capabilities.size_bytes)
        # At least one: "SIZE 0" would announce that there is no limit at all (RFC 1870 4).
        return max(1, limit - self._footer_allowance())

    def hello_reply(self, client: Client | None, *, is_tls: bool) -> bytes:
        """The reply to EHLO or LHLO."""
        capabilities = self.next_hop()
        size = self.size_limit_bytes(client, capabilities)
        can_log_in = self.can_log_in(is_tls=is_tls)
        key = (capabilities, size, is_tls, can_log_in)
        rendered = self._rendered.get(key)
        if rendered is None:
            if len(self._rendered) >= _CACHED_REPLIES:
                self._rendered.clear()
            can_start_tls = self._settings.tls is TlsMode.STARTTLS and not is_tls
            rendered = self._render(capabilities, size, can_start_tls=can_start_tls, can_log_in=can_log_in)
            self._rendered[key] = rendered
        return rendered

    def _render(
        self, capabilities: UpstreamCapabilities | None, size: int, *, can_start_tls: bool, can_log_in: bool
    ) -> bytes:
        lines = [self._settings.hostname, "PIPELINING", f"SIZE {size}"]
        if can_start_tls:
            lines.append("STARTTLS")
        if can_log_in:
            lines.append("AUTH PLAIN LOGIN")
        if capabilities is not None:
            if capabilities.has_8bitmime:
                lines.append("8BITMIME")
            if capabilities.has_smtputf8:
                lines.append("SMTPUTF8")
            if capabilities.has_dsn:
                lines.append("DSN")
        if not self._settings.is_lmtp:
            lines.append("PRDR")  # LMTP has one reply per recipient anyway
        lines.append("ENHANCEDSTATUSCODES")
        return Reply(250, "", "\n".join(lines)).render()
