"""The state table: what one stored consent lets happen to it (reference, section 3, rules 14 to 17)."""

from __future__ import annotations

from typing import NamedTuple

from loadtest.registry.rules.items import Item

_RET, _ONAY = 0, 1
_TACIR = 1


class Stored(NamedTuple):
    """The registry's present word on one key."""

    status: int
    source: str
    consent_at: int | None
    created_ms: int
    retailer: int | None
    access: tuple[int, ...]


def find_state_fault(stored: Stored | None, item: Item, *, is_equal_date_refused: bool = False) -> str | None:
    """The code that refuses ``item``, or None if it is written.

    Where several apply the order of the reference's table decides. A consent sent again with the very date of the
    stored one changes nothing (H174); a change of status with an equal date is taken unless the setting says no.
    """
    if stored is None:
        if item.status == _ONAY:
            return None
        return "H486" if item.source == "HS_KARAR" else "H175"
    if item.status == _RET and stored.status == _RET:
        return "H174"
    if item.recipient_type == _TACIR:
        if item.consent_at is None:
            return "H462"
        if item.source is None:
            return "H463"
    assert item.consent_at is not None
    if stored.consent_at is not None:
        if item.consent_at < stored.consent_at:
            return "H178"
        if item.consent_at == stored.consent_at:
            if item.status == stored.status:
                return "H174"
            if is_equal_date_refused:
                return "H178"
    return None
