"""What a bench run starts and ends: sink, floor, Redis, the gateway. Free loopback ports, one folder, ended by pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from loadtest.gateway_configuration import render_configuration, render_mail_way
from loadtest.numbered_recipients import CSV_HEADER, DOMAIN, address_of

BRAND = 600123
SENDER = "haber@magaza.example"
RECIPIENT = f"alici@{DOMAIN}"
MAX_RECIPIENTS = 100
WORKERS = 2
PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
_START_S = 60.0


class Server(NamedTuple):
    """Where to send mail, and whose CPU time the sending costs."""

    port: int
    pids: tuple[int, ...]


def find_program(name: str) -> str:
    """The full path of ``name``. Raises ``SystemExit`` with what to do."""
    found = shutil.which(name, path=f"{PATH}:{os.environ.get('PATH', '')}")
    if found is None:
        raise SystemExit(f"{name} is missing: sh config/requirements/system-packages.sh")
    return found


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Sink:
    """Postfix's smtp-sink: takes and forgets, and counts every message whose final dot it saw."""

    def __init__(self, port: int, counter: Path) -> None:
        self.port = port
        self._counter = counter

    @property
    def messages(self) -> int:
        with self._counter.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 200))
            last = file.read().replace(b"\n", b"\r").strip(b"\r").rpartition(b"\r")[2]
        return int(last.rpartition(b"mesg=")[2] or b"0")

    def wait_for(self, messages: int, patience_s: float = 5.0) -> int:
        """The count, as soon as it is at least ``messages`` or patience ends."""
        deadline = time.monotonic() + patience_s
        while self.messages < messages and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.messages


@contextmanager
def running_sink(directory: Path) -> Iterator[Sink]:
    """smtp-sink until the block ends."""
    port = free_port()
    counter = directory / "sink.count"
    user = ("-u", "nobody") if os.geteuid() == 0 else ()
    command = [find_program("smtp-sink"), *user, "-c", "-m", "1000", f"127.0.0.1:{port}", "1000"]
    with _running(command, counter), counter.open("rb"):
        wait_for_port(port)
        yield Sink(port, counter)


@contextmanager
def running_bare_proxy(directory: Path, sink_port: int) -> Iterator[Server]:
    """The floor until the block ends."""
    port = free_port()
    ends = ("--listen", f"127.0.0.1:{port}", "--upstream", f"127.0.0.1:{sink_port}", "--workers", str(WORKERS))
    with _running([sys.executable, "-m", "loadtest.bare_proxy", *ends], directory / "bare.log") as process:
        wait_for_port(port)
        time.sleep(0.5)  # the other worker
        yield Server(port, (process.pid,))


@contextmanager
def running_redis(directory: Path) -> Iterator[Server]:
    """A Redis as a careful operator sets it up: every change in its file, synced each second."""
    port = free_port()
    directory.mkdir()
    options = ("--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--dir", str(directory))
    command = [find_program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", *options]
    with _running(command, directory / "redis.log") as process:
        wait_for_port(port)
        yield Server(port, (process.pid,))


@contextmanager
def running_gateway(directory: Path, store: str, sink_port: int, consents: Path) -> Iterator[Server]:
    """The whole gateway on an index filled from ``consents``, until the block ends."""
    directory.mkdir()
    smtp, pages, admin = free_port(), free_port(), free_port()
    config = directory / "izinkapi.toml"
    text = render_configuration(
        BRAND, admin, store=store, workers=WORKERS, brand_settings='opt_out_mail_domain = "izin.example"\n'
    )
    text += render_mail_way(smtp, sink_port) + f'[[listeners.http]]\naddress = "127.0.0.1:{pages}"\n'
    config.write_text(text, encoding="utf-8")
    program = [sys.executable, "-m", "gateway.cli"]
    subprocess.run(
        [*program, "consents", "import", "-c", str(config), "--brand", str(BRAND), str(consents)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with _running([*program, "serve", "-c", str(config)], directory / "gateway.log") as process:
        _wait_until(lambda: _is_ready(admin), process, f"the gateway is not ready; see {directory / 'gateway.log'}")
        yield Server(smtp, (process.pid,))


def write_consents(path: Path, records: int) -> None:
    """An export in which everybody whom the bench writes to has consented.

    smtp-source makes further recipients of a message by putting 2, 3, … before the address.
    """
    own = [RECIPIENT, *(f"{number}{RECIPIENT}" for number in range(2, MAX_RECIPIENTS + 1))]
    with path.open("w", encoding="utf-8") as file:
        file.write(CSV_HEADER + "\n")
        for address in own:
            file.write(f"{address},EPOSTA,BIREYSEL,ONAY,HS_WEB,2024-03-01 10:00:00\n")
        for number in range(1, records + 1):
            file.write(f"{address_of(number)},EPOSTA,BIREYSEL,ONAY,HS_WEB,2024-03-{1 + number % 28:02d} 10:00:00\n")


@contextmanager
def _running(command: list[str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for_port(port: int) -> None:
    """Until something listens on loopback port ``port``. Raises ``RuntimeError`` if nothing does in a minute."""
    _wait_until(lambda: _is_open(port), None, f"nothing listens on port {port}")


def _wait_until(holds: Callable[[], bool], process: subprocess.Popen[bytes] | None, else_say: str) -> None:
    deadline = time.monotonic() + _START_S
    while not holds():
        if time.monotonic() > deadline or (process is not None and process.poll() is not None):
            raise RuntimeError(else_say)
        time.sleep(0.05)
