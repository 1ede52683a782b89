"""Bulk requests: taken at once or not at all, written item by item later, told when asked.

Items are written when their time has come, in order, before anything else is read or written: so it makes no
difference whether the clock ran there or was moved, and a restart loses nothing.
"""

from __future__ import annotations

import uuid
from typing import Any

import orjson

from loadtest.registry.book.consents import Consents, Written
from loadtest.registry.book.database import Database
from loadtest.registry.rules.codes import CODES
from loadtest.registry.rules.dates import render_instant
from loadtest.registry.rules.items import Item

_KEPT_MS = 60 * 86_400 * 1000
_SILENT_SHARE = 0.3  # of the delay, in which a poll is answered with an empty list, then with items in the queue


class Bulk:
    """What is in work and what came of it."""

    def __init__(self, database: Database, consents: Consents) -> None:
        self._connection = database.connection
        self._consents = consents

    def take(self, brand: int, items: list[Item], now_ms: int, delay_s: float, *, is_v2: bool) -> tuple[str, list[str]]:
        """Ids of the request and of its items."""
        request = uuid.uuid4().hex
        delay_ms = delay_s * 1000
        visible_ms = now_ms + int(delay_ms * _SILENT_SHARE)
        self._connection.execute(
            "INSERT INTO bulk_requests VALUES (?, ?, ?, ?, ?)", (request, brand, now_ms, visible_ms, int(is_v2))
        )
        sub_ids = [str(uuid.uuid4()) for _ in items]
        left_ms = delay_ms * (1 - _SILENT_SHARE)
        self._connection.executemany(
            "INSERT INTO bulk_items VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, NULL)",
            (
                (
                    request,
                    position,
                    sub_ids[position],
                    brand,
                    orjson.dumps(list(item)).decode(),
                    visible_ms + int(left_ms * (position + 1) / len(items)),
                    now_ms,
                )
                for position, item in enumerate(items)
            ),
        )
        return request, sub_ids

    def settle(self, now_ms: int) -> int:
        """Write all items whose time has come; how many there were."""
        rows = self._connection.execute(
            "SELECT due_ms, request, position, sub_id, bulk_items.brand, item, is_v2 FROM bulk_items"
            " JOIN bulk_requests ON bulk_requests.id = request WHERE due_ms <= ? ORDER BY due_ms, request, position",
            (now_ms,),
        ).fetchall()
        for due_ms, request, position, sub_id, brand, text, is_v2 in rows:
            item = _load_item(text)
            code, written, origin = self._write(brand, item, due_ms, f"{request}/{sub_id}", is_v2=bool(is_v2))
            self._connection.execute(
                "UPDATE bulk_items SET due_ms = NULL, code = ?, transaction_id = ?, created_ms = ?, origin = ?"
                " WHERE request = ? AND position = ?",
                (code, *(written or (None, None)), origin, request, position),
            )
        if rows:
            self._connection.commit()
        return len(rows)

    def _write(
        self, brand: int, item: Item, now_ms: int, place: str, *, is_v2: bool
    ) -> tuple[str | None, Written | None, str | None]:
        if is_v2:
            repeat = self._consents.find_repeat(brand, item)
            if repeat is not None:
                return None, repeat[0], repeat[1] or ""
        outcome = self._consents.add(brand, item, now_ms)
        if isinstance(outcome, str):
            return outcome, None, None
        self._consents.remember(brand, item, outcome, place)
        return None, outcome, None

    def count_waiting(self, brand: int, from_ms: int, to_ms: int) -> list[Item]:
        """Items accepted in that time and not written yet."""
        rows = self._connection.execute(
            "SELECT item FROM bulk_items WHERE due_ms IS NOT NULL AND brand = ?"
            " AND accepted_ms >= ? AND accepted_ms < ?",
            (brand, from_ms, to_ms),
        )
        return [_load_item(row[0]) for row in rows]

    def poll(self, brand: int, request: str, now_ms: int, *, is_v2: bool) -> list[dict[str, Any]]:
        """The bare array of the answer; empty where nothing can be said (yet, any more, or ever)."""
        row = self._connection.execute(
            "SELECT created_ms, visible_ms FROM bulk_requests WHERE id = ? AND brand = ?", (request, brand)
        ).fetchone()
        if row is None or now_ms < row[1] or now_ms - row[0] > _KEPT_MS:
            return []
        rows = self._connection.execute(
            "SELECT position, sub_id, due_ms, code, transaction_id, created_ms, origin FROM bulk_items"
            " WHERE request = ? ORDER BY position",
            (request,),
        )
        return [_render(request, *each, is_v2=is_v2) for each in rows]


def _load_item(text: str) -> Item:
    recipient, channel, kind, status, source, consent_at, retailer, access = orjson.loads(text)
    return Item(recipient, channel, kind, status, source, consent_at, retailer, tuple(access))


def _render(
    request: str,
    position: int,
    sub_id: str,
    due_ms: int | None,
    code: str | None,
    transaction_id: str | None,
    created_ms: int | None,
    origin: str | None,
    *,
    is_v2: bool,
) -> dict[str, Any]:
    made: dict[str, Any] = {"index": position, "status": "enqueue", "subRequestId": sub_id}
    if due_ms is not None:
        return made
    if code is not None:
        return made | {"status": "failure", "error": {"code": code, "message": CODES[code].message}}
    assert created_ms is not None
    made |= {
        "status": "success",
        "transactionId": transaction_id,
        "creationDate": render_instant(created_ms / 1000),
        "requestId": request,
    }
    if is_v2 and origin is not None:
        made["isAddConsentV2Service"] = True
        if origin:  # a single add has no request that could be named
            original, _, original_sub = origin.partition("/")
            made["originalRequestInformation"] = {"requestId": original, "subRequestId": original_sub}
    return made
