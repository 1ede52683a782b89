"""A Redis that is slow, full, gone, or answers what nobody asked: never another person's answer."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from adapters.store import Store, StoreError, StoreOptions, StoreTimedOutError, StoreUnreachableError, open_store
from adapters.store.bucket import BUCKET_PREFIX, bucket_of
from filters.consent import Change, Consent, unpack
from filters.exchange import Lookup
from filters.vocabulary import Channel, LookupFailure, RecipientType, Status
from tests.support.redis_server import RedisServer
from tests.support.slow_proxy import SlowProxy

BRAND = 600123
FINGERPRINT = b"test-fp1"
FIRST_AT = 1_700_000_000
SLOT = (Channel.EMAIL, RecipientType.INDIVIDUAL)


def key(number: int) -> bytes:
    return random.Random(number).randbytes(10)


def changes(number: int) -> list[Change]:
    """As many recipients, each with a date of its own, so that an answer shows whose it is."""
    return [
        Change(key(who), *SLOT, Consent(Status.APPROVED if who % 2 else Status.REJECTED, FIRST_AT + who, "HS_WEB"))
        for who in range(number)
    ]


def is_answer_of(who: int, answer: Lookup | LookupFailure) -> bool:
    assert isinstance(answer, Lookup)
    (value,) = answer.values
    return unpack(value or b"")[SLOT] == Consent(
        Status.APPROVED if who % 2 else Status.REJECTED, FIRST_AT + who, "HS_WEB"
    )


async def ask(store: Store, who: int) -> Lookup | LookupFailure:
    answered: asyncio.Future[Lookup | LookupFailure] = asyncio.get_running_loop().create_future()
    store.lookup(BRAND, [key(who)], None, answered.set_result)
    return await asyncio.wait_for(answered, 10)


async def until_answered(store: Store, who: int = 0, within_s: float = 10.0) -> Lookup:
    """The first answer after a failure; the store connects again by itself."""
    async with asyncio.timeout(within_s):
        while not isinstance(answer := await ask(store, who), Lookup):
            await asyncio.sleep(0.02)
    return answer


Scene = Callable[[RedisServer, Path], Awaitable[None]]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest, redis_server: RedisServer, tmp_path: Path) -> Callable[[Scene], None]:
    """Runs a scene on each of the two event loops the gateway may have."""

    def run(scene: Scene) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(scene(redis_server, tmp_path))

    return run


@asynccontextmanager
async def opened(url: str, directory: Path, **options: Any) -> AsyncIterator[Store]:
    store = open_store(url, state_directory=directory, secret_fingerprint=FINGERPRINT, options=StoreOptions(**options))
    await store.start()
    await store.initialise()
    try:
        yield store
    finally:
        await store.close()


def test_two_thousand_cancelled_look_ups_mix_no_answers(play: Callable[[Scene], None]) -> None:
    """Against a slow Redis 2,000 look-ups are cancelled at random moments, sent or not, answered or not; every look-up
    that is answered, during and after, is answered with its own recipient's consent."""

    async def scene(redis: RedisServer, directory: Path) -> None:
        chance = random.Random(2000)
        proxy = SlowProxy(redis.port)
        async with proxy.listening() as url, opened(url, directory, connections=3) as store:
            await store.apply(BRAND, changes(2000))
            proxy.delay_s = 0.004
            cancelled = answered = 0
            async with asyncio.TaskGroup() as group:

                async def one(who: int) -> None:
                    nonlocal answered
                    try:
                        answer = await store.find(BRAND, [key(who)])
                    except StoreError:
                        return  # its connection was discarded for another's sake
                    assert is_answer_of(who, answer)
                    answered += 1

                while cancelled < 2000:
                    tasks = [group.create_task(one(chance.randrange(2000))) for _ in range(20)]
                    await asyncio.sleep(chance.choice([0, 0, 0.001, 0.004, 0.012]))
                    for task in chance.sample(tasks, 10):
                        cancelled += task.cancel()
            assert answered > 20
            assert proxy.connections > 20, "cancelled look-ups leave their connection in use"
            proxy.delay_s = 0.0
            await until_answered(store)
            for start in range(0, 2000, 50):
                answers = await asyncio.gather(*[ask(store, who) for who in range(start, start + 50)])
                assert all(is_answer_of(start + at, answer) for at, answer in enumerate(answers))

    play(scene)


def test_a_late_reply_is_nobodys(play: Callable[[Scene], None]) -> None:
    """The reply to a look-up that timed out arrives while the next person's is awaited, and is not taken for it."""

    async def scene(redis: RedisServer, directory: Path) -> None:
        proxy = SlowProxy(redis.port)
        async with proxy.listening() as url, opened(url, directory, connections=1, lookup_deadline_s=0.15) as store:
            await store.apply(BRAND, changes(10))
            assert is_answer_of(1, await ask(store, 1))
            for who in range(2, 8):
                proxy.hold()
                assert await ask(store, who) is LookupFailure.TIMED_OUT
                proxy.release()
                assert is_answer_of(who + 1, await until_answered(store, who + 1))

    play(scene)


