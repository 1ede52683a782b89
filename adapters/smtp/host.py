"""One address of the upstream, and what is known of it."""

from __future__ import annotations

import time

from adapters.smtp.extensions import Extensions
from adapters.smtp.health import HostHealth
from adapters.smtp.outcomes import Fault


class Host:
    """``address``: (host, port). ``takes_followers``: whether envelopes may leave behind a final dot there. ``since``:
    when it came to be as it is, seconds since 1970 UTC.
    """

    __slots__ = ("address", "extensions", "health", "last_fault", "since", "takes_followers")

    def __init__(self, address: tuple[str, int], health: HostHealth) -> None:
        self.address = address
        self.health = health
        self.extensions: Extensions | None = None
        self.last_fault: Fault | None = None
        self.takes_followers = True
        self.since = time.time()
