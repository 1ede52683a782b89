"""Reads the registry's JSON tolerantly: unknown fields are passed over, numbers may come as text, keys in either case.

What we need and cannot find raises ``UnreadableError``, which names the field and nothing of the content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson

from filters.registry import words
from filters.registry.values import ConsentSubject, ErrorEntry, Movement, Page, UnreadMovement

MAX_KEPT_TEXT = 1000
_MAX_ERRORS = 5000
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_Item = TypeVar("_Item")


class UnreadableError(ValueError):
    """The answer is not what the document promises; the text names the field only."""


def parse_json(body: bytes) -> Any:
    """The value behind ``body``. Raises ``UnreadableError``."""
    try:
        return orjson.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableError("body: not JSON") from None


def parse_object(body: bytes) -> Mapping[str, Any]:
    """The object behind ``body``. Raises ``UnreadableError``."""
    return as_object(parse_json(body), "body")


def as_object(value: object, field: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UnreadableError(f"{field}: not an object")
    return value


def as_list(value: object, field: str) -> list[Any]:
    if not isinstance(value, list):
        raise UnreadableError(f"{field}: not a list")
    return value


def find(fields: Mapping[str, Any], name: str) -> Any:
    """The value of ``name``, whatever the case of its key; None if there is none."""
    if name in fields:
        return fields[name]
    wanted = name.casefold()
    return next((value for key, value in fields.items() if key.strip(" :").casefold() == wanted), None)


def find_text(fields: Mapping[str, Any], name: str) -> str:
    """Text, or a number as text; "" if there is none. Cut at ``MAX_KEPT_TEXT`` characters."""
    value = find(fields, name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value).strip()[:MAX_KEPT_TEXT]


def find_integer(fields: Mapping[str, Any], name: str) -> int | None:
    """An integer, also where it comes as text."""
    value = find(fields, name)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    text = value.strip() if isinstance(value, str) else ""
    return int(text) if 0 < len(text) <= 18 and text.isascii() and text.isdigit() else None


def find_flag(fields: Mapping[str, Any], name: str) -> bool | None:
    """A boolean, also where it comes as text."""
    value = find(fields, name)
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return None


def need_text(fields: Mapping[str, Any], name: str) -> str:
    """Text that must be there. Raises ``UnreadableError``."""
    text = find_text(fields, name)
    if not text:
        raise UnreadableError(f"{name}: missing")
    return text


def need_integer(fields: Mapping[str, Any], name: str) -> int:
    """An integer that must be there. Raises ``UnreadableError``."""
    number = find_integer(fields, name)
    if number is None:
        raise UnreadableError(f"{name}: missing")
    return number


def find_count(fields: Mapping[str, Any], name: str) -> int:
    """A count; 0 where it is left out."""
    return find_integer(fields, name) or 0


def find_part(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An inner object; empty where it is left out."""
    value = find(fields, name)
    return value if isinstance(value, dict) else {}


def read_recipient(value: object) -> str:
    """The address as we spell it: folded by ASCII only, as the registry stores e-mail. Raises ``UnreadableError``."""
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > MAX_KEPT_TEXT:
        raise UnreadableError("recipient: missing")
    return fold(text)


def fold(address: str) -> str:
    """``address`` with A to Z in lower case, and no other letter touched."""
    return address.translate(_LOWER)


def read_errors(body: bytes) -> tuple[ErrorEntry, ...]:
    """The entries of an error answer in any of its shapes; empty where there is none. Never raises.

    Shapes: ``{errors: […]}``, flat ``{code, message}``, OAuth's ``{error, error_description}``; the key ``code:``
    of the document's own samples is read as ``code``.
    """
    try:
        value = parse_json(body)
    except UnreadableError:
        return ()
    if isinstance(value, list):
        return _entries(value)
    if not isinstance(value, dict):
        return ()
    listed = find(value, "errors")
    if isinstance(listed, list):
        return _entries(listed)
    for candidate in (listed, find(value, "error"), value):
        entry = _entry(candidate)
        if entry is not None:
            return (entry,)
    return ()


