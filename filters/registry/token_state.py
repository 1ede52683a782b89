"""The life of the token that all users of one account share (İYS API reference, 4.1), as a value.

Somebody renews it a while before it ends, and only one at a time: who begins writes down until when the others may
count on it. A refresh gives a new refresh token too, and only the newest is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

import orjson

from filters.registry.calls.token import TokenAnswer

RENEW_BEFORE_S = 300
_SPARE_S = 5
"""A token is not used in its very last seconds: it could end on the way."""


class TokenStep(StrEnum):
    """What to do for a token."""

    USE = "use"
    REFRESH = "refresh"
    LOG_IN = "log_in"
    WAIT = "wait"
    """Somebody else is at it."""


@dataclass(frozen=True, slots=True)
class TokenState:
    """Instants in seconds since 1970 UTC; 0 where there is nothing.

    ``busy_until``: up to then the one named by ``busy_by`` is renewing the token.
    """

    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    access_until: float = 0.0
    refresh_until: float = 0.0
    busy_by: str = ""
    busy_until: float = 0.0

    def is_usable(self, now: float) -> bool:
        """Whether the access token may be sent."""
        return bool(self.access_token) and now < self.access_until - _SPARE_S


def next_step(state: TokenState, now: float) -> TokenStep:
    """What to do for a token at ``now``."""
    is_fresh = state.is_usable(now) and now < state.access_until - RENEW_BEFORE_S
    is_busy = now < state.busy_until
    if is_fresh or (is_busy and state.is_usable(now)):
        return TokenStep.USE
    if is_busy:
        return TokenStep.WAIT
    if state.refresh_token and now < state.refresh_until - _SPARE_S:
        return TokenStep.REFRESH
    return TokenStep.LOG_IN


def claimed(state: TokenState, by: str, now: float, lease_s: float) -> TokenState:
    """``by`` renews it now; the others wait up to ``lease_s``."""
    return replace(state, busy_by=by, busy_until=now + lease_s)


def released(state: TokenState, by: str) -> TokenState:
    """``by`` is done without a new token."""
    return replace(state, busy_by="", busy_until=0.0) if state.busy_by == by else state


def renewed(answer: TokenAnswer, now: float) -> TokenState:
    """The state after a login or refresh answered at ``now``. A life shorter than usual is renewed earlier."""
    return TokenState(
        answer.access_token,
        answer.refresh_token,
        now + answer.expires_in_s,
        now + answer.refresh_expires_in_s if answer.refresh_token else 0.0,
    )


def without_access(state: TokenState, refused_token: str) -> TokenState:
    """After a 401 for ``refused_token``: a newer one in the state stays."""
    return replace(state, access_token="", access_until=0.0) if state.access_token == refused_token else state


def without_refresh(state: TokenState, refused_token: str) -> TokenState:
    """After the refresh token was refused: only the password helps."""
    return replace(state, refresh_token="", refresh_until=0.0) if state.refresh_token == refused_token else state


def pack(state: TokenState) -> bytes:
    """The state as bytes. They hold tokens: they lie where only the program can read."""
    return orjson.dumps(
        {
            "v": 1,
            "access_token": state.access_token,
            "refresh_token": state.refresh_token,
            "access_until": state.access_until,
            "refresh_until": state.refresh_until,
            "busy_by": state.busy_by,
            "busy_until": state.busy_until,
        }
    )


def unpack(packed: bytes | None) -> TokenState:
    """The state behind ``packed``; an empty one where there is none, or where it is not ours (then we log in)."""
    if packed is None:
        return TokenState()
    try:
        fields = orjson.loads(packed)
        state = TokenState(
            fields["access_token"],
            fields["refresh_token"],
            float(fields["access_until"]),
            float(fields["refresh_until"]),
            fields["busy_by"],
            float(fields["busy_until"]),
        )
    except (ValueError, TypeError, KeyError):
        return TokenState()
    texts = (state.access_token, state.refresh_token, state.busy_by)
    return state if all(isinstance(text, str) for text in texts) else TokenState()
