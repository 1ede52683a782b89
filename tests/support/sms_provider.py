"""A simulated SMS provider on a free port, asked with the values that codecs make."""

from __future__ import annotations

import io
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from yarl import URL

from filters.sms.http import HttpRequest, HttpResponse


class RunningProvider:
    """``ask`` sends one request; ``inside`` asks the simulator itself, ``sent`` what it took."""

    def __init__(self, simulator: Any) -> None:
        self.simulator = simulator
        self._server = TestServer(simulator.app(), host="127.0.0.1")
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        self._session = ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
        await self._server.close()

    @property
    def base_url(self) -> str:
        return str(self._server.make_url("")).rstrip("/")

    async def ask(self, request: HttpRequest) -> HttpResponse:
        assert self._session is not None
        url = URL(f"{self.base_url}{request.path}?{request.query}".rstrip("?"), encoded=True)
        async with self._session.request(
            request.method, url, headers=list(request.headers), data=io.BytesIO(request.body) if request.body else None
        ) as response:
            headers = tuple((name.lower(), value) for name, value in response.headers.items())
            return HttpResponse(response.status, headers, await response.read())

    async def tell(self, path: str, **what: Any) -> None:
        assert self._session is not None
        async with self._session.post(f"{self.base_url}/_sim/{path}", json=what) as response:
            assert response.status == 200, await response.text()

    async def sent(self) -> list[dict[str, Any]]:
        assert self._session is not None
        async with self._session.get(f"{self.base_url}/_sim/sent") as response:
            found: list[dict[str, Any]] = await response.json()
            return found
