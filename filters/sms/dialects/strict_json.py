"""JSON bodies read so that no second reader could find other recipients in them.

Refused, by the name of the field: a key twice in one object (after escapes are undone), NaN and Infinity, numbers where
text is due, booleans where numbers are due, fractions, half a surrogate pair, a byte order mark, anything but UTF-8, a
body announced as a form. Every function raises ``RequestRefusedError``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from itertools import chain
from operator import itemgetter
from typing import Any, NoReturn

import orjson

from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.dialects.field_names import place, refuse_unknown_names
from filters.sms.http import HttpRequest, HttpResponse

MAX_INTEGER_DIGITS = 32
"""More than any phone number or job id has; longer ones are a mistake or an attack on the reader."""


def read_json_object(request: HttpRequest) -> dict[str, Any]:
    """The object in the body of ``request``. The content type may be absent; where it is there it must say JSON."""
    refuse_other_content(request, ("application/json", "text/json"))
    found = parse_json(request.body)
    if type(found) is not dict:
        raise malformed("the body: expected a JSON object")
    return found


def parse_json(body: bytes) -> Any:
    """Any JSON value: the strict reading without looking at headers (webhooks post arrays)."""
    found = _parse_plain(body)
    return _parse_slowly(body) if found is None else found


def _parse_plain(body: bytes) -> Any:
    """``body`` as the fast library reads it, or None where that reading might not be the strict one.

    It keeps the last of equal names. But before each name's value stands ``":``, or blanks between the two: where
    there are no such blanks, and no more ``":`` than names were kept, no name was lost. Fractions and zeros with a
    sign are left to the other, and so are integers beyond 64 bits, which come as fractions here.
    """
    try:
        found = orjson.loads(body)
        names = _count_names(found) if len(body) < _LONG_BYTES else _count_many_names(found)
    except (ValueError, RecursionError):
        return None
    if names < 0 or b"-0" in body:
        return None
    if names == body.count(b":"):  # there is no colon in the texts: each belongs to a name that was kept
        return found
    if names != body.count(b'":'):
        return None
    # The exact search only where there may be something: looking for that is several times as fast.
    has_blank = b" :" in body or b"\n:" in body or b"\t:" in body or b"\r:" in body
    if has_blank and _BLANK_BEFORE_COLON(body):
        return None
    return found


_BLANK_BEFORE_COLON = re.compile(rb'"[ \t\r\n]+:').search
_LONG_BYTES = 8192
_NOT_ALL = -(1 << 60)
"""Makes any sum negative."""


def _count_names(value: Any) -> int:
    """How many names the objects in ``value`` have, all together; below 0 where there is a fraction."""
    names = 0
    if type(value) is dict:
        names = len(value)
        value = value.values()
    elif type(value) is not list:
        return _NOT_ALL if type(value) is float else 0
    for inner in value:
        kind = type(inner)
        if kind is dict or kind is list:
            names += _count_names(inner)
        elif kind is float:
            return _NOT_ALL
    return names


def _count_many_names(value: Any) -> int:
    """The same at a fraction of the time for a value with thousands of objects: level by level, not one by one."""
    names = 0
    level = [value]
    while level:
        kinds = set(map(type, level))
        if float in kinds:
            return _NOT_ALL
        objects = _of_type(dict, level, kinds)
        names += sum(map(len, objects))
        inner = chain.from_iterable(map(dict.values, objects))
        level = list(chain(inner, chain.from_iterable(_of_type(list, level, kinds))))
    return names


def _of_type(wanted: type, values: list[Any], kinds: set[type]) -> list[Any]:
    if wanted not in kinds:
        return []
    return values if len(kinds) == 1 else [value for value in values if type(value) is wanted]


def _parse_slowly(body: bytes) -> Any:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("the body: expected UTF-8") from None
    try:
        found = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise malformed("the body: expected JSON") from None
    if "\\ud" in text or "\\uD" in text:
        _refuse_half_surrogates(found)
    return found


def refuse_other_content(request: HttpRequest, expected: Collection[str]) -> None:
    """Refuses a body in another syntax than ``expected`` (media types), another charset, or packed."""
    content_type = None
    for name, value in request.headers:
        if name == "content-type":
            if content_type is not None:
                raise malformed("Content-Type: expected once")
            content_type = value
        elif name == "content-encoding" and value.lower() not in ("", "identity"):
            raise malformed("Content-Encoding: expected none")
    if content_type is not None and content_type not in expected:
        _check_content_type(content_type, expected)


def _check_content_type(content_type: str, expected: Collection[str]) -> None:
    essence, *parameters = content_type.split(";")
    if essence.strip().lower() not in expected:
        raise malformed(f"Content-Type: expected {next(iter(expected))}")
    for parameter in parameters:
        name, _, value = parameter.strip().lower().partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8"):
            raise malformed("Content-Type: expected charset UTF-8")


def check_fields(found: Mapping[str, Any], known: frozenset[str], where: str = "") -> None:
    """Refuses fields that are not ``known`` and known ones in other letters."""
    if not found.keys() <= known:
        refuse_unknown_names(found, known, where)


def text_field(found: Mapping[str, Any], name: str, where: str = "", *, default: str | None = "") -> str:
    """A text; ``default`` where the field is absent or null, refused then if ``default`` is None."""
    value = found.get(name)
    if type(value) is str:
        return value
    if value is None and default is not None:
        return default
    raise malformed(f"{place(where, name)}: expected text")


def code_field(found: Mapping[str, Any], name: str, where: str = "", *, default: str | None = "") -> str:
    """A short code or number that clients write as text or as an integer: both give text."""
    value = found.get(name)
    if type(value) is str:
        return value
    if type(value) is int:
        return str(value)
    if value is None and default is not None:
        return default
    raise malformed(f"{place(where, name)}: expected text or an integer")


def boolean_field(found: Mapping[str, Any], name: str, where: str = "") -> bool | None:
    """True or false, None where absent or null; never a text or a number that means one."""
    value = found.get(name)
    if value is None or type(value) is bool:
        return value
    raise malformed(f"{place(where, name)}: expected true or false")


def integer_field(found: Mapping[str, Any], name: str, where: str = "") -> int | None:
    """An integer, None where absent or null."""
    value = found.get(name)
    if value is None or type(value) is int:
        return value
    raise malformed(f"{place(where, name)}: expected an integer")


def object_field(found: Mapping[str, Any], name: str, where: str = "") -> dict[str, Any]:
    """An object, which must be there."""
    value = found.get(name)
    if type(value) is not dict:
        raise malformed(f"{place(where, name)}: expected an object")
    return value


def list_field(found: Mapping[str, Any], name: str, where: str = "") -> list[Any]:
    """A list with something in it, which must be there."""
    value = found.get(name)
    if type(value) is not list or not value:
        raise malformed(f"{place(where, name)}: expected a list that is not empty")
    return value


def text_columns(listed: list[Any], *names: str) -> list[list[str]] | None:
    """One list of values for each of ``names``, where every element of ``listed`` is an object of exactly these fields,
    with text in each. None where one is not: then they have to be looked at one by one."""
    if set(map(type, listed)) != {dict} or set(map(len, listed)) != {len(names)}:
        return None
    columns: list[list[str]] = []
    for name in names:
        try:
            column = list(map(itemgetter(name), listed))
        except KeyError:
            return None
        if set(map(type, column)) != {str}:
            return None
        columns.append(column)
    return columns


def write_json(value: Any) -> bytes:
    """``value`` as compact UTF-8 JSON."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # It knows no integers beyond 64 bits, which job ids and references may be.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def json_response(status: int, value: Any) -> HttpResponse:
    """An answer of ours in JSON."""
    return HttpResponse(status, (("content-type", "application/json; charset=utf-8"),), write_json(value))


def malformed(detail: str) -> RequestRefusedError:
    """The error to raise; ``detail`` names the field and what was expected, never a value."""
    return RequestRefusedError(Fault.MALFORMED, detail)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise malformed(f"{place('', name)}: expected once")
            seen.add(name)
    return found


def _refuse_constant(_: str) -> NoReturn:
    raise malformed("the body: NaN and Infinity are not JSON")


def _integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise malformed("the body: holds a number of too many digits")
    if digits == "-0":
        # Written back it would be another text.
        raise malformed("the body: holds a negative zero")
    return int(digits)


def _refuse_half_surrogates(value: Any) -> None:
    """A pair arrives joined; what is left of the range is half a pair, which UTF-8 cannot carry."""
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise malformed("the body: a text holds half a surrogate pair")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _refuse_half_surrogates(name)
            _refuse_half_surrogates(inner)
    elif isinstance(value, list):
        for inner in value:
            _refuse_half_surrogates(inner)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_int=_integer)
"""Made once: ``json.loads`` would make one for each body."""
