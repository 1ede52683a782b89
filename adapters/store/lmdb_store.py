"""The consent index in LMDB: memory-mapped, shared by all processes of one machine, no server.

Tables, each a named database of one environment:

==============  ============================  ================================================================
``consents``    key (10 bytes)                packed consents; plain keys, 32 bytes a record after a load,
                                              38 after random additions without end (pages 69 % full)
``meta``        ``mark``                      ``adapters.store.mark``
                ``watermark:`` brand          seconds since 1970 UTC
                ``count:`` brand ``:`` what   counters, kept in the transaction that changes what they count
                ``value:`` name               small values of the services beside the workers
``outbox``      item id                       due time, brand, sealed report
``outbox_due``  due time, item id             nothing; the order in which reports are made
``taken``       message digest                expiry, keys
``taken_due``   expiry, message digest        nothing; shows what to forget next
``notes``       name of a note                expiry, sealed note
``notes_due``   expiry, name                  nothing; shows what to forget next
``access``      key and slot of a consent     date of the consent, dealers it is open to
==============  ============================  ================================================================

A look-up is one read transaction in the loop's thread (microseconds, no lock). Changes go through one thread, which
may wait for another process to finish its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import lmdb

from adapters.store.errors import StoreConfigurationError, StoreError
from adapters.store.journal import RefusalJournal
from adapters.store.mark import Mark, pack_mark, unpack_mark
from adapters.store.memory import StoreMemory
from adapters.store.store import (
    Store,
    StoreOptions,
    check_access,
    check_brand,
    check_digest,
    count_entries,
    describe_failure,
    error_of,
    stats_of,
    value_name,
)
from filters.consent import merge_packed
from filters.consent_key import KEY_BYTES
from filters.decision.dealer_access import AccessList
from filters.exchange import Applied, Lookup, OutboxItem, StoreHealth, StoreStats
from filters.vocabulary import LookupFailure

if TYPE_CHECKING:
    from lmdb import Transaction, _Database

_T = TypeVar("_T")

_DATA_FILE = "data.mdb"
_TABLES = (b"consents", b"meta", b"outbox", b"outbox_due", b"taken", b"taken_due", b"notes", b"notes_due", b"access")
_MARK = b"mark"
_VALUE = b"value:"
_NUMBER = struct.Struct(">Q")
_EXPIRY = struct.Struct(">I")
_REPORT = struct.Struct(">QI")
_LOAD_RECORDS = 50_000
_KEYS_AT_ONCE = 1000
"""So many are looked for before others have their turn: a millisecond or two."""
_SPREAD_FROM = 5000
_SWEEP_ITEMS = 1000
_CHECK_EVERY_S = 1.0
_NOBODY: frozenset[bytes] = frozenset()


class LmdbStore(Store):
    """See the module's description."""

    def __init__(
        self,
        directory: Path,
        memory: StoreMemory,
        journal: RefusalJournal,
        fingerprint: bytes,
        options: StoreOptions,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises ``StoreError`` where the files cannot be opened; blocks while another process writes."""
        super().__init__(memory, journal, clock)
        self._own_fingerprint = fingerprint
        self._taken_s = options.taken_days * 86400
        self._notes_s = options.note_days * 86400
        self._directory = directory
        self._data_file = directory / _DATA_FILE
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._env = lmdb.open(
                str(directory),
                map_size=options.map_size_bytes,
                max_dbs=len(_TABLES),
                max_readers=1024,
                max_spare_txns=4,
                mode=0o600,
            )
            (
                self._consents,
                self._meta,
                self._outbox,
                self._outbox_due,
                self._taken,
                self._taken_due,
                self._notes,
                self._notes_due,
                self._access,
            ) = (self._env.open_db(name) for name in _TABLES)
            self._env.reader_check()  # a killed process must not keep old pages from being used again
            self._inode = self._data_file.stat().st_ino
        except lmdb.Error as error:
            raise StoreConfigurationError(f"store in {directory}: {error}") from error
        except OSError as error:
            raise StoreConfigurationError(f"store in {directory}: {error.strerror or error}") from error
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-writer")
        self._is_closed = False
        self._taken_waiting: SimpleQueue[_Taken] = SimpleQueue()
        self._notes_waiting: SimpleQueue[_Note] = SimpleQueue()
        self._is_note_writing_due = False
        # What was read under a transaction id stays true as long as the id does.
        self._read_under = -1
        self._revision = 0
        self._has_taken = False
        self._watermarks: dict[int, int | None] = {}
        self._check_at = 0.0

    # ---- life ----

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        await asyncio.to_thread(self._writer.shutdown)
        self._env.close()
        self._memory.close()

    async def health(self) -> StoreHealth:
        failure: LookupFailure | None
        floor = self._memory.revision
        try:
            with self._env.begin() as txn:
                failure = self._check(txn, floor)
        except (lmdb.Error, StoreError):
            failure = LookupFailure.BROKEN
        return StoreHealth(
            failure, describe_failure(failure) if failure else "the index answers", self._memory.revision
        )

    # ---- the hot path ----

    def lookup(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        done: Callable[[Lookup | LookupFailure], None],
    ) -> None:
        answer: Lookup | LookupFailure
        if self._is_closed:
            done(LookupFailure.UNREACHABLE)
            return
        floor = self._memory.revision
        is_long = False
        try:
            txn = self._env.begin(self._consents)
            try:
                failure = None
                # What _check found holds as long as the transaction id stands.
                if txn.id() != self._read_under or time.monotonic() >= self._check_at:
                    failure = self._check(txn, floor)
                if failure is not None:
                    answer = failure
                else:
                    taken = _NOBODY
                    if message_digest is not None and self._has_taken:
                        taken = self._taken_in(txn, message_digest)
                    if brand not in self._watermarks:
                        self._watermarks[brand] = self._watermark_in(txn, brand)
                    is_long = len(keys) > _KEYS_AT_ONCE
                    values = [] if is_long else list(map(txn.get, keys))
                    answer = Lookup(values, self._watermarks[brand], self._revision, taken)
            finally:
                if not is_long:
                    txn.abort()
        except (lmdb.Error, StoreError, struct.error):
            answer = LookupFailure.BROKEN
        if is_long and isinstance(answer, Lookup):
            self._look_on(txn, keys, [], answer, done)
        else:
            done(answer)

    def _look_on(
        self,
        txn: Transaction[bytes],
        keys: Sequence[bytes],
        values: list[bytes | None],
        answer: Lookup,
        done: Callable[[Lookup | LookupFailure], None],
    ) -> None:
        """``answer`` with the values of many keys: some in each turn of the loop, all as of the start of ``txn``."""
        try:
            values.extend(map(txn.get, keys[len(values) : len(values) + _KEYS_AT_ONCE]))
            if len(values) < len(keys):
                asyncio.get_running_loop().call_soon(self._look_on, txn, keys, values, answer, done)
                return
            txn.abort()
        except lmdb.Error:  # closed meanwhile
            done(LookupFailure.BROKEN)
            return
        done(answer._replace(values=values))

    def _check(self, txn: Transaction[bytes], floor: int) -> LookupFailure | None:
        """Whether the state that ``txn`` shows may be used; what is read here holds for its transaction id.

        ``floor``: the revision known *before* ``txn`` began. One learnt since, from the writer's thread or from another
        process, may lie beyond what ``txn`` can see, and that is no roll-back.
        """
        self._read_under = -1
        self._watermarks.clear()
        self._check_at = time.monotonic() + _CHECK_EVERY_S
        mark = unpack_mark(txn.get(_MARK, b"", self._meta))
        failure = LookupFailure.FOREIGN if self._is_file_replaced() else self._memory.judge(mark, floor)
        if failure is None and mark is not None:
            self._has_taken = txn.stat(self._taken)["entries"] > 0
            self._revision = mark.revision
            self._read_under = txn.id()
        return failure

    def _is_file_replaced(self) -> bool:
        """Another file stands in the place of ours: this process reads, and would write, what others do not see."""
        try:
            return self._data_file.stat().st_ino != self._inode
        except OSError:
            return True

    def _watermark_in(self, txn: Transaction[bytes], brand: int) -> int | None:
        packed = txn.get(_watermark_key(brand), None, self._meta)
        return _NUMBER.unpack(packed)[0] if packed is not None else None

    def _taken_in(self, txn: Transaction[bytes], message_digest: bytes) -> frozenset[bytes]:
        packed = txn.get(message_digest, b"", self._taken)
        if not packed or _EXPIRY.unpack_from(packed)[0] <= self._clock():
            return frozenset()
        return frozenset(_keys_of(packed))

    def remember_taken(self, message_digest: bytes, keys: Sequence[bytes], done: Callable[[bool], None]) -> None:
        check_digest(message_digest)
        if self._is_closed:
            done(False)
            return
        self._taken_waiting.put(_Taken(message_digest, keys, done, asyncio.get_running_loop()))
        self._writer.submit(self._write_taken)

    def forget_taken(self, message_digest: bytes, keys: Sequence[bytes], done: Callable[[bool], None]) -> None:
        check_digest(message_digest)
        if self._is_closed:
            done(False)
            return
        self._taken_waiting.put(_Taken(message_digest, keys, done, asyncio.get_running_loop(), is_over=True))
        self._writer.submit(self._write_taken)

    # ---- notes ----

    def keep_note(self, name: bytes, sealed: bytes, done: Callable[[bool], None]) -> None:
        check_digest(name)
        if self._is_closed:
            done(False)
            return
        self._enqueue(_Note(name, sealed, self._notes_s, done, asyncio.get_running_loop()))

    def claim_note(self, name: bytes, sealed: bytes, keep_s: int, done: Callable[[bool | None], None]) -> None:
        check_digest(name)
        if self._is_closed:
            done(None)
            return
        self._enqueue(_Note(name, sealed, keep_s, done, asyncio.get_running_loop(), is_claim=True))

    def _enqueue(self, note: _Note) -> None:
        # The writer is woken once for all notes that it has not seen; waking it costs more than a note does.
        self._notes_waiting.put(note)
        if not self._is_note_writing_due:
            self._is_note_writing_due = True
            self._writer.submit(self._write_notes)

    def _write_notes(self) -> None:
        # Before the queue is emptied: whoever comes later finds either the queue still open or nothing due.
        self._is_note_writing_due = False
        # As with the memory of retries: one transaction for all that gathered while the writer was busy.
        waiting: list[_Note] = []
        with contextlib.suppress(Empty):
            while True:
                waiting.append(self._notes_waiting.get_nowait())
        if not waiting:
            return
        now = int(self._clock())
        answers: list[bool | None]
        try:
            with self._env.begin(write=True) as txn:
                answers = [self._put_note(txn, note, now) for note in waiting]
                self._forget(txn, self._notes, self._notes_due, now)
        except lmdb.Error:
            answers = [None if note.is_claim else False for note in waiting]
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Note, bool | None]]] = {}
        for note, answer in zip(waiting, answers, strict=True):
            by_loop.setdefault(note.loop, []).append((note, answer))
        for loop, told in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop may be gone: nobody waits then
                loop.call_soon_threadsafe(_tell, told)

    def _put_note(self, txn: Transaction[bytes], note: _Note, now: int) -> bool:
        """False where a claim comes too late."""
        if note.is_claim:
            packed = txn.get(note.name, b"", self._notes)
            if packed and _EXPIRY.unpack_from(packed)[0] > now:
                return False
        expiry = _EXPIRY.pack(now + note.keep_s)
        txn.put(note.name, expiry + note.sealed, db=self._notes)
        txn.put(expiry + note.name, b"", db=self._notes_due)
        return True

    def find_notes(self, names: Sequence[bytes], done: Callable[[Sequence[bytes | None] | None], None]) -> None:
        now = int(self._clock())
        found: list[bytes | None] = []
        try:
            with self._env.begin() as txn:
                for name in names:
                    packed = txn.get(name, b"", self._notes)
                    is_there = len(packed) > _EXPIRY.size and _EXPIRY.unpack_from(packed)[0] > now
                    found.append(packed[_EXPIRY.size :] if is_there else None)
        except lmdb.Error:
            done(None)
            return
        done(found)

    def find_access(self, names: Sequence[bytes], done: Callable[[Sequence[bytes | None] | None], None]) -> None:
        if self._is_closed:
            done(None)
            return
        try:
            with self._env.begin(self._access) as txn:
                found = list(map(txn.get, names))
        except lmdb.Error:
            done(None)
            return
        done(found)

    async def keep_access(self, lists: Sequence[AccessList]) -> None:
        check_access(lists)
        for start in range(0, len(lists), _LOAD_RECORDS):
            await self._in_writer(partial(self._put_access, lists[start : start + _LOAD_RECORDS]))

    def _put_access(self, lists: Sequence[AccessList]) -> None:
        with self._changing() as (txn, _), txn.cursor(self._access) as cursor:
            cursor.putmulti(sorted(dict(lists).items()))

    # ---- changes (the writer's thread) ----

    async def load(self, brand: int, records: Sequence[bytes]) -> Applied:
        check_brand(brand)
        applied = Applied(0, self._memory.revision)
        for start in range(0, len(records), _LOAD_RECORDS):
            step = await self._commit(brand, records[start : start + _LOAD_RECORDS], None, ())
            applied = Applied(applied.changed + step.changed, step.revision)
        return applied

    async def _commit(
        self, brand: int, records: Sequence[bytes], watermark_at: int | None, outbox: Sequence[OutboxItem]
    ) -> Applied:
        return await self._in_writer(lambda: self._write(brand, records, watermark_at, outbox))

    def _write(
        self, brand: int, records: Sequence[bytes], watermark_at: int | None, outbox: Sequence[OutboxItem]
    ) -> Applied:
        counts: Counter[tuple[int, str]] = Counter()
        with self._changing() as (txn, mark):
            changed = self._merge_records(txn, brand, records, counts)
            for item in outbox:
                value = _REPORT.pack(item.due_at, item.brand) + item.sealed
                if txn.put(item.item_id, value, overwrite=False, db=self._outbox):
                    txn.put(_NUMBER.pack(item.due_at) + item.item_id, b"", db=self._outbox_due)
                    counts[item.brand, "o"] += 1
            if watermark_at is not None and watermark_at > (self._watermark_in(txn, brand) or -1):
                txn.put(_watermark_key(brand), _NUMBER.pack(watermark_at), db=self._meta)
            self._add_counts(txn, counts)
            mark = mark._replace(revision=mark.revision + 1)
            txn.put(_MARK, pack_mark(mark), db=self._meta)
        self._memory.judge(mark, mark.revision)
        return Applied(changed, mark.revision)

    def _merge_records(
        self, txn: Transaction[bytes], brand: int, records: Sequence[bytes], counts: Counter[tuple[int, str]]
    ) -> int:
        """Records are sorted, so that each page of the table is visited, and copied, once."""
        with txn.cursor(self._consents) as cursor:
            keys = dict.fromkeys([record[:KEY_BYTES] for record in records])
            before = dict(cursor.getmulti(keys))
            after: dict[bytes, bytes] = {}
            for record in records:
                key, entry = record[:KEY_BYTES], record[KEY_BYTES:]
                old = after.get(key) or before.get(key)
                new = entry if old is None else merge_packed(old, entry)
                if new != old:
                    after[key] = new
            items = list(after.items())
            if len(items) >= _SPREAD_FROM:
                # The first pass fills each page, the second makes it two that are five sixths full. Left quite full,
                # each page would split at its first random addition: one in twenty added doubled the file.
                cursor.putmulti([item for number, item in enumerate(items) if number % 5 % 2 == 0])
                items = [item for number, item in enumerate(items) if number % 5 % 2]
            cursor.putmulti(items)
        replaced = [before[key] for key in after if key in before]
        counts[brand, "k"] += len(after) - len(replaced)
        count_entries(counts, brand, after.values(), 1)
        count_entries(counts, brand, replaced, -1)
        return len(after)

    def _add_counts(self, txn: Transaction[bytes], counts: Counter[tuple[int, str]]) -> None:
        for (brand, what), difference in counts.items():
            if difference:
                key = b"count:%d:%s" % (brand, what.encode("ascii"))
                number = _NUMBER.unpack(txn.get(key, bytes(_NUMBER.size), self._meta))[0] + difference
                txn.put(key, _NUMBER.pack(number), db=self._meta)

    def _write_taken(self) -> None:
        # All that gathered while the writer was busy share one transaction, and so one sync of the disk; the calls
        # submitted for the others then find nothing to do.
        waiting: list[_Taken] = []
        with contextlib.suppress(Empty):
            while True:
                waiting.append(self._taken_waiting.get_nowait())
        if not waiting:
            return
        now = int(self._clock())
        try:
            # The mark is not asked: this memory is about messages, not about consents.
            with self._env.begin(write=True) as txn:
                for taken in waiting:
                    self._put_taken(txn, taken, now)
                self._forget(txn, self._taken, self._taken_due, now)
            is_kept = True
        except lmdb.Error:
            is_kept = False
        for taken in waiting:
            with contextlib.suppress(RuntimeError):  # the loop may be gone: nobody waits then
                taken.loop.call_soon_threadsafe(taken.done, is_kept)

    def _put_taken(self, txn: Transaction[bytes], taken: _Taken, now: int) -> None:
        packed = txn.get(taken.message_digest, b"", self._taken)
        keys = dict.fromkeys(_keys_of(packed)) if packed and _EXPIRY.unpack_from(packed)[0] > now else {}
        if taken.is_over:
            left = [key for key in keys if key not in taken.keys]
            if left:
                txn.put(taken.message_digest, packed[: _EXPIRY.size] + b"".join(left), db=self._taken)
            else:  # its entry in the other table goes when it is due
                txn.delete(taken.message_digest, db=self._taken)
            return
        expiry = _EXPIRY.pack(now + self._taken_s)
        txn.put(taken.message_digest, expiry + b"".join(keys | dict.fromkeys(taken.keys)), db=self._taken)
        txn.put(expiry + taken.message_digest, b"", db=self._taken_due)

    def _forget(self, txn: Transaction[bytes], table: _Database, due_table: _Database, now: int) -> None:
        with txn.cursor(due_table) as cursor:
            for _ in range(_SWEEP_ITEMS):
                if not cursor.first():
                    return
                due = cursor.key()
                if _EXPIRY.unpack_from(due)[0] > now:
                    return
                name = due[_EXPIRY.size :]
                packed = txn.get(name, b"", table)
                # A later hand-over of the same message moved its expiry on; that one's own entry stands further down.
                if packed and _EXPIRY.unpack_from(packed)[0] <= now:
                    txn.delete(name, db=table)
                cursor.delete()

    # ---- small values ----

    async def recall(self, name: str) -> bytes | None:
        key = _VALUE + value_name(name)
        with self._asking() as txn:
            return txn.get(key, None, self._meta)

    async def keep(self, name: str, value: bytes | None) -> None:
        key = _VALUE + value_name(name)

        def write() -> None:
            with self._changing() as (txn, _):
                if value is None:
                    txn.delete(key, db=self._meta)
                else:
                    txn.put(key, value, db=self._meta)

        await self._in_writer(write)

    async def replace(self, name: str, expected: bytes | None, value: bytes) -> bool:
        key = _VALUE + value_name(name)

        def write() -> bool:
            with self._changing() as (txn, _):
                if txn.get(key, None, self._meta) != expected:
                    return False
                txn.put(key, value, db=self._meta)
                return True

        return await self._in_writer(write)

    # ---- outbox ----

    async def outbox_due(self, until: int, limit: int) -> list[OutboxItem]:
        return await asyncio.to_thread(self._list_outbox, until, limit)

    def _list_outbox(self, until: int, limit: int) -> list[OutboxItem]:
        items: list[OutboxItem] = []
        with self._asking() as txn, txn.cursor(self._outbox_due) as cursor:
            for key in cursor.iternext(values=False):
                if _NUMBER.unpack_from(key)[0] > until or len(items) >= limit:
                    break
                item_id = key[_NUMBER.size :]
                report = txn.get(item_id, b"", self._outbox)
                due_at, brand = _REPORT.unpack_from(report)
                items.append(OutboxItem(item_id, brand, due_at, report[_REPORT.size :]))
        return items

    async def _remove_from_outbox(self, items: Sequence[OutboxItem]) -> None:
        await self._in_writer(lambda: self._delete_outbox(items))

    def _delete_outbox(self, items: Sequence[OutboxItem]) -> None:
        counts: Counter[tuple[int, str]] = Counter()
        with self._changing() as (txn, _):
            for item in items:
                report = txn.pop(item.item_id, self._outbox)
                if report is not None:
                    due_at, brand = _REPORT.unpack_from(report)
                    txn.delete(_NUMBER.pack(due_at) + item.item_id, db=self._outbox_due)
                    counts[brand, "o"] -= 1
            self._add_counts(txn, counts)

    # ---- questions about the whole ----

    async def watermarks(self) -> dict[int, int]:
        return await asyncio.to_thread(self._list_watermarks)

    def _list_watermarks(self) -> dict[int, int]:
        with self._asking() as txn:
            return {int(key): _NUMBER.unpack(value)[0] for key, value in self._meta_items(txn, b"watermark:")}

    async def stats(self) -> StoreStats:
        return await asyncio.to_thread(self._collect_stats)

    def _collect_stats(self) -> StoreStats:
        with self._asking() as txn:
            counts: dict[tuple[int, str], int] = {}
            for key, value in self._meta_items(txn, b"count:"):
                brand, what = key.split(b":")
                counts[int(brand), what.decode("ascii")] = _NUMBER.unpack(value)[0]
            watermarks = {int(key): _NUMBER.unpack(value)[0] for key, value in self._meta_items(txn, b"watermark:")}
            mark = unpack_mark(txn.get(_MARK, b"", self._meta))
        if mark is None:
            raise error_of(LookupFailure.NOT_INITIALISED)
        # The file, not the pages in use: free pages inside it are disk space all the same.
        return stats_of(counts, watermarks, self._data_file.stat().st_blocks * 512, mark)

    def _meta_items(self, txn: Transaction[bytes], prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        with txn.cursor(self._meta) as cursor:
            if cursor.set_range(prefix):
                for key, value in cursor:
                    if not key.startswith(prefix):
                        break
                    yield key[len(prefix) :], value

    # ---- for the base ----

    @property
    def _fingerprint(self) -> bytes:
        return self._own_fingerprint

    async def _read_mark(self) -> Mark | None:
        with self._asking() as txn:
            return unpack_mark(txn.get(_MARK, b"", self._meta))

    async def _create_mark(self, mark: Mark) -> Mark:
        return await self._in_writer(lambda: self._put_mark(mark))

    def _put_mark(self, mark: Mark) -> Mark:
        try:
            with self._env.begin(write=True) as txn:
                txn.put(_MARK, pack_mark(mark), overwrite=False, db=self._meta)
                return unpack_mark(txn.get(_MARK, b"", self._meta)) or mark
        except lmdb.Error as error:
            raise self._failed(error) from error

    @contextmanager
    def _changing(self) -> Iterator[tuple[Transaction[bytes], Mark]]:
        """A write transaction on a store whose mark was found right."""
        floor = self._memory.revision
        try:
            with self._env.begin(write=True) as txn:
                mark = unpack_mark(txn.get(_MARK, b"", self._meta))
                failure = self._memory.judge(mark, floor)
                if self._is_file_replaced():
                    failure = LookupFailure.FOREIGN
                if failure is not None or mark is None:
                    raise error_of(failure or LookupFailure.NOT_INITIALISED)
                yield txn, mark
        except lmdb.Error as error:
            raise self._failed(error) from error

    @contextmanager
    def _asking(self) -> Iterator[Transaction[bytes]]:
        try:
            with self._env.begin() as txn:
                yield txn
        except lmdb.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: lmdb.Error) -> StoreError:
        if isinstance(error, lmdb.MapFullError):
            return StoreError(f"store in {self._directory}: full; raise map_size_bytes")
        return StoreError(f"store in {self._directory}: {error}")

    async def _in_writer(self, work: Callable[[], _T]) -> _T:
        if self._is_closed:
            raise error_of(LookupFailure.UNREACHABLE)
        return await asyncio.get_running_loop().run_in_executor(self._writer, work)


class _Note(NamedTuple):
    """A ``keep_note`` or ``claim_note`` on its way to the writer."""

    name: bytes
    sealed: bytes
    keep_s: int
    done: Callable[..., None]
    loop: asyncio.AbstractEventLoop
    is_claim: bool = False


def _tell(told: Sequence[tuple[_Note, bool | None]]) -> None:
    """In the loop: what became of each note. One that raises keeps it from no other one."""
    for note, answer in told:
        try:
            note.done(answer)
        except Exception as fault:  # the caller's, of any kind
            note.loop.call_exception_handler({"message": "a note's answer", "exception": fault})


class _Taken:
    """A ``remember_taken`` on its way to the writer, or (``is_over``) a ``forget_taken``."""

    __slots__ = ("done", "is_over", "keys", "loop", "message_digest")

    def __init__(
        self,
        message_digest: bytes,
        keys: Sequence[bytes],
        done: Callable[[bool], None],
        loop: asyncio.AbstractEventLoop,
        *,
        is_over: bool = False,
    ) -> None:
        self.message_digest = message_digest
        self.keys = keys
        self.is_over = is_over
        self.done = done
        self.loop = loop


def _watermark_key(brand: int) -> bytes:
    return b"watermark:%d" % brand


def _keys_of(packed: bytes) -> list[bytes]:
    return [packed[at : at + KEY_BYTES] for at in range(_EXPIRY.size, len(packed), KEY_BYTES)]
