"""What is to be known of one provider's interface."""

from __future__ import annotations

from dataclasses import dataclass
from ssl import SSLContext


@dataclass(frozen=True, slots=True)
class HttpUpstreamSettings:
    """Numbers count for each worker.

    ``base_url`` has no final slash. ``max_waiting`` requests may wait for one of ``max_connections`` or for their turn
    under ``max_rate`` (requests a second, 0 for no limit), none of them longer than ``waiting_s``. After
    ``breaker_failures`` requests in a row that failed, the provider is left alone for ``breaker_s``; then one is tried.
    """

    name: str
    base_url: str
    timeout_s: float = 30.0
    connect_s: float = 10.0
    waiting_s: float = 10.0
    idle_s: float = 15.0
    max_connections: int = 50
    max_waiting: int = 1000
    max_rate: float = 0.0
    max_response_bytes: int = 16 * 1024 * 1024
    breaker_failures: int = 10
    breaker_s: float = 5.0
    tls: SSLContext | None = None
