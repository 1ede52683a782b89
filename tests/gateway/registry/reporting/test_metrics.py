"""What Prometheus is told of reports and of the proof."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import pathlib, sys
from gateway import metrics_folder
folder = pathlib.Path(sys.argv[1])
metrics_folder.use_directory(folder)
from gateway.registry.proof_day import DayResult, DayState
from gateway.registry.proof_sample import SampleResult
from gateway.registry.reporting.fates import Fate
from gateway.registry.reporting.metrics import ReportingMetrics
told = ReportingMetrics([600123, 600124])
told.report_settled(600123, Fate.STORED, "")
told.report_settled(600123, Fate.LATE, "H467")
told.outbox_seen(1_795_000_000, 7, 3, {"H467": 2, "address_unknown": 1})
told.day_proven(DayResult(600123, "2026-11-17", DayState.REPAIRED, missing=2, contrary=1))
told.day_proven(DayResult(600124, "2026-11-17", DayState.FAILED, problem="limited"))
told.sample_proven(SampleResult(600123, asked=10, loose=1))
sys.stdout.buffer.write(metrics_folder.render(folder))
"""


def test_reports_and_proofs_are_counted_and_known_series_begin_at_zero(tmp_path: Path) -> None:
    """In a process of its own, as prometheus-client decides once how its values are kept."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(folder)], capture_output=True, timeout=60, check=True)
    lines = set(done.stdout.decode().splitlines())
    assert {
        'izinkapi_reports_total{brand="600123",fate="stored"} 1.0',
        'izinkapi_reports_total{brand="600123",fate="late"} 1.0',
        'izinkapi_reports_total{brand="600124",fate="veto"} 0.0',
        "izinkapi_reports_overdue 3.0",
        "izinkapi_reports_parked 3.0",
        'izinkapi_index_divergence_total{brand="600123",by="file"} 3.0',
        'izinkapi_index_divergence_total{brand="600123",by="sample"} 1.0',
        'izinkapi_index_divergence_total{brand="600124",by="file"} 0.0',
        'izinkapi_proof_failed_total{brand="600124"} 1.0',
        'izinkapi_proof_timestamp_seconds{brand="600124"} 0.0',
    } <= lines
