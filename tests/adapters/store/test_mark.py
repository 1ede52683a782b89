"""A store that was emptied, restored from a copy, replaced, or filled with another secret is noticed, and stays
"cannot look up" until an operator says otherwise. With real stores in those states."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.store import Store, StoreError, StoreMismatchError
from filters.consent import Change, Consent, unpack
from filters.exchange import Lookup, OutboxItem
from filters.vocabulary import Channel, LookupFailure, RecipientType, Status
from tests.support.redis_server import RedisServer

BRAND = 600123
NOW = 1_760_000_000
SLOT = (Channel.EMAIL, RecipientType.INDIVIDUAL)
KEY, OTHER_KEY = b"k" * 10, b"o" * 10
APPROVAL = Change(KEY, *SLOT, Consent(Status.APPROVED, NOW, "HS_WEB"))
OWN_REFUSAL = Change(KEY, *SLOT, Consent(Status.REJECTED, NOW + 1, "HS_WEB", own=True))
REPORT = OutboxItem(b"report-1", BRAND, NOW + 3 * 86400, b"sealed")

OpenStore = Callable[..., Store]
MakeRedis = Callable[..., RedisServer]


async def ask(store: Store, key: bytes = KEY) -> Lookup | LookupFailure:
    answered: asyncio.Future[Lookup | LookupFailure] = asyncio.get_running_loop().create_future()
    store.lookup(BRAND, [key], None, answered.set_result)
    return await asyncio.wait_for(answered, 5)


async def ask_until(store: Store, wanted: LookupFailure | type[Lookup]) -> None:
    """Wait out a reconnection."""
    async with asyncio.timeout(10):
        while True:
            answer = await ask(store)
            if answer is wanted or (isinstance(wanted, type) and isinstance(answer, wanted)):
                return
            assert answer is LookupFailure.UNREACHABLE, answer
            await asyncio.sleep(0.02)


async def started(store: Store) -> Store:
    await store.start()
    await store.initialise()
    return store


async def status_in(store: Store, key: bytes = KEY) -> Status | None:
    (value,) = (await store.find(BRAND, [key])).values
    return unpack(value)[SLOT].status if value else None


async def test_a_flushed_redis_cannot_be_looked_up(redis_server: RedisServer, open_test_store: OpenStore) -> None:
    """After FLUSHALL nobody is "without a record": not in the running process, nor after its restart, nor once a
    change or a second initialise was tried, nor when somebody else initialised it anew."""
    store = await started(open_test_store(redis_server.url))
    await store.apply(BRAND, [APPROVAL], watermark_at=NOW)
    redis_server.ask("FLUSHALL")
    assert await ask(store) is LookupFailure.NOT_INITIALISED
    with pytest.raises(StoreMismatchError):
        await store.apply(BRAND, [APPROVAL], watermark_at=NOW)
    with pytest.raises(StoreMismatchError):
        await store.initialise()
    assert redis_server.ask("DBSIZE") == b":0\r\n"
    restarted = open_test_store(redis_server.url)
    assert (await restarted.start()).failure is LookupFailure.NOT_INITIALISED
    await started(open_test_store(redis_server.url, state="other-machine"))
    assert await ask(store) is LookupFailure.FOREIGN
    assert await ask(restarted) is LookupFailure.FOREIGN


async def test_a_redis_restored_from_an_older_copy_is_rolled_back(
    make_redis: MakeRedis, open_test_store: OpenStore
) -> None:
    """An old RDB file under the same address: the refusal missing in it permits nobody. Later changes, which carry the
    revision past the one known, do not hide it, and neither does a restart."""
    redis = make_redis()
    store = await started(open_test_store(redis.url))
    await store.apply(BRAND, [APPROVAL], watermark_at=NOW)
    redis.ask("SAVE")
    copy = (redis.directory / "dump.rdb").read_bytes()
    registry_refusal = Change(KEY, *SLOT, Consent(Status.REJECTED, NOW + 1, "IYS_WEB"))
    await store.apply(BRAND, [registry_refusal], watermark_at=NOW + 1)
    redis.stop()
    (redis.directory / "dump.rdb").write_bytes(copy)
    redis.start()
    await ask_until(store, LookupFailure.ROLLED_BACK)
    with pytest.raises(StoreMismatchError):
        await store.apply(BRAND, [])
    other_machine = await started(open_test_store(redis.url, state="other-machine"))
    for _ in range(5):
        await other_machine.apply(BRAND, [])
    assert await ask(store) is LookupFailure.ROLLED_BACK
    await store.close()
    assert (await open_test_store(redis.url).start()).failure is LookupFailure.ROLLED_BACK


async def test_another_redis_is_foreign(make_redis: MakeRedis, open_test_store: OpenStore) -> None:
    """Pointed at another installation's store, or at one of its own that is not the one known, it asks neither."""
    here, there = make_redis(), make_redis()
    await started(open_test_store(here.url))
    await started(open_test_store(there.url, state="other-installation"))
    assert (await open_test_store(there.url).start()).failure is LookupFailure.FOREIGN
    assert (await open_test_store(here.url).start()).failure is None


