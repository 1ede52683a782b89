"""Whoever answers a message learns whether its client could still be told."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.smtp import replies
from tests.gateway.smtp.test_session import CONTENT, ENVELOPE, HELLO

pytestmark = pytest.mark.asyncio


async def test_an_answer_to_a_client_that_is_there_is_heard(serve: Any, connect: Any) -> None:
    """Once; a second answer reaches nobody."""
    gate = await serve()
    gate.handler.is_holding = True
    wire = await connect(gate.port)
    wire.send(HELLO + ENVELOPE + CONTENT)
    await gate.until(lambda: gate.handler.held)
    answer = gate.handler.held.pop()
    assert answer() is True
    assert answer() is False


async def test_an_answer_to_a_client_that_left_is_not(serve: Any, connect: Any) -> None:
    """It will come again without knowing what became of its message."""
    gate = await serve()
    gate.handler.is_holding = True
    wire = await connect(gate.port)
    wire.send(HELLO + ENVELOPE + CONTENT)
    await gate.until(lambda: gate.handler.held)
    wire.vanish()
    await gate.until(lambda: gate.listener.session_count == 0)
    assert gate.handler.held.pop()() is False


async def test_an_answer_after_the_session_gave_up_is_not(serve: Any, connect: Any) -> None:
    """The client was told to come again while the next hop was still slow."""
    gate = await serve(answer_timeout_s=5)
    gate.handler.is_holding = True
    wire = await connect(gate.port)
    wire.send(HELLO + ENVELOPE + CONTENT)
    await gate.until(lambda: gate.handler.held)
    gate.sweep(6)
    assert replies.ANSWER_OVERDUE in await wire.hear_all()
    assert gate.handler.held.pop()() is False
