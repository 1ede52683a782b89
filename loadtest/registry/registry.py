"""Everything the simulated registry consists of, put together; no network yet."""

from __future__ import annotations

import uuid
from pathlib import Path

from loadtest.registry.book.bulk import Bulk
from loadtest.registry.book.changes import Changes
from loadtest.registry.book.connections import Connections
from loadtest.registry.book.consents import Consents
from loadtest.registry.book.database import Database
from loadtest.registry.book.kept_calls import KeptCalls
from loadtest.registry.book.reconciliation import Reconciliation
from loadtest.registry.book.retailers import Retailers
from loadtest.registry.book.world import World
from loadtest.registry.clock import Clock
from loadtest.registry.door.faults import Faults
from loadtest.registry.door.limits import Limits
from loadtest.registry.door.tokens import Tokens
from loadtest.registry.door.traffic import Traffic
from loadtest.registry.rules.items import Surroundings
from loadtest.registry.rules.workdays import Workdays, load_workdays
from loadtest.registry.settings import Settings


class Registry:
    """The parts, reachable by name. ``path`` None keeps everything in memory.

    ``is_http_push_allowed``: push connections may be plain http, for receivers of tests on loopback.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        clock: Clock | None = None,
        settings: Settings | None = None,
        holidays: Path | None = None,
        seed: int = 0,
        is_http_push_allowed: bool = False,
    ) -> None:
        self.database = Database(path)
        self.settings = settings if settings is not None else Settings()
        kept = self.database.read("settings")
        if settings is None and isinstance(kept, dict):
            self.settings.update(kept)
        self.clock = clock if clock is not None else Clock()
        anchor = self.database.read("clock")
        if clock is None and isinstance(anchor, list):
            self.clock.resume((anchor[0], anchor[1], anchor[2]))
        self.workdays = Workdays() if holidays is None else load_workdays(holidays)
        days = self.database.read("holidays")
        if isinstance(days, list):
            self.workdays.replace(days)
        self.world = World(self.database)
        self.consents = Consents(self.database)
        self.bulk = Bulk(self.database, self.consents)
        self.changes = Changes(self.database)
        self.reconciliation = Reconciliation(self.database, self.bulk)
        self.retailers = Retailers(self.database)
        self.connections = Connections(self.database)
        self.tokens = Tokens(self.database, self.world, self.settings)
        self.traffic = Traffic(self.database)
        self.limits = Limits(self.settings, self.breach, KeptCalls(self.database))
        self.faults = Faults(seed)
        self.is_http_push_allowed = is_http_push_allowed
        self.public_url = ""  # where it listens, for links; known once it does
        self.apply_settings()

    def settle(self) -> int:
        """Bring everything up to the present; returns it in milliseconds."""
        now_ms = self.clock.now_ms()
        self.bulk.settle(now_ms)
        return now_ms

    def surroundings(self, iys_code: int, brand: int) -> Surroundings:
        """What the rules for an item look at."""
        now = self.clock.now()
        provider = self.world.providers[iys_code]
        is_open = provider.activated_at is None or now < provider.activated_at
        return Surroundings(
            now,
            self.workdays,
            self.settings.business_days,
            is_open,
            lambda code: self.retailers.is_known(brand, code),
        )

    def has_quota_left(self, iys_code: int, more: int) -> bool:
        """Whether ``more`` consents fit into the provider's package (H525 if not)."""
        subscription = self.world.providers[iys_code].subscription
        if subscription is None or subscription.is_exceeding_allowed:
            return True
        return self.used_quota(iys_code) + more <= subscription.consent_limit

    def used_quota(self, iys_code: int) -> int:
        brands = [brand.code for brand in self.world.brands.values() if brand.iys_code == iys_code]
        return sum(sum(self.consents.counts(code)) for code in brands)

    def breach(self, rule: str, detail: str) -> None:
        self.traffic.breach(self.clock.now(), rule, detail)

    def apply_settings(self) -> None:
        """Hand settings to those that keep their own copy, and keep them for the next start."""
        self.consents.is_equal_date_refused = self.settings.is_equal_date_refused
        self.database.write("settings", vars(self.settings))

    def new_id(self) -> str:
        """For answers that carry a request id of their own."""
        return uuid.uuid4().hex

    def keep_clock(self) -> None:
        self.database.write("clock", list(self.clock.anchor()))

    def close(self) -> None:
        self.database.close()
