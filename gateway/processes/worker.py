"""One worker: started in order, reporting every second, drained in the reverse order.

Order of the start: evidence, store, upstreams, then the doors. Order of the drain: doors first, so that nothing new
comes in; then messages in hand finish, then the upstreams close, and the evidence log last, because finishing messages
still need it.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from filters.decision.freshness import freshness
from filters.decision.policy import Policy
from filters.exchange import Lookup, OutboxItem, StoreHealth, StoreStats
from filters.vocabulary import FreshnessState, LookupFailure
from gateway.processes.worker_channel import REPORT_INTERVAL_S, ReportSender, WorkerReport

log = structlog.stdlib.get_logger(__name__)

OUTBOX_INTERVAL_S = 10.0
_OUTBOX_LOOK_AHEAD = 1000
_LATEST_DUE_AT = 2**40

_PAGE_BYTES = resource.getpagesize()


class Door(Protocol):
    """Where something comes in: a listener with its socket."""

    async def open(self) -> None: ...
    async def drain(self, timeout_s: float) -> None: ...
    @property
    def session_count(self) -> int: ...


class UpstreamLife(Protocol):
    """What a worker does with an upstream besides relaying."""

    @property
    def name(self) -> str: ...
    async def start(self) -> bool: ...
    async def close(self, drain_s: float = 0.0) -> None: ...
    def describe(self) -> dict[str, object]: ...
    @property
    def is_known(self) -> bool: ...


class DutyLife(Protocol):
    """What a worker does beside serving, from when its store is open until its doors are shut."""

    def start(self) -> None: ...
    async def close(self) -> None: ...


class StoreLife(Protocol):
    async def start(self) -> StoreHealth: ...
    async def close(self) -> None: ...
    def lookup(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        done: Callable[[Lookup | LookupFailure], None],
    ) -> None: ...
    async def stats(self) -> StoreStats: ...
    async def outbox_due(self, until: int, limit: int) -> list[OutboxItem]: ...


class EvidenceLife(Protocol):
    def start(self) -> None: ...
    async def close(self) -> None: ...
    def status(self) -> dict[str, object]: ...
    @property
    def is_writable(self) -> bool: ...


class StoreState:
    """State of the store as the status page shows it: since when, and the last failure."""

    def __init__(self, kind: str, clock: Callable[[], float]) -> None:
        self._kind = kind
        self._clock = clock
        self._state = self._words = "starting"
        self._since = clock()
        self._last_failure = ""
        self._last_failure_at = 0.0
        self.revision = 0

    @property
    def failure(self) -> str:
        """What keeps the store from answering, in words; "" for nothing."""
        return "" if self._state == "answering" else self._words

    def note(self, answer: Lookup | LookupFailure) -> None:
        if isinstance(answer, Lookup):
            state = "answering"
            self.revision = answer.revision
        else:
            state = str(answer)
            self._words = answer.words
            self._last_failure, self._last_failure_at = state, self._clock()
        if state != self._state:
            self._state, self._since = state, self._clock()
            log.info("store.changed", state=state)

    def describe(self) -> dict[str, object]:
        return {
            "kind": self._kind,
            "state": self._state,
            "since": self._since,
            "revision": self.revision,
            "last_error": self._last_failure,
            "last_error_at": self._last_failure_at,
        }


class Worker:
    """Runs the parts it is given. ``policies`` by brand code; ``on_report`` lets gauges follow each report."""

    def __init__(
        self,
        *,
        evidence: EvidenceLife,
        store: StoreLife,
        store_kind: str,
        upstreams: Sequence[UpstreamLife],
        doors: Sequence[Door],
        policies: dict[int, Policy],
        buffered_bytes: Callable[[], int],
        drain_s: float,
        on_report: Callable[[WorkerReport], None],
        duties: Sequence[DutyLife] = (),
        after: Sequence[Callable[[], Awaitable[None]]] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._evidence = evidence
        self._store = store
        self._upstreams = upstreams
        self._doors = doors
        self._policies = policies
        self._buffered_bytes = buffered_bytes
        self._drain_s = drain_s
        self._on_report = on_report
        self._duties = duties
        self._after = after
        self._clock = clock
        self._store_state = StoreState(store_kind, clock)
        self._watermarks: dict[int, int | None] = {}
        self._outbox: dict[str, dict[str, int | None]] = {}
        self._is_draining = False
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Drain and end; a second call changes nothing."""
        self._leaving.set()

    async def run(self, reports: ReportSender) -> None:
        """Start, serve until told to leave, drain."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.leave)
        # Reload is the supervisor's; a SIGHUP sent to the whole group must not end a worker.
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
        self._evidence.start()
        health = await self._store.start()
        if health.failure is not None:
            log.warning("store.unusable", failure=health.failure, detail=health.detail)
        starting = [
            asyncio.create_task(upstream.start(), name=f"upstream-{upstream.name}") for upstream in self._upstreams
        ]
        for duty in self._duties:
            duty.start()
        for door in self._doors:
            await door.open()
        # Everything made so far lives as long as the worker: not worth looking at in each collection.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        await asyncio.wait(starting, timeout=2.0) if starting else None
        reporting = asyncio.create_task(self._report_regularly(reports), name="reports")
        watching = asyncio.create_task(self._watch_outbox(), name="outbox-watch")
        await self._leaving.wait()
        self._is_draining = True
        reports.send(self._report())
        await self._drain()
        for task in (reporting, watching, *starting):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for step in self._after:
            await step()

    async def _drain(self) -> None:
        """Each step whatever became of the one before: a door that cannot be closed must cost no evidence."""
        started = self._clock()
        await _carry_out("door", *(door.drain(self._drain_s) for door in self._doors))
        await _carry_out("duty", *(duty.close() for duty in self._duties))
        await _carry_out("upstream", *(upstream.close(1.0) for upstream in self._upstreams))
        await _carry_out("evidence", self._evidence.close())
        await _carry_out("store", self._store.close())
        log.info("worker.drained", seconds=round(self._clock() - started, 3))

    async def _report_regularly(self, reports: ReportSender) -> None:
        while True:
            try:
                for code in self._policies:
                    self._store.lookup(code, (), None, self._keep_watermark(code))
                await asyncio.sleep(0.02)  # a shared store answers a turn later
                report = self._report()
                self._on_report(report)
                reports.send(report)
            except Exception as fault:  # a worker that falls silent would be taken for stuck
                log.error("report.failed", fault=type(fault).__name__, exc_info=fault)
            await asyncio.sleep(REPORT_INTERVAL_S)

    async def _watch_outbox(self) -> None:
        """How many refusals wait to be reported, and which deadline of theirs comes first (Law 6563, 8/3)."""
        while True:
            try:
                stats = await self._store.stats()
                due = await self._store.outbox_due(_LATEST_DUE_AT, _OUTBOX_LOOK_AHEAD)
                self._outbox = describe_outbox(self._policies, stats, due)
            except Exception as fault:  # the last numbers stand; the store's own state tells the rest
                log.warning("outbox.not_read", fault=type(fault).__name__)
            await asyncio.sleep(OUTBOX_INTERVAL_S)

    def _keep_watermark(self, code: int) -> Callable[[Lookup | LookupFailure], None]:
        def keep(answer: Lookup | LookupFailure) -> None:
            self._store_state.note(answer)
            if isinstance(answer, Lookup):
                self._watermarks[code] = answer.watermark_at

        return keep

    def _report(self) -> WorkerReport:
        reasons = []
        if self._store_state.failure:
            reasons.append(f"store: {self._store_state.failure}")
        if not self._evidence.is_writable:
            reasons.append("evidence: not writable")
        reasons += [f"upstream {each.name}: not reached yet" for each in self._upstreams if not each.is_known]
        return WorkerReport(
            state="draining" if self._is_draining else "waiting" if reasons else "ready",
            reasons=["draining"] if self._is_draining else reasons,
            sessions=sum(door.session_count for door in self._doors),
            buffered_bytes=self._buffered_bytes(),
            upstreams={upstream.name: upstream.describe() for upstream in self._upstreams},
            store=self._store_state.describe(),
            evidence=self._evidence.status(),
            brands={str(code): self._describe_brand(code, policy) for code, policy in self._policies.items()},
            outbox=self._outbox,
            rss_bytes=_resident_bytes(),
        )

    def _describe_brand(self, code: int, policy: Policy) -> dict[str, object]:
        watermark_at = self._watermarks.get(code)
        state, staleness_s = freshness(watermark_at, int(self._clock()), policy)
        if self._store_state.failure:
            state = FreshnessState.COLD
        return {"state": state, "watermark_at": watermark_at, "staleness_s": staleness_s}


def describe_outbox(
    brands: Iterable[int], stats: StoreStats, due: Sequence[OutboxItem]
) -> dict[str, dict[str, int | None]]:
    """By brand: how many reports are ``pending``, and ``oldest_due_at`` (seconds since 1970 UTC), None for none.

    ``due`` is the beginning of the outbox, the most urgent first. A brand that waits behind it is due no earlier than
    its last: that stands in for the true deadline, and errs on the side of the alarm.
    """
    oldest: dict[int, int] = {}
    for item in due:
        oldest.setdefault(item.brand, item.due_at)
    described: dict[str, dict[str, int | None]] = {}
    for code in sorted({*brands, *stats.outbox}):
        pending = stats.outbox.get(code, 0)
        due_at = oldest.get(code, due[-1].due_at if due else None) if pending else None
        described[str(code)] = {"pending": pending, "oldest_due_at": due_at}
    return described


async def _carry_out(what: str, *steps: Awaitable[None]) -> None:
    for outcome in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(outcome, BaseException):
            log.error("drain.failed", what=what, fault=type(outcome).__name__, exc_info=outcome)


def _resident_bytes() -> int:
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - read once a second, no Path needed
        return int(statm.read().split()[1]) * _PAGE_BYTES
