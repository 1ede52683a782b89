"""The stream cut into PDUs: four octets of length, then command, status and sequence number (SMPP 3.4, 3.2).

A length is believed only within bounds, and nothing is set aside for it: what is kept is what has come.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

HEADER: Final = Struct(">IIII")
HEADER_BYTES: Final = 16
_LENGTH = Struct(">I")

_pack = HEADER.pack
_unpack_from = HEADER.unpack_from
_new = tuple.__new__  # half the time of the class's own way


class Frame(NamedTuple):
    """One PDU, its body unread."""

    command: int
    status: int
    sequence: int
    body: bytes


def render_frame(command: int, sequence: int, body: bytes = b"", status: int = 0) -> bytes:
    """The PDU in octets."""
    return _pack(HEADER_BYTES + len(body), command, status, sequence) + body


class FrameReader:
    """Collects octets until PDUs are whole. ``is_broken`` once a length was impossible: nothing after it has a place.

    ``kept_bytes`` is what waits for the rest of its PDU, at most ``max_pdu_bytes`` plus one read.
    """

    __slots__ = ("_kept", "_max_pdu_bytes", "_wanted", "is_broken")

    def __init__(self, max_pdu_bytes: int) -> None:
        self._max_pdu_bytes = max_pdu_bytes
        self._kept = bytearray()
        self._wanted = HEADER_BYTES
        self.is_broken = False

    @property
    def kept_bytes(self) -> int:
        return len(self._kept)

    def feed(self, data: bytes) -> list[Frame]:
        """The PDUs that ``data`` completes, in order; after a broken length none, ever."""
        if self.is_broken:
            return []
        kept = self._kept
        if kept:
            kept += data
            if len(kept) < self._wanted and (len(kept) < 4 or self._wanted > HEADER_BYTES):
                return []
            data = bytes(kept)
            kept.clear()
        frames: list[Frame] = []
        at, end, limit = 0, len(data), self._max_pdu_bytes
        while end - at >= HEADER_BYTES:
            length, command, status, sequence = _unpack_from(data, at)
            if not HEADER_BYTES <= length <= limit:
                self.is_broken = True
                return frames
            if end - at < length:
                self._wanted = length
                break
            frames.append(_new(Frame, (command, status, sequence, data[at + HEADER_BYTES : at + length])))
            at += length
        else:
            self._wanted = HEADER_BYTES
            # The length is judged as soon as it is there: a peer that does not speak SMPP is not waited for.
            if end - at >= 4 and not HEADER_BYTES <= _LENGTH.unpack_from(data, at)[0] <= limit:
                self.is_broken = True
                return frames
        if at != end:
            kept += data[at:]
        return frames
