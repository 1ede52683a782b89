"""What the client asks of its surroundings: a place for two small records, and somebody to tell how calls end."""

from __future__ import annotations

from typing import Protocol


class SharedRecord(Protocol):
    """One small value (under 16 kB) that all users of one registry address, or account, see and change in turn.

    Both may raise ``OSError`` where the place cannot be reached: then nothing is sent to the registry.
    """

    async def read(self) -> bytes | None:
        """The value, None if there is none."""

    async def replace(self, expected: bytes | None, new: bytes) -> bool:
        """Put ``new`` if the value still is ``expected``; False, and nothing changed, if it is not."""


class RegistryObserver(Protocol):
    """Is told of every request. Names and results are closed lists, fit for metric labels."""

    def call_ended(self, name: str, result: str, seconds: float) -> None:
        """``name`` as in ``Call.name``; ``result`` is ``ok`` or the failure's word (``failure_word``)."""


class SilentObserver:
    """Hears everything and says nothing."""

    def call_ended(self, name: str, result: str, seconds: float) -> None:
        """Nothing."""
