"""Requests that are not answered yet, by their digest: a client that leaves and comes again while the provider is still
silent must not send the same message beside the first.

Of one worker; for the others there are marks in the store (``gateway.sms.at_provider``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.sms.in_hand import SmsInHand


class UnderWay:
    """All requests of one pipeline between reading and answer."""

    def __init__(self) -> None:
        self._by_digest: dict[bytes, list[SmsInHand]] = {}

    def begin(self, sms: SmsInHand) -> list[SmsInHand]:
        """The same request of clients that have left, to be waited for: what became of it is remembered then.

        One whose client is still there is another message, however alike: nobody waits for it.
        """
        ahead = self._by_digest.get(sms.digest)
        if ahead is None:
            self._by_digest[sms.digest] = [sms]
            return []
        left = [other for other in ahead if other.is_gone()]
        ahead.append(sms)
        return left

    async def wait_for(self, left: Sequence[SmsInHand]) -> None:
        """Until all of ``left`` are answered."""
        for other in left:
            if other.end_awaited is None:
                other.end_awaited = asyncio.get_running_loop().create_future()
            await asyncio.shield(other.end_awaited)

    def end(self, sms: SmsInHand) -> None:
        """It is answered, and what has to be remembered of it is. Without effect for one that never began."""
        same = self._by_digest.get(sms.digest)
        if same is None or sms not in same:
            return
        same.remove(sms)
        if not same:
            del self._by_digest[sms.digest]
        if sms.end_awaited is not None and not sms.end_awaited.done():
            sms.end_awaited.set_result(None)
