"""A reverse proxy of aiohttp that only hands on: what the SMS side is measured against.

``python -m loadtest.bare_http_proxy --port PORT --upstream PORT``, both on 127.0.0.1. Server and client of the library
on uvloop, nothing switched on that costs time: no access log, no cookies, no unpacking.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator

import aiohttp
import uvloop
from aiohttp import web

_OF_THE_CONNECTION = frozenset({"host", "connection", "keep-alive", "content-length", "transfer-encoding"})


class Proxy:
    """Each request goes to ``upstream`` and its answer back, whatever they are."""

    def __init__(self, upstream: int) -> None:
        self._base = f"http://127.0.0.1:{upstream}"

    def build_app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.cleanup_ctx.append(self._hold_session)
        app.add_routes([web.route("*", "/{path:.*}", self._hand_on)])
        return app

    async def _hold_session(self, _app: web.Application) -> AsyncIterator[None]:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        )
        yield
        await self._session.close()

    async def _hand_on(self, request: web.Request) -> web.Response:
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _OF_THE_CONNECTION]
        async with self._session.request(
            request.method,
            self._base + request.raw_path,
            headers=headers,
            data=await request.read(),
            allow_redirects=False,
        ) as answer:
            said = web.Response(status=answer.status, body=await answer.read())
            for name, value in answer.headers.items():
                if name.lower() not in _OF_THE_CONNECTION:
                    said.headers[name] = value
            return said


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", type=int, required=True)
    options = parser.parse_args()
    web.run_app(
        Proxy(options.upstream).build_app(),
        host="127.0.0.1",
        port=options.port,
        print=None,
        access_log=None,
        loop=uvloop.new_event_loop(),
    )


if __name__ == "__main__":
    main()
