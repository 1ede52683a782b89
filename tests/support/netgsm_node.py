"""Netgsm's own library for Node.js, installed in the version that is pinned, called as a program."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

CLIENT = Path(__file__).parent.parent / "e2e" / "clients" / "netgsm"


class NetgsmNode:
    """``call(url, [("sendRestSms", {...}), ...])``: what the library answers, or throws, to each."""

    def __init__(self, folder: Path) -> None:
        npm, node = shutil.which("npm"), shutil.which("node")
        assert npm is not None, "npm is missing: sh config/requirements/system-packages.sh"
        assert node is not None, "nodejs is missing: sh config/requirements/system-packages.sh"
        self._node, self._folder = node, folder
        for name in ("package.json", "package-lock.json", "call.js"):
            shutil.copy(CLIENT / name, folder)
        quiet = ("--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--no-update-notifier")
        done = subprocess.run([npm, "ci", *quiet], cwd=folder, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr

    def call(
        self,
        url: str,
        calls: list[tuple[str, dict[str, Any]]],
        *,
        username: str = "8500000001",
        password: str = "sifre-1",
    ) -> list[dict[str, Any]]:
        order = json.dumps({"url": url, "username": username, "password": password, "calls": calls})
        done = subprocess.run(
            [self._node, "call.js"],
            cwd=self._folder,
            input=order,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        results: list[dict[str, Any]] = json.loads(done.stdout)
        return results
