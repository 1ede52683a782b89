"""Refusals that the registry could not take when it was told, because it held no consent yet (H175), told again.

They are in force here for ever (edge case E2). But a sender has three business days to register a consent, and often
does so by another way than ours; so a consent from before a refusal may reach the registry after the refusal's report
did. From then on the registry would say that this person agrees. The feed brings that consent to us, and the refusal
goes back into the outbox.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from filters.consent import unpack
from filters.consent_key import ConsentKeys
from filters.exchange import OutboxItem, Refusal
from filters.registry.merging import find_address
from filters.registry.values import Movement
from filters.vocabulary import Status
from gateway.refusals import RefusalReports
from gateway.registry.ports import SyncIndex

log = structlog.stdlib.get_logger(__name__)


class UnheardRefusals:
    """Looks at consents that the feed brought, once they are in the index."""

    def __init__(self, index: SyncIndex, keys: ConsentKeys, reports: RefusalReports) -> None:
        self._index = index
        self._keys = keys
        self._reports = reports

    async def tell_again(self, brand: int, movements: Sequence[Movement]) -> int:
        """How many refusals of ours go to the registry (again). Repeated it is harmless: a report waits once only, and
        one that was taken is no longer only ours. Raises ``OSError`` of the index."""
        consents: dict[tuple[bytes, Movement], bytes] = {}
        for movement in movements:
            if movement.status is Status.APPROVED:
                address = find_address(movement.subject.recipient, movement.subject.channel)
                if address is not None:
                    consents[address, movement] = self._keys.derive(brand, address)
        if not consents:
            return 0
        wanted = list(dict.fromkeys(consents.values()))
        found = await self._index.find(brand, wanted)
        states = {key: unpack(value) for key, value in zip(wanted, found.values, strict=True) if value}
        outbox: dict[bytes, OutboxItem] = {}
        for (address, movement), key in consents.items():
            _, channel, kind = movement.subject
            held = states.get(key, {}).get((channel, kind))
            if held is not None and held.status is Status.REJECTED and held.own:
                refusal = Refusal(brand, channel, key, address, kind, held.consent_at, held.source)
                item = self._reports.make(refusal, kind)
                outbox[item.item_id] = item
        if outbox:
            await self._index.apply(brand, [], outbox=list(outbox.values()))
            log.info("report.told_again", brand=brand, reports=len(outbox))
        return len(outbox)
