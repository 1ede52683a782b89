"""What the registry posts to a push receiver: ``{"list": [movement …]}``, each movement naming firm and brand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from filters.registry.reading import (
    UnreadableError,
    as_list,
    find,
    find_integer,
    parse_object,
    read_movements,
)
from filters.registry.values import Movement

MOST_MOVEMENTS = 10_000
TEST_CODE = 121212
"""``iysCode`` and ``brandCode`` of the record that İYS posts to a new receiver (İYS API reference, 6.8)."""

Firm = tuple[int, int]
"""``iysCode`` and ``brandCode``."""


class PushError(ValueError):
    """No list of movements; the text holds nothing of it."""


class PushedMovements(NamedTuple):
    """By firm: movements, and the addresses ("" for none) of those that could not be read.

    ``tests``: records of a new registration. ``astray``: items of which not even the brand could be read.
    """

    by_brand: Mapping[Firm, tuple[tuple[Movement, ...], tuple[str, ...]]]
    tests: int
    astray: int


def read_push(body: bytes) -> PushedMovements:
    """What a request says. Raises ``PushError``."""
    try:
        items = as_list(find(parse_object(body), "list"), "list")
    except UnreadableError as error:
        raise PushError(str(error)) from None
    if len(items) > MOST_MOVEMENTS:
        raise PushError(f"list: expected at most {MOST_MOVEMENTS} movements")
    by_firm: dict[Firm, list[Any]] = {}
    tests = astray = 0
    for item in items:
        firm = _firm_of(item)
        if firm is None:
            astray += 1
        elif firm == (TEST_CODE, TEST_CODE):
            tests += 1
        else:
            by_firm.setdefault(firm, []).append(item)
    found = {}
    for firm, own in by_firm.items():
        movements, unread = read_movements(own)
        found[firm] = movements, tuple(each.recipient for each in unread)
    return PushedMovements(found, tests, astray)


def _firm_of(item: object) -> Firm | None:
    if not isinstance(item, dict):
        return None
    iys_code, brand_code = find_integer(item, "iysCode"), find_integer(item, "brandCode")
    return None if iys_code is None or brand_code is None else (iys_code, brand_code)
