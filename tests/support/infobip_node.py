"""Infobip's own library for Node.js."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loadtest.providers.infobip import KEY
from tests.support.node_program import NodeProgram


class InfobipNode:
    """``call(url, [("sms.send", [{...}]), ...])``: status and body of the answer to each."""

    def __init__(self, folder: Path) -> None:
        self._program = NodeProgram(folder, "infobip")

    def call(self, url: str, calls: list[tuple[str, list[Any]]], *, key: str = KEY) -> list[dict[str, Any]]:
        return self._program.run({"url": url, "key": key, "calls": calls})
