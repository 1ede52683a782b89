"""The line of every setting."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.configuration.positions import find_line, find_lines
from gateway.configuration.problems import Path
from tests.support.configurations import SMALLEST


def paths_of(data: Any, path: Path = ()) -> set[Path]:
    """Every key, table and list item of parsed TOML."""
    found = {path} if path else set()
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in items:
        found |= paths_of(value, (*path, step))
    return found


TRICKY = '''
# a comment with [table] and key = 1
title = "a # b" # real comment
"quoted key" = 'C:\\path'
dotted.key.here = 1
multi = """
not = "a key"
[not.a.table]
quotes "" inside \\""" and at the end"""""
literal = \'\'\'
also = 'not' # a key
'\'\'\'\'
list = [ # comment ]
  1, [2, 3], # ,
  { a = 1, b.c = [4] },
]
inline = { "x.y" = "}", z = [ "]" ] }
date = 2026-11-21 10:00:00
[table]
key = 1
[table.sub."dotted.name"]
key = 2
[[many]]
name = "one"
[many.inner]
x = 1
[[many]]
name = "two"
  [[many.deep]]
  y = 1
  [[many.deep]]
  y = 2
"\\u00e7" = 3
'''


def test_every_path_of_the_parsed_data_has_its_line() -> None:
    """Strings, comments and inline tables that look like settings mislead nobody."""
    lines = find_lines(TRICKY)
    assert set(lines) == paths_of(tomllib.loads(TRICKY))
    texts = TRICKY.split("\n")
    assert texts[lines[("many", 1, "deep", 1, "y")] - 1] == "  y = 2"
    assert texts[lines[("many", 1, "deep", 1)] - 1] == "  [[many.deep]]"
    assert texts[lines[("list", 2, "b", "c", 0)] - 1] == "  { a = 1, b.c = [4] },"
    assert texts[lines[("table", "sub", "dotted.name", "key")] - 1] == "key = 2"
    assert texts[lines[("ç",)] - 1 if ("ç",) in lines else lines[("many", 1, "deep", 1, "ç")] - 1] == '"\\u00e7" = 3'


def test_the_line_of_a_missing_setting_is_that_of_its_table() -> None:
    lines = find_lines(SMALLEST)
    assert find_line(lines, ("clients", 0, "password_hash")) == SMALLEST.split("\n").index("[[clients]]") + 1
    assert find_line(lines, ("log", "level")) == 0


keys = st.one_of(st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True), st.text(max_size=5))
scalars = st.one_of(
    st.integers(-5, 5), st.booleans(), st.text(max_size=12), st.sampled_from(['"""', "'''", "#", "[a]", "\\", "\n"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


def render_key(key: str) -> str:
    return render_value(key)


def render_value(value: Any, line_end: str = "\n") -> str:
    """TOML for ``value``, with line ends and comments wherever they are allowed."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        escaped = "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value)
        return f'"{escaped}"'
    if isinstance(value, list):
        return f"[ # ]{line_end}" + "".join(f"{render_value(item)} ,{line_end}" for item in value) + "]"
    return "{" + ", ".join(f"{render_key(key)} = {render_value(item)}" for key, item in value.items()) + "}"


@given(st.dictionaries(keys, values, max_size=4), st.dictionaries(keys, values, max_size=3))
def test_any_document_has_a_line_for_every_path(top: dict[str, Any], inner: dict[str, Any]) -> None:
    """Whatever the nesting and quoting, the walk finds exactly the paths that the parser found."""
    pairs = "".join(f"{render_key(key)} = {render_value(value)} # = [x]\n" for key, value in top.items())
    pairs += "[[\"a.b\".'c d']]\n" + "".join(
        f"{render_key(key)} = {render_value(value)}\n" for key, value in inner.items()
    )
    if "a.b" in top:
        return
    assert set(find_lines(pairs)) == paths_of(tomllib.loads(pairs))


@pytest.mark.parametrize("text", ["", "\n", "# only a comment", "a = 1"])
def test_the_end_of_the_text_may_come_at_any_place(text: str) -> None:
    assert set(find_lines(text)) == paths_of(tomllib.loads(text))
