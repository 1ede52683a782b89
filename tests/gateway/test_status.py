"""Ready, healthy, and what the status page says: taken from what workers report."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from filters.vocabulary import FreshnessState
from gateway.admin import AdminServer
from gateway.processes.sockets import bind
from gateway.status import REPORT_EXPIRES_S, Readiness, WorkerState, is_healthy, readiness, status_page, worker_state

NOW = 1_790_000_000.0
UTC_NOW = "2026-09-21T14:13:20+00:00"
FRESH = {"600123": {"state": FreshnessState.FRESH, "watermark_at": int(NOW) - 60, "staleness_s": 60}}


def worker(
    slot: int = 0, *, state: str = "ready", age_s: float = 1.0, reasons: tuple[str, ...] = (), brands: Any = None
) -> WorkerState:
    report: Any = {"state": state, "reasons": list(reasons), "brands": FRESH if brands is None else brands}
    return WorkerState(slot, 100 + slot, 1, NOW - age_s, report)


STARTING = WorkerState(1, 101, 1, 0.0, {"state": "starting", "reasons": ["starting"]})


def ask(*workers: WorkerState, is_draining: bool = False) -> Readiness:
    return readiness(workers, NOW, is_draining=is_draining)


def test_ready_where_every_worker_that_takes_connections_would_decide() -> None:
    """Nothing is missing anywhere."""
    assert ask(worker(0), worker(1)) == Readiness(True, ())


@pytest.mark.parametrize(
    "reason",
    [
        "store: unreachable",
        "evidence: not writable",
        "upstream relay: not reached yet",
        "store: never loaded, or emptied",
    ],
)
def test_not_ready_where_one_worker_lacks_what_it_needs(reason: str) -> None:
    """A connection may come to that very worker; the reason is named once, however many lack it."""
    lacking = [worker(number, state="waiting", reasons=(reason,)) for number in (1, 2)]
    assert ask(worker(0), *lacking) == Readiness(False, (reason,))


def test_not_ready_where_a_worker_has_fallen_silent() -> None:
    """Its connections are taken by the kernel and answered by nobody."""
    silent = worker(1, age_s=REPORT_EXPIRES_S + 1)
    assert ask(worker(0), silent) == Readiness(False, ("worker 1: silent",))
    assert worker_state(silent, NOW) == "silent"
    assert is_healthy([worker(0), silent], NOW)
    assert not is_healthy([silent], NOW)


def test_workers_that_start_or_drain_do_not_count() -> None:
    """During a reload the old ones leave and the new ones come, and somebody takes connections all the time."""
    assert ask(worker(0), STARTING, worker(2, state="draining", reasons=("draining",))).is_ready
    assert ask(STARTING) == Readiness(False, ("no worker reports",))
    assert ask() == Readiness(False, ("no worker reports",))


def test_not_ready_while_the_whole_gateway_drains() -> None:
    """Whatever its workers still can."""
    assert ask(worker(0), is_draining=True) == Readiness(False, ("draining",))


@pytest.mark.parametrize("state", [FreshnessState.STALE, FreshnessState.BLIND, FreshnessState.COLD])
def test_not_ready_while_no_brand_is_known_freshly_enough(state: FreshnessState) -> None:
    """Every commercial message would be deferred."""
    brands = {"600123": {"state": state}, "600124": {"state": FreshnessState.COLD}}
    found = ask(worker(brands=brands))
    first = "never loaded" if state is FreshnessState.COLD else f"is {state}"
    assert found == Readiness(False, (f"brand 600123: index {first}", "brand 600124: index never loaded"))
    assert not ask(worker(brands={})).is_ready


def test_one_brand_that_is_not_loaded_is_named_and_stops_no_other() -> None:
    """The gateway is ready; who watches that brand can see why its mail waits."""
    brands = {**FRESH, "600124": {"state": FreshnessState.COLD}}
    assert ask(worker(brands=brands)) == Readiness(True, ("brand 600124: index never loaded",))


def test_the_status_page_shows_the_newest_word_and_every_worker() -> None:
    """Store, evidence, outbox and brands from the worker that spoke last."""
    old, new = worker(1, age_s=3, brands={}), worker(0, age_s=1)
    new.report["outbox"] = {"600123": {"pending": 2, "oldest_due_at": int(NOW)}}
    page = status_page([old, new], NOW, {"version": "9"}, is_draining=False)
    brands = {"600123": {**FRESH["600123"], "watermark_at_utc": "2026-09-21T14:12:20+00:00"}}
    assert (page["version"], page["brands"]) == ("9", brands)
    assert page["outbox"]["600123"] == {"pending": 2, "oldest_due_at": int(NOW), "oldest_due_at_utc": UTC_NOW}
    assert [each["slot"] for each in page["workers"]] == [0, 1]
    assert page["state"] == "waiting"
    assert page["at_utc"] == UTC_NOW
    assert page["workers"][0]["reported_at_utc"] == datetime.fromtimestamp(NOW - 1, UTC).isoformat(timespec="seconds")
    assert status_page([], NOW, {}, is_draining=True)["state"] == "draining"


@pytest.fixture
async def admin() -> AsyncIterator[Callable[..., Any]]:
    """Starts the operators' listener; answers the address it listens on."""
    servers: list[AdminServer] = []

    async def start(**functions: Any) -> str:
        values: dict[str, Any] = {
            "render_metrics": lambda: b"izinkapi_ready 1.0\n",
            "is_healthy": lambda: True,
            "readiness": lambda: Readiness(True, ()),
            "status": lambda: {"brands": {600123: FreshnessState.FRESH}},
        }
        server = AdminServer(**(values | functions))
        listening: list[socket.socket] = bind("127.0.0.1", 0, 1)
        servers.append(server)
        await server.start(listening[0])
        return f"http://127.0.0.1:{listening[0].getsockname()[1]}"

    yield start
    for server in servers:
        await server.close()


@pytest.mark.parametrize(
    ("functions", "path", "status", "words"),
    [
        ({}, "/ready", 200, '"ready": true'),
        ({"readiness": lambda: Readiness(False, ("draining",))}, "/ready", 503, '"draining"'),
        ({}, "/health", 200, '"healthy": true'),
        ({"is_healthy": lambda: False}, "/health", 503, '"healthy": false'),
        ({}, "/status", 200, '"600123": "fresh"'),
        ({}, "/metrics", 200, "izinkapi_ready 1.0"),
        ({}, "/", 404, ""),
    ],
)
async def test_the_operators_listener_says_it_by_status_and_in_words(
    admin: Callable[..., Any], functions: Any, path: str, status: int, words: str
) -> None:
    """503 is what a balancer looks at, the words are for people."""
    address = await admin(**functions)
    async with aiohttp.ClientSession() as client, client.get(address + path) as answer:
        assert answer.status == status
        assert words in await answer.text()
