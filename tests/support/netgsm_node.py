"""Netgsm's own library for Node.js."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.node_program import NodeProgram


class NetgsmNode:
    """``call(url, [("sendRestSms", {...}), ...])``: what the library answers, or throws, to each."""

    def __init__(self, folder: Path) -> None:
        self._program = NodeProgram(folder, "netgsm")

    def call(
        self,
        url: str,
        calls: list[tuple[str, dict[str, Any]]],
        *,
        username: str = "8500000001",
        password: str = "sifre-1",
    ) -> list[dict[str, Any]]:
        return self._program.run({"url": url, "username": username, "password": password, "calls": calls})
