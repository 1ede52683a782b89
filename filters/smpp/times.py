"""SMPP's sixteen-character times (7.1.1), absolute and relative."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from filters.smpp.fields import PduError
from filters.smpp.numbers import CommandStatus


def parse_schedule(text: str, now: float) -> float | None:
    """When to send (seconds since 1970 UTC), None for at once. ``now`` is what relative times count from.
    Raises ``PduError``."""
    if not text:
        return None
    wrong = PduError(CommandStatus.INVALID_SCHEDULE, "schedule_delivery_time: YYMMDDhhmmsstnnp")
    if not (text[:15].isascii() and text[:15].isdigit()):
        raise wrong
    year, month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(0, 12, 2))
    try:
        if text[15] == "R":
            if text[12:15] != "000":
                raise wrong
            # Months and years as calendars average them: nobody schedules an SMS by them.
            span = timedelta(days=day + 30 * month + 365 * year, hours=hour, minutes=minute, seconds=second)
            return now + span.total_seconds()
        if text[15] not in "+-":
            raise wrong
        quarters = int(text[13:15]) * (1 if text[15] == "+" else -1)
        if abs(quarters) > 48:
            raise wrong
        local = datetime(2000 + year, month, day, hour, minute, second, int(text[12]) * 100_000, UTC)
        return (local - timedelta(minutes=15 * quarters)).timestamp()
    except ValueError:
        raise wrong from None
