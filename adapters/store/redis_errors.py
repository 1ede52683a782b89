"""What an error that Redis replies with means here. Only its first word is repeated: the rest may quote arguments."""

from __future__ import annotations

from adapters.store.errors import StoreError, StoreUnreachableError
from filters.vocabulary import LookupFailure

_NOT_NOW = frozenset(
    {"LOADING", "BUSY", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "OOM", "MISCONF", "NOAUTH"}
)


def failure_of(error: str) -> LookupFailure:
    """What a Redis error means for a look-up: not now, or not at all."""
    return LookupFailure.UNREACHABLE if _kind_of(error) in _NOT_NOW else LookupFailure.BROKEN


def store_error(error: str) -> StoreError:
    """Our exception for a Redis error."""
    sentence = f"Redis refused: {_kind_of(error)}"
    return StoreUnreachableError(sentence) if failure_of(error) is LookupFailure.UNREACHABLE else StoreError(sentence)


def _kind_of(error: str) -> str:
    return error.split(" ", 1)[0]
