"""A step of closing down that ends at once, among those that are awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable


def make_closing(close: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        close()

    return run
