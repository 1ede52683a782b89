"""Links to a real SMSC simulator on a free loopback port."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest_asyncio

from adapters.smpp import LinkEvent, SmscUpstream
from filters.smpp.exchange import SubmitResult
from filters.smpp.fields import Address
from filters.smpp.message import ShortMessage, render_submit
from loadtest.providers.smsc import Smsc
from tests.support.smpp_world import smsc_settings


@dataclass
class Linked:
    """An upstream under test, its SMSC and what it told."""

    smsc: Smsc
    upstream: SmscUpstream
    events: Counter[LinkEvent]
    delivered: list[ShortMessage]
    results: dict[int, Sequence[SubmitResult]] = field(default_factory=dict)
    asked: int = 0

    def submit(self, destination: str = "905321234567", *, parts: int = 1, valid_s: float | None = None) -> int:
        """Hand one message over; the number under which ``results`` will have it."""
        self.asked += 1
        source, to = Address(5, 0, "SHOP"), Address(1, 1, destination)
        bodies = [render_submit(ShortMessage(source, to, b"part %d" % part)) for part in range(parts)]
        self.upstream.submit(bodies, partial(self._take, self.asked), valid_s)
        return self.asked

    def _take(self, number: int, results: Sequence[SubmitResult]) -> None:
        assert number not in self.results, "answered twice"
        self.results[number] = results

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)


LinkUp = Callable[..., Coroutine[Any, Any, Linked]]


@pytest_asyncio.fixture
async def link_up() -> AsyncIterator[LinkUp]:
    """Starts SMSC and upstream; keyword arguments are the upstream's settings, ``is_bound`` waits for the bind."""
    worlds: list[Linked] = []

    async def begin(*, is_bound: bool = True, **settings: Any) -> Linked:
        smsc = Smsc()
        await smsc.start()
        events, delivered = Counter[LinkEvent](), list[ShortMessage]()

        def take(message: ShortMessage, answer: Callable[[int], None]) -> None:
            delivered.append(message)
            answer(0)

        upstream = SmscUpstream(
            smsc_settings(smsc.port, **settings), deliver=take, count=lambda event: events.update([event])
        )
        world = Linked(smsc, upstream, events, delivered)
        worlds.append(world)
        upstream.start()
        if is_bound:
            await world.until(lambda: upstream.status.bound == upstream.settings.links)
        return world

    yield begin
    for world in worlds:
        await world.upstream.close()
        await world.smsc.stop()
        await world.until(lambda world=world: not world.smsc.links)
