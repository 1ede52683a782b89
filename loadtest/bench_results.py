"""What a bench run found, its medians, and the targets they are held against."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Scenario(NamedTuple):
    """One kind of load; ``messages`` is what each route gets in a round.

    ``is_personal``: every body is another one, as in mail that calls its reader by name; else all messages have one
    body, as a newsletter has.
    """

    name: str
    size_bytes: int
    recipients: int
    keeps_open: bool
    messages: int
    title: str
    is_personal: bool = False


@dataclass
class Run:
    """One scenario through one route, once. CPU is that of what stands between sender and sink."""

    scenario: str
    route: str
    messages: int
    messages_per_second: float
    recipients_per_second: float
    user_us: float
    system_us: float

    @property
    def cpu_us(self) -> float:
        return self.user_us + self.system_us


@dataclass
class LatencyRun:
    """Milliseconds from when a message was due to its answer."""

    route: str
    rate: int
    messages: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


@dataclass
class Machine:
    """``load``: the load average before the run; above 0 somebody else was at work."""

    cores: int
    model: str
    memory_gib: float
    versions: dict[str, str]
    load: float


@dataclass
class Results:
    machine: Machine
    date: str
    scenarios: Sequence[Scenario]
    rounds: int
    runs: list[Run] = field(default_factory=list)
    latencies: list[LatencyRun] = field(default_factory=list)

    def routes(self, scenario: str) -> list[str]:
        """Those measured, in the order of the run."""
        return list(dict.fromkeys(run.route for run in self.runs if run.scenario == scenario))

    def median(self, scenario: str, route: str, of: Callable[[Run], float]) -> float:
        """Raises ``KeyError`` where nothing was measured."""
        found = [of(run) for run in self.runs if run.scenario == scenario and run.route == route]
        if not found:
            raise KeyError(scenario, route)
        return statistics.median(found)

    def rate(self, scenario: str, route: str) -> float:
        """Messages a second."""
        return self.median(scenario, route, lambda run: run.messages_per_second)

    def latency(self, route: str, of: Callable[[LatencyRun], float]) -> float:
        """Raises ``KeyError`` where nothing was measured."""
        found = [of(run) for run in self.latencies if run.route == route]
        if not found:
            raise KeyError(route)
        return statistics.median(found)


class Target(NamedTuple):
    """What was promised: ``measure`` gives the figure for a route (lmdb, redis), ``KeyError`` if it cannot."""

    title: str
    unit: str
    limit: float
    is_upper: bool
    measure: Callable[[Results, str], float]

    def is_met(self, found: float) -> bool:
        return found <= self.limit if self.is_upper else found >= self.limit


def _share_of(other: str, scenario: str) -> Callable[[Results, str], float]:
    return lambda results, route: results.rate(scenario, route) / results.rate(scenario, other)


TARGETS = (
    *(
        target
        for scenario, words in (("4k-1r-keep", "4 kB, one recipient"), ("4k-1r-personal", "the same, no two alike"))
        for target in (
            Target(f"{words}: times Postfix's bare proxy", "×", 2.0, False, _share_of("postfix", scenario)),
            Target(f"{words}: share of direct", "", 1 / 3, False, _share_of("direct", scenario)),
        )
    ),
    Target(
        "4 kB, ten recipients: personal copies a second", "/s", 15_000, False,
        lambda results, route: results.median("4k-10r-keep", route, lambda run: run.recipients_per_second),
    ),
    Target(
        "50 kB, one recipient: share of direct", "", 2 / 3, False,
        _share_of("direct", "50k-1r-keep"),
    ),
    Target(
        "added to the answer at a fixed rate, 99th percentile", "ms", 5.0, True,
        lambda results, route: results.latency(route, lambda run: run.p99_ms)
        - results.latency("direct", lambda run: run.p99_ms),
    ),
)  # fmt: skip
