"""One worker's life: the order of start and drain, what it reports, and that no part can take the others along."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from filters.decision.policy import Policy
from filters.exchange import Lookup, OutboxItem, StoreHealth, StoreStats
from filters.vocabulary import LookupFailure
from gateway.doors import HttpDoor, IntakeDoor
from gateway.mail.observer import MailObserver
from gateway.metrics import WorkerMetrics
from gateway.metrics_folder import render_own, use_memory
from gateway.processes.worker import Worker, describe_outbox
from gateway.processes.worker_channel import WorkerReport

NOW = 1_790_000_000


class Parts:
    """Store, evidence, upstream and door of one worker, noting what is asked of them; ``broken`` ones raise."""

    name = "relay"
    is_writable = True
    is_known = True
    session_count = 3

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.did: list[str] = []
        self.answer: Lookup | LookupFailure = Lookup((), NOW - 60, 7)
        self.raises = 0
        self.due: list[OutboxItem] = []

    def _do(self, what: str) -> None:
        self.did.append(what)
        if what == self.broken:
            raise TimeoutError(what)

    def part(self, name: str) -> Any:
        parts = self

        class Part:
            name = parts.name
            is_writable = True
            session_count = 3

            @property
            def is_known(self) -> bool:
                return parts.is_known

            def start(self) -> Any:
                parts._do(f"start {name}")
                return _nothing() if name not in ("evidence", "duty") else None

            async def open(self) -> None:
                parts._do(f"open {name}")

            async def drain(self, timeout_s: float) -> None:
                parts._do(f"drain {name}")

            async def close(self, drain_s: float = 0.0) -> None:
                parts._do(f"close {name}")

            def describe(self) -> dict[str, object]:
                return {"is_reachable": True}

            def status(self) -> dict[str, object]:
                return {"is_writable": True, "failed_records": 5}

            def lookup(
                self, brand: int, keys: Sequence[bytes], digest: bytes | None, done: Callable[[Any], None]
            ) -> None:
                if parts.raises:
                    parts.raises -= 1
                    raise RuntimeError("store")
                done(parts.answer)

            async def stats(self) -> StoreStats:
                return StoreStats({}, {}, {600123: len(parts.due)}, {}, 0, b"", 7)

            async def outbox_due(self, until: int, limit: int) -> list[OutboxItem]:
                return parts.due

        return Part()


async def _nothing() -> StoreHealth:
    return StoreHealth(None, "", 0)


class Channel:
    """The supervisor's end, as a list."""

    def __init__(self) -> None:
        self.reports: list[WorkerReport] = []

    def send(self, report: WorkerReport) -> None:
        self.reports.append(report)


def make_worker(parts: Parts, on_report: Callable[[WorkerReport], None] = lambda _report: None) -> Worker:
    async def ended() -> None:
        parts.did.append("end threads")

    return Worker(
        evidence=parts.part("evidence"),
        store=parts.part("store"),
        store_kind="lmdb",
        upstreams=[parts.part("upstream")],
        doors=[parts.part("door"), parts.part("page")],
        policies={600123: Policy()},
        buffered_bytes=lambda: 10,
        drain_s=1.0,
        on_report=on_report,
        duties=[parts.part("duty")],
        after=[ended],
        clock=lambda: float(NOW),
    )


async def run(worker: Worker, channel: Channel, is_enough: Callable[[], bool]) -> None:
    running = asyncio.create_task(worker.run(channel))
    async with asyncio.timeout(10):
        while not is_enough():
            await asyncio.sleep(0.005)
        os.kill(os.getpid(), signal.SIGHUP)  # sent to the whole group, it means the supervisor
        os.kill(os.getpid(), signal.SIGTERM)
        await running


async def test_doors_open_last_and_close_first() -> None:
    """What comes in finds everything there, and what is in hand at the end can still be recorded."""
    parts, channel = Parts(), Channel()
    await run(make_worker(parts), channel, lambda: len(channel.reports) > 0)
    assert parts.did == [
        "start evidence", "start store", "start upstream", "start duty", "open door", "open page",
        "drain door", "drain page", "close duty", "close upstream", "close evidence", "close store", "end threads",
    ]  # fmt: skip
    assert [report["state"] for report in channel.reports] == ["ready", "draining"]


