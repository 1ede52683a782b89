"""The report of recipients left out of a message that was taken (design D3): plain SMTP has one reply for all.

A JSON object, signed, for the system that sent the message. It names people, so it travels to that system only, over
https, and stands in no log and on no disk of ours::

    POST {report_url}
    Content-Type: application/json
    X-Izin-Signature: sha256=<hexadecimal HMAC-SHA256 of the body under the client's report_secret>

    {"v":1,"message_id":"…","at":"2026-11-21T10:00:00+00:00","client":"shop","brand":600123,"campaign":"sonbahar",
     "recipients":[{"recipient":"a@example.com","verdict":"drop","reason":"NO_CONSENT",
                    "sentence_tr":"…","sentence_en":"…"}]}
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

from filters.reason import Reason
from filters.vocabulary import Verdict

SIGNATURE_FIELD = "X-Izin-Signature"
MIN_SECRET_BYTES = 16
_VERSION = 1


class DroppedRecipient(NamedTuple):
    """``recipient`` as the client wrote it."""

    recipient: str
    reason: Reason


class DropReport(NamedTuple):
    """One message. ``at``: when it was decided, seconds since 1970 UTC; ``brand`` None where none was found;
    ``campaign`` "" for none."""

    message_id: str
    at: float
    client: str
    brand: int | None
    campaign: str
    recipients: Sequence[DroppedRecipient]


def render_drop_report(report: DropReport) -> bytes:
    """The body."""
    return orjson.dumps(
        {
            "v": _VERSION,
            "message_id": report.message_id,
            "at": datetime.fromtimestamp(report.at, UTC).isoformat(timespec="seconds"),
            "client": report.client,
            "brand": report.brand,
            "campaign": report.campaign,
            "recipients": [
                {
                    "recipient": dropped.recipient,
                    "verdict": Verdict.DROP,
                    "reason": dropped.reason,
                    "sentence_tr": dropped.reason.sentence_tr,
                    "sentence_en": dropped.reason.sentence_en,
                }
                for dropped in report.recipients
            ],
        }
    )


def sign_drop_report(secret: bytes, body: bytes) -> str:
    """The value of ``SIGNATURE_FIELD``; the receiver computes it anew and compares."""
    return f"sha256={hmac.digest(secret, body, 'sha256').hex()}"
