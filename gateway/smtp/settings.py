"""What one mail listener may do, and how much of anything it allows."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TlsMode(StrEnum):
    """How a connection gets its TLS: never, after STARTTLS (RFC 3207), or from the first byte (RFC 8314, 3.3)."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """One listener. Times in seconds; every limit is per session unless it says otherwise.

    ``allows_clear_login`` offers AUTH without TLS: for loopback and trusted wires only. ``proxy_networks`` are the load
    balancers that must open each connection with a PROXY header; nobody else may.
    """

    name: str
    hostname: str
    is_lmtp: bool = False
    tls: TlsMode = TlsMode.NONE
    allows_clear_login: bool = False
    proxy_networks: tuple[Network, ...] = ()

    max_message_bytes: int = 30 * 1024 * 1024
    max_recipients: int = 1000
    max_connections: int = 2000
    """In this worker."""
    max_connections_per_peer: int = 500
    """In this worker; a peer is an IPv4 address or an IPv6 /64."""
    max_command_errors: int = 20
    max_failed_logins: int = 3

    idle_timeout_s: float = 300.0
    """Between complete commands (RFC 5321 4.5.3.2.7: at least five minutes)."""
    data_grace_s: float = 180.0
    """DATA may take this long however slow it is (RFC 5321 4.5.3.2.5: three minutes for one block) ..."""
    min_data_rate: float = 1000.0
    """... and after that must have brought so many bytes a second, averaged over the whole of it."""
    answer_timeout_s: float = 600.0
    """How long our own side may take for one answer before the client is told to try again."""
    max_session_s: float = 6 * 3600.0
    handshake_timeout_s: float = 30.0
    """For the TLS handshake, and for the PROXY header."""
