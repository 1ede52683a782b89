"""Three business days: the deadline for reporting a refusal (Law 6563, 8/3; Law 2429)."""

from __future__ import annotations

import dataclasses
import tomllib
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.business_days import HolidayCalendar, HolidayDataError, parse_holidays

DATA = Path(__file__).parents[2] / "config" / "holidays-tr.toml"
COUNT = parse_holidays(tomllib.loads(DATA.read_text(encoding="utf-8")))
NOT_COUNT = dataclasses.replace(COUNT, half_days_count=False)
ISTANBUL = timezone(timedelta(hours=3))

days = st.dates(date(2023, 1, 1), date(2035, 12, 31))
FEAST = {"eve": date(2026, 3, 19), "days": 3}
FIXED = {"month": 1, "day": 1}


@pytest.mark.parametrize(
    ("event", "half_days_count", "half_days_do_not_count"),
    [
        ("2026-03-18", "2026-03-24", "2026-03-25"),
        ("2026-05-25", "2026-06-02", "2026-06-03"),
        ("2026-07-13", "2026-07-17", "2026-07-17"),
        ("2026-10-27", "2026-11-02", "2026-11-03"),
        ("2026-11-06", "2026-11-11", "2026-11-11"),
        ("2026-12-30", "2027-01-05", "2027-01-05"),
        ("2027-05-14", "2027-05-24", "2027-05-24"),
    ],
)
def test_the_third_business_day_after_the_event(event: str, half_days_count: str, half_days_do_not_count: str) -> None:
    """Around weekends, feasts, their eves, 15 July, 29 October and the turn of the year."""
    assert COUNT.find_deadline(date.fromisoformat(event)) == date.fromisoformat(half_days_count)
    assert NOT_COUNT.find_deadline(date.fromisoformat(event)) == date.fromisoformat(half_days_do_not_count)


def test_the_day_of_a_refusal_is_the_day_in_istanbul() -> None:
    """A refusal at 00:30 on Saturday in Istanbul is still Friday in UTC; the day counted from is Saturday."""
    received = datetime(2026, 11, 7, 0, 30, tzinfo=ISTANBUL)
    due = datetime.fromtimestamp(COUNT.due_at(int(received.timestamp())), ISTANBUL)
    assert due == datetime(2026, 11, 11, 23, 59, 59, tzinfo=ISTANBUL)


@given(days, st.integers(0, 24 * 3600 - 1))
def test_a_deadline_is_the_last_second_of_a_business_day_after_the_event(day: date, second: int) -> None:
    """At least three days later, whatever the hour."""
    received = int(datetime(day.year, day.month, day.day, tzinfo=ISTANBUL).timestamp()) + second
    due = datetime.fromtimestamp(COUNT.due_at(received), ISTANBUL)
    assert (due.hour, due.minute, due.second) == (23, 59, 59)
    assert COUNT.is_business_day(due.date())
    assert due.date() - day >= timedelta(days=3)


@given(days)
def test_counting_half_days_never_gives_a_later_deadline(day: date) -> None:
    """That is why it is the default."""
    assert COUNT.find_deadline(day) <= NOT_COUNT.find_deadline(day)


@given(days)
def test_missing_feasts_make_the_deadline_earlier_never_later(day: date) -> None:
    """So an old data file errs on the safe side."""
    ignorant = dataclasses.replace(COUNT, days=frozenset(), half_days=frozenset())
    assert ignorant.find_deadline(day) <= COUNT.find_deadline(day)


def test_beyond_the_data_the_fixed_holidays_still_hold() -> None:
    """29 October 2031 is a Wednesday and no business day, though no feast of 2031 is known."""
    assert COUNT.last_year == 2030
    assert not COUNT.is_known(int(datetime(2031, 10, 29, tzinfo=ISTANBUL).timestamp()))
    assert COUNT.is_known(int(datetime(2030, 12, 31, tzinfo=ISTANBUL).timestamp()))
    assert not COUNT.is_business_day(date(2031, 10, 29))


def test_a_day_that_is_both_a_holiday_and_an_eve_is_a_holiday() -> None:
    """23 April 2029 is a national holiday and the eve of Kurban Bayramı."""
    assert not COUNT.is_business_day(date(2029, 4, 23))


def test_the_data_has_both_feasts_of_every_year_it_covers() -> None:
    """Seven whole days and two eves each, 2024 to 2030."""
    for year in range(2024, 2031):
        assert sum(day.year == year for day in COUNT.days) == 7
        assert sum(day.year == year for day in COUNT.half_days) == 2


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "fixed: expected a list"),
        ({"fixed": [FIXED], "feasts": []}, "at least one entry"),
        ({"fixed": ["x"], "feasts": [FEAST]}, r"fixed\[0\]: expected a table"),
        ({"fixed": [{"month": 2, "day": 30}], "feasts": [FEAST]}, r"fixed\[0\]: day"),
        ({"fixed": [{"month": True, "day": 1}], "feasts": [FEAST]}, r"fixed\[0\]\.month: expected a whole number"),
        ({"fixed": [FIXED | {"half": "yes"}], "feasts": [FEAST]}, r"fixed\[0\]\.half: expected true or false"),
        ({"fixed": [FIXED], "feasts": [FEAST | {"days": 0}]}, r"feasts\[0\]\.days: expected 1 to 10, found 0"),
        ({"fixed": [FIXED], "feasts": [FEAST | {"eve": "2026"}]}, r"feasts\[0\]\.eve: expected a date like"),
        (
            {"fixed": [FIXED], "feasts": [FEAST | {"eve": datetime(2026, 3, 19, 13, 0, tzinfo=ISTANBUL)}]},
            r"feasts\[0\]\.eve: expected a date like",
        ),
        ({"fixed": [FIXED | {"dya": 1}], "feasts": [FEAST]}, r"fixed\[0\]: unknown key 'dya'; known are day"),
    ],
)
def test_wrong_data_is_refused_with_its_place(document: dict[str, object], says: str) -> None:
    with pytest.raises(HolidayDataError, match=says):
        parse_holidays(document)


def test_the_setting_reaches_the_calendar() -> None:
    document: dict[str, object] = {"fixed": [FIXED], "feasts": [FEAST]}
    calendar: HolidayCalendar = parse_holidays(document, half_days_count=False)
    assert not calendar.is_business_day(date(2026, 3, 19))
    assert parse_holidays(document).is_business_day(date(2026, 3, 19))
