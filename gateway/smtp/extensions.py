"""What is announced at EHLO: only what the next hop has too, so that nothing taken here is lost there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from filters.client import Client
from filters.exchange import UpstreamCapabilities
from filters.reply import Reply
from gateway.smtp import replies
from gateway.smtp.parameters import Announced
from gateway.smtp.settings import ListenerSettings, TlsMode

_CACHED_REPLIES = 64

NOTHING_ANNOUNCED: Final = Announced(False, False, False, False)


class Terms(NamedTuple):
    """What holds for a transaction that begins now."""

    announced: Announced
    size_limit_bytes: int
    footer_allowance: int

    def size_limit_for(self, client: Client | None) -> int:
        """The largest content taken from ``client``."""
        if client is None or not client.max_message_bytes:
            return self.size_limit_bytes
        return max(1, min(self.size_limit_bytes, client.max_message_bytes - self.footer_allowance))


class Extensions:
    """The extensions of one listener.

    ``capabilities`` tells what the next hop announced, None while it is not known (then it is taken to have none of
    the optional ones). ``footer_allowance`` is the number of bytes the opt-out may add to a message. ``has_logins``
    tells whether any client may log in at all.
    """

    __slots__ = (
        "_capabilities",
        "_footer_allowance",
        "_has_logins",
        "_last_capabilities",
        "_rendered",
        "_settings",
        "_terms",
    )

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
        self._last_capabilities = capabilities()
        self._terms = self._make_terms(self._last_capabilities, footer_allowance())
        self._rendered: dict[tuple[object, ...], bytes] = {}

    def terms(self) -> Terms:
        """Made anew only when the next hop or the allowance has changed."""
        capabilities, allowance = self._capabilities(), self._footer_allowance()
        if capabilities != self._last_capabilities or allowance != self._terms.footer_allowance:
            self._last_capabilities = capabilities
            self._terms = self._make_terms(capabilities, allowance)
        return self._terms

    def _make_terms(self, capabilities: UpstreamCapabilities | None, allowance: int) -> Terms:
        """An unknown next hop has none of the optional extensions: what is not announced cannot get lost."""
        limit = self._settings.max_message_bytes
        has_prdr = not self._settings.is_lmtp  # LMTP has one reply per recipient anyway
        announced = NOTHING_ANNOUNCED._replace(has_prdr=has_prdr)
        if capabilities is not None:
            announced = Announced(capabilities.has_8bitmime, capabilities.has_smtputf8, capabilities.has_dsn, has_prdr)
            if capabilities.size_bytes:
                limit = min(limit, capabilities.size_bytes)
        # At least one: "SIZE 0" would announce that there is no limit at all (RFC 1870 4).
        return Terms(announced, max(1, limit - allowance), allowance)

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

    def hello_reply(self, client: Client | None, *, is_tls: bool) -> bytes:
        """The reply to EHLO or LHLO."""
        terms = self.terms()
        size = terms.size_limit_for(client)
        can_log_in = self.can_log_in(is_tls=is_tls)
        key = (terms.announced, size, is_tls, can_log_in)
        rendered = self._rendered.get(key)
        if rendered is None:
            if len(self._rendered) >= _CACHED_REPLIES:
                self._rendered.clear()
            can_start_tls = self._settings.tls is TlsMode.STARTTLS and not is_tls
            rendered = self._render(terms.announced, size, can_start_tls=can_start_tls, can_log_in=can_log_in)
            self._rendered[key] = rendered
        return rendered

    def _render(self, announced: Announced, size: int, *, can_start_tls: bool, can_log_in: bool) -> bytes:
        optional = (
            ("STARTTLS", can_start_tls),
            ("AUTH PLAIN LOGIN", can_log_in),
            ("8BITMIME", announced.has_8bitmime),
            ("SMTPUTF8", announced.has_smtputf8),
            ("DSN", announced.has_dsn),
            ("PRDR", announced.has_prdr),
        )
        lines = [
            self._settings.hostname,
            "PIPELINING",
            f"SIZE {size}",
            *(keyword for keyword, is_offered in optional if is_offered),
            "ENHANCEDSTATUSCODES",
        ]
        return Reply(250, "", "\n".join(lines)).render()
