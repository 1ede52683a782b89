"""A provider's interface over HTTP: asked once, never redirected, never asked again, its answer bounded.

What is not known to have been answered is told apart by whether the provider may have seen it: a connection that could
not be made has sent nothing; after that, silence, a broken connection and garbage all mean that it may have.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from typing import Protocol

import aiohttp
from yarl import URL

from adapters.sms.settings import HttpUpstreamSettings
from adapters.sms.turns import Breaker, Turn, Turns
from filters.sms.http import HttpRequest, HttpResponse, UpstreamFault

_FAILED = frozenset({UpstreamFault.UNREACHABLE, UpstreamFault.LOST, UpstreamFault.TIMED_OUT, UpstreamFault.GARBAGE})
_LEFT_TO_US = frozenset({"Accept", "Accept-Encoding", "User-Agent", "Content-Type"})
_MAX_FIELD_BYTES = 16 * 1024
_LARGE_BYTES = 512 * 1024


class SmsUpstreamObserver(Protocol):
    """Who counts. Must not raise."""

    def on_reply(self, upstream: str, result: str) -> None:
        """A request ended: "relayed", "refused", "deferred" by the status, or an ``UpstreamFault``."""

    def on_connection(self, upstream: str, change: int) -> None:
        """Connections in use changed by ``change``."""


class HttpUpstream:
    """One provider. ``send`` is all of ``gateway.sms.ports.SmsUpstream``; ``start`` and ``close`` frame its life."""

    def __init__(
        self,
        settings: HttpUpstreamSettings,
        observer: SmsUpstreamObserver,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._turns = Turns(settings.max_connections, settings.max_waiting, settings.max_rate, monotonic)
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_s, monotonic)
        self._timeout = aiohttp.ClientTimeout(total=settings.timeout_s, sock_connect=settings.connect_s)
        self._session: aiohttp.ClientSession | None = None
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._last_fault = ""

    @property
    def name(self) -> str:
        return self._settings.name

    @property
    def is_known(self) -> bool:
        """Nothing is asked of a provider at the start: it is taken to be there until it is not."""
        return not self._breaker.is_open

    async def start(self) -> bool:
        self._open()
        return True

    async def close(self, drain_s: float = 0.0) -> None:
        """Let requests under way end within ``drain_s``, then close the connections."""
        if self._under_way and drain_s:
            try:
                async with asyncio.timeout(drain_s):
                    await self._idle.wait()
            except TimeoutError:
                pass
        if self._session is not None:
            await self._session.close()

    def describe(self) -> dict[str, object]:
        return {
            "is_reachable": self.is_known,
            "connections": self._under_way,
            "waiting": self._turns.waiting,
            "last_error": self._last_fault,
        }

    async def send(self, request: HttpRequest, valid_s: float | None = None) -> HttpResponse | UpstreamFault:
        """The provider's answer, whatever its status. ``valid_s``: so long it may wait for its turn."""
        if not self._breaker.may_pass():
            self._observer.on_reply(self.name, UpstreamFault.UNREACHABLE)
            return UpstreamFault.UNREACHABLE
        waiting_s = self._settings.waiting_s
        is_bound_by_decision = valid_s is not None and valid_s < waiting_s
        turn = await self._turns.take(valid_s if valid_s is not None and is_bound_by_decision else waiting_s)
        if turn is not Turn.TAKEN:
            self._breaker.give_up_trying()
            fault = UpstreamFault.NO_ROOM
            if turn is Turn.EXPIRED and is_bound_by_decision:
                fault = UpstreamFault.EXPIRED
            self._observer.on_reply(self.name, fault)
            return fault
        self._under_way += 1
        self._idle.clear()
        self._observer.on_connection(self.name, 1)
        try:
            answer = await self._ask(request)
        except BaseException:
            self._breaker.note(True)
            raise
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
            self._observer.on_connection(self.name, -1)
            self._turns.release()
        if isinstance(answer, UpstreamFault):
            self._last_fault = str(answer)
            self._breaker.note(answer in _FAILED)
            self._observer.on_reply(self.name, answer)
        else:
            self._breaker.note(False)
            self._observer.on_reply(self.name, _result_of(answer.status))
        return answer

    async def _ask(self, request: HttpRequest) -> HttpResponse | UpstreamFault:
        session = self._session or self._open()
        query = f"?{request.query}" if request.query else ""
        try:
            url = URL(f"{self._settings.base_url}{request.path}{query}", encoded=True)
            async with session.request(
                request.method, url, headers=request.headers, data=_body_of(request), allow_redirects=False
            ) as response:
                body = await self._read_body(response)
                if body is None:
                    return UpstreamFault.GARBAGE
                headers = tuple((name.lower(), value) for name, value in response.headers.items())
                return HttpResponse(response.status, headers, body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL):
            return UpstreamFault.UNREACHABLE
        except TimeoutError:  # the others of the library are ones too
            return UpstreamFault.TIMED_OUT
        except (aiohttp.ClientResponseError, ValueError):
            return UpstreamFault.GARBAGE
        except (aiohttp.ClientError, OSError):
            return UpstreamFault.LOST

    async def _read_body(self, response: aiohttp.ClientResponse) -> bytes | None:
        limit = self._settings.max_response_bytes
        if response.content_length is not None and response.content_length > limit:
            return None
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_any():
            size += len(part)
            if size > limit:
                return None
            parts.append(part)
        return b"".join(parts)

    def _open(self) -> aiohttp.ClientSession:
        settings = self._settings
        self._session = session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # turns bound it; a second queue inside would hide the waiting from them
                ssl=settings.tls or True,
                keepalive_timeout=settings.idle_s,
                ttl_dns_cache=60,
            ),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_LEFT_TO_US,
            auto_decompress=False,
            raise_for_status=False,
            trust_env=False,
            max_line_size=_MAX_FIELD_BYTES,
            max_field_size=_MAX_FIELD_BYTES,
        )
        # The library asks again by itself after a GET on a connection that was closed meanwhile. A GET may send here.
        session._retry_connection = False
        return session


def _body_of(request: HttpRequest) -> bytes | io.BytesIO | None:
    """Written in pieces where it is large, so that the loop is not held by one write."""
    if len(request.body) > _LARGE_BYTES:
        return io.BytesIO(request.body)
    return request.body or None


def _result_of(status: int) -> str:
    if status < 400:
        return "relayed"
    return "deferred" if status >= 500 or status == 429 else "refused"
