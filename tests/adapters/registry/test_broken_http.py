"""Bytes that are no HTTP, or not quite: the call comes back as a value, whoever sent them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from adapters.registry import Credentials, Patience, RegistryAddress
from adapters.registry.transport import HttpAnswer, HttpTransport
from filters.registry.call import interpret
from filters.registry.calls import account
from filters.registry.failures import Failure, TransportFault
from filters.registry.limits import Limits

HEAD = b"HTTP/1.1 200 OK\r\n"
BROKEN = {
    "nothing": b"",
    "rubbish": b"\x16\x03\x01\x00\xff" * 50,
    "an SMTP greeting": b"220 mail.example ESMTP\r\n",
    "a status that is no number": b"HTTP/1.1 ABC OK\r\nContent-Length: 2\r\n\r\n[]",
    "a status out of range": b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n[]",
    "no reason phrase": b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n",
    "a negative length": HEAD + b"Content-Length: -5\r\n\r\n[]",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
    "a length too long": HEAD + b"Content-Length: 2000\r\n\r\n[]",
    "a length and chunks": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk that is no number": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n",
    "chunks without end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n",
    "a head without end": HEAD + b"X: " + b"y" * 100_000,
    "ten thousand fields": HEAD + b"".join(b"X-%d: y\r\n" % number for number in range(10_000)) + b"\r\n",
    "a field without name": HEAD + b": x\r\n\r\n",
    "NUL in a field": HEAD + b"X: a\x00b\r\nContent-Length: 2\r\n\r\n[]",
    "only interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 3,
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "a body to the end of the connection": HEAD + b"Connection: close\r\n\r\n[",
    "an unknown encoding": HEAD + b"Content-Encoding: zz\r\nContent-Length: 2\r\n\r\n[]",
    "a redirect to nowhere": b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n",
    "a wrong cookie": HEAD + b"Set-Cookie: \xff=;;;=\r\nContent-Length: 2\r\n\r\n[}",
}


@pytest.fixture
async def say() -> AsyncIterator[Callable[[bytes], Awaitable[str]]]:
    """Serves the same bytes to every connection, then closes it."""
    servers: list[asyncio.Server] = []

    async def start(answer: bytes) -> str:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                await writer.drain()
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("name", BROKEN)
async def test_broken_http_is_a_failure_and_never_an_exception(
    name: str, say: Callable[[bytes], Awaitable[str]]
) -> None:
    """No answer is read into it."""
    transport = HttpTransport(await say(BROKEN[name]), patience=Patience(connect_s=1, answer_s=1))
    call = account.brands(600123)
    answer = await transport.exchange(call, "t1")
    await transport.close()
    assert isinstance(answer, TransportFault | HttpAnswer)
    if isinstance(answer, HttpAnswer):
        assert isinstance(interpret(call, answer.status, answer.body), Failure)


async def test_a_login_answered_by_something_else_is_a_failure_too(say: Callable[[bytes], Awaitable[str]]) -> None:
    """A box on the way that answers 200 to everything logs nobody in."""
    url = await say(HEAD + b"Content-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>")
    address = RegistryAddress(url, limits=Limits(per_second=100))
    client = address.client(Credentials("user", "word"))
    for _ in range(2):
        assert isinstance(await client.brands(600123), Failure)
    await address.close()
