"""What goes to Redis through redis-py: once, in time, with its own reply, and with nothing left behind."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvloop

from adapters.store import Store, StoreError, StoreTimedOutError, StoreUnreachableError
from adapters.store.redis_client import RedisClient
from adapters.store.url import RedisPlace
from filters.consent import Change, Consent
from filters.exchange import OutboxItem
from filters.vocabulary import Channel, LookupFailure, RecipientType, Status
from tests.support.redis_server import RedisServer
from tests.support.slow_proxy import SlowProxy

BRAND = 600123
CHANGE = Change(
    b"0123456789", Channel.EMAIL, RecipientType.INDIVIDUAL, Consent(Status.APPROVED, 1_760_000_000, "HS_WEB")
)

Scene = Callable[[RedisServer], Awaitable[None]]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest, redis_server: RedisServer) -> Callable[[Scene], None]:
    """Runs a scene on each of the two event loops the gateway may have."""

    def run(scene: Scene) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(scene(redis_server))

    return run


@asynccontextmanager
async def connecting(port: int, *, deadline_s: float = 10.0) -> AsyncIterator[RedisClient]:
    place = RedisPlace("127.0.0.1", port, 0, "", "", has_tls=False)
    client = RedisClient(place, "", None, connect_s=1.0, deadline_s=deadline_s)
    try:
        yield client
    finally:
        await client.close()


async def echo(client: RedisClient, word: str) -> str:
    async with client.asking() as redis:
        said = await redis.echo(word)
    assert isinstance(said, bytes)
    return said.decode()


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


def connections_of(redis: RedisServer) -> int:
    """Of others than the one that asks."""
    return redis.ask("CLIENT", "LIST").count(b"id=") - 1


def test_cancelled_questions_mix_no_replies(play: Callable[[Scene], None]) -> None:
    """Against a slow Redis 500 questions are cancelled at random moments; each one answered, during and after, has its
    own answer."""

    async def scene(redis: RedisServer) -> None:
        chance = random.Random(500)
        proxy = SlowProxy(redis.port)
        async with proxy.listening() as url, connecting(port_of(url)) as client:
            proxy.delay_s = 0.002
            cancelled = answered = number = 0

            while cancelled < 500:
                words = [f"word {number + step}" for step in range(8)]
                number += len(words)
                tasks = [asyncio.create_task(echo(client, word)) for word in words]
                await asyncio.sleep(chance.choice([0, 0.001, 0.003, 0.006, 0.009]))
                for task in chance.sample(tasks, 4):
                    cancelled += task.cancel()
                for word, end in zip(words, await asyncio.gather(*tasks, return_exceptions=True), strict=True):
                    assert end == word or isinstance(end, asyncio.CancelledError), end
                    answered += end == word
            assert answered > 100
            assert proxy.connections > 50, "cancelled questions leave their connection in use"
            proxy.delay_s = 0.0
            for again in range(50):
                assert await echo(client, f"again {again}") == f"again {again}"

    play(scene)


def test_a_late_reply_is_nobodys(play: Callable[[Scene], None]) -> None:
    """The reply to a question that timed out comes while the next one's is awaited, and is not taken for it."""

    async def scene(redis: RedisServer) -> None:
        proxy = SlowProxy(redis.port)
        async with proxy.listening() as url, connecting(port_of(url), deadline_s=0.1) as client:
            for number in range(5):
                assert await echo(client, f"early {number}") == f"early {number}"
                proxy.hold()
                with pytest.raises(StoreTimedOutError):
                    await echo(client, f"late {number}")
                proxy.release()

    play(scene)


def test_what_was_cut_off_is_not_asked_again(play: Callable[[Scene], None]) -> None:
    """A connection that ends behind the question leaves open whether it was carried out; the library may not settle
    that by asking once more."""

    async def scene(_: RedisServer) -> None:
        heard: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.read(1000))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with connecting(server.sockets[0].getsockname()[1]) as client:
            run = client.load_script(Path(__file__).parents[3] / "adapters" / "store" / "create_mark.lua")
            with pytest.raises(StoreUnreachableError):
                await run([b"key"], [b"argument"])
        await asyncio.sleep(0.05)
        server.close()
        await server.wait_closed()
        assert len(heard) == 1
        assert b"EVALSHA" in heard[0]

    play(scene)


def test_closing_ends_what_is_under_way(play: Callable[[Scene], None]) -> None:
    """At once, as "unreachable", questions that wait for their turn included; no connection is left, and none is made
    afterwards."""

    async def scene(redis: RedisServer) -> None:
        async with connecting(redis.port) as client:
            await asyncio.gather(*[echo(client, "before") for _ in range(10)])
            assert 0 < connections_of(redis) <= 4
            redis.ask("CLIENT", "PAUSE", "3000", "WRITE")
            tasks = [asyncio.create_task(_write(client)) for _ in range(10)]
            await asyncio.sleep(0.05)
            began = time.monotonic()
            await client.close()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert time.monotonic() - began < 1
            assert {type(end) for end in ends} == {StoreUnreachableError}
            with pytest.raises(StoreUnreachableError):
                await echo(client, "after")
        redis.ask("CLIENT", "UNPAUSE")
        await asyncio.sleep(0.05)
        assert connections_of(redis) == 0

    play(scene)


