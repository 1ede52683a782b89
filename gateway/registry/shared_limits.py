"""Where requests to the registry are counted by all machines together: in the store they share, by the store's clock.

The registry counts by source address, and machines of one installation often leave by one address. What was sent lately
stands in one small value, changed by comparison, so that two machines never take the same place. It holds instants; so
that those of all machines mean the same, they are of one clock: the store's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

_MEASURE_EVERY_S = 60.0
_GOOD_S = 0.02
_MOST_TRIES = 5


class ClockedMemory(Protocol):
    """``SyncMemory`` of a store that has a clock of its own. All raise ``OSError`` where it does not answer."""

    async def recall(self, name: str) -> bytes | None: ...

    async def replace(self, name: str, expected: bytes | None, value: bytes) -> bool: ...

    async def now(self) -> float:
        """Seconds since 1970 UTC by the store's clock."""


class SharedCount:
    """A ``SharedRecord`` of the registry's client (adapters.registry.ports), and the clock to go with it."""

    def __init__(self, memory: ClockedMemory, name: str, clock: Callable[[], float] = time.time) -> None:
        self._memory = memory
        self._name = name
        self._clock = clock
        self._ahead_s = 0.0
        self._measured_at: float | None = None

    def now(self) -> float:
        """The store's time, by our clock and how far the store's was ahead of it when last read."""
        return self._clock() + self._ahead_s

    async def read(self) -> bytes | None:
        if self._measured_at is None or not 0 <= self._clock() - self._measured_at < _MEASURE_EVERY_S:
            await self._measure()
        return await self._memory.recall(self._name)

    async def replace(self, expected: bytes | None, new: bytes) -> bool:
        return await self._memory.replace(self._name, expected, new)

    async def _measure(self) -> None:
        """Half the way to the store and back is the error, so the quickest of a few answers counts."""
        best_s = float("inf")
        for _ in range(_MOST_TRIES):
            asked_at = self._clock()
            told = await self._memory.now()
            answered_at = self._clock()
            if 0 <= answered_at - asked_at < best_s:
                best_s = answered_at - asked_at
                self._ahead_s = told - (asked_at + answered_at) / 2
            if best_s < _GOOD_S:
                break
        self._measured_at = self._clock()
