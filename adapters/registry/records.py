"""Places for a ``SharedRecord``: this process, or a file that all processes of this machine share."""

from __future__ import annotations

import asyncio
import os
from hashlib import blake2b
from pathlib import Path

from adapters.file_lock import holding


def record_name(*parts: str) -> str:
    """A file or key name for a record that belongs to ``parts`` (base URL, user); shows none of them."""
    joined = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return blake2b(joined, digest_size=16, person=b"izin-registry").hexdigest()


class LocalRecord:
    """A record of this process only."""

    def __init__(self, value: bytes | None = None) -> None:
        self._value = value

    async def read(self) -> bytes | None:
        return self._value

    async def replace(self, expected: bytes | None, new: bytes) -> bool:
        if self._value != expected:
            return False
        self._value = new
        return True


class FileRecord:
    """A record in a file that only its owner may read, for all processes of one machine; it survives restarts.

    Readers need no lock, as the file is always replaced whole; writers take turns by a lock on a file beside it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock_path = path.with_name(path.name + ".lock")
        self._new_path = path.with_name(path.name + ".new")

    async def read(self) -> bytes | None:
        return await asyncio.to_thread(self._read)

    async def replace(self, expected: bytes | None, new: bytes) -> bool:
        return await asyncio.to_thread(self._replace, expected, new)

    def _read(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def _replace(self, expected: bytes | None, new: bytes) -> bool:
        with holding(self._lock_path):
            if self._read() != expected:
                return False
            descriptor = os.open(self._new_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(new)
                file.flush()
                os.fsync(file.fileno())
            self._new_path.replace(self._path)
            return True
