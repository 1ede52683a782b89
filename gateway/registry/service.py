"""The sync service: holds the lease, runs its tasks while it does, says each second how they are.

A task that raises is started again after a pause that grows; one that hangs at the end is cancelled. Nothing here is in
memory only: what a task needs after a kill it keeps in the store before it goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from gateway.registry.lease import TERM_S
from gateway.registry.ports import Lease, Task

log = structlog.stdlib.get_logger(__name__)

_PAUSES_S = (1.0, 2.0, 5.0, 15.0, 60.0)
_STABLE_AFTER_S = 120.0
DRAIN_S = 3.0


@dataclass(slots=True)
class _Running:
    task: Task
    failures: int = 0
    restarts: int = 0
    problem: str = ""
    problem_at: float = 0.0


@dataclass(slots=True)
class _Term:
    """One uninterrupted time of holding the lease."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    jobs: list[asyncio.Task[None]] = field(default_factory=list)


class SyncService:
    """Runs ``tasks`` while ``lease`` is held, until ``leave``. ``clock``: seconds since 1970 UTC, for the status."""

    def __init__(
        self,
        tasks: Sequence[Task],
        lease: Lease,
        *,
        term_s: float = TERM_S,
        drain_s: float = DRAIN_S,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._running = [_Running(task) for task in tasks]
        self._lease = lease
        self._term_s = term_s
        self._drain_s = drain_s
        self._clock = clock
        self._monotonic = monotonic
        self._leaving = asyncio.Event()
        self._state = "starting"
        self._since = clock()
        self._held_at = 0.0
        self._lease_problem = ""

    def leave(self) -> None:
        """End the tasks, give the lease back, return from ``run``."""
        self._leaving.set()

    async def run(self) -> None:
        """Until ``leave``."""
        term: _Term | None = None
        try:
            while not self._leaving.is_set():
                is_ours = await self._hold()
                if is_ours and term is None:
                    term = self._begin()
                elif not is_ours and term is not None:
                    await self._end(term)
                    term = None
                self._show("active" if term else "waiting for the lease")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._term_s / 5):
                        await self._leaving.wait()
        finally:
            self._show("draining")
            if term is not None:
                await self._end(term)
            with contextlib.suppress(OSError):
                await self._lease.release()

    async def _hold(self) -> bool:
        """Whether the lease is ours; one that cannot be renewed is kept for half its term, then given up."""
        try:
            async with asyncio.timeout(self._term_s / 4):
                is_ours = await self._lease.hold()
        except OSError as fault:
            problem = type(fault).__name__
            if problem != self._lease_problem:
                log.warning("registry.lease.not_renewed", problem=problem)
            self._lease_problem = problem
            return self._held_at > 0 and self._monotonic() - self._held_at < self._term_s / 2
        self._lease_problem = ""
        self._held_at = self._monotonic() if is_ours else 0.0
        return is_ours

    def _begin(self) -> _Term:
        log.info("registry.sync.begun", tasks=[each.task.name for each in self._running])
        term = _Term()
        for each in self._running:
            job = asyncio.create_task(self._keep_running(each, term.stop), name=f"sync-{each.task.name}")
            term.jobs.append(job)
        return term

    async def _end(self, term: _Term) -> None:
        term.stop.set()
        if term.jobs:
            _, late = await asyncio.wait(term.jobs, timeout=self._drain_s)
            for job in late:
                job.cancel()
            await asyncio.gather(*term.jobs, return_exceptions=True)
        log.info("registry.sync.ended")

    async def _keep_running(self, each: _Running, stop: asyncio.Event) -> None:
        while not stop.is_set():
            began_at = self._monotonic()
            try:
                await each.task.run(stop)
            except Exception as fault:  # one duty's fault must not end the others
                # Not its text: it may hold what was being worked on.
                each.problem, each.problem_at = type(fault).__name__, self._clock()
                log.error("registry.task.failed", task=each.task.name, fault=each.problem, exc_info=fault)
            else:
                if stop.is_set():
                    return
                each.problem, each.problem_at = "ended early", self._clock()
                log.error("registry.task.ended", task=each.task.name)
            each.failures = 0 if self._monotonic() - began_at > _STABLE_AFTER_S else each.failures
            pause_s = _PAUSES_S[min(each.failures, len(_PAUSES_S) - 1)]
            each.failures += 1
            each.restarts += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await stop.wait()

    def _show(self, state: str) -> None:
        if state != self._state:
            self._state, self._since = state, self._clock()

    @property
    def is_active(self) -> bool:
        return self._state == "active"

    def describe(self) -> dict[str, object]:
        """For ``/status``: ``state`` is starting, active, waiting for the lease, or draining."""
        return {
            "state": self._state,
            "since": self._since,
            "lease_problem": self._lease_problem,
            "tasks": {
                each.task.name: {
                    "restarts": each.restarts,
                    "problem": each.problem,
                    "problem_at": each.problem_at,
                    **each.task.describe(),
                }
                for each in self._running
            },
        }
