"""Closed segments become a compressed original and two Parquet indexes; old ones go at the end of their retention.

The original is kept, byte for byte, because only it proves anything: as gzip members of about a quarter of a megabyte,
so that one record costs one member. The indexes say where a recipient's or a message's records are; they are sorted, so
that an engine skips what cannot match, and can be made anew from the originals at any time. Indexes of one day are
merged, so that a month is some thirty files to ask.

Nothing is removed before what replaces it is durable and was read back; a run that is cut off is simply done again.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import duckdb

from adapters.evidence.errors import EvidenceError
from adapters.evidence.files import (
    MESSAGES_SUFFIX,
    RECIPIENTS_SUFFIX,
    SegmentFile,
    expired_path,
    list_days,
    list_segments,
    make_directory,
    sync_directory,
)
from adapters.evidence.search import open_engine
from adapters.evidence.segment_reader import read_segment
from adapters.evidence.signing import Signer
from filters.evidence.chain import MAGIC, RECORD, Buffer, Expiry, read_frames, summarise_segment
from filters.evidence.record import check_retention

MEMBER_BYTES = 256 * 1024
_LEVEL = 6
_ROW_GROUP = 30_000
_MERGE_FROM = 24
"""Indexes of a day that is not over yet are merged when there are this many."""

_READ_ROWS = """
    SELECT m AS member_at, w AS within, n AS number, r FROM read_json(?, format = 'newline_delimited',
        maximum_object_size = 100000000, ignore_errors = true, columns = {
        m: 'UBIGINT', w: 'UINTEGER', n: 'UINTEGER',
        r: 'STRUCT("at" VARCHAR, id VARCHAR, brand VARCHAR, channel VARCHAR, "key" VARCHAR,
            recipients STRUCT("key" VARCHAR, reason VARCHAR, verdict VARCHAR, outcome VARCHAR)[])'})
"""
_RECIPIENT_ROWS = f"""
    SELECT from_hex(p."key") AS "key", TRY_CAST(r."at" AS TIMESTAMP) AS "at", TRY_CAST(r.brand AS BIGINT) AS brand,
        r.channel AS channel, p.reason AS reason, p.verdict AS verdict, p.outcome AS outcome,
        ? AS day, ? AS segment, member_at, within, number
    FROM ({_READ_ROWS}), LATERAL (SELECT unnest(CASE WHEN r."key" IS NOT NULL
        THEN [{{'key': r."key", 'reason': NULL, 'verdict': NULL, 'outcome': NULL}}] ELSE r.recipients END) AS p)
    ORDER BY "key", "at"
"""  # noqa: S608 - constants of ours
_MESSAGE_ROWS = f"""
    SELECT r.id AS id, ? AS day, ? AS segment, member_at, within, number FROM ({_READ_ROWS})
    WHERE r.id IS NOT NULL ORDER BY id
"""  # noqa: S608 - constants of ours
_COPY_OPTIONS = f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"


class SealReport(NamedTuple):
    """What one run did; sizes in bytes."""

    segments: int
    records: int
    original_bytes: int
    sealed_bytes: int
    index_bytes: int
    removed_segments: int


def seal(
    directory: Path,
    signer: Signer,
    retention_years: int,
    now: float,
    progress: Callable[[str, int], None] | None = None,
) -> SealReport:
    """Seal every closed segment, merge indexes, remove what is past ``retention_years``. Blocking, for a process or
    thread of its own.

    Raises ``ValueError`` for a retention below the legal minimum and ``EvidenceError`` if another run is under way.
    """
    check_retention(retention_years)
    make_directory(directory / "locks")
    with _hold(directory / "locks" / "sealing.lock") as is_held:
        if not is_held:
            raise EvidenceError("evidence: another process is sealing")
        removed = _expire(directory, signer, retention_years, now)
        done = records = original = sealed = 0
        for file in _closed_segments(directory):
            with _hold(directory / "locks" / f"{file.writer}.lock", is_needed=file.is_last) as is_free:
                if not is_free:
                    continue
                size, packed, count = _seal_segment(file.segment)
            done += 1
            original += size
            sealed += packed
            records += count
            if progress is not None:
                progress(file.segment.name, size)
        today = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d")
        for day in list_days(directory):
            for suffix in (RECIPIENTS_SUFFIX, MESSAGES_SUFFIX):
                _merge(day, suffix, 2 if day.name < today else _MERGE_FROM)
        index = sum(
            entry.stat().st_size
            for day in list_days(directory)
            for entry in day.iterdir()
            if entry.suffix == ".parquet"
        )
    return SealReport(done, records, original, sealed, index, removed)


class _Closed(NamedTuple):
    segment: SegmentFile
    writer: str
    is_last: bool


def _closed_segments(directory: Path) -> Iterator[_Closed]:
    """Originals that nobody writes to: those with a successor, and the last ones of writers that are not at work.

    For the latter the caller holds the writer's lock, so that it cannot come back in the middle.
    """
    files = list_segments(directory)
    for number, file in enumerate(files):
        is_last = number + 1 == len(files) or files[number + 1].writer != file.writer
        if not file.is_sealed:
            yield _Closed(file, file.writer, is_last)


@contextlib.contextmanager
def _hold(path: Path, is_needed: bool = True) -> Iterator[bool]:
    if not is_needed:
        yield True
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _seal_segment(file: SegmentFile) -> tuple[int, int, int]:
    """Original bytes, sealed bytes, records."""
    data = read_segment(file)
    folder = file.path.parent
    packed = folder / f".{file.name}.gz.new"
    rows = folder / f".{file.name}.rows"
    digest, count = _pack(data, packed, rows)
    if _digest_of(packed) != digest:
        raise EvidenceError(f"evidence: {file.name} could not be read back after compression")
    try:
        with _engine(folder) as engine:
            for suffix, query in ((RECIPIENTS_SUFFIX, _RECIPIENT_ROWS), (MESSAGES_SUFFIX, _MESSAGE_ROWS)):
                new = folder / f".{file.name}{suffix}.new"
                engine.execute(f"COPY ({query}) TO '{_quote(new)}' {_COPY_OPTIONS}", [file.day, file.name, str(rows)])
                _replace(new, folder / f"{file.name}{suffix}")
    finally:
        rows.unlink()
    sealed = file.path.with_name(f"{file.path.name}.gz")
    _replace(packed, sealed)
    file.path.unlink()
    sync_directory(folder)
    return len(data), sealed.stat().st_size, count


def _pack(data: Buffer, packed: Path, rows: Path) -> tuple[bytes, int]:
    """Write the gzip members and the rows for the indexes; SHA-256 of the whole, and the number of records."""
    view = memoryview(data)
    digest = sha256()
    member_from, member_at, number = 0, 0, 0
    end = len(MAGIC)
    with packed.open("wb") as out, rows.open("wb") as lines:

        def end_member(upto: int) -> None:
            nonlocal member_from, member_at
            block = view[member_from:upto]
            digest.update(block)
            member_at += out.write(gzip.compress(block, _LEVEL, mtime=0))
            member_from = upto

        for frame in read_frames(data):
            if frame.end - member_from > MEMBER_BYTES and frame.offset > member_from:
                end_member(frame.offset)
            if frame.kind == RECORD:
                number += 1
                lines.write(
                    b'{"m":%d,"w":%d,"n":%d,"r":%s}\n' % (member_at, frame.offset - member_from, number, frame.payload)
                )
            end = frame.end
        end_member(end)
        if end < len(view):
            end_member(len(view))  # bytes of an unfinished write: kept as they are
        out.flush()
        os.fsync(out.fileno())
    return digest.digest(), number


def _digest_of(packed: Path) -> bytes:
    digest = sha256()
    try:
        with gzip.open(packed) as source:
            while block := source.read(1 << 20):
                digest.update(block)
    except (OSError, EOFError, zlib.error):
        return b""
    return digest.digest()


def _merge(day: Path, suffix: str, at_least: int) -> None:
    """One index out of those of a day. A row that stands in two files for a moment is found once all the same."""
    parts = sorted(entry for entry in day.iterdir() if entry.name.endswith(suffix) and not entry.name.startswith("."))
    if len(parts) < at_least:
        return
    numbers = [int(part.name.split(".")[0][4:]) for part in parts if part.name.startswith("all-")]
    merged = day / f"all-{max(numbers, default=0) + 1:06d}{suffix}"
    new = day / f".{merged.name}.new"
    order = '"key", "at"' if suffix == RECIPIENTS_SUFFIX else "id"
    with _engine(day) as engine:
        engine.execute(
            f"COPY (SELECT * FROM read_parquet(?) ORDER BY {order}) TO '{_quote(new)}' {_COPY_OPTIONS}",  # noqa: S608 - ours
            [[str(part) for part in parts]],
        )
    _replace(new, merged)
    for part in parts:
        part.unlink()
    sync_directory(day)


@contextlib.contextmanager
def _engine(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    scratch = folder / ".sorting"
    with open_engine() as engine:
        engine.execute("SET memory_limit = '1GB'")
        engine.execute(f"SET temp_directory = '{_quote(scratch)}'")
        yield engine


def _replace(new: Path, path: Path) -> None:
    with new.open("rb") as written:
        os.fsync(written.fileno())
    new.replace(path)
    sync_directory(path.parent)


def _quote(path: Path) -> str:
    return str(path).replace("'", "''")


def _expire(directory: Path, signer: Signer, retention_years: int, now: float) -> int:
    """Remove segments opened more than ``retention_years`` (and a day) ago, after a signed statement of where the
    chain stood: without it their absence would look like tampering."""
    today = datetime.fromtimestamp(now, UTC)
    limit = f"{today.year - retention_years:04d}{today:%m%d}"
    old = [day for day in list_days(directory) if day.name < limit]
    if not old:
        return 0
    last: dict[str, SegmentFile] = {}
    removed = 0
    files = [file for day in old for file in list_segments(directory, day)]
    for file in files:
        if file.writer not in last or file.segment > last[file.writer].segment:
            last[file.writer] = file
    for writer, file in last.items():
        end = summarise_segment(read_segment(file))
        if end is None:
            raise EvidenceError(f"evidence: {file.name} is past its retention but has no header; remove it by hand")
        statement = Expiry(
            writer, file.segment, end.records, end.heads, end.link.hex(),
            today.isoformat(timespec="milliseconds").replace("+00:00", "Z"), signer.key_id,
        )  # fmt: skip
        statement = statement._replace(signature=signer.sign(statement.statement()))
        with expired_path(directory, writer).open("ab") as out:
            out.write(statement.encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
    for day in old:
        for entry in sorted(day.iterdir()):
            removed += entry.name.endswith((".izl", ".izl.gz"))
            entry.unlink()
        day.rmdir()
    sync_directory(directory)
    return removed
