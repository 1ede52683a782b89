"""The whole gateway as an operator runs it: ``izinkapi serve`` with a folder of its own, and a mail sink behind it.

Everything is a real process on free ports of the loopback interface, in a folder of the test's own, and is ended by
its pid. Typical use, through the fixtures of ``tests/support/gateway_fixtures.py``::

    gateway = make_gateway()              # started and ready: two workers, LMDB, one sink
    gateway.send(NEWS, [gateway.consenting(), gateway.refusing()]).code          # 250
    [message] = gateway.sink.messages()                                           # what reached the next hop
    gateway.settings["brands"][0]["contact"] = "0850 000 00 00"
    gateway.reload()
    gateway.kill_worker(0)
    assert gateway.terminate() == 0

``settings`` is the configuration as a value; ``write`` puts it into the file as TOML. Listeners by name, each with a
port in ``ports``: ``smtp``, ``lmtp``, ``starttls``, ``tls``, ``marketing`` (class fixed, so 550 at RCPT), ``pages``
(https) and ``intake`` (refusals by mail).
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import os
import random
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.certificates import client_context, write_certificate

BRAND = 600123
SENDER = "kampanya@shop.example"
NEWS_SENDER = "bulten@shop.example"
"""Its class is fixed, so recipients hear their 550 at RCPT."""
LOGIN = ("panel", "an-open-secret")
START_WITHIN_S = 60.0  # on a machine that does much else besides

NEWS = (
    b"From: =?utf-8?q?=C3=96rnek_Ma=C4=9Faza?= <kampanya@shop.example>\r\n"
    b"To: undisclosed-recipients:;\r\n"
    b"Subject: KAMPANYA\r\n"
    b"Date: Sat, 21 Nov 2026 10:00:00 +0300\r\n"
    b"Message-ID: <sonbahar-17@shop.example>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n"
    b"\r\n"
    b"Sonbahar indirimi ba\xc5\x9flad\xc4\xb1.\r\n"
)
"""A commercial mail without a tag: everything it does not say is read strictly."""

ORDER = NEWS.replace(b"Subject: KAMPANYA\r\n", b"Subject: Siparis\r\nX-Izin-Class: informational\r\n")
"""The same as informational mail."""

_PORTS = ("smtp", "lmtp", "starttls", "tls", "marketing", "pages", "intake", "admin")
_ISTANBUL = timezone(timedelta(hours=3))
_CONSENT_COLUMNS = ("recipient", "type", "recipientType", "status", "source", "consentDate")
_PEOPLE = 400


class Answer(NamedTuple):
    """What the client heard: to the message (or to the last RCPT if nobody was left), and to each RCPT."""

    code: int
    text: str
    rcpt_codes: tuple[int, ...] = ()


class Delivered(NamedTuple):
    """One message as the next hop took it."""

    number: int
    sender: str
    recipients: tuple[str, ...]
    mail_parameters: str
    rcpt_parameters: tuple[str, ...]
    content: bytes

    @property
    def mail(self) -> EmailMessage:
        """As Python's own parser reads it."""
        mail = message_from_bytes(self.content, policy=policy.SMTP)
        assert isinstance(mail, EmailMessage)
        return mail

    @property
    def link(self) -> str:
        """The address behind the one-click button of a mail program."""
        return next(each for each in self._refusal_addresses if each.startswith("https:"))

    @property
    def mailto(self) -> str:
        """The address to write to for a refusal by mail, with its subject."""
        return next(each for each in self._refusal_addresses if each.startswith("mailto:"))

    @property
    def _refusal_addresses(self) -> list[str]:
        field = str(self.mail["List-Unsubscribe"])
        return [part.strip().strip("<>") for part in field.split(",")]


# -- processes ---------------------------------------------------------------------------------------------------


