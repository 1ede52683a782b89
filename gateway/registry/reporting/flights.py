"""Bulk requests on their way, written down as soon as the registry has accepted them.

Without the note a kill between acceptance and poll would only cost a repeat, which the second version of the API
recognises; with it, no repeat is needed. Each takes one of a fixed number of places in the memory, so that all can be
found again without a list of them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

from filters.registry.values import BulkItem, SubRequest
from gateway.registry.ports import SyncMemory

MOST_FLIGHTS = 20
FIRST_POLL_S = 300.0
"""The registry's own advice: no earlier (İYS API reference, 1.3)."""

AGAIN_S = 60.0
GIVEN_UP_S = 6 * 3600.0
"""After so long without a word the list is sent again: an id the registry forgot answers like one in work."""

_LONGEST_PAUSE_S = 3600.0
_VERSION = 1
_HEAD = struct.Struct(">BIQB")
_ITEM = struct.Struct(">16sHI8s")


class FlightItem(NamedTuple):
    """One report on its way. ``sub_check``: checksum of the id the registry gave it, 0 for none; ``pair``: of brand,
    address and channel, of which nothing else may go meanwhile."""

    item_id: bytes
    place: int
    sub_check: int
    pair: bytes


@dataclass(slots=True)
class Flight:
    """A bulk request that was accepted and whose items are not all settled."""

    slot: int
    brand: int
    request_id: str
    accepted_at: int
    items: tuple[FlightItem, ...]
    poll_at: float

    def is_resting(self, now: float) -> bool:
        """Whether it is too early to ask; an instant further ahead than any pause is of a clock set back since."""
        return now < self.poll_at <= now + _LONGEST_PAUSE_S

    def match(self, results: Sequence[BulkItem]) -> list[tuple[FlightItem, BulkItem]]:
        """What the registry says of each item: found by the id it gave, else by the place in the list."""
        by_check = {item.sub_check: item for item in self.items if item.sub_check}
        by_place = {item.place: item for item in self.items}
        matched = []
        for result in results:
            item = by_check.get(_check(result.sub_request_id)) if by_check and result.sub_request_id else None
            if item is None and not by_check and result.place is not None:
                item = by_place.get(result.place)
            if item is not None:
                matched.append((item, result))
        return matched


def list_items(ids: Sequence[bytes], pairs: Sequence[bytes], sub_requests: Sequence[SubRequest]) -> list[FlightItem]:
    """The items of an accepted list, in the order sent."""
    subs = sub_requests if len(sub_requests) == len(ids) else [SubRequest(None, None)] * len(ids)
    checks = [_check(sub.sub_request_id) for sub in subs]
    if 0 in checks or len(set(checks)) < len(checks):  # not told, or two alike by chance: then the place counts
        checks = [0] * len(ids)
    return [
        FlightItem(item_id, place, check, pair)
        for place, (item_id, pair, check) in enumerate(zip(ids, pairs, checks, strict=True))
    ]


class Flights:
    """All bulk requests on their way, in memory and in the durable one."""

    def __init__(self, memory: SyncMemory) -> None:
        self._memory = memory
        self.open: dict[int, Flight] = {}

    @property
    def is_full(self) -> bool:
        return len(self.open) >= MOST_FLIGHTS

    @property
    def items(self) -> int:
        return sum(len(flight.items) for flight in self.open.values())

    async def recall(self, now: float) -> None:
        """What an earlier process had sent. A note that cannot be read is dropped: its items go again."""
        self.open = {}
        for slot in range(MOST_FLIGHTS):
            packed = await self._memory.recall(_name(slot))
            if not packed:
                continue
            try:
                flight = _unpack(slot, packed)
            except (ValueError, struct.error):
                await self._memory.keep(_name(slot), None)
                continue
            flight.poll_at = max(now, flight.accepted_at + FIRST_POLL_S)
            self.open[slot] = flight

    async def begin(self, brand: int, request_id: str, now: float, items: Sequence[FlightItem]) -> Flight:
        """Write down an accepted request. There must be room."""
        slot = next(slot for slot in range(MOST_FLIGHTS) if slot not in self.open)
        flight = Flight(slot, brand, request_id, int(now), tuple(items), now + FIRST_POLL_S)
        await self._memory.keep(_name(slot), _pack(flight))
        self.open[slot] = flight
        return flight

    async def go_on(self, flight: Flight, left: Sequence[FlightItem], poll_at: float) -> None:
        """These are still open; without any the request is done with."""
        if len(left) != len(flight.items):
            flight.items = tuple(left)
            await self._memory.keep(_name(flight.slot), _pack(flight) if left else None)
        flight.poll_at = poll_at
        if not left:
            self.open.pop(flight.slot, None)


def _name(slot: int) -> str:
    return f"report/flight/{slot}"


def _check(sub_request_id: str | None) -> int:
    return crc32(sub_request_id.encode()) if sub_request_id else 0


def _pack(flight: Flight) -> bytes:
    request_id = flight.request_id.encode("utf-8")
    head = _HEAD.pack(_VERSION, flight.brand, flight.accepted_at, len(request_id))
    return head + request_id + b"".join([_ITEM.pack(*item) for item in flight.items])


def _unpack(slot: int, packed: bytes) -> Flight:
    version, brand, accepted_at, length = _HEAD.unpack_from(packed)
    if version != _VERSION:
        raise ValueError("bulk request: a note of another version")
    at = _HEAD.size + length
    request_id = packed[_HEAD.size : at].decode("utf-8")
    items = tuple(FlightItem(*fields) for fields in _ITEM.iter_unpack(packed[at:]))
    return Flight(slot, brand, request_id, accepted_at, items, 0.0)
