"""The example file and the reference page say what the program does."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.configuration import load_configuration
from gateway.configuration.document import Document
from gateway.configuration.kinds import Kind
from gateway.configuration.manual import EXAMPLE_FILE, REFERENCE_FILE, render_example, render_reference
from gateway.configuration.schema import Setting, Shape, read_section, walk
from gateway.configuration.validate import validate

SETTINGS = {".".join(path): setting for path, setting in walk()}
_HEADER = re.compile(r"#?\[\[?([a-z_.]+)\]\]?")
_LINE = re.compile(r"#?([a-z_]+) = (.+)")


def example_lines() -> dict[str, tuple[str, bool]]:
    """Each setting of the example file: its value as written, and whether it is in force."""
    table, found = "", {}
    for line in EXAMPLE_FILE.read_text(encoding="utf-8").splitlines():
        if header := _HEADER.fullmatch(line):
            table = header[1]
        elif setting := _LINE.fullmatch(line):
            found[f"{table}.{setting[1]}"] = (setting[2], not line.startswith("#"))
    return found


def read_toml(value: str) -> object:
    return tomllib.loads(f"value = {value}")["value"]


def test_the_example_file_is_the_one_that_is_made_from_the_program() -> None:
    """If not: python -m gateway.configuration.manual."""
    assert EXAMPLE_FILE.read_text(encoding="utf-8") == render_example()


def test_the_reference_page_is_the_one_that_is_made_from_the_program() -> None:
    """If not: python -m gateway.configuration.manual."""
    assert REFERENCE_FILE.read_text(encoding="utf-8") == render_reference()


def test_every_setting_is_in_the_example_file() -> None:
    assert set(example_lines()) == set(SETTINGS)


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_setting_is_shown_as_it_is(name: str) -> None:
    """It has a purpose; a comment shows the default, and where there is none a value that would be taken."""
    setting = SETTINGS[name]
    value, is_in_force = example_lines()[name]
    assert setting.purpose.endswith((".", "…", ":", ")"))
    assert accepts(setting, read_toml(value))
    assert accepts(setting, read_toml(setting.shown_example))
    if not is_in_force and setting.default is not None:
        assert read_toml(value) == setting.default


def accepts(setting: Setting, value: object) -> bool:
    """Whether the kinds of ``setting`` take ``value``."""
    if setting.shape is Shape.LIST:
        assert isinstance(value, list)
        return all(takes(setting.kind, item) for item in value)
    if setting.shape is Shape.MAP:
        assert isinstance(value, dict)
        assert setting.key_kind is not None
        return all(takes(setting.key_kind, key) and takes(setting.kind, item) for key, item in value.items())
    return takes(setting.kind, value)


def takes(kind: Kind, value: object) -> bool:
    try:
        kind.parse(value)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_the_example_of_a_kind_is_of_that_kind(name: str) -> None:
    """Messages show it as the way to do it right."""
    kind = SETTINGS[name].kind
    assert takes(kind, read_toml(kind.example))


def test_the_example_file_is_a_working_configuration_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "izinkapi.toml"
    path.write_text(EXAMPLE_FILE.read_text(encoding="utf-8"), encoding="utf-8")
    configuration = load_configuration(path, {})
    assert configuration.warnings == ()
    assert configuration.smtp_listeners


def test_a_default_shown_in_a_comment_changes_nothing_when_the_comment_is_removed() -> None:
    """All defaults put in force at once give the same configuration."""
    lines, table = [], ""
    for line in EXAMPLE_FILE.read_text(encoding="utf-8").splitlines():
        if header := _HEADER.fullmatch(line):
            table = header[1]
        match = _LINE.fullmatch(line)
        is_default = match and line.startswith("#") and SETTINGS[f"{table}.{match[1]}"].default is not None
        lines.append(line.removeprefix("#") if is_default and not is_under_commented_header(table) else line)
    uncommented = validate(tomllib.loads("\n".join(lines)))
    as_shipped = validate(tomllib.loads(EXAMPLE_FILE.read_text(encoding="utf-8")))
    assert uncommented.findings == ()
    assert uncommented.document == as_shipped.document


def is_under_commented_header(table: str) -> bool:
    text = EXAMPLE_FILE.read_text(encoding="utf-8")
    return f"\n#[{table}]\n" in text or f"\n#[[{table}]]\n" in text


def test_defaults_are_spelled_as_in_a_file() -> None:
    """The model with nothing set is the model of a file that sets every default."""
    for name, entry in read_section(Document).items():
        if isinstance(entry, Setting):
            pytest.fail(f"{name}: settings stand in sections")
    try:
        Document()
    except ValidationError as error:
        pytest.fail(str(error))


def test_the_page_for_people_names_every_setting(write: Callable[[str, str], Path]) -> None:
    page = REFERENCE_FILE.read_text(encoding="utf-8")
    assert all(f"| `{setting.name}` |" in page for setting in SETTINGS.values())
