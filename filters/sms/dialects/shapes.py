"""What a JSON object may hold, written as data: names, and of which kind their values are.

A shape maps each known name to a kind or to the shape of the object behind it; a list of one shape stands for a list of
such objects. Whatever is not in the shape is refused, so that rebuilding from a checked object is rebuilding from known
fields only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from filters.sms.dialects.field_names import place
from filters.sms.dialects.strict_json import check_fields, malformed

TEXT = "text"
CODE = "text or an integer"
INTEGER = "an integer"
BOOLEAN = "true or false"
SWITCH = "true, false, 0 or 1"
NUMBER = "a number"
TEXTS = "a list of texts"
CODES = "a list of texts or integers"

Shape: TypeAlias = Mapping[str, Any]
"""Values: one of the kinds above, a ``Shape``, or a list holding one ``Shape``."""

_TYPES: dict[str, tuple[type, ...]] = {
    TEXT: (str,),
    CODE: (str, int),
    INTEGER: (int,),
    BOOLEAN: (bool,),
    SWITCH: (bool, str, int),
    NUMBER: (int, float),
}
_ITEM_TYPES: dict[str, tuple[type, ...]] = {TEXTS: (str,), CODES: (str, int)}


def check_shape(found: Any, shape: Shape, where: str = "") -> None:
    """Refuses what ``shape`` does not know; null stands for absent. Raises ``RequestRefusedError``."""
    if type(found) is not dict:
        raise malformed(f"{where or 'the body'}: expected an object")
    if not found.keys() <= shape.keys():
        check_fields(found, frozenset(shape), where)
    for name, value in found.items():
        if value is not None:
            _check_value(value, shape[name], name, where)


def _check_value(value: Any, expected: Any, name: str, where: str) -> None:
    if type(expected) is str:
        allowed = _TYPES.get(expected)
        if allowed is not None:
            if type(value) not in allowed:
                raise malformed(f"{place(where, name)}: expected {expected}")
        elif type(value) is not list or any(type(item) not in _ITEM_TYPES[expected] for item in value):
            raise malformed(f"{place(where, name)}: expected {expected}")
    elif type(expected) is list:
        if type(value) is not list:
            raise malformed(f"{place(where, name)}: expected a list")
        _check_items(value, expected[0], place(where, name))
    else:
        check_shape(value, expected, place(where, name))


def _check_items(items: list[Any], shape: Shape, where: str) -> None:
    """Lists are long: whatever is flat and as it should be is passed without a call for each item."""
    known = _FLAT.get(id(shape))
    if known is None:
        known = _FLAT[id(shape)] = (shape, _flat_types(shape))
    allowed = known[1]
    nothing: frozenset[type] = frozenset()
    for number, item in enumerate(items):
        if type(item) is dict:
            for name, value in item.items():
                if type(value) not in allowed.get(name, nothing):
                    break
            else:
                continue
        check_shape(item, shape, f"{where}[{number}]")


_FLAT: dict[int, tuple[Shape, Mapping[str, frozenset[type]]]] = {}
"""By identity, as shapes are constants; each is held, so that no other can take its place."""


def _flat_types(shape: Shape) -> Mapping[str, frozenset[type]]:
    return {
        name: frozenset((*_TYPES[kind], type(None)))
        for name, kind in shape.items()
        if isinstance(kind, str) and kind in _TYPES
    }
