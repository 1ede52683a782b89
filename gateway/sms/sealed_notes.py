"""Notes that nobody can read in the store: named by a keyed hash of what they are about, and sealed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from filters.sms.note_seal import NONCE_BYTES, NoteSeal
from gateway.sms.callbacks import answer_of
from gateway.sms.ports import NoteStore

_BLOCK_BYTES = 4096


class _RandomBlocks:
    """``os.urandom`` in blocks: asking the kernel costs more than all else about a short note."""

    __slots__ = ("_at", "_block", "_process")

    def __init__(self) -> None:
        self._block, self._at, self._process = b"", 0, 0

    def take(self, size: int) -> bytes:
        """``size`` random bytes (at most a block), given to nobody before."""
        process = os.getpid()
        if self._at + size > len(self._block) or process != self._process:  # a child must not go on in our block
            self._block, self._at, self._process = os.urandom(_BLOCK_BYTES), 0, process
        self._at += size
        return self._block[self._at - size : self._at]


class SealedNotes:
    """Keeps and finds notes by the words that they are about. ``random_bytes`` makes nonces."""

    def __init__(self, notes: NoteStore, seal: NoteSeal, random_bytes: Callable[[int], bytes] | None = None) -> None:
        self._notes = notes
        self._seal = seal
        self._random_bytes = random_bytes if random_bytes is not None else _RandomBlocks().take

    async def keep(self, about: tuple[str, ...], plain: bytes) -> bool:
        """Whether it is kept. It replaces an earlier note about the same."""
        name = self._seal.name(*about)
        sealed = self._seal.seal(name, plain, self._random_bytes(NONCE_BYTES))
        return await answer_of(partial(self._notes.keep_note, name, sealed))

    def keep_soon(self, about: tuple[str, ...], plain: bytes, done: Callable[[bool], None]) -> None:
        """As ``keep``, for those that do not wait."""
        name = self._seal.name(*about)
        self._notes.keep_note(name, self._seal.seal(name, plain, self._random_bytes(NONCE_BYTES)), done)

    async def claim(self, about: tuple[str, ...], plain: bytes, keep_s: int) -> bool | None:
        """Whether it is kept, for ``keep_s`` seconds: False where there is a note about the same already, None where
        the store did not say."""
        name = self._seal.name(*about)
        sealed = self._seal.seal(name, plain, self._random_bytes(NONCE_BYTES))
        return await answer_of(partial(self._notes.claim_note, name, sealed, keep_s))

    async def find(self, abouts: Sequence[tuple[str, ...]]) -> list[bytes | None] | None:
        """In order, None for one that is not there or does not open; None for all if the store could not be asked."""
        names = [self._seal.names(*about) for about in abouts]
        flat = [name for group in names for name in group]
        if not flat:
            return []
        answered: Sequence[bytes | None] | None = await answer_of(partial(self._notes.find_notes, flat))
        if answered is None or len(answered) != len(flat):
            return None
        by_name: Mapping[bytes, bytes | None] = dict(zip(flat, answered, strict=True))
        return [self._open_first(group, by_name) for group in names]

    def _open_first(self, group: Sequence[bytes], by_name: Mapping[bytes, bytes | None]) -> bytes | None:
        for name in group:
            sealed = by_name[name]
            if sealed:
                try:
                    return self._seal.open(name, sealed)
                except ValueError:
                    continue  # as good as lost
        return None
