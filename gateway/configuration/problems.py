"""What is wrong with a configuration, said so that the reader can mend it: where, what is expected, what was found."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from gateway.configuration.values import mask_user_part

Path = tuple[str | int, ...]
"""Where a setting is: ``("clients", 0, "networks", 1)``."""

_SHOWN_CHARACTERS = 80
_SHOWN_BITS = 128


@dataclass(frozen=True, slots=True)
class Problem:
    """One sentence about one setting. ``line`` is 0 where none can be named; ``example`` and ``hint`` may be empty."""

    file: str
    line: int
    path: str
    expected: str
    found: str
    example: str = ""
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        setting = f" {self.path}:" if self.path else ""
        example = f", for example {self.example}" if self.example else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{place}:{setting} expected {self.expected}{example}; found {self.found}{hint}"

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


class ConfigurationError(ValueError):
    """The configuration cannot be used. ``problems`` has all of them, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[ConfigurationError], tuple[tuple[Problem, ...]]]:
        return ConfigurationError, (self.problems,)


def render_path(path: Path) -> str:
    """``clients[0].networks[1]``; a key that is not a bare TOML key is quoted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            key = step if step and all(c.isalnum() or c in "-_" for c in step) else _quote(step)
            text += f".{key}" if text else key
    return text


def render_found(raw: object) -> str:
    """What stands in the file, in TOML's spelling; long text is cut and tables are only named."""
    if raw is None:
        return "nothing"
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, str):
        shown = mask_user_part(raw) if "://" in raw else raw
        shown = shown if len(shown) <= _SHOWN_CHARACTERS else shown[: _SHOWN_CHARACTERS - 1] + "…"
        return _quote(shown)
    if isinstance(raw, list):
        return "an empty list" if not raw else "a list of tables" if isinstance(raw[0], dict) else "a list"
    if isinstance(raw, dict):
        return "a table"
    if isinstance(raw, datetime.date | datetime.time):
        return f"the date or time {raw.isoformat()}"
    # A hexadecimal number may be larger than the interpreter is willing to print.
    return repr(raw) if not isinstance(raw, int) or raw.bit_length() <= _SHOWN_BITS else "a huge number"


def render_kind_of(raw: object) -> str:
    """Only what kind of value it is: for places where the value itself may be secret."""
    if isinstance(raw, str):
        return "a text that is not shown"
    return render_found(raw) if isinstance(raw, list | dict) else "a value that is not shown"


def _quote(text: str) -> str:
    """``text`` in quotes; what a terminal would act on is written as an escape."""
    return "".join(
        character if character.isprintable() else f"\\u{ord(character):04x}"
        for character in json.dumps(text, ensure_ascii=False)
    )
