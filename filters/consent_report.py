"""A consent that a sender hands us for registration, while it waits in the outbox beside the reports of refusals.

It permits nothing before the registry holds it (Reg. 5/3; edge cases E5, E6). Sealed as refusals are
(``filters.refusal_report``), because it names the address.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from filters.refusal_report import ITEM_ID_BYTES, RefusalReport, ReportSeal, refusal_of
from filters.registry.values import ConsentToAdd
from filters.vocabulary import Channel, RecipientType, Status

KIND = 2
"""``v`` of the sealed fields; reports of refusals have 1."""


class ConsentReport(NamedTuple):
    """``key`` is the consent key of brand and address; ``taken_at`` when the sender handed it to us."""

    brand: int
    key: bytes
    consent: ConsentToAdd
    taken_at: int

    @property
    def item_id(self) -> bytes:
        """The same for each repetition of one consent, another for any other will or date."""
        consent = self.consent
        what = "\0".join(
            str(part)
            for part in (
                self.brand,
                consent.channel,
                consent.recipient_type,
                consent.status,
                consent.consent_at,
                consent.source,
                consent.retailer_code,
                *consent.retailer_access,
            )
        )
        return blake2b(what.encode() + b"\0" + self.key, digest_size=ITEM_ID_BYTES, person=b"izin-consent-id").digest()


Report = RefusalReport | ConsentReport


def seal_consent(seal: ReportSeal, report: ConsentReport, nonce: bytes) -> bytes:
    """The sealed form; ``nonce`` as in ``ReportSeal.seal``."""
    fields = {
        **report.consent._asdict(),
        "brand": report.brand,
        "key": report.key.hex(),
        "taken_at": report.taken_at,
        "v": KIND,
    }
    return seal.seal_fields(report.item_id, fields, nonce)


def open_report(seal: ReportSeal, item_id: bytes, sealed: bytes) -> Report:
    """Whichever report is behind ``sealed``. Raises ``ValueError`` as ``ReportSeal.open``."""
    fields = seal.open_fields(item_id, sealed)
    return _consent_of(fields) if fields["v"] == KIND else refusal_of(fields)


def consent_to_add(report: Report) -> ConsentToAdd:
    """What the registry is to be told."""
    if isinstance(report, ConsentReport):
        return report.consent
    return ConsentToAdd(
        report.address, report.channel, report.recipient_type, Status.REJECTED, report.refused_at, report.source
    )


def _consent_of(fields: Mapping[str, Any]) -> ConsentReport:
    consent = ConsentToAdd(
        fields["recipient"],
        Channel(fields["channel"]),
        RecipientType(fields["recipient_type"]),
        Status(fields["status"]),
        fields["consent_at"],
        fields["source"],
        fields["retailer_code"],
        tuple(fields["retailer_access"]),
    )
    return ConsentReport(fields["brand"], bytes.fromhex(fields["key"]), consent, fields["taken_at"])