@pytest.mark.parametrize("kind", ["lmdb", "redis"])
async def test_another_index_secret_is_foreign(
    kind: str, redis_server: RedisServer, open_test_store: OpenStore
) -> None:
    """With another secret every key is another one and nobody would be found: noticed on any machine, new ones too."""
    url = "lmdb:store" if kind == "lmdb" else redis_server.url
    first = await started(open_test_store(url))
    await first.close()
    other = open_test_store(url, state="new-machine", fingerprint=b"test-fp2")
    assert (await other.start()).failure is LookupFailure.FOREIGN
    with pytest.raises(StoreMismatchError):
        await other.accept()


async def test_a_restored_lmdb_file_is_rolled_back(tmp_path: Path, open_test_store: OpenStore) -> None:
    """The embedded store's memory lies outside its folder, so an old copy of the folder is noticed."""
    store = await started(open_test_store("lmdb:store"))
    await store.apply(BRAND, [APPROVAL])
    await store.close()
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    store = await started(open_test_store("lmdb:store"))
    await store.apply(BRAND, [OWN_REFUSAL])
    await store.close()
    shutil.rmtree(tmp_path / "store")
    shutil.copytree(tmp_path / "copy", tmp_path / "store")
    restored = open_test_store("lmdb:store")
    assert (await restored.start()).failure is LookupFailure.ROLLED_BACK
    await restored.accept()
    assert await status_in(restored) is Status.REJECTED


