"""Which dealers a consent is open to: lists beside the index, and the marking of an answer that a dealer asked for.

A dealer may send on the brand's consent only if the consent lists the dealer's number (edge case E11). The packed
consent has no room for that, and only dealers need it; so each list stands by itself, named by consent key and slot.

**Packed form**: four bytes date of the consent that the list belongs to, as in the packed consent, then four bytes for
each dealer's number, ascending, all unsigned big-endian. The date ties the list to *one* consent: after a refusal and a
new consent, what the old one listed says nothing. A list that is not there, not readable, or of another date means no.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from filters.consent import ENTRY_BYTES, Change, Consent, pack_change
from filters.consent_key import KEY_BYTES
from filters.vocabulary import Channel, RecipientType, Status

NAME_BYTES = KEY_BYTES + 1
FIRST_CODE, LAST_CODE = 10_000_000, 99_999_999
MOST_CODES = 10_000
"""Of one list, so that what is kept of one consent stays bounded."""

_NUMBER = struct.Struct(">I")
_SLOT_MASK, _OPEN_BIT = 0x07, 0x10


class AccessList(NamedTuple):
    """The packed list of one consent under its name: what the stores keep."""

    name: bytes
    packed: bytes


def access_list(
    key: bytes, channel: Channel, recipient_type: RecipientType, consent_at: int, codes: Collection[int]
) -> AccessList:
    """The list of the consent given at ``consent_at`` (seconds since 1970 UTC). Raises ``ValueError`` for numbers that
    no dealer has, or too many of them."""
    if len(codes) > MOST_CODES or any(not FIRST_CODE <= code <= LAST_CODE for code in codes):
        raise ValueError(f"dealers: expected at most {MOST_CODES} numbers of eight digits")
    head = pack_change(Change(key, channel, recipient_type, Consent(Status.APPROVED, consent_at, "UNKNOWN")))[:1]
    return AccessList(
        key + head, _NUMBER.pack(consent_at) + b"".join(_NUMBER.pack(code) for code in sorted(set(codes)))
    )


def codes_in(packed: bytes) -> frozenset[int]:
    """The dealers' numbers of a packed list. Raises ``ValueError`` on bytes that ``access_list`` cannot have made."""
    if len(packed) < _NUMBER.size or len(packed) % _NUMBER.size:
        raise ValueError("dealers: the packed list is cut off")
    return frozenset(code for (code,) in _NUMBER.iter_unpack(packed[_NUMBER.size :]))


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
    keys: Sequence[bytes], values: Sequence[bytes | None], lists: Mapping[bytes, bytes | None], dealer: int
) -> list[bytes | None]:
    """``values`` with those consents marked as open that list ``dealer``; nothing else in them is marked.

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
            if packed is not None and packed[:4] == value[at + 2 : at + ENTRY_BYTES] and _lists(packed, wanted):
                fresh[at] |= _OPEN_BIT
        marked.append(bytes(fresh))
    return marked


def _lists(packed: bytes, wanted: bytes) -> bool:
    return any(packed[at : at + _NUMBER.size] == wanted for at in range(_NUMBER.size, len(packed), _NUMBER.size))
