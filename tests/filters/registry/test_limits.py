"""The limiter: no arrivals and no clock make it break a limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.registry import limits as counting
from filters.registry.call import Priority, Quota
from filters.registry.limits import (
    ON_THE_WAY_S,
    LimiterState,
    Limits,
    Waiter,
    answered,
    block,
    choose,
    give_back,
    lies_ahead,
    pack,
    settle,
    take,
    unpack,
    wait_s,
)

LIMITS = Limits()
ARRIVALS = st.lists(
    st.tuples(st.floats(0, 2, allow_nan=False), st.sampled_from(Quota), st.sampled_from(Priority)),
    min_size=1,
    max_size=80,
)


def most_within(instants: list[float], window_s: float) -> int:
    """The most instants that lie in any half-open window of this length."""
    return max((sum(1 for at in instants if first <= at < first + window_s) for first in instants), default=0)


@given(ARRIVALS, st.booleans())
def test_never_more_than_ten_in_any_second(
    arrivals: list[tuple[float, Quota, Priority]], is_carried_over: bool
) -> None:
    """However requests arrive, whoever waits as told, and whether the state lies in memory or packed elsewhere."""
    state, now, sent = LimiterState(), 1_000_000.0, []
    for gap_s, quota, _ in arrivals:
        now += gap_s / 10
        state, wait = take(state, quota, now, LIMITS)
        while wait > 0:
            now += wait
            state, wait = take(state, quota, now, LIMITS)
        sent.append(now)
        if is_carried_over:
            state = unpack(pack(state))
    assert most_within(sent, 1.0) <= 10


@given(
    st.lists(st.tuples(st.floats(0, 0.3), st.floats(0, 1), st.floats(0, 1)), min_size=11, max_size=60),
)
def test_never_more_than_ten_in_any_second_of_the_registrys(steps: list[tuple[float, float, float]]) -> None:
    """However long each request is on its way there, and its answer on the way back, up to five seconds in all."""
    state, now = LimiterState(), 1_000_000.0
    arrived: list[float] = []
    answers: list[tuple[float, float]] = []

    def hear(until: float) -> LimiterState:
        heard = state
        for each in sorted(answers):
            if each[0] <= until:
                heard = answered(heard, each[1], each[0], LIMITS)
                answers.remove(each)
        return heard

    for gap_s, took, reached in steps:
        now += gap_s
        state = hear(now)
        tried, wait = take(state, Quota.NONE, now, LIMITS)
        while wait > 0:
            now += min(wait, 0.01)
            state = hear(now)
            tried, wait = take(state, Quota.NONE, now, LIMITS)
        state = tried
        answer_at = now + took * ON_THE_WAY_S
        answers.append((answer_at, now))
        arrived.append(now + (answer_at - now) * reached)
    assert most_within(sorted(arrived), 1.0) <= 10


def test_an_answer_frees_its_place_a_window_later() -> None:
    """Ten under way hold up the eleventh; so do ten answers, for a window and no longer."""
    state = LimiterState()
    for number in range(10):
        state, wait = take(state, Quota.NONE, 50.0 + number / 100, LIMITS)
        assert wait == 0
    assert wait_s(state, Quota.NONE, 50.5, LIMITS) == pytest.approx(LIMITS.window_s)
    for number in range(10):
        state = answered(state, 50.0 + number / 100, 50.6, LIMITS)
    assert wait_s(state, Quota.NONE, 50.7, LIMITS) == pytest.approx(50.6 + LIMITS.window_s - 50.7)
    assert wait_s(state, Quota.NONE, 50.6 + LIMITS.window_s, LIMITS) == 0


def test_what_is_never_answered_does_not_hold_up_others_for_ever() -> None:
    """A process that died with ten requests under way costs the others six seconds."""
    state = LimiterState()
    for _ in range(10):
        state, _ = take(state, Quota.NONE, 50.0, LIMITS)
    assert wait_s(state, Quota.NONE, 50.0 + ON_THE_WAY_S, LIMITS) == pytest.approx(LIMITS.window_s)
    assert wait_s(state, Quota.NONE, 50.0 + ON_THE_WAY_S + LIMITS.window_s, LIMITS) == 0


def test_a_clock_set_back_costs_one_window() -> None:
    """What was counted an hour ahead of now counts as of now, once: the settled state is kept, and then time passes."""
    state = LimiterState()
    for number in range(10):
        state, _ = take(state, Quota.NONE, 7200.0, LIMITS)
        if number % 2:
            state = answered(state, 7200.0, 7200.2, LIMITS)
    assert lies_ahead(state, 3600.0)
    state = settle(state, 3600.0, LIMITS)
    assert not lies_ahead(state, 3600.0)
    assert wait_s(state, Quota.NONE, 3600.0 + ON_THE_WAY_S + LIMITS.window_s, LIMITS) == 0


@given(st.sampled_from([Quota.TOKEN, Quota.STATUS, Quota.HISTORY]), st.lists(st.floats(0, 900), max_size=60))
def test_never_more_than_so_many_in_any_hour(quota: Quota, gaps: list[float]) -> None:
    """No hour, wherever it begins, holds more than its quota."""
    limits = Limits(token_per_hour=5, status_per_hour=5, history_per_hour=5)
    state, now, sent = LimiterState(), 1_000_000.0, []
    for gap_s in gaps:
        now += gap_s
        state, wait = take(state, quota, now, limits)
        if wait == 0:
            sent.append(now)
    assert most_within(sent, 3600.0) <= 5


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(-3600, 3600)), max_size=60),
)
def test_a_clock_that_jumps_frees_nothing_backwards_and_delays_a_window_at_most(
    steps: list[tuple[float, float]],
) -> None:
    """After a jump back the wait is never longer than one window, and no burst of true time passes ten."""
    state, true_now, shift, sent = LimiterState(), 1_000_000.0, 0.0, []
    for gap_s, jump_s in steps:
        true_now += gap_s
        shift = min(shift, shift + jump_s)  # only backwards; forwards a wall clock may free a window early
        state, wait = take(state, Quota.NONE, true_now + shift, LIMITS)
        assert wait <= LIMITS.window_s + 1e-6
        if wait == 0:
            sent.append(true_now)
    assert most_within(sent, 1.0) <= 10


def test_the_documented_figures_are_the_defaults() -> None:
    """Ten a second, 1000 status and 100 history queries an hour; of the two figures for logins the smaller."""
    assert (LIMITS.per_second, LIMITS.status_per_hour, LIMITS.history_per_hour, LIMITS.token_per_hour) == (
        10,
        1000,
        100,
        10,
    )


def test_a_status_query_counts_for_the_second_too() -> None:
    """Ten status queries leave no room for an eleventh request of any kind."""
    state = LimiterState()
    for _ in range(10):
        state, wait = take(state, Quota.STATUS, 50.0, LIMITS)
        assert wait == 0
    assert wait_s(state, Quota.NONE, 50.0, LIMITS) == pytest.approx(LIMITS.window_s)


def test_an_exhausted_hour_holds_up_nobody_else() -> None:
    """Who waits for the hourly quota lets others pass, though they came later and matter less."""
    limits = Limits(status_per_hour=1)
    state, _ = take(LimiterState(), Quota.STATUS, 7200.0, limits)
    waiting = [Waiter(Priority.QUERY, 1, Quota.STATUS), Waiter(Priority.BULK, 2, Quota.NONE)]
    assert choose(waiting, state, 7201.0, limits) == (waiting[1], 0.0)
    alone, wait = choose(waiting[:1], state, 7201.0, limits)
    assert alone is None
    assert 3600 < wait <= 3600 + 120


@given(st.lists(st.tuples(st.sampled_from(Priority), st.integers(0, 9999)), min_size=1, unique_by=lambda each: each[1]))
def test_the_most_urgent_goes_first_then_who_came_first(waiting: list[tuple[Priority, int]]) -> None:
    """Refusals before queries, queries before the rest, bulk last."""
    waiters = [Waiter(priority, order, Quota.NONE) for priority, order in waiting]
    assert choose(waiters, LimiterState(), 0.0, LIMITS)[0] == min(waiters)
    assert sorted(Priority) == [Priority.LOGIN, Priority.REFUSAL, Priority.QUERY, Priority.ROUTINE, Priority.BULK]


def test_a_block_of_everything_shuts_every_gate_and_of_one_quota_only_that() -> None:
    """After H124 nobody goes for the pause; after H086 only status queries wait."""
    everything = block(LimiterState(), Quota.NONE, 2, 100.0)
    assert wait_s(everything, Quota.HISTORY, 100.0, LIMITS) == 2
    assert wait_s(everything, Quota.NONE, 102.0, LIMITS) == 0
    status_only = block(LimiterState(), Quota.STATUS, 600, 100.0)
    assert wait_s(status_only, Quota.STATUS, 100.0, LIMITS) == 600
    assert wait_s(status_only, Quota.NONE, 100.0, LIMITS) == 0


def test_a_shorter_block_does_not_end_a_longer_one() -> None:
    """The later end counts."""
    state = block(block(LimiterState(), Quota.TOKEN, 3600, 100.0), Quota.TOKEN, 1, 200.0)
    assert wait_s(state, Quota.TOKEN, 200.0, LIMITS) == 3500


def test_a_request_that_never_arrived_is_given_back_to_the_hour() -> None:
    """A login that met no server leaves room for another, but its second stays counted."""
    limits = Limits(token_per_hour=1)
    state, _ = take(LimiterState(), Quota.TOKEN, 100.0, limits)
    assert take(state, Quota.TOKEN, 101.0, limits)[1] > 3000
    state = give_back(state, Quota.TOKEN)
    assert take(state, Quota.TOKEN, 101.0, limits)[1] == 0
    assert len(state.under_way) == 1
    assert give_back(LimiterState(), Quota.TOKEN) == LimiterState()


def test_of_several_in_a_minute_only_one_is_given_back() -> None:
    """The others reached the registry, and stay counted."""
    limits = Limits(status_per_hour=2)
    state = LimiterState()
    for now in (100.0, 101.0):
        state, _ = take(state, Quota.STATUS, now, limits)
    state, wait = take(give_back(state, Quota.STATUS), Quota.STATUS, 102.0, limits)
    assert wait == 0
    assert take(state, Quota.STATUS, 103.0, limits)[1] > 3000


@given(ARRIVALS)
def test_a_state_survives_packing(arrivals: list[tuple[float, Quota, Priority]]) -> None:
    """What another process unpacks is what was packed."""
    state, now = LimiterState(), 1_000_000.0
    for gap_s, quota, _ in arrivals:
        now += gap_s
        state, _ = take(state, quota, now, LIMITS)
    state = block(state, Quota.TOKEN, 3600, now)
    assert unpack(pack(state)) == state
    assert len(pack(state)) < 16_000


@given(st.binary(max_size=60))
def test_a_damaged_state_is_named_as_such(packed: bytes) -> None:
    """Bytes of others raise ValueError and nothing else."""
    try:
        unpack(packed)
    except ValueError:
        return
    raise AssertionError("random bytes were taken for a state")


def test_a_full_hour_of_status_queries_is_a_small_record() -> None:
    """A thousand queries spread over an hour stay under the size a shared record may have."""
    state, now = LimiterState(), 1_000_000.0
    for _ in range(1000):
        now += 3.4
        state, wait = take(state, Quota.STATUS, now, LIMITS)
        assert wait == 0
    assert len(pack(state)) < 4_000
    assert take(state, Quota.STATUS, now + 1, LIMITS)[1] > 0
    assert counting.unpack(None) == LimiterState()


def test_limits_under_which_nothing_moves_are_refused() -> None:
    """Zero a second, or a window under a second, is a mistake."""
    for wrong in ({"per_second": 0}, {"status_per_hour": 0}, {"window_s": 0.9}):
        with pytest.raises(ValueError):
            Limits(**wrong)
