"""Opens the store that a URL names."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from adapters.store.errors import StoreConfigurationError
from adapters.store.journal import RefusalJournal
from adapters.store.lmdb_store import LmdbStore
from adapters.store.mark import FINGERPRINT_BYTES
from adapters.store.memory import StoreMemory
from adapters.store.store import Store, StoreOptions
from adapters.store.url import LmdbPlace, parse_store_url


def open_store(
    url: str,
    *,
    state_directory: Path,
    secret_fingerprint: bytes,
    base_directory: Path | None = None,
    options: StoreOptions | None = None,
    clock: Callable[[], float] = time.time,
) -> Store:
    """The store at ``url`` (``adapters.store.url``); connect it with ``await store.start()`` in the loop that uses it.

    ``state_directory`` holds what this machine remembers of its store and its refusal journal; keep it apart from the
    store's own files, so that restoring those does not restore the memory too. ``secret_fingerprint`` is
    ``ConsentKeys.fingerprint``. Raises ``StoreConfigurationError`` or ``StoreError``.
    """
    if len(secret_fingerprint) != FINGERPRINT_BYTES:
        raise StoreConfigurationError(f"secret fingerprint: expected {FINGERPRINT_BYTES} bytes")
    options = options or StoreOptions()
    place = parse_store_url(url, base_directory or Path())
    memory = StoreMemory(state_directory, secret_fingerprint)
    journal = RefusalJournal(state_directory, options.journal_days)
    if isinstance(place, LmdbPlace):
        return LmdbStore(place.directory, memory, journal, secret_fingerprint, options, clock)
    from adapters.store.redis_store import RedisStore  # brings a client library that the embedded store never needs

    return RedisStore(place, memory, journal, secret_fingerprint, options, clock)
