"""An answer on the short way says what the framework would say."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from filters.sms.http import HttpResponse
from gateway.http.answer import render_answer
from gateway.sms.exchange import make_response

NAMES = st.sampled_from(
    ["content-type", "x-one", "x-two", "connection", "content-length", "date", "server", "set-cookie", "keep-alive"]
)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
ANSWERS = st.builds(
    HttpResponse,
    st.sampled_from([200, 201, 202, 204, 304, 400, 401, 406, 413, 429, 500, 503]),
    st.lists(st.tuples(NAMES, VALUES), max_size=6, unique_by=lambda field: field[0]).map(tuple),
    st.binary(max_size=200),
)


class Framework:
    """Gives ``answer`` through the library."""

    def __init__(self) -> None:
        self.answer = HttpResponse(200)
        app = web.Application()
        app.add_routes([web.get("/", self._give)])
        self._runner = web.AppRunner(app)

    async def _give(self, _request: web.Request) -> web.Response:
        return make_response(self.answer)

    async def ask(self) -> bytes:
        await self._runner.setup()
        listening = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(self._runner, listening).start()
        try:
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            said = await asyncio.wait_for(reader.read(), 5)
            writer.close()
            return said[: said.rindex(b"HTTP/1.1 404")]
        finally:
            await self._runner.cleanup()


def parts(said: bytes) -> tuple[bytes, list[bytes], bytes]:
    """The first line, the fields in no order and without the time, the body."""
    head, _, body = said.partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    named = [field.partition(b": ") for field in fields]
    return first, sorted(b"%s: %s" % (n.lower(), b"" if n.lower() == b"date" else value) for n, _, value in named), body


@given(answer=ANSWERS)
@example(HttpResponse(204, (("content-type", "text/plain"),), b"not to be sent"))
@example(HttpResponse(200, (("connection", "close, x-one"), ("x-one", "hop")), b"x"))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_both_ways_give_the_same_answer(answer: HttpResponse) -> None:
    framework = Framework()
    framework.answer = answer
    assert parts(render_answer(answer)) == parts(await framework.ask())


@pytest.mark.parametrize(
    "field",
    [("x-one", "a\r\nx-two: b"), ("x-one", "a\nb"), ("x-one", "a\rb"), ("x-one", "a\0b"), ("x-one\r\nx-two", "a")],
)
def test_a_field_that_holds_a_line_end_is_never_rendered(field: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="line end"):
        render_answer(HttpResponse(200, (field,), b""))


@pytest.mark.parametrize("status", [0, 100, 101, 199, 1000])
def test_what_is_no_final_status_is_never_rendered(status: int) -> None:
    with pytest.raises(ValueError, match="final status"):
        render_answer(HttpResponse(status))


def test_a_header_of_other_letters_keeps_its_bytes() -> None:
    value: Any = "Ş\udcff"
    assert "x-one: Ş".encode() + b"\xff\r\n" in render_answer(HttpResponse(200, (("x-one", value),), b""))
