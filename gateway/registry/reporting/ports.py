"""Who is told what becomes of reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.registry.reporting.fates import Fate


class ReportingObserver(Protocol):
    """Who counts. Must not raise."""

    def report_settled(self, brand: int, fate: Fate, code: str) -> None:
        """One report is done with, parked or late."""

    def outbox_seen(self, oldest_due_at: int | None, waiting: int, overdue: int, parked: Mapping[str, int]) -> None:
        """The outbox as it is now, parked ones by code; ``oldest_due_at`` None where nothing waits."""


class Silent:
    """Hears everything and says nothing."""

    def report_settled(self, brand: int, fate: Fate, code: str) -> None: ...

    def outbox_seen(self, oldest_due_at: int | None, waiting: int, overdue: int, parked: Mapping[str, int]) -> None: ...
