"""The consent index in Redis, shared by many machines.

==================  =======================================================================================
``{izin}b`` + 3 B   a bucket of packed consents (``bucket``)
``{izin}mark``      hash: format, generation, fingerprint, revision, ``watermark:`` brand
``{izin}counts``    hash: brand ``:`` what, kept by the script that changes what they count
``{izin}due``       sorted set: outbox ids by due time
``{izin}reports``   hash: outbox id to brand, due time, sealed report
``{izin}t`` + dig.  set of the keys that have the message of this digest; expires by itself
``{izin}n`` + name  a sealed note; expires by itself
``{izin}access``    hash: key and slot of a consent to the packed list of the dealers it is open to
``{izin}values``    hash: small values of the services beside the workers, by name
==================  =======================================================================================

All look-ups of one turn of the event loop leave in one write: one MGET for their buckets, what is remembered of their
messages, and behind those the mark, so that it vouches for what was read before it. That path speaks for itself
(``redis_connection``); everything else goes through redis-py (``redis_client``), changes as one script.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis

from adapters.store.bucket import BUCKET_PREFIX, bucket_of, find_in_bucket
from adapters.store.errors import StoreError, StoreMismatchError, StoreUnreachableError
from adapters.store.journal import RefusalJournal
from adapters.store.mark import FORMAT, Mark
from adapters.store.memory import StoreMemory
from adapters.store.redis_client import RedisClient, RedisSettings
from adapters.store.redis_connection import RedisConnection, error_in, is_answered, pack_command
from adapters.store.redis_errors import failure_of
from adapters.store.redis_link import RedisLink
from adapters.store.store import (
    Store,
    StoreOptions,
    check_access,
    check_brand,
    check_digest,
    error_of,
    stats_of,
    value_name,
)
from adapters.store.url import RedisPlace
from filters.decision.dealer_access import AccessList
from filters.exchange import Applied, Lookup, OutboxItem, StoreHealth, StoreStats
from filters.vocabulary import LookupFailure

_MARK, _COUNTS, _DUE, _REPORTS, _TAKEN = b"{izin}mark", b"{izin}counts", b"{izin}due", b"{izin}reports", b"{izin}t"
_NOTE = b"{izin}n"
_VALUES = b"{izin}values"
_ACCESS = b"{izin}access"
_MARK_FIELDS = (b"format", b"generation", b"fingerprint", b"revision")
_WATERMARK = b"watermark:"
_BUCKET_WORD = b"$%d\r\n%s" % (len(BUCKET_PREFIX) + 3, BUCKET_PREFIX)
_REPORT = struct.Struct(">IQ")

_KEYS_A_REQUEST = 4096
"""Upper bound of the keys in one MGET, so that a reply stays a few megabytes."""

_CONNECT_S = 1.0
"""At least so long may connecting take, however short the time for a look-up is."""

_LOAD_RECORDS = 1000
"""Per script: Redis serves nobody meanwhile, so it must stay a matter of milliseconds."""


_SCRIPTS = Path(__file__).parent

# redis-py's types allow for text everywhere; ours never asks it to decode.
_Hash = dict[bytes, bytes]
_Fields = list[bytes | None]


class _Question:
    """One look-up on its way."""

    __slots__ = ("brand", "connection", "done", "keys", "message_digest")

    def __init__(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        done: Callable[[Lookup | LookupFailure], None],
    ) -> None:
        self.brand = brand
        self.keys = keys
        self.message_digest = message_digest
        self.done = done
        self.connection: RedisConnection | None = None


class RedisStore(Store):
    """See the module's description."""

    def __init__(
        self,
        place: RedisPlace,
        memory: StoreMemory,
        journal: RefusalJournal,
        fingerprint: bytes,
        options: StoreOptions,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(memory, journal, clock)
        self._own_fingerprint = fingerprint
        self._options = options
        self._taken_s = b"%d" % (options.taken_days * 86400)
        self._notes_s = b"%d" % (options.note_days * 86400)
        tls = (options.tls or ssl.create_default_context()) if place.has_tls else None
        self._connect_s = connect_s = max(options.lookup_deadline_s, _CONNECT_S)
        self._links = [
            RedisLink(
                f"store-lookups-{number}",
                place,
                options.password,
                tls,
                connect_s=connect_s,
                on_connected=self._meet_server,
            )
            for number in range(options.connections)
        ]
        self._client = RedisClient(
            place, options.password, tls, connect_s=connect_s, deadline_s=options.apply_deadline_s
        )
        self._merge = self._client.load_script(_SCRIPTS / "apply.lua")
        self._make_mark = self._client.load_script(_SCRIPTS / "create_mark.lua")
        self._replace_value = self._client.load_script(_SCRIPTS / "replace_value.lua")
        self._take_out = self._client.load_script(_SCRIPTS / "outbox_remove.lua")
        self._settings: RedisSettings | None = None
        self._turn: list[_Question] = []
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._replaying: asyncio.Task[None] | None = None

    # ---- life ----

    async def start(self) -> StoreHealth:
        self._start_links()
        return await super().start()

    def _start_links(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            for link in self._links:
                link.start()

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        for link in self._links:
            await link.close()
        if self._replaying is not None:
            self._replaying.cancel()
            await asyncio.wait([self._replaying])
        await self._client.close()
        self._flush()
        self._memory.close()

    async def health(self) -> StoreHealth:
        """Asks over a look-up connection, as a message would."""
        self._start_links()
        failure: LookupFailure | None = None
        try:
            await self._links[0].wait_for_connection(self._connect_s)
            await self.find(1, [])
            detail = "the index answers" + (
                ""
                if self._settings is None or self._settings.is_fsyncing
                else "; Redis answers before its disk has a change, so own refusals rest on this machine's journal"
            )
        except StoreMismatchError as error:
            failure, detail = error.failure, str(error)
        except TimeoutError as error:
            failure, detail = LookupFailure.TIMED_OUT, str(error)
        except OSError as error:
            failure, detail = LookupFailure.UNREACHABLE, str(error)
        return StoreHealth(failure, detail, self._memory.revision)

    async def _meet_server(self) -> None:
        """Before the first question over a new connection: what sort of server is it, and has the store come back
        without its latest changes? One that was away at the start gets this machine's refusals when it comes."""
        self._settings = await self._client.read_settings()
        self._memory.refresh()
        if not self._has_replayed and not self._is_closed and (self._replaying is None or self._replaying.done()):
            self._replaying = asyncio.get_running_loop().create_task(self._try_replay(), name="store-replay")

    async def _try_replay(self) -> None:
        try:
            await self._replay_once()
        except StoreError:
            return  # the next connection tries again; until then nothing of it was confirmed to anybody

    # ---- the hot path ----

    def lookup(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        done: Callable[[Lookup | LookupFailure], None],
    ) -> None:
        self._ask(_Question(brand, keys, message_digest, done))

    def _ask(self, question: _Question) -> None:
        self._turn.append(question)
        if len(self._turn) == 1:
            if self._loop is None:
                self._start_links()
                assert self._loop is not None
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        questions, self._turn = self._turn, []
        batch: list[_Question] = []
        number = 0
        for question in questions:
            if batch and number + len(question.keys) > _KEYS_A_REQUEST:
                self._send(batch)
                batch, number = [], 0
            batch.append(question)
            number += len(question.keys)
        if batch:
            self._send(batch)

    def _send(self, batch: list[_Question]) -> None:
        connection = self._free_connection()
        if connection is None:
            self._answer(batch, 0, [], LookupFailure.UNREACHABLE)
            return
        words = [_BUCKET_WORD + bucket_of(key) + b"\r\n" for question in batch for key in question.keys]
        request = [b"*%d\r\n$4\r\nMGET\r\n%s" % (len(words) + 1, b"".join(words))] if words else []
        brands = list(dict.fromkeys([question.brand for question in batch]))
        for question in batch:
            question.connection = connection
            if question.message_digest is not None:
                request.append(pack_command(b"SMEMBERS", _TAKEN + question.message_digest))
        request.append(pack_command(b"HMGET", _MARK, *_MARK_FIELDS, *[_WATERMARK + b"%d" % brand for brand in brands]))
        connection.send(
            b"".join(request),
            len(request),
            partial(self._answer, batch, self._memory.revision, brands),
            self._options.lookup_deadline_s,
        )

    def _free_connection(self) -> RedisConnection | None:
        best: RedisConnection | None = None
        for link in self._links:
            connection = link.connection
            if connection is not None and (best is None or connection.outstanding_bytes < best.outstanding_bytes):
                best = connection
        if best is not None and best.outstanding_bytes > self._options.max_outstanding_bytes:
            return None
        return best

    def _answer(
        self, batch: list[_Question], floor: int, brands: list[int], replies: list[Any] | LookupFailure
    ) -> None:
        failure = replies if isinstance(replies, LookupFailure) else self._judge(replies, floor)
        if failure is None:
            assert not isinstance(replies, LookupFailure)
            try:
                answers = self._read(batch, brands, replies)
            except (ValueError, IndexError, TypeError):
                failure = LookupFailure.BROKEN
            else:
                for question, answer in zip(batch, answers, strict=True):
                    question.done(answer)
                return
        for question in batch:
            question.done(failure)

    def _judge(self, replies: list[Any], floor: int) -> LookupFailure | None:
        error = error_in(replies)
        if error is not None:
            return failure_of(error)
        if self._settings is not None and self._settings.may_evict:
            return LookupFailure.BROKEN
        try:
            return self._memory.judge(_mark_of(replies[-1]), floor)
        except (StoreError, ValueError, TypeError):
            return LookupFailure.BROKEN

    def _read(self, batch: list[_Question], brands: list[int], replies: list[Any]) -> list[Lookup]:
        mark = replies[-1]
        revision = int(mark[3])
        watermarks = {
            brand: None if at is None else int(at) for brand, at in zip(brands, mark[len(_MARK_FIELDS) :], strict=True)
        }
        has_keys = any(question.keys for question in batch)
        buckets = iter(replies[0] if has_keys else ())
        taken_sets = iter(replies[1:-1] if has_keys else replies[:-1])
        answers = []
        for question in batch:
            # The keys come first in zip: it stops at the last one without taking a bucket of the next question.
            values = [
                None if bucket is None else find_in_bucket(bucket, key)
                for key, bucket in zip(question.keys, buckets, strict=False)
            ]
            if len(values) != len(question.keys):
                raise ValueError("fewer buckets than keys")
            taken = frozenset(next(taken_sets)) if question.message_digest is not None else frozenset[bytes]()
            answers.append(Lookup(values, watermarks[question.brand], revision, taken))
        return answers

    def remember_taken(self, message_digest: bytes, keys: Sequence[bytes], done: Callable[[bool], None]) -> None:
        check_digest(message_digest)
        connection = self._free_connection()
        if connection is None or not keys:
            done(not keys)
            return
        name = _TAKEN + message_digest

        def answer(replies: list[Any] | LookupFailure) -> None:
            done(is_answered(replies))

        # In one transaction: a set whose expiry got lost with the connection would stay for ever.
        connection.send(
            b"".join(
                (
                    pack_command(b"MULTI"),
                    pack_command(b"SADD", name, *keys),
                    pack_command(b"EXPIRE", name, self._taken_s),
                    pack_command(b"EXEC"),
                )
            ),
            4,
            answer,
            self._options.lookup_deadline_s,
        )

    def forget_taken(self, message_digest: bytes, keys: Sequence[bytes], done: Callable[[bool], None]) -> None:
        check_digest(message_digest)
        connection = self._free_connection()
        if connection is None or not keys:
            done(not keys)
            return

        def answer(replies: list[Any] | LookupFailure) -> None:
            done(is_answered(replies))

        connection.send(
            pack_command(b"SREM", _TAKEN + message_digest, *keys), 1, answer, self._options.lookup_deadline_s
        )

    def keep_note(self, name: bytes, sealed: bytes, done: Callable[[bool], None]) -> None:
        check_digest(name)
        connection = self._free_connection()
        if connection is None:
            done(False)
            return

        def answer(replies: list[Any] | LookupFailure) -> None:
            done(is_answered(replies))

        request = pack_command(b"SET", _NOTE + name, sealed, b"EX", self._notes_s)
        connection.send(request, 1, answer, self._options.lookup_deadline_s)

    def claim_note(self, name: bytes, sealed: bytes, keep_s: int, done: Callable[[bool | None], None]) -> None:
        check_digest(name)
        connection = self._free_connection()
        if connection is None:
            done(None)
            return

        def answer(replies: list[Any] | LookupFailure) -> None:
            done(replies[0] is not None if is_answered(replies) else None)

        request = pack_command(b"SET", _NOTE + name, sealed, b"NX", b"EX", b"%d" % keep_s)
        connection.send(request, 1, answer, self._options.lookup_deadline_s)

    def find_notes(self, names: Sequence[bytes], done: Callable[[Sequence[bytes | None] | None], None]) -> None:
        connection = self._free_connection() if names else None
        if connection is None:
            done(None if names else ())
            return

        def answer(replies: list[Any] | LookupFailure) -> None:
            done(replies[0] if is_answered(replies) else None)

        request = pack_command(b"MGET", *[_NOTE + name for name in names])
        connection.send(request, 1, answer, self._options.lookup_deadline_s)

    def _look_up_for(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        done: Callable[[Lookup | LookupFailure], None],
    ) -> Callable[[], None]:
        question = _Question(brand, keys, message_digest, done)
        self._ask(question)
        return partial(self._abandon, question)

    def _abandon(self, question: _Question) -> None:
        """A cancelled look-up takes its connection with it (``redis_connection``)."""
        if question.connection is not None:
            question.connection.discard(LookupFailure.UNREACHABLE)
        elif question in self._turn:
            self._turn.remove(question)

    # ---- changes ----

    async def load(self, brand: int, records: Sequence[bytes]) -> Applied:
        # Through redis-py too: its packing costs 1 µs a record more than packing by hand, beside the 10 that the merge
        # takes in Redis.
        check_brand(brand)
        both_busy = asyncio.Semaphore(2)  # the next step is packed here while Redis works on the one before
        steps: list[asyncio.Task[Applied]] = []

        async def step(part: Sequence[bytes]) -> Applied:
            try:
                return await self._commit(brand, part, None, ())
            finally:
                both_busy.release()

        try:
            async with asyncio.TaskGroup() as group:
                for start in range(0, len(records), _LOAD_RECORDS):
                    await both_busy.acquire()
                    steps.append(group.create_task(step(records[start : start + _LOAD_RECORDS])))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        done = [task.result() for task in steps]
        return Applied(
            sum(applied.changed for applied in done),
            max((applied.revision for applied in done), default=self._memory.revision),
        )

    async def _commit(
        self, brand: int, records: Sequence[bytes], watermark_at: int | None, outbox: Sequence[OutboxItem]
    ) -> Applied:
        generation = self._memory.generation
        if generation is None:
            await self._meet()
            generation = self._memory.generation
            assert generation is not None
        arguments = [
            b"%d" % FORMAT,
            generation,
            self._own_fingerprint,
            b"%d" % self._memory.revision,
            b"%d" % brand,
            b"" if watermark_at is None else b"%d" % watermark_at,
            b"%d" % len(outbox),
        ]
        for item in outbox:
            report = _REPORT.pack(item.brand, item.due_at) + item.sealed
            arguments += (item.item_id, b"%d" % item.due_at, b"%d" % item.brand, report)
        keys = [_MARK, _COUNTS, _DUE, _REPORTS]
        # Sorted records of one bucket follow each other, and come in the order the script wants.
        buckets: dict[bytes, list[bytes]] = {}
        for record in records:
            buckets.setdefault(bucket_of(record), []).append(record[2:])
        keys += [BUCKET_PREFIX + bucket for bucket in buckets]
        arguments += [b"".join(changes) for changes in buckets.values()]
        await self._wait_until_met()
        status, *numbers = await self._merge(keys, arguments)
        if status != b"ok":
            # The mark read once more lets the memory keep what is wrong.
            floor = self._memory.revision
            failure = self._memory.judge(await self._read_mark(), floor)
            raise error_of(failure or LookupFailure(status.decode("ascii")))
        changed, revision = numbers
        self._memory.judge(Mark(FORMAT, generation, self._own_fingerprint, revision), revision)
        return Applied(changed, revision)

    async def _meet(self) -> None:
        """First contact: the mark that is there becomes the one this machine knows."""
        floor = self._memory.revision
        failure = self._memory.judge(await self._read_mark(), floor)
        if failure is not None:
            raise error_of(failure)

    async def _wait_until_met(self) -> None:
        """Nothing is asked of a Redis that look-ups do not reach; one that is just coming back is waited for.

        Raises ``StoreUnreachableError``.
        """
        if self._is_closed:
            raise StoreUnreachableError("the store is closed")
        self._start_links()
        await self._links[0].wait_for_connection(self._connect_s)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[Redis]:
        await self._wait_until_met()
        async with self._client.asking() as redis:
            yield redis

    # ---- lists of dealers ----

    def find_access(self, names: Sequence[bytes], done: Callable[[Sequence[bytes | None] | None], None]) -> None:
        connection = self._free_connection() if names else None
        if connection is None:
            done(None if names else ())
            return

        def answer(replies: list[Any] | LookupFailure) -> None:
            done(replies[0] if is_answered(replies) else None)

        connection.send(pack_command(b"HMGET", _ACCESS, *names), 1, answer, self._options.lookup_deadline_s)

    async def keep_access(self, lists: Sequence[AccessList]) -> None:
        check_access(lists)
        if lists:
            await self._wait_until_met()
            await self._meet()
        for start in range(0, len(lists), _LOAD_RECORDS):
            async with self._asking() as redis:
                part = dict(lists[start : start + _LOAD_RECORDS])
                await redis.hset(_ACCESS, mapping=cast("Any", part))  # its keys may be bytes, whatever the type says

    # ---- small values ----

    async def recall(self, name: str) -> bytes | None:
        key = value_name(name)
        async with self._asking() as redis:
            (value,) = cast("_Fields", await redis.hmget(_VALUES, [key]))  # not decoded
        return value

    async def keep(self, name: str, value: bytes | None) -> None:
        key = value_name(name)
        async with self._asking() as redis:
            if value is None:
                await redis.hdel(_VALUES, key)
            else:
                await redis.hset(_VALUES, key, value)

    async def replace(self, name: str, expected: bytes | None, value: bytes) -> bool:
        key = value_name(name)
        await self._wait_until_met()
        is_known = b"0" if expected is None else b"1"
        return bool(await self._replace_value([_VALUES], [key, is_known, expected or b"", value]))

    async def now(self) -> float:
        async with self._asking() as redis:
            seconds, microseconds = await redis.time()
        return seconds + microseconds / 1e6

    # ---- outbox ----

    async def outbox_due(self, until: int, limit: int) -> list[OutboxItem]:
        async with self._asking() as redis:
            due = await redis.zrangebyscore(_DUE, "-inf", until, start=0, num=limit)
            ids = cast("list[bytes]", due)  # not decoded
            reports = cast("_Fields", await redis.hmget(_REPORTS, ids)) if ids else []  # not decoded
        return [
            _item_of(item_id, report)
            for item_id, report in zip(ids, reports, strict=True)
            if report is not None  # removed between the two questions
        ]

    async def _remove_from_outbox(self, items: Sequence[OutboxItem]) -> None:
        await self._wait_until_met()
        await self._take_out(
            [_COUNTS, _DUE, _REPORTS], [word for item in items for word in (item.item_id, b"%d" % item.brand)]
        )

    # ---- questions about the whole ----

    async def watermarks(self) -> dict[int, int]:
        async with self._asking() as redis:
            return _watermarks_in(cast("_Hash", await redis.hgetall(_MARK)))  # not decoded

    async def stats(self) -> StoreStats:
        async with self._asking() as redis:
            found = cast("_Hash", await redis.hgetall(_MARK))  # not decoded
            counted = cast("_Hash", await redis.hgetall(_COUNTS))  # not decoded
            memory = await redis.info("memory")
        mark = _mark_of([found.get(field) for field in _MARK_FIELDS])
        if mark is None:
            raise error_of(LookupFailure.NOT_INITIALISED)
        counts: dict[tuple[int, str], int] = {}
        for field, number in counted.items():
            brand, _, what = field.decode("ascii").partition(":")
            counts[int(brand), what] = int(number)
        used_bytes = memory["used_memory"] - memory.get("used_memory_startup", 0)
        return stats_of(counts, _watermarks_in(found), used_bytes, mark)

    # ---- for the base ----

    @property
    def _fingerprint(self) -> bytes:
        return self._own_fingerprint

    async def _read_mark(self) -> Mark | None:
        async with self._asking() as redis:
            return _mark_of(cast("_Fields", await redis.hmget(_MARK, _MARK_FIELDS)))  # not decoded

    async def _create_mark(self, mark: Mark) -> Mark:
        words = [b"%d" % mark.format, mark.generation, mark.fingerprint, b"%d" % mark.revision]
        await self._wait_until_met()
        return _mark_of(await self._make_mark([_MARK], words)) or mark


def _mark_of(fields: Sequence[bytes | None]) -> Mark | None:
    """The mark in the first fields of a reply. Raises ``ValueError`` where a number is none."""
    version, generation, fingerprint, revision = fields[: len(_MARK_FIELDS)]
    if version is None or generation is None or fingerprint is None or revision is None:
        return None
    return Mark(int(version), generation, fingerprint, int(revision))


def _item_of(item_id: bytes, report: bytes) -> OutboxItem:
    brand, due_at = _REPORT.unpack_from(report)
    return OutboxItem(item_id, brand, due_at, report[_REPORT.size :])


def _watermarks_in(fields: _Hash) -> dict[int, int]:
    return {int(field[len(_WATERMARK) :]): int(at) for field, at in fields.items() if field.startswith(_WATERMARK)}
