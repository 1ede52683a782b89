"""Any part killed at any moment under load, with people refusing meanwhile: the short form of ``loadtest.chaos``."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.chaos import ChaosOptions, run_chaos


@pytest.mark.parametrize("store", ["lmdb", "redis"])
async def test_chaos_breaks_no_promise(tmp_path: Path, store: str) -> None:
    """Nothing unconsented out, refusals pressed meanwhile included; nothing acknowledged lost or without its record."""
    options = ChaosOptions(seconds=7, store=store, seed=11, rate=80, people=1000, pause_s=(0.4, 1.4))
    report = await run_chaos(options, tmp_path, print)
    print(report)
    assert report.broken == []
    assert sum(report.killed.values()) > 0
    assert report.refusals_confirmed > 0
    assert report.commercial.taken > 0
    assert report.evidence.records >= report.commercial.sent / 5
