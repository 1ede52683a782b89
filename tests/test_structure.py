"""Imports point one way, and nothing at the top level but what the house has (ARCHITECTURE.md, code map)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("filters", "adapters", "gateway", "loadtest", "tests")

# Who may import whom; gateway's own exceptions are named below.
ALLOWED = {
    "filters": {"filters"},
    "adapters": {"adapters", "filters"},
    "gateway": {"gateway", "filters"},
    "loadtest": {"loadtest", "gateway", "adapters", "filters"},
}
EXCEPTIONS = {
    "gateway/app": {"adapters"},  # the one wiring
    "gateway/cli/demo.py": {"loadtest"},  # a command that shows everything needs a relay and sample mail
    "gateway/cli/demo_sms.py": {"loadtest"},  # its SMS half
    "gateway/cli/sandbox.py": {"loadtest"},  # a command that starts simulators
}
TALKS = {"asyncio", "socket", "select", "subprocess", "threading", "ssl", "time", "random", "secrets", "os", "pathlib"}
"""What pure code has no use for: I/O, clock, chance."""


def excepted(path: Path) -> set[str]:
    """What a module, or all of its folder, may import beyond the rule."""
    return EXCEPTIONS.get(str(path), set()) | EXCEPTIONS.get(str(path.parent), set())


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Top-level names of all modules that ``path`` imports at run time."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_point_one_way(package: str) -> None:
    """filters know nobody, adapters know filters, gateway knows filters, only the wiring knows adapters."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in set(imported(path))
        if name in OURS and name not in ALLOWED[package] | excepted(path.relative_to(ROOT))
    ]
    assert wrong == []


def test_filters_neither_talk_nor_look_at_the_clock() -> None:
    """The deciding code is pure: what it needs of the world is an argument."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("filters")
        for name in set(imported(path))
        if name in TALKS
    ]
    assert wrong == []


def test_every_package_and_module_says_what_it_is() -> None:
    """A newcomer reads the first line and knows the room."""
    silent = [
        str(path.relative_to(ROOT))
        for package in ALLOWED
        for path in modules(package)
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


EXEMPTION = re.compile(r"# (?:noqa: [A-Z0-9, ]+|type: ignore\[[a-z, -]+\])(?P<reason>\s+(?:-|#) \w.*)?$")
"""A lint or type rule that a line is exempt from, and why."""


@pytest.mark.parametrize("package", [*ALLOWED, "tests"])
def test_whoever_is_exempt_from_a_rule_says_why(package: str) -> None:
    """Each ``noqa`` and ``type: ignore`` has its reason on the line, and so has each cast."""
    silent = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in modules(package)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if ("# noqa" in line or "# type: ignore" in line or re.search(r"\bcast\(", line))
        and not ("cast(" in line and "#" in line)
        and not ((found := EXEMPTION.search(line)) and found["reason"])
        and path != Path(__file__)
    ]
    assert silent == []
