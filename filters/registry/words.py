"""The registry's words and ours, and its way to write times (İYS API reference, 1, 2.1, 2.2).

Turkish words stand in this module only. Reading forgives case and stray blanks and gives None for a word that is not
known; writing knows exactly the documented words.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from filters.consent import SOURCES
from filters.vocabulary import Channel, RecipientType, Status

CHANNEL_WORDS: dict[Channel, str] = {Channel.EMAIL: "EPOSTA", Channel.SMS: "MESAJ", Channel.CALL: "ARAMA"}
RECIPIENT_TYPE_WORDS: dict[RecipientType, str] = {RecipientType.INDIVIDUAL: "BIREYSEL", RecipientType.BUSINESS: "TACIR"}
STATUS_WORDS: dict[Status, str] = {Status.APPROVED: "ONAY", Status.REJECTED: "RET"}

_CHANNELS = {word: member for member, word in CHANNEL_WORDS.items()}
_RECIPIENT_TYPES = {word: member for member, word in RECIPIENT_TYPE_WORDS.items()}
_STATUSES = {word: member for member, word in STATUS_WORDS.items()}

PROVIDER_SOURCES: tuple[str, ...] = tuple(source for source in SOURCES if source.startswith("HS_"))
"""The only sources a provider may write; ``IYS_*`` are the registry's own."""

SOURCE_BEFORE_2015 = "HS_2015"
SOURCE_OWN_DECISION = "HS_KARAR"
SOURCE_LINE_CLOSED = "IYS_AHS_HAT_KAPATMA"
SOURCE_CITIZEN_ADDED = "IYS_WEB_YENI"
UNKNOWN_SOURCE = "UNKNOWN"
SOURCE_NOT_LISTED = "OTHER_REGISTRY"
"""As the index keeps every source that is not in its list (``filters.consent.SOURCES``)."""

REGISTRY_ZONE = timezone(timedelta(hours=3), "UTC+3")
"""Turkish time, without summer time since 2016; the registry's times carry no zone."""

FIRST_CONSENT_AT = int(datetime(2015, 5, 1, tzinfo=REGISTRY_ZONE).timestamp())
"""No consent is dated earlier (H156), and those of ``HS_2015`` exactly so (H155)."""

LATEST_AT = 0xFFFFFFFF
"""The index keeps instants in four bytes; a time beyond 2106 is an error, not a time."""

_LONGEST_TIME = 40


def find_channel(word: object) -> Channel | None:
    """The channel behind the registry's word."""
    return _CHANNELS.get(_plain(word))


def find_recipient_type(word: object) -> RecipientType | None:
    """The recipient type behind the registry's word."""
    return _RECIPIENT_TYPES.get(_plain(word))


def find_status(word: object) -> Status | None:
    """The status behind the registry's word. Another word is neither consent nor refusal."""
    return _STATUSES.get(_plain(word))


def find_source(word: object) -> str:
    """The source's name as the registry spells it; its set is open. ``UNKNOWN`` where none, or no name, is given."""
    name = _plain(word)
    is_name = 0 < len(name) <= 40 and name.isascii() and name.replace("_", "A").isalnum()
    return name if is_name else UNKNOWN_SOURCE


def _plain(word: object) -> str:
    return word.strip().upper() if isinstance(word, str) and len(word) <= 64 else ""


def is_registry_source(source: str) -> bool:
    """Whether the movement was made on one of the registry's own channels."""
    return source.startswith("IYS_")


def find_time(text: object) -> int | None:
    """Seconds since 1970 UTC behind ``YYYY-MM-DD HH:mm:ss`` in Turkish time; None if it is no such instant.

    Blanks around, a ``T`` between, fractions of a second and a zone are forgiven.
    """
    if not isinstance(text, str) or len(text) > _LONGEST_TIME:
        return None
    try:
        instant = datetime.fromisoformat(text.strip())
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=REGISTRY_ZONE)
        at = int(instant.timestamp())
    except (OverflowError, ValueError):
        return None
    return at if 0 <= at <= LATEST_AT else None


def render_time(at: int) -> str:
    """``YYYY-MM-DD HH:mm:ss`` in Turkish time of seconds since 1970 UTC. Raises ``ValueError`` outside 1970 to 2106."""
    if not 0 <= at <= LATEST_AT:
        raise ValueError("time: expected seconds since 1970 UTC, before 2106")
    return datetime.fromtimestamp(at, REGISTRY_ZONE).strftime("%Y-%m-%d %H:%M:%S")


def render_day(at: int) -> str:
    """The ``reportDate`` (``YYYY-MM-DD``, Turkish day) in which the instant ``at`` falls."""
    return render_time(at)[:10]


def is_day(text: str) -> bool:
    """Whether ``text`` is a ``reportDate``: a real day as ``YYYY-MM-DD``."""
    if len(text) != 10 or not text.isascii():
        return False
    try:
        datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return False
    return True
