"""The settings as a list that can be walked: for messages, for the manual, and for showing what is in force."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache

from pydantic.fields import FieldInfo

from gateway.configuration.document import Document
from gateway.configuration.kinds import Kind
from gateway.configuration.problems import Path
from gateway.configuration.section import Section


class Shape(Enum):
    ONE = "one value"
    LIST = "a list"
    MAP = "a table of words"


@dataclass(frozen=True, slots=True)
class Setting:
    """``kind`` judges the value, or each item of a list, or each value of a map whose keys ``key_kind`` judges.

    ``default`` is in the file's spelling, None for "not set"; ``example`` and ``given`` are TOML or "".
    """

    name: str
    shape: Shape
    kind: Kind
    key_kind: Kind | None
    is_required: bool
    default: object
    purpose: str
    example: str
    given: str

    @property
    def expected(self) -> str:
        if self.shape is Shape.LIST:
            return f"a list, each item {self.kind.expected}"
        if self.shape is Shape.MAP and self.key_kind is not None:
            return f"a table from {self.key_kind.expected} to {self.kind.expected}"
        return self.kind.expected

    @property
    def shown_example(self) -> str:
        """An example in TOML for the whole setting."""
        if self.example or self.given:
            return self.example or self.given
        if self.key_kind is not None:
            return f"{{ {self.key_kind.example} = {self.kind.example} }}"
        return f"[{self.kind.example}]" if self.shape is Shape.LIST else self.kind.example


@dataclass(frozen=True, slots=True)
class Table:
    """A table, or with ``is_list`` a list of tables; ``is_optional`` says that it may be absent and then means
    nothing."""

    name: str
    section: type[Section]
    is_list: bool
    is_optional: bool


@cache
def read_section(section: type[Section]) -> dict[str, Setting | Table]:
    """What may stand in ``section``, in its order."""
    return {name: _read_field(name, field) for name, field in section.model_fields.items()}


def find_entry(path: Path) -> Setting | Table | None:
    """What the schema says at ``path`` (list positions and keys of maps lead to the setting around them)."""
    section: type[Section] | None = Document
    entry: Setting | Table | None = None
    for step in path:
        if isinstance(step, int):
            continue
        if section is None:
            return entry
        entry = read_section(section).get(step)
        if entry is None:
            return None
        section = entry.section if isinstance(entry, Table) else None
    return entry


def walk(section: type[Section] = Document, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Setting]]:
    """Every setting with its path, list positions left out."""
    for name, entry in read_section(section).items():
        if isinstance(entry, Table):
            yield from walk(entry.section, (*path, name))
        else:
            yield (*path, name), entry


def _read_field(name: str, field: FieldInfo) -> Setting | Table:
    kind = next((extra for extra in field.metadata if isinstance(extra, Kind)), None)
    annotation, is_optional = _without_none(field.annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return Table(name, annotation, is_list=False, is_optional=is_optional)
    if origin is tuple and isinstance(arguments[0], type) and issubclass(arguments[0], Section):
        return Table(name, arguments[0], is_list=True, is_optional=False)
    key_kind = None
    shape = Shape.ONE
    if origin is tuple:
        shape, kind = Shape.LIST, _kind_of(arguments[0])
    elif origin is dict:
        shape, key_kind, kind = Shape.MAP, _kind_of(arguments[0]), _kind_of(arguments[1])
    elif kind is None:
        kind = _kind_of(annotation)
    extra = typing.cast("dict[str, str]", field.json_schema_extra or {})  # made in section.py
    return Setting(
        name,
        shape,
        kind,
        key_kind,
        field.is_required(),
        None if field.is_required() else field.default,
        field.description or "",
        extra.get("example", ""),
        extra.get("given", ""),
    )


def _without_none(annotation: object) -> tuple[object, bool]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        rest = [argument for argument in typing.get_args(annotation) if argument is not type(None)]
        return rest[0], True
    return annotation, False


def _kind_of(annotation: object) -> Kind:
    for extra in typing.get_args(annotation)[1:]:
        if isinstance(extra, Kind):
            return extra
    raise TypeError(f"a setting without a kind: {annotation}")
