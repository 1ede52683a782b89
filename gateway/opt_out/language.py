"""Turkish or English: the two languages the pages have."""

from __future__ import annotations

from typing import Literal

Language = Literal["tr", "en"]

DEFAULT: Language = "tr"
LANGUAGES: tuple[Language, ...] = ("tr", "en")

_MAX_HEADER_CHARS = 256
_MAX_RANGES = 16


def choose_language(accept_language: str, asked_for: str = "") -> Language:
    """The language of a page. ``asked_for`` (the ``lang`` query) wins, then Accept-Language (RFC 9110, 12.5.4).

    Turkish unless the reader prefers English to it: the recipients are in Turkey, and whoever names neither
    language, or sends nonsense, gets Turkish with a link to English on the page.
    """
    if asked_for in LANGUAGES:
        return "en" if asked_for == "en" else "tr"
    weights: dict[str, float] = {}
    for part in accept_language[:_MAX_HEADER_CHARS].split(",")[:_MAX_RANGES]:
        tag, _, parameter = part.partition(";")
        name = tag.strip().lower().partition("-")[0]
        weights[name] = max(weights.get(name, 0.0), _read_weight(parameter))
    english = weights.get("en", 0.0)
    return "en" if english > 0 and english > weights.get("tr", 0.0) else DEFAULT


def _read_weight(parameter: str) -> float:
    """The q value; 1 where there is none, 0 for nonsense."""
    name, separator, value = parameter.strip().partition("=")
    if not separator:
        return 0.0 if name else 1.0
    if name.strip().lower() != "q":
        return 0.0
    value = value.strip()
    if not value.isascii() or not value.replace(".", "", 1).isdigit():
        return 0.0
    return min(float(value[:8]), 1.0)
