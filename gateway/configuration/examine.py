"""The whole examination of a configuration: the file itself, and then what it names on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.configuration.checks import FileChecks
from gateway.configuration.load import parse_file, settle_file
from gateway.configuration.problems import ConfigurationError, Problem
from gateway.configuration.settings import Configuration


@dataclass(frozen=True, slots=True)
class Examination:
    """``configuration`` is None where the file itself has problems; the machine is then not looked at."""

    configuration: Configuration | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def examine(path: Path, environment: Mapping[str, str], now: datetime) -> Examination:
    """Everything that ``load_configuration`` finds, and everything that only the machine can tell. Never raises."""
    try:
        file = parse_file(path)
        configuration = settle_file(file, environment)
    except ConfigurationError as error:
        return Examination(None, error.problems, ())
    checks = FileChecks(configuration, now)
    checks.run()
    warnings = dict.fromkeys([*configuration.warnings, *file.locate(checks.warnings)])
    return Examination(configuration, tuple(file.locate(checks.findings)), tuple(warnings))
