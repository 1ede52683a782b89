"""The SMPP bench measures what it says, and ends what it started."""

from __future__ import annotations

import multiprocessing

from loadtest.bench_smpp import measure


def test_every_message_is_answered_and_accepted_both_ways() -> None:
    """Straight to the simulator and through the gateway's two links; no process is left behind."""
    runs = measure(300, 10)
    assert [run.way for run in runs] == ["direct", "gateway"]
    assert [run.accepted for run in runs] == [300, 300]
    assert all(0 < run.p50_ms <= run.p99_ms for run in runs)
    assert runs[1].cpu_us > 0
    assert multiprocessing.active_children() == []
