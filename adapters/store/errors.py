"""What can go wrong with the store. Other libraries' exceptions become these where they enter.

All are ``OSError``, so that a caller who may not import adapters can still catch them; those with a fitting built-in
(connection, timeout, value) are that too. No message holds an address or a secret.
"""

from __future__ import annotations

from filters.vocabulary import LookupFailure


class StoreError(OSError):
    """The store did not do what was asked, or it is not known whether it did."""


class StoreConfigurationError(StoreError, ValueError):
    """The store's URL or its settings cannot be used as they are."""


class StoreUnreachableError(StoreError, ConnectionError):
    """Nobody answers, or the connection was lost before the answer."""


class StoreTimedOutError(StoreError, TimeoutError):
    """No answer in time: whether the command was carried out is not known. Every command may be repeated."""


class StoreMismatchError(StoreError):
    """The store answers, but it is not the one this machine knows; ``failure`` says in what way."""

    def __init__(self, failure: LookupFailure, message: str) -> None:
        super().__init__(message)
        self.failure = failure
