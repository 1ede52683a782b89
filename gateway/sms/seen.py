"""Which incoming messages were taken already, for some days: a provider tells again what it thinks we did not hear."""

from __future__ import annotations

from filters.sms.note_seal import NoteSeal
from gateway.sms.ports import NoteStore
from gateway.sms.sealed_notes import SealedNotes


class SeenMessages:
    """Remembers them by the provider's id, beside the notes of dropped numbers."""

    def __init__(self, notes: NoteStore, seal: NoteSeal) -> None:
        self._notes = SealedNotes(notes, seal)

    async def is_known(self, upstream: str, message_id: str) -> bool:
        """Whether it was taken. Where the store cannot be asked it was not: a refusal twice is no harm."""
        found = await self._notes.find([("inbound", upstream, message_id)])
        return found is not None and found[0] is not None

    async def remember(self, upstream: str, message_id: str) -> bool:
        """Whether it is kept."""
        return await self._notes.keep(("inbound", upstream, message_id), b"1")
