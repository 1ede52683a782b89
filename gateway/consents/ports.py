"""What working on consents by hand asks of the store. Every failure is an ``OSError`` whose text is for an operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from filters.consent import Change
from filters.decision.dealer_access import AccessList
from filters.exchange import Applied, Lookup, OutboxItem, StoreHealth, StoreStats


class ConsentStore(Protocol):
    """The consent index as a command uses it: one question at a time, waiting for each answer."""

    async def start(self) -> StoreHealth:
        """Connect; the health says whether that worked."""

    async def close(self) -> None: ...

    async def initialise(self) -> None:
        """Make a new store usable; raises where an emptied or foreign one stands in the place of a known one."""

    async def accept(self) -> None:
        """The store as it is now is the right one, whatever this machine remembers."""

    async def find(self, brand: int, keys: Sequence[bytes], message_digest: bytes | None = None) -> Lookup: ...

    async def apply(
        self,
        brand: int,
        changes: Sequence[Change],
        *,
        watermark_at: int | None = None,
        outbox: Sequence[OutboxItem] = (),
    ) -> Applied: ...

    async def load(self, brand: int, records: Sequence[bytes]) -> Applied:
        """Merge sorted packed records (key and entry joined), in steps."""

    def find_access(self, names: Sequence[bytes], done: Callable[[Sequence[bytes | None] | None], None]) -> None:
        """The lists of dealers kept under ``names``, None for one that is not there; None if they could not be
        asked."""

    async def keep_access(self, lists: Sequence[AccessList]) -> None:
        """Put each list in the place of the one of its name."""

    async def stats(self) -> StoreStats: ...
