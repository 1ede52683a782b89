"""The short way for calls that come in masses, in conversations over real sockets: what goes it, and that nothing which
the framework protects from gets through beside it."""

from __future__ import annotations

import asyncio
import itertools
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filters.sms.http import HttpResponse
from gateway.http import direct
from gateway.opt_out import listener as listener_module

LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
"""Ends a conversation: answered by the library, and the connection closed."""


def call(path: bytes = b"/calls/a", body: bytes = b"hello", method: bytes = b"POST", fields: bytes = b"") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    return b"%s %s HTTP/1.1\r\nHost: x\r\n%s%s\r\n%s" % (method, path, fields, length, body)


def bodies(answers: bytes) -> list[bytes]:
    """The bodies of consecutive answers, each with a length."""
    found = []
    while answers:
        head, _, rest = answers.partition(b"\r\n\r\n")
        match = re.search(rb"content-length: ([0-9]+)", head, re.IGNORECASE)
        length = int(match[1]) if match else 0
        found.append(rest[:length])
        answers = rest[length:]
    return found


# -- which way --------------------------------------------------------------------------------------------------------


async def test_an_ordinary_call_goes_the_short_way_and_the_connection_is_kept(site: Any) -> None:
    answers = bodies(await site.say(call(), call(b"/calls/b?x=1", b"", b"GET"), LAST))
    assert answers == [b"direct POST /calls/a hello", b"direct GET /calls/b?x=1 ", b"library GET /last "]


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (call(b"/calls/own/page"), b"library POST /calls/own/page hello"),
        (call(b"/elsewhere"), b"library POST /elsewhere hello"),
        (
            b"POST /calls HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"library POST /calls hello",
        ),
        (
            b"GET /calls HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            b"library GET /calls ",
        ),
    ],
    ids=["a page's path", "unknown", "chunked", "upgrade"],
)
async def test_what_is_not_ordinary_goes_through_the_application(site: Any, wire: bytes, said: bytes) -> None:
    """And whatever comes behind it on the same connection too."""
    assert bodies(await site.say(wire, call(), LAST)) == [said, b"library POST /calls/a hello", b"library GET /last "]
    assert site.calls.asked == []


