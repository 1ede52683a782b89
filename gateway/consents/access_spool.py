"""Lists of dealers on disk while a file is read, beside the spool of the records they belong to.

One frame a list: its name, the length of what follows as four bytes, the packed list. No address is in it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from filters.decision.dealer_access import NAME_BYTES, AccessList

_FRAME = struct.Struct(f">{NAME_BYTES}sI")


class AccessSpool:
    """Appended to while reading; read from its beginning afterwards. Raises ``OSError``."""

    def __init__(self, directory: Path, length: int = 0) -> None:
        """``length`` is that of a checkpoint: what was appended after it is cut off again. Raises ``ValueError`` where
        the file is shorter than that."""
        self._file = (directory / "dealers").open("ab")
        if self._file.tell() < length:
            self._file.close()
            raise ValueError("dealers: the file is shorter than the checkpoint says")
        self._file.truncate(length)

    def append(self, lists: list[AccessList]) -> None:
        self._file.write(b"".join([_FRAME.pack(name, len(packed)) + packed for name, packed in lists]))

    def sync(self) -> int:
        """Its length, all of it on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def lists(self) -> Iterator[AccessList]:
        """In the order in which they were appended."""
        self._file.flush()
        with Path(self._file.name).open("rb") as file:
            while head := file.read(_FRAME.size):
                name, length = _FRAME.unpack(head)
                yield AccessList(name, file.read(length))

    def close(self) -> None:
        self._file.close()
