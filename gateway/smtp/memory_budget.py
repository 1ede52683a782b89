"""How many bytes of mail all sessions of a worker may hold together.

Without one budget, 2,000 sessions of 30 MB each would be within every limit of their own, and 60 GB.
"""

from __future__ import annotations


class MemoryBudget:
    """Bytes held until their message is answered; over the limit new mail is put off with 452 4.3.1.

    Putting off rather than waiting: sessions that are each half-way through DATA and wait for one another's memory
    would wait for ever.
    """

    __slots__ = ("limit_bytes", "used_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0

    def has_room_for(self, size_bytes: int) -> bool:
        return self.used_bytes + size_bytes <= self.limit_bytes

    def try_hold(self, size_bytes: int) -> bool:
        """Charge ``size_bytes`` if they fit; say whether they did."""
        if self.used_bytes + size_bytes > self.limit_bytes:
            return False
        self.used_bytes += size_bytes
        return True

    def hold(self, size_bytes: int) -> None:
        """Charge bytes that are in memory already, whether they fit or not: others then have to wait for them."""
        self.used_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        self.used_bytes -= size_bytes
