"""The evidence file format: frames, the hash chain over them, and signed heads.

A **segment** is a file: ``MAGIC``, then frames. A **frame** is kind (1 byte), payload length (4 bytes, big-endian),
payload, link (32 bytes). The **link** of a frame is ``SHA-256(link before it + SHA-256(kind + length + payload))``, so
each frame vouches for everything before it. Hashing the frame first lets us prove one record to a third party by the
32-byte digests of its neighbours, without showing them other people's records.

Kinds: ``HEADER`` opens a segment and names its predecessor; ``RECORD`` is one evidence record; ``HEAD`` is a signed
statement "after so many records the link was this". The first link of a segment continues from the last of its
predecessor, so one **writer** (machine and worker slot) has one chain through all its segments and restarts.

A head stands in the chain and, apart from it, in the writer's append-only heads file; whoever shortens one is betrayed
by the other. What cannot be noticed from these files alone: the loss of what was not signed yet (at most one signing
interval), and the loss of segments, heads file and all back to the same earlier head, unless a head was kept
elsewhere. Each head therefore goes to the log stream too, and ``verify`` takes heads kept from earlier.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple, get_type_hints

import orjson

MAGIC = b"IZINEVD1"
LINK_BYTES = 32
GENESIS = bytes(LINK_BYTES)
"""The link before the very first frame of a writer."""

HEADER = 0x48  # "H"
RECORD = 0x52  # "R"
HEAD = 0x53  # "S", signed
_KINDS = frozenset((HEADER, RECORD, HEAD))

MAX_PAYLOAD_BYTES = 64 * 1024 * 1024
"""Above any record of ours: a longer length is damage, not a frame."""

_FRAME = struct.Struct(">BI")
FRAME_OVERHEAD = _FRAME.size + LINK_BYTES

Buffer = bytes | bytearray | memoryview

HasSigned = Callable[[str, bytes, bytes], bool]
"""``(key id, statement, signature)``: whether that key is trusted and made that signature."""


class Frame(NamedTuple):
    """One frame as found; ``offset`` is where it starts, ``link`` what is stored with it."""

    kind: int
    payload: bytes
    digest: bytes
    link: bytes
    offset: int
    end: int


def encode_frame(kind: int, payload: bytes, previous: bytes) -> tuple[bytes, bytes]:
    """The frame's bytes, and its link."""
    head = _FRAME.pack(kind, len(payload))
    link = sha256(previous + sha256(head + payload).digest()).digest()
    return head + payload + link, link


def encode_records(records: Sequence[bytes], previous: bytes) -> tuple[list[bytes], bytes]:
    """The frames of ``records`` in pieces to be joined, and the last link. One loop: this is the hot path."""
    pieces: list[bytes] = []
    add = pieces.append
    pack = _FRAME.pack
    link = previous
    for record in records:
        framed = pack(RECORD, len(record)) + record
        link = sha256(link + sha256(framed).digest()).digest()
        add(framed)
        add(link)
    return pieces, link


def next_link(previous: bytes, digest: bytes) -> bytes:
    return sha256(previous + digest).digest()


def read_frames(data: Buffer, offset: int = len(MAGIC)) -> Iterator[Frame]:
    """The whole frames from ``offset`` on; ends before the first bytes that are not one, without judging why."""
    view = memoryview(data)
    total = len(view)
    while offset + FRAME_OVERHEAD <= total:
        kind, length = _FRAME.unpack_from(view, offset)
        link_at = offset + _FRAME.size + length
        end = link_at + LINK_BYTES
        if kind not in _KINDS or length > MAX_PAYLOAD_BYTES or end > total:
            return
        link = bytes(view[link_at:end])
        if link == GENESIS:
            return  # no hash is all NUL: these bytes never reached the disk
        framed = bytes(view[offset:link_at])
        yield Frame(kind, framed[_FRAME.size :], sha256(framed).digest(), link, offset, end)
        offset = end


