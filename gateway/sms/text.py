"""What became of one text: with its opt-out in it, or why that cannot be."""

from __future__ import annotations

from typing import NamedTuple

from filters.sms.dialect import Fault, Segments


class FittedText(NamedTuple):
    """``problem`` None: ``text`` may go out. Else nothing does, and ``detail`` tells the sender what to change."""

    text: str
    segments: Segments
    problem: Fault | None = None
    detail: str = ""
