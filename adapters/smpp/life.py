"""A link to an SMSC as the worker's life sees it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from adapters.smpp.upstream import SmscUpstream

_FIRST_BIND_S: Final = 3.0


class SmscLife:
    """Begins, ends and describes one upstream."""

    def __init__(self, upstream: SmscUpstream) -> None:
        self._upstream = upstream

    @property
    def name(self) -> str:
        return self._upstream.name

    @property
    def is_known(self) -> bool:
        """Whether a link is bound."""
        return self._upstream.status.bound > 0

    async def start(self) -> bool:
        """Whether a link was bound soon; if not, it is tried further."""
        self._upstream.start()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_BIND_S):
                await self._upstream.first_bind.wait()
        return self.is_known

    async def close(self, drain_s: float = 0.0) -> None:
        await self._upstream.drain(drain_s)

    def describe(self) -> dict[str, object]:
        status = self._upstream.status
        return {
            "is_reachable": status.bound > 0,
            "links": status.links,
            "bound": status.bound,
            "unanswered": status.unanswered,
            "waiting": status.waiting,
            "bind_status": f"0x{status.bind_status:02x}",
        }