async def test_an_lmdb_file_replaced_under_a_running_process_is_foreign(
    tmp_path: Path, open_test_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process would go on reading, and writing, a file that no longer has a name."""
    monkeypatch.setattr("adapters.store.lmdb_store._CHECK_EVERY_S", 0.01)
    store = await started(open_test_store("lmdb:store"))
    await store.apply(BRAND, [APPROVAL])
    content = (tmp_path / "store/data.mdb").read_bytes()
    (tmp_path / "store/data.mdb").unlink()
    (tmp_path / "store/data.mdb").write_bytes(content)
    await asyncio.sleep(0.02)
    assert await ask(store) is LookupFailure.FOREIGN
    with pytest.raises(StoreMismatchError):
        await store.apply(BRAND, [OWN_REFUSAL])


@pytest.mark.parametrize("kind", ["lmdb", "redis"])
async def test_an_operators_word_makes_the_store_right_again(
    kind: str, tmp_path: Path, redis_server: RedisServer, open_test_store: OpenStore
) -> None:
    """Accepted, an emptied store answers, in processes already running too, with this machine's own refusals and
    their reports brought in from the journal; what else was lost is lost, and so is the watermark."""
    url = "lmdb:store" if kind == "lmdb" else redis_server.url
    store = await started(open_test_store(url))
    await store.apply(BRAND, [APPROVAL, APPROVAL._replace(key=OTHER_KEY)], watermark_at=NOW)
    await store.apply(BRAND, [OWN_REFUSAL], outbox=[REPORT])
    if kind == "lmdb":
        await store.close()
        shutil.rmtree(tmp_path / "store")
        store = open_test_store(url)
        await store.start()
    else:
        redis_server.ask("FLUSHALL")
    assert await ask(store) is LookupFailure.NOT_INITIALISED
    if kind == "lmdb":  # one process may open the embedded store once
        await store.accept()
    else:
        operator = open_test_store(url)
        await operator.start()
        await operator.accept()
        await asyncio.sleep(0.6)
    assert await status_in(store) is Status.REJECTED
    assert await status_in(store, OTHER_KEY) is None
    assert (await store.find(BRAND, [])).watermark_at is None
    assert await store.outbox_due(NOW + 10 * 86400, 10) == [REPORT]
    await store.apply(BRAND, [APPROVAL._replace(key=OTHER_KEY)], watermark_at=NOW)
    assert await status_in(store, OTHER_KEY) is Status.APPROVED


async def test_a_report_already_made_is_not_put_back(redis_server: RedisServer, open_test_store: OpenStore) -> None:
    """The journal knows which reports left the outbox."""
    store = await started(open_test_store(redis_server.url))
    await store.apply(BRAND, [OWN_REFUSAL], outbox=[REPORT, REPORT._replace(item_id=b"report-2")])
    await store.outbox_remove([REPORT])
    redis_server.ask("FLUSHALL")
    await store.accept()
    assert [item.item_id for item in await store.outbox_due(NOW * 2, 10)] == [b"report-2"]


async def test_a_refusal_that_redis_never_got_is_brought_in_at_the_next_start(
    make_redis: MakeRedis, open_test_store: OpenStore
) -> None:
    """Redis dies between journal and write: the caller is told, and the refusal holds all the same from the next
    start on, in a Redis whose log was synced or not."""
    redis = make_redis("--appendonly", "yes", "--appendfsync", "no")
    store = await started(open_test_store(redis.url))
    await store.apply(BRAND, [APPROVAL])
    redis.kill()
    with pytest.raises(StoreError):
        await store.apply(BRAND, [OWN_REFUSAL], outbox=[REPORT])
    await store.close()
    redis.start()
    restarted = open_test_store(redis.url)
    await restarted.start()
    assert await status_in(restarted) is Status.REJECTED
    assert await restarted.outbox_due(NOW * 2, 10) == [REPORT]


async def test_a_refusal_that_cannot_be_journalled_is_not_confirmed(
    redis_server: RedisServer, open_test_store: OpenStore, tmp_path: Path
) -> None:
    """Where the state directory cannot be written, apply raises instead of promising."""
    store = await started(open_test_store(redis_server.url))
    (tmp_path / "state/refusals.journal").mkdir()
    with pytest.raises(StoreError):
        await store.apply(BRAND, [OWN_REFUSAL])
    await store.apply(BRAND, [APPROVAL])  # what the registry can repeat needs no journal


async def test_two_machines_meet_the_same_store(redis_server: RedisServer, open_test_store: OpenStore) -> None:
    """Each sees the other's changes with its next look-up, and neither takes that for a roll-back."""
    one = await started(open_test_store(redis_server.url, state="one"))
    two = await started(open_test_store(redis_server.url, state="two"))
    for number in range(1, 20):
        writer, reader = (one, two) if number % 2 else (two, one)
        await writer.apply(BRAND, [APPROVAL._replace(consent=APPROVAL.consent._replace(consent_at=NOW + number))])
        answer = await ask(reader)
        assert isinstance(answer, Lookup)
        assert answer.revision == number
        assert unpack(answer.values[0] or b"")[SLOT].consent_at == NOW + number


async def test_the_memory_survives_the_process_and_is_readable(
    redis_server: RedisServer, open_test_store: OpenStore, tmp_path: Path
) -> None:
    """After close the file names generation and highest revision; damaged, it stops the start instead of being taken
    for "nothing remembered"."""
    store = await started(open_test_store(redis_server.url))
    for _ in range(3):
        await store.apply(BRAND, [])
    await store.close()
    fields = json.loads((tmp_path / "state/store-memory.json").read_text())
    assert (fields["revision"], fields["rolled_back"], len(fields["generation"])) == (3, False, 32)
    (tmp_path / "state/store-memory.json").write_text('{"epoch":')
    with pytest.raises(StoreError, match="expected what this program wrote"):
        open_test_store(redis_server.url)
