"""One supervisor over the workers: it binds, starts, replaces, reloads and drains; it never touches a message.

* **Start**: bind every listener, start one worker process per slot, hand it its sockets.
* **A worker that ends by itself** is replaced, with a growing pause when it keeps ending at once.
* **SIGHUP**: the configuration is read and validated first; if it has problems they are logged and nothing changes.
  Otherwise a second generation of workers starts beside the first, and only when all of it is up the first drains.
* **SIGTERM / SIGINT**: all workers drain; those not done within the drain time are killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from gateway.processes import sockets
from gateway.processes.worker_channel import WorkerReport, receive_reports

log = structlog.stdlib.get_logger(__name__)

_RESTART_PAUSES_S = (0.1, 0.5, 1.0, 2.0, 5.0)
_STABLE_AFTER_S = 30.0
_START_DEADLINE_S = 30.0


class Endpoint(Protocol):
    """A listening address; ``key`` names it in worker orders."""

    @property
    def key(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


class Plan(Protocol):
    """What the supervisor needs of a configuration; ``app`` makes it."""

    @property
    def workers(self) -> int: ...
    @property
    def drain_s(self) -> float: ...
    @property
    def endpoints(self) -> Sequence[Endpoint]: ...
    @property
    def environment(self) -> dict[str, str]: ...

    def order(self, slot: int, file_descriptors: dict[str, int], channel: int) -> bytes:
        """What a worker reads from its standard input to know what to be."""


@dataclass(slots=True)
class WorkerProcess:
    """One running worker."""

    slot: int
    generation: int
    process: asyncio.subprocess.Process
    started_at: float
    report: WorkerReport = field(default_factory=lambda: WorkerReport(state="starting", reasons=["starting"]))
    reported_at: float = 0.0
    is_leaving: bool = False
    up: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """Runs workers for a plan until told to stop.

    ``load_plan`` reads and validates the configuration again; it raises ``ValueError`` (with all problems in its
    text) when it must not be used. ``worker_command`` starts a worker.
    """

    def __init__(
        self,
        plan: Plan,
        load_plan: Callable[[], Plan],
        worker_command: Sequence[str],
        on_worker_gone: Callable[[int], None],
    ) -> None:
        self.plan = plan
        self._load_plan = load_plan
        self._worker_command = worker_command
        self._on_worker_gone = on_worker_gone
        self._sockets: dict[tuple[str, str, int], list[socket.socket]] = {}
        self.workers: list[WorkerProcess] = []
        self.generation = 0
        self.restarts = 0
        self.reloads = {"done": 0, "refused": 0}
        self.last_reload_problem = ""
        self.loaded_at = time.time()
        self._stopping = asyncio.Event()
        self._failures: dict[int, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reloading = asyncio.Lock()

    # -- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bind everything and start the first generation. Raises ``sockets.BindError``."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        self._bind(self.plan)
        self.generation = 1
        for slot in range(self.plan.workers):
            await self._start_worker(slot, self.generation)

    def bound_port(self, key: str) -> int:
        """The port that endpoint ``key`` listens on (of use where the configuration said 0)."""
        for (endpoint_key, _, _), bound in self._sockets.items():
            if endpoint_key == key:
                return int(bound[0].getsockname()[1])
        raise KeyError(key)

    async def run(self) -> None:
        """Serve until a signal asks to stop, then drain."""
        await self._stopping.wait()
        # Ours first: as long as one copy is open the kernel takes connections that nobody will ever greet.
        for bound in self._sockets.values():
            sockets.close(bound)
        await self._drain(self.workers)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop(self) -> None:
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    # -- workers ------------------------------------------------------------------------------------------------

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start_worker(self, slot: int, generation: int) -> WorkerProcess:
        ours, theirs = socket.socketpair()
        descriptors = {key: bound[slot].fileno() for (key, _, _), bound in self._sockets.items() if slot < len(bound)}
        try:
            process = await asyncio.create_subprocess_exec(
                *self._worker_command,
                stdin=asyncio.subprocess.PIPE,
                pass_fds=[*descriptors.values(), theirs.fileno()],
                env=os.environ | self.plan.environment,
            )
        except OSError:
            sockets.close((ours, theirs))
            raise
        theirs_number = theirs.fileno()
        theirs.close()
        worker = WorkerProcess(slot, generation, process, time.monotonic())
        self.workers.append(worker)
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # a worker that died at once is noticed by its end
            process.stdin.write(self.plan.order(slot, descriptors, theirs_number))
            await process.stdin.drain()
            process.stdin.close()
        self._spawn(receive_reports(ours, lambda report: self._note_report(worker, report)), f"reports-{slot}")
        self._spawn(self._await_end(worker), f"worker-{slot}")
        log.info("worker.started", slot=slot, pid=process.pid, generation=generation)
        return worker

    def _note_report(self, worker: WorkerProcess, report: WorkerReport) -> None:
        worker.report = report
        worker.reported_at = time.time()
        if report.get("state") in ("ready", "waiting"):
            worker.up.set()

    async def _await_end(self, worker: WorkerProcess) -> None:
        status = await worker.process.wait()
        self.workers.remove(worker)
        worker.up.set()
        self._on_worker_gone(worker.process.pid)
        if worker.is_leaving or self.is_stopping:
            log.info("worker.ended", slot=worker.slot, pid=worker.process.pid, status=status)
            return
        if time.monotonic() - worker.started_at > _STABLE_AFTER_S:
            self._failures[worker.slot] = 0
        failures = self._failures.get(worker.slot, 0)
        self._failures[worker.slot] = failures + 1
        pause_s = _RESTART_PAUSES_S[min(failures, len(_RESTART_PAUSES_S) - 1)]
        log.error("worker.lost", slot=worker.slot, pid=worker.process.pid, status=status, restart_in_s=pause_s)
        self.restarts += 1
        await asyncio.sleep(pause_s)
        while not self._stopping.is_set() and worker.generation == self.generation:
            if any(each.slot == worker.slot and each.generation == self.generation for each in self.workers):
                return
            try:
                await self._start_worker(worker.slot, worker.generation)
            except OSError as error:  # no process, no memory, no descriptor now: the slot must not stay empty for ever
                log.error("worker.not_started", slot=worker.slot, error=error.strerror or type(error).__name__)
                await asyncio.sleep(_RESTART_PAUSES_S[-1])

    async def _drain(self, workers: Sequence[WorkerProcess]) -> None:
        """SIGTERM to ``workers``; SIGKILL to those that outstay the drain time."""
        leaving = list(workers)
        for worker in leaving:
            worker.is_leaving = True
            with contextlib.suppress(ProcessLookupError):
                worker.process.terminate()
        if not leaving:
            return
        waits = [asyncio.create_task(worker.process.wait()) for worker in leaving]
        # The worker ends by itself at the drain time; the margin is for its last evidence commit.
        await asyncio.wait(waits, timeout=self.plan.drain_s + 5.0)
        for worker in leaving:
            if worker.process.returncode is None:
                log.error("worker.killed", slot=worker.slot, pid=worker.process.pid, reason="drain time is over")
                with contextlib.suppress(ProcessLookupError):
                    worker.process.kill()
        await asyncio.gather(*waits, return_exceptions=True)

    # -- reload -------------------------------------------------------------------------------------------------

    def _reload_soon(self) -> None:
        self._spawn(self.reload(), "reload")

    async def reload(self) -> None:
        """Bring up a new generation with the configuration as it now stands, or keep everything as it is."""
        async with self._reloading:
            try:
                plan = self._load_plan()
                self._require_same_slots(plan)
                self._bind(plan)
            except (ValueError, OSError, sockets.BindError) as problem:
                self.reloads["refused"] += 1
                self.last_reload_problem = str(problem)
                log.error("configuration.refused", problems=str(problem))
                return
            old, old_plan = list(self.workers), self.plan
            self.plan = plan
            self.generation += 1
            new: list[WorkerProcess] = []
            try:
                for slot in range(plan.workers):
                    new.append(await self._start_worker(slot, self.generation))  # noqa: PERF401 - some may start
                async with asyncio.timeout(_START_DEADLINE_S):
                    await asyncio.gather(*(worker.up.wait() for worker in new))
            except OSError:  # no process to be had, or too late (TimeoutError is one): told below
                pass
            are_up = [worker.process.returncode is None and worker.reported_at for worker in new]
            if len(new) < plan.workers or not all(are_up):
                self.generation += 1
                for worker in old:
                    worker.generation = self.generation
                self.plan = old_plan
                await self._drain(new)
                self.reloads["refused"] += 1
                self.last_reload_problem = "the new workers did not come up"
                log.error("configuration.refused", problems=self.last_reload_problem)
                return
            await self._drain(old)
            self._unbind_all_but(plan)
            self.reloads["done"] += 1
            self.loaded_at = time.time()
            self.last_reload_problem = ""
            log.info("configuration.reloaded", generation=self.generation)

    def _require_same_slots(self, plan: Plan) -> None:
        if plan.workers != self.plan.workers:
            raise ValueError(
                f"workers: expected {self.plan.workers} as at start (a change needs a restart), found {plan.workers}"
            )

    # -- sockets ------------------------------------------------------------------------------------------------

    def _bind(self, plan: Plan) -> None:
        """Bind the endpoints of ``plan`` that are not bound yet: all of them, or none and ``BindError``."""
        added: list[tuple[str, str, int]] = []
        try:
            for endpoint in plan.endpoints:
                place = _place(endpoint)
                if place in self._sockets:
                    continue
                moved = next((old for old in self._sockets if old[1:] == place[1:] and place[2] != 0), None)
                if moved is not None:  # the same address under another name: the socket stays
                    self._sockets[place] = [socket.socket(fileno=os.dup(s.fileno())) for s in self._sockets[moved]]
                else:
                    self._sockets[place] = sockets.bind(endpoint.host, endpoint.port, plan.workers)
                added.append(place)
        except sockets.BindError:
            for place in added:
                sockets.close(self._sockets.pop(place))
            raise

    def _unbind_all_but(self, plan: Plan) -> None:
        kept = {_place(endpoint) for endpoint in plan.endpoints}
        for place in [place for place in self._sockets if place not in kept]:
            sockets.close(self._sockets.pop(place))


def _place(endpoint: Endpoint) -> tuple[str, str, int]:
    return endpoint.key, endpoint.host, endpoint.port


def default_worker_command() -> list[str]:
    """Starts this very interpreter as a worker, without bytecode or import surprises from the working directory."""
    return [sys.executable, "-P", "-c", "from gateway.app import worker_main; worker_main()"]
