"""Every way to be wrong is a case in tests/badconfigs: a configuration and the sentences that are said about it.

After a change of wording: ``python tests/gateway/configuration/test_badconfigs.py`` writes the sentences anew; read
them before committing.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from gateway.configuration import ConfigurationError, load_configuration
from gateway.configuration.document import Document
from gateway.configuration.examine import examine
from gateway.configuration.load import parse_file
from gateway.configuration.rules import RULES, Rule
from gateway.configuration.validate import validate

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


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_between_settings_is_broken_by_a_case(rule: Rule) -> None:
    """A rule that nothing breaks may as well not be there."""
    assert any(True for document in find_documents() for _ in rule(document))


@cache
def find_documents() -> tuple[Document, ...]:
    documents = []
    for case in CASES.iterdir():
        try:
            documents.append(validate(parse_file(case / "config.toml").data).document)
        except ConfigurationError:
            continue
    return tuple(document for document in documents if document is not None)


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
