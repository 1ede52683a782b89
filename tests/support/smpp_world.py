"""A gateway's SMPP side around a real SMSC simulator, with a small decision of its own in the pipeline's place."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import argon2

from adapters.smpp import SmscSender, SmscSettings, SmscUpstream
from filters.client import Client
from filters.reason import Reason
from filters.smpp.dialect import SmppDialect
from filters.sms.dialect import Fault, InboundMessage, RequestRefusedError
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import SmsFate, Submission, TextKind
from filters.vocabulary import MessageClass, Outcome
from gateway.clients import ClientAccess, ClientDirectory
from gateway.smpp import Deliveries, SmppListener, SmppListenerSettings
from gateway.smpp.admission import Admission
from gateway.smpp.session import SmppEvent
from loadtest.providers.smsc import Smsc

SUFFIX = " RET SHOP yaz 3338e gonder"
SHOP = Client("shop", (600123,))
CHEAP_HASHER = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Real argon2, at a cost that suits tests."""


@dataclass
class SmallPipeline:
    """Numbers in ``refused`` are dropped, commercial texts get ``SUFFIX``, the rest is the dialect's and the SMSC's."""

    dialect: SmppDialect
    sender: SmscSender
    refused: set[str] = field(default_factory=set)
    deferred: set[str] = field(default_factory=set)
    submissions: list[Submission] = field(default_factory=list)
    unheard: int = 0
    hold: asyncio.Event | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def handle(
        self,
        request: HttpRequest,
        client: Client,
        is_gone: Callable[[], bool],
        answer: Callable[[HttpResponse], None],
    ) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(request, is_gone, answer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _carry(
        self, request: HttpRequest, is_gone: Callable[[], bool], answer: Callable[[HttpResponse], None]
    ) -> None:
        if self.hold is not None:
            await self.hold.wait()
        try:
            response = await self._respond(request)
        except RequestRefusedError as refusal:
            response = self.dialect.write_fault(refusal.fault, refusal.detail)
        self.unheard += is_gone()
        answer(response)

    async def _respond(self, request: HttpRequest) -> HttpResponse:
        call = self.dialect.recognise(request)
        assert call is not None
        submission = self.dialect.read(request, call)
        self.submissions.append(submission)
        is_commercial = submission.tag_class in (None, MessageClass.COMMERCIAL)
        if is_commercial and submission.kind is not TextKind.PLAIN:
            raise RequestRefusedError(Fault.NOT_ALLOWED, "no opt-out can be placed")
        fates: list[SmsFate | None] = []
        for recipient in submission.recipients:
            number = recipient.number.e164 if recipient.number is not None else None
            if number is None:
                fates.append(SmsFate(Outcome.DROPPED, Reason.ADDRESS_INVALID))
            elif number in self.deferred:
                fates.append(SmsFate(Outcome.DEFERRED, Reason.LOOKUP_FAILED))
            elif number in self.refused and is_commercial:
                fates.append(SmsFate(Outcome.DROPPED, Reason.NO_CONSENT))
            else:
                fates.append(None)
        kept = [position for position, fate in enumerate(fates) if fate is None]
        response = None
        if kept:
            text = submission.texts[0] + (SUFFIX if is_commercial else "")
            outgoing = self.dialect.write(submission, kept, [text] * len(kept))
            again = self.dialect.read(outgoing, call)
            assert again.texts == [text]
            said = await self.sender.send(outgoing, 2.0)
            if not isinstance(said, HttpResponse):
                return self.dialect.write_fault(Fault.UNAVAILABLE, "")
            response = said
            relayed = self.dialect.read_answer(submission, kept, said)
            for position, fate in zip(kept, relayed.fates, strict=True):
                fates[position] = fate
        return self.dialect.write_answer(submission, [fate for fate in fates if fate], response, "", ())


@dataclass
class Inbound:
    """Hears what persons write."""

    messages: list[InboundMessage] = field(default_factory=list)
    is_durable: bool = True

    def handle(self, message: InboundMessage, upstream: str, done: Callable[[bool], None]) -> None:
        self.messages.append(message)
        done(self.is_durable)


@dataclass
class SmppWorld:
    """What a test sees."""

    smsc: Smsc
    upstream: SmscUpstream
    pipeline: SmallPipeline
    listener: SmppListener
    deliveries: Deliveries
    inbound: Inbound
    events: Counter[SmppEvent]
    directory: ClientDirectory
    port: int

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        self.listener.close()
        for task in list(self.pipeline.tasks):
            task.cancel()
        await asyncio.gather(*self.pipeline.tasks, return_exceptions=True)
        await self.upstream.close()
        await self.smsc.stop()
        self.directory.close()
        await self.until(lambda: not self.listener.session_count and not self.smsc.links)


def smsc_settings(port: int, **more: Any) -> SmscSettings:
    values: dict[str, Any] = {
        "name": "operator",
        "addresses": (("127.0.0.1", port),),
        "system_id": "gate",
        "password": "secret",
        "allow_cleartext": True,
        "backoff_s": (0.02, 0.1),
        "throttle_s": (0.02, 0.1),
        "unbind_s": 0.5,
    }
    return SmscSettings(**values | more)


async def make_world(
    *,
    upstream: dict[str, Any] | None = None,
    dialect: SmppDialect | None = None,
    routes: dict[str, str] | None = None,
    password_hash: str = "",
    knows_network: bool = False,
    context: ssl.SSLContext | None = None,
    **settings: Any,
) -> SmppWorld:
    """Everything on free loopback ports, the link to the SMSC bound."""
    smsc = Smsc()
    await smsc.start()
    inbound, events = Inbound(), Counter[SmppEvent]()
    deliveries = Deliveries("operator", inbound=inbound, routes={"": "shop"} if routes is None else routes)
    link = SmscUpstream(smsc_settings(smsc.port, **(upstream or {})), deliver=deliveries.take)
    listener_settings = SmppListenerSettings(**{"name": "smpp", "part_hold_s": 0.3} | settings)
    speaks = replace(dialect or SmppDialect(), refusal=listener_settings.refusal)
    pipeline = SmallPipeline(speaks, SmscSender(link))
    home = (ipaddress.ip_network("127.0.0.0/8"),) if knows_network else ()
    directory = ClientDirectory([ClientAccess(SHOP, home, "shop", password_hash or CHEAP_HASHER.hash("secret"))])
    listener = SmppListener(
        listener_settings,
        handler=pipeline,
        admission=Admission(directory),
        deliveries=deliveries,
        ssl_context=context,
        count=lambda event: events.update([event]),
    )
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    port = listening.getsockname()[1]
    await listener.start(listening)
    link.start()
    world = SmppWorld(smsc, link, pipeline, listener, deliveries, inbound, events, directory, port)
    await world.until(lambda: link.status.bound == link.settings.links)
    return world
