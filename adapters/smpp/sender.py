"""The SMSC in the shape in which the SMS pipeline hands requests over (``gateway.sms.ports.SmsUpstream``)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from adapters.smpp.upstream import SmscUpstream
from filters.smpp.carrier import bodies_of, pack_results
from filters.smpp.exchange import SubmitResult
from filters.sms.http import HttpRequest, HttpResponse, UpstreamFault
from filters.vocabulary import Outcome


class SmscSender:
    """Sends carried requests (``filters.smpp.carrier``) through one SMSC."""

    def __init__(self, upstream: SmscUpstream) -> None:
        self._upstream = upstream

    @property
    def name(self) -> str:
        return self._upstream.name

    async def send(self, request: HttpRequest, valid_s: float | None = None) -> HttpResponse | UpstreamFault:
        """What the SMSC said of each part for each destination. EXPIRED only where nothing was handed over."""
        groups = bodies_of(request)
        results: list[Sequence[SubmitResult]] = [()] * len(groups)
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        open_groups = len(groups)

        def done(number: int, said: Sequence[SubmitResult]) -> None:
            nonlocal open_groups
            results[number] = said
            open_groups -= 1
            if not open_groups and not waiting.done():
                waiting.set_result(None)

        for number, group in enumerate(groups):
            self._upstream.submit(group, partial(done, number), valid_s)
        await waiting
        if all(result.outcome is Outcome.DEFERRED and not result.status for group in results for result in group):
            is_ours = valid_s is not None and valid_s < self._upstream.settings.waiting_s
            return UpstreamFault.EXPIRED if is_ours and self._upstream.status.bound else UpstreamFault.UNREACHABLE
        return pack_results(results)
