"""Requests of aiohttp made values, and values made responses: strictly framed on the way in, hop by hop on the way
out."""

from __future__ import annotations

import asyncio
from urllib.parse import unquote_plus

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.http import HttpRequest, HttpResponse
from gateway.http.answer import HOP_BY_HOP, connection_options, passed_fields
from gateway.http.direct import DirectRequest

BODY_TIMEOUT_S = 60.0

_ONLY_ONCE = frozenset({"authorization", "content-type", "content-encoding", "host", "content-length"})
_NOT_PASSED_ON = frozenset({"host", "content-length", "expect", "forwarded", "via", "max-forwards", "priority"})
_OVERRIDES = frozenset(
    {
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-original-method",
        "x-original-url",
        "x-original-uri",
        "x-rewrite-url",
        "x-override-url",
    }
)
"""By these some servers take another method or path than those of the request line, which alone we have looked at."""

_AS_IT_IS_NOW = frozenset({"accept-encoding", "range", "if-range", "if-match", "if-none-match", "if-modified-since"})
"""With these the provider may answer with something else than the whole, readable answer."""


class BodyMemory:
    """Bytes of bodies that one worker holds at once, over all listeners."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self.used_bytes = 0

    def take(self, size: int) -> bool:
        """Whether there is room for ``size`` more."""
        if self.used_bytes + size > self._limit:
            return False
        self.used_bytes += size
        return True

    def give_back(self, size: int) -> None:
        self.used_bytes -= size


def read_head(request: web.Request | DirectRequest) -> HttpRequest:
    """Everything but the body. Raises ``RequestRefusedError`` where two readers could read two requests."""
    target = request.raw_path
    path, _, query = target.partition("?")
    if not path.startswith("/") or path.startswith("//") or "#" in target or "\\" in target or not target.isascii():
        raise RequestRefusedError(Fault.MALFORMED, "the address of the request: expected a path")
    headers = tuple([(name.lower(), value) for name, value in request.headers.items()])
    names = [name for name, _ in headers]
    if len(set(names)) != len(names):
        for name in _ONLY_ONCE:
            if names.count(name) > 1:
                raise RequestRefusedError(Fault.MALFORMED, f"{name}: expected once")
    return HttpRequest(request.method, path, query, headers)


def take_body(request: DirectRequest, most: int, memory: BodyMemory) -> bytes:
    """As ``read_body``, of a request that has arrived as a whole."""
    body = request.take_body()
    _make_room(len(body), len(body), most, memory)
    return body


async def read_body(request: web.Request, most: int, memory: BodyMemory) -> bytes:
    """The body; what it takes of ``memory`` is the caller's to give back. Raises ``RequestRefusedError``."""
    announced = request.content_length
    if announced is not None and announced > most:
        raise RequestRefusedError(Fault.TOO_LARGE, f"the body: expected at most {most} bytes")
    if not request.can_read_body:
        return b""
    if announced is not None and request.content.is_eof() and not request.content.exception():
        # It has arrived as a whole already, as small ones do: no timer and no waiting for them.
        whole = request.content.read_nowait()
        _make_room(len(whole), len(whole), most, memory)
        return whole
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in request.content.iter_any():
                _make_room(size + len(part), len(part), most, memory)
                size += len(part)
                parts.append(part)
    except BaseException as fault:  # cancelled too: what was counted has to be given back
        memory.give_back(size)
        if isinstance(fault, TimeoutError):
            raise RequestRefusedError(Fault.MALFORMED, "the body: did not arrive in time") from None
        if isinstance(fault, (web.RequestPayloadError, HttpProcessingError, ConnectionError)):
            # Or its sender has left: no fault of ours, and nobody to be told.
            raise RequestRefusedError(Fault.MALFORMED, "the body: its framing is broken") from None
        raise
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _make_room(size: int, more: int, most: int, memory: BodyMemory) -> None:
    if size > most:
        raise RequestRefusedError(Fault.TOO_LARGE, f"the body: expected at most {most} bytes")
    if not memory.take(more):
        raise RequestRefusedError(Fault.UNAVAILABLE, "too many requests at once")


def refuse_disguise(request: HttpRequest) -> None:
    """Refuses a call that a server might take for another one than we do. Raises ``RequestRefusedError``.

    For calls that go upstream as they are: what is passed on as a question must not be answered by sending. A body
    behind GET is none to some servers, which then read it as the next request.
    """
    for name, _ in request.headers:
        if name in _OVERRIDES:
            raise RequestRefusedError(Fault.MALFORMED, f"{name}: expected absent")
    if request.method in ("GET", "HEAD") and request.body:
        raise RequestRefusedError(Fault.MALFORMED, "the body: expected none")
    if "_method" in unquote_plus(request.query).lower():
        raise RequestRefusedError(Fault.MALFORMED, "_method: expected absent")


def pass_on(request: HttpRequest, prefix: str, private: frozenset[str], *, is_read: bool = False) -> HttpRequest:
    """A call that goes upstream as it is: ``private`` fields, and those of this connection, stay behind.

    ``is_read``: we read the answer, so it has to be whole and not packed.
    """
    dropped = connection_options(request.headers)
    if is_read:
        dropped |= _AS_IT_IS_NOW
    headers = tuple(
        (name, value)
        for name, value in request.headers
        if name not in HOP_BY_HOP
        and name not in _NOT_PASSED_ON
        and name not in dropped
        and name not in private
        and not name.startswith("x-forwarded-")
    )
    return request._replace(path=request.path[len(prefix) :], headers=headers)


def make_response(answer: HttpResponse) -> web.Response:
    """The answer on the wire, with none of the upstream connection's own fields."""
    response = web.Response(status=answer.status, body=answer.body)
    headers = response.headers
    headers.popall("Content-Type", None)
    for name, value in passed_fields(answer):
        headers.add(name, value)
    headers["Server"] = "izinkapi"
    return response
