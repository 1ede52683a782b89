"""A pipeline with a second implementation behind each port, a clock that the test moves, and words to describe mail."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import orjson

from filters.address import parse_email
from filters.brand import Brand
from filters.classify import TagHeaders
from filters.client import Client
from filters.consent import Change, Consent
from filters.consent_key import ConsentKeys
from filters.decision.policy import Policy
from filters.envelope import Answer, Envelope, EnvelopeRecipient
from filters.mime.footer import make_footer
from filters.mime.settings import RewriteSettings
from filters.token import Grant, OptOutLinks, TokenKeys
from filters.vocabulary import Channel, MessageClass, RecipientType, Status
from gateway.mail.in_hand import MailInHand
from gateway.mail.pipeline import MailPipeline
from gateway.mail.route import BrandRoute, ContentSigner, MailRoute
from gateway.ports import ConsentIndex, EvidenceLog
from gateway.trace import Tracer
from tests.support.agenda import Agenda
from tests.support.memory_index import UnrulyIndex
from tests.support.memory_writer import UnrulyEvidence
from tests.support.scripted_upstream import ScriptedUpstream

NOW = 1_790_000_000
SHOP, OUTLET, CLOSED = 600123, 600124, 600125
SENDER = b"haber@magaza.example"


def make_brand(code: int, **changes: Any) -> Brand:
    values: dict[str, Any] = {
        "name": f"Marka {code}",
        "title": "Marka A.Ş.",
        "mersis": "0123456789012345",
        "contact": "iletisim@marka.example",
        "opt_out_url": f"https://izin.example/{code}",
    }
    return Brand(code, code, **(values | changes))


BRANDS = (
    make_brand(SHOP),
    make_brand(OUTLET),
    make_brand(CLOSED, is_active=False),
)

EVERYONE = (Channel.EMAIL, RecipientType.INDIVIDUAL, Status.APPROVED)


@dataclass
class Clock:
    """Seconds since 1970; moves when told to."""

    now: float = float(NOW)

    def __call__(self) -> float:
        return self.now


@dataclass
class Sent:
    """One message on its way, and what the client heard: one answer, or the test has found a fault."""

    envelope: Envelope
    content: bytes
    answers: list[Answer] = field(default_factory=list)
    is_client_there: bool = True

    def answer(self, answer: Answer) -> bool:
        self.answers.append(answer)
        return self.is_client_there

    @property
    def reply(self) -> Answer:
        (answer,) = self.answers
        return answer


class PipelineWorld:
    """Everything around one pipeline. ``policy`` and ``signer`` hold for all brands."""

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        signer: ContentSigner | None = None,
        index: ConsentIndex | None = None,
        evidence: EvidenceLog | None = None,
        keys: ConsentKeys | None = None,
        signing_threads: Executor | None = None,
        brands: Sequence[Brand] = BRANDS,
        rewriting: RewriteSettings | None = None,
        fixed_class: MessageClass | None = None,
        sender_classes: dict[str, dict[str, MessageClass]] | None = None,
        **options: Any,
    ) -> None:
        self.clock = Clock()
        self.agenda = Agenda()
        self.keys = keys or ConsentKeys(b"s" * 32)
        self.tokens = TokenKeys({1: b"t" * 32}, 1)
        self.index = UnrulyIndex(self.agenda, clock=self.clock)
        self.index.failure = None
        self.evidence = UnrulyEvidence(self.agenda)
        self.upstream = ScriptedUpstream(self.agenda, clock=self.clock, count_asked=lambda: len(self.index.asked))
        self.observed: list[tuple[MailInHand, Answer]] = []
        self.retries: list[bool] = []
        self.signing_threads = signing_threads or ThreadPoolExecutor(1)
        self.brands = {brand.code: brand for brand in brands}
        self.pipeline = MailPipeline(
            routes={
                "smtp": MailRoute("smtp", self.upstream, "ESMTP", fixed_class, sender_classes or {}),
                "marketing": MailRoute("marketing", self.upstream, "ESMTP", MessageClass.COMMERCIAL),
            },
            brands={
                brand.code: BrandRoute(
                    brand, policy or Policy(), make_footer(brand), rewriting or RewriteSettings(), signer
                )
                for brand in brands
            },
            tag_headers=TagHeaders(),
            keys=self.keys,
            index=index or self.index,
            evidence=evidence or self.evidence,
            make_links=self._make_links,
            tracer=Tracer("kapi.example", "test"),
            node="test-0",
            store="memory",
            signing_threads=self.signing_threads,
            observe=lambda mail, answer: self.observed.append((mail, answer)),
            note_retry=self.retries.append,
            clock=self.clock,
            monotonic=self.clock,
            **options,
        )

    def _make_links(self, brand: Brand, address: bytes, kind: RecipientType | None, key: bytes) -> OptOutLinks:
        return self.tokens.opt_out_links(brand, Grant(brand.code, Channel.EMAIL, kind, address), key)

    # -- what is known --------------------------------------------------------------------------------------------

    def key(self, wire: bytes, brand: int = SHOP) -> bytes:
        return self.keys.derive(brand, address(wire).address.key)

    async def load(self, age_s: int | None = 60, brands: Iterable[int] = (SHOP, OUTLET, CLOSED)) -> None:
        """Say that the registry was last read ``age_s`` seconds ago; None: never."""
        if age_s is not None:
            for brand in brands:
                await self.index.apply(brand, [], watermark_at=int(self.clock()) - age_s)

    async def consent(
        self,
        wire: bytes,
        *,
        brand: int = SHOP,
        channel: Channel = Channel.EMAIL,
        kind: RecipientType = RecipientType.INDIVIDUAL,
        status: Status = Status.APPROVED,
        at: int = NOW - 1000,
        source: str = "HS_WEB",
        own: bool = False,
    ) -> None:
        consent = Consent(status, at, source, own)
        await self.index.apply(brand, [Change(self.key(wire, brand), channel, kind, consent)])

    async def refuse(self, wire: bytes, *, brand: int = SHOP) -> None:
        """As our own page records it, now."""
        for kind in RecipientType:
            await self.consent(
                wire, brand=brand, kind=kind, status=Status.REJECTED, at=int(self.clock()), source="HS_WEB", own=True
            )

    # -- sending --------------------------------------------------------------------------------------------------

    def send(
        self,
        content: bytes,
        wires: Sequence[bytes],
        *,
        client: Client | None = None,
        listener: str = "smtp",
        sender: bytes = SENDER,
        is_client_there: bool = True,
        **envelope: Any,
    ) -> Sent:
        sent = Sent(
            Envelope(
                client or Client("shop", (SHOP,)),
                listener,
                "s-1",
                sender,
                recipients=[address(wire) for wire in wires],
                peer="192.0.2.1",
                helo="shop.example",
                **envelope,
            ),
            content,
            is_client_there=is_client_there,
        )
        self.pipeline.handle(sent.envelope, content, sent.answer)
        return sent

    @property
    def records(self) -> list[dict[str, Any]]:
        return [orjson.loads(record) for record in self.evidence.records]

    def grants(self, content: bytes) -> set[Grant | None]:
        """What the links in ``content`` grant, wherever they stand; None for one that we did not make."""
        found = re.findall(rb"https://izin\.example/\d+/u/([A-Za-z0-9_-]+)", content)
        return {self.tokens.read_token(token.decode()) for token in found}

    def close(self) -> None:
        self.signing_threads.shutdown()


def address(wire: bytes, parameters: bytes = b"") -> EnvelopeRecipient:
    return EnvelopeRecipient(parse_email(wire, allow_utf8=not wire.isascii()), parameters)


def mail(*fields: bytes, body: bytes = b"Sonbahar indirimi.\r\n", number: int = 1) -> bytes:
    """A message with a Message-ID; ``fields`` without line ends, in front of the others."""
    head = [
        *fields,
        b"From: Magaza <haber@magaza.example>",
        b"Message-ID: <%d@magaza.example>" % number,
        b"Subject: Duyuru",
    ]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


INFORMATIONAL = b"X-Izin-Class: informational"
SERVICE = b"X-Izin-Class: service"
COMMERCIAL = b"X-Izin-Class: commercial"
