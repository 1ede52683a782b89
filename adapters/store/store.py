"""What both stores have in common: the refusal journal, the memory, and who may start over."""

from __future__ import annotations

import asyncio
import secrets
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ssl import SSLContext

from adapters.store.errors import StoreError, StoreMismatchError, StoreTimedOutError, StoreUnreachableError
from adapters.store.journal import RefusalJournal
from adapters.store.mark import FORMAT, GENERATION_BYTES, Mark
from adapters.store.memory import StoreMemory
from filters.consent import ENTRY_BYTES, Change, is_own_refusal, pack_change, slot_of
from filters.consent_key import KEY_BYTES
from filters.decision.dealer_access import NAME_BYTES, AccessList
from filters.exchange import Applied, Lookup, OutboxItem, StoreHealth, StoreStats
from filters.vocabulary import LookupFailure

RECORD_BYTES = KEY_BYTES + ENTRY_BYTES
MAX_BRAND = 2**32 - 1
MAX_DIGEST_BYTES = 64
MAX_ITEM_ID_BYTES = 64
MAX_VALUE_NAME = 200
_REPLAY_RECORDS = 1000

_ACCEPT = "if that is meant: izinkapi consents accept-store, then import again"
_WHAT_IS_WRONG = {
    LookupFailure.UNREACHABLE: "the store does not answer, or has too much to answer already",
    LookupFailure.TIMED_OUT: "the store did not answer in time",
    LookupFailure.NOT_INITIALISED: f"the store has no mark: it is new, or was emptied ({_ACCEPT})",
    LookupFailure.FOREIGN: (
        f"the store is not the one this machine knows, or was filled with another index secret ({_ACCEPT})"
    ),
    LookupFailure.ROLLED_BACK: f"the store has come back from an older copy, and changes are missing ({_ACCEPT})",
    LookupFailure.BROKEN: "the store holds what this program did not write, or is set up to lose records",
}


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Settings that both stores understand, or one of them; each has a default that fits most installations.

    ``taken_days``: how long is remembered who already has a message (design D2).
    ``note_days``: how long notes are kept (dropped numbers of SMS jobs, for reports).
    ``journal_days``: how long own refusals are kept on this machine beside the store.
    ``lookup_deadline_s`` and ``apply_deadline_s``: Redis only; a connection that is late is discarded.
    ``connections``: Redis only, for look-ups; changes and the rest have up to four more, made when needed.
    ``max_outstanding_bytes``: Redis only, requests sent and unanswered on one connection; above it look-ups fail at
    once instead of filling memory.
    ``password``: Redis only, used where the URL has none.
    ``tls``: Redis only, for ``rediss://``; None verifies against the system's authorities.
    ``map_size_bytes``: LMDB only, the most its file can grow to; address space, not memory.
    """

    taken_days: int = 5
    note_days: int = 10
    journal_days: int = 90
    lookup_deadline_s: float = 1.0
    apply_deadline_s: float = 30.0
    connections: int = 2
    max_outstanding_bytes: int = 8 << 20
    password: str = ""
    tls: SSLContext | None = None
    map_size_bytes: int = 64 << 30


class Store(ABC):
    """The consent index with its outbox; implements ``ConsentIndex`` and ``ConsentWriter`` of the gateway's ports.

    One instance a process, opened after any fork, used from one event loop.
    """

    def __init__(self, memory: StoreMemory, journal: RefusalJournal, clock: Callable[[], float]) -> None:
        self._memory = memory
        self._journal = journal
        self._clock = clock
        self._replay_lock = asyncio.Lock()
        self._has_replayed = False

    # ---- life ----

    async def start(self) -> StoreHealth:
        """Connect, and bring in the refusals of this machine that the store does not have. A store that
        is away or wrong raises nothing: look-ups say so until that is mended, and the health returned says why."""
        health = await self.health()
        if health.failure is None:
            await self._replay_once()
        return health

    @abstractmethod
    async def close(self) -> None:
        """Let go of files and connections; look-ups in flight are answered with a failure."""

    async def initialise(self) -> None:
        """Make the mark of a new store; a store that has one already stays as it is.

        Raises ``StoreMismatchError`` where this machine knew another store or a later state: emptied is not new.
        """
        floor = self._memory.revision
        mark = await self._read_mark()
        if mark is None and self._memory.generation is None:
            mark = await self._create_mark(self._new_mark())
        failure = self._memory.judge(mark, floor)
        if failure is not None:
            raise error_of(failure)

    async def accept(self) -> None:
        """An operator's word that this store, in its present state, is the right one from now on, for this machine.

        A mark is made where there is none; the refusals in this machine's journal are brought in. Raises
        ``StoreMismatchError`` where the store was filled with another index secret: nobody would ever be found in it.
        """
        mark = await self._read_mark() or await self._create_mark(self._new_mark())
        if mark.format != FORMAT or mark.fingerprint != self._fingerprint:
            raise StoreMismatchError(LookupFailure.FOREIGN, "the store was filled with another index secret or version")
        self._memory.accept(mark)
        await self._replay_journal()

    @abstractmethod
    async def health(self) -> StoreHealth:
        """Ask the store now whether look-ups can be answered. Never raises."""

    # ---- the hot path ----

    @abstractmethod
    def lookup(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        done: Callable[[Lookup | LookupFailure], None],
    ) -> None:
        """States of ``keys``, the watermark of ``brand``, and what is remembered of ``message_digest``."""

    @abstractmethod
    def remember_taken(self, message_digest: bytes, keys: Sequence[bytes], done: Callable[[bool], None]) -> None:
        """Keep for some days that these recipients have this message."""

    @abstractmethod
    def forget_taken(self, message_digest: bytes, keys: Sequence[bytes], done: Callable[[bool], None]) -> None:
        """Take ``keys`` out of what is remembered of this message; ``done(True)`` once they are."""

    # ---- notes: sealed by the gateway, under names that say nothing ----

    @abstractmethod
    def keep_note(self, name: bytes, sealed: bytes, done: Callable[[bool], None]) -> None:
        """Keep ``sealed`` for some days; a later note of the same name replaces it. ``done(True)`` once it is kept."""

    @abstractmethod
    def claim_note(self, name: bytes, sealed: bytes, keep_s: int, done: Callable[[bool | None], None]) -> None:
        """Keep ``sealed`` for ``keep_s`` seconds if no note has that name: ``done(True)``; ``done(False)`` if one has,
        whoever put it there; ``done(None)`` if the store did not say."""

    @abstractmethod
    def find_notes(self, names: Sequence[bytes], done: Callable[[Sequence[bytes | None] | None], None]) -> None:
        """The notes in the order of ``names``, None for one that is not there; None if they could not be asked."""

    # ---- lists of dealers beside the consents (``filters.decision.dealer_access``) ----

    @abstractmethod
    def find_access(self, names: Sequence[bytes], done: Callable[[Sequence[bytes | None] | None], None]) -> None:
        """The packed lists in the order of ``names``, None for one that is not there; None if they could not be
        asked."""

    @abstractmethod
    async def keep_access(self, lists: Sequence[AccessList]) -> None:
        """Put each list in the place of the one of its name, the last where a name comes twice. In one or more steps,
        durable on return. Raises ``StoreError``; ``ValueError`` for names of another length."""

    async def find(self, brand: int, keys: Sequence[bytes], message_digest: bytes | None = None) -> Lookup:
        """``lookup`` for callers that wait. Raises ``StoreError``."""
        answered: asyncio.Future[Lookup | LookupFailure] = asyncio.get_running_loop().create_future()

        def keep(answer: Lookup | LookupFailure) -> None:
            if not answered.done():
                answered.set_result(answer)

        abandon = self._look_up_for(brand, keys, message_digest, keep)
        try:
            answer = await answered
        except asyncio.CancelledError:
            if answered.cancelled():
                abandon()
            raise
        if isinstance(answer, LookupFailure):
            raise error_of(answer)
        return answer

    # ---- changes ----

    async def apply(
        self,
        brand: int,
        changes: Sequence[Change],
        *,
        watermark_at: int | None = None,
        outbox: Sequence[OutboxItem] = (),
    ) -> Applied:
        """Merge ``changes``, move the watermark forward and add to the outbox: all or nothing, durable on return.

        ``changed`` counts the keys whose value is another one now. Raises ``StoreError`` where it is not known to be
        durable; ``ValueError`` for values that have no packed form.
        """
        check_brand(brand)
        if watermark_at is not None and watermark_at < 0:
            raise ValueError(f"watermark: expected a time after 1970, found {watermark_at}")
        records = sorted([change.key + pack_change(change) for change in changes])
        if any(len(record) != RECORD_BYTES for record in records):
            raise ValueError(f"changes: expected keys of {KEY_BYTES} bytes")
        if any(not 0 < len(item.item_id) <= MAX_ITEM_ID_BYTES or item.due_at < 0 for item in outbox):
            raise ValueError(f"outbox: expected ids of 1 to {MAX_ITEM_ID_BYTES} bytes and times after 1970")
        own = [record for record in records if is_own_refusal(record[KEY_BYTES:])]
        if own or outbox:
            await asyncio.to_thread(self._journal.append, brand, own, outbox, int(self._clock()))
        applied = await self._commit(brand, records, watermark_at, outbox)
        if own:
            await asyncio.to_thread(self._memory.share)
        return applied

    @abstractmethod
    async def load(self, brand: int, records: Sequence[bytes]) -> Applied:
        """Merge many packed records (key and entry joined, sorted, none of them our own refusal), in one or more
        steps, each of them all or nothing: the way bulk imports take. Raises ``StoreError``."""

    @abstractmethod
    async def _commit(
        self, brand: int, records: Sequence[bytes], watermark_at: int | None, outbox: Sequence[OutboxItem]
    ) -> Applied: ...

    # ---- small durable values of the services beside the workers: cursors, leases, what was last proven ----

    @abstractmethod
    async def recall(self, name: str) -> bytes | None:
        """The value called ``name``, None if there is none. Raises ``StoreError``."""

    @abstractmethod
    async def keep(self, name: str, value: bytes | None) -> None:
        """Put ``value`` in the place of whatever stood there, as durable as a change; None forgets it.

        Nothing written before is missing where this is found. Raises ``StoreError``.
        """

    @abstractmethod
    async def replace(self, name: str, expected: bytes | None, value: bytes) -> bool:
        """Put ``value`` if ``expected`` stands there (None: nothing does); False, and nothing changed, if not.

        Raises ``StoreError``.
        """

    async def now(self) -> float:
        """The time by which all users of this store agree, in seconds since 1970 UTC: its own clock where it has one.

        Raises ``StoreError``.
        """
        return time.time()

    # ---- outbox ----

    @abstractmethod
    async def outbox_due(self, until: int, limit: int) -> list[OutboxItem]:
        """At most ``limit`` items due at or before ``until`` (seconds since 1970 UTC), the most urgent first."""

    async def outbox_remove(self, items: Sequence[OutboxItem]) -> None:
        """These reports are made; removing one twice is harmless. Raises ``StoreError``."""
        await asyncio.to_thread(self._journal.append_removed, [item.item_id for item in items], int(self._clock()))
        await self._remove_from_outbox(items)

    @abstractmethod
    async def _remove_from_outbox(self, items: Sequence[OutboxItem]) -> None: ...

    # ---- questions about the whole ----

    @abstractmethod
    async def watermarks(self) -> dict[int, int]:
        """By brand; a brand that was never loaded is absent. Raises ``StoreError``."""

    @abstractmethod
    async def stats(self) -> StoreStats:
        """What the store holds. Raises ``StoreError``."""

    # ---- for the implementations ----

    @property
    @abstractmethod
    def _fingerprint(self) -> bytes: ...

    @abstractmethod
    async def _read_mark(self) -> Mark | None: ...

    @abstractmethod
    async def _create_mark(self, mark: Mark) -> Mark:
        """Put ``mark`` where there is none; the mark that stands afterwards (another process may have been first)."""

    def _look_up_for(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        done: Callable[[Lookup | LookupFailure], None],
    ) -> Callable[[], None]:
        """``lookup``, and what to call when nobody waits for its answer any more."""
        self.lookup(brand, keys, message_digest, done)
        return lambda: None

    def _new_mark(self) -> Mark:
        return Mark(FORMAT, secrets.token_bytes(GENERATION_BYTES), self._fingerprint, 0)

    async def _replay_once(self) -> None:
        async with self._replay_lock:
            if not self._has_replayed:
                await asyncio.to_thread(self._journal.compact, int(self._clock()))
                await self._replay_journal()
                self._has_replayed = True

    async def _replay_journal(self) -> None:
        entries = await asyncio.to_thread(self._journal.entries)
        by_brand: dict[int, tuple[list[bytes], list[OutboxItem]]] = {}
        for entry in entries:
            records, outbox = by_brand.setdefault(entry.brand, ([], []))
            records.extend(entry.records)
            outbox.extend(entry.outbox)
        for brand, (records, outbox) in by_brand.items():
            records.sort()
            for start in range(0, max(len(records), len(outbox)), _REPLAY_RECORDS):
                stop = start + _REPLAY_RECORDS
                await self._commit(brand, records[start:stop], None, outbox[start:stop])


def describe_failure(failure: LookupFailure) -> str:
    """One sentence for an operator."""
    return _WHAT_IS_WRONG[failure]


def error_of(failure: LookupFailure) -> StoreError:
    """The exception that fits what a look-up would have answered."""
    if failure is LookupFailure.UNREACHABLE:
        return StoreUnreachableError(describe_failure(failure))
    if failure is LookupFailure.TIMED_OUT:
        return StoreTimedOutError(describe_failure(failure))
    return StoreMismatchError(failure, describe_failure(failure))


def check_brand(brand: int) -> None:
    """Raises ``ValueError`` for a number that is no brand code."""
    if not 0 < brand <= MAX_BRAND:
        raise ValueError(f"brand: expected a number from 1 to {MAX_BRAND}, found {brand}")


def value_name(name: str) -> bytes:
    """``name`` as it stands in the store. Raises ``ValueError`` for one that could not be a key of both."""
    if not name.isascii() or not 0 < len(name) <= MAX_VALUE_NAME:
        raise ValueError(f"name of a value: expected 1 to {MAX_VALUE_NAME} ASCII characters")
    return name.encode("ascii")


def check_access(lists: Sequence[AccessList]) -> None:
    """Raises ``ValueError`` for what cannot be a list under its name."""
    if any(len(each.name) != NAME_BYTES or not each.packed for each in lists):
        raise ValueError(f"lists of dealers: expected names of {NAME_BYTES} bytes")


def check_digest(message_digest: bytes) -> None:
    """Raises ``ValueError`` for a digest that the stores cannot take as a key."""
    if not 0 < len(message_digest) <= MAX_DIGEST_BYTES:
        raise ValueError(f"message digest: expected 1 to {MAX_DIGEST_BYTES} bytes, found {len(message_digest)}")


def count_entries(counts: Counter[tuple[int, str]], brand: int, values: Iterable[bytes], factor: int) -> None:
    """Add ``factor`` for each entry of the packed ``values`` to the counter of its first byte."""
    for head, number in Counter(b"".join([value[::ENTRY_BYTES] for value in values])).items():
        counts[brand, str(head)] += factor * number


def stats_of(
    counts: Mapping[tuple[int, str], int],
    watermarks: Mapping[int, int],
    used_bytes: int,
    mark: Mark,
) -> StoreStats:
    """The counters of a store, read: "k" counts keys, "o" outbox items, a number entries with that first byte."""
    return StoreStats(
        records={
            (brand, *slot_of(int(field))): number
            for (brand, field), number in sorted(counts.items())
            if field.isdigit() and number
        },
        recipients={brand: number for (brand, field), number in sorted(counts.items()) if field == "k" and number},
        outbox={brand: number for (brand, field), number in sorted(counts.items()) if field == "o" and number},
        watermarks=dict(sorted(watermarks.items())),
        used_bytes=used_bytes,
        generation=mark.generation,
        revision=mark.revision,
    )
