"""The one line and the counts of each message: complete, and without a person in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from filters.client import Client
from filters.vocabulary import LookupFailure
from gateway.logs import CanonicalLog, LogSink
from gateway.mail.observer import MailObserver
from gateway.metrics import WorkerMetrics
from gateway.metrics_folder import render_own, use_memory
from gateway.smtp.session import SessionEvent
from tests.support.pipeline_world import COMMERCIAL, INFORMATIONAL, OUTLET, SHOP, PipelineWorld, mail
from tests.support.scripted_upstream import DEFERRED, RELAYED

AYSE, BORA = b"ayse@example.com", b"bora@example.com"


class Watched:
    """A pipeline's world with an observer, its log and its counts."""

    def __init__(self, file: Path) -> None:
        use_memory()
        self.world = PipelineWorld()
        self.metrics = WorkerMetrics([SHOP, OUTLET], ["relay"])
        self._file = file
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
        self.sink = LogSink(self._descriptor)
        self.observer = MailObserver(self.metrics, CanonicalLog(self.sink), self.world.clock)
        self.world.pipeline._observe = self.observer.message_answered
        self.world.pipeline._note_retry = self.observer.retry_noted

    def lines(self) -> list[dict[str, object]]:
        self.sink.flush()
        return [orjson.loads(line) for line in self._file.read_bytes().splitlines()]

    def count(self, series: str) -> float:
        self.metrics.flush()
        for line in render_own(self.metrics.registry).decode().splitlines():
            if line.startswith(f"izinkapi_{series} "):
                return float(line.rpartition(" ")[2])
        raise KeyError(series)

    def close(self) -> None:
        self.sink.close()
        os.close(self._descriptor)
        self.world.close()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    each = Watched(tmp_path / "log")
    yield each
    each.close()


async def test_a_message_leaves_one_line_that_names_nobody(watched: Watched) -> None:
    """Who sent it, of what class and brand, what became of its recipients and why, how fresh the index was."""
    await watched.world.load()
    await watched.world.consent(AYSE)
    watched.world.send(mail(COMMERCIAL), [AYSE, BORA])
    [line] = watched.lines()
    assert line["event"] == "message.answered"
    expected = {
        "message_id": "test-1", "session": "s-1", "client": "shop", "listener": "smtp", "upstream": "relay",
        "class": "commercial", "brand": SHOP, "outcome": "relayed", "reply": 250, "recipients": 2, "relayed": 1,
        "reasons": {"CONSENT": 1, "NO_CONSENT": 1}, "freshness": "fresh", "staleness_s": 60,
    }  # fmt: skip
    assert {name: line[name] for name in expected} == expected
    assert b"@" not in orjson.dumps(line)
    assert watched.count('messages_total{channel="email",outcome="relayed"}') == 1
    assert watched.count('recipients_total{channel="email",reason="NO_CONSENT",verdict="drop"}') == 1
    assert watched.count('lookups_total{result="answered"}') == 1


async def test_retries_and_duplicates_that_were_spared_are_counted(watched: Watched) -> None:
    """The memory of who has a message, kept and used."""
    await watched.world.load()
    fates = {AYSE: RELAYED, BORA: DEFERRED}
    watched.world.upstream.fate_of = fates.__getitem__
    watched.world.send(mail(INFORMATIONAL), [AYSE, BORA])
    fates[BORA] = RELAYED
    watched.world.send(mail(INFORMATIONAL), [AYSE, BORA])
    assert watched.count('retry_memory_total{result="kept"}') == 1
    assert watched.count("duplicates_suppressed_total") == 1
    assert [line["outcome"] for line in watched.lines()] == ["deferred", "relayed"]
    assert all("freshness" not in line for line in watched.lines())


async def test_failed_look_ups_and_refused_rewritings_are_counted_by_their_kind(watched: Watched) -> None:
    """Each of the closed lists has its series from the start."""
    await watched.world.load()
    await watched.world.consent(AYSE)
    watched.world.send(mail(b"Content-Type: image/png"), [AYSE])
    watched.world.index.failure = LookupFailure.TIMED_OUT
    watched.world.send(mail(), [AYSE], client=Client("panel", (SHOP,)))
    assert watched.count('rewrite_refusals_total{detail="no_text"}') == 1
    assert watched.count('lookups_total{result="timed_out"}') == 1
    assert watched.lines()[0]["detail"] == "no_text"


async def test_a_message_refused_before_any_look_up_counts_none(watched: Watched) -> None:
    """No brand, no question to the index."""
    watched.world.send(mail(b"X-Izin-Brand: 999"), [AYSE])
    [line] = watched.lines()
    assert (line["reasons"], line["detail"], line["brand"]) == ({"BRAND_UNKNOWN": 1}, "x-izin-brand", None)
    assert watched.count('lookups_total{result="answered"}') == 0


def test_sessions_and_their_faults_are_counted(watched: Watched) -> None:
    """The others among a session's events have no series of their own."""
    for event in SessionEvent:
        watched.observer.session_event(event)
    assert watched.count("sessions_total") == 1
    assert watched.count("session_failures_total") == 1
