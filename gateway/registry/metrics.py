"""What Prometheus is told of the link to the registry; the rules of ``gateway.metrics`` hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge

from filters.registry.values import ChangesSource
from filters.vocabulary import FreshnessState
from gateway.metrics import PREFIX
from gateway.registry.asking.access_lists import LIST_RESULTS
from gateway.registry.asking.gathering import RESULTS as REQUERY_RESULTS
from gateway.registry.push import RESULTS

CALL_RESULTS = (
    "ok", "transport_fault", "limited", "refused", "server_fault", "unreadable", "login_refused",
)  # fmt: skip


class SyncMetrics:
    """Series of the sync process. Make it after ``use_directory``. Also the ``RegistryObserver`` of the client."""

    def __init__(self, brands: Iterable[int]) -> None:
        self.registry = CollectorRegistry()
        codes = [str(code) for code in brands]
        self._calls = self._counter(
            "registry_calls_total", "Requests to the registry, by call and result.", "call", "result"
        )
        for result in CALL_RESULTS:
            self._calls.labels("changes", result)
        self._call_seconds = self._counter(
            "registry_call_seconds_total", "Time that requests to the registry took, by call.", "call"
        )
        self.active = self._gauge("sync_active", "1 while this machine talks to the registry for all.", "livesum")
        self._restarts = self._counter("sync_task_restarts_total", "Duties of the sync begun again after a fault.")
        self._restarts_seen = 0
        self._succeeded = self._gauge(
            "sync_success_timestamp_seconds",
            "When the changes of a brand and source were last read to their end; 0: never.",
            "livemax", "brand", "source",
        )  # fmt: skip
        self._cursor = self._gauge(
            "sync_cursor_timestamp_seconds", "When the cursor last moved; 0: never.", "livemax", "brand", "source"
        )
        self._known = self._gauge(
            "sync_known_timestamp_seconds",
            "Registry time up to which the source is known; 0: nothing.", "livemax", "brand", "source",
        )  # fmt: skip
        self._gap = self._gauge(
            "sync_gap", "1 while the feed no longer reaches back to what is known: verify all addresses.",
            "livemax", "brand",
        )  # fmt: skip
        self._questions = self._gauge(
            "sync_questions_waiting", "Subjects whose will could not be read and is to be asked.", "livemax", "brand"
        )
        self._not_owned = self._gauge(
            "sync_brand_not_owned", "1 while the registry does not list the brand for its account.", "livemax", "brand"
        )
        self._not_active = self._gauge(
            "sync_dealers_not_active", "Dealers who send here and whom the registry does not call active.",
            "livemax", "brand",
        )  # fmt: skip
        self._lists = list_counter(self.registry)
        self._unreadable = self._counter(
            "sync_unreadable_total", "Movements that could not be read.", "brand", "source"
        )
        self._unreadable_seen: dict[tuple[str, str], int] = {}
        self._seconds = self._counter(
            "freshness_seconds_total", "Time the brand's index has spent in each state.", "brand", "state"
        )
        for code in codes:
            for gauge in (self._gap, self._questions, self._not_owned, self._not_active):
                gauge.labels(code)
            for source in ChangesSource:
                for gauge in (self._succeeded, self._cursor, self._known):
                    gauge.labels(code, source)
                self._unreadable.labels(code, source)
            for state in FreshnessState:
                self._seconds.labels(code, state)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, help_text, labels, registry=self.registry)

    def _gauge(self, name: str, help_text: str, mode: Any, *labels: str) -> Gauge:
        return Gauge(PREFIX + name, help_text, labels, registry=self.registry, multiprocess_mode=mode)

    def call_ended(self, name: str, result: str, seconds: float) -> None:
        self._calls.labels(name, result).inc()
        self._call_seconds.labels(name).inc(max(0.0, seconds))

    def lists_read(self, result: str, number: int) -> None:
        self._lists.labels(result).inc(number)

    def dealers_seen(self, not_active: Mapping[int, int]) -> None:
        """How many dealers of each brand are not active at the registry."""
        for brand, number in not_active.items():
            self._not_active.labels(str(brand)).set(number)

    def count_freshness(self, spent: Mapping[tuple[int, FreshnessState], float]) -> None:
        for (code, state), seconds in spent.items():
            self._seconds.labels(str(code), state).inc(seconds)

    def follow(self, service: Mapping[str, Any], not_owned: Iterable[int]) -> None:
        """Bring every series up to what ``SyncService.describe`` says now."""
        self.active.set(1 if service["state"] == "active" else 0)
        tasks = service["tasks"]
        restarts = sum(each["restarts"] for each in tasks.values())
        self._restarts.inc(restarts - self._restarts_seen)
        self._restarts_seen = restarts
        missing = {str(code) for code in not_owned}
        for code, brand in _brands_of(tasks.get("pull", {})).items():
            self._gap.labels(code).set(0 if brand["gap_since_at"] is None else 1)
            self._not_owned.labels(code).set(1 if code in missing else 0)
            for source in ChangesSource:
                told = brand[source]
                self._succeeded.labels(code, source).set(told["succeeded_at"])
                self._cursor.labels(code, source).set(told["cursor_moved_at"])
                self._known.labels(code, source).set(told["known_until_at"])
                before = self._unreadable_seen.get((code, source), 0)
                self._unreadable.labels(code, source).inc(told["unreadable"] - before)
                self._unreadable_seen[code, source] = told["unreadable"]
        for code, waiting in tasks.get("questions", {}).get("waiting", {}).items():
            self._questions.labels(code).set(waiting)


def _brands_of(pull: Mapping[str, Any]) -> dict[str, Any]:
    return {code: told for code, told in pull.items() if code.isdigit()}


class WorkerRegistryMetrics:
    """Series of a worker's own dealings with the registry: a ``PushObserver``, ``RequeryObserver``, ``ListObserver``.

    Few and slow beside messages, so they are written at once.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._received = Counter(
            PREFIX + "registry_push_total",
            "What the registry pushed: movements by what became of them, requests that were not taken.",
            ["result"],
            registry=self.registry,
        )
        for result in RESULTS:
            self._received.labels(result)

        self._lists = list_counter(self.registry)
        self._requeried = Counter(
            PREFIX + "registry_requery_total",
            "People asked for at the registry, index stale or without record, by what it said.",
            ["result"],
            registry=self.registry,
        )
        for result in REQUERY_RESULTS:
            self._requeried.labels(result)

    def push_received(self, result: str, number: int) -> None:
        self._received.labels(result).inc(number)

    def requeried(self, result: str, number: int) -> None:
        self._requeried.labels(result).inc(number)

    def lists_read(self, result: str, number: int) -> None:
        self._lists.labels(result).inc(number)


def list_counter(registry: CollectorRegistry) -> Counter:
    """The series of lists read, which the sync process and the workers both have."""
    counter = Counter(
        PREFIX + "registry_dealer_lists_total",
        "Lists of dealers to be read at the registry, by what became of that.",
        ["result"],
        registry=registry,
    )
    for result in LIST_RESULTS:
        counter.labels(result)
    return counter
