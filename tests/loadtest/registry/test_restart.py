"""What the registry has said it has, it has after ``kill -9`` too."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME
from tests.support.registry_world import CONSENTS, item, key

ROOT = Path(__file__).parents[3]


@contextmanager
def registry(store: Path, *options: str, end: signal.Signals = signal.SIGKILL) -> Iterator[str]:
    command = [sys.executable, "-m", "loadtest.registry", "serve", "--listen", "127.0.0.1:0", "--store", str(store)]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().removeprefix("listening on ").strip()
        finally:
            process.send_signal(end)
            process.wait(timeout=30)


def ask(url: str, method: str = "GET", body: Any = None, token: str = "") -> Any:
    request = urllib.request.Request(
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        content = answer.read()
        return json.loads(content) if content else None


def test_state_clock_tokens_and_queues_survive(tmp_path: Path) -> None:
    """Consents, a bulk request in work, its receipt, tokens, blocks, settings, holidays and the clock's place."""
    store = tmp_path / "registry.sqlite"
    with registry(store, "--bulk-delay", "60") as url:
        ask(url + "/_sim/clock", "PUT", {"at": "2026-11-18 12:00:00"})
        ask(url + "/_sim/holidays", "PUT", ["05-01"])
        login = {"grant_type": "password", "username": DEFAULT_USERNAME, "password": DEFAULT_PASSWORD}
        token = ask(url + "/oauth2/token", "POST", login)["access_token"]
        receipt = ask(url + "/v2" + CONSENTS, "POST", item(), token)
        bulk = ask(url + CONSENTS + "/request", "POST", [item(recipient="b@example.com")], token)["requestId"]
        ask(url + "/_sim/settings", "PUT", {"token_requests_per_hour": 1})
        with pytest.raises(urllib.error.HTTPError, match="429"):
            ask(url + "/oauth2/token", "POST", login)
    with registry(store, "--no-limits", end=signal.SIGTERM) as url:
        clock = ask(url + "/_sim/clock")
        assert clock["turkey"].startswith("2026-11-18 12:0")
        assert ask(url + "/_sim/holidays") == ["05-01"]
        assert list(ask(url + "/_sim/limits")["blocked_until"]) == ["127.0.0.1"]
        assert ask(url + CONSENTS + "/status", "POST", key(), token)["transactionId"] == receipt["transactionId"]
        assert ask(url + "/v2" + CONSENTS, "POST", item(), token) == receipt
        assert ask(f"{url}{CONSENTS}/request/{bulk}", token=token) == []
        ask(url + "/_sim/clock", "PUT", {"advance_s": 60})
        assert ask(f"{url}{CONSENTS}/request/{bulk}", token=token)[0]["status"] == "success"
    with registry(store) as url:
        assert ask(url + "/_sim/state")["consents"]["600123"] == {"ONAY": 2, "RET": 0}
