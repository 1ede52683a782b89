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
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        said = _Said(len(groups), waiting)
        for number, group in enumerate(groups):
            self._upstream.submit(group, partial(said.take, number), valid_s)
        await waiting
        if said.is_handed_over():
            return pack_results(said.results)
        is_ours = valid_s is not None and valid_s < self._upstream.settings.waiting_s
        return UpstreamFault.EXPIRED if is_ours and self._upstream.status.bound else UpstreamFault.UNREACHABLE


class _Said:
    """What the SMSC has said so far to the messages of one request."""

    __slots__ = ("_open", "_waiting", "results")

    def __init__(self, messages: int, waiting: asyncio.Future[None]) -> None:
        self.results: list[Sequence[SubmitResult]] = [()] * messages
        self._open = messages
        self._waiting = waiting

    def take(self, number: int, results: Sequence[SubmitResult]) -> None:
        self.results[number] = results
        self._open -= 1
        if not self._open and not self._waiting.done():
            self._waiting.set_result(None)

    def is_handed_over(self) -> bool:
        """Whether anything left here, or was refused with a word."""
        for results in self.results:
            for outcome, status, _ in results:
                if status or outcome is not Outcome.DEFERRED:
                    return True
        return False
