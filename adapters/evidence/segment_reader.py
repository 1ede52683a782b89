"""Reads segments, sealed or not.

A sealed segment is a gzip file of many members, each of whole frames, so any gzip tool reads it from the start and we
read one record by unpacking one member.
"""

from __future__ import annotations

import gzip
import mmap
import zlib

from adapters.evidence.errors import EvidenceError
from adapters.evidence.files import SegmentFile
from filters.evidence.chain import Buffer, Frame, read_frames


def read_segment(file: SegmentFile) -> Buffer:
    """The whole decompressed segment. Raises ``EvidenceError`` if the compressed form is damaged."""
    if not file.is_sealed:
        with file.path.open("rb") as source:
            if file.path.stat().st_size == 0:
                return b""
            # Mapped, not read: a search touches pages at the speed of memory and copies nothing.
            return memoryview(mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        # Not gzip.decompress: it copies what is left of the file once a member, and there are a thousand.
        with gzip.open(file.path) as source:
            return source.read()
    except (OSError, EOFError, zlib.error) as error:
        raise EvidenceError(f"sealed segment {file.path.name} cannot be unpacked: {type(error).__name__}") from error


def read_member(file: SegmentFile, member_at: int, within: int) -> Frame:
    """The frame ``within`` bytes into the member that starts at ``member_at`` of the compressed file."""
    unpacker = zlib.decompressobj(wbits=31)
    pieces = []
    try:
        with file.path.open("rb") as source:
            source.seek(member_at)
            while not unpacker.eof and (block := source.read(65536)):
                pieces.append(unpacker.decompress(block))
    except zlib.error as error:
        raise EvidenceError(f"sealed segment {file.path.name} cannot be unpacked at {member_at}") from error
    frame = next(read_frames(b"".join(pieces), within), None)
    if frame is None:
        raise EvidenceError(f"sealed segment {file.path.name} has no record at {member_at}+{within}")
    return frame
