"""Reports that name no job: by span of time and by the sender's own id, over all workers, for its own account only."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from filters.sms.dialect import JobSearch
from filters.sms.note_seal import NoteSeal
from gateway.sms import recent_jobs
from gateway.sms.recent_jobs import JobOwner, RecentJobs
from gateway.sms.sealed_notes import SealedNotes
from tests.support.memory_index import MemoryIndex
from tests.support.sms_world import NOW

OWNER = JobOwner("shop", "netgsm", "8500000001")
LAST_HOURS = JobSearch("8500000001", start=NOW - 7200, stop=NOW + 3600)


@pytest.fixture
def notes() -> MemoryIndex:
    return MemoryIndex()


def make(notes: MemoryIndex, instance: str = "a", now: float = NOW) -> RecentJobs:
    return RecentJobs(SealedNotes(notes, NoteSeal({1: b"n" * 32}, 1)), instance, lambda: now)


async def ids(jobs: RecentJobs, search: JobSearch = LAST_HOURS, owner: JobOwner = OWNER) -> Sequence[str]:
    found = await jobs.find(owner, search)
    assert found is not None
    return found


async def test_a_span_finds_the_jobs_of_all_workers_the_oldest_first(notes: MemoryIndex) -> None:
    """Also those of a worker that has ended, and across the full hour."""
    one, other = make(notes, "a"), make(notes, "b")
    one.note(OWNER, "2", NOW)
    one.note(OWNER, "1", NOW - 3600)
    other.note(OWNER, "3", NOW + 1)
    await one.close()
    await other.close()
    assert await ids(make(notes, "c")) == ["1", "2", "3"]


async def test_what_was_noted_just_now_is_found_by_the_same_worker(notes: MemoryIndex) -> None:
    jobs = make(notes)
    jobs.note(OWNER, "1", NOW)
    assert await ids(jobs) == ["1"]
    jobs.note(OWNER, "2", NOW)
    assert await ids(jobs) == ["1", "2"]
    await jobs.close()


@pytest.mark.parametrize(("start", "stop", "is_in"), [(NOW, NOW + 1, True), (NOW + 1, NOW + 9, False), (0, NOW, False)])
async def test_the_beginning_belongs_to_a_span_and_the_end_does_not(
    notes: MemoryIndex, start: float, stop: float, is_in: bool
) -> None:
    jobs = make(notes)
    jobs.note(OWNER, "1", NOW)
    assert (await ids(jobs, JobSearch("8500000001", start=start, stop=stop)) == ["1"]) is is_in
    await jobs.close()


async def test_nobody_else_finds_them(notes: MemoryIndex) -> None:
    """Neither another client, nor by another upstream, nor with another account there."""
    jobs = make(notes)
    jobs.note(OWNER, "1", NOW, own_id="bahar")
    for owner in (OWNER._replace(client="b"), OWNER._replace(upstream="b"), OWNER._replace(account="b")):
        assert await ids(jobs, owner=owner) == []
        assert await ids(jobs, JobSearch("", own_id="bahar"), owner) == []
    await jobs.close()


async def test_the_senders_own_id_finds_its_jobs_whenever_they_were(notes: MemoryIndex) -> None:
    earlier, later = make(notes, "a", NOW - 5 * 86400), make(notes, "b")
    earlier.note(OWNER, "1", NOW - 5 * 86400, own_id="bahar")
    later.note(OWNER, "2", NOW, own_id="bahar")
    later.note(OWNER, "3", NOW, own_id="yaz")
    await earlier.close()
    assert await ids(later, JobSearch("8500000001", own_id="bahar")) == ["1", "2"]
    await later.close()


async def test_a_worker_whose_name_was_overwritten_puts_it_back(notes: MemoryIndex) -> None:
    """Two workers read the empty shelf in the same instant, and the second writes over the first's name."""
    one, other = make(notes, "a"), make(notes, "b")
    one.note(OWNER, "1", NOW)
    other.note(OWNER, "2", NOW)
    before = dict(notes.notes)
    await one.write()
    lists_of_one = {name for name in notes.notes if name not in before}
    shelf = {name: sealed for name, sealed in notes.notes.items() if name in lists_of_one}
    await other.write()
    notes.notes.update(shelf)  # as if the other's name had been lost
    assert await ids(make(notes, "c")) == ["1"]
    await other.write()  # a second later
    assert await ids(make(notes, "c")) == ["1", "2"]
    await one.close()
    await other.close()


async def test_a_store_that_was_away_gets_them_later(notes: MemoryIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = make(notes)
    with monkeypatch.context() as away:
        away.setattr(notes, "keep_note", lambda _name, _sealed, done: done(False))
        jobs.note(OWNER, "1", NOW)
        await jobs.write()
    assert await ids(jobs) == ["1"]
    with monkeypatch.context() as away:
        away.setattr(notes, "find_notes", lambda _names, done: done(None))
        assert await jobs.find(OWNER, LAST_HOURS) is None
    await jobs.close()


async def test_a_list_has_a_longest_length(notes: MemoryIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of jobs neither grows a note without end nor stops those that were there before."""
    monkeypatch.setattr(recent_jobs, "MAX_JOBS_LISTED", 3)
    jobs = make(notes)
    for number in range(9):
        jobs.note(OWNER, str(number), NOW + number)
    assert await ids(jobs) == ["0", "1", "2"]
    await jobs.close()


async def test_the_store_shows_neither_job_nor_account(notes: MemoryIndex) -> None:
    jobs = make(notes)
    jobs.note(OWNER, "17377215342605050417149344", NOW, own_id="bahar")
    await jobs.close()
    dump = b"".join(name + sealed for name, sealed in notes.notes.items())
    assert not [secret for secret in (b"8500000001", b"17377215", b"bahar", b"shop") if secret in dump]
