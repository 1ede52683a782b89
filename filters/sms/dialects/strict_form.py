"""Query strings and form bodies read so that no second reader could find other recipients in them.

Refused, by the name of the field: a field twice, known names in other letters, unknown names (so also PHP's ``no[]``),
a broken percent escape, anything but UTF-8, a form that is announced as something else. Every function raises
``RequestRefusedError``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote_plus, unquote_to_bytes

from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.dialects.field_names import place, refuse_unknown_names
from filters.sms.dialects.strict_json import malformed, refuse_other_content
from filters.sms.http import HttpRequest

MAX_FIELDS = 200

_BROKEN_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})").search


def read_form(request: HttpRequest, known: Iterable[str]) -> dict[str, str]:
    """The form in the body of ``request``. The content type may be absent; where it is there it must say form."""
    refuse_other_content(request, ("application/x-www-form-urlencoded",))
    return parse_fields(request.body.decode("latin-1"), known)


def read_query(request: HttpRequest, known: Iterable[str]) -> dict[str, str]:
    """The fields behind the question mark; a request read from its query has no body."""
    if request.body:
        raise malformed("the body: expected none")
    return parse_fields(request.query, known)


def refuse_query(request: HttpRequest) -> None:
    """Refuses fields in the address of a request whose fields stand in the body."""
    if request.query:
        raise RequestRefusedError(Fault.UNKNOWN_FIELD, "the query: expected none")


def parse_fields(text: str, known: Iterable[str]) -> dict[str, str]:
    """``a=1&b=2`` as a mapping in order; blanks may be written as plus or %20."""
    if not text.isascii():
        raise malformed("the form: expected escaped letters")
    fields: dict[str, str] = {}
    pieces = [piece for piece in text.split("&") if piece]
    if len(pieces) > MAX_FIELDS:
        raise malformed("the form: holds too many fields")
    for piece in pieces:
        name, equals, value = piece.partition("=")
        if not equals:
            raise malformed("the form: expected name=value")
        name, value = _decode(name), _decode(value)
        if name in fields:
            raise malformed(f"{place('', name)}: expected once")
        fields[name] = value
    refuse_unknown_names(fields, known)
    return fields


def required_field(fields: dict[str, str], name: str) -> str:
    """The value of ``name``, which must be there; it may be empty."""
    if name not in fields:
        raise malformed(f"{name}: expected, but absent")
    return fields[name]


def write_form(fields: Iterable[tuple[str, str]]) -> str:
    """Fields in order as a query string or form body."""
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in fields)


def _decode(text: str) -> str:
    if _BROKEN_ESCAPE(text):
        raise malformed("the form: holds a broken percent escape")
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("the form: expected UTF-8") from None
