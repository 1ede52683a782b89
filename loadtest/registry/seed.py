"""Fills a registry's file with made-up consents, the same people that ``loadtest.seed_index`` puts into an index.

Person ``n`` wants what ``seed_index.consent_of`` says; by e-mail they are ``seed<n>@seed.example``, by phone a number
made from ``n``. Seeded consents are stored long ago, so they are no movements of the last days; rows go in in the
order of their key, which is what makes it fast.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from filters.vocabulary import RecipientType, Status
from loadtest.registry.book.database import Database
from loadtest.registry.rules.words import TYPES
from loadtest.seed_index import address_of, consent_of

_CHUNK = 50_000
MAX_PHONES = 10_000_000


def recipient_of(number: int, channel: str) -> str:
    """The address of person ``number`` on a channel."""
    return address_of(number).decode() if channel == "EPOSTA" else f"+90532{number:07d}"


def seed(
    path: Path, brand: int, count: int, channel: str, observe: Callable[[int], None] = lambda _done: None
) -> float:
    """Store persons 0 to ``count`` - 1; how many seconds it took. Raises ``ValueError`` for more phones than exist."""
    if channel != "EPOSTA" and count > MAX_PHONES:
        raise ValueError(f"expected at most {MAX_PHONES} phone numbers, found {count}")
    began = time.monotonic()
    database = Database(path)
    connection = database.connection
    done = 0
    for kind, recipient_type in enumerate((RecipientType.INDIVIDUAL, RecipientType.BUSINESS)):
        rows = _rows(brand, count, channel, kind, recipient_type)
        while chunk := list(islice(rows, _CHUNK)):
            connection.executemany("INSERT OR IGNORE INTO consents VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)", chunk)
            connection.commit()
            done += len(chunk)
            observe(done)
    connection.execute("DELETE FROM counts WHERE brand = ?", (brand,))
    connection.execute(
        "INSERT INTO counts SELECT brand, status, COUNT(*) FROM consents WHERE brand = ? GROUP BY 1, 2", (brand,)
    )
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return time.monotonic() - began


def _rows(
    brand: int, count: int, channel: str, kind: int, recipient_type: RecipientType
) -> Iterator[tuple[object, ...]]:
    channel_number = TYPES.index(channel)
    numbers = _in_text_order(count) if channel == "EPOSTA" else iter(range(count))
    for number in numbers:
        wanted_type, consent = consent_of(number)
        if wanted_type is not recipient_type:
            continue
        at = consent.consent_at
        status = int(consent.status is Status.APPROVED)
        yield (brand, channel_number, kind, recipient_of(number, channel), status, consent.source, at, at * 1000)


def _in_text_order(count: int) -> Iterator[int]:
    """0 to ``count`` - 1, sorted as ``seed<n>@`` sorts: a digit comes before the at sign."""

    def below(prefix: int) -> Iterator[int]:
        if prefix >= count:
            return
        if prefix:
            for digit in range(10):
                yield from below(prefix * 10 + digit)
        yield prefix

    for digit in range(10):
        yield from below(digit)
