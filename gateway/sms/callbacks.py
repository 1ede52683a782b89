"""Awaiting ports that call back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


async def answer_of(ask: Callable[[Callable[[Answer], None]], None]) -> Answer:
    """What ``ask`` calls back with; without a future where that happens before it returns. A second call is nothing."""
    answers: list[Answer] = []
    waiting: asyncio.Future[Answer] | None = None

    def done(answer: Answer) -> None:
        if waiting is None:
            answers.append(answer)
        elif not waiting.done():
            waiting.set_result(answer)

    ask(done)
    if answers:
        return answers[0]
    waiting = asyncio.get_running_loop().create_future()
    return await waiting
