"""Letters made comparable: how people type the same Turkish word in many ways.

The mapping is fixed and knows both i's, never the machine's locale, under which ``I`` may become ``ı`` (B4, C2).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_PLAIN: Final = {ord("ı"): "i", ord("ø"): "o", ord("æ"): "ae", ord("ł"): "l", ord("đ"): "d"}
_MARKS: Final = re.compile("[\u0300-\u036f\u00ad\u034f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")
"""Accents set apart from their letter, and signs that nobody sees: soft hyphens, zero-width marks, directions."""


def fold_text(text: str) -> str:
    """``text`` in lower case, without accents and invisible signs: ``İPTÂL`` and ``ıptal`` become ``iptal``.

    Full-width and other compatibility forms become the plain ones; what is no Latin letter stays.
    """
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text)
    return _MARKS.sub("", decomposed).casefold().translate(_PLAIN)
