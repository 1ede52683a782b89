"""How fresh each brand's index is, and how long it has been in each state since this process began (design D7)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from filters.decision.freshness import freshness
from filters.decision.policy import Policy
from filters.vocabulary import FreshnessState

log = structlog.stdlib.get_logger(__name__)

_SOUND = (FreshnessState.FRESH,)


@dataclass(slots=True)
class _Watched:
    state: FreshnessState = FreshnessState.COLD
    since: float = 0.0
    watermark_at: int | None = None
    staleness_s: int | None = None
    seconds: dict[FreshnessState, float] = field(default_factory=lambda: dict.fromkeys(FreshnessState, 0.0))


class FreshnessWatch:
    """Told the watermarks from time to time; each change of state is a log event. ``clock``: the wall clock."""

    def __init__(
        self,
        policies: Mapping[int, Policy],
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policies = policies
        self._clock = clock
        self._monotonic = monotonic
        self._told_at: float | None = None
        self._watched = {code: _Watched() for code in policies}

    def tell(self, watermarks: Mapping[int, int]) -> Mapping[tuple[int, FreshnessState], float]:
        """Take over what is known now; the seconds since the last time, counted for the state that ended with them."""
        now, moment = self._clock(), self._monotonic()
        passed_s = 0.0 if self._told_at is None else max(0.0, moment - self._told_at)
        is_first = self._told_at is None
        self._told_at = moment
        spent: dict[tuple[int, FreshnessState], float] = {}
        for code, watched in self._watched.items():
            spent[code, watched.state] = passed_s
            watched.seconds[watched.state] += passed_s
            watched.watermark_at = watermarks.get(code)
            state, watched.staleness_s = freshness(watched.watermark_at, int(now), self._policies[code])
            if state is not watched.state or is_first:
                tell = log.info if state in _SOUND else log.warning
                tell(
                    "registry.freshness", brand=code, state=state, before=watched.state, staleness_s=watched.staleness_s
                )
                watched.state, watched.since = state, now
        return spent

    def describe(self) -> dict[str, object]:
        return {
            str(code): {
                "state": watched.state,
                "since": watched.since,
                "watermark_at": watched.watermark_at,
                "staleness_s": watched.staleness_s,
                "seconds": {str(state): round(seconds, 1) for state, seconds in watched.seconds.items()},
            }
            for code, watched in self._watched.items()
        }
