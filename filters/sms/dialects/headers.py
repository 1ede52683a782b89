"""Header fields: what goes upstream with a request, what an account is called in logs, what an answer adds."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache

from filters.sms.dialect import Segments
from filters.sms.dialects.strict_json import malformed
from filters.sms.http import HttpRequest

SEGMENTS_HEADER = "x-izin-segments"
"""``before=1, after=2``: segments of all texts of a request without and with the opt-out."""


def carried_headers(request: HttpRequest, *more: str) -> tuple[tuple[str, str], ...]:
    """The fields of ``request`` that go upstream: credentials, what the client is and accepts, and those in ``more``.

    Credentials twice are refused: the provider might take the other ones.
    """
    names = ("authorization", "accept", "user-agent", *more)
    found: dict[str, str] = {}
    for name, value in request.headers:
        if name in names:
            if name in found and name != "accept":
                raise malformed(f"{name}: expected once")
            found[name] = value
    return tuple(found.items())


def account_of(request: HttpRequest) -> str:
    """What names the account in the Authorization field, never its secret; "" where nothing does.

    Basic: the user. A JWT: its application. Anything else: ``Scheme:`` and the beginning of the secret's SHA-256, by
    which an operator may tell API keys apart.
    """
    field = request.header("authorization") or ""
    return _account_known(field) if len(field) <= _SHORT else _account_in(field)


_SHORT = 1024


def _account_in(field: str) -> str:
    scheme, _, rest = field.partition(" ")
    rest = rest.strip()
    if not rest:
        return ""
    if scheme.lower() == "basic":
        # The secret may be in any charset, and must not hide whose it is from the rules for this account.
        return _decode_octets(rest).partition(b":")[0].decode("utf-8", "replace")
    if scheme.lower() == "bearer" and rest.count(".") == 2:
        try:
            claims = json.loads(_decode(rest.split(".")[1]) or "null")
        except (ValueError, RecursionError):
            claims = None
        application = claims.get("application_id") if isinstance(claims, dict) else None
        if isinstance(application, str):
            return application
    return f"{scheme[:16]}:{hashlib.sha256(rest.encode()).hexdigest()[:16]}"


_account_known = lru_cache(maxsize=1024)(_account_in)
"""Clients are few, and each says the same with every request."""


def segments_header(segments: Sequence[Segments]) -> tuple[tuple[str, str], ...]:
    """The field that tells segments before and after; nothing where nothing was decided about texts."""
    if not segments:
        return ()
    if len(segments) == 1:
        before, after = segments[0]
    else:
        before, after = (sum(counts) for counts in zip(*segments, strict=True))
    return ((SEGMENTS_HEADER, f"before={before}, after={after}"),)


def _decode(text: str) -> str:
    try:
        return _decode_octets(text).decode()
    except UnicodeDecodeError:
        return ""


def _decode_octets(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""
