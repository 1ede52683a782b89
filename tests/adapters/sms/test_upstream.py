"""Asking a provider once: what its answers, its silences and its closed doors are told as."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.sms.settings import HttpUpstreamSettings
from adapters.sms.turns import Breaker, Turn, Turns
from adapters.sms.upstream import HttpUpstream
from filters.sms.http import HttpRequest, HttpResponse, UpstreamFault

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Provider: yes\r\n\r\nok"
POST = HttpRequest(
    "POST", "/send", "a=%2F1", (("content-type", "application/json"), ("authorization", "Basic eA==")), b"{}"
)


class Server:
    """Counts connections and keeps what it read; ``talk`` answers each connection."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.heard: list[bytes] = []
        self.connections = 0
        self.url = ""

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        request = head + await reader.readexactly(length)
        self.heard.append(request)
        return request


@asynccontextmanager
async def serving(talk: Callable[[Server], Talk]) -> AsyncIterator[Server]:
    server = Server(lambda _reader, _writer: asyncio.sleep(0))
    server.talk = talk(server)
    listening = await asyncio.start_server(server.meet, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()


class Results:
    def __init__(self) -> None:
        self.results: list[str] = []
        self.connections = 0

    def on_reply(self, upstream: str, result: str) -> None:
        self.results.append(str(result))

    def on_connection(self, upstream: str, change: int) -> None:
        self.connections += change


@asynccontextmanager
async def upstream_at(url: str, **settings: Any) -> AsyncIterator[HttpUpstream]:
    upstream = HttpUpstream(HttpUpstreamSettings("provider", url, **{"timeout_s": 0.5, **settings}), Results())
    await upstream.start()
    try:
        yield upstream
    finally:
        await upstream.close()


def answering(*answers: bytes) -> Callable[[Server], Talk]:
    """Each request of a connection gets the next of ``answers``; after the last the connection is closed."""

    def make(server: Server) -> Talk:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for answer in answers:
                await server.read_request(reader)
                writer.write(answer)
                await writer.drain()

        return talk

    return make


async def test_the_answer_comes_as_it_was_given() -> None:
    async with serving(answering(OK)) as server, upstream_at(server.url) as upstream:
        answer = await upstream.send(POST)
    assert isinstance(answer, HttpResponse)
    assert (answer.status, answer.body, answer.header("x-provider")) == (200, b"ok", "yes")
    (heard,) = server.heard
    assert heard.startswith(b"POST /send?a=%2F1 HTTP/1.1\r\n")
    assert b"authorization: Basic eA==" in heard.lower().replace(b"ea==", b"eA==").replace(b"basic", b"Basic")
    for ours in (b"user-agent", b"accept-encoding", b"cookie"):
        assert ours not in heard.lower()


@pytest.mark.parametrize("status", [400, 401, 406, 429, 500, 503])
async def test_a_refusal_is_an_answer_like_any_other(status: int) -> None:
    refusal = b"HTTP/1.1 %d No\r\nContent-Length: 1\r\n\r\nx" % status
    async with serving(answering(refusal)) as server, upstream_at(server.url) as upstream:
        answer = await upstream.send(POST)
    assert isinstance(answer, HttpResponse)
    assert answer.status == status


async def test_a_redirect_is_not_followed() -> None:
    """It would carry credentials to wherever the answer says."""
    redirect = b"HTTP/1.1 307 Elsewhere\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(redirect, OK)) as server, upstream_at(server.url) as upstream:
        answer = await upstream.send(POST)
    assert isinstance(answer, HttpResponse)
    assert answer.status == 307
    assert len(server.heard) == 1


async def test_a_door_that_is_closed_has_seen_nothing() -> None:
    async with serving(answering(OK)) as server:
        url = server.url
    async with upstream_at(url) as upstream:
        answer = await upstream.send(POST)
    assert answer is UpstreamFault.UNREACHABLE
    assert not answer.is_unknown


async def test_silence_is_an_unknown_outcome() -> None:
    def silent(server: Server) -> Talk:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.read_request(reader)
            await reader.read()

        return talk

    async with serving(silent) as server, upstream_at(server.url, timeout_s=0.1) as upstream:
        answer = await upstream.send(POST)
    assert answer is UpstreamFault.TIMED_OUT
    assert answer.is_unknown


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"", UpstreamFault.LOST),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", UpstreamFault.LOST),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", UpstreamFault.LOST),
        (b"SMTP ready\r\n\r\n", UpstreamFault.GARBAGE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", UpstreamFault.GARBAGE),
    ],
)
async def test_what_cannot_be_read_is_an_unknown_outcome(answer: bytes, fault: UpstreamFault) -> None:
    async with serving(answering(answer)) as server, upstream_at(server.url) as upstream:
        found = await upstream.send(POST)
    assert found is fault
    assert found.is_unknown


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_connection_closed_under_a_request_is_never_tried_again(method: str) -> None:
    """Some dialects send by GET; a library that repeats it would send twice."""

    def closing_under_the_second(server: Server) -> Talk:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.read_request(reader)
            writer.write(OK)
            await server.read_request(reader)

        return talk

    async with serving(closing_under_the_second) as server, upstream_at(server.url) as upstream:
        assert isinstance(await upstream.send(HttpRequest(method, "/send")), HttpResponse)
        assert await upstream.send(HttpRequest(method, "/send")) is UpstreamFault.LOST
    assert len(server.heard) == 2
    assert server.connections == 1


