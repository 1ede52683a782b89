"""Where movements are pushed to, and what is still on the way there."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from loadtest.registry.book.consents import Movement
from loadtest.registry.book.database import Database

MAX_ACTIVE_PER_TYPE = 2


class Connection(NamedTuple):
    """One registration."""

    id: int
    brand: int
    url: str
    type: int
    username: str
    password: str
    registered_ms: int
    is_active: int


class Delivery(NamedTuple):
    """One movement on its way to one connection."""

    id: int
    connection: int
    body: str
    due_ms: int
    attempts: int


class Connections:
    """Registrations and the queue."""

    def __init__(self, database: Database) -> None:
        self._connection = database.connection

    def all(self, brand: int) -> list[Connection]:
        rows = self._connection.execute("SELECT * FROM connections WHERE brand = ? ORDER BY id", (brand,))
        return [Connection(*row) for row in rows]

    def active(self, brand: int, channel: int) -> list[Connection]:
        return [each for each in self.all(brand) if each.is_active and each.type == channel]

    def find(self, number: int) -> Connection | None:
        row = self._connection.execute("SELECT * FROM connections WHERE id = ?", (number,)).fetchone()
        return None if row is None else Connection(*row)

    def register(self, brand: int, url: str, channel: int, username: str, password: str, now_ms: int) -> None:
        """The same address and type again replaces the former registration."""
        self._connection.execute(
            "DELETE FROM connections WHERE brand = ? AND url = ? AND type = ?", (brand, url, channel)
        )
        self._connection.execute(
            "INSERT INTO connections VALUES (NULL, ?, ?, ?, ?, ?, ?, 1)",
            (brand, url, channel, username, password, now_ms),
        )
        self._connection.commit()

    def unregister(self, connection: Connection) -> None:
        self._connection.execute("UPDATE connections SET is_active = 0 WHERE id = ?", (connection.id,))
        self._connection.execute("DELETE FROM deliveries WHERE connection = ?", (connection.id,))
        self._connection.commit()

    def queue(self, connection: Connection, iys_code: int, movement: Movement, due_ms: int) -> None:
        body: dict[str, Any] = {"iysCode": iys_code, "brandCode": movement.brand, **movement.render()}
        body.pop("citizenName", None)
        self._connection.execute(
            "INSERT INTO deliveries VALUES (NULL, ?, ?, ?, 0)", (connection.id, orjson.dumps(body).decode(), due_ms)
        )
        self._connection.commit()

    def due(self, now_ms: int, at_most: int) -> list[Delivery]:
        rows = self._connection.execute(
            "SELECT * FROM deliveries WHERE due_ms <= ? ORDER BY due_ms, id LIMIT ?", (now_ms, at_most)
        )
        return [Delivery(*row) for row in rows]

    def next_due_ms(self) -> int | None:
        row = self._connection.execute("SELECT MIN(due_ms) FROM deliveries").fetchone()
        return None if row is None else row[0]

    def done(self, deliveries: list[Delivery]) -> None:
        self._connection.executemany("DELETE FROM deliveries WHERE id = ?", [(each.id,) for each in deliveries])
        self._connection.commit()

    def again(self, deliveries: list[Delivery], now_ms: int, first_wait_s: float) -> None:
        """Later, each time twice as late."""
        self._connection.executemany(
            "UPDATE deliveries SET due_ms = ?, attempts = attempts + 1 WHERE id = ?",
            [(now_ms + int(first_wait_s * 1000 * 2**each.attempts), each.id) for each in deliveries],
        )
        self._connection.commit()

    def waiting(self) -> int:
        row = self._connection.execute("SELECT COUNT(*) FROM deliveries").fetchone()
        return int(row[0])
