"""What the sync service asks of the outside: the registry, a memory, a lease; and what a task of it is.

The registry's client (adapters/registry) answers with a value or a ``Failure`` and raises nothing for what registry or
network do; ``RegistryApi`` names the methods used here. ``ConsentIndex`` and ``ConsentWriter`` are the gateway's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from filters.consent import Change
from filters.exchange import Applied, Lookup, OutboxItem, StoreStats
from filters.registry.call import Priority
from filters.registry.failures import CallFailure
from filters.registry.values import (
    Added,
    Agreement,
    BrandInfo,
    BulkAccepted,
    BulkResult,
    ChangesPage,
    ChangesSource,
    ChangeStat,
    ConsentSubject,
    ConsentToAdd,
    Movement,
    MultiStatus,
    Page,
    PushConnection,
    PushRegistration,
    RegistryBrand,
    Retailer,
    StoredConsent,
)
from filters.vocabulary import Channel, RecipientType


class RegistryApi(Protocol):
    """The registry as one account sees it (``adapters.registry.RegistryClient``)."""

    def with_priority(self, priority: Priority) -> RegistryApi: ...

    async def brands(self, iys_code: int) -> tuple[BrandInfo, ...] | CallFailure: ...

    async def add(self, brand: RegistryBrand, consent: ConsentToAdd) -> Added | CallFailure: ...

    async def bulk_add(self, brand: RegistryBrand, items: Sequence[ConsentToAdd]) -> BulkAccepted | CallFailure: ...

    async def bulk_result(self, brand: RegistryBrand, request_id: str) -> BulkResult | CallFailure: ...

    async def status(self, brand: RegistryBrand, subject: ConsentSubject) -> StoredConsent | CallFailure | None: ...

    async def multi_status(
        self, brand: RegistryBrand, channel: Channel, recipient_type: RecipientType, recipients: Sequence[str]
    ) -> MultiStatus | CallFailure: ...

    async def history(
        self, brand: RegistryBrand, subject: ConsentSubject, offset: int = 0, limit: int = 100
    ) -> Page[Movement] | CallFailure: ...

    async def changes(
        self, brand: RegistryBrand, source: ChangesSource, after: str | None = None, limit: int = 1000
    ) -> ChangesPage | CallFailure: ...

    async def register_push(
        self, brand: RegistryBrand, connections: Sequence[PushConnection]
    ) -> CallFailure | None: ...

    async def push_registrations(self, brand: RegistryBrand) -> tuple[PushRegistration, ...] | CallFailure: ...

    async def unregister_push(self, brand: RegistryBrand, connection: PushConnection) -> CallFailure | None: ...

    async def reconciliation_summary(
        self, brand: RegistryBrand, day: str, recipient_type: RecipientType
    ) -> tuple[ChangeStat, ...] | CallFailure: ...

    async def reconciliation_info(self, brand: RegistryBrand, day: str) -> Agreement | CallFailure | None: ...

    async def reconciliation_save(self, brand: RegistryBrand, day: str) -> bool | CallFailure: ...

    async def reconciliation_file(
        self, brand: RegistryBrand, day: str, write: Callable[[bytes], object]
    ) -> bool | CallFailure: ...

    async def retailers(
        self,
        brand: RegistryBrand,
        offset: int = 0,
        limit: int = 100,
        *,
        is_all: bool | None = None,
        is_short: bool | None = None,
    ) -> Page[Retailer] | CallFailure: ...

    async def retailer(self, brand: RegistryBrand, retailer_code: int) -> Retailer | CallFailure: ...

    async def access(
        self, brand: RegistryBrand, subject: ConsentSubject, offset: int = 0, limit: int = 100
    ) -> Page[Retailer] | CallFailure: ...


@dataclass(frozen=True, slots=True)
class BrandLink:
    """One of our brands as the registry knows it, and the account that may ask for it.

    ``code`` is the brand in our configuration and our index; consents of one never answer for another.
    """

    code: int
    registry: RegistryBrand
    api: RegistryApi


class SyncIndex(Protocol):
    """The consent index with its outbox, as the sync service uses it (``adapters.store.Store``).

    All raise ``StoreError`` (an ``OSError``; adapters.store) where the store does not answer.
    """

    async def apply(
        self,
        brand: int,
        changes: Sequence[Change],
        *,
        watermark_at: int | None = None,
        outbox: Sequence[OutboxItem] = (),
    ) -> Applied:
        """All or nothing, durable on return; the watermark only ever moves forward."""

    async def find(self, brand: int, keys: Sequence[bytes], message_digest: bytes | None = None) -> Lookup: ...

    async def outbox_due(self, until: int, limit: int) -> list[OutboxItem]: ...

    async def outbox_remove(self, items: Sequence[OutboxItem]) -> None: ...

    async def watermarks(self) -> dict[int, int]: ...

    async def stats(self) -> StoreStats: ...


class SyncMemory(Protocol):
    """Durable small values (under 64 kB) by name, kept in the store beside the records they speak of.

    A store that comes back from an older copy so brings the older cursors with it. ``name`` is ASCII, says nothing of
    a person, and begins with what it belongs to (``pull/…``, ``report/…``, ``proof/…``). Whoever keeps addresses seals
    them first. Raises ``OSError`` or ``StoreError`` where the store does not answer.
    """

    async def recall(self, name: str) -> bytes | None:
        """The value, None if there is none."""

    async def keep(self, name: str, value: bytes | None) -> None:
        """Put ``value`` in the place of whatever stood there, durable on return; None forgets it."""

    async def replace(self, name: str, expected: bytes | None, value: bytes) -> bool:
        """Put ``value`` if ``expected`` stands there (None: nothing does); False, and nothing changed, if not."""


class Lease(Protocol):
    """Who of several machines talks to the registry. Losing it does no harm: what two do twice is the same twice."""

    async def hold(self) -> bool:
        """Take it, or renew it; to be called a few times within its term. False: it is another's."""

    async def release(self) -> None:
        """Let the next one have it at once."""


class Task(Protocol):
    """One of the duties of the sync service; runs while this machine holds the lease.

    The service starts ``run`` again, after a pause that grows, when it raises; it is cancelled a few seconds after
    ``stop`` was set, so each step must leave behind what a kill would be harmless to.
    """

    @property
    def name(self) -> str:
        """Lower-case ASCII word, fit for a metric label."""

    async def run(self, stop: asyncio.Event) -> None:
        """Do the duty until ``stop`` is set."""

    def describe(self) -> dict[str, object]:
        """State for ``/status``, JSON values only; no address in it. Times as ``…_at``, seconds since 1970 UTC."""
