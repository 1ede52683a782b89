"""Dropped numbers, kept for as long as a sender may ask what became of them, and shown in the provider's own reports.

A provider whose answer to a send says "accepted" and whose report later says "refused" knows nothing of the numbers we
left out. They are kept by the job's id (the provider's, or one of ours where nobody was left), sealed, and laid over
reports, status queries and cancellations that ask for that id. Only the client that sent the job finds them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import orjson

from filters.reason import Reason
from filters.sms.message import ReportEntry
from filters.sms.note_seal import NONCE_BYTES, NoteSeal
from gateway.sms.callbacks import answer_of
from gateway.sms.ports import NoteStore

MAX_IDS = 1000
"""Job ids in one report request; the rest is passed on without a look."""

_REASONS = {str(reason): reason for reason in Reason}


class KeptJob(NamedTuple):
    """What is known of one job. ``is_minted``: the provider never heard of it."""

    entries: Sequence[ReportEntry]
    is_minted: bool


class DroppedNumbers:
    """Keeps and finds them. ``random_bytes`` makes nonces."""

    def __init__(self, notes: NoteStore, seal: NoteSeal, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._notes = notes
        self._seal = seal
        self._random_bytes = random_bytes

    async def keep(
        self, client: str, upstream: str, job_id: str, entries: Sequence[ReportEntry], *, is_minted: bool
    ) -> bool:
        """Whether it is kept."""
        plain = orjson.dumps({"minted": is_minted, "entries": [list(entry) for entry in entries]})
        return await self._keep(("dropped", client, upstream, job_id), plain)

    async def find(self, client: str, upstream: str, job_ids: Sequence[str]) -> dict[str, KeptJob] | None:
        """By job id, those of which something is kept; None if the store could not be asked."""
        asked = job_ids[:MAX_IDS]
        found = await self._find([("dropped", client, upstream, job_id) for job_id in asked])
        if found is None:
            return None
        kept: dict[str, KeptJob] = {}
        for job_id, plain in zip(asked, found, strict=True):
            if plain is not None:
                fields = orjson.loads(plain)
                entries = [
                    ReportEntry(spelled, e164, reference, _REASONS.get(reason, Reason.NO_CONSENT), dropped_at)
                    for spelled, e164, reference, reason, dropped_at in fields["entries"]
                ]
                kept[job_id] = KeptJob(entries, fields["minted"])
        return kept

    async def keep_job_of(self, digest: bytes, job_id: str) -> bool:
        """Under which id the provider took the request of ``digest``, for a client that did not hear the answer."""
        return await self._keep(("job", digest.hex()), job_id.encode())

    async def find_job_of(self, digest: bytes) -> str:
        """What ``keep_job_of`` kept, or ""."""
        found = await self._find([("job", digest.hex())])
        return found[0].decode() if found and found[0] else ""

    async def _keep(self, about: tuple[str, ...], plain: bytes) -> bool:
        name = self._seal.names(*about)[0]
        sealed = self._seal.seal(name, plain, self._random_bytes(NONCE_BYTES))
        return await answer_of(partial(self._notes.keep_note, name, sealed))

    async def _find(self, abouts: Sequence[tuple[str, ...]]) -> list[bytes | None] | None:
        names = [self._seal.names(*about) for about in abouts]
        flat = [name for group in names for name in group]
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
                    continue  # as good as lost; the report then shows what the provider knows
        return None
