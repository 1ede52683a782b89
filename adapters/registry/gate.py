"""Lets requests to the registry go one by one, within its limits and by priority, for all users of one address."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from adapters.registry.ports import SharedRecord
from adapters.registry.records import LocalRecord
from filters.registry import limits as counting
from filters.registry.call import Priority, Quota
from filters.registry.failures import Limited
from filters.registry.limits import LimiterState, Limits, Waiter

_UNREACHABLE_S = 5.0
_LONGEST_SLEEP_S = 1.0
"""Another process may shut or free a gate meanwhile, and a clock may be set: look again once a second."""


_Found = TypeVar("_Found")


@dataclass(slots=True)
class _Waiting:
    waiter: Waiter
    turn: asyncio.Future[Limited | float]
    max_wait_s: float


class RateGate:
    """Counts in ``record``, which all who share the source address must share too. ``clock`` is the wall clock.

    One gate serves all clients of one process; between processes the record is the meeting point, and priorities hold
    within each process.
    """

    def __init__(
        self,
        record: SharedRecord | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._record: SharedRecord = record or LocalRecord()
        self._limits = limits or Limits()
        self._clock = clock
        self._order = itertools.count()
        self._waiting: dict[Waiter, _Waiting] = {}
        self._someone_came = asyncio.Event()
        self._usher: asyncio.Task[None] | None = None

    async def enter(self, quota: Quota, priority: Priority, max_wait_s: float) -> Limited | float:
        """Wait for a turn, at most ``max_wait_s``. ``Limited``: do not go, it is not counted.

        Else go now: it is counted, and the turn is to be given to ``leave`` once there is an answer, or will be none.
        """
        waiter = Waiter(priority, next(self._order), quota)
        waiting = _Waiting(waiter, asyncio.get_running_loop().create_future(), max_wait_s)
        self._waiting[waiter] = waiting
        self._someone_came.set()
        if self._usher is None or self._usher.done():
            self._usher = asyncio.create_task(self._let_in(), name="registry gate")
        try:
            async with asyncio.timeout(max_wait_s):
                return await asyncio.shield(waiting.turn)
        except TimeoutError:
            if waiting.turn.done() and not waiting.turn.cancelled():
                return waiting.turn.result()
            return Limited(self._limits.window_s)
        finally:
            self._waiting.pop(waiter, None)
            waiting.turn.cancel()

    async def leave(self, turn: float) -> None:
        """The registry has answered: its own second can begin no later than now. Raises nothing: a turn that is not
        left counts for a while longer."""
        try:
            await self._change(lambda state: (counting.answered(state, turn, self._clock(), self._limits), None))
        except OSError:
            return
        self._someone_came.set()

    async def shut(self, quota: Quota, seconds: float) -> None:
        """The registry said 429: nobody goes for so long (``Quota.NONE``: with no request at all)."""
        await self._change(lambda state: (counting.block(state, quota, seconds, self._clock()), None))

    async def give_back(self, quota: Quota) -> None:
        """A request that was let through never reached the registry: it does not count for the hour."""
        await self._change(lambda state: (counting.give_back(state, quota), None))

    async def close(self) -> None:
        """Send away whoever waits."""
        usher, self._usher = self._usher, None
        if usher is not None:
            usher.cancel()
            await asyncio.gather(usher, return_exceptions=True)
        self._send_away(_UNREACHABLE_S)

    async def _let_in(self) -> None:
        while self._waiting:
            self._someone_came.clear()
            try:
                chosen, found = await self._change(self._next)
            except OSError:
                self._send_away(_UNREACHABLE_S)
                return
            if chosen is not None:
                self._answer(chosen, found)
            elif self._waiting:
                try:
                    async with asyncio.timeout(min(found, _LONGEST_SLEEP_S)):
                        await self._someone_came.wait()
                except TimeoutError:
                    continue

    def _next(self, state: LimiterState) -> tuple[LimiterState, tuple[_Waiting | None, float]]:
        """Who goes, and their turn; or None and the seconds until somebody may."""
        now = self._clock()
        if counting.lies_ahead(state, now):
            state = counting.settle(state, now, self._limits)
        waits = {quota: counting.wait_s(state, quota, now, self._limits) for quota in Quota}
        for waiting in list(self._waiting.values()):
            wait_s = waits[waiting.waiter.quota]
            if wait_s > max(waiting.max_wait_s, self._limits.window_s):
                self._answer(waiting, Limited(wait_s))
        waiter, wait_s = counting.choose(self._waiting, state, now, self._limits)
        if waiter is None:
            return state, (None, wait_s)
        state, _ = counting.take(state, waiter.quota, now, self._limits)
        return state, (self._waiting[waiter], now)

    def _answer(self, waiting: _Waiting, answer: Limited | float) -> None:
        self._waiting.pop(waiting.waiter, None)
        if not waiting.turn.done():
            waiting.turn.set_result(answer)

    def _send_away(self, retry_after_s: float) -> None:
        for waiting in list(self._waiting.values()):
            self._answer(waiting, Limited(retry_after_s))

    async def _change(self, change: Callable[[LimiterState], tuple[LimiterState, _Found]]) -> _Found:
        """Change the record in one step, again if another process was faster. Raises ``OSError``."""
        while True:
            packed = await self._record.read()
            try:
                state = counting.unpack(packed)
            except ValueError:
                state = LimiterState()  # damaged: one window, at worst one hour, is counted anew
            changed, found = change(state)
            if changed is state or await self._record.replace(packed, counting.pack(changed)):
                return found
