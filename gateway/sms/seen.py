"""Which incoming messages were taken already, for some days: a provider tells again what it thinks we did not hear."""

from __future__ import annotations

from collections.abc import Sequence

from filters.sms.note_seal import NoteSeal
from gateway.sms.ports import NoteStore
from gateway.sms.sealed_notes import SealedNotes


class SeenMessages:
    """Remembers them beside the notes of dropped numbers: by the provider's id, and by who refused whom (number and
    brand codes). Of two people under one id, which a provider that counts anew may give, neither counts as the other.
    """

    def __init__(self, notes: NoteStore, seal: NoteSeal) -> None:
        self._notes = SealedNotes(notes, seal)

    async def is_known(self, upstream: str, message_id: str, number: str, brands: Sequence[int]) -> bool:
        """Whether it was taken. Where the store cannot be asked it was not: a refusal twice is no harm."""
        found = await self._notes.find([_about(upstream, message_id, number, brands)])
        return found is not None and found[0] is not None

    async def remember(self, upstream: str, message_id: str, number: str, brands: Sequence[int]) -> bool:
        """Whether it is kept."""
        return await self._notes.keep(_about(upstream, message_id, number, brands), b"1")


def _about(upstream: str, message_id: str, number: str, brands: Sequence[int]) -> tuple[str, ...]:
    return ("inbound", upstream, message_id, number, *map(str, brands))
