"""The log of calls, and of every breach of a documented limit, so that a test can say: there was none."""

from __future__ import annotations

import sqlite3
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtest.registry.book.database import Database

_KEPT = 20_000


@dataclass
class Logged:
    """One call; ``at`` in simulated seconds since 1970. No body, no token, no address of a person."""

    number: int
    at: float
    source: str
    method: str
    path: str
    operation: str
    user: str
    status: int
    codes: list[str] = field(default_factory=list)
    fault: str = ""
    size: int = 0


class Traffic:
    """The last calls are kept in memory, counts since the start too; breaches are kept in the file."""

    def __init__(self, database: Database) -> None:
        self._connection: sqlite3.Connection = database.connection
        self.calls: deque[Logged] = deque(maxlen=_KEPT)
        self.total = 0
        self.by_operation: Counter[str] = Counter()
        self.by_status: Counter[int] = Counter()
        self.by_code: Counter[str] = Counter()

    def log(self, call: Logged) -> None:
        self.total += 1
        self.calls.append(call)
        self.by_operation[call.operation] += 1
        self.by_status[call.status] += 1
        self.by_code.update(call.codes)

    def breach(self, at: float, rule: str, detail: str) -> None:
        self._connection.execute("INSERT INTO breaches VALUES (NULL, ?, ?, ?)", (at, rule, detail))
        self._connection.commit()

    def breaches(self) -> list[dict[str, Any]]:
        rows = self._connection.execute("SELECT at, rule, detail FROM breaches ORDER BY id")
        return [{"at": at, "rule": rule, "detail": detail} for at, rule, detail in rows]

    def clear(self) -> None:
        self.calls.clear()
        self.total = 0
        for counter in (self.by_operation, self.by_status, self.by_code):
            counter.clear()
        self._connection.execute("DELETE FROM breaches")
        self._connection.commit()

    def render(self, after: int, limit: int) -> dict[str, Any]:
        return {
            "total": self.total,
            "by_operation": dict(self.by_operation),
            "by_status": {str(status): amount for status, amount in self.by_status.items()},
            "by_code": dict(self.by_code),
            "breaches": self.breaches(),
            "calls": [asdict(each) for each in self.calls if each.number > after][-limit:],
        }
