"""A provider's interface over HTTP: asked once, never redirected, never asked again, its answer bounded.

What is not known to have been answered is told apart by whether the provider may have seen it: a connection that could
not be made has sent nothing; after that, silence, a broken connection and garbage all mean that it may have.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from adapters.sms.connections import Connections
from adapters.sms.settings import HttpUpstreamSettings
from adapters.sms.turns import Breaker, Turn, Turns
from filters.sms.http import HttpRequest, HttpResponse, UpstreamFault

_FAILED = frozenset({UpstreamFault.UNREACHABLE, UpstreamFault.LOST, UpstreamFault.TIMED_OUT, UpstreamFault.GARBAGE})


class SmsUpstreamObserver(Protocol):
    """Who counts. Must not raise."""

    def on_reply(self, upstream: str, result: str) -> None:
        """A request ended: "relayed", "refused", "deferred" by the status, or an ``UpstreamFault``."""

    def on_connection(self, upstream: str, change: int) -> None:
        """Open connections changed by ``change``."""


class HttpUpstream:
    """One provider. ``send`` is all of ``gateway.sms.ports.SmsUpstream``; ``start`` and ``close`` frame its life."""

    def __init__(
        self,
        settings: HttpUpstreamSettings,
        observer: SmsUpstreamObserver,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._turns = Turns(settings.max_connections, settings.max_waiting, settings.max_rate, monotonic)
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_s, monotonic)
        self._connections = Connections(settings, partial(observer.on_connection, settings.name))
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._last_fault = ""

    @property
    def name(self) -> str:
        return self._settings.name

    @property
    def is_known(self) -> bool:
        """Nothing is asked of a provider at the start: it is taken to be there until it is not."""
        return not self._breaker.is_open

    async def start(self) -> bool:
        return True

    async def close(self, drain_s: float = 0.0) -> None:
        """Let requests under way end within ``drain_s``, then close the connections."""
        if self._under_way and drain_s:
            try:
                async with asyncio.timeout(drain_s):
                    await self._idle.wait()
            except TimeoutError:
                pass
        await self._connections.close()

    def describe(self) -> dict[str, object]:
        return {
            "is_reachable": self.is_known,
            "connections": self._under_way,
            "waiting": self._turns.waiting,
            "last_error": self._last_fault,
        }

    async def send(self, request: HttpRequest, valid_s: float | None = None) -> HttpResponse | UpstreamFault:
        """The provider's answer, whatever its status. ``valid_s``: so long it may wait for turn and connection."""
        until = None if valid_s is None else asyncio.get_running_loop().time() + valid_s
        if not self._breaker.may_pass():
            self._observer.on_reply(self.name, UpstreamFault.UNREACHABLE)
            return UpstreamFault.UNREACHABLE
        waiting_s = self._settings.waiting_s
        is_bound_by_decision = valid_s is not None and valid_s < waiting_s
        turn = await self._turns.take(valid_s if valid_s is not None and is_bound_by_decision else waiting_s)
        if turn is not Turn.TAKEN:
            self._breaker.give_up_trying()
            fault = UpstreamFault.NO_ROOM
            if turn is Turn.EXPIRED and is_bound_by_decision:
                fault = UpstreamFault.EXPIRED
            self._observer.on_reply(self.name, fault)
            return fault
        self._under_way += 1
        self._idle.clear()
        try:
            answer = await self._connections.ask(request, until)
        except BaseException:
            self._breaker.note(True)
            raise
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
            self._turns.release()
        if isinstance(answer, UpstreamFault):
            self._last_fault = str(answer)
            self._breaker.note(answer in _FAILED)
            self._observer.on_reply(self.name, answer)
        else:
            self._breaker.note(False)
            self._observer.on_reply(self.name, _result_of(answer.status))
        return answer


def _result_of(status: int) -> str:
    if status < 400:
        return "relayed"
    return "deferred" if status >= 500 or status == 429 else "refused"
