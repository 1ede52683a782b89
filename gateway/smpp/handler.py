"""Runs the SMS pipeline, and the taking of refusals, for SMPP: one task each, kept until it has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from filters.client import Client
from filters.smpp.carrier import pack_fault
from filters.smpp.numbers import CommandStatus
from filters.sms.dialect import Call, InboundMessage
from filters.sms.http import HttpRequest, HttpResponse
from gateway.sms.in_hand import SmsInHand
from gateway.sms.route import SmsRoute

log = structlog.stdlib.get_logger(__name__)


class _Answered(Protocol):
    @property
    def response(self) -> HttpResponse: ...

    @property
    def sms(self) -> SmsInHand: ...


class Pipeline(Protocol):
    """What is asked of ``gateway.sms.pipeline.SmsPipeline``."""

    def handle(
        self,
        request: HttpRequest,
        call: Call,
        route: SmsRoute,
        client: Client,
        is_gone: Callable[[], bool] = ...,
    ) -> Awaitable[_Answered]: ...


class InboundTasks:
    """``gateway.smpp.ports.InboundHandler`` over what takes messages of persons: one task each."""

    def __init__(self, take: Callable[[InboundMessage], Awaitable[bool]]) -> None:
        self._take = take
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, message: InboundMessage, upstream: str, done: Callable[[bool], None]) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(message, upstream, done), name="smpp-inbound")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, message: InboundMessage, upstream: str, done: Callable[[bool], None]) -> None:
        try:
            is_durable = await self._take(message)
        except Exception as fault:  # not known to be durable, so the SMSC has to come again
            log.error("smpp.inbound_failed", upstream=upstream, fault=type(fault).__name__, exc_info=fault)
            is_durable = False
        done(is_durable)


class PipelineHandler:
    """``gateway.smpp.ports.SmppHandler`` over one route of the pipeline."""

    def __init__(self, pipeline: Pipeline, route: SmsRoute) -> None:
        self._pipeline = pipeline
        self._route = route
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def in_hand(self) -> int:
        """Messages that are not answered yet."""
        return len(self._tasks)

    def handle(
        self,
        request: HttpRequest,
        client: Client,
        is_gone: Callable[[], bool],
        answer: Callable[[HttpResponse], None],
    ) -> None:
        carrying = self._carry(request, client, is_gone, answer)
        task = asyncio.get_running_loop().create_task(carrying, name="smpp-message")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(
        self,
        request: HttpRequest,
        client: Client,
        is_gone: Callable[[], bool],
        answer: Callable[[HttpResponse], None],
    ) -> None:
        call = self._route.dialect.recognise(request)
        if call is None:
            answer(pack_fault(500, CommandStatus.SYSTEM_ERROR))
            return
        try:
            answered = await self._pipeline.handle(request, call, self._route, client, is_gone)
        except Exception as fault:  # whatever it is, the client has to be answered
            log.error("smpp.failed", fault=type(fault).__name__, exc_info=fault)
            answer(pack_fault(500, CommandStatus.SYSTEM_ERROR))
            return
        answer(answered.response)
