"""A provider's interface over HTTP: asked once, never redirected, never asked again, its answer bounded.

What is not known to have been answered is told apart by whether the provider may have seen it: a connection that could
not be made has sent nothing; after that, silence, a broken connection and garbage all mean that it may have.
"""

from __future__ import annotations

import asyncio
import contextlib
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
        self._name = settings.name
        self._observer = observer
        self._turns = Turns(settings.max_connections, settings.max_waiting, settings.max_rate, monotonic)
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_s, monotonic)
        self._connections = Connections(settings, partial(observer.on_connection, settings.name))
        self._under_way = 0
        self._drained: asyncio.Future[None] | None = None
        self._last_fault = ""

    @property
    def name(self) -> str:
        return self._name

    @property
    def is_known(self) -> bool:
        """Nothing is asked of a provider at the start: it is taken to be there until it is not."""
        return not self._breaker.is_open

    async def start(self) -> bool:
        return True

    async def close(self, drain_s: float = 0.0) -> None:
        """Let requests under way end within ``drain_s``, then close the connections."""
        if self._under_way and drain_s:
            self._drained = asyncio.get_running_loop().create_future()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained, drain_s)
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
        breaker, turns = self._breaker, self._turns
        if breaker.is_open and not breaker.may_pass():
            self._observer.on_reply(self._name, UpstreamFault.UNREACHABLE)
            return UpstreamFault.UNREACHABLE
        if not turns.take_at_once() and (fault := await self._await_turn(valid_s)) is not None:
            breaker.give_up_trying()
            self._observer.on_reply(self._name, fault)
            return fault
        self._under_way += 1
        try:
            answer = await self._connections.ask(request, until)
        except BaseException:  # cancelled too: no word came, so it counts as a failure
            breaker.note(True)
            raise
        finally:
            self._under_way -= 1
            if self._drained is not None and not self._under_way and not self._drained.done():
                self._drained.set_result(None)
            turns.release()
        if isinstance(answer, UpstreamFault):
            self._last_fault = str(answer)
            breaker.note(answer in _FAILED)
            self._observer.on_reply(self._name, answer)
        else:
            breaker.note(False)
            self._observer.on_reply(self._name, _result_of(answer.status))
        return answer

    async def _await_turn(self, valid_s: float | None) -> UpstreamFault | None:
        """Why there is no turn, or None once there is."""
        waiting_s = self._settings.waiting_s
        is_bound_by_decision = valid_s is not None and valid_s < waiting_s
        turn = await self._turns.take(valid_s if valid_s is not None and is_bound_by_decision else waiting_s)
        if turn is Turn.TAKEN:
            return None
        return UpstreamFault.EXPIRED if turn is Turn.EXPIRED and is_bound_by_decision else UpstreamFault.NO_ROOM


def _result_of(status: int) -> str:
    if status < 400:
        return "relayed"
    return "deferred" if status >= 500 or status == 429 else "refused"
