"""Dealers of a brand."""

from __future__ import annotations

from typing import Any

import orjson

from loadtest.registry.book.database import Database

_FIRST_CODE = 10_000_001
_SHORT = ("title", "city", "retailerCode", "retailerAccessCount", "status")


class Retailers:
    """The list of dealers; a code is never given twice."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = database.connection

    def is_known(self, brand: int, code: int) -> bool:
        return self.find(brand, code) is not None

    def owner(self, code: int) -> int | None:
        """The brand whose dealer this is."""
        row = self._connection.execute("SELECT brand FROM retailers WHERE code = ?", (code,)).fetchone()
        return None if row is None else int(row[0])

    def find(self, brand: int, code: int) -> dict[str, Any] | None:
        row = self._connection.execute(
            "SELECT code, body, status FROM retailers WHERE brand = ? AND code = ?", (brand, code)
        ).fetchone()
        return None if row is None else self._render(brand, *row)

    def all(self, brand: int) -> list[dict[str, Any]]:
        rows = self._connection.execute(
            "SELECT code, body, status FROM retailers WHERE brand = ? ORDER BY code", (brand,)
        ).fetchall()
        return [self._render(brand, *row) for row in rows]

    def count(self, brand: int) -> int:
        row = self._connection.execute("SELECT COUNT(*) FROM retailers WHERE brand = ?", (brand,)).fetchone()
        return int(row[0])

    def add(self, brand: int, body: dict[str, Any]) -> int:
        next_code = self._database.read("next_retailer")
        code = next_code if isinstance(next_code, int) else _FIRST_CODE
        status = body.get("status", "active")
        kept = {name: value for name, value in body.items() if name != "status"}
        self._connection.execute(
            "INSERT INTO retailers VALUES (?, ?, ?, ?)", (code, brand, orjson.dumps(kept).decode(), status)
        )
        self._database.write("next_retailer", code + 1)
        return code

    def remove(self, brand: int, code: int) -> None:
        self._connection.execute("DELETE FROM retailers WHERE brand = ? AND code = ?", (brand, code))
        self._connection.commit()

    def count_references(self, brand: int, code: int) -> int:
        """Consents that name the dealer, as the one that took it or among those with access."""
        row = self._connection.execute(
            "SELECT COUNT(*) FROM consents INDEXED BY consents_of_dealers"
            " WHERE brand = ? AND (retailer IS NOT NULL OR access IS NOT NULL)"
            " AND (retailer = ? OR EXISTS (SELECT 1 FROM json_each(access) WHERE json_each.value = ?))",
            (brand, code, code),
        ).fetchone()
        return int(row[0])

    def _render(self, brand: int, code: int, body: str, status: str) -> dict[str, Any]:
        references = self.count_references(brand, code)
        return {
            **orjson.loads(body),
            "retailerCode": code,
            "retailerAccessCount": references,
            "status": status,
            "canBeDeleted": not references,
        }


def shorten(retailer: dict[str, Any]) -> dict[str, Any]:
    """What ``short`` leaves of a dealer."""
    return {name: retailer[name] for name in _SHORT if name in retailer}
