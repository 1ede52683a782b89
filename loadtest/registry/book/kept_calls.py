"""Calls that count for an hour, so that the hour goes on where it stood when the registry is started again."""

from __future__ import annotations

from loadtest.registry.book.database import Database

_HOUR_S = 3600.0


class KeptCalls:
    """Written with each such call; there are at most some hundreds an hour."""

    def __init__(self, database: Database) -> None:
        self._connection = database.connection

    def add(self, rule: str, address: str, at: float) -> None:
        self._connection.execute("DELETE FROM hourly_calls WHERE at <= ?", (at - _HOUR_S,))
        self._connection.execute("INSERT INTO hourly_calls VALUES (?, ?, ?)", (rule, address, at))
        self._connection.commit()

    def block(self, address: str, until: float) -> None:
        self._connection.execute("INSERT OR REPLACE INTO blocks VALUES (?, ?)", (address, until))
        self._connection.commit()

    def calls(self) -> list[tuple[str, str, float]]:
        """Rule, address and instant, oldest first."""
        return self._connection.execute("SELECT rule, address, at FROM hourly_calls ORDER BY at").fetchall()

    def blocks(self) -> dict[str, float]:
        return dict(self._connection.execute("SELECT address, until FROM blocks").fetchall())

    def clear(self) -> None:
        self._connection.execute("DELETE FROM hourly_calls")
        self._connection.execute("DELETE FROM blocks")
        self._connection.commit()
