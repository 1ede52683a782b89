"""The index as a dealer of a brand sees it: a consent counts only if its list names the dealer (edge case E11).

Around the index, and made for each question: who is no dealer asks the index itself and pays nothing. A dealer's
question takes one more, for the lists of the consents that were found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from filters.client import Client
from filters.dealer_access import AccessList, mark_open, names_to_ask
from filters.exchange import Lookup
from filters.vocabulary import LookupFailure
from gateway.ports import ConsentIndex

_DATE_BYTES = 4


class DealerLists(Protocol):
    """The lists beside the index (``filters.dealer_access``)."""

    def find_access(self, names: Sequence[bytes], done: Callable[[Sequence[bytes | None] | None], None]) -> None:
        """The packed lists in the order of ``names``, None for one that is not there; None if they could not be
        asked. ``done`` is called once, possibly before the call returns."""


class DealerListStore(DealerLists, Protocol):
    """The same, and what puts lists there."""

    async def keep_access(self, lists: Sequence[AccessList]) -> None:
        """Each list in the place of the one of its name; durable on return. Raises ``OSError``."""


async def enter_lists(store: DealerListStore, lists: Sequence[AccessList]) -> int:
    """Keep what was learnt of some consents, a few thousand at most; how many lists are other ones now.

    A list of an earlier consent never replaces that of a later one, whichever is learnt first; of two of the same
    consent the one learnt last counts. An empty list is kept only in the place of another: where there is none, nothing
    is open anyway. Raises ``OSError``.
    """
    newest: dict[bytes, bytes] = {}
    for name, packed in lists:
        if name not in newest or newest[name][:_DATE_BYTES] <= packed[:_DATE_BYTES]:
            newest[name] = packed
    answered: asyncio.Future[Sequence[bytes | None] | None] = asyncio.get_running_loop().create_future()

    def keep(answer: Sequence[bytes | None] | None) -> None:
        if not answered.done():
            answered.set_result(answer)

    store.find_access(list(newest), keep)
    found = await answered
    if found is None:
        raise OSError("the lists of dealers cannot be asked")
    changed = [
        AccessList(name, packed)
        for (name, packed), old in zip(newest.items(), found, strict=True)
        if packed != old and (len(packed) > _DATE_BYTES if old is None else old[:_DATE_BYTES] <= packed[:_DATE_BYTES])
    ]
    if changed:
        await store.keep_access(changed)
    return len(changed)


def index_for(index: ConsentIndex, lists: DealerLists | None, client: Client) -> ConsentIndex:
    """What to ask for a message of ``client``. Without ``lists`` nothing is open to a dealer."""
    if client.retailer_code is None or lists is None:
        return index
    return DealerIndex(index, lists, client.retailer_code)


class DealerIndex:
    """A ``ConsentIndex`` whose answers are marked for ``dealer``."""

    def __init__(self, index: ConsentIndex, lists: DealerLists, dealer: int) -> None:
        self._index = index
        self._lists = lists
        self._dealer = dealer
        self.remember_taken = index.remember_taken
        self.forget_taken = index.forget_taken

    def lookup(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        done: Callable[[Lookup | LookupFailure], None],
    ) -> None:
        """As of the index; lists that cannot be asked are a failed look-up, so that the message is held."""
        self._index.lookup(brand, keys, message_digest, partial(self._looked_up, keys, done))

    def _looked_up(
        self, keys: Sequence[bytes], done: Callable[[Lookup | LookupFailure], None], answer: Lookup | LookupFailure
    ) -> None:
        if not isinstance(answer, Lookup) or len(answer.values) != len(keys):
            done(answer)
            return
        names = names_to_ask(keys, answer.values)
        if not names:
            done(answer)
            return

        def listed(found: Sequence[bytes | None] | None) -> None:
            if found is None or len(found) != len(names):
                done(LookupFailure.UNREACHABLE)
                return
            lists = dict(zip(names, found, strict=True))
            done(answer._replace(values=mark_open(keys, answer.values, lists, self._dealer)))

        self._lists.find_access(names, listed)
