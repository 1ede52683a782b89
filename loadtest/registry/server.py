"""The simulated registry on the network: every call passes the door here, in one order, and is logged."""

from __future__ import annotations

import asyncio
import inspect
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from loadtest.registry.api.call import Answer, Call, parse_json
from loadtest.registry.api.routes import Route, routes
from loadtest.registry.control import Control
from loadtest.registry.door.faults import Fault
from loadtest.registry.door.rights import check_codes
from loadtest.registry.door.tokens import OAuthError, Session
from loadtest.registry.door.traffic import Logged
from loadtest.registry.page.page import Page
from loadtest.registry.push import Push
from loadtest.registry.registry import Registry
from loadtest.registry.rules.codes import CODES, RegistryError, entry, fail

_MAX_BODY = 64 * 1024 * 1024
_MAINTENANCE = "<!doctype html><html lang=tr><title>Bakım</title><h1>Bakım çalışması</h1></html>".encode()

_LOG = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answerer = Callable[[web.Request, list[Fault]], Awaitable[tuple[str, Answer]]]


class RegistryServer:
    """Listens on loopback. ``url`` is known once it runs; ``registry`` is everything behind it."""

    def __init__(
        self,
        registry: Registry,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        push_trusts: Path | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.registry = registry
        self.push = Push(registry, push_trusts)
        self._host, self._port, self._tls = host, port, tls
        self._runner: web.AppRunner | None = None
        self._number = 0

    @property
    def url(self) -> str:
        """Base address, without a slash at the end."""
        return self.registry.public_url

    async def start(self) -> None:
        app = web.Application(client_max_size=_MAX_BODY, middlewares=[self._unknown])
        app.router.add_post(_tolerant("/oauth2/token"), self._token)
        for route in routes(self.push):
            app.router.add_route(route.method, _tolerant(route.path), self._bind(route))
        Control(self.registry, self.push).add_to(app)
        Page(self.registry).add_to(app)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, ssl_context=self._tls)
        await site.start()
        port = self._runner.addresses[0][1]
        self.registry.public_url = f"{'https' if self._tls else 'http'}://{self._host}:{port}"
        await self.push.start()

    async def stop(self) -> None:
        """Stop listening; the registry's file is closed too."""
        await self.push.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self.registry.keep_clock()
        self.registry.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    def _bind(self, route: Route) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handle(request, route)

        return handle

    @web.middleware
    async def _unknown(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status not in {404, 405}:
                raise
            self._log(request, "unknown", "", error.status, [], "")
            return web.json_response({"message": "Böyle bir adres yok."}, status=error.status)

    # One call

    async def _token(self, request: web.Request) -> web.StreamResponse:
        return await self._guard(request, "token", self._answer_token)

    async def _handle(self, request: web.Request, route: Route) -> web.StreamResponse:
        async def answer(request: web.Request, faults: list[Fault]) -> tuple[str, Answer]:
            return await self._answer(request, route, faults)

        return await self._guard(request, route.name, answer)

    async def _guard(self, request: web.Request, name: str, answer: Answerer) -> web.StreamResponse:
        """Faults around the call, errors into bodies, and a line in the log whatever happens."""
        faults = self.registry.faults.for_call(request.method, request.path)
        kinds = {each.kind: each for each in faults}
        fault = ",".join(kinds)
        if request.remote in self.registry.limits.barred or "cut" in kinds:
            self._log(request, name, "", 0, [], fault or "barred")
            return self._cut(request)
        if "slow" in kinds:
            await asyncio.sleep(kinds["slow"].seconds)
        user = ""
        made = _forced(kinds)
        if made is None:
            try:
                user, made = await answer(request, faults)
            except RegistryError as error:
                made = Answer(error.status, {"errors": error.entries})
            except OAuthError as error:
                made = Answer(400, error.body)
            except Exception:  # a mistake of the simulator's
                _LOG.exception("call.failed")  # a mistake of the simulator's; the caller sees what the real one says
                self.registry.database.connection.rollback()
                made = Answer(500, {"errors": [entry("H015")]})
        codes = _codes_in(made)
        self._log(request, name, user, made.status, codes, fault)
        if "cut-after" in kinds:
            return self._cut(request)
        body = _render(made)
        if "half" in kinds and body:
            return await self._half(request, made, body)
        headers = {} if made.body is None else {"Content-Type": made.content_type}
        return web.Response(status=made.status, body=body, headers=headers)

    async def _answer_token(self, request: web.Request, _faults: list[Fault]) -> tuple[str, Answer]:
        registry, source, now = self.registry, str(request.remote), self.registry.clock.now()
        code = registry.limits.check_any(source, now)
        if code is not None:
            raise fail(code)
        code = registry.limits.check_token(source, now)
        if code is not None:
            body = entry(code)
            return "", Answer(429, body if registry.settings.is_token_limit_flat else {"errors": [body]})
        content = await request.read()
        given: object
        if request.content_type == "application/x-www-form-urlencoded":
            given = dict(parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True))
        else:
            try:
                given = parse_json(content)
            except RegistryError:
                given = None
        body = registry.tokens.answer(given, now)
        return "", Answer(200, body)

    async def _answer(self, request: web.Request, route: Route, faults: list[Fault]) -> tuple[str, Answer]:
        registry, source = self.registry, str(request.remote)
        code = registry.limits.check_any(source, registry.clock.now())
        if code is not None:
            raise fail(code)
        content = await request.read()
        now_ms = registry.settle()
        session = None if any(each.kind == "expired" for each in faults) else self._find_session(request, now_ms)
        if session is None:
            raise fail("H351")
        iys_code, brand = check_codes(
            registry.world,
            session,
            request.match_info,
            is_look_up=route.is_look_up,
            is_any_state=route.is_any_state,
        )
        call = Call(
            registry,
            session,
            source,
            iys_code,
            brand,
            request.match_info,
            request.query,
            content,
            request.path,
            route.is_v2,
            now_ms,
        )
        made = route.handler(call)
        if inspect.isawaitable(made):
            made = await made
        assert isinstance(made, Answer)
        return session.user.username, made

    def _find_session(self, request: web.Request, now_ms: int) -> Session | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        return self.registry.tokens.find(token.strip(), now_ms / 1000)

    # Ways to answer badly

    def _cut(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)

    async def _half(self, request: web.Request, made: Answer, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse(
            status=made.status, headers={"Content-Type": made.content_type, "Content-Length": str(len(body))}
        )
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.close()
        return response

    def _log(self, request: web.Request, name: str, user: str, status: int, codes: list[str], fault: str) -> None:
        registry, now = self.registry, self.registry.clock.now()
        source = str(request.remote)
        self._number += 1
        size = request.content_length or 0
        path = request.path_qs
        registry.traffic.log(
            Logged(self._number, now, source, request.method, path, name, user, status, codes, fault, size)
        )
        if status and not fault:
            registry.limits.count(source, status, now)


def _tolerant(path: str) -> str:
    """``path`` as clients put it together too: an address that ends in a slash before it, a slash behind it."""
    return "/{before:/*}" + path.removeprefix("/") + "{behind:/?}"


def _forced(kinds: dict[str, Fault]) -> Answer | None:
    """The answer that a fault gives instead of ours."""
    if "maintenance" in kinds:
        return Answer(503, _MAINTENANCE, "text/html; charset=utf-8")
    if "garbage" in kinds:
        return Answer(200, b"\xff\xfe<not json>")
    if "code" in kinds:
        code = kinds["code"].code
        return Answer(CODES[code].status, {"errors": [entry(code)]})
    if "status" in kinds:
        return Answer(kinds["status"].status)
    return None


def _codes_in(made: Answer) -> list[str]:
    if made.status < 400 or not isinstance(made.body, dict):
        return []
    entries = made.body.get("errors", [made.body])
    return sorted({str(each["code"]) for each in entries if "code" in each})


def _render(made: Answer) -> bytes | None:
    if made.body is None or isinstance(made.body, bytes):
        return made.body
    return orjson.dumps(made.body)
