"""Counts the gateway's own verdicts in a stretch of time, for the daily report. Opens nothing for writing."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from adapters.evidence.files import RECIPIENTS_SUFFIX, list_days, list_segments
from adapters.evidence.search import open_engine
from adapters.evidence.segment_reader import read_segment
from filters.evidence.chain import RECORD, read_frames
from filters.evidence.record import decode

VerdictKey = tuple[int, str, str, str]
"""Brand (0: none could be told), channel, verdict, reason."""


def count_verdicts(directory: Path, since_at: float, until_at: float) -> Counter[VerdictKey]:
    """Recipients decided about from ``since_at`` until before ``until_at`` (seconds since 1970 UTC).

    Sealed segments are counted in their indexes, the others record by record.
    """
    days = list_days(directory)
    segments = {(file.day, file.name): file for day in days for file in list_segments(directory, day)}
    counts: Counter[VerdictKey] = Counter()
    indexes = [str(entry) for day in days for entry in sorted(day.iterdir()) if entry.name.endswith(RECIPIENTS_SUFFIX)]
    if indexes:
        bounds = [datetime.fromtimestamp(at, UTC).replace(tzinfo=None) for at in (since_at, until_at)]
        with open_engine() as engine:
            rows = engine.execute(
                "SELECT day, segment, brand, channel, verdict, reason, count(*) FROM read_parquet(?) "
                'WHERE "at" >= ? AND "at" < ? AND verdict IS NOT NULL GROUP BY ALL',
                [indexes, *bounds],
            ).fetchall()
        for day, segment, brand, channel, verdict, reason, number in rows:
            file = segments.get((day, segment))
            if file is not None and file.is_sealed:  # an original that is still there is counted itself
                counts[brand or 0, channel, verdict, reason] += number
    for file in segments.values():
        if not file.is_sealed:
            for frame in read_frames(read_segment(file)):
                if frame.kind == RECORD:
                    _count(counts, decode(frame.payload), since_at, until_at)
    return counts


def _count(counts: Counter[VerdictKey], record: dict[str, object], since_at: float, until_at: float) -> None:
    recipients = record.get("recipients")
    if not isinstance(recipients, list):
        return
    if since_at <= datetime.fromisoformat(str(record["at"])).timestamp() < until_at:
        brand = record.get("brand")
        code = int(str(brand)) if brand is not None else 0
        for each in recipients:
            counts[code, str(record.get("channel")), str(each.get("verdict")), str(each.get("reason"))] += 1
