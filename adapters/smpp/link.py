"""One connection to the SMSC: octets straight into its session, events to its owner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from filters.smpp.client_session import ClientEvent, ClientSession, Delivered, EndReason, LinkEnded


class SmscLink(asyncio.Protocol):
    """One bind. ``take`` gets every event of the session, the last of which is ``LinkEnded``."""

    def __init__(self, session: ClientSession, take: Callable[[SmscLink, ClientEvent], None]) -> None:
        self.session = session
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._is_flush_due = False
        self._is_write_blocked = False
        self.ended: asyncio.Future[LinkEnded] = self._loop.create_future()

    @property
    def room(self) -> int:
        """How many messages it takes now."""
        return 0 if self._is_write_blocked or self._transport is None else self.session.room

    def submit(self, body: bytes, now: float) -> int:
        """There must be room. ``body`` is that of a submit_sm."""
        sequence = self.session.submit(body, now)
        self._flush_soon()
        return sequence

    def answer(self, delivered: Delivered, status: int) -> None:
        """Answer what the SMSC delivered; nothing happens where the link is gone, and the SMSC delivers again."""
        if not self.session.is_ended:
            self.session.answer_delivery(delivered, status)
            self._flush_soon()

    def leave(self) -> None:
        self.session.leave()
        self._flush()

    def tick(self, now: float) -> None:
        self._tell(self.session.tick(now))

    def abort(self) -> None:
        """Go without a word."""
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._tell(self.session.receive(data, self._loop.time()))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self.session.is_ended:
            self._tell([self.session.end(EndReason.LOST)])

    def pause_writing(self) -> None:
        self._is_write_blocked = True

    def resume_writing(self) -> None:
        self._is_write_blocked = False

    # Within

    def _tell(self, events: list[ClientEvent]) -> None:
        for event in events:
            self._take(self, event)
            if type(event) is LinkEnded:
                self._flush()
                if self._transport is not None:
                    self._transport.close()
                if not self.ended.done():
                    self.ended.set_result(event)
        self._flush()

    def _flush_soon(self) -> None:
        """Write once for all that this turn of the loop brings."""
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._transport is not None and (said := self.session.take_output()):
            self._transport.write(said)
