"""Who may send: clients known by the network they come from, by a login, or by either.

Nobody else may; there is no default client, so a forgotten setting closes the gate instead of opening it.

Passwords are argon2 hashes. Checking one takes tens of milliseconds and tens of megabytes by design, so it happens in a
few threads of its own, never in the loop; the same credentials waiting twice are checked once; a check that succeeded
is remembered for minutes (as a hash under a key that exists only in this process), because a client that opens a
connection per message would otherwise spend more on its password than on its mail. Failures are counted per peer. An
unknown user name costs the same time as a wrong password, or names could be found out by the clock.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

import argon2
import structlog
from argon2.exceptions import InvalidHashError, VerificationError

from filters.client import Client
from gateway.peer import peer_group

log = structlog.stdlib.get_logger(__name__)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAX_WAITING = 64
_MAX_REMEMBERED = 4096
_MAX_PEERS = 10_000


class ClientAccess(NamedTuple):
    """How one client is recognised: by network or by login, either is enough.

    ``password_hash`` is an argon2 hash in its usual string form.
    """

    client: Client
    networks: tuple[Network, ...] = ()
    username: str = ""
    password_hash: str = ""


class LoginFailure(StrEnum):
    """Why a login did not make a client."""

    WRONG = "wrong"
    TOO_MANY_FAILURES = "too_many_failures"
    BUSY = "busy"


LoginResult = Client | LoginFailure


class _Login(NamedTuple):
    client: Client
    password_hash: str


class ClientDirectory:
    """All clients of one configuration; a reload makes a new one.

    ``remembered_s``: how long a successful check stands. ``max_failures`` in ``failure_window_s`` per peer, then every
    password from there that is not remembered is put off.
    """

    def __init__(
        self,
        accesses: Sequence[ClientAccess],
        *,
        threads: int = 2,
        remembered_s: float = 300.0,
        max_failures: int = 20,
        failure_window_s: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._remembered_s = remembered_s
        self._max_failures = max_failures
        self._failure_window_s = failure_window_s
        self._networks = _by_prefix(accesses)
        self._logins = _by_username(accesses)
        self._found: dict[str, Client | None] = {}
        self._memory_key = secrets.token_bytes(32)
        self._remembered: dict[bytes, float] = {}
        self._waiting: dict[bytes, list[Callable[[LoginResult], None]]] = {}
        self._failures: dict[str, tuple[int, float]] = {}
        self._stand_in_hash = ""
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="password")

    @property
    def has_logins(self) -> bool:
        return bool(self._logins)

    def close(self) -> None:
        """Let the threads go; checks under way are answered still."""
        self._executor.shutdown(wait=False)

    def find_by_network(self, address: str) -> Client | None:
        """The client whose most specific network holds ``address`` (normalised), or None."""
        try:
            return self._found[address]
        except KeyError:
            pass
        parsed = ipaddress.ip_address(address)
        number, bits = int(parsed), parsed.max_prefixlen
        found = None
        for version, prefix, clients in self._networks:
            if version == parsed.version and (found := clients.get(number >> (bits - prefix))) is not None:
                break
        if len(self._found) >= _MAX_PEERS:
            self._found.clear()
        self._found[address] = found
        return found

    def check_login(self, username: bytes, password: bytes, peer: str, done: Callable[[LoginResult], None]) -> None:
        """Tell ``done`` which client this is. ``done`` is called once, in the loop's thread, possibly at once."""
        login = self._logins.get(username)
        digest = self._digest(username, password, login)
        expires_at = self._remembered.get(digest)
        if login is not None and expires_at is not None:
            if self._clock() < expires_at:
                done(login.client)
                return
            del self._remembered[digest]
        if self._has_failed_too_often(peer):
            done(LoginFailure.TOO_MANY_FAILURES)
            return
        waiting = self._waiting.get(digest)
        if waiting is not None:
            waiting.append(done)
            return
        if len(self._waiting) >= _MAX_WAITING:
            done(LoginFailure.BUSY)
            return
        loop = asyncio.get_running_loop()
        password_hash = login.password_hash if login is not None else ""
        checked = loop.run_in_executor(self._executor, self._is_right, password_hash, password)
        self._waiting[digest] = [done]
        checked.add_done_callback(partial(self._conclude, digest, login, peer))

    def _digest(self, username: bytes, password: bytes, login: _Login | None) -> bytes:
        # The stored hash is part of it: a changed password forgets what was remembered of the old one. Lengths go
        # first, so that no other split of the same bytes gives the same digest.
        password_hash = login.password_hash.encode() if login is not None else b""
        lengths = b"%d %d " % (len(username), len(password_hash))
        return blake2b(lengths + username + password_hash + password, digest_size=32, key=self._memory_key).digest()

    def _is_right(self, password_hash: str, password: bytes) -> bool:
        """In a thread: whether ``password`` fits. Without a hash it does the same work and says no."""
        try:
            argon2.PasswordHasher().verify(password_hash or self._stand_in(), password)
        except VerificationError:  # a mismatch is one too
            return False
        return bool(password_hash)

    def _stand_in(self) -> str:
        if not self._stand_in_hash:
            parameters = [argon2.extract_parameters(login.password_hash) for login in self._logins.values()]
            hasher = argon2.PasswordHasher.from_parameters(parameters[0]) if parameters else argon2.PasswordHasher()
            self._stand_in_hash = hasher.hash(secrets.token_bytes(16))
        return self._stand_in_hash

    def _conclude(self, digest: bytes, login: _Login | None, peer: str, checked: asyncio.Future[bool]) -> None:
        result: LoginResult
        if checked.cancelled() or (fault := checked.exception()) is not None:
            log.error("login.check_failed", fault="cancelled" if checked.cancelled() else type(fault).__name__)
            result = LoginFailure.BUSY
        elif checked.result() and login is not None:
            if len(self._remembered) >= _MAX_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[digest] = self._clock() + self._remembered_s
            result = login.client
        else:
            self._count_failure(peer)
            result = LoginFailure.WRONG
        for done in self._waiting.pop(digest):
            done(result)

    def _has_failed_too_often(self, peer: str) -> bool:
        group = peer_group(peer)
        count, since = self._failures.get(group, (0, 0.0))
        if not count:
            return False
        if self._clock() - since > self._failure_window_s:
            del self._failures[group]
            return False
        return count >= self._max_failures

    def _count_failure(self, peer: str) -> None:
        group = peer_group(peer)
        count, since = self._failures.get(group, (0, self._clock()))
        if group not in self._failures and len(self._failures) >= _MAX_PEERS:
            del self._failures[next(iter(self._failures))]
        self._failures[group] = (count + 1, since)


def _by_prefix(accesses: Sequence[ClientAccess]) -> list[tuple[int, int, dict[int, Client]]]:
    """(IP version, prefix length, clients by the bits of the prefix), longest prefix first."""
    tables: dict[tuple[int, int], dict[int, Client]] = {}
    for access in accesses:
        for network in access.networks:
            table = tables.setdefault((network.version, network.prefixlen), {})
            bits = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
            if table.setdefault(bits, access.client) is not access.client:
                raise ValueError(f"clients {table[bits].name} and {access.client.name} share the network {network}")
    return [(version, prefix, table) for (version, prefix), table in sorted(tables.items(), reverse=True)]


def _by_username(accesses: Sequence[ClientAccess]) -> dict[bytes, _Login]:
    logins: dict[bytes, _Login] = {}
    for access in accesses:
        if not access.username:
            continue
        try:
            argon2.extract_parameters(access.password_hash)
        except InvalidHashError:
            raise ValueError(f"client {access.client.name}: password_hash is not an argon2 hash") from None
        if logins.setdefault(access.username.encode(), _Login(access.client, access.password_hash)).client is not (
            access.client
        ):
            raise ValueError(f"client {access.client.name}: its username is another client's too")
    return logins
