"""The SMS side of one worker, put together from the configuration and from what ``gateway.app`` opened."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import orjson
from aiohttp import web

from filters.brand import Brand
from filters.classify import TagHeaders
from filters.client import Client
from filters.consent_key import ConsentKeys
from filters.sms.dialect import Canceller, Composer, DeliveryCodec, Dialect, InboundCodec, InboundMessage
from filters.sms.dialects.plain import SEND, PlainDialect
from filters.sms.dialects.plain_openapi import OPENAPI
from filters.sms.dialects.registry import make_dialect, make_family
from filters.sms.http import HttpRequest
from filters.sms.keyword import BrandKeyword, KeywordBook
from filters.sms.note_seal import NoteSeal
from filters.sms.profiles import find_profile
from filters.sms.suffix import SuffixWriter
from filters.sms.wording import make_opt_out_words
from filters.vocabulary import MessageClass
from gateway.clients import ClientDirectory
from gateway.configuration import Configuration
from gateway.configuration.settings import BrandSettings, HttpListenerSettings, SmsUpstreamSettings
from gateway.dealers import DealerLists
from gateway.metrics import WorkerMetrics
from gateway.opt_out.pages import OptOutPages
from gateway.ports import ConsentIndex, EvidenceLog, RefusalRecorder
from gateway.sms.check import Checks
from gateway.sms.delivery import DeliveryReports, DeliveryRoute, DeliveryTarget, DroppedPush
from gateway.sms.exchange import BodyMemory
from gateway.sms.front import SmsFront
from gateway.sms.inbound import Confirm, Inbound, InboundRoute
from gateway.sms.observer import SmsObserver
from gateway.sms.pipeline import SmsPipeline
from gateway.sms.ports import NoteStore, SmsUpstream
from gateway.sms.reports import DroppedNumbers
from gateway.sms.route import Outlet, SmsBrand, SmsRoute, TagRule
from gateway.sms.scheduled import CancelUpstream, ScheduledSends
from gateway.sms.scheduled_journal import ScheduledJournal
from gateway.sms.sealed_notes import SealedNotes
from gateway.sms.seen import SeenMessages
from gateway.sms.tags import SmsTags

_CONFIRMING_LISTENER = "inbound"


@dataclass(frozen=True, slots=True)
class SmsMeans:
    """What the SMS side is made of: ports, secrets, and who counts."""

    index: ConsentIndex
    dealer_lists: DealerLists
    notes: NoteStore
    evidence: EvidenceLog
    recorder: RefusalRecorder
    clients: ClientDirectory
    keys: ConsentKeys
    seal: NoteSeal
    tag_headers: TagHeaders
    upstreams: Mapping[str, SmsUpstream]
    observer: SmsObserver
    metrics: WorkerMetrics
    node: str
    instance: str
    scheduled: ScheduledSends | None = None
    deliveries: Mapping[str, DeliveryTarget] = field(default_factory=dict)
    """By upstream, where the sender takes delivery reports that the provider posts."""


class SmsSide:
    """One worker's. ``build_app`` makes what one HTTP listener serves; ``pipeline`` is shared with SMPP."""

    def __init__(self, configuration: Configuration, means: SmsMeans) -> None:
        self._configuration = configuration
        self._means = means
        self._upstreams = {settings.name: settings for settings in configuration.sms_upstreams}
        self.brands = {settings.brand.code: self._brand(settings) for settings in configuration.brands}
        brand_values: dict[int, Brand] = {code: own.brand for code, own in self.brands.items()}
        self.tags = SmsTags(means.tag_headers, brand_values)
        self.notes = SealedNotes(means.notes, means.seal)
        self.dropped = DroppedNumbers(means.notes, means.seal, means.instance)
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="sms")
        numbers = itertools.count(1)
        self.pipeline = SmsPipeline(
            brands=self.brands,
            tags=self.tags,
            keys=means.keys,
            index=means.index,
            dealer_lists=means.dealer_lists,
            evidence=means.evidence,
            dropped=self.dropped,
            next_id=lambda: f"{means.instance}-s{next(numbers):x}",
            node=means.node,
            store=str(configuration.store.url.kind),
            threads=self._threads,
            observe=means.observer.request_answered,
            note_retry=means.observer.retry_noted,
        )
        self._pushes = {
            name: DroppedPush(codec, target.post)
            for name, target in means.deliveries.items()
            if isinstance(codec := make_dialect(str(self._upstreams[name].dialect)), DeliveryCodec)
        }
        self._memories: list[BodyMemory] = []
        self._inbounds: list[Inbound] = []
        self._fronts: list[SmsFront] = []

    @property
    def buffered_bytes(self) -> int:
        return sum(memory.used_bytes for memory in self._memories)

    @property
    def in_hand(self) -> int:
        """Calls under way over all listeners."""
        return sum(front.in_hand for front in self._fronts)

    def start(self) -> None:
        """Once the store is open."""
        if self._means.scheduled is not None:
            self._means.scheduled.start()

    async def close(self) -> None:
        """While store, evidence and upstreams are still open."""
        for inbound in self._inbounds:
            await inbound.close()
        if self._means.scheduled is not None:
            await self._means.scheduled.close()
        for push in self._pushes.values():
            push.close()
        await self.dropped.close()
        self._threads.shutdown(wait=False)

    def is_served_by(self, listener: HttpListenerSettings) -> bool:
        """Whether ``listener`` has anything to do with SMS."""
        return bool(listener.sms or listener.plain_upstream or listener.check_api or self._inbound_upstreams())

    def build_app(self, listener: HttpListenerSettings, pages: OptOutPages | None) -> web.Application:
        """Everything ``listener`` serves: pages first, then what is ours, then the dialects' own paths."""
        means = self._means
        memory = BodyMemory(listener.request_memory_bytes)
        self._memories.append(memory)
        app = web.Application()
        if pages is not None:
            app.add_routes(pages.routes())
        not_found = pages.not_found_route().handler if pages is not None else None
        front = SmsFront(
            routes=self.routes_of(listener),
            pipeline=self.pipeline,
            clients=means.clients,
            dropped=self.dropped,
            memory=memory,
            private=self.tags.names,
            count=means.observer.call_answered,
            forwarded_from=listener.forwarded_from,
            fallback=not_found,
        )
        self._fronts.append(front)
        if listener.check_api:
            checks = Checks(
                find_client=front.find_client,
                brands=self.brands,
                tags=self.tags,
                keys=means.keys,
                index=means.index,
                dealer_lists=means.dealer_lists,
                memory=memory,
                count=means.observer.call_answered,
            )
            app.add_routes(checks.routes())
        if listener.check_api or any(isinstance(route.dialect, PlainDialect) for route in front.routes):
            app.add_routes([web.get("/v1/openapi.json", _tell_openapi)])
        if inbound_routes := self._inbound_upstreams():
            inbound = Inbound(
                [self._inbound_route(settings) for settings in inbound_routes],
                book=self._keyword_book(),
                recorder=means.recorder,
                keys=means.keys,
                seen=SeenMessages(means.notes, means.seal),
                memory=memory,
                find_peer=front.peer_of,
                count=means.metrics.count_inbound_sms,
            )
            self._inbounds.append(inbound)
            app.add_routes(inbound.routes())
            deliveries = DeliveryReports(
                [
                    self._delivery_route(settings, inbound)
                    for settings in inbound_routes
                    if settings.name in means.deliveries
                ],
                memory=memory,
                private=self.tags.names,
                find_peer=front.peer_of,
                count=means.observer.call_answered,
            )
            app.add_routes(deliveries.routes())
        front.serve(app)
        return app

    def routes_of(self, listener: HttpListenerSettings) -> list[SmsRoute]:
        """One for each upstream of ``listener``, and one for our own interface if it has a way out."""
        name = f"http-{listener.address.port}"
        routes = [
            self._route(name, self._upstreams[upstream], dialect)
            for upstream in listener.sms
            for dialect in make_family(str(self._upstreams[upstream].dialect))
        ]
        if listener.plain_upstream is not None:
            routes.append(self._plain_route(name, self._upstreams[listener.plain_upstream]))
        return routes

    def rules_of(self, upstream: str) -> tuple[TagRule, ...]:
        """What requests to ``upstream`` are, where they do not say it themselves."""
        return self._rules(upstream)

    def make_taker(self, upstream: str) -> Callable[[InboundMessage], Awaitable[bool]]:
        """For messages that people send, where they come over the link to ``upstream`` and not by a webhook: whether
        whatever they say is durable."""
        inbound = Inbound(
            [],
            book=self._keyword_book(),
            recorder=self._means.recorder,
            keys=self._means.keys,
            seen=SeenMessages(self._means.notes, self._means.seal),
            memory=BodyMemory(1),
            find_peer=lambda _request, _head: "",
            count=self._means.metrics.count_inbound_sms,
        )
        self._inbounds.append(inbound)
        return partial(inbound.take, InboundRoute(upstream, PlainDialect(), ""))

    # -- parts ----------------------------------------------------------------------------------------------------

    def _brand(self, settings: BrandSettings) -> SmsBrand:
        words = settings.sms_opt_out
        writers: dict[str, SuffixWriter] = {}
        if words is not None:
            opt_out = make_opt_out_words(
                settings.brand,
                words.keyword,
                words.number,
                language="en" if words.language == "en" else "tr",
                identity=words.identity,
            )
            for upstream in self._configuration.sms_upstreams:
                profile = find_profile(make_dialect(str(upstream.dialect)).profile, code_length=upstream.code_length)
                writers[upstream.name] = SuffixWriter(opt_out, profile, words.fit)
            for smsc in self._configuration.smpp_upstreams:
                profile = find_profile("smpp", code_length=smsc.code_length)
                writers[smsc.name] = SuffixWriter(opt_out, profile, words.fit)
        return SmsBrand(settings.brand, settings.policy, writers)

    def _route(self, listener: str, settings: SmsUpstreamSettings, dialect: Dialect) -> SmsRoute:
        return SmsRoute(
            listener,
            dialect,
            self._means.upstreams[settings.name],
            settings.prefix,
            self._rules(settings.name),
            settings.request_bytes,
            settings.max_lead_s,
            push_dropped=self._pushes[settings.name].push if settings.name in self._pushes else None,
            scheduled=self._means.scheduled,
        )

    def _plain_route(self, listener: str, settings: SmsUpstreamSettings) -> SmsRoute:
        dialect = make_dialect(str(settings.dialect))
        outlet = None
        if not isinstance(dialect, PlainDialect) or settings.username is not None:
            outlet = Outlet(dialect, _composer(dialect), _account(settings))
        return SmsRoute(
            listener,
            PlainDialect(),
            self._means.upstreams[settings.name],
            "",
            self._rules(settings.name),
            settings.request_bytes,
            settings.max_lead_s,
            outlet,
            scheduled=self._means.scheduled,
        )

    def _rules(self, upstream: str) -> tuple[TagRule, ...]:
        return tuple(
            TagRule(
                rule.sender_title,
                rule.account,
                rule.client,
                rule.header,
                rule.message_class,
                rule.recipient_type,
                rule.brand,
            )
            for rule in self._configuration.sms_rules
            if rule.upstream in ("", upstream)
        )

    # -- refusals by SMS ------------------------------------------------------------------------------------------

    def _inbound_upstreams(self) -> Sequence[SmsUpstreamSettings]:
        return [settings for settings in self._upstreams.values() if settings.inbound_secret is not None]

    def _inbound_route(self, settings: SmsUpstreamSettings) -> InboundRoute:
        assert settings.inbound_secret is not None
        signing = settings.inbound_signing_secret
        return InboundRoute(
            settings.name,
            _inbound_codec(make_dialect(str(settings.dialect))),
            settings.inbound_secret.reveal_text(),
            settings.inbound_networks,
            signing.reveal() if signing is not None else b"",
            self._confirm(settings),
        )

    def _delivery_route(self, settings: SmsUpstreamSettings, inbound: Inbound) -> DeliveryRoute:
        route = self._inbound_route(settings)
        return DeliveryRoute(
            settings.name,
            make_dialect(str(settings.dialect)),
            route.secret,
            route.networks,
            self._means.deliveries[settings.name],
            partial(inbound.take, route),
        )

    def _confirm(self, settings: SmsUpstreamSettings) -> Confirm | None:
        if settings.confirm_text is None:
            return None
        return partial(self._send_confirmation, self._plain_route(_CONFIRMING_LISTENER, settings), settings)

    async def _send_confirmation(self, route: SmsRoute, settings: SmsUpstreamSettings, brand: int, number: str) -> None:
        """Informational by nature: it answers the person's own message, and sells nothing."""
        body = {
            "text": settings.confirm_text,
            "recipients": [number],
            "sender": settings.confirm_sender or "",
            "class": str(MessageClass.INFORMATIONAL),
        }
        request = HttpRequest("POST", "/v1/messages", "", (("content-type", "application/json"),), orjson.dumps(body))
        await self.pipeline.handle(request, SEND, route, Client("izinkapi", (brand,)))

    def _keyword_book(self) -> KeywordBook:
        return KeywordBook(
            BrandKeyword(
                settings.brand.code, settings.sms_opt_out.keyword, settings.sms_opt_out.number, (settings.brand.name,)
            )
            for settings in self._configuration.brands
            if settings.sms_opt_out is not None
        )


