"""Real listeners on free loopback ports, on both event loops."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import argon2
import pytest_asyncio
import uvloop

from gateway.clients import ClientAccess, ClientDirectory
from gateway.smtp.listener import MailListener
from gateway.smtp.memory_budget import MemoryBudget
from gateway.smtp.session import SessionEvent
from gateway.smtp.settings import ListenerSettings, TlsMode
from tests.support.certificates import server_context
from tests.support.mail_world import EVERYTHING, LOOPBACK, SHOP, ScriptedHandler

CHEAP_HASHER = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Real argon2, at a cost that suits tests."""


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test here runs on both event loops."""
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


@dataclass
class Gate:
    """A listener under test with what stands around it."""

    listener: MailListener
    handler: ScriptedHandler
    events: Counter[SessionEvent]
    port: int

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for ``condition``, at most some seconds."""
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)

    def sweep(self, seconds_from_now: float) -> None:
        """What the timer would do after so long."""
        for session in tuple(self.listener._sessions):
            session.sweep(self.listener.now())
        for session in tuple(self.listener._sessions):
            session.sweep(self.listener.now() + seconds_from_now)


Serve = Callable[..., Coroutine[Any, Any, Gate]]


@pytest_asyncio.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Starts a listener; keyword arguments are its settings, and ``knows_network``, ``has_logins``, ``budget``."""
    gates: list[Gate] = []

    async def start(
        *,
        knows_network: bool = True,
        has_logins: bool = False,
        budget: int = 1 << 26,
        capabilities: Any = EVERYTHING,
        **settings: Any,
    ) -> Gate:
        context: ssl.SSLContext | None = None
        if settings.get("tls", TlsMode.NONE) is not TlsMode.NONE:
            context = await asyncio.to_thread(server_context, tmp_path)
        handler, events = ScriptedHandler(), Counter[SessionEvent]()
        access = ClientAccess(
            SHOP,
            LOOPBACK if knows_network else (),
            "shop" if has_logins else "",
            CHEAP_HASHER.hash("secret") if has_logins else "",
        )
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        listener = MailListener(
            ListenerSettings(name="in", hostname="gate.example", **settings),
            handler=handler,
            clients=ClientDirectory([access]),
            budget=MemoryBudget(budget),
            capabilities=lambda: capabilities,
            ssl_context=context,
            count=lambda event: events.update([event]),
        )
        port = listening.getsockname()[1]
        await listener.start(listening)
        gates.append(Gate(listener, handler, events, port))
        return gates[-1]

    yield start
    for gate in gates:
        gate.listener.close()
        gate.listener.clients.close()
        await gate.until(lambda gate=gate: not gate.listener.session_count)


class Wire:
    """A client's side of a connection, byte for byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, *, proxy_header: bytes = b"", **options: Any) -> Wire:
        wire = cls(*await asyncio.open_connection("127.0.0.1", port, **options))
        wire.writer.write(proxy_header)
        return wire

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def hear(self) -> bytes:
        """One reply, all its lines."""
        reply = b""
        async with asyncio.timeout(10):
            while True:
                line = await self.reader.readline()
                reply += line
                if line[3:4] != b"-":
                    return reply

    async def hear_all(self) -> bytes:
        """Everything until the connection is closed."""
        async with asyncio.timeout(10):
            return await self.reader.read()

    async def ask(self, data: bytes) -> bytes:
        self.send(data)
        return await self.hear()

    def vanish(self) -> None:
        """Reset the connection, as a host that lost power and came back would."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            return  # it was gone already


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[Callable[..., Coroutine[Any, Any, Wire]]]:
    """Opens connections and closes them in the end."""
    wires: list[Wire] = []

    async def open_wire(port: int, **options: Any) -> Wire:
        wires.append(await Wire.open(port, **options))
        return wires[-1]

    yield open_wire
    for wire in wires:
        await wire.close()
