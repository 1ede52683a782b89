"""Starting, stopping, reloading and watching the gateway while mail goes through it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import smtplib
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from tests.support.gateway_process import (
    BRAND,
    NEWS,
    ORDER,
    GatewayProcess,
    SinkProcess,
    end_processes,
    hours_ago,
    people_csv,
    wait_until,
)


class Traffic:
    """A client that sends all the time, over a new connection each, and notes what it hears."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self.heard: Counter[int] = Counter()
        self.failed: list[Exception] = []
        self._gateway = gateway
        self._person = gateway.consenting()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                self.heard[self._gateway.send(NEWS, [self._person]).code] += 1
            except (OSError, smtplib.SMTPException) as failed:
                self.failed.append(failed)

    def end(self) -> None:
        self._over.set()

    @property
    def arrived(self) -> int:
        return len(self._gateway.sink.messages(self._person))


@contextmanager
def traffic(gateway: GatewayProcess) -> Iterator[Traffic]:
    going = Traffic(gateway)
    thread = threading.Thread(target=going.run)
    thread.start()
    try:
        wait_until(lambda: going.heard, "mail goes through")
        yield going
    finally:
        going.end()
        thread.join()


# -- reload ------------------------------------------------------------------------------------------------------


def test_a_reload_takes_effect_without_a_refused_connection(gateway: GatewayProcess) -> None:
    """A changed footer and a client's narrowed rights, while a client sends all the time."""
    before, after = gateway.consenting(), gateway.consenting()
    assert gateway.send(NEWS, [before]).code == 250
    assert gateway.send(ORDER, [before]).code == 250
    gateway.settings["brands"][0]["contact"] = "0850 111 11 11"
    gateway.settings["clients"][0]["allowed_classes"] = ["commercial"]
    with traffic(gateway) as going:
        status = gateway.reload()
        assert status["last_reload_problem"] == ""
        assert status["generation"] == 2
        settled = going.heard.total()
        wait_until(lambda: going.heard.total() > settled + 10, "mail goes on")
    assert going.failed == []
    assert set(going.heard) == {250}
    assert going.arrived == going.heard[250]
    assert gateway.send(NEWS, [after]).code == 250
    assert "0850 000 00 00" in gateway.sink.messages(before)[0].content.decode()
    assert "0850 111 11 11" in gateway.sink.only_message(after).content.decode()
    refused = gateway.send(ORDER, [before])
    assert (refused.code, refused.text.split()[1]) == (550, "CLASS_NOT_ALLOWED:")


def test_an_open_session_is_told_to_come_again_when_its_worker_is_reloaded(gateway: GatewayProcess) -> None:
    """421 between two messages, never in one: the client sends the next over a new connection."""
    person = gateway.consenting()
    with closing(gateway.connect()) as client:
        assert gateway.send(NEWS, [person], client=client).code == 250
        assert gateway.reload()["last_reload_problem"] == ""
        assert client.noop()[0] == 421
    assert gateway.send(NEWS, [person]).code == 250


@pytest.mark.parametrize("damage", ["not TOML at all = [", '\n[nonsense]\nspeed = "high"\n'], ids=["syntax", "unknown"])
def test_a_broken_file_changes_nothing_and_shows(gateway: GatewayProcess, damage: str) -> None:
    """The workers stay the same ones; status, metrics and log name the refusal."""
    workers = gateway.worker_pids()
    refused = gateway.metric("izinkapi_configuration_reloads_total", result="refused")
    gateway.write()
    with gateway.config.open("a", encoding="utf-8") as file:
        file.write(damage)
    status = gateway.hang_up()
    gateway.write()
    assert str(gateway.config) in status["last_reload_problem"]
    assert status["state"] == "ready"
    assert gateway.worker_pids() == workers
    assert gateway.metric("izinkapi_configuration_reloads_total", result="refused") == refused + 1
    wait_until(lambda: '"event":"configuration.refused"' in gateway.log.read_text("utf-8"), "the log names it")
    assert gateway.send(NEWS, [gateway.consenting()]).code == 250


