"""The measurement of SMS runs, and what it measures is the real thing."""

from __future__ import annotations

from pathlib import Path

from loadtest.bench_results import Machine
from loadtest.bench_sms import QUICK, measure
from loadtest.bench_sms_results import Bulk, Single, render_page


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


def test_the_page_says_of_each_target_whether_it_is_met() -> None:
    """With the figures found, as they are."""
    single = Single("netgsm", "gateway", 1500.0, 600.0, 5.0, 9.0, 0.75, 0.5)
    bulk = Bulk("netgsm", "one", 50_000, 300.0, 150.0, 450.0, 440.0, 8.8, 40.0)
    machine = Machine(2, "a processor", 8.0, {"Python": "3.11"}, 0.1)
    page = render_page({"single": [single], "bulk": [bulk]}, machine, "2026-01-02", 4, 32)
    assert "| netgsm requests/s | 2,000 | 1,500 | missed |" in page
    assert "| netgsm share of the bare proxy | 0.7 | 0.75 | met |" in page
    assert "| recipients within 500 ms, text one | 50,000 | 55,556 | met |" in page
    assert "| one | 50,000 | 300 | 150 | 440 | 8.8 | 40 |" in page
