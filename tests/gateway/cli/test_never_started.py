"""Commands that only look, where no gateway ever was."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from tests.support.configurations import SMALLEST

LOOKING = [
    ["explain", "--brand", "600123", "--recipient", "a@example.com"],
    ["consents", "show", "--brand", "600123", "--recipient", "a@example.com"],
    ["consents", "stats"],
    ["evidence", "find", "--recipient", "a@example.com"],
    ["evidence", "find", "--message-id", "x"],
    ["evidence", "verify"],
    ["evidence", "seal"],
    ["evidence", "public-key"],
]


@pytest.mark.parametrize("command", LOOKING, ids=lambda command: " ".join(command[:2]))
def test_a_command_that_only_looks_creates_nothing_and_says_what_to_run_first(
    tmp_path: Path, command: list[str]
) -> None:
    """Secrets made by mistake, in a wrong folder say, would be those of another installation."""
    config = tmp_path / "izinkapi.toml"
    config.write_text(SMALLEST, encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(app, [*command, "-c", str(config)])
    assert result.exit_code == 2
    assert "nothing was kept here yet" in result.stderr
    assert "izinkapi serve -c FILE" in result.stderr
    assert sorted(tmp_path.rglob("*")) == before