# -- workers -----------------------------------------------------------------------------------------------------


def test_a_killed_worker_is_replaced(gateway: GatewayProcess) -> None:
    """The others serve meanwhile, connections wait for the new one, and the metrics count it."""
    restarts = gateway.metric("izinkapi_worker_restarts_total")
    killed = gateway.kill_worker(0)
    answers = [gateway.send(NEWS, [gateway.consenting()]).code for _ in range(8)]
    assert answers == [250] * 8

    def is_replaced() -> bool:
        workers = gateway.status()["workers"]
        return len(workers) == 2 and all(worker.get("state") == "ready" for worker in workers)

    wait_until(is_replaced, "the worker is replaced")
    assert killed not in gateway.worker_pids()
    assert gateway.metric("izinkapi_worker_restarts_total") == restarts + 1


def test_workers_end_when_their_supervisor_is_killed(make_gateway: Callable[..., GatewayProcess]) -> None:
    """Nobody is left who holds the ports: the same command starts again at once."""
    gateway = make_gateway(workers=1)
    workers = gateway.worker_pids()
    gateway.kill_supervisor()
    end_processes(workers)
    gateway.start(consents=None)
    assert gateway.send(NEWS, [gateway.consenting()]).code == 250


# -- ports and readiness -----------------------------------------------------------------------------------------


def test_a_second_gateway_on_the_same_ports_is_refused(gateway: GatewayProcess) -> None:
    """With a sentence that names the address, and the first one goes on."""
    second = gateway.izinkapi("serve", within_s=20)
    assert second.returncode == 2
    assert second.stderr.startswith("error cannot listen on 127.0.0.1:")
    assert "Address already in use" in second.stderr
    assert "Traceback" not in second.stderr
    assert gateway.send(NEWS, [gateway.consenting()]).code == 250


def test_ready_only_when_loaded_and_the_next_hop_is_there(
    make_gateway: Callable[..., GatewayProcess], make_sink: Callable[..., SinkProcess]
) -> None:
    """Cold: commercial mail waits (451). Then another process imports, and then the next hop comes and goes."""
    sink = make_sink(starts=False)
    gateway = make_gateway(consents=None, waits=False, workers=1, sink=sink)
    person = gateway.consenting()
    wait_until(lambda: gateway.get("/health")[0] == 200, "the gateway is up")
    is_ready, reasons = gateway.ready()
    assert not is_ready
    assert "upstream relay: not reached yet" in reasons

    sink.start()
    wait_until(lambda: gateway.ready()[1] == ["store: never loaded, or emptied"], "only the index is missing")
    assert gateway.send(NEWS, [person]).code == 451
    assert gateway.send(ORDER, [person]).code == 250
    assert gateway.status()["brands"][str(BRAND)]["state"] == "cold"

    consents = gateway.directory / "consents.csv"
    consents.write_text(people_csv(), encoding="utf-8")
    imported = gateway.izinkapi("consents", "import", "--brand", str(BRAND), str(consents))
    assert imported.returncode == 0, imported.stderr
    wait_until(lambda: gateway.ready()[0], "the gateway is ready without a restart")
    assert gateway.send(NEWS, [person]).code == 250

    sink.stop()
    assert gateway.send(NEWS, [person]).code == 451
    wait_until(lambda: not gateway.ready()[0], "the next hop is missed")
    upstream = gateway.status()["upstreams"]["relay"]
    assert upstream["is_reachable"] is False
    assert upstream["hosts"][0]["last_error"]
    sink.start()
    wait_until(lambda: gateway.ready()[0], "the next hop is found again")
    assert gateway.send(NEWS, [person]).code == 250


# -- stopping ----------------------------------------------------------------------------------------------------


