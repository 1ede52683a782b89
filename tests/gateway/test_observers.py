"""What parts of the gateway tell ends up in the metrics."""

from __future__ import annotations

import structlog
from prometheus_client.parser import text_string_to_metric_families

from filters.exchange import Refusal
from filters.vocabulary import Channel
from gateway import metrics_folder
from gateway.metrics import WorkerMetrics
from gateway.metrics_folder import render_own
from gateway.observers import Observer


def test_each_notice_moves_its_series_and_faults_are_logged():
    """One call each; the log names no person and the address of the refusal is nowhere in it."""
    metrics_folder.use_memory()
    worker = WorkerMetrics([600123], ["relay"])
    observer = Observer(worker)
    refusal = Refusal(600123, Channel.EMAIL, b"k" * 10, b"ayse@example.com", None, 1_785_600_000, "HS_WEB")
    with structlog.testing.capture_logs() as logged:
        observer.on_reply("relay", "relayed")
        observer.on_connection("relay", 1)
        observer.page_answered("ask", 200)
        observer.page_failed(ValueError("x"))
        observer.http_malformed()
        observer.http_turned_away()
        observer.mail_answered("250 2.0.0")
        observer.mail_failed(ValueError("x"))
        observer.refusal_recorded(refusal, has_evidence=True)
        observer.refusal_failed(refusal)
        observer.evidence_reported("evidence.lost", {"error": "No space left on device"})
        observer.evidence_reported("head.signed", {"writer": "mx1-0"})
    worker.flush()
    moved = {
        sample.name.removeprefix("izinkapi_"): sample.value
        for family in text_string_to_metric_families(render_own(worker.registry).decode())
        for sample in family.samples
        if sample.value == 1 and not sample.name.endswith("_created")
    }
    assert set(moved) == {
        "upstream_replies_total",
        "upstream_connections",
        "page_responses_total",
        "http_turned_away_total",
        "intake_replies_total",
        "refusals_total",
        "refusal_failures_total",
    }
    assert [(line["log_level"], line["event"]) for line in logged] == [
        ("error", "page.failed"),
        ("error", "intake.failed"),
        ("info", "refusal.recorded"),
        ("error", "refusal.failed"),
        ("error", "evidence.lost"),
        ("info", "head.signed"),
    ]
    assert "ayse" not in str(logged)
