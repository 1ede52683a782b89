"""What the SMS side asks of the outside beside ``gateway.ports``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from filters.sms.http import HttpRequest, HttpResponse, UpstreamFault


class SmsUpstream(Protocol):
    """A provider's interface, reached over HTTP."""

    @property
    def name(self) -> str: ...

    async def send(self, request: HttpRequest, valid_s: float | None = None) -> HttpResponse | UpstreamFault:
        """The provider's answer to ``request``, whatever its status; asked once and never again.

        ``valid_s``: how long from now it may wait for its turn; afterwards ``EXPIRED``, and nothing was sent.
        """


class NoteStore(Protocol):
    """Sealed notes kept for some days under keys that say nothing (``gateway.sms.reports``)."""

    def keep_note(self, key: bytes, sealed: bytes, done: Callable[[bool], None]) -> None:
        """``done(True)`` once it is kept; a later note under the same key replaces it."""

    def claim_note(self, key: bytes, sealed: bytes, keep_s: int, done: Callable[[bool | None], None]) -> None:
        """As ``keep_note`` for ``keep_s`` seconds, but only where nothing is kept under that key: ``done(False)`` where
        something is, ``done(None)`` where the store did not say."""

    def find_notes(self, keys: Sequence[bytes], done: Callable[[Sequence[bytes | None] | None], None]) -> None:
        """The notes of ``keys`` in order, None for one that is not there; None for all if they could not be asked."""
