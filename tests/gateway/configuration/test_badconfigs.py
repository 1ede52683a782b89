"""Every way to be wrong is a case in tests/badconfigs: a configuration and the sentences that are said about it.

After a change of wording: ``python -m tests.gateway.configuration.test_badconfigs`` writes the sentences anew; read
them before committing.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.configuration import ConfigurationError, load_configuration
from gateway.configuration.examine import examine

CASES = Path(__file__).parents[2] / "badconfigs"
SECRET = "hunter2-hunter2"
ENVIRONMENT = {"IZINKAPI_TEST": SECRET, "IZINKAPI_EMPTY": ""}
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def render_case(case: Path) -> str:
    """What is said about the case, with its folder left out of every path."""
    examination = examine(case / "config.toml", ENVIRONMENT, NOW)
    sentences = [str(problem) for problem in examination.problems]
    return "".join(f"{sentence}\n" for sentence in sentences).replace(f"{case}/", "")


@pytest.mark.parametrize("name", sorted(case.name for case in CASES.iterdir()))
def test_a_bad_configuration_gets_exactly_its_sentences(name: str) -> None:
    """All problems are named at once, each with file, line, setting, what is expected and what was found."""
    case = CASES / name
    said = render_case(case)
    assert said == (case / "expected.txt").read_text(encoding="utf-8")
    assert said
    assert SECRET not in said


def test_the_error_of_loading_says_the_same_as_the_check() -> None:
    """Whoever starts the gateway with a bad file reads the same sentences as check-config prints."""
    case = CASES / "many-problems-at-once"
    with pytest.raises(ConfigurationError) as raised:
        load_configuration(case / "config.toml", ENVIRONMENT)
    assert str(raised.value).replace(f"{case}/", "") + "\n" == (case / "expected.txt").read_text(encoding="utf-8")


if __name__ == "__main__":
    for folder in sorted(CASES.iterdir()):
        (folder / "expected.txt").write_text(render_case(folder), encoding="utf-8")
    sys.exit()
