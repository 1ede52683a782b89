"""Where the holiday data comes from: the file that ships with us, or the operator's own."""

from __future__ import annotations

import tomllib
from pathlib import Path

from filters.business_days import HolidayCalendar, HolidayDataError, parse_holidays


def load_holidays(path: Path, *, half_days_count: bool = True) -> HolidayCalendar:
    """The calendar in ``path``. Raises ``HolidayDataError`` naming file and entry, ``OSError`` if it cannot be read."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        return parse_holidays(document, half_days_count=half_days_count)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, HolidayDataError) as error:
        raise HolidayDataError(f"{path}: {error}") from error
