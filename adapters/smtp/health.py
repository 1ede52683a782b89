"""When a host may be tried: failures pause it for longer and longer, and one attempt finds out whether it is back.

::

    UP --failed--> DOWN --pause over, one attempt--> PROBING --succeeded--> UP
                     ^-------------failed--------------'

The pauses double up to a limit and are jittered, so that many processes do not come back in the same instant.
Time is an argument: seconds of any monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

FAULTS_IN_A_ROW = 3


class HostState(StrEnum):
    """What is known of a host."""

    UP = "up"
    DOWN = "down"
    PROBING = "probing"


class HostHealth:
    """Health of one host. ``backoff_s``: (first, longest) pause; ``uniform(a, b)`` a random number between the two."""

    __slots__ = ("_backoff_s", "_faults", "_pause_s", "_uniform", "_until", "state")

    def __init__(self, backoff_s: tuple[float, float], uniform: Callable[[float, float], float]) -> None:
        self._backoff_s = backoff_s
        self._uniform = uniform
        self._pause_s = 0.0
        self._until = 0.0
        self._faults = 0
        self.state = HostState.UP

    def may_try(self, now: float) -> bool:
        """Whether a connection may be attempted; while one attempt probes the host, no other."""
        return self.state is HostState.UP or (self.state is HostState.DOWN and now >= self._until)

    def begin(self) -> None:
        """An attempt starts."""
        if self.state is HostState.DOWN:
            self.state = HostState.PROBING

    def succeed(self) -> None:
        """A session was set up."""
        self.state = HostState.UP
        self._pause_s = 0.0

    def fail(self, now: float) -> None:
        """An attempt failed. Attempts that began together count once, or a burst would mean the longest pause."""
        if self.state is HostState.DOWN:
            return
        first_s, longest_s = self._backoff_s
        self._pause_s = min(self._pause_s * 2 or first_s, longest_s)
        self._until = now + self._uniform(self._pause_s / 2, self._pause_s)
        self.state = HostState.DOWN

    def cancel(self) -> None:
        """An attempt was given up by us and says nothing."""
        if self.state is HostState.PROBING:
            self.state = HostState.DOWN

    def count_fault(self, now: float) -> bool:
        """A transaction broke off in the middle; True if that was one too many and the host is now DOWN."""
        self._faults += 1
        if self._faults < FAULTS_IN_A_ROW:
            return False
        self._faults = 0
        if self.state is HostState.UP:
            self.fail(now)
        return True

    def count_success(self) -> None:
        """A transaction ran to its end, whatever the answer."""
        self._faults = 0
