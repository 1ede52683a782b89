"""What became of a consent that a sender handed us: kept for some days, found by person and by the id it was given.

Written before the consent enters the outbox, so that whatever waits there has a note. A note permits nothing: it
explains why a message to this person was dropped ("taken on …, not yet in İYS"; edge case E5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple, Protocol

import orjson

from filters.consent_report import ConsentReport
from filters.registry.words import render_time
from filters.vocabulary import Channel, RecipientType


class PendingState(StrEnum):
    """Where a handed consent stands."""

    WAITING = "waiting"
    STORED = "stored"
    SUPERSEDED = "superseded"
    REFUSED = "refused"


class Pending(NamedTuple):
    """No address in it. ``code``: the registry's, where it refused. Instants in seconds since 1970 UTC."""

    item_id: bytes
    brand: int
    channel: Channel
    recipient_type: RecipientType
    key: bytes
    consent_at: int | None
    taken_at: int
    state: PendingState
    code: str
    at: int

    @classmethod
    def of(cls, report: ConsentReport, state: PendingState, code: str, at: int) -> Pending:
        consent = report.consent
        return cls(
            report.item_id,
            report.brand,
            consent.channel,
            consent.recipient_type,
            report.key,
            consent.consent_at,
            report.taken_at,
            state,
            code,
            at,
        )


def pending_as_json(pending: Pending) -> dict[str, object]:
    """For answers and commands; times in Turkish time as the registry writes them."""
    return {
        "id": pending.item_id.hex(),
        "brand": pending.brand,
        "channel": pending.channel,
        "recipient_type": pending.recipient_type,
        "state": pending.state,
        "code": pending.code or None,
        "consent_date": None if pending.consent_at is None else render_time(pending.consent_at),
        "taken_at": render_time(pending.taken_at),
        "settled_at": None if pending.at == pending.taken_at else render_time(pending.at),
    }


class NoteStore(Protocol):
    """The notes of the store (``adapters.store.Store``)."""

    def keep_note(self, name: bytes, sealed: bytes, done: Callable[[bool], None]) -> None: ...

    def find_notes(self, names: Sequence[bytes], done: Callable[[Sequence[bytes | None] | None], None]) -> None: ...


class ConsentNotes:
    """Keeps and finds them. Both raise ``OSError`` where the store does not answer."""

    def __init__(self, store: NoteStore) -> None:
        self._store = store

    async def keep(self, *pending: Pending) -> None:
        """All of them at once, so that they share the store's commits."""
        loop = asyncio.get_running_loop()
        kept: list[asyncio.Future[bool]] = []
        for each in pending:
            packed = _pack(each)
            for name in (_name_of_item(each.item_id), _name_of_subject(each[1:5])):
                kept.append(loop.create_future())
                self._store.keep_note(name, packed, kept[-1].set_result)
        if not all(await asyncio.gather(*kept)):
            raise OSError("the store did not keep a note")

    async def find(self, item_id: bytes) -> Pending | None:
        """What became of the consent with this id; None where nothing (or nothing any more) is known of it."""
        return (await self._find([_name_of_item(item_id)]))[0]

    async def find_for(self, brand: int, channel: Channel, key: bytes) -> list[Pending]:
        """The last consents handed to us for this person and channel, one a recipient type."""
        names = [_name_of_subject((brand, channel, kind, key)) for kind in RecipientType]
        return [pending for pending in await self._find(names) if pending is not None]

    async def _find(self, names: Sequence[bytes]) -> list[Pending | None]:
        found: asyncio.Future[Sequence[bytes | None] | None] = asyncio.get_running_loop().create_future()
        self._store.find_notes(names, found.set_result)
        notes = await found
        if notes is None:
            raise OSError("the store cannot be asked for notes now")
        return [None if note is None else _unpack(note) for note in notes]


def _name_of_item(item_id: bytes) -> bytes:
    return blake2b(item_id, digest_size=16, person=b"izin-pending-id").digest()


def _name_of_subject(subject: tuple[object, ...]) -> bytes:
    brand, channel, kind, key = subject
    assert isinstance(key, bytes)
    return blake2b(f"{brand} {channel} {kind} ".encode() + key, digest_size=16, person=b"izin-pending-who").digest()


def _pack(pending: Pending) -> bytes:
    return orjson.dumps({**pending._asdict(), "item_id": pending.item_id.hex(), "key": pending.key.hex()})


def _unpack(packed: bytes) -> Pending | None:
    try:
        fields = orjson.loads(packed)
        return Pending(
            bytes.fromhex(fields["item_id"]),
            fields["brand"],
            Channel(fields["channel"]),
            RecipientType(fields["recipient_type"]),
            bytes.fromhex(fields["key"]),
            fields["consent_at"],
            fields["taken_at"],
            PendingState(fields["state"]),
            fields["code"],
            fields["at"],
        )
    except (ValueError, KeyError, TypeError):
        return None
