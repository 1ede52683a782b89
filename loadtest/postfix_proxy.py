"""A private Postfix that does nothing but hand mail on: the before-queue proxy that others would put a filter behind.

Its own folder, queue, ports and processes; the machine's Postfix, running or not, is not touched. It needs root, as
Postfix's master does. It says its log lines to nobody, which spares it some work; only where a syslog listens, whose
files a load test would fill, do they go into its own folder.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POSTFIX = "/usr/sbin/postfix"

_MAIN = """\
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
daemon_directory = {daemons}
mail_owner = {owner}
setgid_group = {group}
{log}myhostname = proxy.example
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
disable_dns_lookups = yes
default_process_limit = 200
"""

_OWN_LOG = """\
maillog_file_prefixes = {directory}
maillog_file = {directory}/mail.log
"""

_MASTER = """\
127.0.0.1:{port} inet n - n - 200 smtpd
    -o smtpd_proxy_filter=127.0.0.1:{sink}
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
cleanup unix n - n - 0 cleanup
bounce unix - - n - 0 bounce
pickup unix n - n 60 1 pickup
qmgr unix n - n 300 1 qmgr
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""


def why_not() -> str:
    """What keeps this machine from running it, or ""."""
    if not Path(POSTFIX).exists():
        return "Postfix is not installed"
    if os.geteuid() != 0:
        return "Postfix's master needs root"
    return ""


def version() -> str:
    return _setting("mail_version")


def _setting(name: str) -> str:
    done = subprocess.run(["/usr/sbin/postconf", "-hd", name], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@contextmanager
def running_postfix(directory: Path, port: int, sink_port: int) -> Iterator[int]:
    """The instance until the block ends, whatever ends it; gives the master's process id."""
    for folder in (directory, directory / "queue", directory / "data"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    shutil.chown(directory / "data", _setting("mail_owner"))
    config = directory / "config"
    config.mkdir()
    names = {
        "daemons": _setting("daemon_directory"),
        "owner": _setting("mail_owner"),
        "group": _setting("setgid_group"),
    }
    log = _OWN_LOG.format(directory=directory) if Path("/dev/log").exists() else ""
    (config / "main.cf").write_text(_MAIN.format(directory=directory, log=log, **names), encoding="utf-8")
    (config / "master.cf").write_text(_MASTER.format(port=port, sink=sink_port), encoding="utf-8")

    def stop() -> None:
        _command(config, "stop", check=False)

    atexit.register(stop)
    try:
        _command(config, "start", check=True)
        yield int((directory / "queue" / "pid" / "master.pid").read_text())
    finally:
        stop()
        atexit.unregister(stop)


def _command(config: Path, word: str, *, check: bool) -> None:
    done = subprocess.run([POSTFIX, "-c", str(config), word], check=False, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"postfix {word} failed:\n{done.stderr}")
