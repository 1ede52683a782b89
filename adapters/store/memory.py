"""What this machine remembers of its store, in a small file outside of it.

Without such a memory a restart after a flush would take the empty store for a new one, and one after a restore would
take a state for current in which refusals are missing. What is remembered only ever grows; ``accept`` alone starts
over, and only an operator causes it.

The file is shared by all processes of the machine: ``epoch`` counts acceptances, so that a process still holding an
older memory takes over the newer one instead of writing its own back.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from adapters.file_lock import holding
from adapters.store.errors import StoreError
from adapters.store.mark import FORMAT, Mark
from filters.vocabulary import LookupFailure

FILE_NAME = "store-memory.json"
_WRITE_EVERY_S = 1.0
_REREAD_EVERY_S = 0.5


class _Remembered(NamedTuple):
    epoch: int
    generation: bytes
    revision: int
    is_rolled_back: bool


class StoreMemory:
    """Judges each mark that was read against what was seen before. Used from several threads."""

    def __init__(
        self, state_directory: Path, fingerprint: bytes, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises ``StoreError`` where the directory or the file in it cannot be used."""
        self._path = state_directory / FILE_NAME
        self._fingerprint = fingerprint
        self._monotonic = monotonic
        self._lock = Lock()
        self._written_at = self._reread_at = monotonic()
        self._has_news = False
        try:
            state_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._known = self._read()
        except OSError as error:
            raise StoreError(f"store memory in {state_directory}: {error.strerror or error}") from error

    @property
    def generation(self) -> bytes | None:
        """Of the store this machine belongs to; None before the first contact."""
        return self._known.generation if self._known else None

    @property
    def revision(self) -> int:
        """The highest one seen. A question sent from now on must be answered with at least this."""
        return self._known.revision if self._known else 0

    def judge(self, mark: Mark | None, floor: int) -> LookupFailure | None:
        """What is wrong with the store that showed ``mark``, or None; ``floor`` is ``revision`` as it was when the
        question was sent (answers on two connections may overtake each other, which is no roll-back).

        The first mark ever seen is adopted. A roll-back is remembered until accepted: later changes would otherwise
        carry the revision past the highest one known, and what was lost before would never be noticed.
        """
        known = self._known
        if (
            mark is not None
            and known is not None
            and mark.generation == known.generation
            and not known.is_rolled_back
            and mark.revision >= floor
            and mark.fingerprint == self._fingerprint
            and mark.format == FORMAT
        ):
            if mark.revision > known.revision:
                self._note(mark.revision)
            return None
        with self._lock:
            return self._judge_slowly(mark, floor)

    def _judge_slowly(self, mark: Mark | None, floor: int) -> LookupFailure | None:
        self._take_over_acceptance()
        if mark is None:
            return LookupFailure.NOT_INITIALISED
        if mark.format != FORMAT or mark.fingerprint != self._fingerprint:
            return LookupFailure.FOREIGN
        known = self._known
        if known is None:
            self._known = _Remembered(0, mark.generation, mark.revision, is_rolled_back=False)
            self._write(is_urgent=True)
            known = self._known
        if mark.generation != known.generation:
            return LookupFailure.FOREIGN
        if known.is_rolled_back:
            return LookupFailure.ROLLED_BACK
        if mark.revision < min(floor, known.revision):
            self._known = known._replace(is_rolled_back=True)
            self._write(is_urgent=True)
            return LookupFailure.ROLLED_BACK
        self._known = known._replace(revision=max(known.revision, mark.revision))
        return None

    def refresh(self) -> None:
        """Take over what other processes of this machine know. To be called when the store was away, before it is
        believed again: a process that did not happen to look up after the last refusal would believe a store that
        lost it. What this process knows still stands where the file cannot be read."""
        with self._lock, suppress(OSError):
            stored = self._read()
            if stored is not None:
                self._known = stored if self._known is None else _newest(stored, self._known)

    def share(self) -> None:
        """Let the other processes of this machine know what this one knows, now and not at the next interval."""
        with self._lock:
            if self._has_news:
                self._write(is_urgent=False)

    def accept(self, mark: Mark) -> None:
        """From now on the store that showed ``mark`` is the right one, as it is. Raises ``StoreError``."""
        with self._lock:
            self._known = _Remembered(
                (self._known.epoch if self._known else 0) + 1, mark.generation, mark.revision, is_rolled_back=False
            )
            self._write(is_urgent=True)

    def close(self) -> None:
        with self._lock:
            if self._has_news:
                self._write(is_urgent=False)

    def _note(self, revision: int) -> None:
        with self._lock:
            if self._known is None or revision <= self._known.revision:
                return
            self._known = self._known._replace(revision=revision)
            self._has_news = True
            # Called on the hot path: a file write for each change that another process made would cost more than the
            # look-up. What a refusal rests on is shared at once (``share``), before the refusal is confirmed.
            if self._monotonic() - self._written_at >= _WRITE_EVERY_S:
                self._write(is_urgent=False)

    def _take_over_acceptance(self) -> None:
        """An operator's acceptance reaches the running processes through the file."""
        now = self._monotonic()
        if now - self._reread_at < _REREAD_EVERY_S:
            return
        self._reread_at = now
        try:
            stored = self._read()
        except OSError:
            return  # what this process remembers still stands
        if stored is not None and (self._known is None or stored.epoch > self._known.epoch):
            self._known = stored

    def _write(self, *, is_urgent: bool) -> None:
        assert self._known is not None
        self._written_at = self._monotonic()
        try:
            with holding(self._path.with_suffix(".lock")):
                stored = self._read()
                if stored is not None:
                    self._known = _newest(stored, self._known)
                _replace_file(self._path, _render(self._known), is_synced=is_urgent)
            self._has_news = False
        except OSError as error:
            # Losing a debounced write only narrows what a restart can notice; losing an urgent one would undo it.
            if is_urgent:
                raise StoreError(f"store memory {self._path}: {error.strerror or error}") from error

    def _read(self) -> _Remembered | None:
        try:
            text = self._path.read_text("ascii")
        except FileNotFoundError:
            return None
        try:
            fields = json.loads(text)
            return _Remembered(
                int(fields["epoch"]),
                bytes.fromhex(fields["generation"]),
                int(fields["revision"]),
                bool(fields["rolled_back"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"store memory {self._path}: expected what this program wrote, found something else; without it a "
                "flushed or restored store cannot be told from the right one"
            ) from error


def _newest(stored: _Remembered, known: _Remembered) -> _Remembered:
    if stored.epoch != known.epoch or stored.generation != known.generation:
        return stored if stored.epoch >= known.epoch else known
    return known._replace(
        revision=max(stored.revision, known.revision), is_rolled_back=stored.is_rolled_back or known.is_rolled_back
    )


def _render(known: _Remembered) -> bytes:
    fields = {
        "epoch": known.epoch,
        "generation": known.generation.hex(),
        "revision": known.revision,
        "rolled_back": known.is_rolled_back,
    }
    return json.dumps(fields).encode("ascii")


def _replace_file(path: Path, content: bytes, *, is_synced: bool) -> None:
    """Readers see the old content or the new, never a part."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
        if is_synced:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(path)
