"""The opt-out pages: what the link in a message leads to (RFC 8058; Law 6563, 8/1 and 8/2; Reg. 9).

=========================  ==========================================================================================
``GET /u/{token}``         a page with one button. Changes nothing, whoever asks and however: link checkers and
                           prefetchers fetch every address there is. HEAD and OPTIONS likewise
``POST /u/{token}``        the refusal. No cookie, login, redirect, or form key is asked for: one-click requests of
                           mailbox providers have none
``GET /logo/{brand}``      the brand's logo; ``/static/style.css``, ``/robots.txt``
anything else              a small neutral page, 404
=========================  ==========================================================================================

**Every POST to a good token is a refusal**, whatever its body: ``List-Unsubscribe=One-Click`` in either content type,
the page's own button, an empty body, JSON. The token names everything that is needed, checkers do not POST, and a
refusal lost for the form of its body would be a message sent against a person's will. The body only chooses the answer:
the page for our button, two letters for machines. It is read up to a limit, and not parsed.

**What an answer gives away.** Tokens cannot be guessed (filters.token), so an answer can only tell something to one who
holds a token. It never tells anything of the address or its consent state: first and repeated refusals, of addresses
known or unknown to the index, are answered with the same bytes. An unknown token (cut off, altered, invented) gets the
status, headers and page of a good one: the brand shown is then that of the host name, or the only one there is. Only
where several brands share a host name does a good token show its brand and an unknown one a neutral page. The answer to
a POST is held back to a common minimum, so that the write of a good one does not show in the time. While the store
fails, unknown tokens get the same 503 as good ones.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from filters.brand import Brand
from filters.consent_key import ConsentKeys
from filters.exchange import Refusal
from filters.token import Grant, TokenKeys
from filters.vocabulary import Channel
from gateway.opt_out.language import DEFAULT, Language, choose_language
from gateway.opt_out.logo import Logo
from gateway.opt_out.rendering import PageName, PageRenderer
from gateway.opt_out.sentences import Notice
from gateway.opt_out.throttle import Throttle
from gateway.ports import RefusalRecorder

MAX_BODY_BYTES = 8 * 1024
ONE_CLICK_ANSWER = b"OK\n"

# Registry source names (İYS reference, 2.2): where the person acted.
SOURCE_PAGE = "HS_WEB"
SOURCE_ONE_CLICK = "HS_EPOSTA"

_ANSWER_FLOOR_S = 0.05
_BODY_TIMEOUT_S = 10.0
_RECORD_TIMEOUT_S = 15.0
_STORE_FAILING_S = 30.0
_RETRY_AFTER_S = 60
_MAX_DEPTH = 8

# What mail programs and people drag along behind a link.
_TRAILING = ".,;:!?)]}>'\"*"

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Server": "izinkapi",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
_CACHED = {**_HEADERS, "Cache-Control": "public, max-age=3600"}
# An SVG logo may be opened on its own: then it may style itself and nothing more.
_LOGO = {**_CACHED, "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
_ROBOTS = b"User-agent: *\nDisallow: /\n"

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PagesObserver(Protocol):
    """Who counts and logs answers. Called in the loop's thread; must not raise."""

    def page_answered(self, route: str, status: int) -> None:
        """``route`` is one of a handful of names, never a path: paths hold tokens."""

    def page_failed(self, error: Exception) -> None:
        """A fault of ours, answered with 503. Its text may hold anything: log its class only."""


