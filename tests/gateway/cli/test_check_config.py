"""``izinkapi check-config`` as people and scripts use it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli.check_config import check_config
from tests.support.configurations import SMALLEST

BAD = SMALLEST.replace('name = "shop"', 'nmae = "shop"\nusername = "~secret~"').replace("[[upstreams.sms]]", "[x.y]")


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    app.command("check-config")(check_config)
    return app


def write(folder: Path, text: str) -> str:
    path = folder / "izinkapi.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_usable_configuration_ends_with_zero_and_names_what_is_doubtful(command: typer.Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["-c", write(tmp_path, SMALLEST)])
    assert result.exit_code == 0
    assert "usable, 2 warnings" in result.output
    assert "registry.password_file" in result.output


def test_a_configuration_without_anything_to_say_is_in_order(command: typer.Typer, tmp_path: Path) -> None:
    text = SMALLEST.replace("iys_code = 600123", 'iys_code = 600123\ncontact = "0850 000 00 00"')
    result = CliRunner().invoke(command, ["-c", write(tmp_path, text.replace('password_file = "…"', ""))])
    assert result.output.endswith("izinkapi.toml: in order\n")


def test_all_problems_are_printed_with_their_place_and_the_exit_code_is_one(
    command: typer.Typer, tmp_path: Path
) -> None:
    path = write(tmp_path, BAD)
    result = CliRunner().invoke(command, ["-c", path])
    assert result.exit_code == 1
    assert f"problem {path}:13 clients[0].name\n" in result.output
    assert f"problem {path}:14 clients[0].nmae\n" in result.output
    assert 'did you mean "name"?' in result.output
    assert f"problem {path}:29 x\n" in result.output


def test_scripts_read_the_same_as_json(command: typer.Typer, tmp_path: Path) -> None:
    path = write(tmp_path, BAD)
    result = CliRunner().invoke(command, ["--config", path, "--json"])
    answer = json.loads(result.output)
    assert result.exit_code == 1
    assert answer["ok"] is False
    assert answer["problems"][0] == {
        "file": path,
        "line": 13,
        "path": "clients[0].name",
        "expected": "a name of lower-case letters a-z, digits, - and _, at most 40 characters",
        "found": "nothing",
        "example": '"shop"',
        "hint": "it is required",
    }


def test_what_is_in_force_is_printed_as_toml_and_as_json(command: typer.Typer, tmp_path: Path) -> None:
    path = write(tmp_path, SMALLEST)
    printed = CliRunner().invoke(command, ["-c", path, "--print"]).output
    toml = printed[printed.index("[store]") : printed.rindex(path)]
    described = json.loads(CliRunner().invoke(command, ["-c", path, "--print", "--json"]).output)["effective"]
    assert tomllib.loads(toml)["freshness"] == described["freshness"]
    assert described["store"]["lookup_timeout"] == "1s"


def test_what_a_file_holds_cannot_act_on_the_terminal(command: typer.Typer, tmp_path: Path) -> None:
    """Neither escape sequences nor markup in names and values are obeyed."""
    text = SMALLEST.replace('name = "shop"', 'name = "[red]\\u001b[31m\\u009b"\n"\\u001b[2J[bold]" = 1')
    result = CliRunner().invoke(command, ["-c", write(tmp_path, text)], color=True)
    assert "\x1b" not in result.output
    assert "\x9b" not in result.output
    assert "[red]\\u001b[31m\\u009b" in result.output
