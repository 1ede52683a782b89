"""How far a source of the registry's feed has been read, as it lies in the store."""

from __future__ import annotations

from typing import NamedTuple

import orjson


class Place(NamedTuple):
    """How far one source of one brand has been read: cursor, and the stretch of time that is known without a hole."""

    after: str | None
    since: int
    until: int

    def pack(self) -> bytes:
        return orjson.dumps(self._asdict())


def unpack_place(packed: bytes | None) -> Place | None:
    """None for nothing, and for what is no place: then reading begins anew, which only repeats."""
    if not packed:
        return None
    try:
        found = orjson.loads(packed)
        after, since, until = found["after"], found["since"], found["until"]
    except (ValueError, KeyError, TypeError):
        return None
    if not (after is None or isinstance(after, str)) or not isinstance(since, int) or not isinstance(until, int):
        return None
    return Place(after, since, until)
