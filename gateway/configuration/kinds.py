"""What a setting's value may be: the expected form as a phrase, an example in TOML, and the parser that decides.

A ``Kind`` stands in a field's annotation, ``Annotated[Duration, duration("1s", "10m")]``; the same phrase serves the
error message, the example file and the manual, so the three cannot say different things.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from gateway.configuration.values import Duration, Endpoint, Network, Size, is_loopback_host, parse_host, parse_network

Parser = Callable[[object], object]

EXPECTED = "izinkapi_expected"
"""The type of our own errors among pydantic's."""


@dataclass(frozen=True)
class Kind:
    """``expected`` reads after the word "expected"; ``example`` is TOML. ``shows_value`` is False where the text found
    may be a secret."""

    expected: str
    example: str
    parse: Parser
    shows_value: bool = True

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def _validate(self, raw: object) -> object:
        try:
            return self.parse(raw)
        except ValueError as error:
            # The hint is ours: parsers never put what they were given into it where it could be secret.
            raise PydanticCustomError(EXPECTED, "{hint}", {"hint": str(error)}) from None


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError("")  # noqa: TRY004 - pydantic turns only ValueError into a problem
    return raw


def _of_text(parse: Callable[[str], object]) -> Parser:
    return lambda raw: parse(_text(raw))


def yes_or_no() -> Kind:
    def parse(raw: object) -> bool:
        if not isinstance(raw, bool):
            raise ValueError("write it without quotes" if raw in ("true", "false") else "")  # noqa: TRY004 - as in _text
        return raw

    return Kind("true or false", "true", parse)


def whole(least: int, most: int, example: int | None = None) -> Kind:
    """A whole number from ``least`` to ``most``."""

    def parse(raw: object) -> int:
        if isinstance(raw, str) and raw.strip().isdigit():
            raise ValueError("write it without quotes")
        if not isinstance(raw, int) or isinstance(raw, bool) or not least <= raw <= most:
            raise ValueError("")
        return raw

    return Kind(f"a whole number from {least} to {most}", str(least if example is None else example), parse)


def text(most: int = 200, example: str = "…", *, may_be_empty: bool = False) -> Kind:
    """Printable text. A line end in it could start a header field of its own; it is refused with all control
    characters."""

    def parse(raw: str) -> str:
        if any(ord(character) < 32 or 127 <= ord(character) < 160 or character in "\u2028\u2029" for character in raw):
            raise ValueError("it has a line end or another control character")
        if len(raw) > most:
            raise ValueError(f"it has {len(raw)} characters")
        if not may_be_empty and not raw.strip():
            raise ValueError("")
        return raw

    return Kind(f"a text of at most {most} characters", f'"{example}"', _of_text(parse))


def matching(expected: str, example: str, expression: str) -> Kind:
    """Text that fits ``expression`` as a whole."""
    compiled = re.compile(expression, re.ASCII)

    def parse(raw: str) -> str:
        if compiled.fullmatch(raw) is None:
            raise ValueError("")
        return raw

    return Kind(expected, f'"{example}"', _of_text(parse))


def name(example: str) -> Kind:
    """A name that appears in logs, metrics and evidence."""
    return matching(
        "a name of lower-case letters a-z, digits, - and _, at most 40 characters", example, r"[a-z0-9][a-z0-9_-]{0,39}"
    )


def digits(count: int, expected: str, example: str, *, shows_value: bool = True) -> Kind:
    def parse(raw: object) -> str:
        if isinstance(raw, int) and not isinstance(raw, bool):
            raise ValueError("write it in quotes, leading zeros count")  # noqa: TRY004 - as in _text
        value = _text(raw)
        if not (value.isascii() and value.isdigit()):
            raise ValueError("")
        if len(value) != count:
            raise ValueError(f"it has {len(value)} digit{'' if len(value) == 1 else 's'}")
        return value

    return Kind(expected, f'"{example}"', parse, shows_value)


def one_of(choices: type[StrEnum]) -> Kind:
    """One word of a closed list."""
    words = [str(choice) for choice in choices]

    def parse(raw: str) -> StrEnum:
        try:
            return choices(raw)
        except ValueError:
            raise ValueError("") from None

    listed = ", ".join(f'"{word}"' for word in words[:-1]) + f' or "{words[-1]}"'
    return Kind(listed, f'"{words[0]}"', _of_text(parse))


def duration(least: str, most: str, example: str) -> Kind:
    shortest, longest = Duration.parse(least), Duration.parse(most)

    def parse(raw: object) -> Duration:
        value = Duration.parse(_with_unit(raw, "a time has a unit: ms, s, m, h or d"))
        if not shortest <= value <= longest:
            raise ValueError("")
        return value

    return Kind(f"a time from {shortest} to {longest}", f'"{example}"', parse)


def size(least: str, most: str, example: str) -> Kind:
    smallest, largest = Size.parse(least), Size.parse(most)

    def parse(raw: object) -> Size:
        value = Size.parse(_with_unit(raw, "a size has a unit: B, kB, KiB, MB, MiB, GB or GiB"))
        if not smallest <= value <= largest:
            raise ValueError("")
        return value

    return Kind(f"a size from {smallest} to {largest}", f'"{example}"', parse)


