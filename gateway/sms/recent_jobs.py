"""Which jobs with dropped numbers an account had lately, for reports that name none: by span of time, or by the
sender's own id for the job.

The store keeps notes and cannot add to one, and several workers write at once. So each worker writes lists of its own,
a new one each hour for each *shelf* (an hour of one account, or one id of the sender's), and on the shelf lies a list
of those lists. Two workers that put their names on a shelf in the same instant may lose one; each looks again a second
later. A list is written at once, but the longer it is the less often, down to once a second: until then other workers
do not see what is new, and what a worker has not written yet when it is killed is missing in such reports only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

import orjson
import structlog

from filters.sms.dialect import JobSearch
from gateway.sms.sealed_notes import SealedNotes

log = structlog.stdlib.get_logger(__name__)

MAX_JOBS_LISTED = 2000
"""Of one worker on one shelf in one hour: what such a sender asks for, it asks by job id."""

MAX_JOBS_FOUND = 1000
"""In one report, the oldest first."""

MAX_SPAN_HOURS = 24 * 11
"""No note is kept longer."""

_HOUR_S = 3600
_SHORTEST_PAUSE_S = 0.05
_LOOK_AGAIN_S = 1.0


class JobOwner(NamedTuple):
    """Whose jobs: a client of ours, an upstream, and the account there."""

    client: str
    upstream: str
    account: str


class _List(NamedTuple):
    """One worker's list on one shelf."""

    shelf: tuple[str, ...]
    hour: int


class RecentJobs:
    """Notes jobs and finds them. ``instance`` names this process and no other, ever."""

    def __init__(self, notes: SealedNotes, instance: str, clock: Callable[[], float] = time.time) -> None:
        self._notes = notes
        self._instance = instance
        self._clock = clock
        self._jobs: dict[_List, list[tuple[str, float]]] = {}
        self._changed: dict[_List, None] = {}
        self._unsure: dict[_List, None] = {}
        """Their names were put on a shelf and may have been lost again."""
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def note(self, owner: JobOwner, job_id: str, at: float, own_id: str = "") -> None:
        """``at``: seconds since 1970 UTC, when it was decided; ``own_id``: the sender's own for the job, or ""."""
        hour = int(self._clock()) // _HOUR_S
        shelves = [(*owner, "hour", str(int(at) // _HOUR_S))]
        if own_id:
            shelves.append((*owner, "own id", own_id))
        for shelf in shelves:
            listed = self._jobs.setdefault(place := _List(shelf, hour), [])
            if len(listed) >= MAX_JOBS_LISTED:
                continue
            listed.append((job_id, at))
            self._changed[place] = None
            if len(listed) == MAX_JOBS_LISTED:
                log.warning("report.list_full", upstream=owner.upstream, client=owner.client)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write_soon(), name="recent jobs")

    async def find(self, owner: JobOwner, search: JobSearch) -> list[str] | None:
        """Ids of the jobs that ``search`` means, the oldest first; None if the store could not be asked."""
        await self.write()
        shelves = self._shelves_of(owner, search)
        on_shelves = await self._notes.find([("job lists", *shelf) for shelf in shelves])
        if on_shelves is None:
            return None
        lists = [
            ("jobs", *shelf, name)
            for shelf, names in zip(shelves, on_shelves, strict=True)
            if names is not None
            for name in orjson.loads(names)
        ]
        found = await self._notes.find(lists)
        if found is None:
            return None
        jobs = {
            job_id: at
            for plain in found
            if plain is not None
            for job_id, at in orjson.loads(plain)
            if search.start <= at < search.stop
        }
        return sorted(jobs, key=lambda job_id: (jobs[job_id], job_id))[:MAX_JOBS_FOUND]

    async def write(self) -> None:
        """Write now what is not written yet."""
        async with self._writing:
            for place in list(self._changed | self._unsure):
                is_new = place in self._changed
                self._changed.pop(place, None)
                self._unsure.pop(place, None)
                if not await self._write(place, is_new=is_new):
                    self._changed[place] = None
            self._forget_old()

    async def close(self) -> None:
        """Write what is not written yet, and end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.write()

    async def _write_soon(self) -> None:
        while self._changed or self._unsure:
            longest = max((len(self._jobs[place]) for place in self._changed), default=0)
            await self.write()
            pause_s = longest / MAX_JOBS_LISTED if self._changed or not self._unsure else _LOOK_AGAIN_S
            await asyncio.sleep(max(pause_s, _SHORTEST_PAUSE_S))

    async def _write(self, place: _List, *, is_new: bool) -> bool:
        """The list, and its name on the shelf; false if the store did not take it."""
        name = f"{self._instance}.{place.hour}"
        if is_new and not await self._notes.keep(("jobs", *place.shelf, name), orjson.dumps(self._jobs[place])):
            return False
        found = await self._notes.find([("job lists", *place.shelf)])
        if found is None:
            return False
        names = orjson.loads(found[0]) if found[0] is not None else []
        if name in names:
            return True
        self._unsure[place] = None
        return await self._notes.keep(("job lists", *place.shelf), orjson.dumps([*names, name]))

    def _forget_old(self) -> None:
        """Lists of hours before the last one are written, or the store has been away for an hour."""
        before = int(self._clock()) // _HOUR_S - 1
        for place in [place for place in self._jobs if place.hour < before]:
            del self._jobs[place]
            self._changed.pop(place, None)
            self._unsure.pop(place, None)

    def _shelves_of(self, owner: JobOwner, search: JobSearch) -> list[tuple[str, ...]]:
        if search.own_id:
            return [(*owner, "own id", search.own_id)]
        last = int(min(search.stop, self._clock() + _HOUR_S)) // _HOUR_S
        first = max(int(max(search.start, 0)) // _HOUR_S, int(self._clock()) // _HOUR_S - MAX_SPAN_HOURS)
        return [(*owner, "hour", str(hour)) for hour in range(first, last + 1)]
