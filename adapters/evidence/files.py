"""Where evidence lies and how it is named.

::

    DIRECTORY/
      20260801/mx1-0-20260801T101500Z-00000012.izl      open or closed segment (filters.evidence.chain)
      20260801/mx1-0-20260801T091500Z-00000011.izl.gz   sealed segment: gzip members of whole frames
      20260801/….recipients.parquet, ….messages.parquet indexes of sealed segments
      heads/mx1-0.heads                                 signed heads of a writer, one JSON object a line
      heads/mx1-0.expired                               signed statements of removed segments
      locks/mx1-0.lock                                  held by the process that writes this chain

A writer is a machine (``node``) and a worker slot. The folder is the UTC day on which the segment was opened.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from adapters.evidence.errors import EvidenceError

OPEN_SUFFIX = ".izl"
RECIPIENTS_SUFFIX = ".recipients.parquet"
MESSAGES_SUFFIX = ".messages.parquet"

_NAME = re.compile(
    r"(?P<writer>[A-Za-z0-9_.-]+-[0-9]+)-(?P<start>[0-9]{8}T[0-9]{6}Z)-(?P<segment>[0-9]{8})\.izl(?P<gz>\.gz)?",
    re.ASCII,
)
_NODE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}", re.ASCII)
_DAY = re.compile(r"[0-9]{8}", re.ASCII)

SLOT_STRIDE = 1000
"""A second process for the same slot (the next generation during a reload) writes a chain of its own, this far on."""
_SLOT_ATTEMPTS = 8


class SegmentFile(NamedTuple):
    """A segment on disk; ``name`` is without folder and suffix, and stays the same when it is sealed."""

    writer: str
    segment: int
    name: str
    path: Path
    is_sealed: bool

    @property
    def day(self) -> str:
        return self.path.parent.name


def check_node(node: str) -> str:
    """Raises ``ValueError`` if ``node`` cannot be part of a file name."""
    if not _NODE.fullmatch(node):
        raise ValueError(f"node name: expected letters, digits, '.', '_' or '-', found {node!r}")
    return node


def segment_path(directory: Path, writer: str, segment: int, opened_at: float) -> Path:
    opened = datetime.fromtimestamp(opened_at, UTC)
    return directory / f"{opened:%Y%m%d}" / f"{writer}-{opened:%Y%m%dT%H%M%SZ}-{segment:08d}{OPEN_SUFFIX}"


def heads_path(directory: Path, writer: str) -> Path:
    return directory / "heads" / f"{writer}.heads"


def expired_path(directory: Path, writer: str) -> Path:
    return directory / "heads" / f"{writer}.expired"


def list_days(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted(entry for entry in directory.iterdir() if _DAY.fullmatch(entry.name) and entry.is_dir())


def list_segments(directory: Path, day: Path | None = None) -> list[SegmentFile]:
    """All segments (or those of one day) by writer and number. A segment in both forms (sealing was cut off after the
    compressed form was complete) appears once, as the original."""
    found: dict[tuple[str, str], SegmentFile] = {}
    for folder in [day] if day is not None else list_days(directory):
        for entry in folder.iterdir():
            match = _NAME.fullmatch(entry.name)
            if match is None:
                continue
            name = entry.name.removesuffix(".gz").removesuffix(OPEN_SUFFIX)
            file = SegmentFile(match["writer"], int(match["segment"]), name, entry, match["gz"] is not None)
            key = (file.writer, name)
            if key not in found or not file.is_sealed:
                found[key] = file
    return sorted(found.values(), key=lambda file: (file.writer, file.segment, file.name))


def list_writers(directory: Path) -> list[str]:
    """Every writer that left a segment or a heads file."""
    writers = {file.writer for file in list_segments(directory)}
    heads = directory / "heads"
    if heads.is_dir():
        writers |= {
            entry.name.rpartition(".")[0] for entry in heads.iterdir() if entry.suffix in (".heads", ".expired")
        }
    return sorted(writers)


def read_lines(path: Path) -> Iterator[bytes]:
    """Whole lines of an append-only file; a torn last line is left out. Nothing if the file does not exist."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    lines = content.split(b"\n")
    yield from lines[:-1]


def sync_directory(directory: Path) -> None:
    """Make a new or removed name in ``directory`` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(directory: Path) -> None:
    """Create ``directory`` for us alone, durably."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)
    sync_directory(directory.parent)


class WriterLock:
    """The right to write one chain. Two processes on one chain would fork it, so each takes a lock first."""

    __slots__ = ("_descriptor", "slot", "writer")

    def __init__(self, directory: Path, node: str, slot: int) -> None:
        """Takes the first free chain for ``slot``. Raises ``EvidenceError`` if none is free."""
        locks = directory / "locks"
        make_directory(locks)
        for attempt in range(_SLOT_ATTEMPTS):
            self.slot = slot + attempt * SLOT_STRIDE
            self.writer = f"{check_node(node)}-{self.slot}"
            descriptor = os.open(locks / f"{self.writer}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                continue
            self._descriptor = descriptor
            return
        raise EvidenceError(f"evidence: every chain of slot {slot} on {node} is held by another process")

    def release(self) -> None:
        os.close(self._descriptor)
