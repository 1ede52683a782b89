"""What ``/metrics`` says: complete from the start, summed over workers, right after they end."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from filters.mime.refusal import RewriteDetail
from filters.reason import Reason
from filters.vocabulary import Channel, FreshnessState, LookupFailure, Outcome, Verdict
from gateway import metrics, metrics_folder
from gateway.metrics import SupervisorMetrics, WorkerMetrics, message_outcome
from gateway.metrics_folder import render, render_own

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_memory():
    """These tests keep the values of this process in memory; processes of their own use a folder."""
    metrics_folder.use_memory()


def values_of(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name.removeprefix("izinkapi_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def value(text: bytes, name: str, **labels: str) -> float | None:
    return values_of(text).get((name, tuple(sorted(labels.items()))))


def run_worker(directory: Path, code: str) -> int:
    """Run ``code`` with a ``WorkerMetrics`` w in a process of its own; its process id."""
    program = (
        "import os, sys, pathlib\n"
        "from gateway import metrics_folder\n"
        f"metrics_folder.use_directory(pathlib.Path({str(directory)!r}))\n"
        "from gateway.metrics import WorkerMetrics, SupervisorMetrics\n"
        "from filters.vocabulary import *\n"
        "from filters.reason import Reason\n"
        "w = WorkerMetrics([600123], ['relay'])\n" + textwrap.dedent(code) + "\nw.close()\nprint(os.getpid())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=60, check=True)
    return int(done.stdout)


def test_known_series_are_there_at_zero_from_the_start():
    """Every member of every closed list, so that the first event is a step from 0 to 1 and not a new series."""
    text = render_own(WorkerMetrics([600123], ["relay"]).registry)
    for channel in (Channel.EMAIL, Channel.SMS):
        for outcome in Outcome:
            assert value(text, "messages_total", channel=channel, outcome=outcome) == 0
        for reason in Reason:
            found = [key for key in values_of(text) if ("reason", reason) in key[1] and ("channel", channel) in key[1]]
            assert len(found) == 1, reason
    for failure in LookupFailure:
        assert value(text, "lookups_total", result=failure) == 0
    for detail in RewriteDetail:
        assert value(text, "rewrite_refusals_total", detail=detail) == 0
    for state in FreshnessState:
        assert value(text, "freshness_state", brand="600123", state=state) == 0
    assert value(text, "upstream_replies_total", upstream="relay", result="unreachable") == 0
    assert value(text, "duplicates_suppressed_total") == 0
    assert value(text, "outbox_pending", brand="600123") == 0
    own = render_own(SupervisorMetrics("1.0").registry)
    assert value(own, "worker_restarts_total") == 0
    assert value(own, "configuration_reloads_total", result="refused") == 0
    assert value(own, "build_info", version="1.0") == 1


def test_what_was_counted_appears_after_a_flush():
    """Counters, timings and gauges, each under its labels."""
    worker = WorkerMetrics([600123], ["relay"])
    worker.count_message(Channel.EMAIL, Outcome.RELAYED, 0.003, 4096)
    worker.count_message(Channel.EMAIL, Outcome.RELAYED, 400.0, 1)
    worker.count_recipient(Channel.EMAIL, Verdict.DROP, Reason.NO_CONSENT)
    worker.count_recipient(Channel.EMAIL, Verdict.DEFER, Reason.CONSENT)  # a pair that was not expected
    worker.count_lookup(None, 0.0001)
    worker.count_lookup(LookupFailure.TIMED_OUT, 1.0)
    worker.observe_decision(0.00001)
    worker.count_upstream_reply("relay", "relayed")
    worker.count_commit(0.0003, 12)
    worker.count_evidence_failures(2)
    worker.count_refusal(Channel.EMAIL, "HS_WEB")
    worker.count_refusal_failure()
    worker.count_rewrite_refusal(RewriteDetail.SIGNED)
    worker.count_retry_memory(True)
    worker.count_duplicates_suppressed(3)
    worker.count_page("ask", 200)
    worker.count_intake_reply("250")
    worker.count_http_turned_away("too_many")
    worker.count_session()
    worker.count_session_failure()
    worker.change_connections("relay", 1)
    worker.set_freshness(600123, FreshnessState.AGING, 1_780_000_000)
    worker.set_outbox(600123, 4, 1_780_100_000)
    worker.flush()
    worker.flush()
    text = render_own(worker.registry)
    expected = {
        ("messages_total", (("channel", "email"), ("outcome", "relayed"))): 2,
        ("recipients_total", (("channel", "email"), ("reason", "NO_CONSENT"), ("verdict", "drop"))): 1,
        ("recipients_total", (("channel", "email"), ("reason", "CONSENT"), ("verdict", "defer"))): 1,
        ("lookups_total", (("result", "answered"),)): 1,
        ("lookups_total", (("result", "timed_out"),)): 1,
        ("upstream_replies_total", (("result", "relayed"), ("upstream", "relay"))): 1,
        ("evidence_records_total", (("result", "kept"),)): 12,
        ("evidence_records_total", (("result", "failed"),)): 2,
        ("refusals_total", (("channel", "email"), ("source", "HS_WEB"))): 1,
        ("refusal_failures_total", ()): 1,
        ("rewrite_refusals_total", (("detail", "signed"),)): 1,
        ("retry_memory_total", (("result", "kept"),)): 1,
        ("duplicates_suppressed_total", ()): 3,
        ("page_responses_total", (("route", "ask"), ("status", "200"))): 1,
        ("intake_replies_total", (("code", "250"),)): 1,
        ("http_turned_away_total", (("cause", "too_many"),)): 1,
        ("sessions_total", ()): 1,
        ("session_failures_total", ()): 1,
        ("received_bytes_total", ()): 4097,
        ("upstream_connections", (("upstream", "relay"),)): 1,
        ("freshness_state", (("brand", "600123"), ("state", "aging"))): 1,
        ("freshness_state", (("brand", "600123"), ("state", "fresh"))): 0,
        ("index_synced_timestamp_seconds", (("brand", "600123"),)): 1_780_000_000,
        ("outbox_pending", (("brand", "600123"),)): 4,
        ("outbox_oldest_due_timestamp_seconds", (("brand", "600123"),)): 1_780_100_000,
        ("message_duration_seconds_count", ()): 2,
        ("message_duration_seconds_sum", ()): 400.003,
        ("message_duration_seconds_bucket", (("le", "0.002"),)): 0,
        ("message_duration_seconds_bucket", (("le", "0.005"),)): 1,
        ("message_duration_seconds_bucket", (("le", "300.0"),)): 1,
        ("message_duration_seconds_bucket", (("le", "+Inf"),)): 2,
        ("evidence_commit_duration_seconds_count", ()): 1,
        ("decision_duration_seconds_bucket", (("le", "1e-05"),)): 1,
    }
    found = values_of(text)
    assert {key: found.get(key) for key in expected} == expected


def test_a_timing_counts_as_the_client_library_would():
    """The accumulated buckets are those of ``Histogram.observe``."""
    worker = WorkerMetrics()
    plain = metrics._Declarations().histogram("plain", "x", metrics._MESSAGE_BUCKETS)
    for seconds in (0.0, 0.001, 0.0010001, 0.3, 300.0, 1e9):
        plain.observe(seconds)
        worker.count_message(Channel.EMAIL, Outcome.RELAYED, seconds)
    worker.flush()
    ours = worker._message_seconds._histogram
    assert [bucket.get() for bucket in ours._buckets] == [bucket.get() for bucket in plain._buckets]
    assert ours._sum.get() == plain._sum.get()


def test_workers_are_summed_and_the_sum_never_falls_when_one_ends(tmp_path):
    """Counts of ended workers stay, their gauges go, and the folder does not grow with restarts."""
    count = (
        "w.count_message(Channel.EMAIL, Outcome.RELAYED, 0.003); w.sessions_active.set(5)\n"
        "w.evidence_writable.set(%d)\n"
        "w.set_freshness(600123, FreshnessState.%s, %d)"
    )
    first = run_worker(tmp_path, count % (1, "FRESH", 100))
    second = run_worker(tmp_path, count % (0, "STALE", 50))
    text = render(tmp_path)
    assert value(text, "messages_total", channel="email", outcome="relayed") == 2
    assert value(text, "message_duration_seconds_count") == 2
    assert value(text, "sessions_active") == 10
    assert value(text, "evidence_writable") == 0
    assert value(text, "freshness_state", brand="600123", state="stale") == 1
    assert value(text, "index_synced_timestamp_seconds", brand="600123") == 100
    metrics_folder.forget_process(tmp_path, second)
    text = render(tmp_path)
    assert value(text, "messages_total", channel="email", outcome="relayed") == 2
    assert value(text, "message_duration_seconds_bucket", le="0.005") == 2
    assert value(text, "sessions_active") == 5
    assert value(text, "evidence_writable") == 1
    metrics_folder.forget_process(tmp_path, first)
    for _ in range(3):
        metrics_folder.forget_process(tmp_path, run_worker(tmp_path, count % (1, "FRESH", 1)))
    assert value(render(tmp_path), "messages_total", channel="email", outcome="relayed") == 5
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["counter_ended.db", "histogram_ended.db"]


def test_forgetting_a_process_that_left_nothing_is_harmless(tmp_path):
    metrics_folder.forget_process(tmp_path, 999_999)
    assert list(tmp_path.iterdir()) == []


async def test_flushing_goes_on_by_itself(monkeypatch):
    """With CPU time and memory of the process."""
    import asyncio

    monkeypatch.setattr(metrics, "FLUSH_S", 0.01)
    worker = WorkerMetrics()
    worker.flush_regularly(asyncio.get_running_loop())
    worker.count_session()
    await asyncio.sleep(0.1)
    text = render_own(worker.registry)
    assert value(text, "sessions_total") == 1
    assert value(text, "resident_memory_bytes") > 1_000_000
    assert value(text, "cpu_seconds_total") > 0
    worker.close()


def test_the_supervisors_series_follow_what_it_says():
    """Counters move by the difference, however often they are brought up to date."""
    own = SupervisorMetrics()
    for restarts in (1, 1, 3):
        own.follow(
            restarts=restarts,
            reloads={"done": 1, "refused": 0},
            loaded_at=7.0,
            worker_states=["ready", "ready", "draining", "whatever"],
            is_ready=True,
        )
    text = render_own(own.registry)
    assert value(text, "workers", state="ready") == 2
    assert value(text, "workers", state="silent") == 1
    assert value(text, "ready") == 1
    assert value(text, "worker_restarts_total") == 3
    assert value(text, "configuration_reloads_total", result="done") == 1
    assert value(text, "configuration_loaded_timestamp_seconds") == 7


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([Outcome.RELAYED, Outcome.DROPPED], Outcome.RELAYED),
        ([Outcome.RELAYED, Outcome.DEFERRED], Outcome.DEFERRED),
        ([Outcome.DEFERRED, Outcome.UNKNOWN], Outcome.UNKNOWN),
        ([Outcome.RELAYED, Outcome.REFUSED], Outcome.REFUSED),
        ([Outcome.DROPPED], Outcome.DROPPED),
    ],
)
def test_a_message_is_counted_under_what_still_needs_care(outcomes, expected):
    assert message_outcome(outcomes) is expected


def test_upstream_results_are_those_the_pool_tells():
    """The list here is written out because the gateway does not import adapters; it must not drift apart."""
    from adapters.smtp.outcomes import TransactionResult

    assert set(metrics.UPSTREAM_RESULTS) == set(TransactionResult)
