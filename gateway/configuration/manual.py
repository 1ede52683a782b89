"""The example file and the reference page, both made from the sections, so that neither can miss a setting.

``python -m gateway.configuration.manual`` writes ``config/izinkapi.example.toml`` and ``docs/configuration.md``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

from gateway.configuration.describe import render_value
from gateway.configuration.document import Document
from gateway.configuration.schema import Setting, Table, read_section
from gateway.configuration.section import Section

_ROOT = Path(__file__).resolve().parents[2]
EXAMPLE_FILE = _ROOT / "config" / "izinkapi.example.toml"
REFERENCE_FILE = _ROOT / "docs" / "configuration.md"

_COLUMNS = 112
# A long default is not said twice: the setting itself follows.
_LONG_DEFAULT = 40

_EXAMPLE_HEAD = """\
# İzinKapı's configuration: every setting with its purpose, its form, its default and an example.
#
# Lines that start with # and a space are text. Lines that start with # and a name are settings at their default, or
# examples of settings that have none: remove the # to change them. The lines without # are a working gateway on one
# machine; they are all that is needed.
#
# Check a file with: izinkapi check-config -c FILE
#
# Times have a unit ("200ms", "90s", "5m", "24h", "7d"), sizes too ("64 KiB", "50 MiB", "1 GB"). Relative paths start at
# the folder of this file. Passwords and keys do not stand in it: a setting that ends in _file names a file whose first
# line is the secret, and the same setting without _file names an environment variable ("env:NAME").
#
# Made from the program by: python -m gateway.configuration.manual
"""

_REFERENCE_HEAD = """\
# Configuration

One TOML file. `izinkapi check-config -c FILE` names everything that is wrong with it at once, with line, setting, what
is expected and what was found; `--print` shows what is in force. A file to start from, with all of this as comments, is
`config/izinkapi.example.toml`. This page is made from the program by `python -m gateway.configuration.manual`.

* **Times** have a unit: `"200ms"`, `"90s"`, `"5m"`, `"24h"`, `"7d"`. **Sizes** too: `"64 KiB"`, `"50 MiB"`, `"1 GB"`.
* **Addresses** are a host and a port: `"127.0.0.1:2525"`, `"[::1]:2525"`.
* **Relative paths** start at the folder of the configuration file.
* **Secrets do not stand in the file.** A setting ending in `_file` names a file whose first line is the secret; the
  same setting without `_file` names an environment variable, as `"env:NAME"`. Only hashes of clients' passwords may be
  written out. Whatever prints the configuration masks them.
* **Unknown settings are refused**, with the nearest known name.
"""


def render_example() -> str:
    """``config/izinkapi.example.toml``."""
    return _EXAMPLE_HEAD + "\n" + "\n".join(_example_tables(Document, ()))


def render_reference() -> str:
    """``docs/configuration.md``."""
    return _REFERENCE_HEAD + "\n" + "\n".join(_reference_tables(Document, ()))


def _example_tables(section: type[Section], path: tuple[str, ...]) -> Iterator[str]:
    for name, entry in read_section(section).items():
        if isinstance(entry, Table):
            where = (*path, name)
            settings = [item for item in read_section(entry.section).values() if isinstance(item, Setting)]
            if settings:
                yield _example_table(entry, where, settings)
            yield from _example_tables(entry.section, where)


def _example_table(table: Table, path: tuple[str, ...], settings: list[Setting]) -> str:
    is_given = any(setting.given for setting in settings) or not (table.is_list or _is_optional(path))
    header = ".".join(path)
    header = f"[[{header}]]" if table.is_list else f"[{header}]"
    rule = "# " + "-" * (_COLUMNS - 2) + "\n" if len(path) == 1 or table.is_list else ""
    text = rule + _comment(_doc(table.section)) + ("" if is_given else "#") + header + "\n"
    return text + "".join(f"\n{_example_setting(setting)}" for setting in settings) + "\n"


def _example_setting(setting: Setting) -> str:
    first_word, _, rest = setting.expected.partition(" ")
    form = f"{first_word.capitalize() if first_word.isalpha() else first_word} {rest}"
    if setting.is_required:
        form += ". Required."
    elif setting.default is None:
        form += ". Not set by default."
    else:
        default = render_value(setting.default)
        form += "." if len(default) > _LONG_DEFAULT and not setting.given else f". Default: {default}."
        if setting.example and setting.example != setting.given:
            form += f" Example: {setting.example}"
    return _comment(setting.purpose) + _comment(form) + _example_line(setting) + "\n"


def _example_line(setting: Setting) -> str:
    if setting.given:
        return f"{setting.name} = {setting.given}"
    shown = setting.shown_example if setting.default is None else render_value(setting.default)
    return f"#{setting.name} = {shown}"


def _reference_tables(section: type[Section], path: tuple[str, ...]) -> Iterator[str]:
    for name, entry in read_section(section).items():
        if not isinstance(entry, Table):
            continue
        where = (*path, name)
        settings = [item for item in read_section(entry.section).values() if isinstance(item, Setting)]
        if settings:
            header = ".".join(where)
            header = f"[[{header}]]" if entry.is_list else f"[{header}]"
            rows = "".join(
                f"| `{setting.name}` | {_cell(setting.expected)} | {_reference_default(setting)} |"
                f" {_cell(setting.purpose)} E.g. `{_cell(setting.shown_example)}` |\n"
                for setting in settings
            )
            yield (
                f"## `{header}`\n\n{_doc(entry.section)}\n\n| setting | expected | default | purpose |\n"
                f"|---|---|---|---|\n{rows}"
            )
        yield from _reference_tables(entry.section, where)


def _reference_default(setting: Setting) -> str:
    if setting.is_required:
        return "required"
    return "not set" if setting.default is None else f"`{_cell(render_value(setting.default))}`"


def _is_optional(path: tuple[str, ...]) -> bool:
    section: type[Section] = Document
    for name in path:
        entry = read_section(section)[name]
        assert isinstance(entry, Table)
        if entry.is_optional:
            return True
        section = entry.section
    return False


def _doc(section: type[Section]) -> str:
    return inspect.cleandoc(section.__doc__ or "")


def _comment(text: str) -> str:
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        lines += [*([""] if lines else []), *wrap(" ".join(paragraph.split()), _COLUMNS - 2, break_on_hyphens=False)]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    EXAMPLE_FILE.write_text(render_example(), encoding="utf-8")
    REFERENCE_FILE.write_text(render_reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
