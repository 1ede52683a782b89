"""Dates as Turkish providers write them: local time, three hours before UTC all year round since 2016."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

TURKISH_TIME = timezone(timedelta(hours=3))


def find_time(text: str, pattern: str) -> float | None:
    """Seconds since 1970 UTC for ``text`` in Turkish time by a strptime pattern; None where it does not fit."""
    try:
        found = datetime.strptime(text, pattern)  # noqa: DTZ007  # the zone comes below, if the pattern has none
    except ValueError:
        return None
    if found.strftime(pattern) != text or not text.isascii():
        # strptime takes "1.2.2026" for "01.02.2026"; another reader may not.
        return None
    return (found if found.tzinfo else found.replace(tzinfo=TURKISH_TIME)).timestamp()


def write_time(at: float, pattern: str) -> str:
    """``at`` (seconds since 1970 UTC) in Turkish time."""
    return datetime.fromtimestamp(at, TURKISH_TIME).strftime(pattern)
