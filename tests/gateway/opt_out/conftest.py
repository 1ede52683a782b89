"""An opt-out installation on free loopback ports: real listeners, the stores in memory, time as a value."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from filters.brand import Brand
from filters.business_days import HolidayCalendar
from filters.consent import State
from filters.consent_key import ConsentKeys
from filters.exchange import OutboxItem, Refusal
from filters.refusal_report import RefusalReport, ReportSeal
from filters.token import Grant, OptOutLinks, TokenKeys
from filters.vocabulary import Channel, RecipientType
from gateway.holidays import load_holidays
from gateway.opt_out.listener import HttpListener
from gateway.opt_out.logo import Logo
from gateway.opt_out.mail_intake import MailIntake
from gateway.opt_out.pages import OptOutPages
from gateway.opt_out.throttle import Throttle
from gateway.refusals import Refusals
from tests.support.memory_writer import MemoryEvidence, MemoryWriter

SHOP = Brand(
    600123,
    600123,
    "Örnek Mağaza",
    title="Örnek Mağaza A.Ş.",
    mersis="0123456789012345",
    contact="iletisim@shop.example",
    opt_out_url="https://izin.shop.example",
    opt_out_mail_domain="ret.shop.example",
)
CAFE = Brand(
    600124,
    600124,
    "Kahve & Çay <Dükkânı>",
    trader_name="Ayşe Örnek",
    trader_id="10000000146",
    opt_out_url="https://izin.cafe.example",
    opt_out_mail_domain="RET.cafe.example",
)
AYSE = Grant(SHOP.code, Channel.EMAIL, RecipientType.INDIVIDUAL, b"ayse.ornek@example.com")
LOGO = Logo("image/png", b"\x89PNG\r\n\x1a\n" + bytes(64))

RECEIVED_AT = 1_789_800_000  # 2026-09-19 09:40 in Istanbul, a Saturday


@dataclass
class Observer:
    """Keeps what was told, for all the ports that tell."""

    recorded: list[tuple[Refusal, bool]] = field(default_factory=list)
    failed: list[Refusal] = field(default_factory=list)
    answers: list[tuple[str, int]] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    malformed: int = 0
    turned_away: int = 0

    def refusal_recorded(self, refusal: Refusal, *, has_evidence: bool) -> None:
        self.recorded.append((refusal, has_evidence))

    def refusal_failed(self, refusal: Refusal) -> None:
        self.failed.append(refusal)

    def page_answered(self, route: str, status: int) -> None:
        self.answers.append((route, status))

    def page_failed(self, error: Exception) -> None:
        self.faults.append(error)

    def mail_answered(self, reply: str) -> None:
        self.replies.append(reply)

    def mail_failed(self, error: Exception) -> None:
        self.faults.append(error)

    def http_malformed(self) -> None:
        self.malformed += 1

    def http_turned_away(self) -> None:
        self.turned_away += 1


@dataclass
class OptOut:
    """The installation as a test sees it."""

    writer: MemoryWriter
    evidence: MemoryEvidence
    observer: Observer
    tokens: TokenKeys
    keys: ConsentKeys
    seal: ReportSeal
    calendar: HolidayCalendar
    refusals: Refusals
    now: float = RECEIVED_AT
    http_port: int = 0
    mail_port: int = 0

    def token(self, grant: Grant = AYSE) -> str:
        return self.tokens.make_token(grant)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http_port}{path}"

    def key(self, grant: Grant = AYSE) -> bytes:
        return self.keys.derive(grant.brand, grant.address)

    def state(self, grant: Grant = AYSE) -> State:
        return self.writer.state(grant.brand, self.key(grant))

    def links(self, grant: Grant = AYSE, brand: Brand = SHOP) -> OptOutLinks:
        return self.tokens.opt_out_links(brand, grant, self.key(grant))

    def reports(self) -> list[tuple[OutboxItem, RefusalReport]]:
        return [(item, self.seal.open(item.item_id, item.sealed)) for item in self.writer.outbox.values()]


@pytest.fixture
def opt_out() -> OptOut:
    """Everything but the listeners."""
    writer, evidence, observer = MemoryWriter(), MemoryEvidence(), Observer()
    seal = ReportSeal({1: b"r" * 32}, current=1)
    calendar = load_holidays(Path(__file__).parents[3] / "config" / "holidays-tr.toml")
    return OptOut(
        writer=writer,
        evidence=evidence,
        observer=observer,
        tokens=TokenKeys({1: b"t" * 32}, current=1),
        keys=ConsentKeys(b"k" * 32),
        seal=seal,
        calendar=calendar,
        refusals=Refusals(writer, evidence, seal, calendar, observer),
    )


def listen() -> tuple[socket.socket, int]:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    listening.setblocking(False)
    return listening, listening.getsockname()[1]


@pytest.fixture
def brands() -> list[Brand]:
    """The brands served; a test may replace them by parametrisation."""
    return [SHOP, CAFE]


@pytest.fixture
async def pages(opt_out: OptOut, brands: list[Brand]) -> AsyncIterator[OptOut]:
    """The pages on a real listener."""
    site = OptOutPages(
        opt_out.refusals,
        opt_out.tokens,
        opt_out.keys,
        brands,
        {SHOP.code: LOGO},
        opt_out.observer,
        now=lambda: opt_out.now,
        throttle=Throttle(burst=20),
    )
    listener = HttpListener(site.build_app(), opt_out.observer, max_connections=20)
    listening, opt_out.http_port = listen()
    await listener.start(listening)
    yield opt_out
    await listener.close()


@pytest.fixture
async def intake(opt_out: OptOut, brands: list[Brand]) -> AsyncIterator[OptOut]:
    """The mail intake on a real listener."""
    mail_intake = MailIntake(
        opt_out.refusals,
        opt_out.tokens,
        opt_out.keys,
        [brand.opt_out_mail_domain for brand in brands],
        "gate.example",
        opt_out.observer,
        now=lambda: opt_out.now,
        throttle=Throttle(burst=20),
        max_connections=5,
    )
    listening, opt_out.mail_port = listen()
    await mail_intake.start(listening)
    yield opt_out
    await mail_intake.close()
