"""Answers questions over the evidence: find, verify, export. Opens nothing for writing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from adapters.evidence.errors import EvidenceError
from adapters.evidence.files import (
    MESSAGES_SUFFIX,
    RECIPIENTS_SUFFIX,
    SegmentFile,
    expired_path,
    heads_path,
    list_days,
    list_segments,
    list_writers,
    read_lines,
)
from adapters.evidence.segment_reader import read_member, read_segment
from adapters.evidence.signing import TrustedKeys
from filters.evidence.chain import RECORD, Buffer, Expiry, Frame, Head, parse_expiry, parse_head, read_frames
from filters.evidence.check import ChainCheck, Problem, ProblemKind, WriterReport
from filters.evidence.export import Located, Prover
from filters.evidence.record import decode

Progress = Callable[[str, int], None]
"""Called after each file with its name and bytes."""


class EvidenceReader:
    """Reads one evidence directory."""

    def __init__(self, directory: Path, trusted: TrustedKeys) -> None:
        self._directory = directory
        self._trusted = trusted

    # -- find ---------------------------------------------------------------------------------------------------

    def find_recipient(
        self, keys: Iterable[bytes], since_at: float | None = None, until_at: float | None = None
    ) -> list[Located]:
        """Records that name any of the consent ``keys``, oldest first; the bounds are seconds since 1970 UTC."""
        wanted = [key.hex() for key in keys]
        return self._find(
            RECIPIENTS_SUFFIX, "key", wanted, lambda r: bool(_keys_of(r) & set(wanted)), since_at, until_at
        )

    def find_message(self, message_id: str) -> list[Located]:
        """Records of one message (usually one; a retry after a fault makes another)."""
        return self._find(MESSAGES_SUFFIX, "id", [message_id], lambda r: r.get("id") == message_id, None, None)

    def _find(
        self,
        suffix: str,
        column: str,
        wanted: Sequence[str],
        is_meant: Callable[[dict[str, object]], bool],
        since_at: float | None,
        until_at: float | None,
    ) -> list[Located]:
        # All days, whatever the time asked for: a folder is named for when a segment was opened, by a clock that may
        # have been wrong, and the sorted indexes make a day that holds nothing cheap.
        days = list_days(self._directory)
        segments = {(file.day, file.name): file for day in days for file in list_segments(self._directory, day)}
        found: dict[tuple[str, int], Located] = {}
        for file, member_at, within, number in self._ask_indexes(days, suffix, column, wanted, segments):
            frame = read_member(file, member_at, within)
            self._keep(found, file, number, frame, is_meant, since_at, until_at)
        for file in segments.values():
            if not file.is_sealed:
                for number, frame in _scan(read_segment(file), wanted):
                    self._keep(found, file, number, frame, is_meant, since_at, until_at)
        return sorted(found.values(), key=lambda located: (str(located.record.get("at")), located.segment))

    def _keep(
        self,
        found: dict[tuple[str, int], Located],
        file: SegmentFile,
        number: int,
        frame: Frame,
        is_meant: Callable[[dict[str, object]], bool],
        since_at: float | None,
        until_at: float | None,
    ) -> None:
        record = decode(frame.payload)
        if not is_meant(record):
            return  # the key stood elsewhere in the record, or the index is not of this file
        at = datetime.fromisoformat(str(record["at"])).timestamp()
        if (since_at is None or at >= since_at) and (until_at is None or at < until_at):
            found[file.name, number] = Located(file.writer, file.segment, file.name, number, frame.payload, record)

    def _ask_indexes(
        self,
        days: Sequence[Path],
        suffix: str,
        column: str,
        wanted: Sequence[str],
        segments: dict[tuple[str, str], SegmentFile],
    ) -> Iterator[tuple[SegmentFile, int, int, int]]:
        indexes = [str(entry) for day in days for entry in sorted(day.iterdir()) if entry.name.endswith(suffix)]
        if not indexes or not wanted:
            return
        value = "from_hex(unnest(?))" if column == "key" else "unnest(?)"
        with open_engine() as engine:
            rows = engine.execute(
                f"SELECT day, segment, member_at, within, number FROM read_parquet(?) "  # noqa: S608 - column is ours
                f"WHERE {column} IN (SELECT {value})",
                [indexes, list(wanted)],
            ).fetchall()
        for day, name, member_at, within, number in rows:
            file = segments.get((day, name))
            if file is not None and file.is_sealed:  # an original that is still there is searched itself
                yield file, member_at, within, number

    # -- verify -------------------------------------------------------------------------------------------------

    def verify(self, kept: Iterable[Head] = (), progress: Progress | None = None) -> list[WriterReport]:
        """Check every writer's chain. ``kept`` are heads noted elsewhere earlier, which must still be in it."""
        kept = list(kept)
        writers = sorted({*list_writers(self._directory), *(head.writer for head in kept)})
        segments = list_segments(self._directory)
        return [
            self._verify_writer(writer, [file for file in segments if file.writer == writer], kept, progress)
            for writer in writers
        ]

    def _verify_writer(
        self, writer: str, segments: Sequence[SegmentFile], kept: Sequence[Head], progress: Progress | None
    ) -> WriterReport:
        check = ChainCheck(writer, self._trusted.has_signed, self._last_expiry(writer))
        heads_file = heads_path(self._directory, writer)
        settled = len(list(read_lines(heads_file)))
        for file in segments:
            try:
                data = read_segment(file)
            except EvidenceError as error:
                check.note_unreadable(file.name, str(error))
                continue
            check.check_segment(file.name, data)
            if progress is not None:
                progress(file.name, len(data))
        return check.finish([_parse_or_none(line) for line in read_lines(heads_file)], kept, settled)

    def _last_expiry(self, writer: str) -> Expiry | None:
        lines = list(read_lines(expired_path(self._directory, writer)))
        return parse_expiry(lines[-1]) if lines else None

    def total_bytes(self) -> int:
        """Size of all segments on disk, for a progress bar."""
        return sum(file.path.stat().st_size for file in list_segments(self._directory))

    def public_keys(self) -> dict[str, str]:
        """Key id → PEM of the keys that count."""
        return self._trusted.pems()

    # -- export -------------------------------------------------------------------------------------------------

    def prove(self, located: Sequence[Located]) -> Iterator[dict[str, object]]:
        """For each of ``located``, in their order of writing, what a third party needs to check it."""
        by_writer: dict[str, list[Located]] = {}
        for one in located:
            by_writer.setdefault(one.writer, []).append(one)
        for writer, wanted in sorted(by_writer.items()):
            files = [file for file in list_segments(self._directory) if file.writer == writer]
            prover = Prover(sorted(wanted, key=lambda one: (one.segment, one.number)))
            for file in files:
                if prover.wants(file.segment):
                    yield from prover.read(file.segment, read_segment(file))
            yield from prover.finish()


