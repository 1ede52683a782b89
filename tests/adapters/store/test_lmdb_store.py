"""The embedded store among several processes, killed ones, and full disks."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.store import Store, StoreError, open_store
from adapters.store.mark import FORMAT, Mark
from adapters.store.store import StoreOptions
from filters.consent import Change, Consent, unpack
from filters.exchange import Lookup
from filters.vocabulary import Channel, LookupFailure, RecipientType, Status

BRAND = 600123
NOW = 1_760_000_000
SLOT = (Channel.EMAIL, RecipientType.INDIVIDUAL)

# Applies changes for ever: batch n sets the same hundred keys to date n and the watermark to n.
WRITER = """
import asyncio, pathlib, sys
from adapters.store import open_store
from filters.consent import Change, Consent
from filters.vocabulary import Channel, RecipientType, Status

async def main(directory):
    store = open_store("lmdb:store", state_directory=directory / "state", secret_fingerprint=b"test-fp1",
                       base_directory=directory)
    await store.start()
    await store.initialise()
    number = (await store.find(600123, [])).watermark_at or 0
    while True:
        number += 1
        consent = Consent(Status.APPROVED, number, "HS_WEB")
        keys = [bytes([part]) * 10 for part in range(100)]
        await store.apply(600123, [Change(key, Channel.EMAIL, RecipientType.INDIVIDUAL, consent) for key in keys],
                          watermark_at=number)
        print(number, flush=True)

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


def start_writer(directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(directory)], stdout=subprocess.PIPE, text=True)


def read_number(writer: subprocess.Popen[str]) -> int:
    assert writer.stdout is not None
    return int(writer.stdout.readline())


async def ask(store: Store, *keys: bytes, digest: bytes | None = None) -> Lookup:
    answered: asyncio.Future[Lookup | LookupFailure] = asyncio.get_running_loop().create_future()
    store.lookup(BRAND, keys, digest, answered.set_result)
    answer = await answered
    assert isinstance(answer, Lookup), answer
    return answer


async def test_another_process_is_seen_whole_and_at_once(tmp_path: Path, lmdb_store: Store) -> None:
    """While another process applies a hundred changes at a time, every look-up finds all hundred of one batch and the
    watermark of that batch; what the other was told is done is seen."""
    writer = start_writer(tmp_path)
    keys = [bytes([part]) * 10 for part in range(100)]
    try:
        told = read_number(writer)
        for _ in range(300):
            answer = await ask(lmdb_store, *keys)
            dates = {unpack(value or b"")[SLOT].consent_at for value in answer.values}
            assert dates == {answer.watermark_at}
            assert answer.watermark_at is not None
            assert answer.watermark_at >= told
        told = read_number(writer)
        assert (await ask(lmdb_store)).watermark_at >= told
    finally:
        writer.kill()
        writer.wait()
        assert writer.stdout is not None
        writer.stdout.close()


async def test_kill_9_in_the_middle_of_changes_loses_nothing_told(
    tmp_path: Path, open_test_store: Callable[..., Store]
) -> None:
    """Five writers killed at random moments: the store opens, holds at least what each had been told, and all of one
    batch or nothing of it; the next process writes on at once."""
    chance = random.Random(9)
    keys = [bytes([part]) * 10 for part in range(100)]
    for _ in range(5):
        writer = start_writer(tmp_path)
        told = read_number(writer)
        until = time.monotonic() + chance.uniform(0.0, 0.1)
        while time.monotonic() < until:
            told = read_number(writer)
        writer.send_signal(signal.SIGKILL)
        assert writer.stdout is not None
        with contextlib.suppress(ValueError):
            while line := writer.stdout.readline():
                told = int(line)
        writer.wait()
        writer.stdout.close()
        store = open_test_store("lmdb:store")
        assert (await store.start()).failure is None
        answer = await ask(store, *keys)
        assert answer.watermark_at is not None
        assert answer.watermark_at >= told
        assert {unpack(value or b"")[SLOT].consent_at for value in answer.values} == {answer.watermark_at}
        await store.close()


async def test_look_ups_do_not_wait_for_a_writer(tmp_path: Path, lmdb_store: Store) -> None:
    """A change that takes long, in this process or another, holds up no look-up."""
    chance = random.Random(3)
    records = sorted(chance.randbytes(10) + bytes([0, 8, 0, 0, 0, 1]) for _ in range(100_000))
    loading = asyncio.create_task(lmdb_store.load(BRAND, records))
    longest = 0.0
    while not loading.done():
        began = time.perf_counter()
        await ask(lmdb_store, records[0][:10])
        longest = max(longest, time.perf_counter() - began)
        await asyncio.sleep(0.001)
    assert (await loading).changed == 100_000
    assert longest < 0.15


async def test_a_full_map_refuses_the_change_whole(open_test_store: Callable[..., Store]) -> None:
    """The error says which setting to raise; look-ups go on with what was there before."""
    store = open_test_store("lmdb:store", map_size_bytes=1 << 20)
    await store.start()
    await store.initialise()
    change = Change(b"k" * 10, *SLOT, Consent(Status.REJECTED, NOW, "HS_WEB"))
    await store.apply(BRAND, [change], watermark_at=NOW)
    chance = random.Random(4)
    records = sorted(chance.randbytes(10) + bytes([0, 8, 0, 0, 0, 1]) for _ in range(100_000))
    with pytest.raises(StoreError, match="map_size"):
        await store.load(BRAND, records)
    assert (await store.stats()).recipients == {BRAND: 1}
    assert (await ask(store, b"k" * 10)).watermark_at == NOW


