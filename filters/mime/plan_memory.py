"""What was found out about a body, kept for the next message with the very same one.

A campaign sends one body many times; only fields like To and Message-ID differ. The analysis of a body depends on
nothing but its octets, the content fields of its header, the brand's footer and settings, and whether the next hop
takes 8-bit text, so for equal keys it is the same and need not be made (and checked) again. Personal bodies are never
equal; they cost the memory one hash each and are not kept.
"""

from __future__ import annotations

from typing import NamedTuple

from filters.mime.rewrite_plan import RewritePlan

MAX_PLANS = 32
MAX_BODY_BYTES = 128 * 1024
"""With ``MAX_PLANS`` this bounds the memory: each plan holds its body about twice."""

_MAX_SEEN = 4096


_SAMPLES = 256


class BodyKey(NamedTuple):
    """Everything an analysis depends on within one ``PlanMemory``.

    Its hash looks at some octets of the body only. Comparing two bodies that are equal takes a tenth of the time of
    hashing one, and those that differ mostly do so in a sample or in their length.
    """

    has_8bitmime: bool
    content_fields: bytes
    body: bytes

    def __hash__(self) -> int:
        body = self.body
        return hash((self.has_8bitmime, self.content_fields, len(body), body[:: len(body) // _SAMPLES + 1]))


class PlanMemory:
    """The plans of one brand: one footer, one set of settings. For one thread."""

    __slots__ = ("_plans", "_seen")

    def __init__(self) -> None:
        self._plans: dict[BodyKey, RewritePlan] = {}
        self._seen: dict[int, None] = {}

    def find(self, key: BodyKey) -> RewritePlan | None:
        """The plan made for ``key``; its offsets are those of the message it was made for."""
        plan = self._plans.pop(key, None)
        if plan is not None:
            self._plans[key] = plan  # the last used are the last to go
        return plan

    def keep(self, key: BodyKey, plan: RewritePlan) -> None:
        """Keep ``plan`` if ``key`` was met before; the first time only that is noted."""
        if len(key.body) > MAX_BODY_BYTES:
            return
        seen = hash(tuple(key))
        if seen not in self._seen:
            if len(self._seen) >= _MAX_SEEN:
                del self._seen[next(iter(self._seen))]
            self._seen[seen] = None
            return
        if len(self._plans) >= MAX_PLANS:
            del self._plans[next(iter(self._plans))]
        self._plans[key] = plan
