"""Refusals that pile up while the registry is down, and a reporting process that is killed while it works them off."""

from __future__ import annotations

from pathlib import Path

from loadtest.report_backlog import run

COUNT = 5000


def test_every_refusal_is_reported_once_and_in_time_whatever_is_killed(tmp_path: Path) -> None:
    """Two simulated days without the registry, then ``kill -9`` at random: none lost, none twice, none late.

    (Law 6563, 8/3 with Reg. 9-10: three business days.)
    """
    outcome = run(COUNT, 3, tmp_path, seed=7, speed=600.0, most_s=100.0)
    assert outcome.kills == 3
    assert (outcome.reported, outcome.twice, outcome.late, outcome.left_in_outbox) == (COUNT, 0, 0, 0)
    assert outcome.least_left_s > 86400
