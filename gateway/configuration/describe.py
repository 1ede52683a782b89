"""What is in force, in the names and spelling of the file: for the start log and for ``check-config --print``."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gateway.configuration.document import Document
from gateway.configuration.schema import Setting, Table, find_entry, read_section
from gateway.configuration.section import Section
from gateway.configuration.values import MASK


def describe_document(document: Document) -> dict[str, object]:
    """All settings with their values, defaults included; those that are not set are left out, secrets are masked.

    The name of an environment variable is not a secret and is shown.
    """
    return _describe_section(document)


def render_toml(described: Mapping[str, object], path: tuple[str, ...] = ()) -> str:
    """``described`` as TOML that loads again, but for masked secrets."""
    lines: list[str] = []
    tables: list[str] = []
    for name, value in described.items():
        where = ".".join((*path, name))
        if isinstance(value, dict) and _is_table(path, name):
            text = render_toml(value, (*path, name))
            # A table that holds nothing but tables needs no header of its own.
            tables.append(text if text.startswith("[") else f"[{where}]\n{text}")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            tables += [f"[[{where}]]\n{render_toml(item, (*path, name))}" for item in value]
        elif not (value == [] and _is_table(path, name)):
            lines.append(f"{name} = {render_value(value)}\n")
    return "".join(lines) + ("\n" if lines and tables else "") + "\n".join(tables)


def render_value(value: object) -> str:
    """A value in TOML; a map becomes an inline table."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        return "{ " + ", ".join(f"{_render_key(key)} = {render_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(render_value(item) for item in value) + "]"
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped and no setting of ours can hold.
    return str(value) if isinstance(value, int | float) else json.dumps(str(value), ensure_ascii=False)


def _describe_section(section: Section) -> dict[str, object]:
    described: dict[str, object] = {}
    for name, entry in read_section(type(section)).items():
        value = getattr(section, name)
        if value is None:
            continue
        if isinstance(entry, Table):
            described[name] = [_describe_section(item) for item in value] if entry.is_list else _describe_section(value)
        else:
            described[name] = _describe_value(entry, value)
    return described


def _describe_value(setting: Setting, value: object) -> object:
    if not setting.kind.shows_value:
        return value if isinstance(value, str) and value.startswith("env:") else MASK
    return _to_plain(value)


def _to_plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_to_plain(item) for item in value]
    return value if isinstance(value, int) else str(value)


def _is_table(path: tuple[str, ...], name: str) -> bool:
    return isinstance(find_entry((*path, name)), Table)


def _render_key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else json.dumps(key)