def test_a_time_out_fails_all_that_was_outstanding_with_it(play: Callable[[Scene], None]) -> None:
    """Every callback is called once, with a failure, and the connection is another one afterwards."""

    async def scene(redis: RedisServer, directory: Path) -> None:
        async with opened(redis.url, directory, connections=1, lookup_deadline_s=0.2) as store:
            await store.apply(BRAND, changes(100))
            redis.ask("CLIENT", "PAUSE", "600")
            answers = []
            for who in range(100):
                store.lookup(BRAND, [key(who)], None, answers.append)
                if who % 10 == 0:
                    await asyncio.sleep(0.005)
            began = time.monotonic()
            while len(answers) < 100:
                await asyncio.sleep(0.01)
            assert time.monotonic() - began < 0.4
            assert set(answers) == {LookupFailure.TIMED_OUT}
            kept: list[bool] = []
            store.remember_taken(b"digest", [key(1)], kept.append)
            assert kept == [False]
            await until_answered(store)
            await asyncio.sleep(0.05)
            assert len(answers) == 100

    play(scene)


def test_look_ups_beyond_the_bound_fail_at_once(play: Callable[[Scene], None]) -> None:
    """While Redis is stuck, memory is bounded: what does not fit is answered "unreachable" without waiting."""

    async def scene(redis: RedisServer, directory: Path) -> None:
        async with opened(
            redis.url, directory, connections=2, lookup_deadline_s=5.0, max_outstanding_bytes=20_000
        ) as store:
            await store.apply(BRAND, changes(10))
            redis.ask("CLIENT", "PAUSE", "700")
            answers: list[Lookup | LookupFailure] = []
            for _ in range(100):
                store.lookup(BRAND, [key(who) for who in range(100)], None, answers.append)
                await asyncio.sleep(0)
            await asyncio.sleep(0.05)
            assert answers
            assert set(answers) == {LookupFailure.UNREACHABLE}
            refused = len(answers)
            # Two connections of 20,000 bytes and the one request each that went over, at about 1,900 bytes each.
            assert 100 - refused <= 2 * (20_000 // 1_900 + 2)
            async with asyncio.timeout(5):
                while len(answers) < 100:
                    await asyncio.sleep(0.01)
            assert all(isinstance(answer, Lookup) for answer in answers[refused:])

    play(scene)


def test_a_reply_nobody_asked_for_ends_the_connection(play: Callable[[Scene], None]) -> None:
    """What else such a connection says cannot be matched to a question any more."""

    async def scene(redis: RedisServer, directory: Path) -> None:
        ended: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await reader.readuntil(b"SELECT\r\n$1\r\n0\r\n")
                writer.write(b"+OK\r\n+OK\r\n")
                ended.append(await reader.read(1000))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(5):
            store = open_store(f"redis://127.0.0.1:{port}", state_directory=directory, secret_fingerprint=FINGERPRINT)
            assert (await store.start()).failure is LookupFailure.UNREACHABLE
            while not ended:
                await asyncio.sleep(0.01)
        assert not any(ended), "asked on over a connection that answers unasked"
        await store.close()
        server.close()
        await server.wait_closed()

    play(scene)


async def test_a_redis_that_is_gone_is_unreachable_and_comes_back(
    make_redis: Callable[..., RedisServer], open_test_store: Callable[..., Store]
) -> None:
    """Killed without warning it fails look-ups at once; started again on the same files it answers as before, with
    everything that apply had returned for."""
    redis = make_redis("--appendonly", "yes", "--appendfsync", "always")
    store = open_test_store(redis.url)
    await store.start()
    await store.initialise()
    await store.apply(BRAND, changes(100), watermark_at=FIRST_AT)
    redis.kill()
    began = time.monotonic()
    assert await ask(store, 1) is LookupFailure.UNREACHABLE
    assert await ask(store, 1) is LookupFailure.UNREACHABLE
    assert time.monotonic() - began < 0.5
    with pytest.raises(StoreUnreachableError):
        await store.apply(BRAND, changes(1))
    assert (await store.health()).failure is LookupFailure.UNREACHABLE
    redis.start()
    answer = await until_answered(store)
    assert answer.watermark_at == FIRST_AT
    for who in range(100):
        assert is_answer_of(who, await ask(store, who))


async def test_a_store_that_comes_late_is_met_when_it_comes(
    make_redis: Callable[..., RedisServer], open_test_store: Callable[..., Store]
) -> None:
    """The gateway may start before its Redis."""
    redis = make_redis("--appendonly", "yes")
    first = open_test_store(redis.url)
    await first.start()
    await first.initialise()
    await first.apply(BRAND, changes(3))
    await first.close()
    redis.stop()
    store = open_test_store(redis.url)
    assert (await store.start()).failure is LookupFailure.UNREACHABLE
    redis.start()
    assert is_answer_of(2, await until_answered(store, 2))


async def test_a_change_whose_answer_is_late_raises_and_may_be_repeated(
    redis_server: RedisServer, open_test_store: Callable[..., Store]
) -> None:
    """Not knowing whether it was carried out is an error; doing it again is harmless."""
    store = open_test_store(redis_server.url, apply_deadline_s=0.2)
    await store.start()
    await store.initialise()
    redis_server.ask("CLIENT", "PAUSE", "500", "WRITE")
    with pytest.raises(StoreTimedOutError):
        await store.apply(BRAND, changes(5))
    await asyncio.sleep(0.6)
    await store.apply(BRAND, changes(5))
    assert (await store.stats()).recipients == {BRAND: 5}


async def test_a_redis_that_may_evict_is_not_asked(
    make_redis: Callable[..., RedisServer], open_test_store: Callable[..., Store]
) -> None:
    """An evicted refusal would look like no record: with an allkeys policy every look-up fails."""
    redis = make_redis("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    store = open_test_store(redis.url)
    await store.start()
    await store.initialise()
    assert await ask(store, 1) is LookupFailure.BROKEN


async def test_a_redis_that_comes_back_as_one_that_may_evict_is_noticed(
    make_redis: Callable[..., RedisServer], open_test_store: Callable[..., Store]
) -> None:
    """What sort of server it is is asked over each new connection, before the first look-up."""
    redis = make_redis("--appendonly", "yes")
    store = open_test_store(redis.url)
    await store.start()
    await store.initialise()
    await store.apply(BRAND, changes(3))
    assert is_answer_of(1, await ask(store, 1))
    redis.stop()
    redis.options = (*redis.options, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lfu")
    redis.start()
    async with asyncio.timeout(10):
        while (answer := await ask(store, 1)) is LookupFailure.UNREACHABLE:
            await asyncio.sleep(0.02)
    assert answer is LookupFailure.BROKEN


async def test_a_full_redis_refuses_changes_whole(
    make_redis: Callable[..., RedisServer], open_test_store: Callable[..., Store]
) -> None:
    """Out of memory, apply raises and nothing of it is kept; look-ups go on."""
    redis = make_redis("--maxmemory-policy", "noeviction")
    store = open_test_store(redis.url)
    await store.start()
    await store.initialise()
    await store.apply(BRAND, changes(3), watermark_at=FIRST_AT)
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreError):
        await store.apply(BRAND, changes(50), watermark_at=FIRST_AT + 1)
    answer = await ask(store, 10)
    assert isinstance(answer, Lookup)
    assert (answer.values, answer.watermark_at) == ([None], FIRST_AT)


async def test_what_this_program_did_not_write_is_broken(redis_store: Store, redis_server: RedisServer) -> None:
    """A bucket or a mark of another shape is a failure, not "no record"; changes to it are refused."""
    await redis_store.apply(BRAND, changes(1))
    bucket = BUCKET_PREFIX + bucket_of(key(0))
    # Counts one recipient with six slots, and ends there.
    redis_server.ask("SET", bucket, b"\x00\x01" + key(0)[2:] + b"\x06")
    assert await ask(redis_store, 0) is LookupFailure.BROKEN
    with pytest.raises(StoreError):
        await redis_store.apply(BRAND, changes(1))
    redis_server.ask("SET", "{izin}mark", "something else")
    assert await ask(redis_store, 1) is LookupFailure.BROKEN


async def test_a_wrong_password_is_told_without_it(
    make_redis: Callable[..., RedisServer], open_test_store: Callable[..., Store]
) -> None:
    """Health names the problem; neither it nor anything printed has the password."""
    redis = make_redis("--requirepass", "right-horse")
    wrong = open_test_store(redis.url.replace("//", "//:battery-staple@"), state="a")
    health = await wrong.start()
    assert health.failure is LookupFailure.UNREACHABLE
    assert "WRONGPASS" in health.detail
    assert "battery" not in health.detail
    right = open_test_store(redis.url, state="b", password="right-horse")
    await right.start()
    await right.initialise()
    assert (await right.health()).failure is None


async def test_what_was_taken_expires_by_itself(redis_store: Store, redis_server: RedisServer) -> None:
    """Redis forgets retry memory after the days configured; no set of it is without an expiry."""
    kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    redis_store.remember_taken(b"digest", [key(1)], kept.set_result)
    assert await kept
    ttl = int(redis_server.ask("TTL", "{izin}tdigest").strip(b":\r\n"))
    assert 5 * 86400 - 10 < ttl <= 5 * 86400


async def test_health_says_where_refusals_rest(
    make_redis: Callable[..., RedisServer], open_test_store: Callable[..., Store]
) -> None:
    """A Redis that answers before its disk has the change is named as one."""
    lazy, safe = make_redis(), make_redis("--appendonly", "yes", "--appendfsync", "always")
    for redis, state, is_lazy in ((lazy, "a", True), (safe, "b", False)):
        store = open_test_store(redis.url, state=state)
        await store.start()
        await store.initialise()
        assert ("journal" in (await store.health()).detail) is is_lazy
