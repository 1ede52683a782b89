"""A failed host is left alone for longer and longer, and one attempt finds out whether it is back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.smtp.health import FAULTS_IN_A_ROW, HostHealth, HostState


def longest(low: float, high: float) -> float:
    return high


def test_pauses_double_up_to_the_limit() -> None:
    """1, 2, 4, 8, 8 seconds; a success begins anew."""
    health = HostHealth((1.0, 8.0), longest)
    now = 0.0
    for pause in (1.0, 2.0, 4.0, 8.0, 8.0):
        health.fail(now)
        assert not health.may_try(now + pause - 0.01)
        assert health.may_try(now + pause)
        now += pause
        health.begin()
    health.succeed()
    health.fail(now)
    assert health.may_try(now + 1.0)


def test_one_attempt_probes() -> None:
    """While one attempt is under way after a failure there is no second; given up, another may."""
    health = HostHealth((1.0, 8.0), longest)
    health.fail(0)
    health.begin()
    assert health.state is HostState.PROBING
    assert not health.may_try(100)
    health.cancel()
    assert health.may_try(100)


def test_a_burst_of_failures_counts_once() -> None:
    """Thirty attempts that began together and failed together pause the host as one does."""
    health = HostHealth((1.0, 60.0), longest)
    for _ in range(30):
        health.fail(0)
    assert health.may_try(1.0)


def test_transactions_that_break_off_take_a_host_down() -> None:
    """Only several in a row; a transaction that ends begins the count anew."""
    health = HostHealth((1.0, 8.0), longest)
    for _ in range(5):
        assert not health.count_fault(0)
        health.count_success()
    for _ in range(FAULTS_IN_A_ROW - 1):
        assert not health.count_fault(0)
    assert health.count_fault(0)
    assert not health.may_try(0.5)


@given(st.floats(0, 1))
def test_jitter_stays_between_half_and_whole(share: float) -> None:
    """The pause is drawn between half and whole of its length."""
    health = HostHealth((4.0, 8.0), lambda low, high: low + share * (high - low))
    health.fail(0)
    assert not health.may_try(1.99)
    assert health.may_try(4.01)
