"""How often one token may be used: by token, not by network address, for mailbox providers post from a few."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

DEFAULT_BURST = 10
DEFAULT_PER_S = 1 / 6
DEFAULT_CAPACITY = 20_000


class Throttle:
    """A bucket per token: ``burst`` uses at once, then ``per_s`` a second. Unknown tokens have theirs as well.

    Remembers the ``capacity`` tokens used last. A flood of invented tokens pushes others out, which loosens the limit
    for them and costs no memory.
    """

    __slots__ = ("_buckets", "_burst", "_capacity", "_per_s")

    def __init__(
        self, burst: int = DEFAULT_BURST, per_s: float = DEFAULT_PER_S, capacity: int = DEFAULT_CAPACITY
    ) -> None:
        self._burst = float(burst)
        self._per_s = per_s
        self._capacity = capacity
        self._buckets: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def admit(self, token: str, now: float) -> bool:
        """Whether ``token`` may be used at ``now`` (monotonic seconds); counts the use if so."""
        # A digest, so that long texts do not sit in memory.
        key = blake2b(token.encode("utf-8", "replace"), digest_size=16).digest()
        left, at = self._buckets.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_s)
        is_admitted = left >= 1
        self._buckets[key] = (left - 1 if is_admitted else left, now)
        if len(self._buckets) > self._capacity:
            self._buckets.popitem(last=False)
        return is_admitted