class OptOutPages:
    """The pages of ``brands``. ``now`` gives seconds since 1970 UTC."""

    def __init__(
        self,
        recorder: RefusalRecorder,
        tokens: TokenKeys,
        keys: ConsentKeys,
        brands: Iterable[Brand],
        logos: Mapping[int, Logo],
        observer: PagesObserver,
        *,
        now: Callable[[], float] = time.time,
        throttle: Throttle | None = None,
    ) -> None:
        self._recorder = recorder
        self._tokens = tokens
        self._keys = keys
        self._brands = {brand.code: brand for brand in brands}
        self._logos = logos
        self._observer = observer
        self._now = now
        self._throttle = throttle or Throttle()
        self._renderer = PageRenderer(frozenset(logos))
        self._failing_until = 0.0
        self._only_brand = next(iter(self._brands.values())) if len(self._brands) == 1 else None
        self._brand_of_host: dict[str, Brand | None] = {}
        for brand in self._brands.values():
            host = urlsplit(brand.opt_out_url).netloc.lower()
            self._brand_of_host[host] = None if host in self._brand_of_host else brand

    def routes(self) -> list[web.RouteDef]:
        """The routes, for an application that has others beside them."""
        return [
            web.get("/u/{token}", self._guard("ask", self._ask)),
            web.post("/u/{token}", self._guard("refuse", self._refuse)),
            web.options("/u/{token}", self._guard("options", self._tell_methods)),
            web.route("*", "/u/{token}", self._guard("method", self._refuse_method)),
            web.get("/static/style.css", self._guard("style", self._style)),
            web.get("/logo/{brand}", self._guard("logo", self._logo)),
            web.get("/robots.txt", self._guard("robots", self._robots)),
        ]

    def build_app(self) -> web.Application:
        """An application of nothing but the pages."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.add_routes(self.routes())
        app.add_routes([self.not_found_route()])
        return app

    def not_found_route(self) -> web.RouteDef:
        """The neutral 404 page for every other path; to be added last."""
        return web.route("*", "/{path:.*}", self._guard("not_found", self._not_found))

    async def _ask(self, request: web.Request) -> web.Response:
        grant = self._read_token(request)
        return self._page("ask", grant, request)

    async def _refuse(self, request: web.Request) -> web.Response:
        loop = asyncio.get_running_loop()
        started = loop.time()
        if not self._throttle.admit(_token_text(request), started):
            return self._notice(request, Notice.TOO_OFTEN, 429, retry=True)
        try:
            async with asyncio.timeout(_BODY_TIMEOUT_S):
                body = await _read_body(request)
        except TimeoutError:
            return self._notice(request, Notice.TOO_SLOW, 408)
        except (web.RequestPayloadError, HttpProcessingError):
            return self._notice(request, Notice.INVALID, 400)
        if body is None:
            return self._notice(request, Notice.TOO_LARGE, 413)
        is_button = b"page=1" in body.split(b"&")
        grant = self._read_token(request)
        is_recorded = await self._record(grant, SOURCE_PAGE if is_button else SOURCE_ONE_CLICK, started)
        await asyncio.sleep(max(0.0, started + _ANSWER_FLOOR_S - loop.time()))
        if not is_recorded:
            return self._notice(request, Notice.NOT_RECORDED, 503, retry=True)
        if is_button:
            return self._page("done", grant, request)
        return web.Response(body=ONE_CLICK_ANSWER, headers={**_HEADERS, "Content-Type": "text/plain; charset=utf-8"})

    async def _record(self, grant: Grant | None, source: str, started: float) -> bool:
        """Whether the answer may say that it is recorded: True only once it is durable."""
        if grant is None:
            return started >= self._failing_until
        refusal = Refusal(
            brand=grant.brand,
            channel=grant.channel,
            key=self._keys.derive(grant.brand, grant.address),
            address=grant.address,
            recipient_type=grant.recipient_type,
            received_at=int(self._now()),
            source=source,
        )
        try:
            async with asyncio.timeout(_RECORD_TIMEOUT_S):
                await self._recorder.record(refusal)
        except Exception as error:  # whatever it is: not known to be durable, so not confirmed
            self._failing_until = asyncio.get_running_loop().time() + _STORE_FAILING_S
            self._observer.page_failed(error)
            return False
        self._failing_until = 0.0
        return True

    async def _tell_methods(self, request: web.Request) -> web.Response:
        return web.Response(status=204, headers={**_HEADERS, "Allow": "GET, HEAD, OPTIONS, POST"})

    async def _refuse_method(self, request: web.Request) -> web.Response:
        response = self._notice(request, Notice.INVALID, 405)
        response.headers["Allow"] = "GET, HEAD, OPTIONS, POST"
        return response

    async def _style(self, request: web.Request) -> web.Response:
        return web.Response(body=self._renderer.style, headers={**_CACHED, "Content-Type": "text/css; charset=utf-8"})

    async def _logo(self, request: web.Request) -> web.Response:
        code = request.match_info["brand"]
        logo = self._logos.get(int(code)) if code.isascii() and code.isdigit() and len(code) <= 20 else None
        if logo is None:
            return self._notice(request, Notice.NOT_FOUND, 404)
        return web.Response(body=logo.data, headers={**_LOGO, "Content-Type": logo.content_type})

    async def _robots(self, request: web.Request) -> web.Response:
        return web.Response(body=_ROBOTS, headers={**_CACHED, "Content-Type": "text/plain; charset=utf-8"})

    async def _not_found(self, request: web.Request) -> web.Response:
        return self._notice(request, Notice.NOT_FOUND, 404)

    def _read_token(self, request: web.Request) -> Grant | None:
        return self._tokens.read_token(_token_text(request))

    def _page(self, name: PageName, grant: Grant | None, request: web.Request) -> web.Response:
        if grant is not None:
            brand, channel = self._brands.get(grant.brand), grant.channel
        else:
            host = request.headers.get("Host", "").lower()
            brand, channel = self._brand_of_host.get(host, self._only_brand), Channel.EMAIL
        language = _find_language(request)
        return _html(self._renderer.render_page(name, brand, channel, language), language, 200)

    def _notice(self, request: web.Request, notice: Notice, status: int, *, retry: bool = False) -> web.Response:
        language = _find_language(request)
        depth = min(request.path.count("/") - 1, _MAX_DEPTH)
        response = _html(self._renderer.render_notice(notice, language, depth), language, status)
        if retry:
            response.headers["Retry-After"] = str(_RETRY_AFTER_S)
        return response

    def _guard(self, route: str, handler: _Handler) -> _Handler:
        """``handler``, counted; a fault of ours is temporary to the caller and says nothing of itself."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                response = await handler(request)
            except Exception as error:  # whatever it is, the person gets a page
                self._observer.page_failed(error)
                response = self._notice(request, Notice.NOT_RECORDED, 503, retry=True)
            self._observer.page_answered(route, response.status)
            return response

        return guarded


def _token_text(request: web.Request) -> str:
    return request.match_info["token"].rstrip(_TRAILING)


async def _read_body(request: web.Request) -> bytes | None:
    """The body as sent, or None if it is over the limit; a declared length over it is not even read."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        return None
    body = bytearray()
    while chunk := await request.content.readany():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _find_language(request: web.Request) -> Language:
    try:
        asked_for = request.query.get("lang", "")
    except ValueError:
        return DEFAULT
    return choose_language(request.headers.get("Accept-Language", ""), asked_for)


def _html(page: bytes, language: Language, status: int) -> web.Response:
    return web.Response(
        body=page,
        status=status,
        headers={
            **_HEADERS,
            "Content-Type": "text/html; charset=utf-8",
            "Content-Language": language,
            "Vary": "Accept-Language",
        },
    )
