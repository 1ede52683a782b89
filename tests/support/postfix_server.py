"""A Postfix of the test's own: its folder, queue, ports and processes; the machine's Postfix is not touched.

It takes mail from loopback, delivers what is for ``domain`` into a mailbox that the test reads, and hands the rest to
whatever ``relay`` settings name. Postfix's master needs root, so where the tests do not run as root there is none.
"""

from __future__ import annotations

import os
import shutil
import smtplib
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.gateway_process import Answer, free_ports, send_over, wait_until

_POSTFIX = "/usr/sbin/postfix"
_MAILBOX_OWNER = 65534

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def may_run() -> bool:
    """Whether this user may run one; says so if not, and the test that asked has nothing to show."""
    assert Path(_POSTFIX).exists(), "postfix is missing: sh config/requirements/system-packages.sh"
    if os.geteuid() == 0:
        return True
    print("Postfix's master needs root: not run")
    return False


class PostfixServer:
    """Started by ``start``, ended by ``stop``, which removes its folder. ``settings`` are lines of main.cf."""

    def __init__(self, *settings: str, domain: str = "shop.example") -> None:
        self.port = free_ports(1)[0]
        # Not below the tests' own folders: they are closed to the user that Postfix runs as.
        self.directory = Path(tempfile.mkdtemp(prefix="izinkapi-postfix-"))
        self.directory.chmod(0o755)
        self._settings = settings
        self._domain = domain
        self._is_started = False

    def start(self) -> None:
        for name in ("config", "queue", "data", "mail"):
            (self.directory / name).mkdir()
        shutil.chown(self.directory / "data", _own_setting("mail_owner"))
        os.chown(self.directory / "mail", _MAILBOX_OWNER, _MAILBOX_OWNER)
        lines = (
            "compatibility_level = 3.6",
            f"queue_directory = {self.directory}/queue",
            f"data_directory = {self.directory}/data",
            *(f"{name} = {_own_setting(name)}" for name in ("daemon_directory", "mail_owner", "setgid_group")),
            f"maillog_file_prefixes = {self.directory}",
            f"maillog_file = {self.log}",
            "myhostname = mail.shop.example",
            "mydestination =",
            "local_recipient_maps =",
            "alias_maps =",
            "alias_database =",
            "inet_interfaces = loopback-only",
            "inet_protocols = ipv4",
            "mynetworks = 127.0.0.0/8",
            "smtpd_relay_restrictions = permit_mynetworks, reject",
            "smtpd_peername_lookup = no",
            "disable_dns_lookups = yes",
            "smtp_host_lookup = native",
            f"virtual_mailbox_domains = {self._domain}",
            f"virtual_mailbox_base = {self.directory}/mail",
            "virtual_mailbox_maps = static:inbox/",
            f"virtual_uid_maps = static:{_MAILBOX_OWNER}",
            f"virtual_gid_maps = static:{_MAILBOX_OWNER}",
            # A test does not wait for minutes.
            "queue_run_delay = 1s",
            "minimal_backoff_time = 1s",
            "maximal_backoff_time = 2s",
            *self._settings,
        )
        (self.directory / "config" / "main.cf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (self.directory / "config" / "master.cf").write_text(_MASTER.format(port=self.port), encoding="utf-8")
        self._is_started = True
        self._command("start")

        def is_listening() -> bool:
            with smtplib.SMTP("127.0.0.1", self.port) as client:
                return client.noop()[0] == 250

        wait_until(is_listening, f"Postfix listens; see {self.log}")

    def stop(self) -> None:
        if self._is_started:
            self._command("stop")  # ends master and its children by the pid in the queue folder, and waits
        shutil.rmtree(self.directory)

    def _command(self, word: str) -> None:
        done = subprocess.run(
            [_POSTFIX, "-c", str(self.directory / "config"), word], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    @property
    def log(self) -> Path:
        return self.directory / "mail.log"

    def send(self, content: bytes, recipients: Sequence[str], sender: str) -> Answer:
        """Into its queue, as the shop's own program does."""
        with smtplib.SMTP("127.0.0.1", self.port, local_hostname="app.shop.example") as client:
            return send_over(client, content, recipients, sender)

    def mailbox(self) -> list[bytes]:
        """What was delivered here."""
        return [path.read_bytes() for path in sorted((self.directory / "mail" / "inbox" / "new").glob("*"))]

    def deliveries(self, recipient: str) -> list[str]:
        """What Postfix says became of each of its attempts: ``sent``, ``deferred`` or ``bounced``, and the reply."""
        log = self.log.read_text("utf-8", "replace")
        return [line.partition(" status=")[2] for line in log.splitlines() if f"to=<{recipient}>" in line]

    def is_empty(self) -> bool:
        """Whether nothing is queued any more."""
        queue = self.directory / "queue"
        return not any(
            path.is_file()
            for name in ("maildrop", "incoming", "active", "deferred")
            for path in (queue / name).rglob("*")
        )


def _own_setting(name: str) -> str:
    """As the package was built."""
    done = subprocess.run(["/usr/sbin/postconf", "-hd", name], check=True, capture_output=True, text=True)
    return done.stdout.strip()
