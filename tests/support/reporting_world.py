"""A store with refusals in its outbox, a simulated registry that wants to be told of them, and the reporter between.

One clock for all three; it stands still unless it is moved.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from adapters.registry import Credentials, Patience, RegistryAddress
from adapters.store import Store
from filters.consent import State, unpack
from filters.consent_key import ConsentKeys
from filters.consent_report import ConsentReport, seal_consent
from filters.exchange import OutboxItem, Refusal
from filters.refusal_report import NONCE_BYTES, ReportSeal
from filters.registry.limits import Limits
from filters.registry.values import ConsentToAdd, RegistryBrand
from filters.vocabulary import Channel, RecipientType, Status
from gateway.holidays import load_holidays
from gateway.refusals import RefusalReports, Refusals
from gateway.registry.parked import PARKED_AT, is_parked, unpark
from gateway.registry.pending import ConsentNotes
from gateway.registry.ports import BrandLink
from gateway.registry.reporting.fates import Fate
from gateway.registry.reporting.reporter import Reporter
from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME
from loadtest.registry.rules.words import RECIPIENT_TYPES, STATUSES, TYPES
from tests.support.memory_writer import MemoryEvidence
from tests.support.registry_world import RegistryWorld

BRAND = 600123
HOLIDAYS = Path(__file__).parents[2] / "config" / "holidays-tr.toml"
KEYS = ConsentKeys(b"k" * 32)
SEAL = ReportSeal({1: b"o" * 32}, 1)
HOUR_S, DAY_S = 3600, 86400


class NoRecorder:
    """Counts nothing of refusals."""

    def refusal_recorded(self, refusal: Refusal, *, has_evidence: bool) -> None: ...

    def refusal_failed(self, refusal: Refusal) -> None: ...


class Counting:
    """A ``ReportingObserver`` that remembers."""

    def __init__(self) -> None:
        self.fates: Counter[tuple[Fate, str]] = Counter()
        self.seen: tuple[int | None, int, int, dict[str, int]] = (None, 0, 0, {})

    def report_settled(self, brand: int, fate: Fate, code: str) -> None:
        self.fates[fate, code] += 1

    def outbox_seen(self, oldest_due_at: int | None, waiting: int, overdue: int, parked: Any) -> None:
        self.seen = (oldest_due_at, waiting, overdue, dict(parked))


class ReportingWorld:
    """``refuse`` is what pages and intakes do; ``work`` lets the reporter do what it can now."""

    def __init__(self, registry: RegistryWorld, store: Store, *, brand: int = BRAND) -> None:
        self.registry = registry
        self.store = store
        self.brand = brand
        self.ahead_s = 0.0  # so far our clock runs ahead of the registry's
        self.observer = Counting()
        self.notes = ConsentNotes(store)
        self.address = RegistryAddress(
            registry.server.url,
            limits=Limits(per_second=100_000),
            patience=Patience(connect_s=2.0, answer_s=10.0, turn_s=10.0),
            clock=self.now,
        )
        self.client = self.address.client(Credentials(DEFAULT_USERNAME, DEFAULT_PASSWORD))
        self.link = BrandLink(brand, RegistryBrand(600123, brand), self.client)
        self.calendar = load_holidays(HOLIDAYS)
        self.reporter = self.make_reporter()
        self.refusals = Refusals(
            store, MemoryEvidence(), SEAL, self.calendar, NoRecorder(), index=store, clock=self.now
        )

    def make_reporter(self, **options: Any) -> Reporter:
        """As a new process would: it knows what the store knows."""
        self.reporter = Reporter(
            self.store,
            self.store,
            {self.brand: self.link},
            SEAL,
            notes=self.notes,
            observer=self.observer,
            clock=self.now,
            **options,
        )
        return self.reporter

    def now(self) -> float:
        return self.registry.clock.now() + self.ahead_s

    async def close(self) -> None:
        await self.address.close()

    def consented(
        self, recipient: str, *, kind: str = "BIREYSEL", status: str = "ONAY", ago_s: float = 30 * DAY_S
    ) -> None:
        """The registry holds this, from a citizen."""
        at = int(self.now() - ago_s)
        channel = "EPOSTA" if "@" in recipient else "MESAJ"
        self.registry.registry.consents.move(
            self.brand,
            (TYPES.index(channel), RECIPIENT_TYPES.index(kind), recipient),
            STATUSES.index(status),
            "IYS_WEB",
            int((self.now() - min(ago_s, 5)) * 1000),
            at,
            None,
        )

    async def refuse(
        self, recipient: str, *, kind: RecipientType | None = RecipientType.INDIVIDUAL, is_known: bool = True
    ) -> None:
        channel = Channel.EMAIL if "@" in recipient else Channel.SMS
        key = KEYS.derive(self.brand, recipient.encode())
        address = recipient.encode() if is_known else b""
        await self.refusals.record(
            Refusal(
                self.brand, channel, key, address, kind, int(self.now()), "HS_WEB" if "@" in recipient else "HS_MESAJ"
            )
        )

    def report_of(self, recipient: str, refused_at: int) -> OutboxItem:
        """A report as the outbox takes it, for tests that fill it in bulk."""
        key = KEYS.derive(self.brand, recipient.encode())
        refusal = Refusal(
            self.brand, Channel.EMAIL, key, recipient.encode(), RecipientType.INDIVIDUAL, refused_at, "HS_WEB"
        )
        return RefusalReports(SEAL, self.calendar).make(refusal, RecipientType.INDIVIDUAL)

    async def hand_over(self, consent: ConsentToAdd) -> ConsentReport:
        """A consent straight into the outbox."""
        report = ConsentReport(
            self.brand, KEYS.derive(self.brand, consent.recipient.encode()), consent, int(self.now())
        )
        due_at = self.calendar.due_at(consent.consent_at or int(self.now()))
        sealed = seal_consent(SEAL, report, bytes(NONCE_BYTES))
        await self.store.apply(self.brand, [], outbox=[OutboxItem(report.item_id, self.brand, due_at, sealed)])
        return report

    async def work(self, most: int = 200) -> None:
        """Step until there is nothing to do at this instant."""
        for _ in range(most):
            if await self.reporter.step() > 0:
                return
        raise AssertionError("the reporter does not come to rest")

    async def work_for(self, seconds: float, tick_s: float = 30.0) -> None:
        """Let time pass, working."""
        until = self.now() + seconds
        await self.work()
        while self.now() < until:
            await self.registry.advance(min(tick_s, until - self.now()))
            await self.work()

    async def waiting(self) -> list[OutboxItem]:
        return await self.store.outbox_due(PARKED_AT - 1, 1_000_000)

    async def parked(self) -> dict[str, int]:
        items = [item for item in await self.store.outbox_due(PARKED_AT, 1_000_000) if is_parked(item)]
        return dict(Counter(unpark(item).code for item in items))

    async def state(self, recipient: str) -> State:
        value = (await self.store.find(self.brand, [KEYS.derive(self.brand, recipient.encode())])).values[0]
        return unpack(value) if value else {}

    def stored(self, recipient: str, kind: str = "BIREYSEL") -> tuple[str, str] | None:
        """Status and source as the registry holds them."""
        channel = "EPOSTA" if "@" in recipient else "MESAJ"
        row = self.registry.registry.database.connection.execute(
            "SELECT status, source FROM consents WHERE brand = ? AND type = ? AND recipient_type = ? AND recipient = ?",
            (self.brand, TYPES.index(channel), RECIPIENT_TYPES.index(kind), recipient),
        ).fetchone()
        return None if row is None else (STATUSES[row[0]], row[1])

    def stored_times(self, source: str = "HS_WEB") -> list[int]:
        """When each movement from that source was stored, seconds since 1970 UTC."""
        rows = self.registry.registry.database.connection.execute(
            "SELECT created_ms FROM movements WHERE brand = ? AND source = ? ORDER BY created_ms", (self.brand, source)
        ).fetchall()
        return [row[0] // 1000 for row in rows]

    def operations(self) -> Counter[str]:
        return Counter(self.registry.registry.traffic.render(0, 0)["by_operation"])


async def settle_tasks() -> None:
    """Let callbacks run."""
    for _ in range(3):
        await asyncio.sleep(0)


def consent(recipient: str, at: int, status: Status = Status.APPROVED, **changes: Any) -> ConsentToAdd:
    """An e-mail consent of an individual that is in order."""
    made = ConsentToAdd(recipient, Channel.EMAIL, RecipientType.INDIVIDUAL, status, at, "HS_WEB")
    return made._replace(**changes)