def free_ports(number: int) -> list[int]:
    """Ports below the range from which outgoing connections take theirs, so that none is lost before it is used."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < number:
            port = random.randrange(16000, 32000)
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
    return found


def wait_until(is_so: Callable[[], Any], what: str, within_s: float = START_WITHIN_S) -> Any:
    """The first true answer of ``is_so``; connections refused meanwhile count as no."""
    give_up_at = time.monotonic() + within_s
    while True:
        with contextlib.suppress(OSError):
            if answer := is_so():
                return answer
        assert time.monotonic() < give_up_at, f"not within {within_s} s: {what}"
        time.sleep(0.02)


class _Program:
    """One process with its output in a file."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *command: str) -> None:
        # What a process that is killed leaves behind stays in the test's own folder.
        environment = {**os.environ, "TMPDIR": str(self.log.parent)}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def end(self, how: signal.Signals, within_s: float = 45.0) -> int:
        """Its exit code; negative for the signal that ended it."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


class SinkProcess:
    """``python -m loadtest.mail_sink`` with journal and store; restarted it keeps both and its port."""

    def __init__(self, directory: Path, *options: str, port: int = 0) -> None:
        self.directory = directory
        self.port = port or free_ports(1)[0]
        self.options = options
        self._program = _Program(directory / "sink.log")

    def start(self) -> None:
        # A sink numbers its mail from 1, so each run has a folder of its own.
        run = len(list(self.directory.glob("run-*")))
        store = self.directory / f"run-{run}"
        store.mkdir(parents=True)
        self._program.run(
            *(sys.executable, "-m", "loadtest.mail_sink", "--listen", f"127.0.0.1:{self.port}"),
            *("--journal", str(self.directory / "journal"), "--store", str(store), *self.options),
        )
        wait_until(lambda: socket.create_connection(("127.0.0.1", self.port)).close() is None, "the sink listens")

    def stop(self) -> None:
        if self._program.process is not None:
            self._program.end(signal.SIGTERM)

    def kill(self) -> None:
        self._program.end(signal.SIGKILL)

    @property
    def journal(self) -> Path:
        return self.directory / "journal"

    def messages(self, to: str | None = None) -> list[Delivered]:
        """All that was taken so far, in order; ``to``: only those for this recipient."""
        found = []
        for path in sorted(self.directory.glob("run-*/new/*.json")):
            envelope = json.loads(path.read_text("utf-8"))
            if to is None or to in envelope["recipients"]:
                found.append(
                    Delivered(
                        int(path.stem),
                        envelope["sender"],
                        tuple(envelope["recipients"]),
                        envelope["mail_parameters"],
                        tuple(envelope["rcpt_parameters"]),
                        path.with_suffix(".eml").read_bytes(),
                    )
                )
        return found

    def only_message(self, to: str) -> Delivered:
        """The one message that reached ``to``."""
        (message,) = self.messages(to)
        return message


class GatewayProcess:
    """A gateway with its folder. ``store``: ``lmdb:…`` relative to it, or the URL of a Redis."""

    def __init__(
        self, directory: Path, *, store: str = "lmdb:var/store", workers: int = 2, sink: SinkProcess | None = None
    ) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
        self.sink = sink or SinkProcess(directory / "sink")
        self._owns_sink = sink is None
        self.certificate, self.private_key = write_certificate(directory)
        self.settings = self._default_settings(store, workers)
        self._program = _Program(directory / "gateway.log")
        self._people = itertools.count()

    def _default_settings(self, store: str, workers: int) -> dict[str, Any]:
        ports = self.ports
        certificate = {"certificate_file": str(self.certificate), "private_key_file": str(self.private_key)}

        def listener(name: str, **more: object) -> dict[str, Any]:
            return {"name": name, "address": f"127.0.0.1:{ports[name]}", "upstream": "relay", **more}

        return {
            "gateway": {"hostname": "kapi.example", "workers": workers, "drain_timeout": "20s"},
            "log": {"format": "json", "level": "debug"},
            "store": {"url": store},
            "brands": [
                {
                    "code": BRAND,
                    "iys_code": BRAND,
                    "name": "Örnek Mağaza",
                    "title": "Örnek Mağaza A.Ş.",
                    "mersis": "0123456789012345",
                    "contact": "0850 000 00 00",
                    "opt_out_url": f"https://localhost:{ports['pages']}",
                    "opt_out_mail_domain": "izin.shop.example",
                }
            ],
            "clients": [
                {
                    "name": "shop",
                    "brands": [BRAND],
                    "networks": ["127.0.0.1/32"],
                    "sender_classes": {NEWS_SENDER: "commercial"},
                },
                {"name": "panel", "brands": [BRAND], "username": LOGIN[0], "password_hash": _login_hash()},
            ],
            "upstreams": {"smtp": [{"name": "relay", "address": f"127.0.0.1:{self.sink.port}", "tls": "none"}]},
            "listeners": {
                "smtp": [
                    listener("smtp"),
                    listener("lmtp", protocol="lmtp"),
                    listener("starttls", tls="starttls", **certificate),
                    listener("tls", tls="tls", **certificate),
                    listener("marketing", fixed_class="commercial"),
                ],
                "http": [{"address": f"127.0.0.1:{ports['pages']}", "tls": "tls", **certificate}],
                "opt_out_mail": [{"address": f"127.0.0.1:{ports['intake']}"}],
            },
            "admin": {"address": f"127.0.0.1:{ports['admin']}"},
        }

    # -- life ---------------------------------------------------------------------------------------------------

    @property
    def config(self) -> Path:
        return self.directory / "izinkapi.toml"

    @property
    def log(self) -> Path:
        return self._program.log

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        return self._program.pid

    @property
    def is_running(self) -> bool:
        return self._program.is_running

    def write(self) -> None:
        """The settings as they now stand, into the file."""
        self.config.write_text(render_toml(self.settings), encoding="utf-8")

    def start(self, *, consents: str | None = "", waits: bool = True) -> None:
        """Sink and gateway. ``consents``: CSV to load first, "" for the default people, None for nothing at all."""
        self.write()
        if self._owns_sink and not self.sink._program.is_running:
            self.sink.start()
        if consents is not None:
            self.load_consents(consents or people_csv())
        self._program.run(sys.executable, "-m", "gateway.cli", "serve", "-c", str(self.config))
        if waits:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            assert self._program.is_running, f"the gateway ended at once:\n{self.log_tail()}"
            return self.ready()[0] and all(worker["is_reporting"] for worker in self.status()["workers"])

        wait_until(is_ready, "the gateway and each of its workers are ready")

    def reload(self) -> dict[str, Any]:
        """Write the settings, SIGHUP, and wait for the new generation (or the refusal); the status after it."""
        self.write()
        return self.hang_up()

    def hang_up(self) -> dict[str, Any]:
        """SIGHUP with the file as it is."""
        before = self.status()["reloads"]
        os.kill(self.pid, signal.SIGHUP)
        wait_until(lambda: self.status()["reloads"] != before, "the reload is over")
        return self.status()

    def terminate(self) -> int:
        """SIGTERM; the exit code once everything has drained."""
        return self._program.end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9 of supervisor and workers at once."""
        workers = self.worker_pids()
        self._program.end(signal.SIGKILL)
        end_processes(workers)

    def kill_supervisor(self) -> None:
        """kill -9 of the supervisor alone; its workers have to notice."""
        self._program.end(signal.SIGKILL)

    def kill_worker(self, number: int = 0) -> int:
        """kill -9 of one worker; its pid."""
        pid = self.worker_pids()[number]
        os.kill(pid, signal.SIGKILL)
        return pid

    def worker_pids(self) -> list[int]:
        """By age, from the kernel and not from what the gateway says."""
        with contextlib.suppress(FileNotFoundError):
            listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
            return [int(pid) for pid in listed.split()]
        return []

    def close(self) -> None:
        """End all of it, whatever state it is in."""
        if self._program.process is not None:
            workers = self.worker_pids()
            try:
                self.terminate()
            finally:
                end_processes(workers)
        if self._owns_sink:
            self.sink.stop()

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:]) if self.log.exists() else ""

    # -- consents and commands ----------------------------------------------------------------------------------

    def load_consents(self, text: str, brand: int = BRAND) -> None:
        """Import in this process, which has read the program already; ``izinkapi`` does it as an operator would."""
        from typer.testing import CliRunner  # here: tests that only send need no command line

        from gateway.cli.main import app

        path = self.directory / f"consents-{time.monotonic_ns()}.csv"
        path.write_text(text, encoding="utf-8")
        command = ["consents", "import", "--json", "-c", str(self.config), "--brand", str(brand), str(path)]
        said: list[Any] = []
        # In a thread, because the command starts a loop of its own and the test may be inside one.
        thread = threading.Thread(target=lambda: said.append(CliRunner().invoke(app, command)))
        thread.start()
        thread.join()
        assert said[0].exit_code == 0, said[0].output

    def izinkapi(self, *words: str, within_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run ``izinkapi WORDS -c FILE``: a process of its own."""
        command = [sys.executable, "-m", "gateway.cli", *words, "-c", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=within_s, check=False)

    def consenting(self) -> str:
        """Somebody who has consented and whom no other call has named."""
        number = next(self._people)
        assert number < _PEOPLE, "the default people are used up"
        return f"consenting-{number}@customer.example"

    def refusing(self) -> str:
        """Somebody with a RET in the registry."""
        return f"refusing-{next(self._people)}@customer.example"

    def stranger(self) -> str:
        """Somebody the registry does not know."""
        return f"stranger-{next(self._people)}@customer.example"

    # -- sending ------------------------------------------------------------------------------------------------

    def connect(self, listener: str = "smtp", timeout_s: float = 30.0) -> smtplib.SMTP:
        """A session on a listener, greeted; TLS and login are the caller's."""
        kind = smtplib.LMTP if listener == "lmtp" else smtplib.SMTP
        if listener == "tls":
            return smtplib.SMTP_SSL("localhost", self.ports["tls"], context=self.trust, timeout=timeout_s)
        return kind("localhost", self.ports[listener], local_hostname="shop.example", timeout=timeout_s)

    @property
    def trust(self) -> ssl.SSLContext:
        """Trusts this gateway's certificate and no other."""
        return client_context(self.directory)

    def send(
        self,
        content: bytes,
        recipients: Sequence[str],
        *,
        sender: str = SENDER,
        listener: str = "smtp",
        client: smtplib.SMTP | None = None,
    ) -> Answer:
        """One message as the simplest client sends it, over ``client`` if one is open already."""
        if client is not None:
            return send_over(client, content, recipients, sender)
        with self.connect(listener) as own:
            return send_over(own, content, recipients, sender)

    # -- looking ------------------------------------------------------------------------------------------------

    def get(self, path: str) -> tuple[int, bytes]:
        """An answer of the admin address."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['admin']}{path}", timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    def ready(self) -> tuple[bool, list[str]]:
        code, body = self.get("/ready")
        return code == 200, json.loads(body)["reasons"]

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.get("/status")[1])
        return answer

    def metrics(self) -> str:
        return self.get("/metrics")[1].decode()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the series ``name`` that have all of ``labels``."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        total = 0.0
        for line in self.metrics().splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(each in series for each in wanted):
                total += float(value)
        return total

    def visit(self, link: str, *, data: bytes | None = None, method: str | None = None) -> tuple[int, str]:
        """What a browser (or, with ``data``, a mail program's button) gets from an opt-out link."""
        request = urllib.request.Request(link, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10, context=self.trust) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def press(self, link: str) -> None:
        """One-click as RFC 8058 has it: one POST, no cookie, no redirect followed."""
        status, _ = self.visit(link, data=b"List-Unsubscribe=One-Click", method="POST")
        assert status == 200


def send_over(client: smtplib.SMTP, content: bytes, recipients: Sequence[str], sender: str = SENDER) -> Answer:
    """One transaction on an open session."""
    client.ehlo_or_helo_if_needed()
    code, text = client.mail(sender)
    heard: list[int] = []
    if code == 250:
        for recipient in recipients:
            code, text = client.rcpt(recipient)
            heard.append(code)
        if 250 in heard:
            code, text = client.data(content)
        else:
            client.rset()
    return Answer(code, text.decode("ascii"), tuple(heard))


def end_processes(pids: Iterable[int], within_s: float = 10.0) -> None:
    """Wait for processes that should end by themselves; kill those that do not."""
    for pid in pids:
        give_up_at = time.monotonic() + within_s
        while _is_alive(pid):
            if time.monotonic() > give_up_at:
                os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"worker {pid} outlived its gateway")
            time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# -- files -------------------------------------------------------------------------------------------------------


def consent_rows(recipients: Iterable[str], status: str = "ONAY", kind: str = "BIREYSEL") -> Iterator[tuple[str, ...]]:
    for recipient in recipients:
        yield recipient, "EPOSTA", kind, status, "HS_WEB", "2025-03-04 10:15:00"


def render_csv(rows: Iterable[tuple[str, ...]]) -> str:
    """What ``izinkapi consents import`` reads."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_CONSENT_COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def people_csv() -> str:
    """The people that ``consenting`` and ``refusing`` name, and one address for each fault of the sink."""
    faults = ("tempfail-rcpt", "permfail-rcpt", "tempfail-data", "permfail-data", "slow-1s", "slow-2s", "slow-250ms")
    rows = [
        *consent_rows(f"consenting-{number}@customer.example" for number in range(_PEOPLE)),
        *consent_rows((f"refusing-{number}@customer.example" for number in range(_PEOPLE)), "RET"),
        *consent_rows(f"{fault}@customer.example" for fault in faults),
    ]
    return render_csv(rows)


def hours_ago(hours: float) -> str:
    """A time as ``consents import --synced-at`` takes it."""
    return (datetime.now(_ISTANBUL) - timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M:%S")


def render_toml(settings: dict[str, Any], prefix: str = "") -> str:
    """Tables and arrays of tables of plain values; a text in JSON is a text in TOML."""
    lines, tables = [], []
    for name, value in settings.items():
        if isinstance(value, dict):
            tables.append(f"\n[{prefix}{name}]\n{render_toml(value, f'{prefix}{name}.')}")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            tables += [f"\n[[{prefix}{name}]]\n{render_toml(item, f'{prefix}{name}.')}" for item in value]
        else:
            key = name if name.replace("_", "").isalnum() else json.dumps(name)
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}\n")
    return "".join([*lines, *tables])


def _login_hash() -> str:
    """Cheap on purpose: a test is no attacker."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(LOGIN[1])
