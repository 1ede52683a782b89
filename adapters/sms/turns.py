"""Whose turn it is: so many at once, so many a second, so many waiting, and nobody while the provider is down."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum


class Turn(StrEnum):
    """How waiting for a turn ended."""

    TAKEN = "taken"
    NO_ROOM = "no_room"
    EXPIRED = "expired"


class Turns:
    """Hands out turns in the order of asking. ``max_rate`` a second, 0 for no limit; ``monotonic`` in seconds.

    A turn that was taken is given back by ``release``.
    """

    def __init__(
        self,
        max_at_once: int,
        max_waiting: int,
        max_rate: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free = max_at_once
        self._max_waiting = max_waiting
        self._interval_s = 1.0 / max_rate if max_rate else 0.0
        self._monotonic = monotonic
        self._next_at = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        return sum(not future.done() for future in self._waiting)

    def take_at_once(self) -> bool:
        """Whether there was one to be had without waiting."""
        if self._interval_s or not self._free or self._waiting:
            return False
        self._free -= 1
        return True

    async def take(self, within_s: float) -> Turn:
        """``TAKEN`` within ``within_s``, or why not."""
        deadline = self._monotonic() + within_s
        if self._free and not self._waiting:
            self._free -= 1
        else:
            if self.waiting >= self._max_waiting:
                return Turn.NO_ROOM
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            try:
                async with asyncio.timeout(within_s):
                    await waiting
            except TimeoutError:
                if waiting.done() and not waiting.cancelled():
                    self.release()  # it came at the same moment
                return Turn.EXPIRED
            except asyncio.CancelledError:
                if waiting.done() and not waiting.cancelled():
                    self.release()
                raise
        if self._interval_s and not await self._keep_pace(deadline):
            self.release()
            return Turn.EXPIRED
        return Turn.TAKEN

    def release(self) -> None:
        """The turn goes to who has waited longest."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return
        self._free += 1

    async def _keep_pace(self, deadline: float) -> bool:
        now = self._monotonic()
        begin_at = max(now, self._next_at)
        if begin_at > deadline:
            return False
        self._next_at = begin_at + self._interval_s
        if begin_at > now:
            try:
                await asyncio.sleep(begin_at - now)
            except asyncio.CancelledError:
                self.release()
                raise
        return True


class Breaker:
    """Opens after ``failures`` in a row, for ``open_s``; then lets one through and closes if that one succeeds."""

    def __init__(self, failures: int, open_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._open_s = open_s
        self._monotonic = monotonic
        self._failures = 0
        self._closed_from = 0.0
        self._is_trying = False
        self.is_open = False

    def may_pass(self) -> bool:
        """Whether a request may go now; one that may has to report how it ended."""
        if not self.is_open:
            return True
        if self._is_trying or self._monotonic() < self._closed_from:
            return False
        self._is_trying = True
        return True

    def note(self, has_failed: bool) -> None:
        self._is_trying = False
        self._failures = self._failures + 1 if has_failed else 0
        self.is_open = self._failures >= self._limit
        if self.is_open:
            self._closed_from = self._monotonic() + self._open_s

    def give_up_trying(self) -> None:
        """A request that was let through was not sent after all."""
        self._is_trying = False
