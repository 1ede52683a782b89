"""Whose message an SMSC's id is, as sealed notes in the store: for other workers, and for this one after a restart.

Of a message only what its receipt needs is kept: the client's id and name, both addresses, what the client asked to be
told, and its own reference. An SMSC gives any receipt to any worker's bind, so the note is written as soon as the SMSC
has taken the message; where the store is slower than the messages come, those above ``MAX_UNDER_WAY`` are known to
their own worker alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import orjson
import structlog

from filters.smpp.fields import Address, Tlv, find_tlv
from filters.smpp.message import ShortMessage
from filters.smpp.numbers import Tag
from gateway.smpp.receipts import ClientPart
from gateway.sms.sealed_notes import SealedNotes

log = structlog.stdlib.get_logger(__name__)

MAX_UNDER_WAY: Final = 5000


class ReceiptNotes:
    """``gateway.smpp.receipts.KeptMessages`` of one upstream."""

    def __init__(self, notes: SealedNotes, upstream: str) -> None:
        self._notes = notes
        self._upstream = upstream
        self._under_way = 0
        self._finding: set[asyncio.Task[None]] = set()

    def keep(self, smsc_id: str, client: str, parts: Sequence[ClientPart]) -> None:
        if self._under_way >= MAX_UNDER_WAY:
            return
        self._under_way += 1
        plain = orjson.dumps([client, [_pack(part) for part in parts]])
        self._notes.keep_soon(("smpp receipt", self._upstream, smsc_id), plain, self._kept)

    def find(self, smsc_id: str, done: Callable[[str, tuple[ClientPart, ...]], None]) -> None:
        task = asyncio.get_running_loop().create_task(self._find(smsc_id, done), name="smpp-receipt")
        self._finding.add(task)
        task.add_done_callback(self._finding.discard)

    def _kept(self, _is_kept: bool) -> None:
        self._under_way -= 1

    async def _find(self, smsc_id: str, done: Callable[[str, tuple[ClientPart, ...]], None]) -> None:
        try:
            found = await self._notes.find([("smpp receipt", self._upstream, smsc_id)])
            if found is not None and found[0] is not None:
                client, parts = orjson.loads(found[0])
                done(client, tuple(_unpack(part) for part in parts))
        except Exception as fault:  # the receipt is put off, and the SMSC comes again
            log.error("smpp.receipt_failed", upstream=self._upstream, fault=type(fault).__name__, exc_info=fault)


def _pack(part: ClientPart) -> list[object]:
    message = part.message
    reference = find_tlv(message.tlvs, Tag.USER_MESSAGE_REFERENCE)
    return [
        part.message_id,
        list(message.source),
        list(message.destination),
        message.registered_delivery,
        reference.hex() if reference is not None else None,
    ]


def _unpack(packed: list[object]) -> ClientPart:
    message_id, source, destination, registered, reference = packed
    tlvs = (Tlv(Tag.USER_MESSAGE_REFERENCE, bytes.fromhex(str(reference))),) if reference is not None else ()
    message = ShortMessage(_address(source), _address(destination), registered_delivery=int(str(registered)), tlvs=tlvs)
    return ClientPart(str(message_id), message)


def _address(packed: object) -> Address:
    assert isinstance(packed, list)
    ton, npi, value = packed
    return Address(ton, npi, value)
