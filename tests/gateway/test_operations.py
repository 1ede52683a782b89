"""The page for operators and the service unit say what the program does."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from gateway.configuration.document import Document
from gateway.configuration.schema import walk
from gateway.configuration.values import Duration

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
METRICS = (ROOT / "gateway/metrics.py").read_text(encoding="utf-8")
UNIT_FILE = ROOT / "config/systemd/izinkapi.service"


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\bizinkapi_([a-z_]+)", PAGE))))
def test_a_metric_that_operators_are_told_to_watch_exists(name: str) -> None:
    """A renamed metric would leave an alarm that never rings."""
    assert f'"{name}"' in METRICS


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([a-z]+\.[a-z_]+)`", PAGE))))
def test_a_setting_or_file_the_page_names_exists(name: str) -> None:
    settings = {".".join(path) for path, _ in walk()}
    assert name in settings or name in {"index.key", "token.keys", "outbox.keys", "evidence.pem"}


def test_the_service_manager_waits_longer_than_the_drain() -> None:
    """Or it would kill sessions that are being drained."""
    unit = read_unit()
    stop = Duration.parse(unit["Service"]["TimeoutStopSec"])
    assert stop > Document().gateway.drain_timeout


def test_the_service_checks_before_it_starts_and_reloads_by_sighup() -> None:
    service = read_unit()["Service"]
    assert " check-config -c " in service["ExecStartPre"]
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert (service["KillSignal"], service["KillMode"]) == ("SIGTERM", "mixed")


def read_unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(UNIT_FILE.read_text(encoding="utf-8"))
    return parser
