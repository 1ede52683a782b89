"""The report of a refusal to the registry, while it waits in the outbox.

It has to name the address in clear (the registry knows no hashes), so in the store it is sealed with AES-GCM: a dump
of the store shows no address (KVKK). Sealed form: one byte key id, 12 bytes nonce, ciphertext with tag; the item's
id is authenticated beside it, so that a report cannot be moved to another item.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from filters.vocabulary import Channel, RecipientType

MIN_SECRET_BYTES = 32
MAX_KEY_ID = 255
NONCE_BYTES = 12
ITEM_ID_BYTES = 16


class RefusalReport(NamedTuple):
    """What the registry has to be told.

    ``address`` is the canonical address, or "" where only the consent ``key`` is known (a mail whose subject was lost
    and whose sender is another): then a person has to find it. ``refused_at`` in seconds since 1970 UTC; ``source`` a
    registry source name.
    """

    brand: int
    channel: Channel
    recipient_type: RecipientType
    address: str
    key: bytes
    refused_at: int
    source: str

    @property
    def item_id(self) -> bytes:
        """The same for each repetition of a refusal, so that it is reported once.

        Whether the address is known is part of it: a later refusal that brings the address is news to the registry.
        """
        what = f"{self.brand} {self.channel} {self.recipient_type} {bool(self.address):d} "
        return blake2b(what.encode() + self.key, digest_size=ITEM_ID_BYTES, person=b"izin-outbox-id").digest()


class ReportSeal:
    """Seals and opens reports. ``secrets`` maps key ids (0..255) to at least 32 bytes; ``current`` seals.

    Raises ``ValueError`` where that does not hold. Old keys keep opening.
    """

    __slots__ = ("_ciphers", "_current")

    def __init__(self, secrets: Mapping[int, bytes], current: int) -> None:
        for key_id, secret in secrets.items():
            if not 0 <= key_id <= MAX_KEY_ID:
                raise ValueError(f"report key id: expected 0 to {MAX_KEY_ID}, found {key_id}")
            if len(secret) < MIN_SECRET_BYTES:
                raise ValueError(
                    f"report key {key_id}: expected at least {MIN_SECRET_BYTES} bytes, found {len(secret)}"
                )
        if current not in secrets:
            raise ValueError(f"report keys: the current key {current} is not among {sorted(secrets)}")
        self._current = current
        self._ciphers = {
            key_id: AESGCM(blake2b(secret, digest_size=32, person=b"izin-report-key").digest())
            for key_id, secret in secrets.items()
        }

    def seal(self, report: RefusalReport, nonce: bytes) -> bytes:
        """The sealed form. ``nonce``: ``NONCE_BYTES`` random bytes, never used twice with one key."""
        return self.seal_fields(report.item_id, {**report._asdict(), "key": report.key.hex(), "v": 1}, nonce)

    def seal_fields(self, item_id: bytes, fields: Mapping[str, object], nonce: bytes) -> bytes:
        """The sealed form of whatever else waits in the outbox (JSON values); ``nonce`` as in ``seal``."""
        plain = orjson.dumps(fields)
        return bytes((self._current,)) + nonce + self._ciphers[self._current].encrypt(nonce, plain, item_id)

    def open(self, item_id: bytes, sealed: bytes) -> RefusalReport:
        """The report behind ``sealed``. Raises ``ValueError`` if it was altered, belongs to another item, or its key
        is missing."""
        return refusal_of(self.open_fields(item_id, sealed))

    def open_fields(self, item_id: bytes, sealed: bytes) -> dict[str, Any]:
        """The fields behind ``sealed``; ``v`` says of which kind of report. Raises ``ValueError`` as ``open``."""
        cipher = self._ciphers.get(sealed[0]) if sealed else None
        if cipher is None:
            raise ValueError("refusal report: sealed with a key that is not configured")
        try:
            plain = cipher.decrypt(sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :], item_id)
        except (InvalidTag, ValueError) as error:
            raise ValueError("refusal report: altered, or sealed for another item") from error
        fields: dict[str, Any] = orjson.loads(plain)
        return fields


def refusal_of(fields: Mapping[str, Any]) -> RefusalReport:
    """The report in opened fields."""
    return RefusalReport(
        fields["brand"],
        Channel(fields["channel"]),
        RecipientType(fields["recipient_type"]),
        fields["address"],
        bytes.fromhex(fields["key"]),
        fields["refused_at"],
        fields["source"],
    )
