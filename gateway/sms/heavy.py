"""Steps of large requests: in a thread, without the collector of cyclic garbage looking at half a million new values.

Nothing these steps make refers back to itself, so what the collector would find is nothing, at a sixth of their time.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

Made = TypeVar("Made")


class HeavySteps:
    """Runs steps in ``threads``. Used from one event loop."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._running = 0
        self._was_collecting = True

    async def run(self, step: Callable[[], Made]) -> Made:
        """What ``step`` returns, or raises."""
        if not self._running:
            self._was_collecting = gc.isenabled()
            gc.disable()
        self._running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, step)
        finally:
            self._running -= 1
            if not self._running and self._was_collecting:
                gc.enable()
