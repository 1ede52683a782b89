"""Points in time as providers write them, in seconds since 1970 UTC.

Turkish ones by a pattern, in Turkish time (UTC+3, without summer time since 2016); worldwide ones in ISO 8601.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from filters.sms.dialect import RequestRefusedError
from filters.sms.dialects.strict_json import malformed

TURKISH_TIME = timezone(timedelta(hours=3))

_ISO = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
).fullmatch


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


def parse_iso(text: str, field: str) -> float:
    """ISO 8601 as SDKs write it, UTC where no offset stands. Raises ``RequestRefusedError`` naming ``field``."""
    if not _ISO(text):
        raise malformed(f"{field}: expected a time such as 2030-01-31T12:00:00Z")
    try:
        found = datetime.fromisoformat(text.upper())
    except ValueError:
        raise malformed(f"{field}: expected a time such as 2030-01-31T12:00:00Z") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def find_iso(text: object) -> float | None:
    """An ISO time in a webhook, None where there is none that can be read: the time is only for the record."""
    if type(text) is not str:
        return None
    try:
        return parse_iso(text, "the time")
    except RequestRefusedError:
        return None
