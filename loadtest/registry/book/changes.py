"""The feed of movements: an hour late, seven days long, oldest first (reference 6.7)."""

from __future__ import annotations

import json
import re

from loadtest.registry.book.consents import Movement
from loadtest.registry.book.database import Database

LAG_MS = 60 * 60 * 1000
REACH_MS = 7 * 86_400 * 1000
_CURSOR = re.compile(r"([0-9]{1,16})_([0-9a-f]{64})")


def parse_cursor(text: str) -> tuple[int, str]:
    """Millisecond and transaction of the last movement seen. Raises ``ValueError``."""
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise ValueError("not a cursor")
    return int(found[1]), found[2]


def render_cursor(movement: Movement) -> str:
    return f"{movement.created_ms}_{movement.transaction_id}"


class Changes:
    """Reads the feed."""

    def __init__(self, database: Database) -> None:
        self._connection = database.connection

    def read(
        self, brand: int, *, is_iys: bool, after: tuple[int, str] | None, limit: int, now_ms: int, types: list[int]
    ) -> list[Movement]:
        """At most ``limit`` movements of ``types`` after the cursor, within the window."""
        from_ms, to_ms = now_ms - REACH_MS, now_ms - LAG_MS
        place = after if after is not None and after[0] >= from_ms else (from_ms - 1, "g")
        rows = self._connection.execute(
            "SELECT * FROM movements WHERE brand = ? AND is_iys = ? AND (created_ms, transaction_id) > (?, ?)"
            " AND created_ms <= ? AND type IN (SELECT value FROM json_each(?))"
            " ORDER BY created_ms, transaction_id LIMIT ?",
            (brand, int(is_iys), *place, to_ms, json.dumps(types), limit),
        )
        return [Movement(*row) for row in rows]
