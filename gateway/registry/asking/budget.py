"""How much of the rate questions may use that nobody but a message asks for: buckets that fill with time."""

from __future__ import annotations

import time
from collections.abc import Callable

_BURST_S = 10.0
_HOUR_S = 3600.0


class Bucket:
    """``per_second`` requests, saved up to ``most``; it begins full. ``monotonic`` tells the time in seconds."""

    def __init__(self, per_second: float, most: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._most = most
        self._monotonic = monotonic
        self._left = most
        self._filled_at = monotonic()

    def take(self, number: int = 1) -> bool:
        """Whether so many requests may be made; all of them are then counted, or none."""
        now = self._monotonic()
        passed, self._filled_at = max(now - self._filled_at, 0.0), now
        self._left = min(self._left + passed * self._per_second, self._most)
        if self._left < number:
            return False
        self._left -= number
        return True

    def spend(self) -> None:
        """One more request was made that could not wait; the next ones wait for it."""
        self._left -= 1


class AskingBudget:
    """Two buckets: ``per_second`` requests about many, ``singles_per_hour`` about one.

    Both begin full: ten seconds' worth, at least two requests; an hour's worth of single ones.
    """

    def __init__(
        self, per_second: float, singles_per_hour: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._many = Bucket(per_second, max(per_second * _BURST_S, 2.0), monotonic)
        self._singles = Bucket(singles_per_hour / _HOUR_S, max(singles_per_hour, 2.0), monotonic)

    def take_many(self, number: int = 1) -> bool:
        """Whether so many requests about many may be made; all of them are then counted, or none."""
        return self._many.take(number)

    def spend_many(self) -> None:
        """One more request was made that could not wait."""
        self._many.spend()

    def take_singles(self, number: int) -> bool:
        """Whether so many requests about one may be made; all of them are then counted, or none."""
        return self._singles.take(number)
