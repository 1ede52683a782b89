"""Which dealers a consent is open to: lists beside the index, and the marking of an answer that a dealer asked for.

A dealer may send on the brand's consent only if the consent lists the dealer's number (edge case E11). The packed
consent has no room for that, and only dealers need it; so each list stands by itself, named by consent key and slot.

**Packed form**: four bytes date of the consent that the list belongs to, as in the packed consent, then four bytes for
each dealer's number, ascending, all unsigned big-endian. The date ties the list to *one* consent: after a refusal and a
new consent, what the old one listed says nothing. A list that is not there, not readable, or of another date means no.

Behind the dealers may stand numbers that no dealer has: 100,000,000 where nobody knows yet who took the consent (he may
use it too, and only a status query names him), and last the time the list was read at the registry, seconds since 1970
UTC. By that time a list that was changed elsewhere is found out: one that is too old means no until it is read again.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from filters.consent import ENTRY_BYTES, Change, Consent, pack_change, slot_of
from filters.consent_key import KEY_BYTES
from filters.vocabulary import Channel, RecipientType, Status

NAME_BYTES = KEY_BYTES + 1
FIRST_CODE, LAST_CODE = 10_000_000, 99_999_999
MOST_CODES = 10_000
"""Of one list, so that what is kept of one consent stays bounded."""

_TAKER_UNKNOWN = 100_000_000
_FIRST_TIME = 1_000_000_000

_NUMBER = struct.Struct(">I")
_SLOT_MASK, _OPEN_BIT = 0x07, 0x10


class AccessList(NamedTuple):
    """The packed list of one consent under its name: what the stores keep."""

    name: bytes
    packed: bytes


def access_list(
    key: bytes,
    channel: Channel,
    recipient_type: RecipientType,
    consent_at: int,
    codes: Collection[int],
    read_at: int = 0,
    *,
    is_taker_known: bool = True,
) -> AccessList:
    """The list of the consent given at ``consent_at`` (seconds since 1970 UTC), as it was at ``read_at``, 0 for a time
    unknown. Raises ``ValueError`` for numbers that no dealer has, or too many of them."""
    if len(codes) > MOST_CODES or any(not FIRST_CODE <= code <= LAST_CODE for code in codes):
        raise ValueError(f"dealers: expected at most {MOST_CODES} numbers of eight digits")
    head = pack_change(Change(key, channel, recipient_type, Consent(Status.APPROVED, consent_at, "UNKNOWN")))[:1]
    numbers = [consent_at, *sorted(set(codes)), *([] if is_taker_known else [_TAKER_UNKNOWN])]
    packed = b"".join(_NUMBER.pack(number) for number in numbers)
    return AccessList(key + head, dated(packed, read_at))


def dated(packed: bytes, read_at: int) -> bytes:
    """A list without a time, with ``read_at`` as its time; 0 leaves it without."""
    return packed + _NUMBER.pack(read_at) if read_at >= _FIRST_TIME else packed


def codes_in(packed: bytes) -> frozenset[int]:
    """The dealers' numbers of a packed list. Raises ``ValueError`` on bytes that ``access_list`` cannot have made."""
    if len(packed) < _NUMBER.size or len(packed) % _NUMBER.size:
        raise ValueError("dealers: the packed list is cut off")
    return frozenset(code for (code,) in _NUMBER.iter_unpack(packed[_NUMBER.size :]) if code <= LAST_CODE)


def read_at_of(packed: bytes) -> int:
    """When the list was read; 0 where that is not known."""
    last = int.from_bytes(packed[-_NUMBER.size :], "big") if len(packed) > _NUMBER.size else 0
    return last if last >= _FIRST_TIME else 0


class WantedList(NamedTuple):
    """A list to be read at the registry, and the date of the consent that it belongs to."""

    name: bytes
    consent_at: int


def subject_of(name: bytes) -> tuple[bytes, Channel, RecipientType]:
    """Key and slot that a list is named by. Raises ``ValueError`` on a name that ``access_list`` cannot have made."""
    if len(name) != NAME_BYTES:
        raise ValueError(f"dealers: expected a name of {NAME_BYTES} bytes")
    return name[:KEY_BYTES], *slot_of(name[KEY_BYTES])[:2]


def lists_to_read(
    keys: Sequence[bytes],
    values: Sequence[bytes | None],
    lists: Mapping[bytes, bytes | None],
    dealer: int,
    since: int,
) -> list[WantedList]:
    """Of which consents it is not known whether they are open to ``dealer``: the list is none, one of another consent,
    one read before ``since``, or one without him that does not say who took the consent."""
    wanted: dict[bytes, WantedList] = {}
    number = _NUMBER.pack(dealer)
    for key, value in zip(keys, values, strict=True):
        if not value or len(value) % ENTRY_BYTES:
            continue
        for at in range(0, len(value), ENTRY_BYTES):
            if value[at] & ~_SLOT_MASK:
                continue
            name, consent_at = key + value[at : at + 1], value[at + 2 : at + ENTRY_BYTES]
            packed = lists.get(name)
            if (
                packed is None
                or packed[:4] != consent_at
                or read_at_of(packed) < since
                or (not _lists(packed, number) and _lists(packed, _NUMBER.pack(_TAKER_UNKNOWN)))
            ):
                wanted[name] = WantedList(name, int.from_bytes(consent_at, "big"))
    return list(wanted.values())


def names_to_ask(keys: Sequence[bytes], values: Sequence[bytes | None]) -> list[bytes]:
    """The names of the lists of all consents in ``values``, in order and once each."""
    return list(
        dict.fromkeys(
            key + value[at : at + 1]
            for key, value in zip(keys, values, strict=True)
            if value
            for at in range(0, len(value), ENTRY_BYTES)
            if not value[at] & ~_SLOT_MASK
        )
    )


def mark_open(
    keys: Sequence[bytes],
    values: Sequence[bytes | None],
    lists: Mapping[bytes, bytes | None],
    dealer: int,
    since: int = 0,
) -> list[bytes | None]:
    """``values`` with those consents marked as open that list ``dealer``; nothing else in them is marked. A list read
    before ``since`` opens nothing.

    A value that is not packed consents is left as it is: whoever reads it finds out.
    """
    wanted = _NUMBER.pack(dealer)
    marked: list[bytes | None] = []
    for key, value in zip(keys, values, strict=True):
        if not value or len(value) % ENTRY_BYTES:
            marked.append(value)
            continue
        fresh = bytearray(value)
        for at in range(0, len(value), ENTRY_BYTES):
            fresh[at] &= ~_OPEN_BIT & 0xFF
            if value[at] & ~_SLOT_MASK:
                continue  # a refusal, or no entry of ours
            packed = lists.get(key + value[at : at + 1])
            if packed is None or packed[:4] != value[at + 2 : at + ENTRY_BYTES] or not _lists(packed, wanted):
                continue
            if not since or read_at_of(packed) >= since:
                fresh[at] |= _OPEN_BIT
        marked.append(bytes(fresh))
    return marked


def _lists(packed: bytes, wanted: bytes) -> bool:
    return any(packed[at : at + _NUMBER.size] == wanted for at in range(_NUMBER.size, len(packed), _NUMBER.size))
