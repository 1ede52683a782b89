"""What the index knows of one recipient of one brand, and how a change merges into it.

One value holds all channels and recipient types, so that one lookup answers every row of the decision table,
those that compare two records (edge cases E9, E10) included.

**Merging.** Each of the six slots holds the *latest will* by consent date, not by arrival: a registry approval dated
before a refusal of our own never lifts it (E4), one dated after it does (E3); at equal dates the refusal stands. Of two
that say the same at the same second the registry's stands before our own, and then the source further down the list of
``SOURCES``: of no weight in law, but with it the order is total. So order and repetition of changes do not matter, to
the last byte, and the merge needs no flag beside the record.

**Packed form**, in slot order, six bytes an occupied slot: one byte ``slot | rejected << 3``, one byte source,
four bytes consent date as unsigned big-endian seconds since 1970-01-01 UTC. Bit 4 of the first byte is never kept: an
answer to a dealer carries it where the consent is open to that dealer (``filters.decision.dealer_access``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from filters.vocabulary import Channel, RecipientType, Status

_ENTRY = struct.Struct(">BBI")
_REJECTED_BIT = 0x08
_OPEN_BIT = 0x10
_SLOT_MASK = 0x07

ENTRY_BYTES = _ENTRY.size
CHANNELS: tuple[Channel, ...] = (Channel.EMAIL, Channel.SMS, Channel.CALL)
RECIPIENT_TYPES: tuple[RecipientType, ...] = (RecipientType.INDIVIDUAL, RecipientType.BUSINESS)

# Source names are the registry's own (İYS API reference, 2.2); the number is our packed form and never changes.
# The registry's set is open: names not listed are kept as OTHER_REGISTRY.
SOURCES: tuple[str, ...] = (
    "UNKNOWN",
    "HS_2015",
    "HS_KARAR",
    "HS_FIZIKSEL_ORTAM",
    "HS_ISLAK_IMZA",
    "HS_ETKINLIK",
    "HS_ATM",
    "HS_EORTAM",
    "HS_WEB",
    "HS_MOBIL",
    "HS_MESAJ",
    "HS_EPOSTA",
    "HS_CAGRI_MERKEZI",
    "HS_SOSYAL_MEDYA",
    "IYS_WEB",
    "IYS_WEB_YENI",
    "IYS_MOBIL",
    "IYS_CM",
    "IYS_KISAMESAJ",
    "IYS_EPOSTA",
    "IYS_AHS_HAT_KAPATMA",
    "IYS_FRAME_EPOSTA",
    "IYS_FRAME_SMS",
    "IYS_3338",
    "IYS_KISA_LINK",
    "OTHER_REGISTRY",
)
_SOURCE_NUMBER = {name: number for number, name in enumerate(SOURCES)}
_OTHER_REGISTRY = _SOURCE_NUMBER["OTHER_REGISTRY"]

# Refusals that reached us before the registry knew of them carry this bit beside the source number.
_OWN_BIT = 0x80


class Consent(NamedTuple):
    """One consent record: the latest will for one channel and recipient type.

    ``consent_at`` is in whole seconds since 1970-01-01 UTC. ``own`` says that the record is a refusal taken by us
    and not yet seen in the registry. ``is_open`` is set only where a dealer asks, and the consent lists that dealer
    (E11); it is never kept.
    """

    status: Status
    consent_at: int
    source: str
    own: bool = False
    is_open: bool = False


class Change(NamedTuple):
    """One consent record on its way into the index; ``key`` is the keyed hash of brand and address."""

    key: bytes
    channel: Channel
    recipient_type: RecipientType
    consent: Consent


Slot = tuple[Channel, RecipientType]
State = dict[Slot, Consent]
"""What is known of one recipient: only slots that hold a record are present."""

_SLOTS: tuple[Slot, ...] = tuple((channel, kind) for channel in CHANNELS for kind in RECIPIENT_TYPES)
_SLOT_NUMBER: dict[Slot, int] = {slot: number for number, slot in enumerate(_SLOTS)}


def wins_over(new: Consent, old: Consent | None) -> bool:
    """Whether ``new`` replaces ``old``: the later will does; at the same second a refusal does.

    The same will seen in the registry as well is no longer only ours. What then is left, the source, is settled the
    same way whichever came first. No consent wins over itself.
    """
    return old is None or _rank(new) > _rank(old)


def _rank(consent: Consent) -> tuple[int, bool, bool, int, str]:
    # The name counts only between sources the registry invented later: packed, they are one.
    return (
        consent.consent_at,
        consent.status is Status.REJECTED,
        not consent.own,
        _SOURCE_NUMBER.get(consent.source, _OTHER_REGISTRY),
        consent.source,
    )


def merge(state: State, channel: Channel, recipient_type: RecipientType, consent: Consent) -> bool:
    """Put ``consent`` into ``state`` if it is the later will; say whether ``state`` changed."""
    slot = (channel, recipient_type)
    if not wins_over(consent, state.get(slot)):
        return False
    state[slot] = consent
    return True


def pack(state: State) -> bytes:
    """The packed form of ``state``; empty for an empty state."""
    return b"".join(
        _ENTRY.pack(
            number | (_REJECTED_BIT if consent.status is Status.REJECTED else 0),
            _SOURCE_NUMBER.get(consent.source, _OTHER_REGISTRY) | (_OWN_BIT if consent.own else 0),
            consent.consent_at,
        )
        for number, consent in sorted((_SLOT_NUMBER[slot], consent) for slot, consent in state.items())
    )


def unpack(value: bytes) -> State:
    """The state behind its packed form. Raises ``ValueError`` on bytes that ``pack`` cannot have made."""
    state: State = {}
    try:
        for head, source, consent_at in _ENTRY.iter_unpack(value):
            status = Status.REJECTED if head & _REJECTED_BIT else Status.APPROVED
            state[_SLOTS[head & _SLOT_MASK]] = Consent(
                status, consent_at, SOURCES[source & ~_OWN_BIT], bool(source & _OWN_BIT), bool(head & _OPEN_BIT)
            )
            if head & ~(_SLOT_MASK | _REJECTED_BIT | _OPEN_BIT):
                raise ValueError("packed consent: reserved bits are set")
    except (struct.error, IndexError) as error:
        raise ValueError(f"packed consent: {error}") from error
    return state


def apply_changes(value: bytes | None, changes: Iterable[Change]) -> bytes:
    """The packed value after merging ``changes`` (all of one key) into ``value``."""
    state = unpack(value) if value else {}
    for change in changes:
        merge(state, change.channel, change.recipient_type, change.consent)
    return pack(state)


def pack_change(change: Change) -> bytes:
    """The packed entry of one change, without its key: ``ENTRY_BYTES`` long, as it stands in a packed value."""
    return pack({(change.channel, change.recipient_type): change.consent})


def merge_packed(value: bytes, entry: bytes) -> bytes:
    """``value`` after merging one packed entry: what ``merge`` does, without unpacking (imports run on this)."""
    slot = entry[0] & _SLOT_MASK
    for at in range(0, len(value), ENTRY_BYTES):
        found = value[at] & _SLOT_MASK
        if found < slot:
            continue
        if found > slot:
            return value[:at] + entry + value[at:]
        old_at, new_at = value[at + 2 : at + ENTRY_BYTES], entry[2:]  # big-endian: bytes compare as the numbers do
        if new_at < old_at:
            return value
        if new_at == old_at:
            if (value[at] ^ entry[0]) & _REJECTED_BIT:
                if not entry[0] & _REJECTED_BIT:
                    return value
            elif entry[1] ^ _OWN_BIT <= value[at + 1] ^ _OWN_BIT:  # the bit turned round: the registry's above our own
                return value
        return value[:at] + entry + value[at + ENTRY_BYTES :]
    return value + entry


def is_own_refusal(entry: bytes) -> bool:
    """Whether a packed entry is a refusal that reached us before the registry knew of it."""
    return bool(entry[1] & _OWN_BIT)


def slot_of(head: int) -> tuple[Channel, RecipientType, Status]:
    """What the first byte of a packed entry says. Raises ``ValueError`` on a byte that ``pack`` cannot have made."""
    if head & ~(_SLOT_MASK | _REJECTED_BIT | _OPEN_BIT) or head & _SLOT_MASK >= len(_SLOTS):
        raise ValueError(f"packed consent: {head:#04x} names no slot")
    return *_SLOTS[head & _SLOT_MASK], Status.REJECTED if head & _REJECTED_BIT else Status.APPROVED
