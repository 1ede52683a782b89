"""Steps of large requests: in a thread, in short turns, without the collector of cyclic garbage looking at them.

What takes long for tens of thousands of recipients must not hold up the requests of others. So it runs beside the loop,
which asks for the interpreter and gets it within ``TURN_S``. The collector would go through half a million new values,
once they are more than it waits for, in the loop's time; nothing these steps make refers back to itself, so it would
find nothing. While a large request is in hand it waits for more.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from gateway.sms.in_hand import SmsInHand

HEAVY_RECIPIENTS = 1000
HEAVY_BYTES = 128 * 1024
"""From here on the steps of a request run in a thread: together they may take most of a second."""

TURN_S = 0.0005
"""A tenth of what the interpreter gives a thread by itself."""

_PATIENCE = 2_000_000
"""Containers made and not yet freed that the collector waits for: those of a few of the largest requests."""
_LOOK_AFTER_S = 1.0

Made = TypeVar("Made")


class HeavySteps:
    """Runs steps in ``threads``. Used from one event loop."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._running = 0
        self._turn_s = 0.0
        self._in_hand = 0
        self._usual: tuple[int, int, int] | None = None

    def begin(self, sms: SmsInHand) -> None:
        """``sms`` is in hand, until ``end``. Whether it is large shows in its bytes first, then in its recipients."""
        sms.is_heavy = len(sms.request.body) + len(sms.request.query) >= HEAVY_BYTES
        if sms.is_heavy:
            self._in_hand += 1
            if self._usual is None and gc.isenabled():
                self._usual = gc.get_threshold()
                gc.set_threshold(_PATIENCE, *self._usual[1:])

    def end(self, sms: SmsInHand) -> None:
        """``sms`` is answered; what it was made of is about to be freed."""
        if len(sms.request.body) + len(sms.request.query) >= HEAVY_BYTES:
            self._in_hand -= 1
            asyncio.get_running_loop().call_later(_LOOK_AFTER_S, self._hurry)

    async def run(self, sms: SmsInHand, step: Callable[[], Made]) -> Made:
        """What ``step`` returns, or raises; in a thread where ``sms`` is large."""
        if not sms.is_heavy:
            return step()
        if not self._running:
            self._turn_s = sys.getswitchinterval()
            sys.setswitchinterval(TURN_S)
        self._running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, step)
        finally:
            self._running -= 1
            if not self._running:
                sys.setswitchinterval(self._turn_s)

    def _hurry(self) -> None:
        """The collector waits as usual once no large request is in hand."""
        if not self._in_hand and self._usual is not None:
            gc.set_threshold(*self._usual)
            self._usual = None
