"""Redis over TLS: look-ups and everything else believe a server only after its certificate was verified."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop

from adapters.store import StoreOptions, StoreUnreachableError, open_store
from adapters.store.redis_client import RedisClient
from adapters.store.url import RedisPlace
from filters.consent import Change, Consent, pack_change
from filters.exchange import Lookup, OutboxItem, StoreHealth
from filters.vocabulary import Channel, LookupFailure, RecipientType, Status
from tests.support.certificates import Authority
from tests.support.redis_server import RedisServer, free_port

BRAND = 600123
FINGERPRINT = b"test-fp1"
CHANGE = Change(
    b"0123456789", Channel.EMAIL, RecipientType.INDIVIDUAL, Consent(Status.REJECTED, 1_760_000_000, "HS_WEB", own=True)
)


class TlsRedis(NamedTuple):
    server: RedisServer
    port: int
    authority: Authority

    def url(self, host: str, login: str = "") -> str:
        return f"rediss://{login}{host}:{self.port}/0"


@pytest.fixture(scope="module")
def tls_redis(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Known as ``localhost`` and by nothing else, to those who trust its authority."""
    folder = tmp_path_factory.mktemp("tls-redis")
    authority = Authority(folder)
    certificate, key = authority.issue("localhost")
    port = free_port()
    server = RedisServer(
        folder / "data",
        *("--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)),
        *("--tls-auth-clients", "no"),
    )
    server.start()
    yield TlsRedis(server, port, authority)
    server.stop()


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Runs a coroutine on each of the two event loops the gateway may have."""

    def run(scene: Any) -> Any:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(scene)

    return run


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


async def health_of(url: str, directory: Path, **options: Any) -> StoreHealth:
    chosen = StoreOptions(lookup_deadline_s=0.3, **options)
    store = open_store(url, state_directory=directory, secret_fingerprint=FINGERPRINT, options=chosen)
    try:
        return await store.start()
    finally:
        await store.close()


def test_a_verified_redis_is_used_for_everything(
    tls_redis: TlsRedis, tmp_path: Path, play: Callable[[Any], Any]
) -> None:
    """Changes, look-ups, memory, outbox and counters all go over TLS, with user and password."""
    tls_redis.server.ask("FLUSHALL")
    tls_redis.server.ask("ACL", "SETUSER", "gate", "on", ">right horse", "~{izin}*", "+@all")

    async def scene() -> None:
        store = open_store(
            tls_redis.url("localhost", "gate:right%20horse@"),
            state_directory=tmp_path,
            secret_fingerprint=FINGERPRINT,
            options=StoreOptions(tls=trusting(tls_redis.authority.certificate)),
        )
        try:
            await store.start()
            await store.initialise()
            item = OutboxItem(b"id", BRAND, 1_760_000_500, b"sealed" * 5000)  # more than one TLS record holds
            await store.apply(BRAND, [CHANGE], watermark_at=1_760_000_000, outbox=[item])
            kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            store.remember_taken(b"digest", [CHANGE.key], kept.set_result)
            assert await kept
            assert await store.find(BRAND, [CHANGE.key], b"digest") == Lookup(
                [pack_change(CHANGE)], 1_760_000_000, 1, frozenset({CHANGE.key})
            )
            assert await store.outbox_due(1_760_000_500, 10) == [item]
            assert (await store.stats()).outbox == {BRAND: 1}
            clients = tls_redis.server.ask("CLIENT", "LIST").decode().splitlines()
            assert {
                line.split(" laddr=")[1].split(" ")[0].rpartition(":")[2] for line in clients if "user=gate" in line
            } == {str(tls_redis.port)}
        finally:
            await store.close()

    play(scene())


def test_an_unknown_authority_is_refused(tls_redis: TlsRedis, tmp_path: Path, play: Callable[[Any], Any]) -> None:
    """A server that shows a certificate of another authority hears no question and no password, neither from look-ups
    nor from the client for the rest."""
    other = trusting(Authority(tmp_path, "other").certificate)
    tls_redis.server.ask("CONFIG", "RESETSTAT")
    health = play(health_of(tls_redis.url("localhost", "gate:secret@"), tmp_path, tls=other))
    assert health.failure is LookupFailure.UNREACHABLE
    assert "CERTIFICATE_VERIFY_FAILED" in health.detail

    async def scene() -> None:
        place = RedisPlace("localhost", tls_redis.port, 0, "gate", "secret", has_tls=True)
        client = RedisClient(place, "", other, connect_s=1.0, deadline_s=1.0)
        with pytest.raises(StoreUnreachableError):
            await client.read_settings()
        with pytest.raises(StoreUnreachableError):
            async with client.asking() as redis:
                await redis.ping()
        await client.close()

    play(scene())
    counted = tls_redis.server.ask("INFO", "commandstats")
    assert b"cmdstat_config" in counted
    assert not any(word in counted for word in (b"cmdstat_auth", b"cmdstat_ping", b"cmdstat_select"))


async def test_the_systems_authorities_do_not_know_ours(tls_redis: TlsRedis, tmp_path: Path) -> None:
    """Without a context the server is verified against the system's authorities, not left unverified."""
    assert (await health_of(tls_redis.url("localhost"), tmp_path)).failure is LookupFailure.UNREACHABLE


async def test_another_name_than_the_certificates_is_refused(tls_redis: TlsRedis, tmp_path: Path) -> None:
    """The right authority does not make every server of it the right one."""
    tls = trusting(tls_redis.authority.certificate)
    health = await health_of(tls_redis.url("127.0.0.1"), tmp_path, tls=tls)
    assert health.failure is LookupFailure.UNREACHABLE
    assert "CERTIFICATE_VERIFY_FAILED" in health.detail


async def test_a_server_without_tls_is_no_redis_over_tls(tls_redis: TlsRedis, tmp_path: Path) -> None:
    """``rediss://`` to the plain port fails; nothing falls back to clear text."""
    tls = trusting(tls_redis.authority.certificate)
    health = await health_of(f"rediss://localhost:{tls_redis.server.port}/0", tmp_path, tls=tls)
    assert health.failure is LookupFailure.UNREACHABLE
