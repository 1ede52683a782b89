"""The rules and the dashboard that come with the program fit its metrics, by Prometheus' own tool."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = ROOT / "config" / "prometheus"
DASHBOARD = ROOT / "config" / "grafana" / "izinkapi.json"
_FAMILY = re.compile(r"izinkapi_[a-z_]+")


@pytest.fixture(scope="module")
def rendered() -> bytes:
    """All metrics of a worker, of the supervisor and of the reports to the registry."""
    program = (
        "import pathlib, sys, tempfile\n"
        "from gateway import metrics, metrics_folder\n"
        "folder = pathlib.Path(tempfile.mkdtemp())\n"
        "metrics_folder.use_directory(folder)\n"
        "w = metrics.WorkerMetrics([600123], ['relay']); s = metrics.SupervisorMetrics('1.0')\n"
        "from gateway.registry.reporting.metrics import ReportingMetrics\n"
        "up = ReportingMetrics([600123])\n"
        "from gateway.registry.metrics import SyncMetrics, WorkerRegistryMetrics\n"
        "down = SyncMetrics([600123]); there = WorkerRegistryMetrics(); down.call_ended('changes', 'ok', 0.1)\n"
        "w.count_sms_call('netgsm', 'send', 200); w.flush()\n"
        "sys.stdout.buffer.write(metrics_folder.render(folder))\n"
        "import shutil; shutil.rmtree(folder)\n"
    )
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=60, check=True).stdout


def promtool(*arguments: str, given: bytes = b"") -> tuple[int, str]:
    done = subprocess.run(
        ["promtool", *arguments], input=given, capture_output=True, timeout=60, check=False, cwd=RULES
    )
    return done.returncode, (done.stdout + done.stderr).decode()


def test_the_metrics_keep_to_prometheus_conventions(rendered):
    """``promtool check metrics`` has nothing to say: names, units, help texts."""
    assert promtool("check", "metrics", given=rendered) == (0, "")


def test_the_alert_rules_are_valid():
    code, said = promtool("check", "rules", "alerts.yml")
    assert code == 0, said


def test_the_alert_rules_fire_when_they_should_and_not_beside_it():
    code, said = promtool("test", "rules", "tests.yml", "tests-of-days.yml")
    assert code == 0, said


def test_every_rule_has_a_test_and_a_remark_on_noise():
    rules = (RULES / "alerts.yml").read_text()
    names = re.findall(r"- alert: (\w+)", rules)
    assert len(names) > 10
    assert rules.count("noise: ") == rules.count("summary: ") == len(names)
    tested = "".join(path.read_text() for path in RULES.glob("tests*.yml"))
    assert [name for name in names if f"alertname: {name}" not in tested] == []


def known_families(rendered: bytes) -> set[str]:
    names = {line.split()[2] for line in rendered.decode().splitlines() if line.startswith("# TYPE")}
    return names | {f"{name}{suffix}" for name in names for suffix in ("_bucket", "_sum", "_count")}


@pytest.mark.parametrize("path", [*sorted(RULES.glob("*.yml")), DASHBOARD])
def test_rules_and_dashboard_name_only_metrics_that_exist(path, rendered):
    """A renamed metric would leave an alert that can never fire, or an empty panel."""
    assert set(_FAMILY.findall(path.read_text())) - known_families(rendered) == set()


def test_the_dashboard_shows_every_metric(rendered):
    """Except those only alerts or joins need."""
    names = {line.split()[2] for line in rendered.decode().splitlines() if line.startswith("# TYPE")}
    shown = DASHBOARD.read_text()
    unshown = {name for name in names if name not in shown}
    assert unshown == {
        "izinkapi_build_info",
        "izinkapi_configuration_loaded_timestamp_seconds",
        "izinkapi_http_turned_away_total",
        "izinkapi_index_divergence_total",
        "izinkapi_intake_replies_total",
        "izinkapi_page_responses_total",
        "izinkapi_proof_failed_total",
        "izinkapi_proof_timestamp_seconds",
        "izinkapi_received_bytes_total",
        "izinkapi_reports_overdue",
        "izinkapi_reports_parked",
        "izinkapi_reports_total",
        "izinkapi_session_failures_total",
        "izinkapi_sessions_total",
    }


def test_the_dashboards_expressions_are_valid(tmp_path):
    """Each as a rule of its own before promtool's parser."""
    expressions = [
        target["expr"].replace("$__rate_interval", "5m")
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel["targets"]
    ]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    path = tmp_path / "panels.json"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))  # JSON is YAML
    code, said = promtool("check", "rules", str(path))
    assert code == 0, said