def _entries(listed: list[Any]) -> tuple[ErrorEntry, ...]:
    entries = (_entry(item) for item in listed[:_MAX_ERRORS])
    return tuple(entry for entry in entries if entry is not None)


def _entry(value: object) -> ErrorEntry | None:
    if isinstance(value, str):
        return ErrorEntry(value) if _CODE.fullmatch(value) else None
    if not isinstance(value, dict):
        return None
    code = find_text(value, "code")
    location = find(value, "location")
    parts = location if isinstance(location, list) else [location]
    is_code = _CODE.fullmatch(code) is not None
    kept = tuple(
        part
        for part in parts[:8]
        if (isinstance(part, int) and not isinstance(part, bool)) or (isinstance(part, str) and _CODE.fullmatch(part))
    )
    if not is_code and not kept:
        return None
    return ErrorEntry(code if is_code else "", kept, find_integer(value, "index"))


def read_movement(value: object) -> Movement:
    """One movement of changes, history, push or file. Raises ``UnreadableError``."""
    fields = as_object(value, "movement")
    recipient = read_recipient(find(fields, "recipient"))
    channel = words.find_channel(find(fields, "type"))
    if channel is None:
        raise UnreadableError("type: not known")
    recipient_type = words.find_recipient_type(find(fields, "recipientType"))
    if recipient_type is None:
        raise UnreadableError("recipientType: not known")
    status = words.find_status(find(fields, "status"))
    if status is None:
        raise UnreadableError("status: not known")
    return Movement(
        ConsentSubject(recipient, channel, recipient_type),
        status,
        words.find_source(find(fields, "source")),
        read_time(fields, "consentDate"),
        read_time(fields, "creationDate"),
        find_text(fields, "transactionId"),
    )


def read_time(fields: Mapping[str, Any], name: str) -> int | None:
    """An instant; None where the registry left it empty. Raises ``UnreadableError`` on what is no instant."""
    value = find(fields, name)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    at = words.find_time(value)
    if at is None:
        raise UnreadableError(f"{name}: not a time")
    return at


def find_time(fields: Mapping[str, Any], name: str) -> int | None:
    """An instant that nothing depends on; None where it is left out or unreadable."""
    return words.find_time(find(fields, name))


def need_brand(fields: Mapping[str, Any], brand_code: int) -> None:
    """Answers need not name the brand; one that names another is none to our question. Raises ``UnreadableError``."""
    if find_integer(fields, "brandCode") not in (None, brand_code):
        raise UnreadableError("brandCode: another than asked for")


def read_movements(
    items: list[Any], brand_code: int | None = None
) -> tuple[tuple[Movement, ...], tuple[UnreadMovement, ...]]:
    """Those that can be read, and the others by name; with ``brand_code`` another brand's are among the others."""
    movements: list[Movement] = []
    unread: list[UnreadMovement] = []
    for index, item in enumerate(items):
        try:
            movement = read_movement(item)
            if brand_code is not None:
                need_brand(item, brand_code)
            movements.append(movement)
        except UnreadableError as error:
            unread.append(UnreadMovement(index, _recipient_of(item), str(error).partition(":")[0]))
    return tuple(movements), tuple(unread)


def _recipient_of(item: object) -> str:
    try:
        return read_recipient(find(item, "recipient")) if isinstance(item, dict) else ""
    except UnreadableError:
        return ""


def read_page(body: bytes, read: Callable[[Mapping[str, Any]], _Item]) -> Page[_Item]:
    """A page ``{list, pagination}``; an entry that cannot be read makes the page unreadable."""
    if not body.strip():
        return Page((), 0, None)
    fields = parse_object(body)
    items = tuple(read(as_object(item, "list entry")) for item in as_list(find(fields, "list"), "list"))
    pagination = find_part(fields, "pagination")
    return Page(items, find_integer(pagination, "totalCount"), find_integer(pagination, "offset"))
