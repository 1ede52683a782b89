"""The time of the simulated registry: it runs on by itself, faster if wished, and can be moved."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Simulated time, in seconds since 1970 UTC.

    It continues from an anchor (simulated instant, real instant), so that a stopped registry comes back at the time
    it would have had. ``speed``: simulated seconds per real second.
    """

    def __init__(self, at: float | None = None, speed: float = 1.0, real: Callable[[], float] = time.time) -> None:
        self._real = real
        self._real_anchor = real()
        self._anchor = self._real_anchor if at is None else at
        self.speed = speed

    def now(self) -> float:
        return self._anchor + (self._real() - self._real_anchor) * self.speed

    def now_ms(self) -> int:
        return int(self.now() * 1000)

    def move(self, at: float, speed: float | None = None) -> None:
        """Go to ``at``, and on from there, at ``speed`` if given. Going back is possible and on the tester's head."""
        self._anchor, self._real_anchor = at, self._real()
        if speed is not None:
            self.speed = speed

    def real_s(self, simulated_s: float) -> float:
        """How long ``simulated_s`` take in reality; a stopped clock never gets there, so look again in a second."""
        return simulated_s / self.speed if self.speed > 0 else 1.0

    def anchor(self) -> tuple[float, float, float]:
        """Simulated instant, real instant, speed: what ``resume`` needs after a restart."""
        return self._anchor, self._real_anchor, self.speed

    def resume(self, anchor: tuple[float, float, float]) -> None:
        self._anchor, self._real_anchor, self.speed = anchor
