"""The measurement of SMS runs, and what it measures is the real thing."""

from __future__ import annotations

from pathlib import Path

from loadtest.bench_sms import QUICK, Bulk, Single, measure


def test_singles_and_a_large_request_are_measured_through_the_gateway_and_the_bare_proxy(tmp_path: Path) -> None:
    """Wrong answers, and texts without or with an opt-out where the other is due, would end the run."""
    found = measure(["single", "bulk"], QUICK._replace(seconds=0.1), tmp_path)
    singles = [each for each in found["single"] if isinstance(each, Single)]
    bulks = [each for each in found["bulk"] if isinstance(each, Bulk)]
    assert [(each.dialect, each.way) for each in singles] == [
        ("netgsm", "bare"),
        ("netgsm", "gateway"),
        ("infobip", "bare"),
        ("infobip", "gateway"),
    ]
    assert all(each.per_second > 0 and each.p50_ms > 0 for each in singles)
    assert [(each.texts, each.recipients) for each in bulks] == [("one", 2000), ("each", 2000)]
    assert all(each.to_upstream_ms > 0 and each.longest_wait_ms > 0 for each in bulks)
    assert (tmp_path / "gateway.log").stat().st_size > 0
