"""Work that nobody waits for, by itself and beside the workers: evidence is sealed and its retention kept.

It runs in a child process of low priority, started anew each time: what it needs (an engine that sorts millions of
rows) never lies in the memory of the supervisor, and neither a crash nor an endless run of it can hold anything up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence

import structlog

log = structlog.stdlib.get_logger(__name__)

FIRST_AFTER_S = 60.0
"""Not at once: right after a start the workers have enough to do."""

EVERY_S = 3600.0
_LEAVES_WITHIN_S = 5.0
_LOWEST_PRIORITY = 19


class Housekeeping:
    """Starts ``command`` regularly, one run at a time. ``order`` makes what it reads from its standard input."""

    def __init__(
        self,
        command: Sequence[str],
        order: Callable[[], bytes],
        *,
        first_after_s: float = FIRST_AFTER_S,
        every_s: float = EVERY_S,
    ) -> None:
        self._command = command
        self._order = order
        self._first_after_s = first_after_s
        self._every_s = every_s
        self._runs = self._failures = 0
        self._ended_at = 0.0
        self._problem = ""

    def describe(self) -> dict[str, object]:
        """For the status page; times in seconds since 1970 UTC, 0 before the first run ended."""
        return {
            "runs": self._runs,
            "failures": self._failures,
            "ended_at": self._ended_at,
            "last_problem": self._problem,
        }

    async def run(self) -> None:
        """Until cancelled; a run under way is then ended too, and is done again by the next start."""
        await asyncio.sleep(self._first_after_s)
        while True:
            started = time.monotonic()
            try:
                self._note(await self._run_once())
            except Exception as fault:  # the next round comes; status shows what ended this one
                self._note(type(fault).__name__)
            log.info("housekeeping.ended", seconds=round(time.monotonic() - started, 3), problem=self._problem)
            await asyncio.sleep(self._every_s)

    def _note(self, problem: str) -> None:
        self._runs += 1
        self._ended_at = time.time()
        self._problem = problem
        if problem:
            self._failures += 1
            log.error("housekeeping.failed", problem=problem)

    async def _run_once(self) -> str:
        """What went wrong, or ""."""
        process = await asyncio.create_subprocess_exec(*self._command, stdin=asyncio.subprocess.PIPE)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its status says why it left
                await process.communicate(self._order())
            status = await process.wait()
        finally:
            if process.returncode is None:
                await _end(process)
        return f"ended with status {status}" if status else ""


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_LEAVES_WITHIN_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def step_back() -> None:
    """In the child: let everything else go first."""
    with contextlib.suppress(OSError):
        os.nice(_LOWEST_PRIORITY)


def default_housekeeping_command() -> list[str]:
    return [sys.executable, "-P", "-c", "from gateway.app import housekeeping_main; housekeeping_main()"]