def _with_unit(raw: object, hint: str) -> str:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        raise ValueError(hint)  # noqa: TRY004 - as in _text
    return _text(raw)


def upstream_endpoint(example: str) -> Kind:
    return Kind("a host and a port", f'"{example}"', _of_text(Endpoint.parse))


def listener_endpoint(example: str) -> Kind:
    """An address to listen on. A name could resolve to several; which one is meant has to be written."""

    def parse(raw: str) -> Endpoint:
        endpoint = Endpoint.parse(raw)
        if endpoint.ip is None:
            raise ValueError("a listener needs an IP address, not a name")
        return endpoint

    return Kind("an IP address and a port", f'"{example}"', _of_text(parse))


def network() -> Kind:
    def parse(raw: str) -> Network:
        return parse_network(raw)

    return Kind("a network or an IP address", '"192.0.2.0/24"', _of_text(parse))


def domain(example: str) -> Kind:
    def parse(raw: str) -> str:
        host = parse_host(raw)
        if "." not in host or (host[0].isdigit() and _is_ip(host)):
            raise ValueError("")
        return host

    return Kind("a domain name in its ASCII form", f'"{example}"', _of_text(parse))


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def path(expected: str, example: str) -> Kind:
    def parse(raw: str) -> PurePosixPath:
        if not raw or "\0" in raw:
            raise ValueError("")
        return PurePosixPath(raw)

    return Kind(expected, f'"{example}"', _of_text(parse))


def web_base(example: str) -> Kind:
    """The base of web addresses: https (http on a loopback host only), no final slash, query, fragment or user part."""

    def parse(raw: str) -> str:
        if any(ord(character) <= 32 or ord(character) >= 127 for character in raw):
            raise ValueError("it has a space, a control character or a letter outside ASCII")
        try:
            parts = urlsplit(raw)
            port = parts.port
        except ValueError:
            raise ValueError("its host or port cannot be read") from None
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("")
        if parts.username is not None or parts.password is not None:
            raise ValueError("it has a user part")
        _check_host(parts.hostname, port)
        if parts.scheme == "http" and not is_loopback_host(parts.hostname):
            raise ValueError("http is for loopback hosts only")
        if "?" in raw or "#" in raw:
            raise ValueError("it has a query or a fragment")
        if raw.endswith("/"):
            raise ValueError("it ends in a slash")
        return raw

    return Kind("an https address without a final slash", f'"{example}"', _of_text(parse))


def _check_host(host: str, port: int | None) -> None:
    if ":" in host:
        if not _is_ip(host):
            raise ValueError("what stands in the brackets is not an IPv6 address")
    else:
        parse_host(host)
    if port == 0:
        raise ValueError("port 0 cannot be reached")


def from_environment() -> Kind:
    """A secret is named, never written: the configuration file is read by more people than may know it."""
    expression = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)

    def parse(raw: str) -> str:
        match = expression.fullmatch(raw)
        if match is None:
            raise ValueError(
                "a secret does not stand in this file: name a variable, or a file by the setting ending in _file"
            )
        return raw

    return Kind("the environment variable that holds it", '"env:IZINKAPI_SECRET"', _of_text(parse), shows_value=False)


_ARGON2 = re.compile(
    r"\$argon2(?:id|i|d)\$v=(\d+)\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)", re.ASCII
)


def parse_password_hash(text: str) -> str:
    """An Argon2 hash in PHC string form whose cost is neither trivial nor a way to stop the machine."""
    match = _ARGON2.fullmatch(text)
    if match is None:
        raise ValueError("argon2.PasswordHasher().hash(password) makes one")
    version, memory_kib, passes, lanes = (int(number) for number in match.group(1, 2, 3, 4))
    try:
        salt, digest = (b64decode(part + "=" * (-len(part) % 4), validate=True) for part in match.group(5, 6))
    except Base64Error:
        raise ValueError("its salt or digest is cut off") from None
    if version != 19 or not 8 <= memory_kib <= 1024**2 or not 1 <= passes <= 64 or not 1 <= lanes <= 64:
        raise ValueError("its version or cost is out of range: v=19, m up to 1048576, t and p up to 64")
    if len(salt) < 8 or len(digest) < 16:
        raise ValueError("its salt or digest is too short")
    return text


# The digest is all zeros: whoever leaves the example in place has let nobody in.
_EXAMPLE_HASH = "$argon2id$v=19$m=65536,t=3,p=4$bWFkZS11cC1zYWx0LTAwMQ$" + 43 * "A"


def password_hash() -> Kind:
    """An Argon2 hash, written out or named by an environment variable."""
    reference = from_environment()

    def parse(raw: str) -> object:
        return reference.parse(raw) if raw.startswith("env:") else parse_password_hash(raw)

    return Kind(
        "an Argon2 hash, or the environment variable that holds it",
        f'"{_EXAMPLE_HASH}"',
        _of_text(parse),
        shows_value=False,
    )
