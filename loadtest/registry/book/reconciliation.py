"""The finished day of a brand: its counts, its file, the file's hash, and the provider's word that it agrees."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from typing import Any

from loadtest.registry.book.bulk import Bulk
from loadtest.registry.book.consents import APPROVED, REJECTED, Movement
from loadtest.registry.book.database import Database
from loadtest.registry.rules.dates import day_bounds_ms, render_instant
from loadtest.registry.rules.words import RECIPIENT_TYPES, STATUSES, TYPES

_HEADER = "creationDate,transactionId,recipient,recipientType,type,status,consentDate,source\n"
_COUNTS = ("approval", "rejection", "pending", "total")
_NOTHING = [0, 0, 0, 0]


class Reconciliation:
    """Reads movements of whole days. A day that is over no longer changes, so its file is made once."""

    def __init__(self, database: Database, bulk: Bulk) -> None:
        self._connection = database.connection
        self._bulk = bulk
        self._files: dict[tuple[int, date], bytes] = {}

    def summary(self, brand: int, day: date, recipient_type: int) -> list[dict[str, Any]]:
        """``changeStats``: one entry for each channel with a movement."""
        from_ms, to_ms = day_bounds_ms(day)
        counts: dict[tuple[int, int], list[int]] = {}
        rows = self._connection.execute(
            "SELECT type, is_iys, change, COUNT(*) FROM movements WHERE brand = ? AND is_iys IN (0, 1)"
            " AND created_ms >= ? AND created_ms < ? AND recipient_type = ? GROUP BY 1, 2, 3",
            (brand, from_ms, to_ms, recipient_type),
        )
        for channel, is_iys, change, amount in rows:
            entry = counts.setdefault((channel, is_iys), [0, 0, 0, 0])
            entry[0] += amount if change == APPROVED else 0
            entry[1] += amount if change == REJECTED else 0
            entry[3] += amount
        for item in self._bulk.count_waiting(brand, from_ms, to_ms):
            if item.recipient_type == recipient_type:
                counts.setdefault((item.type, 0), [0, 0, 0, 0])[2] += 1
        return [
            {
                "type": name,
                "consents": [
                    {"source": side, **dict(zip(_COUNTS, counts.get((channel, is_iys), _NOTHING), strict=True))}
                    for is_iys, side in enumerate(("HS", "IYS"))
                ],
            }
            for channel, name in enumerate(TYPES)
            if (channel, 0) in counts or (channel, 1) in counts
        ]

    def has_movements(self, brand: int, day: date) -> bool:
        from_ms, to_ms = day_bounds_ms(day)
        return (
            self._connection.execute(
                "SELECT 1 FROM movements WHERE brand = ? AND is_iys IN (0, 1) AND created_ms >= ?"
                " AND created_ms < ? LIMIT 1",
                (brand, from_ms, to_ms),
            ).fetchone()
            is not None
        )

    def file(self, brand: int, day: date) -> bytes:
        """The CSV with its header, lines sorted by creation and transaction."""
        key = (brand, day)
        if key not in self._files:
            if len(self._files) >= 8:
                self._files.clear()
            self._files[key] = (_HEADER + "".join(self._lines(brand, day))).encode()
        return self._files[key]

    def hash(self, brand: int, day: date) -> str:
        """SHA-384 over the whole file, header included, in lower-case hex."""
        return hashlib.sha384(self.file(brand, day)).hexdigest()

    def _lines(self, brand: int, day: date) -> Iterator[str]:
        rows = self._connection.execute(
            "SELECT * FROM movements WHERE brand = ? AND is_iys IN (0, 1) AND created_ms >= ? AND created_ms < ?"
            " ORDER BY created_ms / 1000, transaction_id, created_ms, id",
            (brand, *day_bounds_ms(day)),
        )
        for row in rows:
            each = Movement(*row)
            consent_date = "" if each.consent_at is None else render_instant(each.consent_at)
            yield (
                f"{render_instant(each.created_ms / 1000)},{each.transaction_id},{each.recipient},"
                f"{RECIPIENT_TYPES[each.recipient_type]},{TYPES[each.type]},{STATUSES[each.status]},"
                f"{consent_date},{each.source}\n"
            )

    def forget_files(self) -> None:
        """When the clock was moved back, a finished day may not be finished."""
        self._files.clear()

    def is_agreed(self, brand: int, day: date) -> bool:
        return (
            self._connection.execute(
                "SELECT 1 FROM agreements WHERE brand = ? AND day = ?", (brand, day.isoformat())
            ).fetchone()
            is not None
        )

    def agree(self, brand: int, day: date) -> None:
        """Cannot be taken back."""
        self._connection.execute("INSERT OR IGNORE INTO agreements VALUES (?, ?)", (brand, day.isoformat()))
        self._connection.commit()
