"""An answer as it goes over the wire, head and body in one piece."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from aiohttp.helpers import rfc822_formatted_time

from filters.sms.http import HttpResponse

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""RFC 9110 7.6.1, and what old clients send beside."""

_NOT_ANSWERED = HOP_BY_HOP | {"content-length", "date", "server", "alt-svc", "strict-transport-security"}

_FIRST_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_WITHOUT_BODY = frozenset({204, 304})


def passed_fields(answer: HttpResponse) -> Sequence[tuple[str, str]]:
    """The header fields of an upstream's answer without those of its connection with us."""
    headers = answer.headers
    dropped = connection_options(headers)
    return [field for field in headers if field[0] not in _NOT_ANSWERED and field[0] not in dropped]


def connection_options(headers: Sequence[tuple[str, str]]) -> frozenset[str]:
    """The names of fields that are one connection's own, by its own word; lower-case."""
    named = [value for name, value in headers if name == "connection"]
    if not named:
        return _NOTHING
    return frozenset(option.strip().lower() for value in named for option in value.split(","))


_NOTHING: frozenset[str] = frozenset()


def render_answer(answer: HttpResponse) -> bytes:
    """To a request that was not HEAD, on an HTTP/1.1 connection that is kept.

    Raises ``ValueError`` for what two readers could read as two answers.
    """
    status, body = answer.status, answer.body
    if not 200 <= status <= 999:
        raise ValueError("no final status")
    passed = passed_fields(answer)
    fields = "".join([f"{name}: {value}\r\n" for name, value in passed])
    number = len(passed)
    if fields.count("\n") != number or fields.count("\r") != number or "\0" in fields:
        raise ValueError("a line end in a header field")
    first = _FIRST_LINES.get(status) or f"HTTP/1.1 {status} \r\n"
    if status in _WITHOUT_BODY:
        body, length = b"", ""
    else:
        length = f"Content-Length: {len(body)}\r\n"
        if body and answer.header("content-type") is None:
            length += "Content-Type: application/octet-stream\r\n"
    head = f"{first}{fields}Server: izinkapi\r\n{length}Date: {rfc822_formatted_time()}\r\n\r\n"
    return head.encode("utf-8", "surrogateescape") + body
