"""Finds what was done to evidence: altered, moved, inserted or removed records, cut or missing files, forged heads.

``ChainCheck`` is fed one writer's segments in order, then its heads file. It goes on after a problem with the links as
stored, so that one altered record is one problem and not one for each record after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

import orjson

from filters.evidence.chain import (
    FRAME_OVERHEAD,
    GENESIS,
    HEAD,
    HEADER,
    MAGIC,
    RECORD,
    Buffer,
    Expiry,
    Frame,
    HasSigned,
    Head,
    SegmentHeader,
    next_link,
    parse_head,
    parse_header,
    read_frames,
)

MAX_PROBLEMS = 100
"""Reported per writer; beyond that the list helps nobody."""


class ProblemKind(StrEnum):
    """What was found. All but ``UNFINISHED`` mean that the evidence is not as it was written."""

    ALTERED = "altered"
    REMOVED = "removed"
    INSERTED = "inserted"
    TRUNCATED = "truncated"
    SEGMENT_MISSING = "segment_missing"
    FORGED_SIGNATURE = "forged_signature"
    HEAD_MISSING = "head_missing"
    UNREADABLE = "unreadable"
    UNFINISHED = "unfinished"


class Problem(NamedTuple):
    """One finding. ``record`` counts the records of the file from 1, 0 where none is meant; ``offset`` in bytes.

    ``at`` is the time of the record, or of the nearest one before it, as written; "" if unknown.
    """

    kind: ProblemKind
    writer: str
    file: str
    record: int
    offset: int
    at: str
    detail: str

    @property
    def is_tampering(self) -> bool:
        return self.kind is not ProblemKind.UNFINISHED


class WriterReport(NamedTuple):
    """What was checked of one writer. ``last_head`` is worth keeping elsewhere; ``unsigned`` records follow it."""

    writer: str
    segments: int
    records: int
    unsigned: int
    last_head: Head | None
    problems: tuple[Problem, ...]


class _Break(NamedTuple):
    """A place where the chain does not join, waiting for the next signed head to tell what happened."""

    file: str
    record: int
    offset: int
    at: str


class ChainCheck:
    """Checks one writer. ``kept`` are heads of this writer known from earlier, which must still be in the chain."""

    def __init__(self, writer: str, has_signed: HasSigned, expiry: Expiry | None = None) -> None:
        self.writer = writer
        self._has_signed = has_signed
        self._problems: list[Problem] = []
        self._link = GENESIS
        self._records = 0
        self._segments = 0
        self._next_segment = 0
        self._next_head = 0
        self._heads: dict[int, Head] = {}
        self._break: _Break | None = None
        self._unsigned = 0
        self._file = ""
        self._file_end = 0
        self._file_left = 0
        self._file_record = 0
        self._tail_is_torn = False
        self._last_record = b""
        if expiry is not None:
            if expiry.writer != writer or not has_signed(expiry.key_id, expiry.statement(), _unhex(expiry.signature)):
                self._add(
                    ProblemKind.FORGED_SIGNATURE, "the statement of expired segments is not signed by a known key"
                )
            else:
                self._link = _unhex(expiry.link)
                self._records = expiry.records
                self._next_segment = expiry.segment + 1
                self._next_head = expiry.heads

    # -- segments -----------------------------------------------------------------------------------------------

    def check_segment(self, name: str, data: Buffer) -> None:
        """``data`` is the whole (decompressed) segment file called ``name``."""
        previous = (self._file, self._file_record, self._file_end, self._file_left)
        self._segments += 1
        self._start_file(name)
        if bytes(data[: len(MAGIC)]) != MAGIC:
            kind = ProblemKind.UNFINISHED if len(data) < len(MAGIC) else ProblemKind.UNREADABLE
            self._add(kind, f"not an evidence segment ({len(data)} bytes)")
            self._file_end = len(data)
            return
        frames = read_frames(data)
        opening = next(frames, None)
        header = _parse_opening(opening)
        if opening is None or header is None or header.writer != self.writer:
            kind = ProblemKind.UNFINISHED if opening is None else ProblemKind.UNREADABLE
            self._add(kind, "the segment has no whole header")
            self._file_end = len(data)
            return
        self._join(previous, header, opening)
        end = opening.end
        for frame in frames:
            self._check_frame(frame)
            end = frame.end
        self._file_end = end
        self._file_left = len(data) - end
        self._tail_is_torn = _is_torn(data, end)

    def note_unreadable(self, name: str, why: str) -> None:
        """A segment that could not even be read (its compressed form is damaged)."""
        self._segments += 1
        self._start_file(name)
        self._add(ProblemKind.UNREADABLE, why)

    def _start_file(self, name: str) -> None:
        self._file = name
        self._file_record = 0
        self._file_end = 0
        self._file_left = 0

    def _join(self, previous: tuple[str, int, int, int], header: SegmentHeader, opening: Frame) -> None:
        """Does this segment continue where the one before it ended?"""
        name, record, end, left = previous
        here = self._file, 0, opening.offset
        if header.segment == self._next_segment + 1 and not end and name:
            self._adopt(header)  # the file in between is there, and was already told to be unreadable
        elif header.segment != self._next_segment:
            missing = header.segment - self._next_segment
            if missing > 0:
                which = (
                    f"segment {self._next_segment}"
                    if missing == 1
                    else f"segments {self._next_segment} to {header.segment - 1}"
                )
                lost = header.records_before - self._records
                self._add(ProblemKind.SEGMENT_MISSING, f"{which} of {self.writer} is missing, {lost} records", *here)
            else:
                self._add(ProblemKind.INSERTED, f"segment {header.segment} occurs twice", *here)
            self._adopt(header)
        elif header.previous_link != self._link.hex():
            if name and end < header.previous_bytes:
                self._add(
                    ProblemKind.TRUNCATED,
                    f"the file ends after record {record}; its successor says {header.previous_bytes} bytes, "
                    f"{header.records_before - self._records} records more",
                    name,
                    record,
                    end,
                )
            else:
                self._add(ProblemKind.ALTERED, "the header does not continue the segment before it", *here)
            self._adopt(header)
        elif name:
            self._judge_tail(name, record, end, left, header.previous_unfinished_bytes)
        if next_link(self._link, opening.digest) != opening.link:
            self._add(ProblemKind.ALTERED, "the header of the segment was altered", *here)
        if header.records_before != self._records:
            self._records = header.records_before
        self._link = opening.link
        self._next_segment = header.segment + 1

    def _adopt(self, header: SegmentHeader) -> None:
        self._link = _unhex(header.previous_link)
        self._records = header.records_before
        self._next_head = header.heads_before
        self._break = None
        self._unsigned = 0

    def _judge_tail(self, name: str, record: int, end: int, left: int, declared: int) -> None:
        if left == declared:
            if left:
                self._add(ProblemKind.UNFINISHED, f"{left} bytes of an unfinished write", name, record, end)
        elif left < declared:
            # The rest of a write that was never answered with success: of no value, but somebody touched the file.
            self._add(
                ProblemKind.TRUNCATED, f"{declared - left} bytes of an unfinished write are gone", name, record, end
            )
        else:
            self._add(ProblemKind.INSERTED, f"{left - declared} bytes were added after the end", name, record, end)

    def _check_frame(self, frame: Frame) -> None:
        if frame.kind == RECORD:
            self._file_record += 1
            self._records += 1
            self._unsigned += 1
        joins = next_link(self._link, frame.digest) == frame.link
        if not joins and self._break is None:
            at = _time_of(frame.payload) if frame.kind == RECORD else ""
            self._break = _Break(self._file, self._file_record, frame.offset, at or self._time())
        if frame.kind == RECORD:
            self._last_record = frame.payload
        if frame.kind == HEAD:
            self._check_head(frame, joins)
        elif frame.kind == HEADER:
            self._add(
                ProblemKind.INSERTED, "a second header in the segment", self._file, self._file_record, frame.offset
            )
        self._link = frame.link

    def _check_head(self, frame: Frame, joins: bool) -> None:
        where = self._file, self._file_record, frame.offset
        head = _parse_head_or_none(frame.payload)
        if head is None or head.writer != self.writer or not self._is_signed(head):
            self._settle_break(0)
            self._add(ProblemKind.FORGED_SIGNATURE, "a head is not signed by a known key for what it says", *where)
            self._next_head += 1
            return
        difference = self._records - head.records
        if self._break is not None:
            self._settle_break(difference)
        elif difference or head.link != self._link.hex():
            # Every link joins, so they were computed anew: only the signature still knows what was here.
            first = self._file_record - self._unsigned + 1
            kind = (
                ProblemKind.REMOVED if difference < 0 else ProblemKind.INSERTED if difference else ProblemKind.ALTERED
            )
            detail = (
                f"the chain was computed anew: the head signed at {head.signed_at} does not vouch for records "
                f"{max(first, 1)} to {self._file_record}"
            )
            if difference:
                detail += f", {abs(difference)} {'too many' if difference > 0 else 'missing'}"
            self._add(kind, detail, self._file, max(first, 1), frame.offset)
        if head.number != self._next_head:
            self._add(
                ProblemKind.HEAD_MISSING, f"head {self._next_head} is not in the chain, found {head.number}", *where
            )
        self._records = head.records
        self._heads[head.number] = head
        self._next_head = head.number + 1
        self._unsigned = 0

    def _settle_break(self, difference: int | None) -> None:
        """Name the open break now that the number of records is known (None: no head followed)."""
        found = self._break
        if found is None:
            return
        self._break = None
        if difference is None or difference == 0:
            kind, detail = ProblemKind.ALTERED, "what stands here was altered or moved"
        elif difference < 0:
            kind, detail = ProblemKind.REMOVED, f"{-difference} record(s) missing before this one"
        else:
            kind, detail = ProblemKind.INSERTED, f"{difference} record(s) inserted from here on"
        self._add(kind, detail, found.file, found.record, found.offset, found.at)

    # -- the end ------------------------------------------------------------------------------------------------

    def finish(
        self, heads_file: Sequence[Head | None], kept: Iterable[Head] = (), settled_lines: int | None = None
    ) -> WriterReport:
        """``heads_file``: its lines in order, None for one that is not a head; ``kept``: heads kept elsewhere.

        While the writer is at work, read the heads file after the segments and give as ``settled_lines`` how many
        lines it had before them: what was added meanwhile need not be in the chain as it was read.
        """
        settled = len(heads_file) if settled_lines is None else settled_lines
        self._settle_break(None)
        if self._file_left:
            kind = ProblemKind.UNFINISHED if self._tail_is_torn else ProblemKind.ALTERED
            self._add(
                kind,
                f"{self._file_left} bytes after record {self._file_record} are "
                + ("an unfinished write" if self._tail_is_torn else "not records"),
                self._file,
                self._file_record,
                self._file_end,
            )
        last = max(self._heads, default=self._next_head - 1)
        first = min(self._heads, default=self._next_head)
        listed: set[int] = set()
        is_cut_told = False
        for line, head in enumerate(heads_file, 1):
            if (
                head is None
                or head.writer != self.writer
                or not (self._heads.get(head.number) == head or self._is_signed(head))
            ):
                self._add(
                    ProblemKind.FORGED_SIGNATURE,
                    f"line {line} of the heads file is not a head signed by a known key",
                    "",
                    0,
                    0,
                )
                continue
            listed.add(head.number)
            if head.number < first:
                continue  # of segments past their retention, or already told as missing
            if self._heads.get(head.number) == head:
                continue
            if head.number > last:
                if not is_cut_told and line <= settled:
                    is_cut_told = True
                    is_whole_file = bool(self._segments) and head.segment >= self._next_segment
                    self._add(
                        ProblemKind.SEGMENT_MISSING if is_whole_file or not self._segments else ProblemKind.TRUNCATED,
                        f"the head signed at {head.signed_at} counts {head.records} records; "
                        f"the chain ends at {self._records}",
                        self._file,
                        self._file_record,
                        self._file_end,
                    )
            elif head.number in self._heads:
                self._add(
                    ProblemKind.FORGED_SIGNATURE, f"head {head.number} differs between chain and heads file", "", 0, 0
                )
        for number in sorted(self._heads):
            if number not in listed:
                # The last may be missing for a moment: the segment is written first, then the heads file.
                kind = ProblemKind.UNFINISHED if number == last else ProblemKind.HEAD_MISSING
                self._add(kind, f"head {number} is not in the heads file", "", 0, 0)
        for head in kept:
            if head.writer == self.writer and self._heads.get(head.number) != head and head.number >= first:
                self._add(
                    ProblemKind.TRUNCATED,
                    f"the head kept from {head.signed_at} ({head.records} records) is not in the chain",
                    self._file,
                    self._file_record,
                    self._file_end,
                )
        return WriterReport(
            self.writer, self._segments, self._records, self._unsigned, self._heads.get(last), tuple(self._problems)
        )

    def _time(self) -> str:
        """When the last record read was made; parsed only for a finding."""
        return _time_of(self._last_record)

    def _is_signed(self, head: Head) -> bool:
        return self._has_signed(head.key_id, head.statement(), _unhex(head.signature))

    def _add(
        self,
        kind: ProblemKind,
        detail: str,
        file: str | None = None,
        record: int = 0,
        offset: int = 0,
        at: str | None = None,
    ) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(
                Problem(
                    kind,
                    self.writer,
                    self._file if file is None else file,
                    record,
                    offset,
                    self._time() if at is None else at,
                    detail,
                )
            )


def _is_torn(data: Buffer, end: int) -> bool:
    """Whether the bytes from ``end`` on look like a write that a crash cut off: too short for a frame, or never filled.

    A file system may grow a file before its content reaches the disk; what was not written then reads as NUL.
    """
    rest = memoryview(data)[end:]
    if len(rest) < FRAME_OVERHEAD:
        return True
    if rest[0] in (RECORD, HEAD, HEADER):
        # A whole frame would have been read, so this one claims more bytes than there are.
        return True
    return not any(rest)


def _parse_opening(frame: Frame | None) -> SegmentHeader | None:
    if frame is None or frame.kind != HEADER:
        return None
    try:
        return parse_header(frame.payload)
    except ValueError:
        return None


def _parse_head_or_none(payload: bytes) -> Head | None:
    try:
        return parse_head(payload)
    except ValueError:
        return None


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _time_of(payload: bytes) -> str:
    try:
        value = orjson.loads(payload)
    except ValueError:
        return ""
    at = value.get("at") if isinstance(value, dict) else None
    return at if isinstance(at, str) else ""
