"""The registry's words (``filters.registry.words``) and ours, as a person may write them in a file or a command."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

from filters.consent import SOURCES
from filters.registry import words as registry
from filters.registry.words import FIRST_CONSENT_AT, REGISTRY_ZONE, render_time

__all__ = [
    "CHANNEL_WORDS",
    "FIRST_CONSENT_AT",
    "RECIPIENT_TYPE_WORDS",
    "REGISTRY_ZONE",
    "SOURCE_WORDS",
    "STATUS_WORDS",
    "TIME_FORM",
    "describe_sources",
    "describe_words",
    "is_word",
    "parse_source",
    "parse_time",
    "parse_word",
    "registry_word",
    "render_time",
]

CHANNEL_WORDS = {word: member for member, word in registry.CHANNEL_WORDS.items()}
RECIPIENT_TYPE_WORDS = {word: member for member, word in registry.RECIPIENT_TYPE_WORDS.items()}
STATUS_WORDS = {word: member for member, word in registry.STATUS_WORDS.items()}
SOURCE_WORDS = tuple(source for source in SOURCES if source.startswith(("HS_", "IYS_")))

_Word = TypeVar("_Word", bound=StrEnum)


def parse_word(words: dict[str, _Word], text: str) -> _Word:
    """The member meant by the registry's word or by ours. Raises ``ValueError`` naming what is expected."""
    if text in words:
        return words[text]
    for member in words.values():
        if text == member.value:
            return member
    raise ValueError(f"{describe_words(words)}, found {text!r}")


def parse_source(text: str) -> str:
    """A source name; the registry's own set is open. Raises ``ValueError`` naming the nearest known one."""
    if text in SOURCE_WORDS or (text.startswith("IYS_") and is_word(text)):
        return text
    near = get_close_matches(text, SOURCE_WORDS, 1)
    raise ValueError(describe_sources() + (f" (nearest: {near[0]})" if near else ""))


def parse_time(text: str) -> int:
    """Seconds since 1970 UTC of ``YYYY-MM-DD HH:mm:ss`` in registry time. Raises ``ValueError``."""
    if len(text) != len("2024-05-31 14:05:09") or not text.isascii():
        raise ValueError(TIME_FORM)
    try:
        instant = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=REGISTRY_ZONE)
    except ValueError:
        raise ValueError(TIME_FORM) from None
    return int(instant.timestamp())


def registry_word(words: dict[str, _Word], member: _Word) -> str:
    """The registry's word for ``member``."""
    return next(word for word, meant in words.items() if meant is member)


def is_word(text: str) -> bool:
    """Capitals, digits and underscores, at most 40: what a source name may look like."""
    return 0 < len(text) <= 40 and text.isascii() and text.replace("_", "A").isalnum() and text == text.upper()


TIME_FORM = "expected a time as YYYY-MM-DD HH:mm:ss (UTC+3), for example 2024-05-31 14:05:09"


def describe_words(words: Iterable[str]) -> str:
    *others, last = words
    return f"expected {', '.join(others)} or {last}"


def describe_sources() -> str:
    return "expected a source of the registry, for example HS_WEB, HS_FIZIKSEL_ORTAM or IYS_WEB"
