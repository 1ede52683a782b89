"""Everything a run needs, as real processes on free loopback ports: gateway, relay (sink), Redis.

Each can be killed and started again at the same place; each is ended by the ids of the processes that were started
here, and by nothing broader. The caller's folder holds configuration, store, evidence, journals and logs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from filters.consent import Change, Consent, pack_change
from filters.consent_key import KEY_BYTES
from filters.vocabulary import Channel, RecipientType, Status
from gateway import app
from loadtest.gateway_configuration import render_configuration, render_mail_way
from loadtest.numbered_recipients import address_of, status_of

T = TypeVar("T")

BRAND = 600123
_READY_WITHIN_S = 30.0
_ENDED_WITHIN_S = 60.0
_CONSENT_AT = 1_711_000_000


def free_ports(count: int) -> list[int]:
    """Different ports below the range from which outgoing connections take theirs: a server that is killed and started
    again must not find its port taken by a client."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = random.randrange(16_000, 32_000)
            listener = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                listener.bind(("127.0.0.1", port))
                found.append(port)
    return found


class Program:
    """A child process that may be killed and started again. Its output is appended to ``log``, or dropped."""

    def __init__(self, command: Sequence[str], log: Path | None) -> None:
        self.command = list(command)
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        with contextlib.ExitStack() as opened:
            output: Any = subprocess.DEVNULL if self.log is None else opened.enter_context(self.log.open("ab"))
            self._process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int | None:
        """Signal it and wait; the exit status, None if it was not running."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            return self._process.wait(_ENDED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._process = None

    def kill(self) -> None:
        """SIGKILL: it has no say."""
        self.end(signal.SIGKILL)

    def wait_for_port(self, port: int) -> None:
        """Until something listens there."""
        give_up_at = time.monotonic() + _READY_WITHIN_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > give_up_at or not self.is_running:
                    raise RuntimeError(f"{self.command[:3]} does not listen on {port}; see {self.log}") from None
                time.sleep(0.02)


class Relay(Program):
    """The next hop: our sink with its journal in ``directory / "taken.jsonl"``, the personal links in it."""

    def __init__(self, directory: Path, port: int, options: Sequence[str] = (), *, keeps_journal: bool = True) -> None:
        self.port = port
        self.journal = directory / "taken.jsonl"
        command = [sys.executable, "-m", "loadtest.mail_sink", "--listen", f"127.0.0.1:{port}"]
        keeping = ["--journal", str(self.journal), "--links"] if keeps_journal else []
        self._plain_command = [*command, *keeping]
        super().__init__([*self._plain_command, *options], directory / "relay.log")

    def restart(self, *options: str) -> None:
        """Ended and started again with these options and no others."""
        self.end()
        self.command = [*self._plain_command, *options]
        self.start()

    def start(self) -> None:
        super().start()
        self.wait_for_port(self.port)


class Redis(Program):
    """A Redis of the run's own that has each change on its disk before it answers, and comes back with it."""

    def __init__(self, directory: Path, port: int, options: Sequence[str] = ()) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("redis-server is missing: sh config/requirements/system-packages.sh")
        self.port = port
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""]
        super().__init__([*command, *(options or ("--appendonly", "yes", "--appendfsync", "always"))], None)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        super().start()
        give_up_at = time.monotonic() + _READY_WITHIN_S
        while not self._is_answering():
            if time.monotonic() > give_up_at or not self.is_running:
                raise RuntimeError("redis-server is not ready")
            time.sleep(0.02)

    def ask(self, *words: str) -> bytes:
        """The raw reply to one command over a connection of its own, at most 1 MB of it."""
        packed = [word.encode() for word in words]
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(b"*%d\r\n" % len(packed) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in packed))
            return connection.recv(1 << 20)

    def _is_answering(self) -> bool:
        try:
            return self.ask("PING").startswith(b"+PONG")
        except OSError:
            return False


class Serving(Program):
    """``izinkapi serve`` with the file ``config``, whose admin listener is on loopback port ``admin_port``."""

    def __init__(self, config: Path, admin_port: int, log: Path | None) -> None:
        self.config = config
        self.admin_port = admin_port
        super().__init__([sys.executable, "-m", "gateway.cli", "serve", "-c", str(config)], log)

    def status(self) -> dict[str, Any]:
        """``/status``; empty while nobody answers."""
        return _get_json(f"http://127.0.0.1:{self.admin_port}/status")

    def wait_until_ready(self, within_s: float = _READY_WITHIN_S) -> None:
        """Until ``/ready`` says that commercial mail would be decided, by each worker."""
        give_up_at = time.monotonic() + within_s
        while True:
            status = self.status()
            workers = status.get("workers", [])
            if status.get("state") == "ready" and all(worker.get("state") == "ready" for worker in workers):
                return
            if time.monotonic() > give_up_at or not self.is_running:
                raise RuntimeError(f"the gateway is not ready: {status.get('reasons')}; see {self.log}")
            time.sleep(0.05)


