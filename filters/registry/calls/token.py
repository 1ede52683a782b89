"""Log in and refresh (İYS API reference, 4.1). The answer's tokens are opaque."""

from __future__ import annotations

from dataclasses import dataclass, field

from filters.registry.call import Call, Priority, Quota, json_body
from filters.registry.reading import UnreadableError, find_integer, parse_object

PATH = "/oauth2/token"
ANSWER_WITHIN_S = 15.0
"""The token endpoint was seen to answer in half a second; while one asks, everybody waits."""

MAX_TOKEN_CHARACTERS = 16_384
_MAX_ANSWER_BYTES = 1 << 16
_DEFAULT_EXPIRY_S = 7200
_DEFAULT_REFRESH_EXPIRY_S = 14400
_LONGEST_EXPIRY_S = 7 * 86400


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What a login gives. Times count from the answer."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in_s: int
    refresh_expires_in_s: int


def login(username: str, password: str) -> Call[TokenAnswer]:
    """Password grant."""
    return _call("login", {"grant_type": "password", "username": username, "password": password})


def refresh(refresh_token: str) -> Call[TokenAnswer]:
    """Refresh grant; gives a new refresh token too."""
    return _call("refresh", {"grant_type": "refresh_token", "refresh_token": refresh_token})


def _call(name: str, fields: dict[str, str]) -> Call[TokenAnswer]:
    return Call(
        name,
        "POST",
        PATH,
        _read,
        body=json_body(fields),
        quota=Quota.TOKEN,
        priority=Priority.LOGIN,
        answer_within_s=ANSWER_WITHIN_S,
        max_answer_bytes=_MAX_ANSWER_BYTES,
    )


def _read(status: int, body: bytes) -> TokenAnswer:
    fields = parse_object(body)
    refresh_token = fields.get("refresh_token", "")
    return TokenAnswer(
        _token(fields.get("access_token"), "access_token"),
        _token(refresh_token, "refresh_token") if refresh_token else "",
        _expiry(find_integer(fields, "expires_in"), _DEFAULT_EXPIRY_S),
        _expiry(find_integer(fields, "refresh_expires_in"), _DEFAULT_REFRESH_EXPIRY_S),
    )


def _token(value: object, name: str) -> str:
    # It goes into a header line: visible ASCII only.
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TOKEN_CHARACTERS:
        raise UnreadableError(f"{name}: missing")
    if any(not "!" <= letter <= "~" for letter in value):
        raise UnreadableError(f"{name}: not a token")
    return value


def _expiry(seconds: int | None, default: int) -> int:
    return default if seconds is None else max(0, min(seconds, _LONGEST_EXPIRY_S))
