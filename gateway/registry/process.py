"""The sync process as its supervisor sees it: started beside the workers, begun again when it ends, one at a time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog

from gateway.processes import sockets
from gateway.processes.worker_channel import receive_reports

log = structlog.stdlib.get_logger(__name__)

_RESTART_PAUSES_S = (0.1, 0.5, 1.0, 2.0, 5.0)
_STABLE_AFTER_S = 30.0
_LEAVES_WITHIN_S = 8.0
_LOOK_EVERY_S = 0.5
_SILENT_AFTER_S = 15.0


class SyncPlan(Protocol):
    """What a configuration says of the sync; another object is another configuration."""

    @property
    def environment(self) -> dict[str, str]: ...

    def sync_order(self, channel: int) -> bytes | None:
        """What the process reads from its standard input; None where there is nothing to keep in step with."""


class SyncProcess:
    """Runs ``command`` for the plan that ``plan`` gives, anew for each new plan, until cancelled."""

    def __init__(
        self,
        command: Sequence[str],
        plan: Callable[[], SyncPlan],
        on_gone: Callable[[int], None],
        *,
        leaves_within_s: float = _LEAVES_WITHIN_S,
    ) -> None:
        self._command = command
        self._plan = plan
        self._on_gone = on_gone
        self._leaves_within_s = leaves_within_s
        self._process: asyncio.subprocess.Process | None = None
        self._report: Mapping[str, Any] = {}
        self._reported_at = 0.0
        self._failures = 0
        self._is_wanted = False
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process is not None else None

    def describe(self) -> dict[str, object]:
        """For ``/status``: what the process said last, and how it is."""
        if not self._is_wanted:
            return {"state": "not configured"}
        is_silent = time.time() - self._reported_at >= _SILENT_AFTER_S
        told = {"state": "starting", **self._report}
        if self._process is None or (self._report and is_silent):
            told["state"] = "silent"
        return {**told, "pid": self.pid, "restarts": self.restarts, "reported_at": self._reported_at}

    async def run(self) -> None:
        """Until cancelled; the process is then ended, with time to finish what it is at."""
        try:
            while True:
                plan = self._plan()
                began_at = time.monotonic()
                status = await self._run_once(plan)
                if plan is not self._plan():
                    self._failures = 0
                    continue
                if time.monotonic() - began_at > _STABLE_AFTER_S:
                    self._failures = 0
                pause_s = _RESTART_PAUSES_S[min(self._failures, len(_RESTART_PAUSES_S) - 1)]
                self._failures += 1
                self.restarts += 1
                log.error("sync.lost", status=status, restart_in_s=pause_s)
                await asyncio.sleep(pause_s)
        finally:
            await self._end()

    async def _run_once(self, plan: SyncPlan) -> int | str:
        """Its status, after it ended by itself or because the plan is another now."""
        ours, theirs = socket.socketpair()
        order = plan.sync_order(theirs.fileno())
        self._is_wanted = order is not None
        if order is None:
            sockets.close((ours, theirs))
            while plan is self._plan():  # noqa: ASYNC110 - the supervisor changes it, and tells nobody
                await asyncio.sleep(_LOOK_EVERY_S)
            return 0
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=os.environ | plan.environment,
            )
        except OSError as error:
            sockets.close((ours, theirs))
            return error.strerror or type(error).__name__
        theirs.close()
        log.info("sync.started", pid=process.pid)
        reports = asyncio.create_task(receive_reports(ours, self._note), name="sync-reports")
        try:
            assert process.stdin is not None
            with contextlib.suppress(OSError):  # one that died at once is noticed by its end
                process.stdin.write(order)
                await process.stdin.drain()
                process.stdin.close()
            ended = asyncio.create_task(process.wait(), name="sync-process")
            while not ended.done() and plan is self._plan():
                await asyncio.wait([ended], timeout=_LOOK_EVERY_S)
            await self._end()
            return await ended
        finally:
            reports.cancel()
            await asyncio.gather(reports, return_exceptions=True)

    def _note(self, report: Mapping[str, Any]) -> None:
        self._report, self._reported_at = report, time.time()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(self._leaves_within_s):
                    await process.wait()
            except TimeoutError:
                log.error("sync.killed", pid=process.pid, reason="it did not end in time")
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        self._on_gone(process.pid)


def default_sync_command() -> list[str]:
    return [sys.executable, "-P", "-c", "from gateway.app import sync_main; sync_main()"]
