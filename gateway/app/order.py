"""What a worker process is ordered."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from gateway.configuration import Configuration
from gateway.secrets import InstallationSecrets


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """Everything a worker process needs to know; it reads no file that could have changed since it was validated."""

    configuration: Configuration
    secrets: InstallationSecrets
    slot: int
    descriptors: dict[str, int]
    channel: int

    def take(self, key: str) -> socket.socket:
        """The inherited listening socket of endpoint ``key``."""
        return socket.socket(fileno=self.descriptors[key])
