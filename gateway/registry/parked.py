"""Reports that cannot be made as they are, kept in the outbox itself but behind all that can.

They stay what they are, sealed, so that nothing a person told us is ever thrown away; a command lists them, and puts
them back once the cause is mended. Form of the sealed bytes: version, length of the code, code, deadline (8 bytes),
id and sealed bytes of the report as it was.
"""

from __future__ import annotations

import struct
from collections import Counter
from hashlib import blake2b
from typing import NamedTuple

from filters.exchange import OutboxItem
from filters.refusal_report import ITEM_ID_BYTES
from filters.registry.words import LATEST_AT
from gateway.registry.ports import SyncMemory

PARKED_AT = LATEST_AT
"""The deadline under which parked reports stand: behind every other."""

ADDRESS_UNKNOWN = "address_unknown"
"""The registry knows no hashes: a person has to find the address (``filters.refusal_report``)."""

_VERSION = 1
_HEAD = struct.Struct(">BB")
_DUE = struct.Struct(">Q")


class Parked(NamedTuple):
    """``code``: the registry's, or a word of ours; ``report`` as it stood in the outbox."""

    code: str
    report: OutboxItem


def park(report: OutboxItem, code: str) -> OutboxItem:
    """The item to be put in the place of ``report``."""
    word = code.encode("ascii", "replace")[:40]
    sealed = _HEAD.pack(_VERSION, len(word)) + word + _DUE.pack(report.due_at) + report.item_id + report.sealed
    item_id = blake2b(report.item_id, digest_size=ITEM_ID_BYTES, person=b"izin-parked-id").digest()
    return OutboxItem(item_id, report.brand, PARKED_AT, sealed)


def is_parked(item: OutboxItem) -> bool:
    return item.due_at >= PARKED_AT


def unpark(item: OutboxItem) -> Parked:
    """What ``park`` was given. Raises ``ValueError`` for what it cannot have made."""
    try:
        version, length = _HEAD.unpack_from(item.sealed)
        if version != _VERSION:
            raise ValueError("parked report: of another version")
        at = _HEAD.size + length
        code = item.sealed[_HEAD.size : at].decode("ascii")
        (due_at,) = _DUE.unpack_from(item.sealed, at)
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError("parked report: damaged") from error
    at += _DUE.size
    item_id = item.sealed[at : at + ITEM_ID_BYTES]
    return Parked(code, OutboxItem(item_id, item.brand, due_at, item.sealed[at + ITEM_ID_BYTES :]))


_PARKED_NAME = "report/parked"


async def recall_parked(memory: SyncMemory) -> Counter[str]:
    """How many reports are parked, by code."""
    counts: Counter[str] = Counter()
    for line in (await memory.recall(_PARKED_NAME) or b"").decode("ascii", "replace").splitlines():
        code, _, number = line.partition(" ")
        counts[code] = int(number) if number.isdigit() else 0
    return counts


async def keep_parked(memory: SyncMemory, counts: Counter[str]) -> None:
    """Write that down."""
    lines = "\n".join(f"{code} {number}" for code, number in sorted(counts.items()))
    await memory.keep(_PARKED_NAME, lines.encode("ascii", "replace") or None)