def open_engine() -> duckdb.DuckDBPyConnection:
    """DuckDB in memory, without its habit of fetching extensions from the network."""
    return duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "threads": "2",
        }
    )


def _scan(data: Buffer, wanted: Sequence[str]) -> Iterator[tuple[int, Frame]]:
    """The records of an original segment that hold one of ``wanted`` anywhere, with their numbers."""
    whole: Any = data.obj if isinstance(data, memoryview) else data  # a map searches itself; a view cannot
    hits = sorted({at for word in wanted for at in _places(whole, word.encode())})
    if not hits:
        return
    number = 0
    at = 0
    for frame in read_frames(data):
        if frame.kind == RECORD:
            number += 1
        while at < len(hits) and hits[at] < frame.offset:
            at += 1
        if at == len(hits):
            return
        if hits[at] < frame.end and frame.kind == RECORD:
            yield number, frame


def _places(whole: Any, word: bytes) -> Iterator[int]:
    at = whole.find(word)
    while at >= 0:
        yield at
        at = whole.find(word, at + 1)


def _keys_of(record: dict[str, object]) -> set[object]:
    keys: set[object] = {record.get("key")}
    recipients = record.get("recipients")
    if isinstance(recipients, list):
        keys.update(recipient.get("key") for recipient in recipients)
    return keys


def _parse_or_none(line: bytes) -> Head | None:
    try:
        return parse_head(line)
    except ValueError:
        return None


__all__ = ["EvidenceReader", "Located", "Problem", "ProblemKind", "open_engine"]
