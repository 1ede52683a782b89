"""What SMPP listeners ask of the outside. Callbacks are called exactly once, in the loop's thread, perhaps at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from filters.client import Client
from filters.sms.dialect import InboundMessage
from filters.sms.http import HttpRequest, HttpResponse


class SmppHandler(Protocol):
    """The SMS pipeline: ``request`` and its answer are those of ``filters.smpp.carrier``."""

    def handle(
        self,
        request: HttpRequest,
        client: Client,
        is_gone: Callable[[], bool],
        answer: Callable[[HttpResponse], None],
    ) -> None:
        """``is_gone`` says, when the answer is there, that the client cannot be told any more and will come again."""


class InboundHandler(Protocol):
    """What persons write to us: refusals above all."""

    def handle(self, message: InboundMessage, upstream: str, done: Callable[[bool], None]) -> None:
        """``done(True)`` once whatever the message says is durable; ``done(False)``: the SMSC must tell it again."""
