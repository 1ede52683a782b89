"""The life of the shared token."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from filters.registry.calls.token import TokenAnswer
from filters.registry.token_state import (
    TokenState,
    TokenStep,
    claimed,
    next_step,
    pack,
    released,
    renewed,
    unpack,
    without_access,
    without_refresh,
)

ANSWER = TokenAnswer("a1", "r1", 7200, 14400)
FRESH = renewed(ANSWER, 1000.0)
STATES = st.builds(
    TokenState,
    st.sampled_from(["", "a"]),
    st.sampled_from(["", "r"]),
    *[st.floats(0, 3000)] * 2,
    st.sampled_from(["", "me", "other"]),
    st.floats(0, 3000),
)


def test_the_token_is_used_until_shortly_before_its_end_then_refreshed_then_asked_anew() -> None:
    """Two hours less five minutes; then the refresh token for four hours; then the password."""
    assert next_step(FRESH, 1000.0) is TokenStep.USE
    assert next_step(FRESH, 1000.0 + 7200 - 301) is TokenStep.USE
    assert next_step(FRESH, 1000.0 + 7200 - 299) is TokenStep.REFRESH
    assert next_step(FRESH, 1000.0 + 14400 - 10) is TokenStep.REFRESH
    assert next_step(FRESH, 1000.0 + 14400) is TokenStep.LOG_IN
    assert next_step(TokenState(), 0.0) is TokenStep.LOG_IN


def test_while_one_renews_the_others_use_what_is_still_good_or_wait() -> None:
    """Only one is at it."""
    late = 1000.0 + 7200 - 100
    assert next_step(claimed(FRESH, "other", late, 90), late) is TokenStep.USE
    ended = 1000.0 + 7200
    assert next_step(claimed(FRESH, "other", ended, 90), ended) is TokenStep.WAIT
    assert next_step(claimed(FRESH, "other", ended, 90), ended + 91) is TokenStep.REFRESH


@given(STATES, st.floats(0, 3000))
def test_a_token_that_ended_is_never_used(state: TokenState, now: float) -> None:
    """Whatever the rest of the state says."""
    if next_step(state, now) is TokenStep.USE:
        assert state.access_token
        assert now < state.access_until


@given(STATES)
def test_a_state_survives_packing(state: TokenState) -> None:
    """What another process unpacks is what was packed."""
    assert unpack(pack(state)) == state


@given(st.binary(max_size=80) | st.none() | st.sampled_from([b"{}", b'{"access_token":1}', b"[]"]))
def test_a_damaged_state_is_an_empty_one(packed: bytes | None) -> None:
    """Then somebody logs in; nothing raises."""
    assert unpack(packed) == TokenState()


def test_a_refused_token_is_forgotten_only_if_nobody_has_replaced_it() -> None:
    """Late 401s for the old token do not throw the new one away."""
    assert without_access(FRESH, "older") == FRESH
    assert next_step(without_access(FRESH, "a1"), 1000.0) is TokenStep.REFRESH
    assert without_refresh(FRESH, "older") == FRESH
    assert next_step(without_refresh(without_access(FRESH, "a1"), "r1"), 1000.0) is TokenStep.LOG_IN


def test_only_who_claimed_releases() -> None:
    """Another's claim stays."""
    state = claimed(FRESH, "me", 1000.0, 90)
    assert released(state, "other") == state
    assert released(state, "me") == FRESH


def test_no_text_of_a_state_shows_a_token() -> None:
    """It may end in a log."""
    assert "a1" not in repr(FRESH)
    assert "r1" not in repr(FRESH)
