"""The floor: an SMTP proxy that takes a message, hands it on and does nothing else.

``python -m loadtest.bare_proxy --listen HOST:PORT --upstream HOST:PORT [--workers N]``

What it costs is what two sockets, an event loop and Python's callbacks cost; whatever a gateway costs beyond it is the
gateway's own. It parses the first letters of a command, keeps a message as it came (dots stay doubled), has no limits,
no time-outs and no errors, and is of no use for anything but a measurement.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
from typing import cast

import uvloop

_END_OF_DATA = b"\r\n.\r\n"
_GREETING = b"220 bare ESMTP\r\n"
_OK = b"250 2.0.0 Ok\r\n"
_HELLO = b"250 bare\r\n"
_GO_ON = b"354 End data with <CR><LF>.<CR><LF>\r\n"
_BYE = b"221 2.0.0 Bye\r\n"


class Upstream(asyncio.Protocol):
    """One kept-open connection to the next hop: greeting, EHLO, then message after message."""

    def __init__(self, proxy: BareProxy) -> None:
        self._proxy = proxy
        self._client: Client | None = None
        self._envelope: list[bytes] = []
        self._content: list[bytes] = []
        self._awaited = 0  # reply lines still to come before the content may be written
        self._is_ready = False
        self._partial = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        """A sink closes what is idle for long. What was sent at that very moment and not answered is sent again."""
        self._leave()
        if self._client is not None and self._awaited > len(self._envelope):
            self._proxy.relay(self._client, self._envelope, self._content)
        elif self._client is not None:
            self._client.hang_up()
        self._proxy.connect()

    def _leave(self) -> None:
        if self in self._proxy.free:
            self._proxy.free.remove(self)

    def send(self, client: Client, envelope: list[bytes], content: list[bytes]) -> None:
        self._client = client
        self._envelope = envelope
        self._content = content
        self._awaited = len(envelope) + 1
        self._transport.write(b"".join(envelope) + b"DATA\r\n")

    def data_received(self, data: bytes) -> None:
        if self._partial:
            data = self._partial + data
            self._partial = b""
        lines = data.split(b"\n")
        self._partial = lines.pop()
        for line in lines:
            if line[3:4] == b"-":
                continue
            if not self._is_ready:
                self._greet(line)
            elif self._client is None:
                self._leave()  # "421 timeout exceeded": whatever is said unasked is a farewell
            elif self._awaited > 1:
                self._awaited -= 1
            elif self._awaited:
                self._awaited = 0
                self._transport.writelines(self._content)
            else:
                client, self._client = self._client, None
                self._proxy.free.append(self)
                client.answer(line + b"\n")
                self._proxy.serve()

    def _greet(self, line: bytes) -> None:
        if line.startswith(b"220"):
            self._transport.write(b"EHLO bare\r\n")
        else:
            self._is_ready = True
            self._proxy.free.append(self)
            self._proxy.serve()


class Client(asyncio.Protocol):
    """One client: envelope and content are kept until the final dot, then handed on together."""

    def __init__(self, proxy: BareProxy) -> None:
        self._proxy = proxy
        self._envelope: list[bytes] = []
        self._content: list[bytes] = []
        self._is_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport.write(_GREETING)

    def answer(self, reply: bytes) -> None:
        self._transport.write(reply)

    def hang_up(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._is_content:
            self._content.append(data)
            if data.endswith(_END_OF_DATA) or b"".join(self._content[-5:]).endswith(_END_OF_DATA):
                self._is_content = False
                self._proxy.relay(self, self._envelope, self._content)
                self._envelope, self._content = [], []
            return
        replies = []
        for line in data.splitlines(keepends=True):
            verb = line[:4].upper()
            if verb in (b"MAIL", b"RCPT"):
                self._envelope.append(line)
                replies.append(_OK)
            elif verb == b"DATA":
                self._is_content = True
                replies.append(_GO_ON)
            elif verb in (b"EHLO", b"HELO"):
                replies.append(_HELLO)
            elif verb == b"QUIT":
                self._transport.write(_BYE)
                self._transport.close()
                return
            else:
                replies.append(_OK)
        self._transport.write(b"".join(replies))


class BareProxy:
    """Messages in, each to a free connection; those that find none wait in line."""

    def __init__(self, host: str, port: int, connections: int) -> None:
        self._host, self._port = host, port
        self._connections = connections
        self._waiting: list[tuple[Client, list[bytes], list[bytes]]] = []
        self.free: list[Upstream] = []
        self._connecting: set[asyncio.Task[None]] = set()

    async def start(self, listening: socket.socket) -> asyncio.Server:
        for _ in range(self._connections):
            await self._connect()
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: Client(self), sock=listening, backlog=1024)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):  # the sink is gone: so is the run
            await loop.create_connection(lambda: Upstream(self), self._host, self._port)

    def connect(self) -> None:
        """Another connection in place of one that was lost."""
        task = asyncio.get_running_loop().create_task(self._connect(), name="bare connect")
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def relay(self, client: Client, envelope: list[bytes], content: list[bytes]) -> None:
        self._waiting.append((client, envelope, content))
        self.serve()

    def serve(self) -> None:
        while self.free and self._waiting:
            self.free.pop().send(*self._waiting.pop(0))


async def _serve(listen: tuple[str, int], upstream: tuple[str, int], connections: int) -> None:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind(listen)
    listening.setblocking(False)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    server = await BareProxy(*upstream, connections).start(listening)
    await ended.wait()
    server.close()


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", type=_endpoint, required=True, metavar="HOST:PORT")
    parser.add_argument("--upstream", type=_endpoint, required=True, metavar="HOST:PORT")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=20, help="to the upstream, for each worker")
    given = parser.parse_args()
    children: list[int] = []
    for _ in range(given.workers - 1):
        pid = os.fork()
        if not pid:
            children.clear()
            break
        children.append(pid)
    try:
        uvloop.run(_serve(given.listen, given.upstream, given.connections))
    finally:
        for pid in children:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
