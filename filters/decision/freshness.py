"""How far the index of a brand is behind the registry: a number, and the state it means (design D7)."""

from __future__ import annotations

from filters.decision.policy import Policy
from filters.vocabulary import FreshnessState


def freshness(watermark_at: int | None, now: int, policy: Policy) -> tuple[FreshnessState, int | None]:
    """State and staleness in seconds, from the registry time up to which everything is known, and the time now.

    Both are seconds since 1970 UTC. The staleness is None where it is not known: the brand was never loaded
    (``COLD``), or the watermark lies further ahead than ``clock_tolerance_s``: one of the two clocks is wrong by an
    unknown amount, or ours went back, so the age cannot be trusted (``BLIND``). A watermark a little ahead counts as
    now, never as fresher than that. A limit is passed when the staleness exceeds it.
    """
    if watermark_at is None:
        return FreshnessState.COLD, None
    staleness_s = now - watermark_at
    if staleness_s < 0:
        if -staleness_s > policy.clock_tolerance_s:
            return FreshnessState.BLIND, None
        return FreshnessState.FRESH, 0
    if staleness_s <= policy.aging_after_s:
        return FreshnessState.FRESH, staleness_s
    if staleness_s <= policy.stale_after_s:
        return FreshnessState.AGING, staleness_s
    if staleness_s <= policy.blind_after_s:
        return FreshnessState.STALE, staleness_s
    return FreshnessState.BLIND, staleness_s
