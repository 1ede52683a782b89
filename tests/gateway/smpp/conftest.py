"""Real SMPP listeners before a real SMSC simulator, on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest_asyncio
import uvloop

from tests.support.smpp_world import SmppWorld, make_world

Start = Callable[..., Coroutine[Any, Any, SmppWorld]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test here runs on both event loops."""
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture
async def start() -> AsyncIterator[Start]:
    """Starts a world; keyword arguments as of ``make_world``."""
    worlds: list[SmppWorld] = []

    async def begin(**options: Any) -> SmppWorld:
        worlds.append(await make_world(**options))
        return worlds[-1]

    yield begin
    for world in worlds:
        await world.stop()
