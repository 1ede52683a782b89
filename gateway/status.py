"""The state of the whole gateway, put together from what its workers report.

*Healthy*: the supervisor runs and at least one worker reports. *Ready*: a commercial message sent now would be decided,
whichever worker gets it: every worker that takes connections knows its upstream, can ask the index and keep evidence,
and some active brand's index is fresh enough to permit. Workers that start or drain take none and do not count. A brand
that is not loaded yet does not make the others unready; it is named instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from filters.vocabulary import NEVER_LOADED, FreshnessState
from gateway.processes.worker_channel import WorkerReport

REPORT_EXPIRES_S = 5.0
"""A worker silent for so long is stuck or gone."""

_DECIDING = (FreshnessState.FRESH, FreshnessState.AGING)


class WorkerState(NamedTuple):
    """One worker as the supervisor sees it; ``reported_at`` in seconds since 1970 UTC, 0 before its first report."""

    slot: int
    pid: int
    generation: int
    reported_at: float
    report: WorkerReport


class Readiness(NamedTuple):
    is_ready: bool
    reasons: tuple[str, ...]


def worker_state(worker: WorkerState, now: float) -> str:
    """starting, ready, waiting, draining, or silent."""
    return worker.report.get("state", "starting") if now - worker.reported_at < REPORT_EXPIRES_S else "silent"


def is_healthy(workers: Iterable[WorkerState], now: float) -> bool:
    return any(now - worker.reported_at < REPORT_EXPIRES_S for worker in workers)


def readiness(workers: Sequence[WorkerState], now: float, *, is_draining: bool) -> Readiness:
    """Whether commercial traffic would be decided now, and what is missing if not."""
    if is_draining:
        return Readiness(False, ("draining",))
    serving = [
        worker for worker in workers if worker.reported_at and worker.report.get("state") in ("ready", "waiting")
    ]
    if not serving:
        return Readiness(False, ("no worker reports",))
    reasons: dict[str, None] = {}  # in order, each once
    for worker in serving:
        if now - worker.reported_at >= REPORT_EXPIRES_S:
            reasons[f"worker {worker.slot}: silent"] = None
        else:
            reasons.update(dict.fromkeys(_missing(worker.report)))
    if reasons:
        return Readiness(False, tuple(reasons))
    return Readiness(True, tuple(_undecided_brands(serving[0].report)))


def _missing(report: WorkerReport) -> list[str]:
    missing = list(report.get("reasons", ()))
    brands = report.get("brands", {})
    if not missing and not any(brand.get("state") in _DECIDING for brand in brands.values()):
        missing += _undecided_brands(report) or ["no brand is configured"]
    return missing


def _undecided_brands(report: WorkerReport) -> list[str]:
    return [
        f"brand {code}: index {_index_words(brand.get('state'))}"
        for code, brand in sorted(report.get("brands", {}).items())
        if brand.get("state") not in _DECIDING
    ]


def _index_words(state: object) -> str:
    return NEVER_LOADED if state == FreshnessState.COLD else f"is {state}"


def status_page(
    workers: Sequence[WorkerState], now: float, supervisor: Mapping[str, Any], *, is_draining: bool
) -> dict[str, Any]:
    """What ``/status`` shows: everything the workers said, newest word on store and brands first.

    Times are seconds since 1970 UTC; beside each stands the same as ISO 8601, under its name and ``_utc``.
    """
    ready = readiness(workers, now, is_draining=is_draining)
    latest = max(workers, key=lambda worker: worker.reported_at, default=None)
    report: WorkerReport = latest.report if latest else WorkerReport()
    page = {
        "state": "draining" if is_draining else "ready" if ready.is_ready else "waiting",
        "reasons": list(ready.reasons),
        "at": now,
        **supervisor,
        "store": report.get("store", {}),
        "evidence": report.get("evidence", {}),
        "brands": report.get("brands", {}),
        "outbox": report.get("outbox", {}),
        "upstreams": report.get("upstreams", {}),
        "workers": [
            {
                "slot": worker.slot,
                "pid": worker.pid,
                "generation": worker.generation,
                "reported_at": worker.reported_at,
                "is_reporting": now - worker.reported_at < REPORT_EXPIRES_S,
                **worker.report,
            }
            for worker in sorted(workers, key=lambda worker: (worker.slot, worker.generation))
        ],
    }
    return {name: shown for each, value in page.items() for name, shown in _with_utc(each, value)}


def _with_utc(name: str, value: object) -> list[tuple[str, Any]]:
    """The entry itself, its parts treated alike, and for a time its second form."""
    if isinstance(value, Mapping):
        return [(name, {key: shown for each, part in value.items() for key, shown in _with_utc(each, part)})]
    if isinstance(value, list | tuple):
        return [(name, [shown for part in value for _, shown in _with_utc("", part)])]
    is_time = name in ("at", "since") or str(name).endswith("_at")
    if not is_time or not (value is None or isinstance(value, int | float)):
        return [(name, value)]
    # 0 stands for "not yet".
    instant = datetime.fromtimestamp(value, UTC).isoformat(timespec="seconds") if value else None
    return [(name, value), (f"{name}_utc", instant)]
