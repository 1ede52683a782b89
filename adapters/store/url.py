"""The store's URL: which of the two stores, and where.

=====================  ==========================================================================================
``lmdb:PATH``          a directory on this machine; relative paths start at the given base directory
``redis://…``          ``redis://[user[:password]@]host[:port][/database]``
``rediss://…``         the same over TLS, the server's certificate verified
=====================  ==========================================================================================
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from adapters.store.errors import StoreConfigurationError

_EXPECTED = "expected lmdb:PATH, redis://HOST[:PORT][/DATABASE] or rediss://HOST[:PORT][/DATABASE]"
_REDIS_PORT = 6379


class LmdbPlace(NamedTuple):
    directory: Path


class RedisPlace(NamedTuple):
    """``user`` and ``password`` are empty where the URL has none."""

    host: str
    port: int
    database: int
    user: str
    password: str
    has_tls: bool

    def __repr__(self) -> str:
        # A place is printed in errors and logs; its password must not be.
        return f"{'rediss' if self.has_tls else 'redis'}://{self.host}:{self.port}/{self.database}"


def parse_store_url(url: str, base_directory: Path) -> LmdbPlace | RedisPlace:
    """Where the store is. Raises ``StoreConfigurationError``; its message never repeats the URL's password."""
    scheme, colon, rest = url.partition(":")
    if not colon:
        raise StoreConfigurationError(f"store url: {_EXPECTED}, found no scheme")
    if scheme == "lmdb":
        path = rest.removeprefix("//")
        if not path:
            raise StoreConfigurationError("store url: expected a directory after lmdb:, as in lmdb:var/store")
        return LmdbPlace(base_directory / path)
    if scheme in {"redis", "rediss"}:
        return _parse_redis(url, has_tls=scheme == "rediss")
    if scheme in {"redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"}:
        raise StoreConfigurationError(
            f"store url: {scheme}:// is not supported yet; {_EXPECTED} (for Sentinel, the address of the master)"
        )
    raise StoreConfigurationError(f"store url: {_EXPECTED}, found the scheme {scheme!r}")


def _parse_redis(url: str, *, has_tls: bool) -> RedisPlace:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise StoreConfigurationError(f"store url: {_EXPECTED}, found a host or port that cannot be read") from error
    if not parts.hostname:
        raise StoreConfigurationError(f"store url: {_EXPECTED}, found no host")
    if parts.query or parts.fragment:
        raise StoreConfigurationError(f"store url: {_EXPECTED}, found something after a question mark or hash sign")
    database = parts.path.strip("/") or "0"
    if not (database.isascii() and database.isdigit()):
        raise StoreConfigurationError(f"store url: expected a number as Redis database, found {database!r}")
    return RedisPlace(
        parts.hostname,
        _REDIS_PORT if port is None else port,
        int(database),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        has_tls,
    )
