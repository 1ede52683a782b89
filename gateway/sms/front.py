"""Where SMS clients reach us: whose call it is, which call, and who answers it.

A listener speaks the dialects of its upstreams, each under its own prefix if it has one. Requests to send go through
the pipeline; reports and cancellations pass with our dropped numbers laid over them; all else passes as it is, or is
refused where it could send what we cannot check.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from filters.client import Client
from filters.sms.dialect import Call, CallKind, Dialect, Fault, JobSearcher, RequestRefusedError
from filters.sms.dialects.plain import PlainDialect
from filters.sms.http import HttpRequest, HttpResponse, UpstreamFault
from filters.sms.message import ReportEntry
from gateway.clients import ClientDirectory, Network
from gateway.http.direct import DIRECT_CALLS, DirectRequest
from gateway.sms.exchange import (
    BodyMemory,
    make_response,
    pass_on,
    read_body,
    read_head,
    refuse_disguise,
    take_body,
)
from gateway.sms.pipeline import SmsPipeline
from gateway.sms.recent_jobs import JobOwner
from gateway.sms.recognition import ClientRecogniser
from gateway.sms.reports import DroppedNumbers, KeptJob
from gateway.sms.route import SmsRoute

log = structlog.stdlib.get_logger(__name__)

_PLAIN = PlainDialect()
_OUR_FAULT = "a temporary fault in the gateway"


class SmsFront:
    """The SMS side of one HTTP listener. ``routes`` in the order in which they are tried.

    ``forwarded_from``: reverse proxies whose X-Forwarded-For is believed. ``count`` hears of each call: upstream, kind
    of call, status. ``private`` are HTTP fields that must not go upstream. ``fallback`` answers strangers' requests
    that no dialect knows.
    """

    def __init__(
        self,
        *,
        routes: Sequence[SmsRoute],
        pipeline: SmsPipeline,
        clients: ClientDirectory,
        dropped: DroppedNumbers,
        memory: BodyMemory,
        private: frozenset[str],
        count: Callable[[str, str, int], None],
        forwarded_from: Sequence[Network] = (),
        fallback: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None,
    ) -> None:
        self.routes = sorted(routes, key=lambda route: -len(route.prefix))
        self._pipeline = pipeline
        self._clients = clients
        self._dropped = dropped
        self._memory = memory
        self._private = private
        self._count = count
        self._recogniser = ClientRecogniser(clients, forwarded_from)
        self._fallback = fallback
        self.in_hand = 0

    def serve(self, app: web.Application) -> None:
        """Answer in ``app`` all that has no more particular route, what is ordinary the short way."""
        app[DIRECT_CALLS] = self
        app.add_routes([web.route("*", "/{path:.*}", self.answer)])

    def begin(self, request: DirectRequest) -> Coroutine[Any, Any, HttpResponse] | None:
        """The short way, for calls of our dialects; all else, refusals too, comes through the application."""
        try:
            head = read_head(request)
            found = self.find_route(head)
        except Exception:  # to be seen again, and answered, on the other way
            return None
        if found is None or found[1].kind is CallKind.REFUSED:
            return None
        return self._respond(request, head, *found)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The way through the application. Never raises: whatever goes wrong is the dialect's own temporary fault."""
        dialect: Dialect = self.routes[-1].dialect if self.routes else _PLAIN  # the one without a prefix, if any
        try:
            head = read_head(request)
            found = self.find_route(head)
            if found is None:
                return await self._answer_unknown(request, dialect)
        except RequestRefusedError as refusal:
            return make_response(dialect.write_fault(refusal.fault, refusal.detail))
        except Exception as fault:  # whatever it is, the request has to be answered
            return make_response(_fail(dialect, fault))
        return make_response(await self._respond(request, head, *found))

    async def _respond(
        self, request: web.Request | DirectRequest, head: HttpRequest, route: SmsRoute, call: Call
    ) -> HttpResponse:
        self.in_hand += 1
        try:
            return await self._take(request, head, route, call)
        except RequestRefusedError as refusal:
            return route.dialect.write_fault(refusal.fault, refusal.detail)
        except Exception as fault:  # whatever it is, the request has to be answered
            return _fail(route.dialect, fault)
        finally:
            self.in_hand -= 1

    def find_route(self, head: HttpRequest) -> tuple[SmsRoute, Call] | None:
        """Whose dialect knows this call; the longest prefix first. What one dialect would refuse is left to another
        that knows it."""
        refused: tuple[SmsRoute, Call] | None = None
        for route in self.routes:
            prefix = route.prefix
            if prefix and not head.path.startswith(f"{prefix}/"):
                continue
            call = route.dialect.recognise(_without_prefix(head, prefix))
            if call is not None and call.kind is not CallKind.REFUSED:
                return route, call
            if call is not None and refused is None:
                refused = route, call
        return refused

    async def find_client(self, request: web.Request | DirectRequest, head: HttpRequest) -> Client:
        """Raises ``RequestRefusedError`` for a stranger."""
        return await self._recogniser.find_client(request, head)

    def _is_stranger_by_network(self, request: web.Request | DirectRequest, head: HttpRequest) -> bool:
        peer = self.peer_of(request, head)
        return not peer or self._clients.find_by_network(peer) is None

    def peer_of(self, request: web.Request | DirectRequest, head: HttpRequest) -> str:
        """The client's address, normalised; "" where it is not known."""
        return self._recogniser.peer_of(request, head)

    async def _answer_unknown(self, request: web.Request, dialect: Dialect) -> web.StreamResponse:
        if self._fallback is not None:
            return await self._fallback(request)
        return make_response(dialect.write_fault(Fault.NOT_FOUND, "no such call"))

    async def _take(
        self, request: web.Request | DirectRequest, head: HttpRequest, route: SmsRoute, call: Call
    ) -> HttpResponse:
        client = self._recogniser.find_known(request, head) or await self.find_client(request, head)
        if isinstance(route.dialect, PlainDialect) and self._is_stranger_by_network(request, head):
            # The login was meant for us: the next hop has no business with it.
            head = head._replace(headers=tuple(each for each in head.headers if each[0] != "authorization"))
        if call.kind is CallKind.REFUSED:
            response = route.dialect.write_fault(Fault.NOT_ALLOWED, "this call cannot be checked and is not passed on")
        else:
            if isinstance(request, DirectRequest):
                body = take_body(request, route.max_body_bytes, self._memory)
            else:
                body = await read_body(request, route.max_body_bytes, self._memory)
            try:
                method, path, query, headers, _ = head
                whole = HttpRequest(method, path, query, headers, body)
                if call.kind is CallKind.SEND:
                    own = _without_prefix(whole, route.prefix)
                    is_gone = partial(_is_gone, request)
                    response = (await self._pipeline.handle(own, call, route, client, is_gone)).response
                else:
                    response = await self._answer_question(whole, route, call, client)
            finally:
                self._memory.give_back(len(body))
        self._count(route.upstream.name, str(call.kind), response.status)
        return response

    async def _answer_question(self, whole: HttpRequest, route: SmsRoute, call: Call, client: Client) -> HttpResponse:
        refuse_disguise(whole)
        if call.kind is CallKind.UNTOUCHED:
            return await self._ask(route, pass_on(whole, route.prefix, self._private))
        return await self._report(whole, route, call, client)

    async def _report(self, whole: HttpRequest, route: SmsRoute, call: Call, client: Client) -> HttpResponse:
        """A report, status query or cancellation, with the numbers that we dropped in it."""
        dialect = route.dialect
        own = _without_prefix(whole, route.prefix)
        job_ids = list(dialect.report_ids(own, call))
        kept: dict[str, KeptJob] | None = {}
        if job_ids:
            kept = await self._dropped.find(client.name, route.upstream.name, job_ids)
        elif isinstance(dialect, JobSearcher) and (search := dialect.find_search(own, call)) is not None:
            kept = await self._dropped.search(JobOwner(client.name, route.upstream.name, search.account), search)
        if kept is None:
            return dialect.write_fault(Fault.UNAVAILABLE, "what was left out cannot be read now")
        dropped: Mapping[str, Sequence[ReportEntry]] = {job_id: job.entries for job_id, job in kept.items()}
        is_ours_alone = bool(job_ids) and all(job_id in kept and kept[job_id].is_minted for job_id in job_ids)
        response: HttpResponse | None = None
        if route.outlet is not None:
            # A cancellation may say yes of a job alone that never left: the provider is not asked in another dialect.
            if not is_ours_alone and (not dropped or call.kind is CallKind.CANCEL):
                return dialect.write_fault(Fault.NOT_FOUND, "at this upstream that is asked in its own dialect")
        elif not is_ours_alone:
            answer = await route.upstream.send(pass_on(whole, route.prefix, self._private, is_read=True))
            if isinstance(answer, UpstreamFault):
                return dialect.write_fault(_fault_of(answer), "the provider did not answer")
            response = answer
        if response is not None and not dropped:
            return response
        return dialect.overlay_report(own, call, response, dropped)

    async def _ask(self, route: SmsRoute, outgoing: HttpRequest) -> HttpResponse:
        if route.outlet is not None:
            return route.dialect.write_fault(Fault.NOT_FOUND, "no such call")
        answer = await route.upstream.send(outgoing)
        if isinstance(answer, UpstreamFault):
            return route.dialect.write_fault(_fault_of(answer), "the provider did not answer")
        return answer


def _is_gone(request: web.Request | DirectRequest) -> bool:
    transport = request.transport
    return transport is None or transport.is_closing()


def _fail(dialect: Dialect, fault: Exception) -> HttpResponse:
    log.error("sms.call_failed", fault=type(fault).__name__, exc_info=fault)
    return dialect.write_fault(Fault.UNAVAILABLE, _OUR_FAULT)


def _without_prefix(request: HttpRequest, prefix: str) -> HttpRequest:
    return request._replace(path=request.path[len(prefix) :]) if prefix else request


def _fault_of(fault: UpstreamFault) -> Fault:
    return Fault.UNKNOWN_OUTCOME if fault.is_unknown else Fault.UNAVAILABLE
