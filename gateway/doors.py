"""The ways in, each with its inherited socket: opened and drained alike whatever protocol is spoken."""

from __future__ import annotations

import asyncio
import socket
import ssl

from gateway.opt_out.listener import HttpListener
from gateway.opt_out.mail_intake import MailIntake
from gateway.smpp.listener import SmppListener
from gateway.smtp.listener import MailListener


class SessionDoor:
    """Clients whose sessions stay: mail by SMTP or LMTP, SMS by SMPP."""

    def __init__(self, listener: MailListener | SmppListener, listening: socket.socket) -> None:
        self._listener = listener
        self._listening = listening

    async def open(self) -> None:
        await self._listener.start(self._listening)

    async def drain(self, timeout_s: float) -> None:
        await self._listener.drain(timeout_s)

    @property
    def session_count(self) -> int:
        return self._listener.session_count


class HttpDoor:
    """Opt-out pages."""

    def __init__(self, listener: HttpListener, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        self._listener = listener
        self._listening = listening
        self._tls = tls

    async def open(self) -> None:
        await self._listener.start(self._listening, self._tls)

    async def drain(self, timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            await self._listener.close()

    @property
    def session_count(self) -> int:
        return 0  # the listener counts its own; sessions here are those that carry mail


class IntakeDoor:
    """Refusals by mail."""

    def __init__(self, intake: MailIntake, listening: socket.socket) -> None:
        self._intake = intake
        self._listening = listening

    async def open(self) -> None:
        await self._intake.start(self._listening)

    async def drain(self, timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            await self._intake.close()

    @property
    def session_count(self) -> int:
        return 0
