"""The simulated registry as a process of the test's own, on a free port of loopback, in memory, ended by its pid."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class SimulatedRegistry:
    """Started by ``start``. ``now`` is the clock that it and its clients share; ``advance`` moves both."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self._ahead_s = 0.0
        self._slowness_s = 0.0
        self.url = ""

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtest.registry", "serve", "--listen", "127.0.0.1:0", *self._options],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("listening on "), line
        self.url = line.removeprefix("listening on ").strip()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def now(self) -> float:
        return time.time() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Move the registry's clock and ours."""
        self._ahead_s += seconds
        self.control("PUT", "clock", {"at": self.now()})

    def advance_ours(self, seconds: float) -> None:
        """Move our clock only; ``advance`` brings the registry's along later."""
        self._ahead_s += seconds

    def reset(self) -> None:
        """No faults, no counts, no blocks, documented settings; consents and tokens stay."""
        if self._slowness_s:  # a call that its client gave up is still slept over, and would count in the next test
            time.sleep(self._slowness_s)
            self._slowness_s = 0.0
        self.control("DELETE", "faults")
        self.control("DELETE", "limits")
        self.control("DELETE", "requests")
        self.control(
            "PUT",
            "settings",
            {
                "is_limiting": True,
                "requests_per_second": 10,
                "token_requests_per_hour": 100,
                "is_token_limit_flat": True,
                "bulk_delay_s": 5.0,
                "is_unknown_status_404": False,
            },
        )

    def fault(self, kind: str, **details: Any) -> None:
        """Switch on one fault (``loadtest.registry.door.faults``)."""
        if kind == "slow":
            self._slowness_s = details.get("seconds", 1.0) + 0.05
        self.control("PUT", "faults", {"faults": [{"kind": kind, **details}]})

    def set(self, **settings: Any) -> None:
        self.control("PUT", "settings", settings)

    def operations(self) -> dict[str, int]:
        """How often each operation was called."""
        found: dict[str, int] = self.traffic()["by_operation"]
        return found

    def breaches(self) -> list[Any]:
        """Every breach of a documented limit."""
        found: list[Any] = self.traffic()["breaches"]
        return found

    def traffic(self) -> dict[str, Any]:
        found: dict[str, Any] = self.control("GET", "requests?limit=20000")
        return found

    def control(self, method: str, what: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_sim/{what}", data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            content = answer.read()
        return json.loads(content) if content else None
