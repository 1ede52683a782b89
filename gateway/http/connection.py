"""One HTTP connection of ours: the framework's, silent about what it was sent.

The framework's own server answers bytes it cannot parse with the text of its exception and logs them with a trace
back; both may hold a token. Here the answer is a fixed sentence, and what is logged is counted by the observer instead.
"""

from __future__ import annotations

from typing import Protocol

from aiohttp import web


class ConnectionObserver(Protocol):
    """Who counts what never reached a handler. Must not raise."""

    def http_malformed(self) -> None:
        """Bytes that are no HTTP request."""

    def http_turned_away(self) -> None:
        """A connection beyond the limit."""


class Connection(web.RequestHandler):
    """Answers what is not HTTP without repeating it."""

    __slots__ = ("observer",)

    observer: ConnectionObserver

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        is_ours = status >= 500
        self.observer.http_malformed()
        response = web.Response(
            status=503 if is_ours else 400,
            text="Temporarily unavailable.\n" if is_ours else "Bad request.\n",
            headers={"Server": "izinkapi", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
        )
        response.force_close()
        return response
