"""The legal deadline for reporting a refusal: the end of the third business day after it arrived.

Law 6563, 8/3 and Reg. 9-10 give "three business days" and no definition. The working rule: Monday to Friday less the
holidays of Law 2429, counted from the day after the event, in Turkish time (UTC+3 without summer time since 2016).

The feasts move with the lunar calendar and are announced year by year, so the holidays are data
(``config/holidays-tr.toml``), handed in as a parsed document. **Where the data ends**, an unknown feast is not
subtracted: the deadline then comes too early rather than too late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

ISTANBUL = timezone(timedelta(hours=3), "TRT")
REPORT_BUSINESS_DAYS = 3

_SATURDAY = 5
_ONE_DAY = timedelta(days=1)
_MAX_FEAST_DAYS = 10
_LEAP_YEAR = 2024


class HolidayDataError(ValueError):
    """The holiday data says something that cannot be a calendar; the text names the entry."""


@dataclass(frozen=True, slots=True)
class HolidayCalendar:
    """Which days are business days.

    ``every_year`` and ``every_year_half`` hold (month, day); ``days`` and ``half_days`` the dates that move.
    ``half_days_count``: a day free from 13:00 on (28 October, the eves of the feasts) still is a business day; that
    gives the earlier deadline. ``last_year`` is the last for which the moving feasts are known.
    """

    every_year: frozenset[tuple[int, int]]
    every_year_half: frozenset[tuple[int, int]]
    days: frozenset[date]
    half_days: frozenset[date]
    last_year: int
    half_days_count: bool = True

    def is_business_day(self, day: date) -> bool:
        if day.weekday() >= _SATURDAY or day in self.days or (day.month, day.day) in self.every_year:
            return False
        return self.half_days_count or not (day in self.half_days or (day.month, day.day) in self.every_year_half)

    def find_deadline(self, event: date, business_days: int = REPORT_BUSINESS_DAYS) -> date:
        """The last of ``business_days`` business days; the first is the one after ``event`` at the earliest."""
        day = event
        left = business_days
        while left:
            day += _ONE_DAY
            left -= self.is_business_day(day)
        return day

    def due_at(self, received_at: int, business_days: int = REPORT_BUSINESS_DAYS) -> int:
        """The last second in which the duty can be met; both instants in seconds since 1970 UTC."""
        event = datetime.fromtimestamp(received_at, ISTANBUL).date()
        midnight = datetime.combine(self.find_deadline(event, business_days) + _ONE_DAY, time(), ISTANBUL)
        return int(midnight.timestamp()) - 1

    def is_known(self, at: int) -> bool:
        """Whether the feasts of the year of ``at`` are in the data; if not, the file wants renewing."""
        return datetime.fromtimestamp(at, ISTANBUL).year <= self.last_year


def parse_holidays(document: Mapping[str, object], *, half_days_count: bool = True) -> HolidayCalendar:
    """The calendar in a parsed ``holidays-tr.toml``.

    ``fixed``: a list of ``{month, day, half?, name?}``. ``feasts``: a list of ``{eve, days, name?}``, where ``eve`` is
    the half day before ``days`` whole ones. Raises ``HolidayDataError`` naming the entry.
    """
    every_year: set[tuple[int, int]] = set()
    every_year_half: set[tuple[int, int]] = set()
    for place, entry in _read_tables(document, "fixed", {"month", "day", "half", "name"}):
        month, day = _read_int(entry, "month", place), _read_int(entry, "day", place)
        try:
            date(_LEAP_YEAR, month, day)
        except ValueError as error:
            raise HolidayDataError(f"{place}: {error}") from error
        half = entry.get("half", False)
        if not isinstance(half, bool):
            raise HolidayDataError(f"{place}.half: expected true or false, found {half!r}")
        (every_year_half if half else every_year).add((month, day))

    days: set[date] = set()
    half_days: set[date] = set()
    for place, entry in _read_tables(document, "feasts", {"eve", "days", "name"}):
        eve = entry.get("eve")
        # A TOML date-time is a date to Python as well, but here an hour would be a mistake.
        if not isinstance(eve, date) or isinstance(eve, datetime):
            raise HolidayDataError(f"{place}.eve: expected a date like 2026-03-19, found {eve!r}")
        length = _read_int(entry, "days", place)
        if not 1 <= length <= _MAX_FEAST_DAYS:
            raise HolidayDataError(f"{place}.days: expected 1 to {_MAX_FEAST_DAYS}, found {length}")
        half_days.add(eve)
        days.update(eve + timedelta(days=number) for number in range(1, length + 1))
    if not every_year or not days:
        raise HolidayDataError("holidays: expected at least one entry under fixed and one under feasts")
    return HolidayCalendar(
        frozenset(every_year),
        frozenset(every_year_half),
        frozenset(days),
        frozenset(half_days),
        max(day.year for day in days),
        half_days_count,
    )


def _read_tables(document: Mapping[str, object], name: str, known: set[str]) -> list[tuple[str, Mapping[str, object]]]:
    tables = document.get(name)
    if not isinstance(tables, list):
        raise HolidayDataError(f"{name}: expected a list of tables, found {tables!r}")
    read: list[tuple[str, Mapping[str, object]]] = []
    for number, table in enumerate(tables):
        place = f"{name}[{number}]"
        if not isinstance(table, dict):
            raise HolidayDataError(f"{place}: expected a table, found {table!r}")
        if unknown := sorted(set(table) - known):
            raise HolidayDataError(f"{place}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")
        read.append((place, table))
    return read


def _read_int(entry: Mapping[str, object], key: str, place: str) -> int:
    value = entry.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise HolidayDataError(f"{place}.{key}: expected a whole number, found {value!r}")
    return value
