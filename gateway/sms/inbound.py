"""Refusals by SMS: what providers tell of messages that people sent to numbers of ours.

``POST /sms/inbound/SECRET`` (GET where the provider calls that way): the secret names the provider, and network and
signature are checked where they are configured. Each message counts once, by its id. A refusal is durable before the
provider is told that it was taken; told otherwise, it comes again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from aiohttp import web

from filters.consent_key import ConsentKeys
from filters.exchange import Refusal
from filters.phone import PhoneError, PhoneNumber, parse_phone
from filters.sms.dialect import InboundCodec, InboundMessage, RequestRefusedError
from filters.sms.http import HttpRequest
from filters.sms.keyword import KeywordBook, Meaning
from filters.vocabulary import Channel
from gateway.clients import Network
from gateway.ports import RefusalRecorder
from gateway.sms.exchange import BodyMemory, make_response, read_body, read_head
from gateway.sms.provider_paths import find_by_secret, is_within
from gateway.sms.seen import SeenMessages

log = structlog.stdlib.get_logger(__name__)

SOURCE = "HS_MESAJ"
"""The registry's name for a refusal by SMS (İYS reference, 2.2)."""

MAX_BODY_BYTES = 1024 * 1024
"""Bounds the messages too. A number of them would not do: told to come again, the provider brings the same ones."""

RECORD_TIMEOUT_S = 15.0

Confirm = Callable[[int, str], Awaitable[None]]
"""(brand, E.164 number): tells the person that the refusal was taken."""


@dataclass(frozen=True, slots=True)
class InboundRoute:
    """One provider that may tell us of incoming messages."""

    upstream: str
    codec: InboundCodec
    secret: str
    networks: tuple[Network, ...] = ()
    signing_secret: bytes = b""
    confirm: Confirm | None = None


class Inbound:
    """Takes incoming messages. ``count`` hears what each one was (``gateway.metrics.INBOUND_RESULTS``)."""

    def __init__(
        self,
        routes: Sequence[InboundRoute],
        *,
        book: KeywordBook,
        recorder: RefusalRecorder,
        keys: ConsentKeys,
        seen: SeenMessages,
        memory: BodyMemory,
        find_peer: Callable[[web.Request, HttpRequest], str],
        count: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._routes = tuple(routes)
        self._book = book
        self._recorder = recorder
        self._keys = keys
        self._seen = seen
        self._memory = memory
        self._find_peer = find_peer
        self._count = count
        self._clock = clock
        self._confirming: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/sms/inbound/{secret}", self.answer),
            web.get("/sms/inbound/{secret}", self.answer, allow_head=False),
        ]

    async def close(self) -> None:
        """Let confirmations under way go out."""
        if self._confirming:
            await asyncio.wait(self._confirming, timeout=5.0)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """What the provider expects to hear. A stranger hears that there is nothing."""
        route = find_by_secret(self._routes, request.match_info["secret"])
        if route is None:
            return self._reject(404)
        try:
            head = read_head(request)
            if not is_within(self._find_peer(request, head), route.networks):
                return self._reject(404)
            body = await read_body(request, MAX_BODY_BYTES, self._memory)
            self._memory.give_back(len(body))
            whole = head._replace(body=body)
            if route.signing_secret and route.codec.is_inbound_signed(whole, route.signing_secret) is False:
                return self._reject(403)
            messages = route.codec.read_inbound(whole)
        except RequestRefusedError:
            return self._reject(400)
        is_taken = True
        for message in messages:
            is_taken = await self.take(route, message) and is_taken
        response = make_response(route.codec.write_inbound_answer(is_taken))
        if not is_taken and response.status < 400:
            response.set_status(503)  # whatever the codec thinks of it: only success may read as success
        return response

    def _reject(self, status: int) -> web.Response:
        self._count("rejected")
        return web.Response(status=status, headers={"Server": "izinkapi", "Cache-Control": "no-store"})

    async def take(self, route: InboundRoute, message: InboundMessage) -> bool:
        """Whether the provider may forget the message."""
        reading = self._book.read(message.text, message.destination)
        if reading.meaning is not Meaning.REFUSAL:
            self._count(str(reading.meaning))
            return True
        if not reading.brands:
            self._count("other")
            log.warning("inbound.brand_unknown", upstream=route.upstream)
            return True
        try:
            number = _find_sender(message.sender)
        except PhoneError:
            self._count("unclear")
            log.warning("inbound.sender_unreadable", upstream=route.upstream)
            return True
        try:
            said = (route.upstream, message.message_id, number.e164, reading.brands)
            if message.message_id and await self._seen.is_known(*said):
                self._count("repeated")
                return True
            async with asyncio.timeout(RECORD_TIMEOUT_S):
                for brand in reading.brands:
                    await self._recorder.record(
                        Refusal(
                            brand=brand,
                            channel=Channel.SMS,
                            key=self._keys.derive(brand, number.key),
                            address=number.key,
                            recipient_type=None,
                            received_at=int(self._clock()),
                            source=SOURCE,
                        )
                    )
        except Exception as fault:  # whatever it is: not known to be durable, so the provider has to come again
            self._count("failed")
            log.error("inbound.failed", upstream=route.upstream, fault=type(fault).__name__, exc_info=fault)
            return False
        self._count("refusal")
        if message.message_id:
            await self._seen.remember(*said)
        if route.confirm is not None:
            task = asyncio.create_task(self._confirm(route.confirm, reading.brands[0], number.e164))
            self._confirming.add(task)
            task.add_done_callback(self._confirming.discard)
        return True

    async def _confirm(self, confirm: Confirm, brand: int, number: str) -> None:
        try:
            await confirm(brand, number)
        except Exception as fault:  # the refusal stands whether the person hears of it or not
            log.error("inbound.not_confirmed", fault=type(fault).__name__, exc_info=fault)


def _find_sender(spelled: str) -> PhoneNumber:
    """As at home, else with the country code first and no plus, as many providers write it. Raises ``PhoneError``."""
    try:
        return parse_phone(spelled)
    except PhoneError:
        return parse_phone(f"+{spelled}")
