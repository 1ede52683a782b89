"""The page about the decision table is the table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from filters.decision.table import EDGE_CASES, GATES, ROWS
from filters.reason import Reason
from gateway.cli.decision_table_page import render_page

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "decision-table.md"


def test_the_page_is_what_the_data_prints() -> None:
    """After a change of the table: ``python -m gateway.cli.decision_table_page > docs/decision-table.md``."""
    assert PAGE.read_text(encoding="utf-8") == render_page()


def test_the_command_prints_the_page() -> None:
    """The command named on the page works from a clone."""
    printed = subprocess.run(
        [sys.executable, "-X", "utf8", "-m", "gateway.cli.decision_table_page"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert printed.stdout.decode() == render_page()


def test_every_entry_and_reason_is_on_the_page_in_a_whole_row() -> None:
    """No cell breaks the table it stands in."""
    lines = render_page().splitlines()
    first_cells = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]
    for entry in (*GATES, *ROWS, *EDGE_CASES):
        assert entry.id in first_cells
    for reason in Reason:
        assert f"`{reason}`" in first_cells
    for cell in (text for entry in (*GATES, *ROWS, *EDGE_CASES) for text in entry if isinstance(text, str)):
        assert "|" not in cell
        assert "\n" not in cell
