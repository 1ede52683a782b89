"""Packed records on disk, divided by the first bits of their keys, before any of them enters the index.

Keys are hashes, so the rows of a file touch every page of the index again and again. Divided and then sorted, each
page is visited once: the load is faster by an order of magnitude and leaves the pages full. The files hold hashed
keys only, no address.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from io import BufferedWriter
from pathlib import Path

from filters.consent import ENTRY_BYTES
from filters.consent_key import KEY_BYTES

RECORD_BYTES = KEY_BYTES + ENTRY_BYTES
_RECORDS_A_PART = 250_000
_MOST_PARTS = 256
_BYTES_A_ROW = 60  # of CSV, roughly


class Spool:
    """Appended to while reading; read part by part afterwards. Raises ``OSError``."""

    def __init__(self, directory: Path, csv_bytes: int, lengths: Sequence[int] = ()) -> None:
        """``lengths`` are those of a checkpoint: what was appended after it is cut off again."""
        wanted = csv_bytes // _BYTES_A_ROW // _RECORDS_A_PART
        self._shift = 8 - min(wanted.bit_length(), _MOST_PARTS.bit_length() - 1)
        self._files: list[BufferedWriter] = []
        parts = 256 >> self._shift
        if len(lengths) not in {0, parts}:
            raise ValueError("spool: the checkpoint is of another number of parts")
        for number in range(parts):
            file = (directory / f"{number:02x}").open("ab")
            self._files.append(file)
            length = lengths[number] if lengths else 0
            if file.tell() < length:
                self.close()
                raise ValueError("spool: a part is shorter than the checkpoint says")
            file.truncate(length)

    def append(self, records: list[bytes]) -> None:
        """Put each record into the part its key belongs to."""
        shift = self._shift
        parts: list[list[bytes]] = [[] for _ in self._files]
        for record in records:
            parts[record[0] >> shift].append(record)
        for file, part in zip(self._files, parts, strict=True):
            file.write(b"".join(part))

    def sync(self) -> list[int]:
        """The lengths of the parts, all of it on the disk."""
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())
        return [file.tell() for file in self._files]

    def parts(self) -> Iterator[list[bytes]]:
        """Sorted records without repetitions, the parts in the order of their keys."""
        for file in self._files:
            file.flush()
            content = Path(file.name).read_bytes()
            yield sorted({content[at : at + RECORD_BYTES] for at in range(0, len(content), RECORD_BYTES)})

    def close(self) -> None:
        for file in self._files:
            file.close()
