"""Parts of long messages joined again, so that the opt-out comes after the whole text (content rules C2.1).

A set is the parts of one sender, source, destination and reference. An incomplete set is never given out: it grows
complete, or too old, or is pushed out by a new message under the same reference (8-bit references come round quickly).
Memory is bounded by parts, octets and age; over the bounds a part is put off, and its sender comes again.

Time is an argument: seconds of any monotonic clock.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from filters.smpp.fields import PduError, find_tlv
from filters.smpp.message import ShortMessage
from filters.smpp.numbers import HAS_HEADER, CommandStatus, Tag
from filters.smpp.split import LongStyle
from filters.smpp.user_data import Concatenation, parse_user_data

_OVERHEAD_BYTES = 512
"""What keeping one part costs beyond its text, so that many empty parts cannot fill the memory."""


class PartPlace(NamedTuple):
    """Where a message belongs in a set, and how the set travels."""

    part: Concatenation
    style: LongStyle


def find_part(message: ShortMessage) -> PartPlace | None:
    """The place of ``message`` in a longer one, or None where it is whole. Raises ``PduError``.

    A header and SAR parameters at once are refused: the SMSC might believe the other one. One part of one is whole.
    """
    place: PartPlace | None = None
    if message.esm_class & HAS_HEADER:
        part = parse_user_data(message.payload).part
        if part is not None:
            place = PartPlace(part, LongStyle.HEADER_16 if part.is_wide else LongStyle.HEADER_8)
    if message.tlvs:
        values = [find_tlv(message.tlvs, tag) for tag in (Tag.SAR_REFERENCE, Tag.SAR_TOTAL, Tag.SAR_NUMBER)]
        reference, total, number = values
        if reference is not None and total is not None and number is not None:
            if place is not None:
                raise PduError(CommandStatus.INVALID_TLV_VALUE, "sar parameters beside a concatenation header")
            part = Concatenation(int.from_bytes(reference, "big"), total[0], number[0], is_wide=True)
            if not 1 <= part.number <= part.total:
                raise PduError(CommandStatus.INVALID_TLV_VALUE, "sar: a part that its message does not have")
            place = PartPlace(part, LongStyle.SAR)
        elif values != [None, None, None]:
            raise PduError(CommandStatus.MISSING_TLV, "sar: reference, total and number belong together")
    return None if place is None or place.part.total == 1 else place


@dataclass(frozen=True, slots=True)
class ReassemblyLimits:
    """How much may wait. ``max_age_s`` counts from the first part."""

    max_parts: int = 20_000
    max_bytes: int = 32 * 1024 * 1024
    max_age_s: float = 60.0
    max_parts_of_one: int = 255


class Part(NamedTuple):
    """One part and what its keeper wants back with it (to whom an answer is owed)."""

    message: ShortMessage
    ticket: Any


@dataclass(slots=True)
class PartSet:
    """The parts of one message that have come; ``parts`` by number."""

    key: Hashable
    total: int
    style: LongStyle
    begun_at: float
    touched_at: float
    parts: dict[int, Part] = field(default_factory=dict)
    size_bytes: int = 0

    @property
    def is_complete(self) -> bool:
        return len(self.parts) == self.total

    def in_order(self) -> list[Part]:
        return [self.parts[number] for number in sorted(self.parts)]


class Added(NamedTuple):
    """What became of a part.

    ``complete`` is the set that it completed, which is forgotten here. ``given_up`` is a set under the same reference
    to which it cannot belong. ``replaced`` is the ticket of the same part come before: its sender asked twice.
    """

    complete: PartSet | None = None
    given_up: PartSet | None = None
    replaced: Any = None


class Reassembler:
    """All incomplete sets of one listener or link."""

    def __init__(self, limits: ReassemblyLimits) -> None:
        self._limits = limits
        self._sets: dict[Hashable, PartSet] = {}
        self.part_count = 0
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._sets)

    def add(self, owner: Hashable, message: ShortMessage, place: PartPlace, ticket: Any, now: float) -> Added:
        """Take a part of ``owner``'s. Raises ``PduError`` (throttled) where there is no room, and where the message
        has more parts than allowed."""
        part = place.part
        if part.total > self._limits.max_parts_of_one:
            raise PduError(CommandStatus.INVALID_LENGTH, "more parts than allowed")
        size = len(message.payload) + _OVERHEAD_BYTES
        if self.part_count >= self._limits.max_parts or self.size_bytes + size > self._limits.max_bytes:
            raise PduError(CommandStatus.THROTTLED, "no room for parts of long messages")
        key = (owner, message.source, message.destination, place.style, part.reference)
        found = self._sets.get(key)
        given_up: PartSet | None = None
        if found is not None and not _belongs(found, message, part):
            given_up = self._take(key)
            found = None
        if found is None:
            found = self._sets[key] = PartSet(key, part.total, place.style, now, now)
        before = found.parts.get(part.number)
        found.parts[part.number] = Part(message, ticket)
        found.touched_at = now
        if before is None:
            found.size_bytes += size
            self.size_bytes += size
            self.part_count += 1
        complete = self._take(key) if found.is_complete else None
        return Added(complete, given_up, None if before is None else before.ticket)

    def put_back(self, gone: PartSet, kept: dict[int, Part], now: float) -> bool:
        """Keep ``kept`` of a set given out before: its last part was put off and will come again. False where a new
        message has its place, or nothing is left of it."""
        if not kept or gone.key in self._sets:
            return False
        size = sum(len(part.message.payload) + _OVERHEAD_BYTES for part in kept.values())
        self._sets[gone.key] = PartSet(gone.key, gone.total, gone.style, now, now, dict(kept), size)
        self.size_bytes += size
        self.part_count += len(kept)
        return True

    def expire(self, now: float) -> list[PartSet]:
        """The sets that are too old, which are forgotten here."""
        limit = now - self._limits.max_age_s
        return [self._take(key) for key in [key for key, kept in self._sets.items() if kept.begun_at <= limit]]

    def waiting_since(self, limit: float) -> list[PartSet]:
        """The sets to which nothing has come after ``limit``; they stay."""
        return [kept for kept in self._sets.values() if kept.touched_at <= limit]

    def _take(self, key: Hashable) -> PartSet:
        gone = self._sets.pop(key)
        self.size_bytes -= gone.size_bytes
        self.part_count -= len(gone.parts)
        return gone


def _belongs(found: PartSet, message: ShortMessage, part: Concatenation) -> bool:
    """Whether a part can be of this message: the same shape, and no other text under a number that is taken."""
    if part.total != found.total:
        return False
    sibling = next(iter(found.parts.values())).message
    if sibling.data_coding != message.data_coding or sibling.service_type != message.service_type:
        return False
    same = found.parts.get(part.number)
    return same is None or same.message.payload == message.payload
