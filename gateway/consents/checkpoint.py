"""Where an import stands, kept in a folder of its own until it is done.

The folder's name says which import it is: brand, files (size, time, edges), index secret. The same command goes on
where it stopped; a file changed in between makes it another import.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, TextIO

_FOLDER = "imports"
_STALE_AFTER_S = 30 * 86400


class Progress(NamedTuple):
    """``file`` counts from 0; ``offset`` and ``line`` say where its next row begins (0: at its first row).

    ``rows`` and ``bad`` count what was read; ``newest_at`` is the latest consent date so far.
    """

    file: int = 0
    offset: int = 0
    line: int = 0
    rows: int = 0
    bad: int = 0
    newest_at: int = 0
    rejects_bytes: int = 0
    parts: tuple[int, ...] = ()
    access_bytes: int = 0


class Checkpoint:
    """Locked while the import runs. Raises ``OSError``; ``BlockingIOError`` where the same import is running."""

    def __init__(self, state_directory: Path, brand: int, identities: list[str], fingerprint: bytes) -> None:
        name = blake2b(repr((brand, identities, fingerprint.hex())).encode(), digest_size=8).hexdigest()
        self.directory = state_directory / _FOLDER / name
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock: TextIO = (self.directory / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise BlockingIOError(f"the same import is already running (it holds {self.directory})") from error
        self._path = self.directory / "progress.json"

    def load(self) -> Progress | None:
        """Where an interrupted run stopped; None at a first run, or where that cannot be read."""
        try:
            fields = json.loads(self._path.read_text("ascii"))
            return Progress(**{**fields, "parts": tuple(fields["parts"])})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, progress: Progress) -> None:
        fresh = self._path.with_suffix(".fresh")
        with fresh.open("w", encoding="ascii") as file:
            json.dump(progress._asdict(), file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)

    def close(self) -> None:
        """Keep everything for the next run."""
        self._lock.close()

    def remove(self) -> None:
        """The import is done."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self._lock.close()


def remove_stale(state_directory: Path, now: float) -> None:
    """Forget imports that nobody went on with: their hashed records are not ours to keep for ever."""
    for progress in (state_directory / _FOLDER).glob("*/progress.json"):
        if progress.stat().st_mtime < now - _STALE_AFTER_S:
            shutil.rmtree(progress.parent, ignore_errors=True)
