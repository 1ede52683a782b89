"""The mark: which store this is, and which state of it.

A flushed Redis, one restored from an old copy, and a different one all answer "no record" with a straight face. The
mark is what tells them from the real thing. It is made once, explicitly, and read with every look-up *after* the
records, so that whatever happened to the records before has happened to the mark too.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

FORMAT = 1
"""Layout of keys and values, of both stores. A store of another layout is treated as foreign."""

GENERATION_BYTES = 16
FINGERPRINT_BYTES = 8
_PACKED = struct.Struct(f">H{GENERATION_BYTES}s{FINGERPRINT_BYTES}sQ")


class Mark(NamedTuple):
    """``generation`` is random, made with the store; ``fingerprint`` tells which index secret its keys were derived
    with; ``revision`` counts applied changes and never falls."""

    format: int
    generation: bytes
    fingerprint: bytes
    revision: int


def pack_mark(mark: Mark) -> bytes:
    return _PACKED.pack(*mark)


def unpack_mark(packed: bytes) -> Mark | None:
    """The mark, or None where the bytes are not one (which is as good as none)."""
    return Mark._make(_PACKED.unpack(packed)) if len(packed) == _PACKED.size else None
