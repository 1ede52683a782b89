"""Group commit: what is answered with success is on the disk and chained, whatever the disk does."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from adapters.evidence.errors import EvidenceError
from adapters.evidence.files import heads_path, list_segments, read_lines
from adapters.evidence.search import EvidenceReader
from adapters.evidence.signing import Signer, TrustedKeys
from filters.evidence.chain import HEAD, RECORD, read_frames
from filters.evidence.check import ProblemKind


@pytest.fixture(params=["ring", "thread"])
def make_writer(make_writer, request):
    """Both ways to the disk: the kernel's queue, and the thread for machines that have none."""
    return lambda *arguments, **settings: make_writer(*arguments, has_ring=request.param == "ring", **settings)


def records_in(evidence: Path) -> list[bytes]:
    return [
        frame.payload
        for file in list_segments(evidence)
        for frame in read_frames(file.path.read_bytes())
        if frame.kind == RECORD
    ]


def problems_of(evidence: Path, signer: Signer) -> list[tuple[ProblemKind, str]]:
    reports = EvidenceReader(evidence, TrustedKeys([signer.public_key])).verify()
    return [(problem.kind, problem.detail) for report in reports for problem in report.problems]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Files of this process cannot grow beyond ``size``: a disk that fills up in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def until(condition, timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_record_answered_with_success_is_in_the_file(make_writer, evidence, kit):
    """At the moment of ``done(True)`` another reader of the file finds the record."""
    writer = make_writer()
    writer.start()
    assert await kit.append(writer, kit.make_record(1)) == [True]
    assert records_in(evidence) == [kit.make_record(1)]
    await writer.close()


async def test_records_of_one_turn_share_one_trip_to_the_disk(make_writer, evidence, kit):
    """A hundred records appended together are one commit, in order."""
    writer = make_writer()
    writer.start()
    batches = []
    writer.observe_commit = lambda _seconds, count: batches.append(count)
    records = [kit.make_record(number) for number in range(100)]
    assert await kit.append(writer, *records) == [True] * 100
    assert batches == [100]
    assert records_in(evidence) == records
    await writer.close()


async def test_a_record_waits_for_company_that_is_on_its_way(make_writer, evidence, kit):
    """While many more records are expected than wait, none goes alone; once enough are there, all share the trip."""
    writer = make_writer(patience_s=5.0)
    writer.start()
    batches = []
    writer.observe_commit = lambda _seconds, count: batches.append(count)
    writer.count_expected = lambda: 7
    waiting = []
    for number in range(1, 4):
        assert batches == []
        waiting.append(asyncio.ensure_future(kit.append(writer, kit.make_record(number))))
        await asyncio.sleep(0.02)
    async with asyncio.timeout(2.0):
        assert await asyncio.gather(*waiting) == [[True]] * 3
    assert batches == [3]
    assert records_in(evidence) == [kit.make_record(number) for number in range(1, 4)]
    await writer.close()


async def test_patience_with_company_that_does_not_come_has_an_end(make_writer, kit):
    """A record is committed after the patience, whoever is still expected; and the next has a patience of its own."""
    writer = make_writer(patience_s=0.2)
    writer.start()
    writer.count_expected = lambda: 1000
    loop = asyncio.get_running_loop()
    for number in range(1, 3):
        begun_at = loop.time()
        assert await kit.append(writer, kit.make_record(number)) == [True]
        assert 0.19 < loop.time() - begun_at < 2.0
    await writer.close()


async def test_a_record_with_which_nothing_can_share_does_not_wait(make_writer, kit):
    """A few sessions are answered as fast as the disk allows, also right behind a trip for others."""
    writer = make_writer(patience_s=60.0)
    writer.start()
    writer.count_expected = lambda: 2
    async with asyncio.timeout(5.0):
        for number in range(1, 9):
            assert await kit.append(writer, kit.make_record(number)) == [True]
    await writer.close()


async def test_done_is_called_once_in_the_loop_even_if_another_callback_fails(make_writer, kit):
    """A fault in one caller's callback does not leave the others of its batch without an answer."""
    writer = make_writer()
    writer.start()
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context["message"]))
    answers = []

    def fail(_is_kept: bool) -> None:
        raise RuntimeError

    writer.observe_commit = lambda _seconds, _records: 1 / 0
    writer.append(kit.make_record(1), fail)
    writer.append(kit.make_record(2), answers.append)
    await until(lambda: answers)
    assert answers == [True]
    assert faults == ["evidence callback failed"] * 2
    await writer.close()


