"""On which line each setting of a TOML text stands; the standard parser does not tell.

It walks text that the standard parser has already accepted, so it need not judge, only follow. Paths are those of
the parsed data: ``("clients", 0, "networks", 1)``; a table that is opened more than once keeps its first line.
"""

from __future__ import annotations

import re
from bisect import bisect_left

from gateway.configuration.problems import Path

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*+")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}#\r\n]*")
# Opening quotes to the expression that finds the closing ones; the longest openings first.
_STRINGS = (
    ('"""', re.compile(r'"""(?:[^\\"]|\\.|"{1,2}(?!"))*"{3,5}', re.DOTALL)),
    ("'''", re.compile(r"'''(?:[^']|'{1,2}(?!'))*'{3,5}", re.DOTALL)),
    ('"', re.compile(r'"(?:[^\\"\n]|\\.)*"')),
    ("'", re.compile(r"'[^'\n]*'")),
)


def find_lines(text: str) -> dict[Path, int]:
    """The line (from 1) of every key, table and list item in ``text``, which must be valid TOML."""
    scanner = _Scanner(text)
    scanner.scan_document()
    return scanner.lines


def find_line(lines: dict[Path, int], path: Path) -> int:
    """The line of ``path``, else that of the nearest table around it, else 0."""
    for length in range(len(path), 0, -1):
        if (line := lines.get(path[:length])) is not None:
            return line
    return 0


class _Scanner:
    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._line_ends = [match.start() for match in re.finditer("\n", text)]
        self._lengths: dict[Path, int] = {}

    def scan_document(self) -> None:
        table: Path = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._starts("[["):
                keys = self._header(2)
                table = self._open(keys, is_item=True)
            elif self._starts("["):
                keys = self._header(1)
                table = self._open(keys, is_item=False)
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self, brackets: int) -> tuple[str, ...]:
        self._at += brackets
        keys = self._keys()
        self._at += brackets
        return keys

    def _open(self, keys: tuple[str, ...], *, is_item: bool) -> Path:
        """The path of the table whose header was just read: steps through a list of tables mean its last item."""
        path: Path = ()
        for key in keys[:-1]:
            path = self._note((*path, key))
            if path in self._lengths:
                path = (*path, self._lengths[path] - 1)
        path = self._note((*path, keys[-1]))
        if is_item:
            number = self._lengths.get(path, 0)
            self._lengths[path] = number + 1
            path = self._note((*path, number))
        return path

    def _pair(self, table: Path) -> None:
        path = table
        for key in self._keys():
            path = self._note((*path, key))
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._starts("["):
            self._at += 1
            number = 0
            self._skip(_BLANK)
            while not self._starts("]"):
                self._value(self._note((*path, number)))
                number += 1
                self._skip_comma()
            self._at += 1
        elif self._starts("{"):
            self._at += 1
            self._skip(_BLANK)
            while not self._starts("}"):
                self._pair(path)
                self._skip_comma()
            self._at += 1
        elif not self._skip_string():
            self._skip(_BARE_VALUE)

    def _keys(self) -> tuple[str, ...]:
        keys = []
        while True:
            self._skip(_SPACE)
            start = self._at
            if self._skip_string():
                keys.append(_unquote(self._text[start : self._at]))
            else:
                self._skip(_BARE_KEY)
                keys.append(self._text[start : self._at])
            self._skip(_SPACE)
            if not self._starts("."):
                return tuple(keys)
            self._at += 1

    def _skip_string(self) -> bool:
        for opening, expression in _STRINGS:
            if self._starts(opening):
                self._skip(expression)
                return True
        return False

    def _skip_comma(self) -> None:
        self._skip(_BLANK)
        if self._starts(","):
            self._at += 1
            self._skip(_BLANK)

    def _skip(self, expression: re.Pattern[str]) -> None:
        match = expression.match(self._text, self._at)
        if match is None:
            raise ValueError(f"not valid TOML at character {self._at}")
        self._at = match.end()

    def _starts(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _note(self, path: Path) -> Path:
        self.lines.setdefault(path, bisect_left(self._line_ends, self._at) + 1)
        return path


def _unquote(text: str) -> str:
    if text.startswith("'"):
        return text[1:-1]
    return _ESCAPE.sub(_unescape, text[1:-1])


_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([btnfr"\\]))')
_SHORT = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


def _unescape(match: re.Match[str]) -> str:
    number = match[1] or match[2]
    return chr(int(number, 16)) if number else _SHORT[match[3]]
