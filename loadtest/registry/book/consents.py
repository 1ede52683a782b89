"""Consents and their movements: written by providers (by rule) and by citizens (at will), read in every way."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import orjson

from loadtest.registry.book.database import Database, transaction_id
from loadtest.registry.rules.dates import render_instant
from loadtest.registry.rules.items import Item
from loadtest.registry.rules.state import Stored, find_state_fault
from loadtest.registry.rules.words import CITIZEN_ADDED, LINE_CLOSED, RECIPIENT_TYPES, STATUSES, TYPES

APPROVED, REJECTED, UNCHANGED = 1, -1, 0
"""What a movement did to the consent; the daily summary counts these."""


class Movement(NamedTuple):
    """One line of a consent's life, as changes, history, push and daily file tell it."""

    id: int
    brand: int
    is_iys: int
    created_ms: int
    transaction_id: str
    recipient: str
    type: int
    recipient_type: int
    status: int
    source: str
    consent_at: int | None
    citizen: str | None
    change: int

    def render(self) -> dict[str, Any]:
        """Without the codes of provider and brand, which only push adds."""
        made: dict[str, Any] = {
            "consentDate": "" if self.consent_at is None else render_instant(self.consent_at),
            "creationDate": render_instant(self.created_ms / 1000),
            "source": self.source,
            "recipient": self.recipient,
            "recipientType": RECIPIENT_TYPES[self.recipient_type],
            "status": STATUSES[self.status],
            "type": TYPES[self.type],
            "transactionId": self.transaction_id,
        }
        if self.citizen is not None:
            made["citizenName"] = self.citizen
        return made


class Written(NamedTuple):
    """The registry's receipt."""

    transaction_id: str
    created_ms: int


class CitizenError(ValueError):
    """A movement that a citizen cannot make; the sentence says why."""


