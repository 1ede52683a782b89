"""How long a provider may hold what it took before it sends it, beside a time of sending: hours of the day, speed.

Bounds that hold whenever the request comes and in whatever time zone the provider reads hours: nobody has to know
either. Seconds throughout.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from filters.sms.dialects.strict_json import malformed

DAY_S = 86_400
DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")

_TIME_UNITS = {"MINUTE": 60, "HOUR": 3600, "DAY": DAY_S}
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):?([0-5][0-9])(?::?([0-5][0-9]))?", re.ASCII).fullmatch


class Window(NamedTuple):
    """When the provider sends: the longest time that it is shut, and the shortest that it is open."""

    closed_s: float = 0.0
    open_s: float = math.inf

    def hold_s(self, sending_s: float) -> float:
        """Until the last message has left of a job that takes ``sending_s`` of open time."""
        return sending_s + self.closed_s * (math.floor(sending_s / self.open_s) + 1)


def read_window(days: Collection[str] | None, start: Any, end: Any, where: str) -> Window:
    """Days by English name, all of them where there is none; hours as ``{"hour": 9, "minute": 30}``, the whole day
    where there are none. Raises ``RequestRefusedError`` naming ``where``."""
    on = sorted({_day(day, where) for day in days}) if days else list(range(7))
    starts, ends = _minutes(start, f"{where}.from"), _minutes(end, f"{where}.to")
    if starts is None and ends is None:
        starts, ends = 0, 0
    if starts is None or ends is None:
        raise malformed(f"{where}: expected from and to")
    open_s = ((ends - starts) * 60 - 1) % DAY_S + 1
    gaps = [((after - before - 1) % 7 + 1) * DAY_S for before, after in zip(on, [*on[1:], on[0]], strict=True)]
    return Window(float(max(gaps) - open_s), float(open_s))


def read_speed(limit: Mapping[str, Any] | None, recipients: int, where: str) -> float:
    """How long ``recipients`` take at ``{"amount": 10, "timeUnit": "MINUTE"}``. Raises ``RequestRefusedError``."""
    if not limit:
        return 0.0
    amount, unit = limit.get("amount"), _TIME_UNITS.get(str(limit.get("timeUnit") or "MINUTE"))
    if type(amount) is not int or amount <= 0:
        raise malformed(f"{where}.amount: expected a number above 0")
    if unit is None:
        raise malformed(f"{where}.timeUnit: expected MINUTE, HOUR or DAY")
    return math.ceil(recipients / amount) * float(unit)


def read_excluded_hours(start: str, end: str, where: str) -> float:
    """How long hours of the day ("22:00" or "2200", with or without seconds) in which nothing is sent may hold a
    message; 0 where there are none. Raises ``RequestRefusedError`` naming ``where``."""
    if not start and not end:
        return 0.0
    first, last = _CLOCK(start), _CLOCK(end)
    if first is None or last is None:
        raise malformed(f"{where}: expected hours of the day such as 22:00, both or none")
    seconds = [int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3] or 0) for found in (first, last)]
    return float((seconds[1] - seconds[0] - 1) % DAY_S + 1)


def _day(name: str, where: str) -> int:
    if name not in DAYS:
        raise malformed(f"{where}.days: expected names such as MONDAY")
    return DAYS.index(name)


def _minutes(time: Any, where: str) -> int | None:
    if not time:
        return None
    hour, minute = time.get("hour") or 0, time.get("minute") or 0
    if not (0 <= hour <= 23 and 0 <= minute <= 59):
        raise malformed(f"{where}: expected a time of the day")
    return int(hour) * 60 + int(minute)
