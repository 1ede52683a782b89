"""A worker's memory after thousands of messages is what it was after the first hundreds."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.soak import SoakOptions, find_growth, run_soak


@pytest.mark.parametrize("store", ["lmdb", "redis"])
async def test_memory_does_not_grow_with_the_messages(tmp_path: Path, store: str) -> None:
    """The bound is far below one mail, one envelope or one record kept of each."""
    options = SoakOptions(messages=8000, store=store, people=500, readings=12, settling_s=0.3, workers=1)
    report = await run_soak(options, tmp_path)
    print(f"{[round(total / 1e6, 2) for total in report.totals]} MB, peak {report.peak_bytes / 1e6:.1f} MB")
    assert report.messages == 8000
    assert report.codes.keys() == {"250", "550"}
    assert report.replaced_workers == 0
    assert report.bytes_a_message < 200
    assert report.totals[-1] < 120e6


@pytest.mark.parametrize("slope", [0.0, 48.0, 1000.0])
def test_growth_is_the_slope_of_the_second_half(slope: float) -> None:
    """What is taken while warming up does not count."""
    counts = list(range(0, 10_000, 500))
    totals = [50_000_000 + (min(count, 3000) * 900) + int(count * slope) for count in counts]
    assert find_growth(counts, totals) == pytest.approx(slope, abs=0.1)
