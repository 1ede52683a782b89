"""Values of the configuration language, each parsed once and valid ever after.

| value | grammar | examples |
|---|---|---|
| ``Duration`` | digits, then ``ms`` ``s`` ``m`` ``h`` or ``d`` | ``"200ms"`` ``"90s"`` ``"24h"`` |
| ``Size`` | digits, a space or none, then ``B``, ``kB`` ``MB`` ``GB`` or ``KiB`` ``MiB`` ``GiB`` | ``"64 MiB"`` |
| ``Endpoint`` | host, colon, port 1..65535; an IPv6 address in brackets | ``"127.0.0.1:2525"`` ``"[::1]:2525"`` |

A bare number is refused for durations and sizes: whoever reads the file later must not have to guess the unit.
All parsers raise ``ValueError`` with a hint, or with no text where the expected form says it all.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from dataclasses import dataclass

MASK = "********"
"""What is shown instead of a secret, always the same length."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)", re.ASCII)

_BYTES = {
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
_SIZE = re.compile(r"([0-9]{1,9}) ?(B|kB|MB|GB|KiB|MiB|GiB)", re.ASCII)

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time in whole milliseconds."""

    milliseconds: int

    @classmethod
    def parse(cls, text: str) -> Duration:
        match = _DURATION.fullmatch(text)
        if match is None:
            raise ValueError("give a number and a unit: ms, s, m, h or d" if text.strip().isdigit() else "")
        return cls(int(match[1]) * _MILLISECONDS[match[2]])

    @property
    def seconds(self) -> float:
        return self.milliseconds / 1000

    def __str__(self) -> str:
        """The shortest text that parses to the same value."""
        for unit in ("d", "h", "m", "s"):
            if self.milliseconds and self.milliseconds % _MILLISECONDS[unit] == 0:
                return f"{self.milliseconds // _MILLISECONDS[unit]}{unit}"
        return f"{self.milliseconds}ms" if self.milliseconds else "0s"


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """A number of bytes."""

    in_bytes: int

    @classmethod
    def parse(cls, text: str) -> Size:
        match = _SIZE.fullmatch(text)
        if match is None:
            raise ValueError("give a number and a unit: B, kB, KiB, MB, MiB, GB or GiB")
        return cls(int(match[1]) * _BYTES[match[2]])

    def __str__(self) -> str:
        for unit in ("GiB", "GB", "MiB", "MB", "KiB", "kB"):
            if self.in_bytes and self.in_bytes % _BYTES[unit] == 0:
                return f"{self.in_bytes // _BYTES[unit]} {unit}"
        return f"{self.in_bytes} B"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and a port. ``host`` is an IP address without brackets, or a host name in lower case."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        host, colon, port = text.rpartition(":")
        if not colon:
            raise ValueError("the port is missing")
        if _PORT.fullmatch(port) is None or int(port) > 65535:
            raise ValueError("the port is not a number from 1 to 65535")
        if host.startswith("[") and host.endswith("]"):
            try:
                address = ipaddress.IPv6Address(host[1:-1])
            except ValueError:
                raise ValueError("what stands in the brackets is not an IPv6 address") from None
            if address.scope_id is not None:
                # The name of an interface is another on the next machine.
                raise ValueError("an address with a zone is not supported")
            return cls(str(address), int(port))
        if ":" in host:
            raise ValueError("an IPv6 address goes in brackets")
        return cls(parse_host(host), int(port))

    @property
    def ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The host as an IP address, None where it is a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def is_loopback(self) -> bool:
        return is_loopback_host(self.host)

    def meets(self, other: Endpoint) -> bool:
        """Whether connecting to ``self`` may reach a listener on ``other``, as far as can be told without a
        resolver."""
        if self.port != other.port:
            return False
        if self.host == other.host:
            return True
        listener_ip = other.ip
        return listener_ip is not None and self.is_loopback and (listener_ip.is_unspecified or listener_ip.is_loopback)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Secret:
    """A value that no print, log line, comparison timing or JSON dump gives away; only ``reveal`` does."""

    __slots__ = ("_value",)
    _value: bytes

    def __init__(self, value: bytes) -> None:
        object.__setattr__(self, "_value", value)

    def reveal(self) -> bytes:
        return self._value

    def reveal_text(self) -> str:
        """The value as text; it was checked to be UTF-8 when the configuration was loaded."""
        return self._value.decode()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a secret is not changed in place")

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> tuple[type[Secret], tuple[bytes]]:
        return Secret, (self._value,)


def parse_host(text: str) -> str:
    """An IPv4 address or a host name (RFC 1123 letters, digits, hyphens; underscores are met in practice)."""
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        pass
    if not text or len(text) > 253 or not all(_LABEL.fullmatch(label) for label in text.split(".")):
        raise ValueError("the host is neither a name nor an IP address")
    if _NUMBER.fullmatch(text.rpartition(".")[2]):
        # "127.0.0.256", "10.1" and "0x7f000001" would go to the resolver, which reads some of them as other addresses.
        raise ValueError("the host looks like an IPv4 address and is not one")
    return text.lower()


def parse_network(text: str) -> Network:
    """An IP network, or a single address; bits beyond the prefix must be zero, so that what is meant is what is
    read."""
    try:
        return ipaddress.ip_network(text, strict=True)
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("") from None
    raise ValueError(f'bits are set beyond the prefix; the network is "{meant}"')


def is_loopback_host(host: str) -> bool:
    """Whether ``host`` (a name or an IP address without brackets) never leaves this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def mask_user_part(url: str) -> str:
    """``url`` without what stands before the host: a password pasted there must not be shown."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    return f"{scheme}{separator}{MASK}@{rest.rpartition('@')[2]}" if "@" in rest else url
