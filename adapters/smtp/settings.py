"""Where the upstream is, how it is reached and how patient we are with it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from enum import StrEnum


class UpstreamSettingsError(ValueError):
    """The settings contradict each other or name an unusable file; the text is a sentence for the operator."""


class TlsMode(StrEnum):
    """How the connection is encrypted. Anything but ``NONE`` verifies unless ``verify`` is switched off."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds of patience, after RFC 5321 4.5.3.2 but shorter.

    A client waits ten minutes after its dot. Waiting for a connection, envelope and final reply must fit in that
    together, or the client gives up on a message that was relayed and sends it twice.
    """

    waiting_s: float = 30.0
    connect_s: float = 10.0
    greeting_s: float = 60.0
    command_s: float = 60.0
    data_block_s: float = 60.0
    after_dot_s: float = 300.0
    quit_s: float = 2.0


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """One upstream: a relay, or several hosts of which the first that works is used.

    ``addresses`` are (host, port) in order of preference. ``max_connections`` counts all hosts, for this process.
    ``max_waiting`` and ``max_waiting_bytes`` bound the messages that wait for a connection. ``noop_s`` sends NOOP on a
    connection unused for so long (None: never), ``idle_s`` ends it. ``backoff_s`` is (first, longest) pause after a
    host failed. ``tls_name`` is the name the certificate must carry where it is not the host's.
    ``allow_cleartext_auth`` lets the password travel without TLS (RFC 4954 section 4 forbids it elsewhere).

    Raises ``UpstreamSettingsError`` where the values contradict each other.
    """

    name: str
    addresses: tuple[tuple[str, int], ...]
    tls: TlsMode = TlsMode.NONE
    verify: bool = True
    ca_file: str | None = None
    tls_name: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    allow_cleartext_auth: bool = False
    helo_name: str = "localhost"
    is_lmtp: bool = False
    max_connections: int = 20
    max_waiting: int = 2000
    max_waiting_bytes: int = 64 * 1024 * 1024
    max_transactions: int = 1000
    max_age_s: float = 600.0
    idle_s: float = 60.0
    noop_s: float | None = None
    backoff_s: tuple[float, float] = (0.5, 60.0)
    timeouts: Timeouts = field(default_factory=Timeouts)

    def __post_init__(self) -> None:
        if not self.addresses:
            raise UpstreamSettingsError(f"upstream {self.name}: at least one address is needed")
        if self.max_connections < 1 or self.max_transactions < 1 or self.max_waiting < 0:
            raise UpstreamSettingsError(f"upstream {self.name}: limits must be positive")
        if not self.helo_name.isascii() or not self.helo_name.isprintable() or " " in self.helo_name:
            raise UpstreamSettingsError(f"upstream {self.name}: helo_name must be a host name")
        if (self.username is None) != (self.password is None):
            raise UpstreamSettingsError(f"upstream {self.name}: username and password belong together")
        if self.username is not None and self.tls is TlsMode.NONE and not self.allow_cleartext_auth:
            raise UpstreamSettingsError(
                f"upstream {self.name}: a password would travel in clear; set tls, or allow_cleartext_auth"
            )
        if "\0" in (self.username or "") + (self.password or ""):
            raise UpstreamSettingsError(f"upstream {self.name}: username and password cannot contain NUL (RFC 4616)")


def load_tls_context(settings: UpstreamSettings) -> ssl.SSLContext | None:
    """The TLS context of an upstream, or None without TLS; raises ``UpstreamSettingsError`` for an unusable CA file."""
    if settings.tls is TlsMode.NONE:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:  # ssl.SSLError is one too
        raise UpstreamSettingsError(f"upstream {settings.name}: ca_file cannot be used") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