async def test_retry_memory_expires_and_is_swept(tmp_path: Path) -> None:
    """After the days configured nothing is recalled, and the next write takes the old entries off the disk; one
    renewed in between stays."""
    now = [float(NOW)]
    store = open_store(
        "lmdb:store",
        state_directory=tmp_path / "state",
        secret_fingerprint=b"test-fp1",
        base_directory=tmp_path,
        options=StoreOptions(taken_days=2),
        clock=lambda: now[0],
    )
    await store.start()
    await store.initialise()

    async def remember(digest: bytes, key: bytes) -> None:
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        store.remember_taken(digest, [key], kept.set_result)
        assert await kept

    first, second, key = b"1" * 32, b"2" * 32, b"k" * 10
    await remember(first, key)
    await remember(second, key)
    now[0] += 86400
    await remember(second, b"l" * 10)
    now[0] += 86400
    assert (await ask(store, digest=first)).taken == frozenset()
    assert (await ask(store, digest=second)).taken == {key, b"l" * 10}
    await remember(b"3" * 32, key)
    now[0] += 86400
    assert (await ask(store, digest=second)).taken == frozenset()
    await store.close()


async def test_many_memories_share_one_sync(lmdb_store: Store) -> None:
    """A burst of hand-overs is kept in far less time than a disk sync for each would take."""
    done: list[bool] = []
    began = time.perf_counter()
    for number in range(2000):
        lmdb_store.remember_taken(number.to_bytes(16, "big"), [b"k" * 10], done.append)
    while len(done) < 2000:
        await asyncio.sleep(0.001)
    assert all(done)
    assert time.perf_counter() - began < 2.0
    assert (await ask(lmdb_store, digest=(1999).to_bytes(16, "big"))).taken == {b"k" * 10}


async def test_a_record_stays_within_forty_bytes(lmdb_store: Store) -> None:
    """After a load, and after a tenth as many random additions in small steps (pages in use: the file's free pages
    are as many as one step touches)."""
    chance = random.Random(11)
    entry = bytes([0, 8, 0, 0, 0, 1])
    await lmdb_store.load(BRAND, sorted(chance.randbytes(10) + entry for _ in range(300_000)))
    assert (await lmdb_store.stats()).used_bytes / 300_000 < 34
    for _ in range(60):
        await lmdb_store.load(BRAND, sorted(chance.randbytes(10) + entry for _ in range(500)))
    assert (await lmdb_store.stats()).used_bytes / 330_000 < 42


class LateNews:
    """An environment; between the snapshot of each transaction and its use somebody learns of later changes."""

    def __init__(self, env: Any, learn: Callable[[], object]) -> None:
        self._env = env
        self._learn = learn

    def begin(self, *arguments: Any, **options: Any) -> Any:
        transaction = self._env.begin(*arguments, **options)
        self._learn()
        return transaction

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)


async def test_a_change_learnt_behind_a_look_ups_back_is_no_roll_back(lmdb_store: Store) -> None:
    """The writer's thread or another process commits after the snapshot was taken and before it was judged. Taken for
    a roll-back, that would stop all commercial mail until an operator came."""
    store: Any = lmdb_store
    memory = store._memory  # the moment in between cannot be met from outside
    generation = memory.generation
    assert generation is not None
    env = store._env
    revision = memory.revision
    store._env = LateNews(env, lambda: memory.judge(Mark(FORMAT, generation, b"test-fp1", revision + 1), revision))
    assert (await store.find(BRAND, [])).revision == revision
    store._env = env
    store._check_at = 0.0  # the second for which a check holds is over
    with pytest.raises(StoreError):
        await store.find(BRAND, [])  # while a question asked after the news must be answered with it


async def test_thousands_of_recipients_are_looked_up_in_turns_and_as_of_one_moment(lmdb_store: Store) -> None:
    """Others have their turn meanwhile; what is written after the beginning is not in the answer."""
    keys = [number.to_bytes(10, "big") for number in range(5000)]
    consent = Consent(Status.APPROVED, NOW, "HS_WEB")
    await lmdb_store.apply(BRAND, [Change(each, *SLOT, consent) for each in keys[::2]], watermark_at=NOW)
    answers: list[Lookup | LookupFailure] = []
    lmdb_store.lookup(BRAND, keys, b"d" * 32, answers.append)
    revision = lmdb_store._memory.revision
    assert not answers
    await lmdb_store.apply(BRAND, [Change(keys[-1], *SLOT, consent)], watermark_at=NOW + 1)
    while not answers:
        await asyncio.sleep(0)
    (answer,) = answers
    assert isinstance(answer, Lookup)
    assert [value is not None for value in answer.values] == [number % 2 == 0 for number in range(5000)]
    assert (answer.watermark_at, answer.revision) == (NOW, revision)


async def test_a_store_closed_within_a_long_look_up_says_so(lmdb_store: Store) -> None:
    """So many keys that the store is closed, however slowly, long before the last of them."""
    answers: list[Lookup | LookupFailure] = []
    lmdb_store.lookup(BRAND, [bytes(10)] * 1_000_000, None, answers.append)
    assert not answers
    await lmdb_store.close()
    while not answers:
        await asyncio.sleep(0)
    assert answers == [LookupFailure.BROKEN]
