"""Which incoming messages were taken already, for some days: a provider tells again what it thinks we did not hear."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from filters.sms.note_seal import NONCE_BYTES, NoteSeal
from gateway.sms.callbacks import answer_of
from gateway.sms.ports import NoteStore


class SeenMessages:
    """Remembers them by the provider's id, beside the notes of dropped numbers."""

    def __init__(self, notes: NoteStore, seal: NoteSeal, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._notes = notes
        self._seal = seal
        self._random_bytes = random_bytes

    async def is_known(self, upstream: str, message_id: str) -> bool:
        """Whether it was taken. Where the store cannot be asked it was not: a refusal twice is no harm."""
        names = self._seal.names("inbound", upstream, message_id)
        found = await answer_of(partial(self._notes.find_notes, names))
        return found is not None and any(found)

    async def remember(self, upstream: str, message_id: str) -> bool:
        """Whether it is kept."""
        name = self._seal.names("inbound", upstream, message_id)[0]
        sealed = self._seal.seal(name, b"1", self._random_bytes(NONCE_BYTES))
        return await answer_of(partial(self._notes.keep_note, name, sealed))
