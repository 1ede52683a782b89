"""Instants and days as the registry writes them: Turkish local time, fixed UTC+3, no zone suffix."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

TURKEY = timezone(timedelta(hours=3))
FIRST_OF_MAY_2015 = 1_430_427_600  # 2015-05-01 00:00:00 in Turkey, as the registry counts (always UTC+3)

_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAY_S = 86_400


class DateError(ValueError):
    """``code`` says which rule is broken: H158 for the form, H157 for a day or hour that does not exist."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def parse_instant(text: object) -> int:
    """Seconds since 1970 UTC. Raises ``DateError``."""
    if not isinstance(text, str) or not _INSTANT.fullmatch(text):
        raise DateError("H158")
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=TURKEY).timestamp())
    except ValueError as error:
        raise DateError("H157") from error


def render_instant(at: float) -> str:
    return datetime.fromtimestamp(int(at), TURKEY).strftime("%Y-%m-%d %H:%M:%S")


def find_day(text: str) -> date | None:
    """The day in a path, or None if it is none."""
    if not _DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def day_of(at: float) -> date:
    """The Turkish day of an instant."""
    return datetime.fromtimestamp(at, TURKEY).date()


def day_bounds_ms(day: date) -> tuple[int, int]:
    """First millisecond of ``day`` and of the next."""
    start = int(datetime(day.year, day.month, day.day, tzinfo=TURKEY).timestamp())
    return start * 1000, (start + _DAY_S) * 1000


def utc_text(at: float) -> str:
    """For people who read ``/_sim``."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