class Gateway(Serving):
    """``izinkapi serve`` with ``workers`` workers over ``store`` (a URL), its files in ``directory``."""

    def __init__(
        self,
        directory: Path,
        relay_port: int,
        store: str = "lmdb:var/store",
        *,
        workers: int = 2,
        store_settings: str = "",
        further: str = "",
        log: str | None = "gateway.log",
    ) -> None:
        """``store_settings``: further lines of [store]; ``further``: whole sections; no ``log``: output is dropped."""
        self.directory = directory
        self.port, self.pages_port, admin_port = free_ports(3)
        super().__init__(directory / "izinkapi.toml", admin_port, directory / log if log else None)
        directory.mkdir(parents=True, exist_ok=True)
        pages = f"127.0.0.1:{self.pages_port}"
        text = render_configuration(
            BRAND,
            self.admin_port,
            store=store,
            workers=workers,
            opt_out_url=f"http://{pages}",
            store_settings=store_settings,
        )
        text += render_mail_way(self.port, relay_port) + f'[[listeners.http]]\naddress = "{pages}"\n'
        self.config.write_text(text + further, encoding="utf-8")

    def worker_pids(self) -> list[int]:
        """The processes the supervisor has started and not yet lost."""
        try:
            return _children(self.pid)
        except FileNotFoundError:
            return []

    def kill_worker(self, which: int = 0) -> int | None:
        """SIGKILL to one worker; its id, None while there is none."""
        pids = self.worker_pids()
        if not pids:
            return None
        pid = pids[which % len(pids)]
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return pid

    def kill_supervisor(self) -> list[int]:
        """SIGKILL to the supervisor alone; the workers it leaves behind, which drain and end by themselves."""
        orphans = self.worker_pids()
        self.kill()
        return orphans

    def kill_all(self) -> None:
        """SIGKILL to supervisor and workers, as a power cut would; returns when none is left."""
        if not self.is_running:
            return
        os.kill(self.pid, signal.SIGSTOP)  # or it would replace the workers while they are killed
        workers = self.worker_pids()
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.kill()
        wait_for_end(workers)

    def stop(self) -> int | None:
        """SIGTERM: it drains. The exit status."""
        workers = self.worker_pids() if self.is_running else []
        status = self.end()
        wait_for_end(workers)
        return status


def run_until_told(work: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` that SIGTERM cancels, so that what was started is ended. Raises ``CancelledError`` then."""

    async def run() -> T:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    return asyncio.run(run())


async def seed(config: Path, people: int, *, first: int = 1, watermark_at: int | None = None) -> None:
    """Fill the index of the gateway with ``config`` with numbered recipients, as known at ``watermark_at`` (now)."""
    configuration = app.load(config)
    keys = app.consent_keys(configuration)
    store = app.open_store(configuration)
    try:
        await store.start()
        await store.initialise()
        records = []
        for number in range(first, first + people):
            status = status_of(number)
            if status is not None:
                consent = Consent(Status.APPROVED if status == "ONAY" else Status.REJECTED, _CONSENT_AT, "HS_WEB")
                change = Change(bytes(KEY_BYTES), Channel.EMAIL, RecipientType.INDIVIDUAL, consent)
                records.append(keys.derive(BRAND, address_of(number).encode()) + pack_change(change))
        await store.load(BRAND, sorted(records))
        await store.apply(BRAND, [], watermark_at=int(time.time()) if watermark_at is None else watermark_at)
    finally:
        await store.close()


def wait_for_end(pids: Sequence[int], within_s: float = _ENDED_WITHIN_S) -> None:
    """Until none of the processes ``pids`` is left, whoever their parent is."""
    give_up_at = time.monotonic() + within_s
    while any(_is_alive(pid) for pid in pids):
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"processes {pids} do not end")
        time.sleep(0.01)


def resident_bytes(pid: int) -> int:
    """Memory of ``pid`` that is in use and its own, from /proc; 0 if it is gone."""
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(fields[name].split()[0]) * 1024 for name in ("Private_Clean", "Private_Dirty"))


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _get_json(url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return dict(json.load(answer))
    except (OSError, ValueError, urllib.error.URLError):
        return {}
