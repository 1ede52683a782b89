"""How the registry and each brand's account are doing, and how near the deadlines are: what reporting goes by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from filters.exchange import OutboxItem
from filters.registry.failures import Failure
from gateway.registry.failures import failure_words

log = structlog.stdlib.get_logger(__name__)

WARN_S = 24 * 3600.0
"""So long before the most urgent deadline an unreported refusal is worth a person's attention."""

_LONGEST_PAUSE_S = 300.0


class Weather:
    """Which brands are held back after failures, each for a while that grows, at least as long as the answer asks."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._closed: dict[int, tuple[float, float]] = {}
        self._failures_in_row: Counter[int] = Counter()
        self.blocked: dict[int, str] = {}

    def is_closed(self, brand: int) -> bool:
        since, until = self._closed.get(brand, (0.0, 0.0))
        return since <= self._clock() < until  # before: the clock was set back, and nobody knows how far

    def answered(self, brand: int) -> None:
        """The registry answered, whatever it said of a single report."""
        self._failures_in_row[brand] = 0
        if self.blocked.pop(brand, None) is not None:
            log.info("report.resumed", brand=brand)

    def failed(self, brand: int, failure: Failure) -> None:
        """The way there, the account or the registry as a whole is at fault."""
        row = self._failures_in_row[brand] = self._failures_in_row[brand] + 1
        pause_s = max(failure.pause_s, min(_LONGEST_PAUSE_S, 2.0 ** min(row, 9)))
        now = self._clock()
        self._closed[brand] = now, now + pause_s
        word = failure_words(failure)
        if self.blocked.get(brand) != word:
            self.blocked[brand] = word
            log.warning("report.held_up", brand=brand, why=word, advice=str(failure.advice))


class Deadlines:
    """Notices deadlines, long before they pass and when they do."""

    def __init__(self) -> None:
        self.oldest_due_at: int | None = None
        self.waiting = 0
        self.overdue = 0
        self._late: set[bytes] = set()
        self._has_warned = False

    def see(self, items: Sequence[OutboxItem], now: float) -> None:
        """``items``: the head of the outbox, the most urgent first."""
        late = {item.item_id for item in items if item.due_at < now}
        for item in items:
            if item.item_id in late and item.item_id not in self._late:
                log.error("report.deadline_missed", brand=item.brand, report=item.item_id.hex(), due_at=item.due_at)
        self._late = late
        self.oldest_due_at = items[0].due_at if items else None
        self.waiting, self.overdue = len(items), len(late)
        is_urgent = self.oldest_due_at is not None and self.oldest_due_at - now < WARN_S
        if is_urgent and not self._has_warned:
            left_s = int((self.oldest_due_at or 0) - now)
            log.warning("report.deadline_near", due_at=self.oldest_due_at, seconds_left=left_s)
        self._has_warned = is_urgent
