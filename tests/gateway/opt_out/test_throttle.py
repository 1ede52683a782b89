"""How often a token may be used."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.opt_out.throttle import Throttle


def test_a_burst_is_admitted_and_then_a_steady_trickle() -> None:
    throttle = Throttle(burst=3, per_s=0.5)
    assert [throttle.admit("a", 0.0) for _ in range(5)] == [True, True, True, False, False]
    assert [throttle.admit("a", at) for at in (1.0, 2.0, 3.0, 4.0)] == [False, True, False, True]


def test_tokens_do_not_share_a_bucket() -> None:
    throttle = Throttle(burst=1, per_s=0.1)
    assert throttle.admit("a", 0.0)
    assert throttle.admit("b", 0.0)
    assert not throttle.admit("a", 0.0)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 5)), max_size=60))
def test_no_token_exceeds_burst_and_rate(uses: list[tuple[str, float]]) -> None:
    """Whatever the order of tokens and pauses."""
    throttle = Throttle(burst=4, per_s=0.5)
    now, admitted = 0.0, {"a": 0, "b": 0}
    for token, pause in uses:
        now += pause
        admitted[token] += throttle.admit(token, now)
    assert all(count <= 4 + now * 0.5 + 1e-6 for count in admitted.values())


def test_a_flood_of_invented_tokens_takes_no_memory() -> None:
    throttle = Throttle(capacity=100)
    for number in range(1000):
        throttle.admit(f"{number}" * 100, float(number))
    assert len(throttle._buckets) == 100
