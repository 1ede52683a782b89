"""A real redis-server of the test's own: a free port, a temporary folder, ended by its pid."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

_READY_WITHIN_S = 10.0


class RedisServer:
    """Started by ``start``; ``port`` stays the same over restarts, as do the files in ``directory``."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        self.options = options
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        program = shutil.which("redis-server")
        assert program, "redis-server is missing: sh config/requirements/system-packages.sh"
        self.directory.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [
                *(program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory)),
                *("--save", "", "--daemonize", "no", "--enable-debug-command", "yes", *self.options),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up_at = time.monotonic() + _READY_WITHIN_S
        while True:
            try:
                if self.ask("PING").startswith((b"+PONG", b"-NOAUTH")):
                    return
            except OSError:
                assert self._process.poll() is None, "redis-server ended at once"
            assert time.monotonic() < give_up_at, "redis-server is not ready"
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(10)
            self._process = None

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def ask(self, *words: str | bytes) -> bytes:
        """The raw reply to one command, over a connection of its own (replies longer than 1 MB are cut)."""
        packed = [word.encode() if isinstance(word, str) else word for word in words]
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(b"*%d\r\n" % len(packed) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in packed))
            return connection.recv(1 << 20)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
