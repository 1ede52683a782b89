"""``POST /oauth2/token``: who gets a token, how long it lives, and what is wrong with a request for one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Any, NamedTuple

import orjson

from loadtest.registry.book.database import Database
from loadtest.registry.book.world import User, World
from loadtest.registry.settings import Settings

_KNOWN_BUT_CLOSED = frozenset(
    {"client_credentials", "authorization_code", "implicit", "urn:ietf:params:oauth:grant-type:device_code"}
)


class OAuthError(Exception):
    """``error`` and ``error_description``, always with status 400."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(error)
        self.body = {"error": error, "error_description": description}


class Session(NamedTuple):
    """Who calls, by the token. ``brands`` are those that the token named when it was given."""

    user: User
    brands: frozenset[int]


class Tokens:
    """Gives tokens and knows them again, over restarts too."""

    def __init__(self, database: Database, world: World, settings: Settings) -> None:
        self._connection = database.connection
        self._world = world
        self._settings = settings
        key = database.read("token_key")
        if not isinstance(key, str):
            key = secrets.token_hex(32)
            database.write("token_key", key)
        self._key = key.encode()

    def answer(self, given: object, now: float) -> dict[str, Any]:
        """The body of a successful answer. Unknown fields are passed over. Raises ``OAuthError``."""
        if not isinstance(given, dict) or "grant_type" not in given:
            raise OAuthError("invalid_request", "Giriş yöntemi verilmemiş.")
        grant = given["grant_type"]
        if grant == "":
            raise OAuthError("invalid_grant", "Giriş yöntemi boş.")
        if grant == "password":
            username = _read(given, "username", "Kullanıcı adı")
            password = _read(given, "password", "Şifre")
            user = self._world.users.get(username)
            if user is None or not hmac.compare_digest(user.password.encode(), password.encode()):
                raise OAuthError("invalid_request", "Kullanıcı kimlik bilgileri geçersiz.")
            if user.role not in {"provider", "partner"}:
                raise OAuthError("invalid_request", f"Beklenmeyen kullanıcı rolü: {user.role}.")
            return self._issue(user, now, now)
        if grant == "refresh_token":
            return self._refresh(_read(given, "refresh_token", "Yenileme jetonu"), now)
        if isinstance(grant, str) and grant in _KNOWN_BUT_CLOSED:
            raise OAuthError("unsupported_grant_type", "Desteklenmeyen giriş yöntemi.")
        raise OAuthError("invalid_request", "Bilinmeyen giriş yöntemi.")

    def find(self, token: str, now: float) -> Session | None:
        """Whose access token this is, None if it is nobody's (any more)."""
        row = self._connection.execute(
            "SELECT username, expires_at FROM tokens WHERE token = ? AND is_refresh = 0", (_digest(token),)
        ).fetchone()
        if row is None or row[1] <= now:
            return None
        user = self._world.users.get(row[0])
        if user is None:
            return None
        claims = orjson.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        return Session(user, frozenset(int(each["brandCode"]) for each in claims["brands"]))

    def revoke_all(self, *, refresh_too: bool) -> None:
        """As if the registry had restarted with new keys."""
        self._connection.execute("DELETE FROM tokens" if refresh_too else "DELETE FROM tokens WHERE is_refresh = 0")
        self._connection.commit()

    def _refresh(self, token: str, now: float) -> dict[str, Any]:
        row = self._connection.execute(
            "SELECT username, expires_at, login_at FROM tokens WHERE token = ? AND is_refresh = 1", (_digest(token),)
        ).fetchone()
        user = None if row is None else self._world.users.get(row[0])
        if row is None or user is None or row[1] <= now:
            raise OAuthError("invalid_grant", "Yenileme jetonu geçersiz ya da süresi dolmuş.")
        if self._settings.is_refresh_token_used_once:
            self._connection.execute("DELETE FROM tokens WHERE token = ?", (_digest(token),))
        return self._issue(user, now, row[2])

    def _issue(self, user: User, now: float, login_at: float) -> dict[str, Any]:
        access_s = self._settings.access_token_s
        refresh_s = int(login_at + self._settings.refresh_token_s - now)
        self._connection.execute("DELETE FROM tokens WHERE expires_at <= ?", (now,))
        access = self._sign(user, now, access_s, "Bearer")
        refresh = self._sign(user, now, refresh_s, "Refresh")
        self._connection.executemany(
            "INSERT INTO tokens VALUES (?, ?, ?, ?, ?)",
            [
                (_digest(access), user.username, 0, now + access_s, login_at),
                (_digest(refresh), user.username, 1, now + refresh_s, login_at),
            ],
        )
        self._connection.commit()
        return {
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": access_s,
            "refresh_expires_in": refresh_s,
            "token_type": "bearer",
        }

    def _sign(self, user: User, now: float, lifetime_s: int, kind: str) -> str:
        claims: dict[str, object] = {
            "jti": secrets.token_hex(16),
            "iat": int(now),
            "exp": int(now) + lifetime_s,
            "typ": kind,
            "userType": user.role,
            "preferred_username": user.username,
            "brands": [
                {"brandCode": str(code), "name": brand.name}
                for code in self._world.brands_of(user)
                if (brand := self._world.brands.get(code)) is not None
            ],
        }
        provider = self._world.providers.get(user.iys_code)
        if provider is not None:
            claims["serviceProvider"] = {"title": provider.name, "iysCode": str(provider.iys_code)}
        text = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
        return f"{text}.{_base64(hmac.digest(self._key, text.encode(), 'sha256'))}"


def _read(given: dict[str, Any], name: str, title: str) -> str:
    if name not in given:
        raise OAuthError("invalid_request", f"{title} verilmemiş.")
    value = given[name]
    if not isinstance(value, str):
        raise OAuthError("invalid_request", f"{title} türü desteklenmiyor.")
    if not value:
        raise OAuthError("invalid_grant", f"{title} boş bırakılamaz.")
    return value


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _part(value: object) -> str:
    return _base64(orjson.dumps(value))


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
