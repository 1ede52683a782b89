"""An SMS pipeline with a second implementation behind each port, a clock that the test moves, and made-up numbers."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from filters.brand import Brand
from filters.classify import TagHeaders
from filters.client import Client
from filters.consent import Change, Consent
from filters.consent_key import ConsentKeys
from filters.decision.policy import Policy
from filters.phone import parse_phone
from filters.sms.dialect import Dialect
from filters.sms.dialects.plain import PlainDialect
from filters.sms.http import HttpRequest, HttpResponse, UpstreamFault
from filters.sms.note_seal import NoteSeal
from filters.sms.profiles import find_profile
from filters.sms.suffix import SuffixPolicy, SuffixWriter
from filters.sms.wording import Identity, make_opt_out_words
from filters.vocabulary import Channel, RecipientType, Status
from gateway.sms.in_hand import SmsInHand
from gateway.sms.pipeline import SmsPipeline
from gateway.sms.reports import DroppedNumbers
from gateway.sms.route import SmsBrand, SmsRoute
from gateway.sms.tags import SmsTags
from loadtest.plain_provider import Fault as ProviderFault
from loadtest.plain_provider import PlainProvider
from tests.support.memory_index import MemoryIndex
from tests.support.memory_writer import MemoryEvidence

NOW = 1_790_000_000
SHOP = 600123
SHOP_CLIENT = Client("shop", (SHOP,))
SUFFIX = "RET ORNEK"


def number(n: int) -> str:
    """A Turkish mobile number of no real subscriber's making: the n-th of a row."""
    return f"+90532{n:07d}"


def make_brand(code: int = SHOP, **changes: Any) -> Brand:
    values: dict[str, Any] = {
        "name": "Örnek Mağaza",
        "title": "Örnek Mağaza A.Ş.",
        "mersis": "0123456789012345",
        "contact": "iletisim@marka.example",
        "opt_out_url": "https://izin.example",
    }
    return Brand(code, code, **(values | changes))


def make_writer(brand: Brand, profile: str, policy: SuffixPolicy = SuffixPolicy.ALLOW) -> SuffixWriter:
    words = make_opt_out_words(brand, "RET ORNEK", "3338", identity=Identity.OMITTED)
    return SuffixWriter(words, find_profile(profile), policy)


class MemoryUpstream:
    """A provider without a wire. ``faults`` says how the next hand-overs end; ``before`` is run ahead of each."""

    def __init__(self, provider: PlainProvider, name: str = "provider") -> None:
        self.name = name
        self.provider = provider
        self.asked: list[HttpRequest] = []
        self.valid_s: list[float | None] = []
        self.faults: list[UpstreamFault] = []
        self.before: list[Any] = []

    async def send(self, request: HttpRequest, valid_s: float | None = None) -> HttpResponse | UpstreamFault:
        self.asked.append(request)
        self.valid_s.append(valid_s)
        if self.before:
            await self.before.pop(0)()
        if self.faults:
            fault = self.faults.pop(0)
            if fault.is_unknown and request.method == "POST":
                self.provider.send(request.body)
            return fault
        if request.method == "POST":
            status, body = self.provider.send(request.body)
        else:
            status, body = self.provider.report(request.path.rpartition("/")[2])
        return HttpResponse(status, (("content-type", "application/json"),), body)


class SmsWorld:
    """Everything around one pipeline. ``beside``: another worker, with which this one shares store and provider."""

    def __init__(
        self,
        *,
        dialect: Dialect | None = None,
        policy: Policy | None = None,
        suffix: SuffixPolicy = SuffixPolicy.ALLOW,
        brand: Brand | None = None,
        beside: SmsWorld | None = None,
        **route: Any,
    ) -> None:
        self.now = float(NOW)
        self.monotonic = 0.0
        self.keys = ConsentKeys(b"s" * 32)
        self.index = MemoryIndex(clock=lambda: self.now)
        self.index.failure = None
        if beside is not None:
            self.index = beside.index
        self.evidence = MemoryEvidence()
        self.provider = PlainProvider()
        self.upstream = MemoryUpstream(self.provider) if beside is None else beside.upstream
        self.brand = brand or make_brand()
        self.observed: list[tuple[SmsInHand, HttpResponse]] = []
        self.dialect = dialect or PlainDialect()
        writers = {"provider": make_writer(self.brand, self.dialect.profile, suffix)}
        self.dropped = DroppedNumbers(self.index, NoteSeal({1: b"n" * 32}, 1))
        self.route = SmsRoute("http", self.dialect, self.upstream, **route)
        self.threads = ThreadPoolExecutor(1)
        numbers = itertools.count(1)
        self.pipeline = SmsPipeline(
            brands={SHOP: SmsBrand(self.brand, policy or Policy(), writers)},
            tags=SmsTags(TagHeaders(), {SHOP: self.brand}),
            keys=self.keys,
            index=self.index,
            dealer_lists=self.index,
            evidence=self.evidence,
            dropped=self.dropped,
            next_id=lambda: f"sms-{next(numbers)}",
            node="test-0",
            store="memory",
            threads=self.threads,
            observe=lambda sms, response: self.observed.append((sms, response)),
            clock=lambda: self.now,
            monotonic=lambda: self.monotonic,
        )

    def close(self) -> None:
        self.threads.shutdown()

    async def consent(
        self,
        numbers: Iterable[str],
        status: Status = Status.APPROVED,
        channel: Channel = Channel.SMS,
        kind: RecipientType = RecipientType.INDIVIDUAL,
        at: int = NOW - 86400,
        *,
        own: bool = False,
    ) -> None:
        changes = [
            Change(self.keys.derive(SHOP, parse_phone(each).key), channel, kind, Consent(status, at, "HS_WEB", own))
            for each in numbers
        ]
        await self.index.apply(SHOP, changes, watermark_at=NOW - 60)

    async def ask(
        self, body: dict[str, Any], client: Client = SHOP_CLIENT, headers: Sequence[tuple[str, str]] = ()
    ) -> tuple[int, Any]:
        """Send one request of the plain dialect; status and parsed body of the answer."""
        response = await self.ask_raw(json.dumps(body).encode(), client, headers)
        return response.status, orjson.loads(response.body)

    async def ask_raw(
        self,
        body: bytes,
        client: Client = SHOP_CLIENT,
        headers: Sequence[tuple[str, str]] = (),
        *,
        is_gone: bool = False,
    ) -> HttpResponse:
        request = HttpRequest("POST", "/v1/messages", "", (("content-type", "application/json"), *headers), body)
        call = self.dialect.recognise(request)
        assert call is not None
        answered = await self.pipeline.handle(request, call, self.route, client, lambda: is_gone)
        return answered.response

    def records(self) -> list[dict[str, Any]]:
        return [orjson.loads(record) for record in self.evidence.records]


def message(*numbers: str, text: str = "Bahar indirimi basladi", **more: Any) -> dict[str, Any]:
    return {"text": text, "recipients": list(numbers), "sender": "ORNEK", "class": "commercial", **more}


def outcomes(answer: Any) -> list[str]:
    return [entry["outcome"] for entry in answer["recipients"]]


async def sleep_never() -> None:
    await asyncio.sleep(0)


__all__ = ["NOW", "SHOP", "SHOP_CLIENT", "ProviderFault", "SmsWorld", "make_brand", "message", "number", "outcomes"]
