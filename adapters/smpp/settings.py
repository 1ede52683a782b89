"""Where the SMSC is, how we bind to it and how patient we are with it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from filters.smpp.bind import Bind, render_bind
from filters.smpp.client_session import ClientLimits


class SmscSettingsError(ValueError):
    """The settings contradict each other or name an unusable file; the text is a sentence for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmscSettings:
    """One SMSC. Times in seconds.

    ``addresses`` are (host, port) in order of preference. ``links`` is how many binds this process holds. ``tls``
    verifies unless ``verify`` is off. ``max_waiting`` bounds the messages that wait for room in a window, ``waiting_s``
    how long each may. ``backoff_s`` is (first, longest) pause after a link failed, ``throttle_s`` after the SMSC said
    that we are too fast. SMPP has nothing against a password in clear, so ``allow_cleartext`` must say that the wire
    is trusted.

    Raises ``SmscSettingsError`` where the values contradict each other.
    """

    name: str
    addresses: tuple[tuple[str, int], ...]
    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    address_range: str = ""
    tls: bool = False
    verify: bool = True
    ca_file: str | None = None
    tls_name: str | None = None
    allow_cleartext: bool = False
    links: int = 1
    limits: ClientLimits = field(default_factory=ClientLimits)
    max_waiting: int = 10_000
    waiting_s: float = 10.0
    connect_s: float = 10.0
    unbind_s: float = 2.0
    backoff_s: tuple[float, float] = (0.5, 60.0)
    throttle_s: tuple[float, float] = (0.1, 5.0)

    def __post_init__(self) -> None:
        if not self.addresses:
            raise SmscSettingsError(f"upstream {self.name}: at least one address is needed")
        if self.links < 1 or self.max_waiting < 1 or self.limits.window < 1:
            raise SmscSettingsError(f"upstream {self.name}: limits must be positive")
        if not self.tls and not self.allow_cleartext:
            raise SmscSettingsError(
                f"upstream {self.name}: password and texts would travel in clear; set tls, or allow_cleartext"
            )
        try:
            render_bind(self.bind)
        except ValueError:
            raise SmscSettingsError(
                f"upstream {self.name}: system_id has at most 15 characters, password 8, system_type 12, "
                "address_range 40"
            ) from None

    @property
    def bind(self) -> Bind:
        return Bind(self.system_id, self.password, self.system_type, address_range=self.address_range)


def load_tls_context(settings: SmscSettings) -> ssl.SSLContext | None:
    """The TLS context, or None without TLS; raises ``SmscSettingsError`` for an unusable CA file."""
    if not settings.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:  # ssl.SSLError is one too
        raise SmscSettingsError(f"upstream {settings.name}: ca_file cannot be used") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
