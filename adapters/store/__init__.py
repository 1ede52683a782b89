"""The consent index and its outbox, in LMDB (one machine) or Redis (many), behind one contract.

* ``open_store``      a ``Store`` from its URL
* ``store``           what both have in common
* ``lmdb_store``      the embedded one
* ``redis_store``     the shared one; ``redis_connection`` carries its look-ups and ``redis_link`` keeps that connected,
                      ``redis_client`` has redis-py do the rest, ``redis_errors`` reads what Redis refuses,
                      ``bucket`` is the layout of its values, the ``.lua`` files what runs inside Redis
* ``mark``            which store this is; ``memory`` what this machine remembers of it
* ``journal``         our own refusals, on this machine's disk before the store gets them
* ``url``, ``errors``
"""

from adapters.store.errors import (
    StoreConfigurationError,
    StoreError,
    StoreMismatchError,
    StoreTimedOutError,
    StoreUnreachableError,
)
from adapters.store.open_store import open_store
from adapters.store.store import Store, StoreOptions

__all__ = [
    "Store",
    "StoreConfigurationError",
    "StoreError",
    "StoreMismatchError",
    "StoreOptions",
    "StoreTimedOutError",
    "StoreUnreachableError",
    "open_store",
]
