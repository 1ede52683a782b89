"""Reads a configuration file: all of it is right, or all that is wrong with it is said at once."""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.configuration import problems
from gateway.configuration.advice import find_advice
from gateway.configuration.positions import find_line, find_lines
from gateway.configuration.problems import ConfigurationError, Problem, render_path
from gateway.configuration.rules import find_broken_rules
from gateway.configuration.secret_sources import SecretSources, describe_os_error
from gateway.configuration.settings import Configuration
from gateway.configuration.settle import settle
from gateway.configuration.validate import Finding, validate

MOST_FILE_BYTES = 4 * 1024 * 1024
MOST_DEPTH = 20
"""Tables and lists within each other; no setting is deeper than six."""

_SYNTAX_PLACE = re.compile(r" \(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)$")


# The parser shows a dotted key as Python's tuple of its parts.
_KEY_TUPLE = re.compile(r"\((?:'[^']*'(?:, |,)?)+\)")
_KEY = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A file that is TOML: its data and where in it everything stands."""

    path: Path
    data: dict[str, Any]
    lines: dict[problems.Path, int]

    def locate(self, findings: Iterable[Finding]) -> list[Problem]:
        """``findings`` with file and line, in the order of the file."""
        found = [
            Problem(
                file=str(self.path),
                line=find_line(self.lines, finding.path),
                path=render_path(finding.path),
                expected=finding.expected,
                found=finding.found,
                example=finding.example,
                hint=finding.hint,
            )
            for finding in findings
        ]
        return sorted(dict.fromkeys(found), key=lambda problem: problem.line)


def load_configuration(path: Path | str, environment: Mapping[str, str] | None = None) -> Configuration:
    """The configuration in ``path``; ``environment`` is the process's own unless given.

    Raises ``ConfigurationError`` with every problem found. Reads the file and those with secrets it names, nothing
    else."""
    file = parse_file(Path(path))
    return settle_file(file, os.environ if environment is None else environment)


def settle_file(file: ParsedFile, environment: Mapping[str, str]) -> Configuration:
    """Judge the settings, then the rules between them, and make the values the program uses."""
    validated = validate(file.data)
    document = validated.document
    if document is None:
        raise ConfigurationError(file.locate(validated.findings))
    sources = SecretSources(file.path.absolute().parent, environment)
    sources.read(document)
    between = validated.keep_heard([*find_broken_rules(document), *sources.findings])
    if validated.findings or between:
        raise ConfigurationError(file.locate([*validated.findings, *between]))
    configuration = settle(document, file.path, sources.values)
    warnings = file.locate([*find_advice(document), *sources.warnings])
    return dataclasses.replace(configuration, warnings=tuple(warnings))


def parse_file(path: Path) -> ParsedFile:
    """Read and parse TOML; raises ``ConfigurationError`` with the one problem that stops it."""
    name = str(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            [Problem(name, 0, "", "a configuration file that can be read", describe_os_error(error))]
        ) from None
    if len(content) > MOST_FILE_BYTES:
        raise ConfigurationError([Problem(name, 0, "", f"a file of at most {MOST_FILE_BYTES} bytes", "a larger one")])
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            [Problem(name, line, "", "text in UTF-8", f"the byte 0x{content[error.start]:02x}")]
        ) from None
    # The standard parser reads CRLF as LF; the lines are counted in what it reads.
    text = text.replace("\r\n", "\n")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([_explain_syntax(name, text, str(error))]) from None
    except RecursionError:
        raise _too_deep(name) from None
    except ValueError:
        # The interpreter refuses to read decimal numbers of thousands of digits.
        raise ConfigurationError([Problem(name, 0, "", "TOML", "a number of thousands of digits")]) from None
    if _find_depth(data) > MOST_DEPTH:
        raise _too_deep(name)
    return ParsedFile(path, data, find_lines(text))


def _too_deep(name: str) -> ConfigurationError:
    return ConfigurationError(
        [Problem(name, 0, "", f"tables and lists nested at most {MOST_DEPTH} deep", "deeper nesting")]
    )


def _find_depth(data: object) -> int:
    """How deep tables and lists are nested, without recursion: the data may be deeper than the stack."""
    depth, level = 0, [data]
    while level:
        depth += 1
        inner: list[object] = []
        for item in level:
            inner += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        level = inner
    return depth


def _explain_syntax(name: str, text: str, message: str) -> Problem:
    """The parser's sentence without the place, which has its own field. It never quotes a value."""
    line, hint = text.count("\n") + 1, ""
    if match := _SYNTAX_PLACE.search(message):
        message = _KEY_TUPLE.sub(lambda keys: ".".join(_KEY.findall(keys[0])), message[: match.start()])
        if match[1]:
            line, hint = int(match[1]), f"near column {match[2]}"
    if text.startswith("\ufeff"):
        hint = "the file starts with a byte order mark"
    return Problem(name, line, "", "TOML", f"a mistake in its syntax: {message[:1].lower()}{message[1:]}", hint=hint)
