"""What is measured before anything is parsed, so that a crafted message costs no more than an honest one."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """Beyond any of these a commercial message is refused, not guessed at.

    ``header_bytes``: one header block. ``parts``: children of one multipart. ``depth``: multiparts within multiparts.
    ``parameters``: parameters of one Content-Type or Content-Disposition. ``value_bytes``: one such value, unfolded.
    ``views``: leaves that get a footer; with it the growth of a message has a bound.
    """

    header_bytes: int = 262_144
    parts: int = 1_000
    depth: int = 20
    parameters: int = 100
    value_bytes: int = 16_384
    views: int = 8


DEFAULT_LIMITS = Limits()
