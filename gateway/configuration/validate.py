"""From parsed TOML to the typed document, with every unfit setting as a problem of its own.

So that the rules between settings can be checked in the same run, an unfit setting is then replaced by a fit stand-in;
a rule that looked at a stand-in is not heard.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from gateway.configuration.document import Document
from gateway.configuration.kinds import EXPECTED
from gateway.configuration.problems import Path, render_found, render_kind_of, render_path
from gateway.configuration.schema import Setting, Shape, Table, find_entry, read_section, walk

# A stand-in for a table may itself lack what is required in it; nothing nests deeper than this.
_MENDING_ROUNDS = 4

_ALIKE, _ALMOST_EQUAL = 0.6, 0.85


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem before file and line are known. ``concerns`` are the other settings that were looked at."""

    path: Path
    expected: str
    found: str
    example: str = ""
    hint: str = ""
    concerns: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Validated:
    """``document`` is None only where not even stand-ins make one; ``stand_ins`` are their paths."""

    document: Document | None
    findings: tuple[Finding, ...]
    stand_ins: tuple[Path, ...]

    def keep_heard(self, findings: Iterable[Finding]) -> list[Finding]:
        """Those findings that are about settings which really stand in the file."""
        return [
            finding
            for finding in findings
            if not any(
                _overlaps(path, stand_in) for path in (finding.path, *finding.concerns) for stand_in in self.stand_ins
            )
        ]


def validate(data: dict[str, Any]) -> Validated:
    """Judge every setting of ``data`` by its kind."""
    try:
        return Validated(Document.model_validate(data), (), ())
    except ValidationError as error:
        errors = error.errors(include_url=False)
    findings = tuple(_explain(item["type"], item["loc"], item["input"], item.get("ctx", {})) for item in errors)
    mended = copy.deepcopy(data)
    stand_ins: list[Path] = []
    for _ in range(_MENDING_ROUNDS):
        for item in errors:
            stand_ins += _mend(mended, item["type"], item["loc"])
        try:
            return Validated(Document.model_validate(mended), findings, tuple(stand_ins))
        except ValidationError as error:
            errors = error.errors(include_url=False)
    return Validated(None, findings, tuple(stand_ins))


def _explain(kind: str, loc: Path, raw: object, context: dict[str, Any]) -> Finding:
    is_key = loc[-1] == "[key]"
    path = loc[:-1] if is_key else loc
    if kind == "extra_forbidden":
        return Finding(path, "a known setting", "an unknown name", hint=_suggest(path))
    entry = find_entry(path)
    if isinstance(entry, Table):
        return _explain_table(entry, path, raw, is_missing=kind == "missing")
    assert isinstance(entry, Setting)
    if kind == "missing":
        return Finding(path, entry.expected, "nothing", entry.shown_example, "it is required")
    if kind != EXPECTED:
        # The value is no list where a list belongs, or no table where one belongs.
        shown = render_found(raw) if entry.kind.shows_value else render_kind_of(raw)
        return Finding(path, entry.expected, shown, entry.shown_example)
    judge = entry.key_kind if is_key and entry.key_kind is not None else entry.kind
    shown = render_found(raw) if judge.shows_value else render_kind_of(raw)
    return Finding(path, judge.expected, shown, judge.example, context.get("hint", ""))


def _explain_table(table: Table, path: Path, raw: object, *, is_missing: bool) -> Finding:
    name = render_path(tuple(step for step in path if isinstance(step, str)))
    found = "nothing" if is_missing else render_kind_of(raw)
    if table.is_list and not isinstance(path[-1], int):
        return Finding(path, "a list of tables", found, f"[[{name}]]")
    return Finding(path, "a table", found, f"[[{name}]]" if table.is_list else f"[{name}]")


def _suggest(path: Path) -> str:
    """The nearest name that may stand there, or where a setting of this very name belongs."""
    name = str(path[-1])
    elsewhere = sorted({_render_table(place[:-1]) for place, setting in walk() if setting.name == name})
    # A right name in the wrong place is likelier than a name that is only alike.
    if nearest := _find_nearest(path, _ALMOST_EQUAL if elsewhere else _ALIKE):
        return f'did you mean "{nearest}"?'
    if elsewhere:
        return f"it belongs in {' or '.join(elsewhere[:3])}"
    return f"known here: {', '.join(_known_beside(path))}"


def _find_nearest(path: Path, cutoff: float) -> str | None:
    return next(iter(get_close_matches(str(path[-1]), _known_beside(path), n=1, cutoff=cutoff)), None)


def _known_beside(path: Path) -> list[str]:
    around = find_entry(path[:-1])
    return list(read_section(around.section if isinstance(around, Table) else Document))


def _render_table(path: tuple[str, ...]) -> str:
    entry = find_entry(path)
    name = ".".join(path)
    return f"[[{name}]]" if isinstance(entry, Table) and entry.is_list else f"[{name}]"


def _mend(data: dict[str, Any], kind: str, loc: Path) -> list[Path]:
    """Put a stand-in into ``data`` where the error is; say where, and which setting may have been meant."""
    path = loc[:-1] if loc[-1] == "[key]" else loc
    around: Any = data
    for step in path[:-1]:
        around = around[step]
    last: Any = path[-1]
    entry = find_entry(path)
    if kind == "extra_forbidden":
        around.pop(last, None)
        nearest = _find_nearest(path, _ALIKE)
        return [path, (*path[:-1], nearest)] if nearest else [path]
    if loc[-1] == "[key]":
        around.pop(last, None)
    elif isinstance(entry, Table):
        around[last] = [] if entry.is_list and not isinstance(last, int) else {}
    elif isinstance(entry, Setting):
        if kind == EXPECTED and entry.shape is not Shape.ONE:
            around[last] = _read_toml(entry.kind.example)
        elif entry.is_required:
            around[last] = _read_toml(entry.shown_example)
        else:
            around.pop(last, None)
    return [path]


def _read_toml(value: str) -> object:
    return tomllib.loads(f"value = {value}")["value"]


def _overlaps(one: Path, other: Path) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]
