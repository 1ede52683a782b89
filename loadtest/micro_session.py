"""What one mail session costs by itself: listener, session and dialogue with a handler that answers at once.

``python -m loadtest.micro_session [--messages N] [--sessions N] [--bytes N] [--per-connection] [--loop asyncio]``

Postfix's smtp-source sends over loopback; the figures are CPU time of this process between the first and the last
hundred messages, so that start-up does not count. Beside it, in the same run, a server that reads and answers without
looking ("floor"): what it costs is the system's share, which no parser can save.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import resource
import shutil
import socket
import time
from collections.abc import Callable
from typing import cast

import uvloop

from filters.client import Client
from filters.envelope import Answer, Envelope, EnvelopeRecipient
from filters.exchange import UpstreamCapabilities
from filters.reply import Reply
from gateway.clients import ClientAccess, ClientDirectory
from gateway.smtp.listener import MailListener
from gateway.smtp.memory_budget import MemoryBudget
from gateway.smtp.settings import ListenerSettings

_SMTP_SOURCE = shutil.which("smtp-source", path="/usr/sbin:/usr/bin:/usr/local/sbin")
_EDGE = 100
_PATIENCE_S = 120
_TAKEN = Reply(250, "0.0", "Taken")
_CAPABILITIES = UpstreamCapabilities(None, True, True, True)


class Meter:
    """CPU and wall time between the message after the first ``_EDGE`` and the one before the last ``_EDGE``."""

    def __init__(self, messages: int) -> None:
        self._messages = messages
        self._seen = 0
        self._marks: list[tuple[float, float, float]] = []

    def tick(self) -> None:
        self._seen += 1
        if self._seen in (_EDGE, self._messages - _EDGE):
            usage = resource.getrusage(resource.RUSAGE_SELF)
            self._marks.append((usage.ru_utime, usage.ru_stime, time.perf_counter()))

    def render(self, name: str) -> str:
        (user, system, wall), (user_end, system_end, wall_end) = self._marks
        measured = self._messages - 2 * _EDGE
        user_us, system_us = (user_end - user) / measured * 1e6, (system_end - system) / measured * 1e6
        rate = measured / (wall_end - wall)
        share = f"({user_us:.1f} user, {system_us:.1f} system)"
        return f"{name:8} {rate:8,.0f} messages/s  {user_us + system_us:6.1f} µs CPU a message {share}"


class NullHandler:
    """Takes everything at once."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def check_recipient(
        self, envelope: Envelope, recipient: EnvelopeRecipient, answer: Callable[[Reply | None], None]
    ) -> None:
        answer(None)

    def handle(self, envelope: Envelope, content: bytes, answer: Callable[[Answer], bool | None]) -> None:
        self._meter.tick()
        answer(Answer(_TAKEN, (_TAKEN,) * len(envelope.recipients)))


class Floor(asyncio.Protocol):
    """Answers without parsing anything but the first letters."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._is_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport.write(b"220 floor ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        if self._is_content:
            if not data.endswith(b"\r\n.\r\n"):
                return
            self._is_content = False
            self._meter.tick()
        elif data.startswith(b"DATA"):
            self._is_content = True
            self._transport.write(b"354 go on\r\n")
            return
        elif data.startswith(b"QUIT"):
            self._transport.write(b"221 bye\r\n")
            self._transport.close()
            return
        self._transport.write(b"250 ok\r\n")


async def _drive(port: int, arguments: argparse.Namespace) -> None:
    assert _SMTP_SOURCE is not None
    keep_open = () if arguments.per_connection else ("-d",)
    counts = ("-s", str(arguments.sessions), "-l", str(arguments.bytes), "-m", str(arguments.messages))
    addresses = ("-f", "news@shop.example", "-t", "ayse@customer.example")
    process = await asyncio.create_subprocess_exec(
        _SMTP_SOURCE, *keep_open, *counts, *addresses, f"inet:127.0.0.1:{port}"
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise SystemExit("smtp-source failed")


async def _measure(arguments: argparse.Namespace) -> None:
    meter = Meter(arguments.messages)
    server = await asyncio.get_running_loop().create_server(lambda: Floor(meter), "127.0.0.1", 0)
    await _drive(server.sockets[0].getsockname()[1], arguments)
    server.close()
    print(meter.render("floor"))

    meter = Meter(arguments.messages)
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listening.setblocking(False)
    port = listening.getsockname()[1]
    clients = ClientDirectory([ClientAccess(Client("load", (1,)), (ipaddress.ip_network("127.0.0.0/8"),))])
    listener = MailListener(
        ListenerSettings(name="micro", hostname="gate.example"),
        handler=NullHandler(meter),
        clients=clients,
        budget=MemoryBudget(1 << 28),
        capabilities=lambda: _CAPABILITIES,
    )
    await listener.start(listening)
    await _drive(port, arguments)
    await listener.drain(1.0)
    clients.close()
    print(meter.render("session"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--bytes", type=int, default=4096)
    parser.add_argument("--per-connection", action="store_true", help="one message a connection")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    arguments = parser.parse_args()
    if _SMTP_SOURCE is None:
        raise SystemExit("smtp-source not found; it comes with the system's postfix package")
    (uvloop.run if arguments.loop == "uvloop" else asyncio.run)(_measure(arguments))


if __name__ == "__main__":
    main()
