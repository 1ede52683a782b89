"""Where the registry is, who we are there, and how patient we are."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_LONGEST_S = 86_400.0


class RegistrySettingsError(ValueError):
    """The settings cannot be used; the text is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API account of the registry."""

    username: str = field(repr=False)
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.username or not self.password:
            raise RegistrySettingsError("registry: expected a username and a password")


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. ``turn_s``: how long a request may wait for its turn before it comes back ``Limited``.

    A bulk add of 1000 was not measured by anyone; one of 50 took 0.9 s, so ``answer_s`` is generous.
    """

    connect_s: float = 10.0
    answer_s: float = 60.0
    file_s: float = 3600.0
    turn_s: float = 30.0

    def __post_init__(self) -> None:
        if not all(0 < value < _LONGEST_S for value in (self.connect_s, self.answer_s, self.file_s, self.turn_s)):
            raise RegistrySettingsError("registry patience: expected more than 0 seconds and less than a day")


def base_of(url: str) -> str:
    """The base URL without its last slash. Raises ``RegistrySettingsError``: https, or http on this machine only."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise RegistrySettingsError("registry base_url: expected a URL such as https://api.iys.org.tr") from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or "@" in parts.netloc:
        raise RegistrySettingsError("registry base_url: expected a URL such as https://api.iys.org.tr")
    if parts.scheme == "http" and not _is_loopback(host):
        raise RegistrySettingsError("registry base_url: expected https (http is for this machine's loopback only)")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Verifies certificate and name, TLS 1.2 at least. Raises ``RegistrySettingsError`` on an unusable file."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise RegistrySettingsError("registry ca_file: expected a readable file of PEM certificates") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
