"""What a JSON object may hold, written as data: names, and of which kind their values are.

A shape maps each known name to a kind or to the shape of the object behind it; a list of one shape stands for a list of
such objects. Whatever is not in the shape is refused, so that rebuilding from a checked object is rebuilding from known
fields only.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
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
    if not _is_fitting(found, shape):
        _refuse(found, shape, where)


def _is_fitting(found: Any, shape: Shape) -> bool:
    """Whether there is nothing to refuse: where it would be need not be known for most."""
    if type(found) is not dict or not found.keys() <= shape.keys():
        return False
    for name, value in found.items():
        if value is None:
            continue
        expected = shape[name]
        kind = type(expected)
        if kind is str:
            allowed = _TYPES.get(expected)
            if allowed is not None:
                if type(value) not in allowed:
                    return False
            elif type(value) is not list or not set(map(type, value)).issubset(_ITEM_TYPES[expected]):
                return False
        elif kind is not list:
            if not _is_fitting(value, expected):
                return False
        elif type(value) is not list or not _are_fitting(value, expected[0]):
            return False
    return True


def _refuse(found: Any, shape: Shape, where: str) -> None:
    """Raises for the first thing that does not fit."""
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
        for number, item in enumerate(value):
            check_shape(item, expected[0], f"{place(where, name)}[{number}]")
    else:
        check_shape(value, expected, place(where, name))


_MANY = 10


def _are_fitting(items: list[Any], shape: Shape) -> bool:
    """Whether each of ``items`` fits. Lists may be long: then asked of all of them at once, name by name."""
    if len(items) < _MANY:
        return all(_is_fitting(item, shape) for item in items)
    if set(map(type, items)) != {dict}:
        return False
    names = set(chain.from_iterable(items))
    if not names <= shape.keys():
        return False
    for name in names:
        values = [item[name] for item in items if item.get(name) is not None]
        expected = shape[name]
        kinds = set(map(type, values))
        if type(expected) is not str:
            if type(expected) is list:
                if not kinds <= {list}:
                    return False
                values, expected = list(chain.from_iterable(values)), expected[0]
            if not _are_fitting(values, expected):
                return False
        elif (allowed := _TYPES.get(expected)) is not None:
            if not kinds.issubset(allowed):
                return False
        elif not (kinds <= {list} and set(map(type, chain.from_iterable(values))).issubset(_ITEM_TYPES[expected])):
            return False
    return True