def make_scheduled(
    configuration: Configuration,
    *,
    index: ConsentIndex,
    notes: SealedNotes,
    evidence: EvidenceLog,
    upstreams: Mapping[str, SmsUpstream],
    count: Callable[[str], None],
    instance: str,
) -> ScheduledSends:
    """For the upstreams whose dialect can call off, and whose settings let it. ``instance`` names this process and no
    other, ever."""
    longest_lead_s = max((settings.max_lead_s for settings in configuration.sms_upstreams), default=0.0)
    cancellers = {
        settings.name: CancelUpstream(upstreams[settings.name], dialect, settings.scheduled_cancel == "whole")
        for settings in configuration.sms_upstreams
        if settings.scheduled_cancel != "off" and isinstance(dialect := make_dialect(str(settings.dialect)), Canceller)
    }
    return ScheduledSends(
        notes=notes,
        journals={name: ScheduledJournal(notes, name, instance, longest_lead_s=longest_lead_s) for name in cancellers},
        index=index,
        evidence=evidence,
        upstreams=cancellers,
        count=count,
    )


def _composer(dialect: Dialect) -> Composer:
    return cast("Composer", dialect)  # the configuration was checked for it


def _inbound_codec(dialect: Dialect) -> InboundCodec:
    """The dialect's own webhook if we can read it, else our own form, for an operator who forwards it."""
    return dialect if isinstance(dialect, InboundCodec) else PlainDialect()


def _account(settings: SmsUpstreamSettings) -> dict[str, str]:
    """The account under each of the names that dialects have for its two halves."""
    username = settings.username or ""
    password = settings.password.reveal_text() if settings.password is not None else ""
    basic = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {
        **dict.fromkeys(("username", "usercode", "key", "api_id", "account_sid"), username),
        **dict.fromkeys(("password", "hash", "api_key", "auth_token", "secret"), password),
        "authorization": f"Basic {basic}",
    }


async def _tell_openapi(_request: web.Request) -> web.StreamResponse:
    return web.Response(
        body=orjson.dumps(OPENAPI), content_type="application/json", headers={"Cache-Control": "public, max-age=3600"}
    )