async def _write(client: RedisClient) -> None:
    async with client.asking() as redis:
        await redis.set("{izin}test", "value")


async def test_a_restarted_redis_is_asked_again_without_an_error(
    make_redis: Callable[..., RedisServer],
) -> None:
    """Connections that ended while nobody used them are replaced before a question is sent over them."""
    redis = make_redis()
    async with connecting(redis.port) as client:
        assert await asyncio.gather(*[echo(client, "before") for _ in range(4)]) == ["before"] * 4
        redis.stop()
        with pytest.raises(StoreUnreachableError):
            await echo(client, "away")
        redis.start()
        assert await asyncio.gather(*[echo(client, "after") for _ in range(4)]) == ["after"] * 4


async def test_an_error_of_redis_is_repeated_without_its_arguments(
    redis_store: Store, redis_server: RedisServer
) -> None:
    """Only the kind of error leaves; its text may quote what was sent."""
    redis_server.ask("SET", "{izin}counts", "something else")
    with pytest.raises(StoreError) as refused:
        await redis_store.stats()
    assert str(refused.value) == "Redis refused: WRONGTYPE"
    assert refused.value.__cause__ is None


async def test_a_user_without_config_is_served(
    make_redis: Callable[..., RedisServer], open_test_store: Callable[..., Store]
) -> None:
    """Hosted servers forbid CONFIG: then it counts as not syncing, and the journal is what keeps. No more is needed
    than docs/operations.md says."""
    redis = make_redis("--appendonly", "yes", "--appendfsync", "always")
    rights = ["~{izin}*", "-@all", "+@read", "+@write", "+@scripting", "+@transaction", "+@connection", "+info"]
    assert " ".join(rights) in (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    redis.ask("ACL", "SETUSER", "gate", "on", ">right-horse", *rights)
    store = open_test_store(redis.url.replace("//", "//gate:right-horse@"))
    await store.start()
    await store.initialise()
    item = OutboxItem(b"id", BRAND, 1_760_000_500, b"sealed")
    await store.apply(BRAND, [CHANGE], watermark_at=1_760_000_000, outbox=[item])
    kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    store.remember_taken(b"digest", [CHANGE.key], kept.set_result)
    assert await kept
    assert (await store.find(BRAND, [CHANGE.key], b"digest")).taken == {CHANGE.key}
    assert await store.outbox_due(1_760_000_500, 10) == [item]
    await store.outbox_remove([item])
    assert (await store.stats()).outbox == {}
    health = await store.health()
    assert health.failure is None
    assert "journal" in health.detail


async def test_a_wrong_user_is_told_without_the_password(
    make_redis: Callable[..., RedisServer], open_test_store: Callable[..., Store]
) -> None:
    """The password may be right and the user not."""
    redis = make_redis("--requirepass", "right-horse")
    store = open_test_store(redis.url.replace("//", "//nobody:right-horse@"))
    health = await store.start()
    assert health.failure is LookupFailure.UNREACHABLE
    assert "WRONGPASS" in health.detail
    assert "horse" not in health.detail
    with pytest.raises(StoreUnreachableError) as refused:
        await store.initialise()
    assert "horse" not in str(refused.value)


async def test_a_short_time_for_look_ups_leaves_time_to_connect(
    redis_server: RedisServer, open_test_store: Callable[..., Store]
) -> None:
    """Commands that ask one thing right after connecting are served with the shortest ``lookup_timeout`` too."""
    proxy = SlowProxy(redis_server.port)
    proxy.delay_s = 0.03
    async with proxy.listening() as url:
        store = open_test_store(url, lookup_deadline_s=0.01)
        assert (await store.start()).failure is LookupFailure.TIMED_OUT
        await store.initialise()
        await store.apply(BRAND, [CHANGE])
        assert (await store.stats()).recipients == {BRAND: 1}
        await store.close()


async def test_a_closed_store_takes_no_change(redis_store: Store, redis_server: RedisServer) -> None:
    """And leaves no connection behind."""
    await redis_store.apply(BRAND, [CHANGE])
    await redis_store.close()
    questions: list[Callable[[], Awaitable[Any]]] = [
        lambda: redis_store.apply(BRAND, [CHANGE]),
        lambda: redis_store.outbox_due(2**31, 10),
        redis_store.stats,
        redis_store.watermarks,
    ]
    for question in questions:
        with pytest.raises(StoreUnreachableError):
            await question()
    await asyncio.sleep(0.05)
    assert connections_of(redis_server) == 0
