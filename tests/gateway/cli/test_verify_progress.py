"""What ``izinkapi registry verify`` shows while it works, where nobody looks at a terminal."""

from __future__ import annotations

import pytest

from gateway.cli.registry import verifying
from gateway.registry.comparison import Checked


def test_without_a_terminal_a_line_tells_share_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Once a minute; the rate is that of this run, not of what an interrupted one had done."""
    now = 1000.0
    monkeypatch.setattr(verifying, "monotonic", lambda: now)
    with verifying.VerifyProgress(hidden=False) as bar:
        bar.counted(500, 10_000)
        bar.began(5_000, 10_000, Checked(rows=50_000, asked=50_000))
        now += 30
        bar.verified(5_500, 10_000, Checked(rows=55_000, asked=55_000))
        now += 30
        bar.verified(6_000, 10_000, Checked(rows=60_000, asked=60_000, withdrawn=3, open=1))
        now += 1
        bar.verified(6_100, 10_000, Checked(rows=61_000, asked=61_000))
    assert capfd.readouterr().err == "asking: 60.0%, 60,000 asked, 167/s, 4 differ, 4 min left\n"


def test_asked_for_json_it_says_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    """Scripts read the answer alone."""
    with verifying.VerifyProgress(hidden=True) as bar:
        bar.counted(500, 10_000)
        bar.began(0, 10_000, Checked())
        bar.verified(10_000, 10_000, Checked(rows=1, asked=1))
    assert capfd.readouterr() == ("", "")
