"""Every documented call of the registry as one method; each gives its answer or a ``Failure``.

None raises for what the registry or the network do. What must not be sent raises ``UnsendableError`` (a
``ValueError``) or ``ValueError`` before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from adapters.registry.performer import Performer
from filters.registry.call import Call, Priority
from filters.registry.calls import account, consents, push, reconciliation, statuses
from filters.registry.calls import retailers as dealers
from filters.registry.failures import CallFailure, Failure
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
    OptOutLink,
    Page,
    PartnerBrand,
    Place,
    PushConnection,
    PushRegistration,
    RegistryBrand,
    Retailer,
    RetailerToAdd,
    StoredConsent,
    Subscription,
)
from filters.vocabulary import Channel, RecipientType

_Result = TypeVar("_Result")


class RegistryClient:
    """The registry as one account sees it. Cheap: ``with_priority`` gives another view of the same."""

    def __init__(self, performer: Performer, priority: Priority | None = None) -> None:
        self._performer = performer
        self._priority = priority

    def with_priority(self, priority: Priority) -> RegistryClient:
        """The same client, whose calls wait with ``priority`` instead of each call's own."""
        return RegistryClient(self._performer, priority)

    async def perform(
        self, call: Call[_Result], write: Callable[[bytes], object] | None = None
    ) -> _Result | CallFailure:
        """Any call as a value; the methods below are this with the calls of ``filters.registry.calls``."""
        if self._priority is not None:
            call = replace(call, priority=self._priority)
        return await self._performer.perform(call, write)

    async def close(self) -> None:
        """End what is under way."""
        await self._performer.close()

    # Account

    async def brands(self, iys_code: int) -> tuple[BrandInfo, ...] | CallFailure:
        return await self.perform(account.brands(iys_code))

    async def partner_brands(
        self, partner_code: int, offset: int | None = None, limit: int | None = None
    ) -> Page[PartnerBrand] | CallFailure:
        return await self.perform(account.partner_brands(partner_code, offset, limit))

    async def partner_brands_of(self, partner_code: int, iys_code: int) -> Page[PartnerBrand] | CallFailure:
        return await self.perform(account.partner_brands_of(partner_code, iys_code))

    async def subscription(self, iys_code: int) -> Subscription | CallFailure:
        return await self.perform(account.subscription(iys_code))

    async def partner_subscription(self, partner_code: int) -> Subscription | CallFailure:
        return await self.perform(account.partner_subscription(partner_code))

    async def cities(self) -> tuple[Place, ...] | CallFailure:
        return await self.perform(account.cities())

    async def city(self, code: int) -> Place | CallFailure | None:
        return await self.perform(account.city(code))

    async def towns(self) -> tuple[Place, ...] | CallFailure:
        return await self.perform(account.towns())

    async def town(self, code: int) -> Place | CallFailure | None:
        return await self.perform(account.town(code))

    # Adding

    async def add(self, brand: RegistryBrand, consent: ConsentToAdd) -> Added | CallFailure:
        """By the second version: may be repeated after an unknown outcome."""
        return await self.perform(consents.add(brand, consent))

    async def add_v1(self, brand: RegistryBrand, consent: ConsentToAdd) -> Added | CallFailure:
        return await self.perform(consents.add_v1(brand, consent))

    async def bulk_add(self, brand: RegistryBrand, items: Sequence[ConsentToAdd]) -> BulkAccepted | CallFailure:
        """By the second version. All or nothing: ``Refused.codes_of(place)`` names what is wrong with which item."""
        return await self.perform(consents.bulk_add(brand, items))

    async def bulk_add_v1(self, brand: RegistryBrand, items: Sequence[ConsentToAdd]) -> BulkAccepted | CallFailure:
        return await self.perform(consents.bulk_add_v1(brand, items))

    async def bulk_result(self, brand: RegistryBrand, request_id: str) -> BulkResult | CallFailure:
        """Of use 300 s after the request at the earliest; empty means not yet."""
        return await self.perform(consents.bulk_result(brand, request_id))

    async def bulk_result_v1(self, brand: RegistryBrand, request_id: str) -> BulkResult | CallFailure:
        return await self.perform(consents.bulk_result_v1(brand, request_id))

    # Asking

    async def status(self, brand: RegistryBrand, subject: ConsentSubject) -> StoredConsent | CallFailure | None:
        """None is no record. 1000 an hour."""
        return await self.perform(statuses.status(brand, subject))

    async def multi_status(
        self, brand: RegistryBrand, channel: Channel, recipient_type: RecipientType, recipients: Sequence[str]
    ) -> MultiStatus | CallFailure:
        """Which of up to 1000 have given consent."""
        return await self.perform(statuses.multi_status(brand, channel, recipient_type, recipients))

    async def history(
        self, brand: RegistryBrand, subject: ConsentSubject, offset: int = 0, limit: int = statuses.MAX_HISTORY
    ) -> Page[Movement] | CallFailure:
        """Newest first. 100 an hour."""
        return await self.perform(statuses.history(brand, subject, offset, limit))

    async def changes(
        self,
        brand: RegistryBrand,
        source: ChangesSource,
        after: str | None = None,
        limit: int = statuses.MAX_CHANGES,
    ) -> ChangesPage | CallFailure:
        """Oldest first, from seven days to an hour ago."""
        return await self.perform(statuses.changes(brand, source, after, limit))

    # Push

    async def register_push(self, brand: RegistryBrand, connections: Sequence[PushConnection]) -> CallFailure | None:
        return await self.perform(push.register_push(brand, connections))

    async def push_registrations(self, brand: RegistryBrand) -> tuple[PushRegistration, ...] | CallFailure:
        return await self.perform(push.push_registrations(brand))

    async def unregister_push(self, brand: RegistryBrand, connection: PushConnection) -> CallFailure | None:
        return await self.perform(push.unregister_push(brand, connection))

    async def opt_out_links(
        self, brand: RegistryBrand, recipients: Sequence[str], recipient_type: RecipientType
    ) -> tuple[OptOutLink, ...] | CallFailure:
        return await self.perform(push.opt_out_links(brand, recipients, recipient_type))

    # Reconciliation

    async def reconciliation_summary(
        self, brand: RegistryBrand, day: str, recipient_type: RecipientType
    ) -> tuple[ChangeStat, ...] | CallFailure:
        return await self.perform(reconciliation.summary(brand, day, recipient_type))

    async def reconciliation_info(self, brand: RegistryBrand, day: str) -> Agreement | CallFailure | None:
        """None if there is nothing of the day."""
        return await self.perform(reconciliation.agreement(brand, day))

    async def reconciliation_save(self, brand: RegistryBrand, day: str) -> bool | CallFailure:
        """Agree for good; False if the day had no movement."""
        return await self.perform(reconciliation.agree(brand, day))

    async def reconciliation_file(
        self, brand: RegistryBrand, day: str, write: Callable[[bytes], object]
    ) -> bool | CallFailure:
        """The daily file into ``write``, block by block; False if there is none. Keep it only on True."""
        result = await self.perform(reconciliation.daily_file(brand, day), write)
        return result if isinstance(result, Failure) else result is not None

    async def reconciliation_time_stamp(self, brand: RegistryBrand, day: str) -> bytes | CallFailure | None:
        return await self.perform(reconciliation.time_stamp(brand, day))

    # Dealers

    async def add_retailer(self, brand: RegistryBrand, retailer: RetailerToAdd) -> int | CallFailure:
        """Gives the new dealer's code."""
        return await self.perform(dealers.add_retailer(brand, retailer))

    async def retailers(
        self,
        brand: RegistryBrand,
        offset: int = 0,
        limit: int = dealers.MAX_PAGE,
        *,
        is_all: bool | None = None,
        is_short: bool | None = None,
    ) -> Page[Retailer] | CallFailure:
        return await self.perform(dealers.retailers(brand, offset, limit, is_all=is_all, is_short=is_short))

    async def retailer(self, brand: RegistryBrand, retailer_code: int) -> Retailer | CallFailure:
        return await self.perform(dealers.retailer(brand, retailer_code))

    async def delete_retailer(self, brand: RegistryBrand, retailer_code: int) -> CallFailure | None:
        return await self.perform(dealers.delete_retailer(brand, retailer_code))

    async def add_access(
        self, brand: RegistryBrand, subject: ConsentSubject, codes: Sequence[int]
    ) -> Added | CallFailure:
        return await self.perform(dealers.add_access(brand, subject, codes))

    async def set_access(
        self,
        brand: RegistryBrand,
        channel: Channel,
        recipient_type: RecipientType,
        recipients: Sequence[str],
        codes: Sequence[int],
    ) -> CallFailure | None:
        return await self.perform(dealers.set_access(brand, channel, recipient_type, recipients, codes))

    async def access(
        self, brand: RegistryBrand, subject: ConsentSubject, offset: int = 0, limit: int = dealers.MAX_PAGE
    ) -> Page[Retailer] | CallFailure:
        return await self.perform(dealers.access(brand, subject, offset, limit))

    async def remove_access(
        self,
        brand: RegistryBrand,
        channel: Channel,
        recipient_type: RecipientType,
        recipients: Sequence[str],
        codes: Sequence[int],
    ) -> CallFailure | None:
        return await self.perform(dealers.remove_access(brand, channel, recipient_type, recipients, codes))

    async def remove_all_access(
        self, brand: RegistryBrand, channel: Channel, recipient_type: RecipientType, recipients: Sequence[str]
    ) -> CallFailure | None:
        return await self.perform(dealers.remove_all_access(brand, channel, recipient_type, recipients))