async def test_a_part_that_cannot_be_closed_takes_no_other_along() -> None:
    """A page still open at the end of its time must not cost the evidence of the mail beside it."""
    for broken in ("drain page", "close upstream", "close evidence"):
        parts, channel = Parts(broken), Channel()
        await run(make_worker(parts), channel, lambda channel=channel: len(channel.reports) > 0)
        assert parts.did[-4:] == ["close upstream", "close evidence", "close store", "end threads"]


async def test_a_report_says_what_is_missing() -> None:
    """Store, next hop and brand, each with its state; the supervisor adds them up."""
    parts, channel = Parts(), Channel()
    parts.answer = LookupFailure.NOT_INITIALISED
    parts.is_known = False
    await run(make_worker(parts), channel, lambda: len(channel.reports) > 0)
    report = channel.reports[0]
    assert report["state"] == "waiting"
    assert report["reasons"] == ["store: never loaded, or emptied", "upstream relay: not reached yet"]
    assert report["brands"]["600123"]["state"] == "cold"
    assert report["store"]["last_error"] == "not_initialised"
    assert report["sessions"] == 6


async def test_a_store_that_raises_does_not_silence_the_worker(monkeypatch: Any) -> None:
    """A worker that stops reporting would be taken for stuck."""
    monkeypatch.setattr("gateway.processes.worker.REPORT_INTERVAL_S", 0.01)
    parts, channel = Parts(), Channel()
    parts.raises = 3
    await run(make_worker(parts), channel, lambda: len(channel.reports) > 0)
    assert channel.reports[0]["state"] == "ready"


async def test_metrics_follow_each_report() -> None:
    """Refusals that wait for the registry with their deadline, freshness, sessions, evidence that was lost."""
    use_memory()
    metrics = WorkerMetrics([600123], ["relay"])
    observer = MailObserver(metrics, None, lambda: float(NOW))
    parts, channel = Parts(), Channel()
    parts.due = [OutboxItem(b"1", 600123, NOW + 60, b""), OutboxItem(b"2", 600123, NOW + 90, b"")]
    reports: list[WorkerReport] = []

    def keep(report: WorkerReport) -> None:
        reports.append(report)
        observer.worker_reported(report)
        observer.worker_reported(report)

    await run(make_worker(parts, keep), channel, lambda: len(reports) > 0)
    metrics.flush()
    values = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in render_own(metrics.registry).decode().splitlines()
        if not line.startswith("#")
    }
    assert values['izinkapi_outbox_pending{brand="600123"}'] == 2
    assert values['izinkapi_outbox_oldest_due_timestamp_seconds{brand="600123"}'] == NOW + 60
    assert values['izinkapi_freshness_state{brand="600123",state="fresh"}'] == 1
    assert values['izinkapi_index_synced_timestamp_seconds{brand="600123"}'] == NOW - 60
    assert values['izinkapi_evidence_records_total{result="failed"}'] == 5
    assert values["izinkapi_sessions_active"] == 6


def test_a_brand_whose_reports_stand_behind_the_first_thousand_gets_a_deadline_all_the_same() -> None:
    """No earlier than the last one seen, so the alarm may come too soon but not too late."""
    stats = StoreStats({}, {}, {1: 2, 2: 5}, {}, 0, b"", 1)
    due = [OutboxItem(b"a", 1, 100, b""), OutboxItem(b"b", 1, 200, b"")]
    assert describe_outbox([1, 2, 3], stats, due) == {
        "1": {"pending": 2, "oldest_due_at": 100},
        "2": {"pending": 5, "oldest_due_at": 200},
        "3": {"pending": 0, "oldest_due_at": None},
    }
    assert describe_outbox([2], StoreStats({}, {}, {2: 1}, {}, 0, b"", 1), [])["2"]["oldest_due_at"] is None


def test_doors_for_refusals_count_no_mail_sessions() -> None:
    """Sessions are those that carry mail of clients."""
    assert HttpDoor(None, None, None).session_count == 0
    assert IntakeDoor(None, None).session_count == 0
