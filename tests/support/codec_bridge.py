"""A door that does what the gateway does with one dialect, without its decisions: whom the test names is left out.

So real clients meet a codec's answers over a real connection before anything else of the gateway matters.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from yarl import URL

from filters.reason import Reason
from filters.sms.dialect import CallKind, Dialect, RequestRefusedError, Segments
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import SmsFate, SmsRecipient
from filters.vocabulary import Outcome

SUFFIX = " RET ORNEK 3338"


class CodecBridge:
    """``dropped`` holds E.164 numbers; ``asked_upstream`` counts what went on to the provider."""

    def __init__(self, dialects: list[Dialect], upstream: str, ssl_context: object = None) -> None:
        self.dropped: set[str] = set()
        self.asked_upstream = 0
        self._dialects = dialects
        self._upstream = upstream
        self._ssl_context = ssl_context
        app = web.Application(client_max_size=2**25)
        app.router.add_route("*", "/{tail:.*}", self._answer)
        self._server = TestServer(app, host="127.0.0.1", scheme="https" if ssl_context else "http")
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        await self._server.start_server(ssl=self._ssl_context)
        self._session = ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
        await self._server.close()

    @property
    def port(self) -> int:
        assert self._server.port is not None
        return self._server.port

    async def _answer(self, request: web.Request) -> web.Response:
        headers = tuple((name.lower(), value) for name, value in request.headers.items())
        path, _, query = request.raw_path.partition("?")
        taken = HttpRequest(request.method, path, query, headers, await request.read())
        for dialect in self._dialects:
            call = dialect.recognise(taken)
            if call is not None and call.kind is not CallKind.REFUSED:
                answer = (
                    await self._send(dialect, taken) if call.kind is CallKind.SEND else await self._ask_upstream(taken)
                )
                kept = {name: value for name, value in answer.headers if name.startswith(("content-type", "x-izin"))}
                response = web.Response(status=answer.status, body=answer.body, headers=kept)
                response.force_close()  # no TLS connection is left half shut when the test ends
                return response
        return web.Response(status=404)

    async def _send(self, dialect: Dialect, taken: HttpRequest) -> HttpResponse:
        call = dialect.recognise(taken)
        assert call is not None
        try:
            submission = dialect.read(taken, call)
        except RequestRefusedError as refused:
            return dialect.write_fault(refused.fault, refused.detail)
        fates: list[SmsFate | None] = [self._fate(recipient) for recipient in submission.recipients]
        kept = [position for position, fate in enumerate(fates) if fate is None]
        response = None
        if kept:
            texts = [submission.texts[submission.recipients[position].text] + SUFFIX for position in kept]
            response = await self._ask_upstream(dialect.write(submission, kept, texts))
            relayed = dialect.read_answer(submission, kept, response)
            if relayed.is_passed_on:
                return response
            for position, fate in zip(kept, relayed.fates, strict=True):
                fates[position] = fate
        settled = [fate for fate in fates if fate is not None]
        minted = "" if kept else dialect.mint_id(2**127 + 12345)
        return dialect.write_answer(submission, settled, response, minted, [Segments(1, 1)])

    def _fate(self, recipient: SmsRecipient) -> SmsFate | None:
        if recipient.number is None:
            return SmsFate(Outcome.DROPPED, Reason.ADDRESS_INVALID)
        is_dropped = recipient.number.e164 in self.dropped
        return SmsFate(Outcome.DROPPED, Reason.NO_CONSENT) if is_dropped else None

    async def _ask_upstream(self, request: HttpRequest) -> HttpResponse:
        assert self._session is not None
        self.asked_upstream += 1
        url = URL(f"{self._upstream}{request.path}?{request.query}".rstrip("?"), encoded=True)
        left = ("host", "content-length", "connection", "accept-encoding", "transfer-encoding")
        headers = [(name, value) for name, value in request.headers if name not in left]
        async with self._session.request(request.method, url, headers=headers, data=request.body or None) as answer:
            told = tuple((name.lower(), value) for name, value in answer.headers.items())
            return HttpResponse(answer.status, told, await answer.read())
