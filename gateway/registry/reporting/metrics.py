"""Series of the way up and of the proof, beside those of the outbox; the rules of ``gateway.metrics`` hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.metrics import PREFIX
from gateway.registry.proof_day import DayResult, DayState
from gateway.registry.proof_sample import SampleResult
from gateway.registry.reporting.fates import Fate

SETTLED = (Fate.STORED, Fate.HELD, Fate.VETO, Fate.SUPERSEDED, Fate.LATE, Fate.PARKED)
"""What a report can come to; ``late`` is counted beside what becomes of it."""


class ReportingMetrics:
    """A ``ReportingObserver`` and a ``ProofObserver``. Make it after ``use_directory``."""

    def __init__(self, brands: Iterable[int]) -> None:
        self.registry = CollectorRegistry()
        self._settled = Counter(
            PREFIX + "reports_total",
            "Reports to the registry, by what became of them; late: a legal deadline was missed.",
            ["brand", "fate"],
            registry=self.registry,
        )
        self._overdue = self._gauge("reports_overdue", "Reports that wait and whose deadline has passed.")
        self._parked = self._gauge("reports_parked", "Reports that cannot go as they are: a person has to see to them.")
        self._divergence = Counter(
            PREFIX + "index_divergence_total",
            "Consents in which index and registry differed, by what showed it.",
            ["brand", "by"],
            registry=self.registry,
        )
        self._proven = self._gauge("proof_timestamp_seconds", "When a day was last proven; 0: never.", "brand")
        self._proof_failed = Counter(
            PREFIX + "proof_failed_total",
            "Days that could not be proven when tried.",
            ["brand"],
            registry=self.registry,
        )
        for code in map(str, brands):
            for fate in SETTLED:
                self._settled.labels(code, fate)
            for by in ("file", "sample"):
                self._divergence.labels(code, by)
            self._proven.labels(code)
            self._proof_failed.labels(code)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        mode: Any = "livemax"
        return Gauge(PREFIX + name, help_text, labels, registry=self.registry, multiprocess_mode=mode)

    def report_settled(self, brand: int, fate: Fate, code: str) -> None:
        self._settled.labels(str(brand), fate).inc()

    def outbox_seen(self, oldest_due_at: int | None, waiting: int, overdue: int, parked: Mapping[str, int]) -> None:
        self._overdue.set(overdue)
        self._parked.set(sum(parked.values()))

    def day_proven(self, result: DayResult) -> None:
        code = str(result.brand)
        self._divergence.labels(code, "file").inc(result.divergence)
        if result.state is DayState.FAILED:
            self._proof_failed.labels(code).inc()
        elif result.state is not DayState.NOT_READY:
            self._proven.labels(code).set_to_current_time()

    def sample_proven(self, result: SampleResult) -> None:
        self._divergence.labels(str(result.brand), "sample").inc(result.divergence)