class Consents:
    """The book. ``on_citizen`` hears of each movement that did not come from the provider, once it is written."""

    def __init__(self, database: Database) -> None:
        self._connection: sqlite3.Connection = database.connection
        self.on_citizen: Callable[[Movement], None] = lambda _movement: None
        self.is_equal_date_refused = False

    # Reading

    def find(self, brand: int, channel: int, recipient_type: int, recipient: str) -> Stored | None:
        row = self._connection.execute(
            "SELECT status, source, consent_at, created_ms, retailer, access FROM consents"
            " WHERE brand = ? AND type = ? AND recipient_type = ? AND recipient = ?",
            (brand, channel, recipient_type, recipient),
        ).fetchone()
        if row is None:
            return None
        status, source, consent_at, created_ms, retailer, access = row
        return Stored(status, source, consent_at, created_ms, retailer, tuple(orjson.loads(access)) if access else ())

    def select_approved(self, brand: int, channel: int, recipient_type: int, recipients: list[str]) -> set[str]:
        """Those of ``recipients`` (at most 1000) that have consented."""
        marks = ",".join("?" * len(recipients))
        rows = self._connection.execute(
            "SELECT recipient FROM consents WHERE brand = ? AND type = ? AND recipient_type = ?"
            f" AND recipient IN ({marks}) AND status = 1",
            (brand, channel, recipient_type, *recipients),
        )
        return {row[0] for row in rows}

    def find_all(self, brand: int, recipient: str) -> dict[tuple[int, int], Stored]:
        """Everything about one address, by (type, recipient type)."""
        keys = [(channel, kind) for channel in range(len(TYPES)) for kind in range(len(RECIPIENT_TYPES))]
        found = {key: self.find(brand, *key, recipient) for key in keys}
        return {key: stored for key, stored in found.items() if stored is not None}

    def history(self, brand: int, channel: int, recipient_type: int, recipient: str) -> list[Movement]:
        """Newest consent date first. A consent that was seeded has one line, its own."""
        rows = self._connection.execute(
            "SELECT * FROM movements WHERE brand = ? AND recipient = ? AND type = ? AND recipient_type = ?"
            " ORDER BY consent_at DESC, created_ms DESC",
            (brand, recipient, channel, recipient_type),
        ).fetchall()
        if rows:
            return [Movement(*row) for row in rows]
        stored = self.find(brand, channel, recipient_type, recipient)
        return [] if stored is None else [_seeded(brand, channel, recipient_type, recipient, stored)]

    def counts(self, brand: int) -> tuple[int, int]:
        """How many consents and refusals the brand has."""
        rows = dict(self._connection.execute("SELECT status, amount FROM counts WHERE brand = ?", (brand,)).fetchall())
        return rows.get(1, 0), rows.get(0, 0)

    # Writing; the caller commits

    def add(self, brand: int, item: Item, now_ms: int) -> Written | str:
        """Write what a provider sent, or say under which code it is refused."""
        stored = self.find(brand, item.type, item.recipient_type, item.recipient)
        fault = find_state_fault(stored, item, is_equal_date_refused=self.is_equal_date_refused)
        if fault is not None:
            return fault
        source = item.source if item.source is not None else "HS_EORTAM"  # a merchant's first may come without one
        movement = self._store(brand, item, stored, source, now_ms, None)
        return Written(movement.transaction_id, movement.created_ms)

    def move(
        self,
        brand: int,
        key: tuple[int, int, str],
        status: int,
        source: str,
        now_ms: int,
        consent_at: int | None = None,
        citizen: str | None = None,
    ) -> Movement:
        """What a citizen (or a line that was closed) did; ``key`` is (type, recipient type, normalised address).

        Raises ``CitizenError`` where the registry's own pages would not offer it: refusing what was never given, or
        saying again what is so already.
        """
        channel, recipient_type, recipient = key
        stored = self.find(brand, channel, recipient_type, recipient)
        if stored is None and status == 0:
            raise CitizenError("there is no consent to refuse")
        if stored is not None and stored.status == status:
            raise CitizenError("the consent has this status already")
        at: int | None = now_ms // 1000 if consent_at is None else consent_at
        if source == LINE_CLOSED and stored is not None:
            at = stored.consent_at
        if stored is None and source == "IYS_WEB":
            source = CITIZEN_ADDED
        if source != CITIZEN_ADDED:
            citizen = None
        item = Item(
            recipient,
            channel,
            recipient_type,
            status,
            source,
            at,
            stored.retailer if stored else None,
            stored.access if stored else (),
        )
        movement = self._store(brand, item, stored, source, now_ms, citizen)
        self._connection.commit()
        self.on_citizen(movement)
        return movement

    def set_access(self, brand: int, key: tuple[int, int, str], retailer: int | None, access: Iterable[int]) -> None:
        channel, recipient_type, recipient = key
        codes = list(access)
        self._connection.execute(
            "UPDATE consents SET retailer = ?, access = ?"
            " WHERE brand = ? AND type = ? AND recipient_type = ? AND recipient = ?",
            (retailer, orjson.dumps(codes).decode() if codes else None, brand, channel, recipient_type, recipient),
        )

    def find_repeat(self, brand: int, item: Item) -> tuple[Written, str | None] | None:
        """The receipt of the very same item sent before, and where in a bulk request it stood."""
        row = self._connection.execute(
            "SELECT transaction_id, created_ms, origin FROM repeats WHERE mark = ?", (_mark(brand, item),)
        ).fetchone()
        return None if row is None else (Written(row[0], row[1]), row[2])

    def remember(self, brand: int, item: Item, written: Written, origin: str | None) -> None:
        """So that a repeat is recognised; for ever, as nobody says how long."""
        self._connection.execute(
            "INSERT OR IGNORE INTO repeats VALUES (?, ?, ?, ?)", (_mark(brand, item), *written, origin)
        )

    def _store(
        self, brand: int, item: Item, stored: Stored | None, source: str, now_ms: int, citizen: str | None
    ) -> Movement:
        created_ms = self._free_ms(brand, item, stored, now_ms)
        access = orjson.dumps(item.access).decode() if item.access else None
        self._connection.execute(
            "INSERT OR REPLACE INTO consents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                brand,
                item.type,
                item.recipient_type,
                item.recipient,
                item.status,
                source,
                item.consent_at,
                created_ms,
                item.retailer,
                access,
            ),
        )
        if stored is None or stored.status != item.status:
            self._count(brand, item.status, 1)
            if stored is not None:
                self._count(brand, stored.status, -1)
        change = UNCHANGED
        if stored is None or stored.status != item.status:
            change = APPROVED if item.status else REJECTED
        movement = Movement(
            0,
            brand,
            int(source.startswith("IYS_")),
            created_ms,
            transaction_id(item.recipient, item.type, created_ms),
            item.recipient,
            item.type,
            item.recipient_type,
            item.status,
            source,
            item.consent_at,
            citizen,
            change,
        )
        return movement._replace(id=self._insert(movement))

    def _free_ms(self, brand: int, item: Item, stored: Stored | None, now_ms: int) -> int:
        """A millisecond in which this address has no movement yet, so that a cursor can stand between any two."""
        rows = self._connection.execute(
            "SELECT MAX(created_ms) FROM movements WHERE brand = ? AND recipient = ? AND type = ?",
            (brand, item.recipient, item.type),
        ).fetchone()
        if rows[0] is None and stored is not None:
            self._insert(_seeded(brand, item.type, item.recipient_type, item.recipient, stored))
        return now_ms if rows[0] is None or rows[0] < now_ms else int(rows[0]) + 1

    def _insert(self, movement: Movement) -> int:
        cursor = self._connection.execute(
            "INSERT INTO movements VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", movement[1:]
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _count(self, brand: int, status: int, amount: int) -> None:
        self._connection.execute(
            "INSERT INTO counts VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET amount = amount + ?",
            (brand, status, amount, amount),
        )


def _seeded(brand: int, channel: int, recipient_type: int, recipient: str, stored: Stored) -> Movement:
    return Movement(
        0,
        brand,
        int(stored.source.startswith("IYS_")),
        stored.created_ms,
        transaction_id(recipient, channel, stored.created_ms),
        recipient,
        channel,
        recipient_type,
        stored.status,
        stored.source,
        stored.consent_at,
        None,
        UNCHANGED,
    )


def _mark(brand: int, item: Item) -> bytes:
    return hashlib.sha256(orjson.dumps([brand, *item])).digest()