class SegmentHeader(NamedTuple):
    """What the first frame of a segment says.

    ``records_before`` counts the writer's records before this segment. ``previous_*`` describe the predecessor as the
    writer found it: name, bytes up to its last whole frame, bytes of an unfinished write after that.
    """

    writer: str
    segment: int
    opened_at: str
    records_before: int
    heads_before: int
    previous_link: str
    previous_name: str
    previous_bytes: int
    previous_unfinished_bytes: int
    key_id: str
    format: int = 1

    def encode(self) -> bytes:
        return orjson.dumps(self._asdict())


def parse_header(payload: bytes) -> SegmentHeader:
    """Raises ``ValueError`` if the payload is not a segment header."""
    return SegmentHeader(**_fields(payload, SegmentHeader, "segment header"))


class Head(NamedTuple):
    """A signed statement: after ``records`` records the chain of ``writer`` stood at ``link`` (hex).

    ``number`` counts the writer's heads from 0, ``segment`` is where this one stands; ``closes`` marks the last
    frame of a segment closed in order. ``signature`` (hex) is Ed25519 over ``statement``.
    """

    writer: str
    number: int
    segment: int
    records: int
    link: str
    signed_at: str
    closes: bool
    key_id: str
    signature: str = ""

    def statement(self) -> bytes:
        """The signed bytes: one field a line, so that they can be rebuilt by hand and checked with any Ed25519 tool."""
        return (
            f"izinkapi evidence head 1\n{self.writer}\n{self.number}\n{self.segment}\n{self.records}\n{self.link}\n"
            f"{self.signed_at}\n{'closes' if self.closes else 'open'}\n{self.key_id}\n"
        ).encode()

    def encode(self) -> bytes:
        return orjson.dumps(self._asdict())


def parse_head(payload: bytes) -> Head:
    """Raises ``ValueError`` if the payload is not a head."""
    return Head(**_fields(payload, Head, "signed head"))


class Expiry(NamedTuple):
    """A signed statement: segments up to ``segment`` were removed at the end of their retention.

    ``link`` (hex), ``records`` and ``heads`` are where the chain stood then, so that the rest can still be verified.
    """

    writer: str
    segment: int
    records: int
    heads: int
    link: str
    signed_at: str
    key_id: str
    signature: str = ""

    def statement(self) -> bytes:
        return (
            f"izinkapi evidence expiry 1\n{self.writer}\n{self.segment}\n{self.records}\n{self.heads}\n{self.link}\n"
            f"{self.signed_at}\n{self.key_id}\n"
        ).encode()

    def encode(self) -> bytes:
        return orjson.dumps(self._asdict())


def parse_expiry(payload: bytes) -> Expiry:
    """Raises ``ValueError`` if the payload is not an expiry."""
    return Expiry(**_fields(payload, Expiry, "expiry"))


class SegmentSummary(NamedTuple):
    """Where a segment leaves the chain. ``size`` is up to its last whole frame; ``unsigned`` records follow the last
    head; ``head_payloads`` are the heads in it, as written."""

    header: SegmentHeader
    link: bytes
    records: int
    heads: int
    unsigned: int
    size: int
    head_payloads: tuple[bytes, ...]


def summarise_segment(data: Buffer) -> SegmentSummary | None:
    """The end of a segment, taking its links as stored; None if it has no whole header."""
    frames = read_frames(data)
    first = next(frames, None)
    if first is None or first.kind != HEADER:
        return None
    header = parse_header(first.payload)
    link, size, records, unsigned = first.link, first.end, header.records_before, 0
    heads = []
    for frame in frames:
        link, size = frame.link, frame.end
        if frame.kind == RECORD:
            records += 1
            unsigned += 1
        elif frame.kind == HEAD:
            heads.append(frame.payload)
            unsigned = 0
    return SegmentSummary(header, link, records, header.heads_before + len(heads), unsigned, size, tuple(heads))


_types_of = cache(get_type_hints)


def _fields(payload: bytes, kind: type, what: str) -> dict[str, Any]:
    value = orjson.loads(payload)
    types = _types_of(kind)
    if not isinstance(value, dict) or set(value) != set(types):
        raise ValueError(f"{what}: not the fields of one")
    for name, expected in types.items():
        if type(value[name]) is not expected:
            raise ValueError(f"{what}: {name} has the wrong type")
    return value