def test_sigterm_finishes_what_is_in_hand(make_gateway: Callable[..., GatewayProcess]) -> None:
    """The message under way is answered with the next hop's own reply, idle sessions hear 421, the exit code is 0."""
    gateway = make_gateway()
    slow = "slow-2s@customer.example"
    with closing(gateway.connect()) as idle, ThreadPoolExecutor(4) as clients:
        idle.ehlo()
        answers = [clients.submit(gateway.send, NEWS, [slow]) for _ in range(4)]
        wait_until(lambda: sessions(gateway) == 5, "all are connected")
        began = time.monotonic()
        os.kill(gateway.pid, signal.SIGTERM)
        wait_until(lambda: gateway.status()["state"] == "draining", "the drain begins")
        assert gateway.get("/ready")[0] == 503
        assert is_refused(gateway.ports["smtp"])
        assert idle.getreply()[0] == 421
        assert [answer.result().code for answer in answers] == [250] * 4
    assert gateway.terminate() == 0
    assert time.monotonic() - began < 10
    assert len(gateway.sink.messages(slow)) == 4
    assert json.loads(gateway.izinkapi("evidence", "verify", "--json").stdout)["intact"] is True


def sessions(gateway: GatewayProcess) -> int:
    return sum(worker.get("sessions", 0) for worker in gateway.status()["workers"])


def is_refused(port: int) -> bool:
    """Whether the kernel refuses a connection by itself, rather than letting it wait for nobody."""

    def is_so() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED

    return bool(wait_until(is_so, "new connections are refused", 2.0))


# -- watching ----------------------------------------------------------------------------------------------------


def test_status_tells_state_since_last_error_and_freshness(gateway: GatewayProcess) -> None:
    """What somebody who is called at night asks first."""
    status = gateway.status()
    assert status["state"] == "ready"
    assert status["store"].keys() >= {"kind", "state", "since", "revision", "last_error", "last_error_at"}
    assert status["evidence"]
    brand = status["brands"][str(BRAND)]
    assert brand["state"] == "fresh"
    assert 0 <= brand["staleness_s"] < 600
    upstream = status["upstreams"]["relay"]
    assert upstream["is_reachable"] is True
    assert upstream["hosts"][0].keys() >= {"address", "state", "since", "last_error"}
    assert [worker["is_reporting"] for worker in status["workers"]] == [True, True]


def test_metrics_are_as_prometheus_wants_them(gateway: GatewayProcess) -> None:
    """promtool finds nothing to say, and what all workers counted is one sum."""

    def relayed() -> float:
        return gateway.metric("izinkapi_messages_total", outcome="relayed")

    before = relayed()
    answers = [gateway.send(NEWS, [gateway.consenting(), gateway.refusing()]).code for _ in range(10)]
    assert answers == [250] * 10
    wait_until(lambda: relayed() == before + 10, "the workers have told what they counted")
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing: sh config/requirements/system-packages.sh"
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=gateway.metrics(), capture_output=True, text=True, timeout=30, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_a_stale_index_holds_mail_and_an_import_releases_it(make_gateway: Callable[..., GatewayProcess]) -> None:
    """451 STALE while the copy is too far behind; the same message goes once it is not."""
    gateway = make_gateway(workers=1, consents=None, waits=False)
    person, refusing = gateway.consenting(), gateway.refusing()
    consents = gateway.directory / "consents.csv"
    consents.write_text(people_csv(), encoding="utf-8")
    words = ("consents", "import", "--brand", str(BRAND), str(consents), "--synced-at")
    assert gateway.izinkapi(*words, hours_ago(30)).returncode == 0
    wait_until(lambda: gateway.ready()[1] == [f"brand {BRAND}: index is stale"], "the index is loaded")
    answer = gateway.send(NEWS, [person])
    assert (answer.code, answer.text.split()[:2]) == (451, ["4.7.1", "STALE"])
    assert gateway.send(NEWS, [refusing]).code == 550
    assert gateway.izinkapi(*words, hours_ago(0)).returncode == 0
    wait_until(lambda: gateway.ready()[0], "the index is fresh")
    assert gateway.send(NEWS, [person]).code == 250
