"""How far the index is behind the registry, and what that is called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.decision.freshness import freshness
from filters.decision.policy import Policy
from filters.vocabulary import FreshnessState

FRESH, AGING, STALE, BLIND, COLD = FreshnessState
NOW = 1_800_000_000
POLICY = Policy(aging_after_s=100, stale_after_s=200, blind_after_s=300, clock_tolerance_s=10)


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [
        (0, (FRESH, 0)),
        (100, (FRESH, 100)),
        (101, (AGING, 101)),
        (200, (AGING, 200)),
        (201, (STALE, 201)),
        (300, (STALE, 300)),
        (301, (BLIND, 301)),
        (10**9, (BLIND, 10**9)),
        (-1, (FRESH, 0)),
        (-10, (FRESH, 0)),
        (-11, (BLIND, None)),
        (-(10**9), (BLIND, None)),
    ],
)
def test_a_limit_is_passed_when_the_age_exceeds_it(age_s: int, expected: tuple[FreshnessState, int | None]) -> None:
    """At the limit the better state still holds; a watermark in the far future is not believed."""
    assert freshness(NOW - age_s, NOW, POLICY) == expected


def test_a_brand_that_was_never_loaded_is_cold() -> None:
    """No watermark is not an old watermark."""
    assert freshness(None, NOW, POLICY) == (COLD, None)


def test_the_defaults_are_two_hours_a_day_and_three_days() -> None:
    """Twice the lag of the change feed; the practice's 24 hours; well inside the feed's seven days."""
    policy = Policy()
    assert freshness(NOW - 7200, NOW, policy)[0] is FRESH
    assert freshness(NOW - 7201, NOW, policy)[0] is AGING
    assert freshness(NOW - 24 * 3600, NOW, policy)[0] is AGING
    assert freshness(NOW - 24 * 3600 - 1, NOW, policy)[0] is STALE
    assert freshness(NOW - 72 * 3600 - 1, NOW, policy)[0] is BLIND


def test_a_clock_set_back_makes_the_index_blind_not_young() -> None:
    """A machine that wakes up in 1970 must not act on any consent."""
    assert freshness(NOW, 0, POLICY) == (BLIND, None)


@given(st.one_of(st.none(), st.integers(0, 2**32)), st.integers(0, 2**32), st.integers(0, 10**6))
def test_time_passing_never_improves_the_state(watermark_at: int | None, now: int, passing_s: int) -> None:
    """Without news from the registry an index only ages, once its watermark is behind us; the number is its age."""
    state, staleness_s = freshness(watermark_at, now, POLICY)
    if watermark_at is None:
        assert state is COLD
        return
    if staleness_s is not None:
        assert staleness_s == max(0, now - watermark_at)
        later, _ = freshness(watermark_at, now + passing_s, POLICY)
        assert list(FreshnessState).index(later) >= list(FreshnessState).index(state)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"aging_after_s": 0}, "0 < aging_after_s"),
        ({"aging_after_s": 10**6}, "aging_after_s <= stale_after_s"),
        ({"stale_after_s": 10**6}, "stale_after_s <= blind_after_s"),
        ({"clock_tolerance_s": -1}, "clock_tolerance_s >= 0"),
    ],
)
def test_limits_out_of_order_are_refused(limits: dict[str, int], message: str) -> None:
    """A policy cannot exist with a state that is never reached or reached twice."""
    with pytest.raises(ValueError, match=message):
        Policy(**limits)
