"""The index as a dealer of a brand sees it: a consent counts only if its list names the dealer (edge case E11).

Around the index, and made for each question: who is no dealer asks the index itself and pays nothing. A dealer's
question takes one more, for the lists of the consents that were found. Where the registry can be asked, lists that are
not known or too old are read there, for a moment while the message waits, else behind it (``AskedLists``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Protocol

from filters.client import Client
from filters.decision.dealer_access import (
    AccessList,
    WantedList,
    codes_in,
    lists_to_read,
    mark_open,
    names_to_ask,
    read_at_of,
)
from filters.exchange import Lookup
from filters.vocabulary import LookupFailure
from gateway.ports import ConsentIndex

_DATE_BYTES = 4


class DealerLists(Protocol):
    """The lists beside the index (``filters.decision.dealer_access``)."""

    def find_access(self, names: Sequence[bytes], done: Callable[[Sequence[bytes | None] | None], None]) -> None:
        """The packed lists in the order of ``names``, None for one that is not there; None if they could not be
        asked. ``done`` is called once, possibly before the call returns."""


class DealerListStore(DealerLists, Protocol):
    """The same, and what puts lists there."""

    async def keep_access(self, lists: Sequence[AccessList]) -> None:
        """Each list in the place of the one of its name; durable on return. Raises ``OSError``."""


async def enter_lists(store: DealerListStore, lists: Sequence[AccessList]) -> int:
    """Keep what was learnt of some consents, a few thousand at most; how many lists name other dealers now.

    A list of an earlier consent never replaces that of a later one, whichever is learnt first; of two of the same
    consent the one read last counts, or of times unknown the one learnt last. An empty list of a time unknown is kept
    only in the place of another: where there is none, nothing is open anyway. Raises ``OSError``.
    """
    newest: dict[bytes, bytes] = {}
    for name, packed in lists:
        if _replaces(packed, newest.get(name)):
            newest[name] = packed
    answered: asyncio.Future[Sequence[bytes | None] | None] = asyncio.get_running_loop().create_future()

    def keep(answer: Sequence[bytes | None] | None) -> None:
        if not answered.done():
            answered.set_result(answer)

    store.find_access(list(newest), keep)
    found = await answered
    if found is None:
        raise OSError("the lists of dealers cannot be asked")
    held = dict(zip(newest, found, strict=True))
    fresh = [
        AccessList(name, packed)
        for name, packed in newest.items()
        if packed != held[name]
        and _replaces(packed, held[name])
        and (held[name] is not None or len(packed) > _DATE_BYTES)
    ]
    if fresh:
        await store.keep_access(fresh)
    return sum(_opens_to_others(packed, held[name]) for name, packed in fresh)


def _replaces(new: bytes, old: bytes | None) -> bool:
    if old is None or new[:_DATE_BYTES] != old[:_DATE_BYTES]:
        return old is None or new[:_DATE_BYTES] > old[:_DATE_BYTES]
    new_at, old_at = read_at_of(new), read_at_of(old)
    return not new_at or not old_at or new_at >= old_at


def _opens_to_others(new: bytes, old: bytes | None) -> bool:
    is_same_consent = old is not None and new[:_DATE_BYTES] == old[:_DATE_BYTES]
    return codes_in(new) != (codes_in(old) if old is not None and is_same_consent else frozenset())


class ListReader(Protocol):
    """Reads lists at the registry (``gateway.registry.asking.access_lists``). Neither call raises."""

    def read_now(self, brand: int, wanted: Sequence[WantedList], dealer: int, done: Callable[[], None]) -> None:
        """``done`` is called once: when all that could be read is in the store, or nobody waits any longer."""

    def read_later(self, brand: int, wanted: Sequence[WantedList], dealer: int) -> None:
        """When there is time, before they are too old."""


class AskedLists:
    """Dealers' lists with the registry behind them: one read more than ``max_age_s`` ago says nothing, and one of half
    that age is read again. That holds for ``brands``; of others, which nobody can ask about, what is kept counts.
    Without ``reader`` nobody asks now, and old lists say nothing all the same. ``clock``: seconds since 1970 UTC."""

    def __init__(
        self,
        lists: DealerLists,
        reader: ListReader | None,
        brands: Collection[int],
        max_age_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.find_access = lists.find_access
        self.reader = reader
        self.brands = frozenset(brands)
        self._max_age_s = max_age_s
        self._clock = clock

    @property
    def since(self) -> int:
        """Lists read before this time say nothing."""
        return int(self._clock() - self._max_age_s)

    @property
    def renewed_since(self) -> int:
        """Lists read before this time are read again."""
        return int(self._clock() - self._max_age_s / 2)


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
        self._asked = lists if isinstance(lists, AskedLists) else None
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
        self._index.lookup(brand, keys, message_digest, partial(self._looked_up, brand, keys, done))

    def _looked_up(
        self,
        brand: int,
        keys: Sequence[bytes],
        done: Callable[[Lookup | LookupFailure], None],
        answer: Lookup | LookupFailure,
    ) -> None:
        if not isinstance(answer, Lookup) or len(answer.values) != len(keys):
            done(answer)
            return
        names = names_to_ask(keys, answer.values)
        if not names:
            done(answer)
            return
        asked = self._asked if self._asked is not None and brand in self._asked.brands else None

        def find(judge: Callable[[dict[bytes, bytes | None]], None]) -> None:
            def listed(found: Sequence[bytes | None] | None) -> None:
                if found is None or len(found) != len(names):
                    done(LookupFailure.UNREACHABLE)
                else:
                    judge(dict(zip(names, found, strict=True)))

            self._lists.find_access(names, listed)

        def mark(lists: dict[bytes, bytes | None]) -> None:
            since = 0 if asked is None else asked.since
            done(answer._replace(values=mark_open(keys, answer.values, lists, self._dealer, since)))

        def ask(asked: AskedLists, reader: ListReader, lists: dict[bytes, bytes | None]) -> None:
            question = keys, answer.values, lists, self._dealer
            unknown = lists_to_read(*question, asked.since)
            ageing = [each for each in lists_to_read(*question, asked.renewed_since) if each not in unknown]
            if ageing:
                reader.read_later(brand, ageing, self._dealer)
            if unknown:
                reader.read_now(brand, unknown, self._dealer, partial(find, mark))
            else:
                mark(lists)

        find(mark if asked is None or asked.reader is None else partial(ask, asked, asked.reader))
