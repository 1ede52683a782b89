"""Our own refusals, kept on this machine's disk before the store gets them (design D8).

A refusal confirmed to a person must outlive whatever happens to the store: a Redis that syncs its log once a second,
or not at all, or comes back from last night's copy. So each one is appended here and synced first; what is here is
merged into the store again at the start, and when an operator accepts a store that lost its state. Merging twice is
harmless: the later will stands, and an outbox item keeps its id.

One line an entry: checksum, space, JSON. A line torn by a power cut fails its checksum and is passed over: nobody was
told that it is kept.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from adapters.file_lock import holding
from adapters.store.errors import StoreError
from filters.exchange import OutboxItem

FILE_NAME = "refusals.journal"
_COMPACT_ABOVE_BYTES = 1 << 20


class JournalEntry(NamedTuple):
    """``records`` are key and packed entry joined, as the stores take them."""

    brand: int
    records: tuple[bytes, ...]
    outbox: tuple[OutboxItem, ...]


class RefusalJournal:
    """Shared by all processes of the machine. All methods block on the disk: call them from a thread."""

    def __init__(self, state_directory: Path, keep_days: int) -> None:
        self._path = state_directory / FILE_NAME
        self._lock_path = state_directory / f"{FILE_NAME}.lock"
        self._keep_s = keep_days * 86400

    def append(self, brand: int, records: Iterable[bytes], outbox: Iterable[OutboxItem], now: int) -> None:
        """Keep a refusal; on the disk when this returns. Raises ``StoreError``."""
        self._append_line(
            {
                "at": now,
                "brand": brand,
                "records": [record.hex() for record in records],
                "outbox": [
                    [item.item_id.hex(), item.brand, item.due_at, b64encode(item.sealed).decode("ascii")]
                    for item in outbox
                ],
            }
        )

    def append_removed(self, item_ids: Sequence[bytes], now: int) -> None:
        """Keep that these outbox items are done with, so that they are not put back. Raises ``StoreError``."""
        if item_ids and self._path.exists():
            self._append_line({"at": now, "removed": [item_id.hex() for item_id in item_ids]})

    def entries(self) -> list[JournalEntry]:
        """All that is kept, oldest first, without the outbox items done with. Raises ``StoreError``.

        An item is done with if that was said after it was appended: the same person may refuse again later, after a
        new consent, and that report can have the id of one made before.
        """
        try:
            lines = [fields for fields, _ in self._lines()]
        except OSError as error:
            raise self._failed(error) from error
        removed: set[str] = set()
        found: list[JournalEntry] = []
        for fields in reversed(lines):
            removed.update(fields.get("removed", ()))
            if "records" in fields:
                found.append(
                    JournalEntry(
                        fields["brand"],
                        tuple(bytes.fromhex(record) for record in fields["records"]),
                        tuple(
                            OutboxItem(bytes.fromhex(item_id), brand, due_at, b64decode(sealed))
                            for item_id, brand, due_at, sealed in fields["outbox"]
                            if item_id not in removed
                        ),
                    )
                )
        return found[::-1]

    def compact(self, now: int) -> None:
        """Forget what is older than the registry needs to know it by itself. Raises ``StoreError``."""
        try:
            if not self._path.exists() or self._path.stat().st_size < _COMPACT_ABOVE_BYTES:
                return
            with holding(self._lock_path):
                kept = b"".join(line for fields, line in self._lines() if fields["at"] >= now - self._keep_s)
                fresh = self._path.with_suffix(".fresh")
                _write_synced(fresh, os.O_TRUNC, kept)
                fresh.replace(self._path)
                _sync_directory(self._path.parent)
        except OSError as error:
            raise self._failed(error) from error

    def _append_line(self, fields: dict[str, object]) -> None:
        body = json.dumps(fields, separators=(",", ":")).encode("ascii")
        # The leading line end closes a line that a power cut may have torn; empty lines are passed over.
        line = b"\n%08x %s\n" % (crc32(body), body)
        try:
            with holding(self._lock_path):
                is_new = not self._path.exists()
                _write_synced(self._path, os.O_APPEND, line)
                if is_new:
                    _sync_directory(self._path.parent)
        except OSError as error:
            raise self._failed(error) from error

    def _lines(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        for line in content.split(b"\n"):
            checksum, _, body = line.partition(b" ")
            if body and checksum == b"%08x" % crc32(body):
                yield json.loads(body), line + b"\n"

    def _failed(self, error: OSError) -> StoreError:
        return StoreError(f"refusal journal {self._path}: {error.strerror or error}")


def _write_synced(path: Path, flags: int, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
