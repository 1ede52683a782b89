"""The consent writer and the evidence log as second implementations, in memory, with a switch for a broken disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from filters.consent import Change, State, apply_changes, unpack
from filters.exchange import Applied, OutboxItem
from tests.support.agenda import Agenda, Manner, always, behave


class MemoryWriter:
    """A ``ConsentWriter`` in memory: all or nothing, items kept by id as the stores keep them.

    While ``is_failing`` it raises ``OSError`` and changes nothing.
    """

    def __init__(self) -> None:
        self.is_failing = False
        self.values: dict[tuple[int, bytes], bytes] = {}
        self.outbox: dict[bytes, OutboxItem] = {}
        self.revision = 0
        self.calls = 0

    async def apply(
        self,
        brand: int,
        changes: Sequence[Change],
        *,
        watermark_at: int | None = None,
        outbox: Sequence[OutboxItem] = (),
    ) -> Applied:
        self.calls += 1
        if self.is_failing:
            raise OSError("no space left on device: /var/lib/store, while writing ayse@example.com")
        changed = 0
        for change in changes:
            before = self.values.get((brand, change.key))
            after = apply_changes(before, [change])
            changed += after != before
            self.values[brand, change.key] = after
        for item in outbox:
            self.outbox.setdefault(item.item_id, item)
        self.revision += 1
        return Applied(changed, self.revision)

    def state(self, brand: int, key: bytes) -> State:
        return unpack(self.values.get((brand, key), b""))


class MemoryEvidence:
    """An ``EvidenceLog`` in memory. While ``is_failing`` nothing is kept; while ``is_hanging`` nobody is told."""

    def __init__(self) -> None:
        self.is_failing = False
        self.is_hanging = False
        self.records: list[bytes] = []

    def append(self, record: bytes, done: Callable[[bool], None]) -> None:
        if self.is_hanging:
            return
        if not self.is_failing:
            self.records.append(record)
        done(not self.is_failing)

    @property
    def is_writable(self) -> bool:
        return not self.is_failing


class UnrulyEvidence(MemoryEvidence):
    """An ``EvidenceLog`` in memory that may be late, fail, or break its contract: ``manner`` says how."""

    def __init__(self, agenda: Agenda | None = None) -> None:
        super().__init__()
        self.agenda = agenda or Agenda()
        self.manner: Callable[[], Manner] = always(Manner.AT_ONCE)

    def append(self, record: bytes, done: Callable[[bool], None]) -> None:
        def keep() -> None:
            if record not in self.records:
                self.records.append(record)
            done(True)

        behave(self.manner(), self.agenda, keep, lambda: done(False))
