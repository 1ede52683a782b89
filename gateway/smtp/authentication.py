"""AUTH PLAIN and AUTH LOGIN (RFC 4954, RFC 4616, draft-murchison-sasl-login): from lines to a name and a password.

Only the mechanics; whether the password is right is ``gateway.clients``' to say.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from gateway.smtp import replies

MAX_LINE_BYTES = 12288
"""RFC 4954 4: the longest line a mechanism may need."""

MAX_USERNAME_BYTES = 255
MAX_PASSWORD_BYTES = 1024
"""Hashing time grows with the length; nobody's password does."""


class Challenge(NamedTuple):
    """Say this line and wait for the next one."""

    line: bytes


class Credentials(NamedTuple):
    """What the client claims to be."""

    username: bytes
    password: bytes

    def __repr__(self) -> str:
        return "Credentials(...)"


class Refusal(NamedTuple):
    """The exchange is over; say this."""

    reply: bytes


Step = Challenge | Credentials | Refusal

_ASK_PLAIN = Challenge(b"334 \r\n")
_ASK_USERNAME = Challenge(b"334 " + base64.b64encode(b"Username:") + b"\r\n")
_ASK_PASSWORD = Challenge(b"334 " + base64.b64encode(b"Password:") + b"\r\n")
_BAD_FORM = Refusal(replies.BAD_CREDENTIALS)


class LoginExchange:
    """One AUTH command from its first line to credentials or a refusal."""

    __slots__ = ("_is_plain", "_username")

    def __init__(self, *, is_plain: bool) -> None:
        self._is_plain = is_plain
        self._username: bytes | None = None

    def start(self, initial: bytes) -> Step:
        """``initial`` is the initial response as written, b"" for none ("=" stands for an empty one)."""
        if not initial:
            return _ASK_PLAIN if self._is_plain else _ASK_USERNAME
        return self._take(b"" if initial == b"=" else initial)

    def answer(self, line: bytes) -> Step:
        """The client's line in answer to the last challenge."""
        if line == b"*":
            return Refusal(replies.LOGIN_CANCELLED)
        return self._take(line)

    def _take(self, encoded: bytes) -> Step:
        try:
            decoded = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return Refusal(replies.BAD_BASE64)
        if self._is_plain:
            return _parse_plain(decoded)
        if self._username is None:
            self._username = decoded
            return _ASK_PASSWORD
        return _checked(self._username, decoded)


def _parse_plain(message: bytes) -> Step:
    """``[authzid] NUL authcid NUL passwd``; acting for somebody else than oneself is not offered."""
    parts = message.split(b"\0")
    if len(parts) != 3:
        return _BAD_FORM
    acting_for, username, password = parts
    if acting_for not in (b"", username):
        return Refusal(replies.LOGIN_REFUSED)
    return _checked(username, password)


def _checked(username: bytes, password: bytes) -> Step:
    if not username or not password or b"\0" in username or b"\0" in password:
        return _BAD_FORM
    if len(username) > MAX_USERNAME_BYTES or len(password) > MAX_PASSWORD_BYTES:
        return _BAD_FORM
    return Credentials(username, password)


MECHANISMS = {b"PLAIN": True, b"LOGIN": False}
"""Mechanism names, and whether they are PLAIN's form."""
