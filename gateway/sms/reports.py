"""Dropped numbers, kept for as long as a sender may ask what became of them, and shown in the provider's own reports.

A provider whose answer to a send says "accepted" and whose report later says "refused" knows nothing of the numbers we
left out. They are kept by the job's id (the provider's, or one of ours where nobody was left), sealed, and laid over
reports, status queries and cancellations that ask for that id. Only the client that sent the job finds them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import orjson

from filters.reason import Reason
from filters.sms.dialect import Fault, JobSearch, RequestRefusedError
from filters.sms.message import ReportEntry
from filters.sms.note_seal import NoteSeal
from gateway.sms.ports import NoteStore
from gateway.sms.recent_jobs import JobOwner, RecentJobs
from gateway.sms.sealed_notes import SealedNotes

MAX_IDS = 50_000
"""Job ids in one report request. With more it is refused: who is not looked for would seem not to be left out."""

_IDS_AT_ONCE = 1000
_KEPT_FIELDS = 5

_REASONS = {str(reason): reason for reason in Reason}


class KeptJob(NamedTuple):
    """What is known of one job. ``is_minted``: the provider never heard of it."""

    entries: Sequence[ReportEntry]
    is_minted: bool


class DroppedNumbers:
    """Keeps and finds them. ``instance`` names this process and no other, ever."""

    def __init__(self, notes: NoteStore, seal: NoteSeal, instance: str = "") -> None:
        self._notes = SealedNotes(notes, seal)
        self._recent = RecentJobs(self._notes, instance or os.urandom(8).hex())

    async def keep(
        self, client: str, upstream: str, job_id: str, entries: Sequence[ReportEntry], *, is_minted: bool
    ) -> bool:
        """Whether it is kept."""
        plain = orjson.dumps({"minted": is_minted, "entries": [entry[:_KEPT_FIELDS] for entry in entries]})
        return await self._notes.keep(("dropped", client, upstream, job_id), plain)

    async def find(self, client: str, upstream: str, job_ids: Sequence[str]) -> dict[str, KeptJob] | None:
        """By job id, those of which something is kept; None if the store could not be asked. Raises
        ``RequestRefusedError`` for more than ``MAX_IDS``."""
        asked = list(dict.fromkeys(job_ids))
        if len(asked) > MAX_IDS:
            raise RequestRefusedError(Fault.TOO_LARGE, f"the ids: expected at most {MAX_IDS}")
        kept: dict[str, KeptJob] = {}
        for start in range(0, len(asked), _IDS_AT_ONCE):
            some = asked[start : start + _IDS_AT_ONCE]
            found = await self._notes.find([("dropped", client, upstream, job_id) for job_id in some])
            if found is None:
                return None
            kept.update(_read_kept(some, found))
            await asyncio.sleep(0)  # others have their turn
        return kept

    def note_job(self, owner: JobOwner, job_id: str, at: float, own_id: str = "") -> None:
        """So that ``search`` finds what was kept for ``job_id`` (``RecentJobs.note``)."""
        self._recent.note(owner, job_id, at, own_id)

    async def search(self, owner: JobOwner, search: JobSearch) -> dict[str, KeptJob] | None:
        """As ``find``, for a report that names no job."""
        job_ids = await self._recent.find(owner, search)
        return None if job_ids is None else await self.find(owner.client, owner.upstream, job_ids)

    async def close(self) -> None:
        """Keep what is still to be kept."""
        await self._recent.close()

    async def keep_job_of(self, digest: bytes, job_id: str) -> bool:
        """Under which id the provider took the request of ``digest``, for a client that did not hear the answer."""
        return await self._notes.keep(("job", digest.hex()), job_id.encode())

    async def find_job_of(self, digest: bytes) -> str:
        """What ``keep_job_of`` kept, or ""."""
        found = await self._notes.find([("job", digest.hex())])
        return found[0].decode() if found and found[0] else ""


def _read_kept(job_ids: Sequence[str], found: Sequence[bytes | None]) -> Iterator[tuple[str, KeptJob]]:
    for job_id, plain in zip(job_ids, found, strict=True):
        if plain is not None:
            fields = orjson.loads(plain)
            entries = [
                ReportEntry(spelled, e164, reference, _REASONS.get(reason, Reason.NO_CONSENT), dropped_at)
                for spelled, e164, reference, reason, dropped_at in fields["entries"]
            ]
            yield job_id, KeptJob(entries, fields["minted"])