async def test_closing_commits_what_waits_and_signs_the_end(make_writer, evidence, signer, kit):
    """Nothing appended before ``close`` is lost, and the last frame is a closing head."""
    writer = make_writer()
    writer.start()
    answers = []
    for number in range(10):
        writer.append(kit.make_record(number), answers.append)
    await writer.close()
    assert answers == [True] * 10
    frames = list(read_frames(list_segments(evidence)[0].path.read_bytes()))
    assert frames[-1].kind == HEAD
    assert orjson.loads(frames[-1].payload)["closes"] is True
    assert problems_of(evidence, signer) == []


async def test_after_close_nothing_is_taken(make_writer, kit):
    """A late record is answered with failure at once."""
    writer = make_writer()
    writer.start()
    await writer.close()
    assert not writer.is_writable
    answers = []
    writer.append(kit.make_record(1), answers.append)
    assert answers == [False]


async def test_a_head_is_signed_when_enough_records_came(make_writer, evidence, signer, kit):
    """A proof never has to span more than the configured number of records and one batch."""
    writer = make_writer(sign_every_records=10)
    writer.start()
    for number in range(35):
        await kit.append(writer, kit.make_record(number))
    heads = [orjson.loads(line)["records"] for line in read_lines(heads_path(evidence, "mx1-0"))]
    assert heads == [10, 20, 30]
    await writer.close()
    assert problems_of(evidence, signer) == []


async def test_a_head_is_signed_in_time_and_only_if_there_is_something_new(make_writer, evidence, kit):
    """The interval signs what came; a quiet interval writes nothing."""
    writer = make_writer(sign_every_s=0.05)
    writer.start()
    await kit.append(writer, kit.make_record(1))
    await asyncio.sleep(0.3)
    assert len(list(read_lines(heads_path(evidence, "mx1-0")))) == 1
    await writer.close()


async def test_each_signed_head_is_told(make_writer, evidence, kit):
    """So that the log, collected elsewhere, keeps heads behind which these files cannot be rolled back unseen."""
    told = []
    writer = make_writer(report=lambda event, fields: told.append(fields["head"]) if event == "head.signed" else None)
    writer.start()
    await kit.append(writer, kit.make_record(1))
    await writer.close()
    assert [line.decode() for line in read_lines(heads_path(evidence, "mx1-0"))] == told


async def test_a_full_segment_is_closed_and_the_chain_goes_on_in_the_next(make_writer, evidence, signer, kit):
    """Rotation by size loses nothing and breaks no link."""
    writer = make_writer(segment_bytes=4000)
    writer.start()
    for number in range(40):
        assert await kit.append(writer, kit.make_record(number)) == [True]
    await writer.close()
    assert len(list_segments(evidence)) > 3
    assert records_in(evidence) == [kit.make_record(number) for number in range(40)]
    assert problems_of(evidence, signer) == []


async def test_an_old_segment_is_closed_at_the_next_tick(make_writer, evidence, signer, kit):
    """Rotation by age does not wait for another record."""
    writer = make_writer(segment_s=0.05, sign_every_s=0.05)
    writer.start()
    await kit.append(writer, kit.make_record(1))
    await until(lambda: len(list_segments(evidence)) == 2)
    await writer.close()
    assert problems_of(evidence, signer) == []


async def test_the_chain_goes_on_after_a_restart(make_writer, evidence, signer, kit):
    """A new process for the same slot continues the writer's one chain."""
    for life in range(3):
        writer = make_writer()
        writer.start()
        await kit.append(writer, kit.make_record(life))
        await writer.close()
    assert [file.segment for file in list_segments(evidence)] == [0, 1, 2]
    assert problems_of(evidence, signer) == []


async def test_two_processes_for_one_slot_write_two_chains(make_writer, evidence, signer, kit):
    """During a reload the old and the new generation run side by side; neither forks the other's chain."""
    old, new = make_writer(), make_writer()
    old.start()
    new.start()
    await kit.append(old, kit.make_record(1))
    await kit.append(new, kit.make_record(2))
    assert old.writer != new.writer
    await old.close()
    await new.close()
    third = make_writer()
    third.start()
    assert third.writer == old.writer
    await third.close()
    assert problems_of(evidence, signer) == []


