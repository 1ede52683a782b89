"""Points in time as worldwide providers write them, in seconds since 1970 UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from filters.sms.dialects.strict_json import malformed

_ISO = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
).fullmatch


def parse_iso(text: str, field: str) -> float:
    """ISO 8601 as SDKs write it, UTC where no offset stands. Raises ``RequestRefusedError`` naming ``field``."""
    if not _ISO(text):
        raise malformed(f"{field}: expected a time such as 2030-01-31T12:00:00Z")
    try:
        found = datetime.fromisoformat(text.upper())
    except ValueError:
        raise malformed(f"{field}: expected a time such as 2030-01-31T12:00:00Z") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
