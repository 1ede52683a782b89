"""Consents that are not to be registered any more, because a refusal of ours came after them.

The registry takes no refusal of what it never held (H175), so such a refusal stands in our index alone. If a consent
from before it were registered now, the registry would hold the consent and never hear of the refusal. While the refusal
still waits to be told the consent goes first, and the refusal after it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from filters.consent import Consent, unpack
from filters.consent_report import ConsentReport
from filters.vocabulary import RecipientType, Status
from gateway.registry.ports import SyncIndex
from gateway.registry.reporting.agenda import Waiting


async def find_overtaken(
    index: SyncIndex, brand: int, ready: Sequence[Waiting], to_refuse: Collection[tuple[bytes, RecipientType]]
) -> list[Waiting]:
    """Those of ``ready``; ``to_refuse`` as of ``Ready``. Raises ``OSError`` of the index."""
    consents = [
        waiting
        for waiting in ready
        if isinstance(waiting.report, ConsentReport)
        and waiting.consent.status is Status.APPROVED
        and (waiting.pair, waiting.consent.recipient_type) not in to_refuse
    ]
    if not consents:
        return []
    found = await index.find(brand, [waiting.report.key for waiting in consents])
    return [
        waiting
        for waiting, value in zip(consents, found.values, strict=True)
        if value
        and _is_overtaken(waiting, unpack(value).get((waiting.consent.channel, waiting.consent.recipient_type)))
    ]


def _is_overtaken(waiting: Waiting, held: Consent | None) -> bool:
    """By the rule of the index: the later will, at the same second the refusal."""
    at = waiting.consent.consent_at
    if held is None or at is None:
        return False
    return held.status is Status.REJECTED and held.own and held.consent_at >= at