async def test_an_answer_too_large_is_as_good_as_none() -> None:
    large = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n"
    async with serving(answering(large)) as server, upstream_at(server.url, max_response_bytes=1000) as upstream:
        assert await upstream.send(POST) is UpstreamFault.GARBAGE


async def test_so_many_at_once_and_no_more() -> None:
    under_way = most = 0

    def slow(server: Server) -> Talk:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal under_way, most
            while True:
                await server.read_request(reader)
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0.01)
                under_way -= 1
                writer.write(OK)

        return talk

    async with serving(slow) as server, upstream_at(server.url, max_connections=3) as upstream:
        answers = await asyncio.gather(*(upstream.send(POST) for _ in range(12)))
    assert all(isinstance(answer, HttpResponse) for answer in answers)
    assert most == 3


async def test_a_decision_that_would_be_too_old_by_its_turn_is_handed_back() -> None:
    """Nothing of it was sent; it has to be decided again (E19)."""

    def slow(server: Server) -> Talk:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.read_request(reader)
            await asyncio.sleep(0.2)
            writer.write(OK)

        return talk

    async with serving(slow) as server, upstream_at(server.url, max_connections=1) as upstream:
        first = asyncio.create_task(upstream.send(POST))
        await asyncio.sleep(0.05)
        assert await upstream.send(POST, 0.05) is UpstreamFault.EXPIRED
        assert isinstance(await first, HttpResponse)
    assert len(server.heard) == 1


async def test_a_decision_that_is_too_old_once_there_is_a_connection_is_handed_back() -> None:
    """Nothing is sent by it; decided again, the request goes out on the connection that took so long."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        listening.setblocking(False)
        address = listening.getsockname()
        loop = asyncio.get_running_loop()
        waiting = socket.socket()  # it fills the queue of those who wait to be let in
        waiting.setblocking(False)
        waiting.connect_ex(address)
        settings = {"timeout_s": 8.0, "connect_s": 5.0}
        async with asyncio.timeout(8), upstream_at(f"http://127.0.0.1:{address[1]}", **settings) as upstream:
            sending = asyncio.create_task(upstream.send(POST, 0.3))
            await asyncio.sleep(0.4)
            assert not sending.done()
            let_in, _ = await loop.sock_accept(listening)
            assert await sending is UpstreamFault.EXPIRED
            again = asyncio.create_task(upstream.send(POST, 2.0))
            provider, _ = await loop.sock_accept(listening)
            assert (await loop.sock_recv(provider, 65536)).startswith(b"POST /send?a=%2F1 HTTP/1.1")
            await loop.sock_sendall(provider, OK)
            assert isinstance(await again, HttpResponse)
        for each in (waiting, let_in, provider):
            each.close()


async def test_a_provider_that_is_down_is_left_alone_and_then_tried_by_one() -> None:
    now = 0.0
    async with serving(answering(b"")) as server:
        upstream = HttpUpstream(
            HttpUpstreamSettings("provider", server.url, timeout_s=0.5, breaker_failures=3, breaker_s=5.0),
            Results(),
            lambda: now,
        )
        for _ in range(3):
            assert await upstream.send(POST) is UpstreamFault.LOST
        assert not upstream.is_known
        for _ in range(5):
            assert await upstream.send(POST) is UpstreamFault.UNREACHABLE
        assert len(server.heard) == 3
        now = 6.0
        server.talk = answering(OK)(server)
        assert isinstance(await upstream.send(POST), HttpResponse)
        assert upstream.is_known
        await upstream.close()


# -- turns -----------------------------------------------------------------------------------------------------------


async def test_turns_come_in_the_order_of_asking() -> None:
    turns = Turns(1, 10)
    assert await turns.take(1) is Turn.TAKEN
    order: list[int] = []

    async def wait(n: int) -> None:
        assert await turns.take(1) is Turn.TAKEN
        order.append(n)
        turns.release()

    waiting = [asyncio.create_task(wait(n)) for n in range(5)]
    await asyncio.sleep(0)
    turns.release()
    await asyncio.gather(*waiting)
    assert order == [0, 1, 2, 3, 4]


async def test_more_than_may_wait_are_told_at_once() -> None:
    turns = Turns(1, 0)
    assert await turns.take(1) is Turn.TAKEN
    assert await turns.take(1) is Turn.NO_ROOM


async def test_a_turn_given_up_is_nobodys_loss() -> None:
    turns = Turns(1, 10)
    await turns.take(1)
    waiting = asyncio.create_task(turns.take(5))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    turns.release()
    assert await turns.take(0.1) is Turn.TAKEN


async def test_so_many_a_second() -> None:
    loop = asyncio.get_running_loop()
    turns = Turns(100, 100, max_rate=50)
    started = loop.time()
    taken = await asyncio.gather(*(turns.take(5) for _ in range(11)))
    assert set(taken) == {Turn.TAKEN}
    assert loop.time() - started >= 0.19
    assert await Turns(1, 1, max_rate=0.1).take(0.01) is Turn.TAKEN


def test_a_breaker_lets_one_try_and_opens_again_if_that_fails() -> None:
    now = 0.0
    breaker = Breaker(2, 5.0, lambda: now)
    for _ in range(2):
        assert breaker.may_pass()
        breaker.note(True)
    assert not breaker.may_pass()
    now = 5.0
    assert breaker.may_pass()
    assert not breaker.may_pass(), "one tries, the others wait for what it finds"
    breaker.note(True)
    assert not breaker.may_pass()
    now = 10.0
    assert breaker.may_pass()
    breaker.note(False)
    assert breaker.may_pass()
