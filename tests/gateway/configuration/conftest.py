"""Files of one test's own folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.configurations import SMALLEST

WriteFile = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    """Writes a file of the test's own folder, readable by its owner only; ``write("izinkapi.toml", text)``."""

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    return write_file


@pytest.fixture
def smallest(write: WriteFile) -> Path:
    """The smallest configuration, as the design states it."""
    return write("izinkapi.toml", SMALLEST)
