"""The consent index a third time, in plain dictionaries and straight from the definitions: no packing, no merging of
bytes, nothing shared with the stores. What it answers is what they must answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from filters.consent import Change, State, merge, pack, unpack
from filters.decision.dealer_access import AccessList
from filters.exchange import Applied, Lookup, OutboxItem, StoreHealth, StoreStats
from filters.vocabulary import LookupFailure
from tests.support.agenda import Agenda, Manner, always, behave


class MemoryIndex:
    """Keeps the ports ``ConsentIndex`` and ``ConsentWriter``; forgets everything with the process."""

    def __init__(self, *, taken_days: int = 5, clock: Callable[[], float] = time.time) -> None:
        self._states: dict[bytes, State] = {}
        self._brands: dict[bytes, int] = {}
        self._watermarks: dict[int, int] = {}
        self._outbox: dict[bytes, OutboxItem] = {}
        self._taken: dict[bytes, tuple[float, set[bytes]]] = {}
        self._taken_s = taken_days * 86400
        self.notes: dict[bytes, bytes] = {}
        self._access: dict[bytes, bytes] = {}
        self._clock = clock
        self._revision = 0
        self.failure: LookupFailure | None = LookupFailure.NOT_INITIALISED

    async def start(self) -> StoreHealth:
        return await self.health()

    async def close(self) -> None:
        self.failure = LookupFailure.UNREACHABLE

    async def initialise(self) -> None:
        self.failure = None

    async def health(self) -> StoreHealth:
        return StoreHealth(self.failure, self.failure or "the index answers", self._revision)

    def lookup(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        done: Callable[[Lookup | LookupFailure], None],
    ) -> None:
        if self.failure is not None:
            done(self.failure)
            return
        values = [pack(self._states[key]) if key in self._states else None for key in keys]
        expires_at, taken = self._taken.get(message_digest or b"", (0.0, set()))
        remembered = frozenset(taken) if expires_at > self._clock() else frozenset[bytes]()
        done(Lookup(values, self._watermarks.get(brand), self._revision, remembered))

    def keep_note(self, name: bytes, sealed: bytes, done: Callable[[bool], None]) -> None:
        self.notes[name] = sealed
        done(True)

    def claim_note(self, name: bytes, sealed: bytes, keep_s: int, done: Callable[[bool | None], None]) -> None:
        is_free = name not in self.notes
        self.notes.setdefault(name, sealed)
        done(is_free)

    def find_notes(self, names: Sequence[bytes], done: Callable[[Sequence[bytes | None] | None], None]) -> None:
        done([self.notes.get(name) for name in names])

    def find_access(self, names: Sequence[bytes], done: Callable[[Sequence[bytes | None] | None], None]) -> None:
        done(None if self.failure is not None else [self._access.get(name) for name in names])

    async def keep_access(self, lists: Sequence[AccessList]) -> None:
        if self.failure is not None:
            raise OSError(self.failure)
        if any(len(each.name) != 11 or not each.packed for each in lists):
            raise ValueError("lists of dealers")
        self._access.update(lists)

    def remember_taken(self, message_digest: bytes, keys: Sequence[bytes], done: Callable[[bool], None]) -> None:
        expires_at, taken = self._taken.get(message_digest, (0.0, set()))
        kept = taken if expires_at > self._clock() else set()
        self._taken[message_digest] = (self._clock() + self._taken_s, kept | set(keys))
        done(True)

    def forget_taken(self, message_digest: bytes, keys: Sequence[bytes], done: Callable[[bool], None]) -> None:
        expires_at, taken = self._taken.get(message_digest, (0.0, set()))
        self._taken[message_digest] = (expires_at, taken - set(keys))
        done(True)

    async def apply(
        self,
        brand: int,
        changes: Sequence[Change],
        *,
        watermark_at: int | None = None,
        outbox: Sequence[OutboxItem] = (),
    ) -> Applied:
        if self.failure is not None:
            raise OSError(self.failure)
        changed = set()
        for change in changes:
            if merge(self._states.setdefault(change.key, {}), change.channel, change.recipient_type, change.consent):
                changed.add(change.key)
                self._brands[change.key] = brand
        for item in outbox:
            self._outbox.setdefault(item.item_id, item)
        if watermark_at is not None:
            self._watermarks[brand] = max(watermark_at, self._watermarks.get(brand, 0))
        self._revision += 1
        return Applied(len(changed), self._revision)

    async def load(self, brand: int, records: Sequence[bytes]) -> Applied:
        changes = [
            Change(record[:10], *slot, consent) for record in records for slot, consent in unpack(record[10:]).items()
        ]
        return await self.apply(brand, changes)

    async def outbox_due(self, until: int, limit: int) -> list[OutboxItem]:
        due = [item for item in self._outbox.values() if item.due_at <= until]
        return sorted(due, key=lambda item: (item.due_at, item.item_id))[:limit]

    async def outbox_remove(self, items: Sequence[OutboxItem]) -> None:
        for item in items:
            self._outbox.pop(item.item_id, None)

    async def watermarks(self) -> dict[int, int]:
        return dict(self._watermarks)

    async def stats(self) -> StoreStats:
        return StoreStats(
            records=Counter(
                (self._brands[key], *slot, consent.status)
                for key, state in self._states.items()
                for slot, consent in state.items()
            ),
            recipients=Counter(self._brands[key] for key in self._states),
            outbox=Counter(item.brand for item in self._outbox.values()),
            watermarks=dict(self._watermarks),
            used_bytes=0,
            generation=b"",
            revision=self._revision,
        )


class Asked(NamedTuple):
    """One look-up as it was answered: when, for which keys, and what."""

    at: float
    keys: tuple[bytes, ...]
    digest: bytes | None
    answer: Lookup | LookupFailure


class UnrulyIndex(MemoryIndex):
    """The same index behind a port that may be late, fail, or break its contract: ``lookups`` and ``memory`` say how.

    What is late is read when it is asked and told when it is delivered, as with any store. ``asked`` keeps what was
    told, in that order. A call to remember that fails remembers nothing.
    """

    def __init__(self, agenda: Agenda | None = None, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock=clock)
        self.agenda = agenda or Agenda()
        self.lookups: Callable[[], Manner] = always(Manner.AT_ONCE)
        self.memory: Callable[[], Manner] = always(Manner.AT_ONCE)
        self.failing_with = LookupFailure.TIMED_OUT
        self.asked: list[Asked] = []
        self.forgot = False
        self.was_unreadable = False

    def lookup(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        done: Callable[[Lookup | LookupFailure], None],
    ) -> None:
        manner = self.lookups()
        if manner in (Manner.RAISES, Manner.FAILS, Manner.FAILS_LATE):
            self.was_unreadable = True
        read: list[Lookup | LookupFailure] = []
        super().lookup(brand, keys, message_digest, read.append)

        def tell(answer: Lookup | LookupFailure) -> None:
            self.asked.append(Asked(self._clock(), tuple(keys), message_digest, answer))
            done(answer)

        wrong = self.failing_with
        if manner is Manner.IS_WRONG and isinstance(read[0], Lookup):
            # One state too few, and one that nothing can have written.
            wrong = read[0]._replace(values=[b"\xff" * 6, *read[0].values[2:]])
        behave(manner, self.agenda, lambda: tell(read[0]), lambda: tell(wrong))

    def remember_taken(self, message_digest: bytes, keys: Sequence[bytes], done: Callable[[bool], None]) -> None:
        def keep() -> None:
            MemoryIndex.remember_taken(self, message_digest, keys, done)

        def forget() -> None:
            self.forgot = True
            done(False)

        manner = self.memory()
        if manner is Manner.RAISES:
            self.forgot = True
        behave(manner, self.agenda, keep, forget)
