"""Group commit into segment files: an answer waits for the disk, but never alone.

All state of the chain lives in the loop's thread. Records that come in one turn of the loop, or while a batch is on its
way to the disk, form the next batch: one buffer, one ``write`` to a file opened with ``O_DSYNC``, one callback into the
loop. The kernel's queue does the writing (``ring``); a thread does what happens seldom (signed heads, new segments, a
disk that failed), and everything where there is no such queue.

On any error of the disk nothing of the batch counts as kept. The file is cut back to its last kept byte, the writer
reports itself not writable (the gateway then takes no commercial mail), and tries a fresh segment every few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from adapters.evidence.errors import EvidenceError
from adapters.evidence.files import (
    SegmentFile,
    WriterLock,
    heads_path,
    list_segments,
    make_directory,
    read_lines,
    segment_path,
    sync_directory,
)
from adapters.evidence.ring import DiskRing, RingError, open_ring
from adapters.evidence.segment_reader import read_segment
from adapters.evidence.signing import Signer
from filters.evidence.chain import (
    GENESIS,
    HEAD,
    HEADER,
    MAGIC,
    Head,
    SegmentHeader,
    encode_frame,
    encode_records,
    parse_head,
    summarise_segment,
)

Done = Callable[[bool], None]
Report = Callable[[str, dict[str, object]], None]
"""Told of what happens to the files: event name (noun.past_participle) and its fields."""

_SWITCH_INTERVAL_S = 0.0005
"""Where a thread writes: how long the loop may keep the interpreter while that thread wants it back. At the default of
5 ms a commit that is on the disk would wait longer for its answer than it took."""

_FEW = 2
"""For so few nobody waits: below full load the trip costs less than the delay."""

_FILE_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_DSYNC | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """``sign_every_records`` bounds the size of a proof, ``sign_every_s`` what an unsigned tail can hide.

    A trip to the disk costs about as much as a message, whatever it carries: on a fast disk nearly every record would
    have one of its own. So while many more records are on their way than wait, those that wait are held for company,
    ``patience_s`` at most.
    ``max_pending_bytes`` bounds what waits for the disk; ``min_free_bytes`` must be free before writing starts again
    after an error, so that a disk at its brim does not make the gateway flap. ``has_ring``: whether the kernel's queue
    is used where there is one.
    """

    sign_every_s: float = 60.0
    sign_every_records: int = 4096
    segment_bytes: int = 256 * 1024 * 1024
    segment_s: float = 3600.0
    max_pending_bytes: int = 64 * 1024 * 1024
    max_batch_bytes: int = 4 * 1024 * 1024
    patience_s: float = 0.003
    retry_s: float = 2.0
    has_ring: bool = True
    min_free_bytes: int = 64 * 1024 * 1024


class _Position(NamedTuple):
    """Where the chain stands after everything kept so far."""

    link: bytes
    records: int
    heads: int
    segment: int
    name: str
    size: int
    unfinished: int


class _Rotation(NamedTuple):
    path: Path
    opening: bytes


class _Job(NamedTuple):
    """One trip to the disk. ``data`` goes to the open segment, ``heads`` to the heads file, then the next is opened.

    ``cut_to`` 0 or more makes it a fresh start after an error: the open segment is cut to that size first.
    """

    data: bytes
    heads: bytes
    rotation: _Rotation | None
    cut_to: int = -1


class EvidenceWriter:
    """Appends records for one worker process. Make it, ``start`` it inside the loop, ``await close()`` at the end."""

    def __init__(
        self,
        directory: Path,
        node: str,
        slot: int,
        signer: Signer,
        settings: WriterSettings | None = None,
        report: Report | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._node = node
        self._slot = slot
        self._signer = signer
        self._settings = settings or WriterSettings()
        self._on_event = report or (lambda _event, _fields: None)
        self._clock = clock
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._ring: DiskRing | None = None
        self._pending: list[bytes] = []
        self._pending_done: list[Done] = []
        self._pending_bytes = 0
        self._sending_done: list[Done] = []
        self._is_in_flight = False
        self._is_due = False
        self._patience: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._wants_head = False
        self._wants_close = False
        self._waiter: asyncio.Future[None] | None = None
        self._is_writable = False
        self._unsigned = 0
        self._fd = -1
        self._heads_fd = -1
        self._heads_size = -1  # before a write of a head that failed; -1: none did
        self._next_head: Head | None = None
        self._next_opening: tuple[_Rotation, _Position] | None = None
        self.committed_records = 0
        self.failed_records = 0
        self.observe_commit: Callable[[float, int], None] | None = None
        """Called after each batch with its seconds on the disk and its records."""
        self.count_expected: Callable[[], int] = lambda: 0
        """How many records are on the way that could share the next trip."""

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take the chain up where this writer left it, and open a segment. Blocking, short; call inside the loop.

        Raises ``EvidenceError`` (an ``OSError``) if the directory cannot be written.
        """
        self._loop = asyncio.get_running_loop()
        make_directory(self._directory / "heads")
        self._lock = WriterLock(self._directory, self._node, self._slot)
        self.writer = self._lock.writer
        try:
            last = self._recover()
            self._heads_fd = os.open(heads_path(self._directory, self.writer), _FILE_FLAGS | os.O_CREAT, 0o600)
            rotation, position = self._open_next(last)
            self._run_rotation(rotation)
        except OSError as error:
            self._close_files()
            self._lock.release()
            raise EvidenceError(f"evidence: cannot open a segment in {self._directory}: {error}") from error
        self._next = position
        self._take_up(position)
        self._is_writable = True
        self._ring = open_ring() if self._settings.has_ring else None
        if self._ring is None:
            sys.setswitchinterval(_SWITCH_INTERVAL_S)
        self._thread = threading.Thread(target=self._work, name=f"evidence-{self.writer}", daemon=True)
        self._thread.start()
        if self._unsigned:
            # Left behind by a crash: sign it now rather than at the next interval.
            self._wants_head = True
            self._loop.call_soon(self._submit)
        self._tick_handle = self._loop.call_later(self._settings.sign_every_s, self._tick)
        self._retry_handle: asyncio.TimerHandle | None = None

    async def close(self) -> None:
        """Commit what waits, sign and close the segment, end the thread."""
        if self._is_closing:
            return
        self._is_closing = self._wants_close = True
        self._tick_handle.cancel()
        if self._retry_handle is not None:
            self._retry_handle.cancel()
        self._submit()
        while self._is_in_flight:
            self._waiter = self._loop.create_future()
            await self._waiter
        self._fail_pending()
        self._is_writable = False
        if self._ring is not None:
            self._ring.close()
        self._jobs.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        self._close_files()
        self._lock.release()

    # -- the port -----------------------------------------------------------------------------------------------

    @property
    def is_writable(self) -> bool:
        """Whether the last commit succeeded and there is room for more."""
        return self._is_writable and self._pending_bytes < self._settings.max_pending_bytes

    @property
    def pending_bytes(self) -> int:
        return self._pending_bytes

    def append(self, record: bytes, done: Done) -> None:
        """Keep ``record``; ``done(True)`` in the loop once it is on the disk, ``done(False)`` if it will not be."""
        if not self._is_writable or self._is_closing or self._pending_bytes >= self._settings.max_pending_bytes:
            self.failed_records += 1
            done(False)
            return
        self._pending.append(record)
        self._pending_done.append(done)
        self._pending_bytes += len(record)
        if not self._is_in_flight:
            self._schedule()

    def status(self) -> dict[str, object]:
        """For the status page."""
        return {
            "writer": getattr(self, "writer", ""),
            "is_writable": self.is_writable,
            "segment": self._kept.name,
            "records": self._kept.records,
            "failed_records": self.failed_records,
            "unsigned": self._unsigned,
            "pending_bytes": self._pending_bytes,
        }

    # -- batches, in the loop -----------------------------------------------------------------------------------

    def _schedule(self) -> None:
        """Not at once: what else comes in this turn of the loop shares the trip, or, where many more are on their way
        than wait already, what comes before patience ends."""
        if self._is_due:
            return
        if self.count_expected() <= 2 * len(self._pending) + _FEW:
            self._is_due = True
            self._loop.call_soon(self._submit)
        elif self._patience is None:
            self._patience = self._loop.call_later(self._settings.patience_s, self._submit)

    def _submit(self) -> None:
        self._is_due = False
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._is_in_flight or not self._is_writable:
            return
        settings = self._settings
        at = self._kept
        age_s = self._clock() - self._opened_at
        records, dones = self._take_batch()
        is_old = age_s >= settings.segment_s and at.records + len(records) > self._records_at_opening
        if not (records or is_old or self._wants_close or (self._wants_head and self._unsigned)):
            return
        pieces, link = encode_records(records, at.link)
        size = at.size + sum(map(len, pieces))
        count = at.records + len(records)
        unsigned = self._unsigned + len(records)
        closes = not self._pending if self._wants_close else is_old or size >= settings.segment_bytes
        heads_line = b""
        heads = at.heads
        self._next_head = None
        if closes or self._wants_head or unsigned >= settings.sign_every_records:
            head = self._sign(at, link, count, closes)
            payload = head.encode()
            frame, link = encode_frame(HEAD, payload, link)
            heads_line = payload + b"\n"
            self._next_head = head
            pieces.append(frame)
            size += len(frame)
            heads += 1
            unsigned = 0
            self._wants_head = False
        self._next = _Position(link, count, heads, at.segment, at.name, size, 0)
        self._next_unsigned = unsigned
        self._sending_done = dones
        self._is_in_flight = True
        rotates = closes and not self._wants_close
        self._next_opening = self._open_next(self._next) if rotates else None
        if closes:
            self._wants_close = False
        data = b"".join(pieces)
        if self._ring is None or heads_line or rotates:
            self._jobs.put(_Job(data, heads_line, self._next_opening and self._next_opening[0]))
            return
        try:
            self._ring.write(self._fd, data, partial(self._written, data, time.monotonic()))
        except RingError:
            # Unanswered, the batch would hold up all behind it for good.
            self._ring.close()
            self._ring = None
            sys.setswitchinterval(_SWITCH_INTERVAL_S)
            self._report("evidence.ring_lost", {})
            self._jobs.put(_Job(data, b"", None))

    def _written(self, data: bytes, begun_at: float, written: int) -> None:
        """The kernel's queue is done with a batch. What it could not write the thread tries, and hears why."""
        if written == len(data):
            self._committed(time.monotonic() - begun_at, None)
        else:
            self._jobs.put(_Job(data[written:], b"", None))

    def _take_batch(self) -> tuple[list[bytes], list[Done]]:
        """Everything that waits, unless that is more than one trip should carry."""
        if self._pending_bytes <= self._settings.max_batch_bytes:
            records, dones = self._pending, self._pending_done
            self._pending, self._pending_done, self._pending_bytes = [], [], 0
            return records, dones
        size = number = 0
        for record in self._pending:
            size += len(record)
            number += 1
            if size >= self._settings.max_batch_bytes:
                break
        records, dones = self._pending[:number], self._pending_done[:number]
        del self._pending[:number], self._pending_done[:number]
        self._pending_bytes -= size
        return records, dones

    def _sign(self, at: _Position, link: bytes, records: int, closes: bool) -> Head:
        head = Head(
            self.writer, at.heads, at.segment, records, link.hex(), _iso(self._clock()), closes, self._signer.key_id
        )
        return head._replace(signature=self._signer.sign(head.statement()))

    def _open_next(self, at: _Position) -> tuple[_Rotation, _Position]:
        """The next segment's path and first bytes, and the position after them."""
        opened_at = self._clock()
        segment = at.segment + 1
        path = segment_path(self._directory, self.writer, segment, opened_at)
        header = SegmentHeader(
            self.writer, segment, _iso(opened_at), at.records, at.heads, at.link.hex(), at.name, at.size, at.unfinished,
            self._signer.key_id,
        )  # fmt: skip
        frame, link = encode_frame(HEADER, header.encode(), at.link)
        opening = MAGIC + frame
        position = _Position(link, at.records, at.heads, segment, path.name, len(opening), 0)
        return _Rotation(path, opening), position

    def _tick(self) -> None:
        self._tick_handle = self._loop.call_later(self._settings.sign_every_s, self._tick)
        self._wants_head = self._unsigned > 0 or self._is_in_flight or bool(self._pending)
        self._submit()

    def _committed(self, seconds: float, problem: OSError | None) -> None:
        """The batch is on the disk; ``problem`` says that the next segment could not be opened after it."""
        dones, self._sending_done = self._sending_done, []
        self._is_in_flight = False
        self._kept = self._next
        self._unsigned = self._next_unsigned
        self.committed_records += len(dones)
        if self._next_head is not None:
            # Whoever collects the log elsewhere has a head that these files cannot be rolled back behind unseen.
            head, self._next_head = self._next_head, None
            self._report(
                "head.signed",
                {"writer": head.writer, "number": head.number, "records": head.records, "head": head.encode().decode()},
            )
        if problem is not None:
            self._lose(problem)
        elif self._next_opening is not None:
            self._take_up(self._next_opening[1])
        # Before the callbacks: the disk works while they run.
        if self._wants_close:
            self._submit()
        elif self._pending:
            self._schedule()
        if self.observe_commit is not None:
            self._safely(self.observe_commit, seconds, len(dones))
        self._answer(dones, True)
        self._wake()

    def _failed(self, error: OSError) -> None:
        self._is_in_flight = False
        dones, self._sending_done = self._sending_done, []
        self.failed_records += len(dones)
        self._lose(error)
        self._answer(dones, False)
        self._wake()

    def _answer(self, dones: list[Done], is_kept: bool) -> None:
        for done in dones:
            self._safely(done, is_kept)

    def _report(self, event: str, fields: dict[str, object]) -> None:
        self._safely(self._on_event, event, fields)

    def _safely(self, callback: Callable[..., object], *arguments: object) -> None:
        """One callback's fault must leave neither the rest of the batch without an answer nor the writer stuck."""
        try:
            callback(*arguments)
        except Exception as error:  # the caller's, of any kind
            self._loop.call_exception_handler({"message": "evidence callback failed", "exception": error})

    def _lose(self, error: OSError) -> None:
        """Stop taking records, say so once, and try again later."""
        if self._is_writable:
            self._is_writable = False
            self._report("evidence.lost", {"error": error.strerror or type(error).__name__})
        self._fail_pending()
        if not self._is_closing:
            self._retry_handle = self._loop.call_later(self._settings.retry_s, self._retry)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail_pending(self) -> None:
        dones, self._pending, self._pending_done, self._pending_bytes = self._pending_done, [], [], 0
        self.failed_records += len(dones)
        self._answer(dones, False)

    def _retry(self) -> None:
        self._next_opening = rotation, _ = self._open_next(self._kept)
        self._is_in_flight = True
        self._jobs.put(_Job(b"", b"", rotation, cut_to=self._kept.size))

    def _reopened(self) -> None:
        """A fresh segment is there; what was not kept is cut off the old one."""
        assert self._next_opening is not None
        self._is_in_flight = False
        self._is_writable = True
        self._take_up(self._next_opening[1])
        self._report("evidence.resumed", {"name": self._kept.name})
        self._wake()

    def _take_up(self, position: _Position) -> None:
        self._kept = position
        self._opened_at = self._clock()
        self._records_at_opening = position.records

    # -- the thread ---------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                if job.cut_to >= 0:
                    self._run_retry(job)
                    self._tell(self._reopened)
                    continue
                started = time.monotonic()
                _write_all(self._fd, job.data)
                if job.heads:
                    self._heads_size = os.fstat(self._heads_fd).st_size
                    _write_all(self._heads_fd, job.heads)
                    self._heads_size = -1
                seconds = time.monotonic() - started
            except OSError as error:
                self._tell(self._failed, error)
                continue
            problem = None
            if job.rotation is not None:
                try:
                    self._run_rotation(job.rotation)
                except OSError as error:
                    problem = error
            self._tell(self._committed, seconds, problem)

    def _tell(self, what: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody is left to be told
            self._loop.call_soon_threadsafe(what, *arguments)

    def _run_retry(self, job: _Job) -> None:
        """Cut what was not kept off the old segment, then open the next if there is room."""
        assert job.rotation is not None
        free = os.statvfs(self._directory)
        if free.f_bavail * free.f_frsize < self._settings.min_free_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._heads_size >= 0:
            # Before the segment: a head in the chain but not in its file is completed after a crash, while one in the
            # file but not in the chain would look like tampering.
            os.ftruncate(self._heads_fd, self._heads_size)
            os.fsync(self._heads_fd)
            self._heads_size = -1
        if self._fd >= 0:
            os.ftruncate(self._fd, job.cut_to)
            os.fsync(self._fd)
        self._run_rotation(job.rotation)

    def _run_rotation(self, rotation: _Rotation) -> None:
        make_directory(rotation.path.parent)
        descriptor = os.open(rotation.path, _FILE_FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _write_all(descriptor, rotation.opening)
            sync_directory(rotation.path.parent)
        except OSError:
            os.close(descriptor)
            rotation.path.unlink()
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = descriptor

    def _close_files(self) -> None:
        for descriptor in (self._fd, self._heads_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self._fd = self._heads_fd = -1

    # -- after a restart ----------------------------------------------------------------------------------------

    def _recover(self) -> _Position:
        """Where the chain stands, from this writer's last segment; the heads file is brought up to it."""
        segments = [file for file in list_segments(self._directory) if file.writer == self.writer]
        while segments:
            position = self._read_position(segments[-1])
            if position is not None:
                return position
            # A segment whose header never reached the disk holds no record.
            self._report("segment.removed", {"name": segments[-1].name, "reason": "no whole header"})
            segments.pop().path.unlink()
        return _Position(GENESIS, 0, 0, -1, "", 0, 0)

    def _read_position(self, file: SegmentFile) -> _Position | None:
        data = read_segment(file)
        end = summarise_segment(data)
        if end is None:
            return None
        unfinished = len(data) - end.size
        if unfinished:
            self._report("segment.found_unfinished", {"name": file.name, "bytes": unfinished, "records": end.records})
        self._complete_heads(end.head_payloads)
        self._unsigned = end.unsigned
        return _Position(end.link, end.records, end.heads, end.header.segment, f"{file.name}.izl", end.size, unfinished)

    def _complete_heads(self, in_chain: Sequence[bytes]) -> None:
        """The segment is written before the heads file; a crash in between leaves the last head out of the latter."""
        if not in_chain:
            return
        path = heads_path(self._directory, self.writer)
        content = path.read_bytes() if path.exists() else b""
        if content and not content.endswith(b"\n"):
            os.truncate(path, content.rfind(b"\n") + 1)
        last = None
        for line in read_lines(path):
            last = line
        number = parse_head(in_chain[-1]).number
        known = parse_head(last).number if last is not None else -1
        if known == number - 1:
            descriptor = os.open(path, _FILE_FLAGS | os.O_CREAT, 0o600)
            try:
                _write_all(descriptor, in_chain[-1] + b"\n")
            finally:
                os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data`` or raise ``OSError``; a disk that fills up first takes a part and fails on the rest."""
    written = os.write(descriptor, data) if data else 0
    while written < len(data):
        written += os.write(descriptor, data[written:])


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
