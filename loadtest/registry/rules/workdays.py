"""The rule of three business days, with holidays as replaceable data.

Which holidays the registry knows, and whether the consent's own day counts, is not documented. Here the law's reading:
a consent can be written until the end of the third business day after it was given.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

_ONE_DAY = timedelta(days=1)
_FRIDAY = 4


@dataclass
class Workdays:
    """``yearly``: (month, day) of whole holidays; ``single``: those that move. Half days are worked."""

    yearly: set[tuple[int, int]] = field(default_factory=set)
    single: set[date] = field(default_factory=set)

    def is_workday(self, day: date) -> bool:
        return day.weekday() <= _FRIDAY and (day.month, day.day) not in self.yearly and day not in self.single

    def is_too_old(self, consent_day: date, today: date, allowed: int) -> bool:
        """Whether more than ``allowed`` business days began after ``consent_day``, up to and including today."""
        day, passed = consent_day, 0
        while day < today:
            day += _ONE_DAY
            passed += self.is_workday(day)
            if passed > allowed:
                return True
        return False

    def replace(self, days: Iterable[str]) -> None:
        """Holidays from texts: ``2026-05-27`` once, ``05-01`` every year. Raises ``ValueError``."""
        yearly: set[tuple[int, int]] = set()
        single: set[date] = set()
        for text in days:
            if len(text) == len("05-01"):
                month, _, day = text.partition("-")
                yearly.add((int(month), int(day)))
            else:
                single.add(date.fromisoformat(text))
        self.yearly, self.single = yearly, single

    def render(self) -> list[str]:
        return sorted([f"{month:02}-{day:02}" for month, day in self.yearly] + [day.isoformat() for day in self.single])


def load_workdays(path: Path) -> Workdays:
    """From the same file of holidays as the gateway's (``config/holidays-tr.toml``), read on its own terms."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    workdays = Workdays()
    for entry in document.get("fixed", ()):
        if not entry.get("half", False):
            workdays.yearly.add((entry["month"], entry["day"]))
    for entry in document.get("feasts", ()):
        workdays.single.update(entry["eve"] + timedelta(days=number) for number in range(1, entry["days"] + 1))
    return workdays