async def test_a_client_that_expects_100_continue_is_told_to_at_once(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "BODY_S", 60.0)
    reader, writer = await site.connect()
    writer.write(b"POST /calls HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"hello" + LAST)
    assert bodies(await asyncio.wait_for(reader.read(), 5))[0] == b"library POST /calls hello"
    writer.close()


async def test_the_answer_to_head_has_no_body(site: Any) -> None:
    answer = await site.say(call(b"/calls", b"", b"HEAD", b"Connection: close\r\n"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")


async def test_an_older_client_is_answered_in_its_version_and_let_go(site: Any) -> None:
    answer = await site.say(b"POST /calls HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert answer.endswith(b"library POST /calls hello")


async def test_a_connection_ends_with_the_request_that_says_so(site: Any) -> None:
    answer = await site.say(call(fields=b"Connection: close\r\n"))
    assert bodies(answer) == [b"library POST /calls/a hello"]
    assert b"connection: close" in answer.lower()


# -- how it arrives ---------------------------------------------------------------------------------------------------


@given(cuts=st.lists(st.integers(1, 400), max_size=8), ordinary=st.lists(st.booleans(), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_pipelined_requests_are_answered_in_order_however_they_are_cut(
    site: Any, cuts: list[int], ordinary: list[bool]
) -> None:
    wire = b"".join(call(b"/calls/%d" % n if is_so else b"/other/%d" % n) for n, is_so in enumerate(ordinary)) + LAST
    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    pieces = [wire[begin:end] for begin, end in itertools.pairwise(places)]
    told = [answer.split(b" ", 1)[1] for answer in bodies(await site.say(*pieces))]
    paths = [b"/calls/%d" % n if is_so else b"/other/%d" % n for n, is_so in enumerate(ordinary)]
    assert told == [*(b"POST %s hello" % path for path in paths), b"GET /last "]


async def test_many_requests_at_once_are_all_answered(site: Any) -> None:
    """More than the framework reads ahead, so that reading is stopped and taken up again."""
    wire = b"".join(call(b"/calls/%d" % n) for n in range(500))
    assert bodies(await site.say(wire + LAST))[:-1] == [b"direct POST /calls/%d hello" % n for n in range(500)]


async def test_a_body_that_comes_behind_its_head_goes_the_short_way(site: Any) -> None:
    head, body = call().split(b"\r\n\r\n")
    assert bodies(await site.say(head + b"\r\n\r\n", body + LAST, pause_s=0.05))[0] == b"direct POST /calls/a hello"


async def test_a_body_that_is_late_or_large_is_the_applications_to_wait_for(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "BODY_S", 0.05)
    late = b"POST /calls HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhel"
    assert bodies(await site.say(late, b"lo" + b"x" * 5 + LAST, pause_s=0.2))[0] == b"library POST /calls helloxxxxx"
    monkeypatch.setattr(direct, "BODY_S", 60.0)
    large = b"y" * (direct.MOST_AWAITED_BYTES + 1)
    assert (
        bodies(await site.say(call(body=large)[:100], call(body=large)[100:] + LAST, pause_s=0.1))[0][:7] == b"library"
    )


async def test_a_client_that_leaves_in_the_middle_of_a_body_leaves_nothing_behind(site: Any) -> None:
    _, writer = await site.connect()
    writer.write(b"POST /calls HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhel")
    await asyncio.sleep(0.05)
    writer.transport.abort()
    assert bodies(await site.say(call(), LAST))[0] == b"direct POST /calls/a hello"
    assert len(site.calls.asked) == 1


# -- what must not get through ----------------------------------------------------------------------------------------

HIDDEN = b"POST /calls/hidden HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "wire",
    [
        b"POST /calls HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\n" + HIDDEN,
        b"POST /calls HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 0\r\n\r\n" + HIDDEN,
        b"POST /calls HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n" + HIDDEN,
        b"POST /calls HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n" + HIDDEN,
        b"POST /calls HTTP/1.1\r\nHost: x\r\nContent-Length: 0x0\r\n\r\n" + HIDDEN,
        b"POST /calls HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        b"POST /calls HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN,
        b"POST /calls HTTP/1.1\r\nHost: x\r\nContent-Length : 0\r\n\r\n" + HIDDEN,
        b"POST /calls HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n" + HIDDEN,
        b"POST /calls HTTP/1.1\r\nHost: x\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n" + HIDDEN,
        b"POST /calls HTTP/1.1\r\nHost: x\r\nX: a\rContent-Length: 5\r\n\r\n" + HIDDEN,
        b"POST /calls /calls HTTP/1.1\r\nHost: x\r\n\r\n" + HIDDEN,
        b"POST /calls HTTP/9.9\r\nHost: x\r\n\r\n" + HIDDEN,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + HIDDEN,
    ],
)
@pytest.mark.parametrize("is_second", [False, True], ids=["at once", "on a kept connection"])
async def test_what_two_readers_could_read_apart_is_refused_and_ends_the_connection(
    site: Any, wire: bytes, is_second: bool
) -> None:
    answers = await site.say(*([call(), wire] if is_second else [wire]), pause_s=0.02)
    last = answers[answers.rindex(b"HTTP/1") :]
    assert last.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")), answers
    assert last.endswith(b"Bad request.\n")
    assert site.malformed == 1
    assert [request.raw_path for request in site.calls.asked] == ["/calls/a"] * is_second


@pytest.mark.parametrize(
    "wire",
    [
        b"GET /calls?" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /calls HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"GET /calls HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
    ids=["the line", "a field", "their number"],
)
async def test_a_head_beyond_its_limits_is_refused(site: Any, wire: bytes) -> None:
    assert (await site.say(wire)).startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert site.calls.asked == []


async def test_who_sends_nothing_or_half_a_head_is_let_go(open_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, and after a request that was answered."""
    monkeypatch.setattr(listener_module, "IDLE_S", 0.2)
    site = await open_site()
    assert await site.say() == b""
    assert await site.say(b"POST /calls HTT") == b""
    assert bodies(await site.say(call(), b"POST /calls HTTP/1.1\r\nHost:")) == [b"direct POST /calls/a hello"]


async def test_a_request_under_way_keeps_its_connection_beyond_the_patience_with_idle_ones(
    open_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "IDLE_S", 0.1)
    site = await open_site()
    site.calls.may_answer.clear()
    asyncio.get_running_loop().call_later(0.4, site.calls.may_answer.set)
    assert bodies(await site.say(call())) == [b"direct POST /calls/a hello"], "and then it is idle, and closed"


# -- the end ----------------------------------------------------------------------------------------------------------


async def test_closing_lets_a_request_under_way_have_its_answer_and_waits_no_longer(open_site: Any) -> None:
    site = await open_site(drain_s=60.0)
    idle, idle_writer = await site.connect()
    reader, writer = await site.connect()
    site.calls.may_answer.clear()
    writer.write(call())
    while not site.calls.asked:
        await asyncio.sleep(0.01)
    closing = asyncio.create_task(site.listener.close())
    assert await asyncio.wait_for(idle.read(), 5) == b"", "one without a request is closed at once"
    assert not closing.done()
    site.calls.may_answer.set()
    assert bodies(await asyncio.wait_for(reader.read(), 5)) == [b"direct POST /calls/a hello"]
    await asyncio.wait_for(closing, 5)
    for each in (idle_writer, writer):
        each.close()


async def test_closing_waits_no_longer_than_it_was_given(open_site: Any) -> None:
    site = await open_site(drain_s=0.2)
    reader, writer = await site.connect()
    site.calls.may_answer.clear()
    writer.write(call())
    while not site.calls.asked:
        await asyncio.sleep(0.01)
    await asyncio.wait_for(site.listener.close(), 5)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_a_call_can_see_that_its_client_has_left(site: Any) -> None:
    _, writer = await site.connect()
    site.calls.may_answer.clear()
    writer.write(call())
    while not site.calls.asked:
        await asyncio.sleep(0.01)
    (request,) = site.calls.asked
    assert (request.transport is None, request.remote) == (False, "127.0.0.1")
    writer.transport.abort()
    for _ in range(200):
        if request.transport is None:
            break
        await asyncio.sleep(0.01)
    assert request.transport is None
    site.calls.may_answer.set()
    assert bodies(await site.say(call(b"/calls/next"), LAST))[0] == b"direct POST /calls/next hello"


# -- answers ----------------------------------------------------------------------------------------------------------


async def test_a_large_answer_arrives_as_a_whole_at_a_slow_reader(site: Any) -> None:
    site.calls.answer = HttpResponse(200, (), b"z" * 20_000_000)
    reader, writer = await site.connect()
    writer.write(call())
    await asyncio.sleep(0.2)
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert await asyncio.wait_for(reader.readexactly(20_000_000), 10) == site.calls.answer.body
    site.calls.answer = None
    writer.write(call() + LAST)
    assert bodies(await asyncio.wait_for(reader.read(), 5))[0] == b"direct POST /calls/a hello"
    writer.close()


async def test_a_client_that_does_not_read_its_answer_is_not_given_the_next(site: Any) -> None:
    """Else answers without end would wait in memory for one who only asks."""
    site.calls.answer = HttpResponse(200, (), b"z" * 20_000_000)
    reader, writer = await site.connect(limit=1 << 16)
    writer.write(call() * 10)
    await asyncio.sleep(0.3)
    assert len(site.calls.asked) == 1
    site.calls.answer = None
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    await asyncio.wait_for(reader.readexactly(20_000_000), 10)
    writer.write(LAST)
    assert bodies(await asyncio.wait_for(reader.read(), 5)) == [b"direct POST /calls/a hello"] * 9 + [
        b"library GET /last "
    ]
    writer.close()


async def test_an_answer_that_could_be_read_as_two_is_not_given(site: Any) -> None:
    site.calls.answer = HttpResponse(200, (("x-hop", "a\r\nx-more: b"),), b"x")
    assert await site.say(call()) == b""
    site.calls.answer = None
    assert bodies(await site.say(call(), LAST))[0] == b"direct POST /calls/a hello"
