"""Requests that providers send to us: fields of a query, a form or a JSON object, read without a list of names.

Only we read them, so an unknown name hides nothing; a name twice is refused all the same, as a signature might cover
the other one.
"""

from __future__ import annotations

from urllib.parse import unquote_plus

from filters.sms.dialects.strict_form import parse_fields
from filters.sms.dialects.strict_json import malformed, parse_json
from filters.sms.http import HttpRequest


def read_any_form(text: str) -> dict[str, str]:
    """The fields of a form or query string. Raises ``RequestRefusedError``."""
    return parse_fields(text, {unquote_plus(piece.partition("=")[0]) for piece in text.split("&")})


def read_form_body(request: HttpRequest) -> dict[str, str]:
    """The form in the body. Raises ``RequestRefusedError``."""
    if not request.body.isascii():
        raise malformed("the body: expected a form with escaped letters")
    return read_any_form(request.body.decode("ascii"))


def read_any_fields(request: HttpRequest) -> dict[str, str]:
    """The fields of a webhook that may come as GET, as a form or as flat JSON, as text. Raises
    ``RequestRefusedError``."""
    if request.method == "GET":
        return read_any_form(request.query)
    if not (request.header("content-type") or "").lower().startswith("application/json"):
        return read_form_body(request)
    found = parse_json(request.body)
    if type(found) is not dict:
        raise malformed("the body: expected a JSON object")
    return {name: value if type(value) is str else str(value) for name, value in found.items()}
