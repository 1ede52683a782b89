"""Brings signed reports to clients' web hooks: beside the path of mail, in bounded memory, again for some minutes.

What a report says is about people. It is held in memory only, until it is delivered or given up, and nothing of it is
told to the observer.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import aiohttp

SENDERS = 4
"""Requests to one receiver at a time."""

_LATER = frozenset({408, 425, 429})
_MOST_ANSWER_BYTES = 64 * 1024


class WebhookObserver(Protocol):
    """Is told how each report ended; ``cause`` is "refused", "given_up", "overflow" or "closing"."""

    def report_delivered(self, client: str) -> None: ...

    def report_lost(self, client: str, cause: str, status: int) -> None: ...


@dataclass(frozen=True, slots=True)
class WebhookLimits:
    """``keep_s``: how long a report is tried; pauses between tries double, ``first_pause_s`` to ``longest_pause_s``.
    ``max_waiting`` reports and ``max_waiting_bytes`` of them wait for one client, others are lost and counted.
    """

    keep_s: float = 600.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0
    timeout_s: float = 10.0
    max_waiting: int = 1000
    max_waiting_bytes: int = 16 * 1024 * 1024


class Posting(NamedTuple):
    """One request: body, and header fields that go with it."""

    body: bytes
    fields: Mapping[str, str]


class Webhook:
    """The receiver of one client. ``url``: https, or http on this machine. Call ``send`` on the loop only."""

    def __init__(self, client: str, url: str, observer: WebhookObserver, limits: WebhookLimits | None = None) -> None:
        self._client = client
        self._url = url
        self._observer = observer
        self._limits = limits or WebhookLimits()
        self._waiting: deque[tuple[float, Posting]] = deque()
        self._waiting_bytes = 0
        self._senders: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._is_closing = False

    def send(self, posting: Posting) -> None:
        """Take a report, to be delivered as soon as can be. Never blocks, never raises for a receiver's sake."""
        limits = self._limits
        size = len(posting.body)
        is_full = len(self._waiting) >= limits.max_waiting or self._waiting_bytes + size > limits.max_waiting_bytes
        if self._is_closing or is_full:
            self._observer.report_lost(self._client, "closing" if self._is_closing else "overflow", 0)
            return
        self._waiting.append((time.monotonic() + limits.keep_s, posting))
        self._waiting_bytes += size
        if len(self._senders) < min(SENDERS, len(self._waiting) + len(self._senders)):
            sender = asyncio.get_running_loop().create_task(self._work(), name=f"webhook-{self._client}")
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)

    async def close(self, drain_s: float = 2.0) -> None:
        """Deliver what can be delivered within ``drain_s``; the rest is lost and counted."""
        self._is_closing = True
        if self._senders:
            _, late = await asyncio.wait(self._senders, timeout=drain_s)
            for sender in late:
                sender.cancel()
            if late:
                await asyncio.wait(late)
        while self._waiting:
            self._take()
            self._observer.report_lost(self._client, "closing", 0)
        if self._session is not None:
            await self._session.close()

    def _take(self) -> tuple[float, Posting]:
        taken = self._waiting.popleft()
        self._waiting_bytes -= len(taken[1].body)
        return taken

    async def _work(self) -> None:
        while self._waiting:
            give_up_at, posting = self._take()
            try:
                await self._deliver(posting, give_up_at)
            except asyncio.CancelledError:
                self._observer.report_lost(self._client, "closing", 0)
                raise

    async def _deliver(self, posting: Posting, give_up_at: float) -> None:
        pause_s = self._limits.first_pause_s
        while True:
            status = await self._post(posting)
            if 200 <= status < 300:
                self._observer.report_delivered(self._client)
                return
            if 300 <= status < 500 and status not in _LATER:
                # It will say the same again. Redirects are not followed: the address is the operator's to change.
                self._observer.report_lost(self._client, "refused", status)
                return
            if time.monotonic() + pause_s > give_up_at:
                self._observer.report_lost(self._client, "given_up", status)
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._limits.longest_pause_s)

    async def _post(self, posting: Posting) -> int:
        """The status of the answer, 0 for none."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=SENDERS),
                timeout=aiohttp.ClientTimeout(total=self._limits.timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        try:
            async with self._session.post(
                self._url, data=posting.body, headers=posting.fields, allow_redirects=False
            ) as response:
                await response.content.read(_MOST_ANSWER_BYTES)
                return response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return 0
