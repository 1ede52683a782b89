"""``izinkapi check-config``: everything that is wrong with a configuration, before a message finds out.

Exit code 0 if the gateway would start with it (warnings allowed), 1 if not. The network is not touched.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from gateway.configuration.describe import render_toml
from gateway.configuration.examine import examine
from gateway.configuration.problems import Problem


def check_config(
    config: Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")] = False,
    print_effective: Annotated[
        bool, typer.Option("--print", help="Show what is in force, defaults included, secrets masked.")
    ] = False,
) -> None:
    """All problems of a configuration at once: file, line, setting, what is expected and what was found."""
    examination = examine(config, os.environ, datetime.now(UTC))
    effective = examination.configuration.describe() if examination.configuration and print_effective else None
    if as_json:
        answer: dict[str, Any] = {
            "file": str(config),
            "ok": not examination.problems,
            "problems": [problem.as_dict() for problem in examination.problems],
            "warnings": [warning.as_dict() for warning in examination.warnings],
        }
        if effective is not None:
            answer["effective"] = effective
        sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")
    else:
        console = Console(soft_wrap=True, highlight=False)
        for problem in examination.problems:
            console.print(_render("problem", "bold red", problem))
        for warning in examination.warnings:
            console.print(_render("warning", "bold yellow", warning))
        if effective is not None:
            console.print(Text(render_toml(effective)))
        console.print(_summary(config, len(examination.problems), len(examination.warnings)))
    raise typer.Exit(1 if examination.problems else 0)


def _render(label: str, style: str, problem: Problem) -> Text:
    return Text.assemble(
        (label, style),
        f" {problem.file}" + (f":{problem.line}" if problem.line else ""),
        (f" {problem.path}\n" if problem.path else "\n", "bold"),
        f"  expected {problem.expected}" + (f", for example {problem.example}" if problem.example else "") + "\n",
        f"  found    {problem.found}" + (f"; {problem.hint}" if problem.hint else ""),
    )


def _summary(config: Path, problems: int, warnings: int) -> Text:
    if problems:
        return Text(f"{config}: {_count(problems, 'problem')}, {_count(warnings, 'warning')}", "bold red")
    if warnings:
        return Text(f"{config}: usable, {_count(warnings, 'warning')}", "bold yellow")
    return Text(f"{config}: in order", "bold green")


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
