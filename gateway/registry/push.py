"""Push: the registry posts what citizens did on its channels (İYS API reference, 6.8); here it enters the index.

How the real registry repeats, orders and batches is not documented; nothing depends on it: the later will wins whatever
arrives first, and what never arrives comes by pull. An answer of 200 says that everything in the request is durable.
Push makes single persons fresher, never the watermark.
"""

from __future__ import annotations

import asyncio
import hmac
from base64 import b64decode
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import Protocol

import structlog
from aiohttp import web

from filters.consent_key import ConsentKeys
from filters.registry.merging import read_movements
from filters.registry.pushing import PushedMovements, PushError, read_push
from gateway.registry.ports import SyncIndex
from gateway.registry.questions import QuestionBook

log = structlog.stdlib.get_logger(__name__)

MOST_BYTES = 8 << 20
ANSWER_S = 4.5
"""The registry waits five seconds; a late success would be repeated, which is harmless, but says it failed."""

RESULTS = ("taken", "test", "foreign", "unreadable", "unauthorised", "malformed", "failed")


class PushObserver(Protocol):
    """Who counts; must not raise."""

    def push_received(self, result: str, number: int) -> None:
        """So many movements (requests, for the last three) ended as ``result``, one of ``RESULTS``."""


class PushReceiver:
    """Takes what the registry posts. ``brands``: our code by the registry's (iysCode, brandCode)."""

    def __init__(
        self,
        index: SyncIndex,
        book: QuestionBook,
        keys: ConsentKeys,
        brands: Mapping[tuple[int, int], int],
        username: str,
        password: str,
        observer: PushObserver,
    ) -> None:
        self._index = index
        self._book = book
        self._keys = keys
        self._brands = brands
        self._login = _digest(f"{username}:{password}".encode())
        self._observer = observer

    def build_app(self, path: str) -> web.Application:
        """An application that answers POST at ``path`` and knows nothing else."""
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_post(path, self._receive)
        app.on_response_prepare.append(_hide_server)
        return app

    async def _receive(self, request: web.Request) -> web.Response:
        if not self._is_known(request.headers.getall("Authorization", [])):
            self._observer.push_received("unauthorised", 1)
            return _answer(401, {"WWW-Authenticate": 'Basic realm="registry push"'})
        try:
            async with asyncio.timeout(ANSWER_S):
                pushed = read_push(await request.read())
                await self._take(pushed)
        except PushError:
            self._observer.push_received("malformed", 1)
            log.error("registry.push.malformed")
            return _answer(400)
        except web.HTTPRequestEntityTooLarge:
            self._observer.push_received("malformed", 1)
            return _answer(413)
        except (OSError, ValueError) as fault:  # TimeoutError is an OSError; it comes again, or by pull
            self._observer.push_received("failed", 1)
            log.error("registry.push.failed", fault=type(fault).__name__)
            return _answer(503, {"Retry-After": "10"})
        return _answer(200)

    async def _take(self, pushed: PushedMovements) -> None:
        """Each brand's movements in one step. Raises ``OSError``, ``ValueError``."""
        for firm, (movements, unread) in pushed.by_brand.items():
            code = self._brands.get(firm)
            if code is None:
                self._observer.push_received("foreign", len(movements) + len(unread))
                log.warning("registry.push.foreign", movements=len(movements) + len(unread))
                continue
            found = read_movements(movements, unread, partial(self._keys.derive, code))
            if found.subjects or found.unknown:
                self._observer.push_received("unreadable", len(unread) + found.unknown)
                log.error("registry.push.unreadable", brand=code, to_be_asked=len(found.subjects))
                await self._book.add(code, found.subjects)
            if found.changes:
                await self._index.apply(code, found.changes)
                self._observer.push_received("taken", len(found.changes))
        if pushed.tests:
            self._observer.push_received("test", pushed.tests)
        if pushed.astray:
            # Without a brand it can be entered nowhere; the pull brings it with one.
            self._observer.push_received("unreadable", pushed.astray)
            log.error("registry.push.astray", movements=pushed.astray)

    def _is_known(self, fields: Sequence[str]) -> bool:
        given = b""
        if len(fields) == 1:
            scheme, _, value = fields[0].partition(" ")
            if scheme.lower() == "basic":
                try:
                    given = b64decode(value.strip(), validate=True)
                except ValueError:
                    given = b""
        return hmac.compare_digest(_digest(given), self._login)


def _digest(login: bytes) -> bytes:
    """Of one length whatever the login's, so that comparing says nothing of that either."""
    return blake2b(login, digest_size=32).digest()


async def _hide_server(request: web.Request, response: web.StreamResponse) -> None:
    """What is not ours to answer (another path, another method) says nothing of what we are built with either."""
    response.headers["Server"] = "izinkapi"


def _answer(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    fixed = {"Server": "izinkapi", "Cache-Control": "no-store"}
    return web.json_response(
        {"status": "ok" if status == 200 else "error"}, status=status, headers=fixed | dict(headers or {})
    )
