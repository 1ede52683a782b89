"""A provider's own library for Node.js, installed in the version that is pinned, called as a program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

CLIENTS = Path(__file__).parent.parent / "e2e" / "clients"


class NodeProgram:
    """``call.js`` of one of ``CLIENTS`` in ``folder``: JSON in, JSON out."""

    def __init__(self, folder: Path, client: str) -> None:
        npm, node = shutil.which("npm"), shutil.which("node")
        assert npm is not None, "npm is missing: sh config/requirements/system-packages.sh"
        assert node is not None, "nodejs is missing: sh config/requirements/system-packages.sh"
        self._node, self._folder = node, folder
        for name in ("package.json", "package-lock.json", "call.js"):
            shutil.copy(CLIENTS / client / name, folder)
        quiet = ("--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--no-update-notifier")
        done = subprocess.run([npm, "ci", *quiet], cwd=folder, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr

    def run(self, order: dict[str, Any]) -> list[dict[str, Any]]:
        """What the program says to ``order``; nothing goes by a proxy."""
        done = subprocess.run(
            [self._node, "call.js"],
            cwd=self._folder,
            env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        results: list[dict[str, Any]] = json.loads(done.stdout)
        return results