async def test_a_crash_in_the_middle_of_a_write_is_an_unfinished_write_and_loses_nothing_kept(
    make_writer, evidence, signer, kit
):
    """At every length of the torn tail: what was answered stays, the rest is told as unfinished, not as tampering."""
    writer = make_writer()
    writer.start()
    await kit.append(writer, kit.make_record(1))
    path = list_segments(evidence)[0].path
    kept = path.read_bytes()
    await kit.append(writer, kit.make_record(2))
    whole = path.read_bytes()
    await writer.close()
    for cut in (1, 4, 5, 20, 40, len(whole) - len(kept) - 1):
        for extra in list_segments(evidence)[1:]:
            extra.path.unlink()
        path.write_bytes(whole[: len(kept) + cut])
        heads_path(evidence, "mx1-0").unlink(missing_ok=True)
        events = []
        again = make_writer(report=lambda event, fields, events=events: events.append((event, fields.get("bytes"))))
        again.start()
        await kit.append(again, kit.make_record(3))
        await again.close()
        assert ("segment.found_unfinished", cut) in events
        assert records_in(evidence) == [kit.make_record(1), kit.make_record(3)]
        assert [kind for kind, _ in problems_of(evidence, signer)] == [ProblemKind.UNFINISHED]


async def test_a_tail_of_nul_is_an_unfinished_write(make_writer, evidence, signer, kit):
    """A file system may grow a file before its content is there; such bytes are no record."""
    writer = make_writer()
    writer.start()
    await kit.append(writer, kit.make_record(1))
    path = list_segments(evidence)[0].path
    torn = path.read_bytes() + bytes(4096)
    await writer.close()
    path.write_bytes(torn)
    heads_path(evidence, "mx1-0").unlink()
    assert [kind for kind, _ in problems_of(evidence, signer)] == [ProblemKind.UNFINISHED]
    again = make_writer()
    again.start()
    await again.close()
    assert [kind for kind, _ in problems_of(evidence, signer)] == [ProblemKind.UNFINISHED]


async def test_records_left_unsigned_by_a_crash_are_signed_at_the_next_start(make_writer, evidence, signer, kit):
    """They do not stay without a signature until the next record happens to come."""
    writer = make_writer()
    writer.start()
    await kit.append(writer, kit.make_record(1))
    crashed = list_segments(evidence)[0].path.read_bytes()
    await writer.close()
    list_segments(evidence)[0].path.write_bytes(crashed)
    heads_path(evidence, "mx1-0").unlink()
    again = make_writer()
    again.start()
    await until(lambda: list(read_lines(heads_path(evidence, "mx1-0"))))
    assert orjson.loads(next(iter(read_lines(heads_path(evidence, "mx1-0")))))["records"] == 1
    await again.close()
    assert problems_of(evidence, signer) == []


async def test_a_head_lost_between_segment_and_heads_file_is_completed(make_writer, evidence, signer, kit):
    """The segment is written first; a crash before the heads file is written is repaired at the next start."""
    writer = make_writer()
    writer.start()
    await kit.append(writer, kit.make_record(1))
    await writer.close()
    path = heads_path(evidence, "mx1-0")
    path.write_bytes(path.read_bytes()[:-40])
    assert [kind for kind, _ in problems_of(evidence, signer)] == [ProblemKind.UNFINISHED]
    again = make_writer()
    again.start()
    await again.close()
    assert problems_of(evidence, signer) == []


async def test_a_full_disk_answers_failure_and_writing_resumes_with_a_fresh_segment(make_writer, evidence, signer, kit):
    """While the disk takes nothing no record counts as kept; afterwards the chain holds exactly what was answered."""
    events = []
    writer = make_writer(
        retry_s=0.02, min_free_bytes=0, report=lambda event, _fields: events.append(event), sign_every_records=3
    )
    writer.start()
    kept = [kit.make_record(number) for number in range(5)]
    assert await kit.append(writer, *kept) == [True] * 5
    size = list_segments(evidence)[0].path.stat().st_size
    with file_size_limit(size + 300):
        answers = await kit.append(writer, *(kit.make_record(number) for number in range(10, 20)))
        assert answers == [False] * 10
        assert not writer.is_writable
        assert await kit.append(writer, kit.make_record(99)) == [False]
    await until(lambda: writer.is_writable)
    later = [kit.make_record(number) for number in range(30, 35)]
    assert await kit.append(writer, *later) == [True] * 5
    await writer.close()
    assert records_in(evidence) == kept + later
    assert problems_of(evidence, signer) == []
    assert events.count("evidence.lost") == 1
    assert "evidence.resumed" in events


