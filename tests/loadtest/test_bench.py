"""The side-by-side bench: it counts what arrives, tells whose CPU time it was, and says plainly what was missed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loadtest import bench
from loadtest.bench_page import render_page, render_tables
from loadtest.bench_results import LatencyRun, Machine, Results, Run, Target
from loadtest.bench_servers import Sink, find_program, free_port, running_bare_proxy, wait_for_port
from loadtest.process_time import cpu_time

MACHINE = Machine(2, "Some CPU", 4.0, {"Python": "3.11.7"}, 0.0)
KEEP = bench.SCENARIOS[0]


def results_of(**rates: float) -> Results:
    """One run of the first scenario for each route."""
    results = Results(MACHINE, "2026-01-02", [KEEP], 1)
    for route, rate in rates.items():
        results.runs.append(Run(KEEP.name, route, 1000, rate, rate, 60.0, 40.0))
    return results


def test_a_target_missed_is_named_and_one_met_is_not():
    """Twice Postfix is met at 7,000 to 3,000; a third of direct is not at 7,000 to 30,000."""
    page = render_page(results_of(direct=30_000, postfix=3_000, lmdb=7_000, redis=10_000))
    missed = page.partition("Missed:")[2].partition("## Figures")[0]
    assert "share of direct (LMDB): 0.23, at least 0.33" in missed
    assert "Postfix" not in missed
    assert "Redis" not in missed


def test_what_was_not_measured_is_neither_met_nor_missed():
    """A run without Postfix says so in the target's place."""
    page = render_page(results_of(direct=30_000, lmdb=12_000))
    assert "| at least 2.00 × | not measured | not measured |" in page
    assert "All are met." in page


def test_figures_are_medians_over_the_rounds():
    """One slow round does not show."""
    results = results_of(direct=100)
    for rate in (90.0, 5.0):
        results.runs.append(Run(KEEP.name, "direct", 1000, rate, rate, 1.0, 1.0))
    assert results.rate(KEEP.name, "direct") == 90


def test_added_latency_is_the_difference_to_direct():
    results = results_of(direct=1)
    for route, p99 in (("direct", 2.0), ("lmdb", 6.5), ("redis", 8.0)):
        results.latencies.append(LatencyRun(route, 1000, 100, 1.0, p99, 9.0, 10.0))
    page = render_page(results)
    assert "| at most 5.00 ms | 4.50 ms | 6.00 ms |" in page
    assert "99th percentile (Redis): 6.00 ms" in page


def test_the_page_names_neither_machine_nor_path():
    page = render_page(results_of(direct=1, lmdb=1))
    assert os.uname().nodename not in page
    assert str(Path.cwd()) not in page


def test_a_busy_machine_is_mentioned():
    results = results_of(direct=1)
    results.machine.load = 3.5
    assert "Load average before the run: 3.5" in render_page(results)


@pytest.mark.parametrize(("found", "is_met"), [(1.9, False), (2.0, True), (2.1, True)])
def test_a_lower_limit_is_met_from_itself_on(found, is_met):
    assert Target("", "", 2.0, False, lambda *_: found).is_met(found) is is_met
    assert Target("", "", 2.0, True, lambda *_: found).is_met(found) is (not is_met or found == 2.0)


def test_every_table_has_a_row_for_each_route():
    tables = list(render_tables(results_of(direct=2, bare=2, postfix=1, lmdb=1)))
    assert [table.row_count for table in tables] == [4, 7]


def test_cpu_time_is_that_of_the_process_and_all_below_it():
    """A parent that sleeps while its child works has used what the child used, also once that has ended."""
    work = "import time\nwhile time.process_time() < 0.3: pass"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}]); print(flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        used = cpu_time([process.pid])
    finally:
        process.communicate(b"\n", timeout=10)
    assert 0.25 < used.user_s + used.system_s < 3
    assert cpu_time([process.pid]) == (0.0, 0.0)


def test_the_sink_counts_what_the_bare_proxy_hands_on(tmp_path):
    """Every message sent through the floor arrives once, whether sessions are kept open or not."""
    tmp_path.chmod(0o755)
    started = time.monotonic()
    with bench.standing_bench(tmp_path, ["bare"], records=10, sessions=5) as standing:
        for scenario in (KEEP, KEEP._replace(keeps_open=False), KEEP._replace(size_bytes=50_000, recipients=3)):
            for route in ("direct", "bare"):
                run = standing.run(scenario, route, 200)
                assert run.messages_per_second > 0
        personal = KEEP._replace(name="personal", is_personal=True)
        assert standing.run(personal, "bare", 200).recipients_per_second > 0
    assert time.monotonic() - started < 60


def test_the_bare_proxy_outlives_a_sink_that_closes_idle_connections(tmp_path):
    """smtp-sink does after a while, and a bench runs for many minutes: no message may fail for that."""
    tmp_path.chmod(0o755)
    sink_port = free_port()
    sink = [find_program("smtp-sink"), *(("-u", "nobody") if os.geteuid() == 0 else ()), "-t", "1", "-c"]
    with (tmp_path / "count").open("wb") as counter:
        process = subprocess.Popen([*sink, f"127.0.0.1:{sink_port}", "100"], stdout=counter, stderr=counter)
    try:
        wait_for_port(sink_port)
        with running_bare_proxy(tmp_path, sink_port) as proxy:
            standing = bench.Bench(tmp_path, Sink(sink_port, tmp_path / "count"), {"bare": proxy}, 3)
            for _ in range(2):
                time.sleep(2.5)  # idle for longer than the sink's second
                standing.run(KEEP, "bare", 100)
    finally:
        process.terminate()
        process.wait()


def test_a_message_too_few_at_the_sink_is_an_error(tmp_path):
    """The bench does not report the speed of losing mail."""
    tmp_path.chmod(0o755)
    with bench.standing_bench(tmp_path, ["bare"], records=10, sessions=2) as standing:
        standing._sink.wait_for = lambda messages, patience_s=0.0: messages - 1
        with pytest.raises(RuntimeError, match="200 messages due at the sink, 199 came"):
            standing.run(KEEP, "direct", 200)
