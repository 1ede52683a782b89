"""Configurations that load, each with the warnings that are said about it (none, where there is no file of them).

``python tests/gateway/configuration/test_goodconfigs.py`` writes the warnings anew; read them before committing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.configuration import load_configuration

CASES = Path(__file__).parents[2] / "goodconfigs"
ENVIRONMENT = {
    "RELAY_PASSWORD": "made-up",
    "SHOP_HASH": "$argon2id$v=19$m=65536,t=3,p=4$bWFkZS11cC1zYWx0LTAwMQ$" + 43 * "B",
}


def render_warnings(case: Path) -> str:
    configuration = load_configuration(case / "config.toml", ENVIRONMENT)
    return "".join(f"{warning}\n" for warning in configuration.warnings).replace(f"{case}/", "")


@pytest.mark.parametrize("name", sorted(case.name for case in CASES.iterdir()))
def test_a_good_configuration_loads_with_exactly_its_warnings(name: str) -> None:
    expected = CASES / name / "warnings.txt"
    assert render_warnings(CASES / name) == (expected.read_text(encoding="utf-8") if expected.exists() else "")


if __name__ == "__main__":
    for folder in sorted(CASES.iterdir()):
        if warnings := render_warnings(folder):
            (folder / "warnings.txt").write_text(warnings, encoding="utf-8")