async def test_a_disk_that_is_full_while_the_heads_file_grows_leaves_no_false_head(make_writer, evidence, signer, kit):
    """A head in the heads file without its segment would look like tampering: both or none."""
    writer = make_writer(retry_s=0.02, min_free_bytes=0, sign_every_records=1)
    writer.start()
    for number in range(60):  # until the heads file is the larger of the two
        assert await kit.append(writer, kit.make_record(number)) == [True]
    heads = heads_path(evidence, "mx1-0")
    list_segments(evidence)[0].path.stat()
    os.truncate(heads, heads.stat().st_size)
    filler = bytes(list_segments(evidence)[0].path.stat().st_size)
    real = heads.read_bytes()
    # The limit is by file: make the heads file the one that hits it.
    heads.write_bytes(filler + b"\n" + real)
    limit = heads.stat().st_size + 100
    assert limit > list_segments(evidence)[0].path.stat().st_size + 1600
    with file_size_limit(limit):
        assert await kit.append(writer, kit.make_record(100)) == [False]
    await until(lambda: writer.is_writable)
    assert await kit.append(writer, kit.make_record(101)) == [True]
    await writer.close()
    heads.write_bytes(heads.read_bytes().removeprefix(filler + b"\n"))
    assert problems_of(evidence, signer) == []


async def test_the_next_segment_failing_to_open_does_not_undo_the_batch_before_it(
    make_writer, evidence, signer, kit, monkeypatch
):
    """The batch is on the disk and answered so; only what comes after waits for room."""
    writer = make_writer(segment_bytes=2000, retry_s=0.02, min_free_bytes=0)
    writer.start()
    real_open = os.open
    refuse = True

    def refusing_open(path, flags, *rest, **more):
        if refuse and flags & os.O_EXCL:
            raise OSError(28, "No space left on device")
        return real_open(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refusing_open)
    records = [kit.make_record(number) for number in range(4)]
    assert await kit.append(writer, *records) == [True] * 4
    assert not writer.is_writable
    refuse = False
    await until(lambda: writer.is_writable)
    assert await kit.append(writer, kit.make_record(9)) == [True]
    await writer.close()
    assert records_in(evidence) == [*records, kit.make_record(9)]
    assert problems_of(evidence, signer) == []


async def test_a_queue_that_the_kernel_refuses_is_given_up_for_the_thread(make_writer, evidence, signer, kit):
    """No memory for a request, a call that is forbidden later: no record waits for ever, none stands there twice."""
    writer = make_writer()
    writer.start()
    kept = [kit.make_record(number) for number in range(4)]
    assert await kit.append(writer, *kept[:2]) == [True] * 2
    rings = [entry for entry in Path("/proc/self/fd").iterdir() if "io_uring" in os.path.realpath(entry)]
    with Path(os.devnull).open("rb") as nothing:
        for ring in rings:
            os.dup2(nothing.fileno(), int(ring.name))
    async with asyncio.timeout(5):
        assert await kit.append(writer, kept[2]) == [True]
        assert await kit.append(writer, kept[3]) == [True]
        await writer.close()
    assert records_in(evidence) == kept
    assert problems_of(evidence, signer) == []


async def test_what_waits_for_the_disk_is_bounded(make_writer, kit):
    """Beyond the limit records are refused at once instead of filling the memory."""
    writer = make_writer(max_pending_bytes=10_000)
    writer.start()
    answers = []
    for number in range(100):
        writer.append(kit.make_record(number), answers.append)
    assert not writer.is_writable
    assert writer.pending_bytes < 12_000
    refused = answers.count(False)
    assert refused > 50
    await until(lambda: len(answers) == 100)
    assert answers.count(True) == 100 - refused
    assert writer.is_writable
    await writer.close()


async def test_a_directory_that_cannot_be_written_is_a_clear_error_at_start(make_writer, evidence):
    """The gateway must not come up without evidence."""
    evidence.parent.mkdir(parents=True, exist_ok=True)
    evidence.write_text("a file where the folder should be")
    with pytest.raises(OSError):
        make_writer().start()


async def test_all_chains_of_a_slot_taken_is_an_error(make_writer):
    """A ninth process for one slot is a mistake, not another chain."""
    writers = [make_writer() for _ in range(8)]
    for writer in writers:
        writer.start()
    with pytest.raises(EvidenceError, match="held by another process"):
        make_writer().start()
    for writer in writers:
        await writer.close()


async def test_new_files_are_for_us_alone(make_writer, evidence, kit):
    """Evidence is personal data, if only by keyed hash: no other account reads it."""
    writer = make_writer()
    writer.start()
    await kit.append(writer, kit.make_record(1))
    await writer.close()
    modes = {entry.stat().st_mode & 0o077 for entry in evidence.rglob("*")}
    assert modes == {0}
