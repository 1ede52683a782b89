"""Reads dealers' lists at the registry: for messages that wait, and behind them when there is time (edge case E11).

One list is one request, so there is a budget: what messages wait for goes first, what it does not reach in their time
is read afterwards, and the next message finds it. Results are in the store, so they outlive this process; what is still
to be read is not: whoever is written to again is asked about again. Of one list there is one question at a time,
however many wait for it; and who waited in vain does not wait again for a minute.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from filters.decision.dealer_access import WantedList, access_list, subject_of
from filters.registry.call import Priority
from filters.registry.failures import Failure
from filters.registry.values import ConsentSubject
from filters.registry.writing import find_address_problem
from gateway.dealers import DealerListStore, enter_lists
from gateway.registry.asking.access_question import ask_access
from gateway.registry.asking.asking_index import WAIT_S, end_tasks
from gateway.registry.asking.budget import AskingBudget
from gateway.registry.failures import failure_words
from gateway.registry.ports import BrandLink

log = structlog.stdlib.get_logger(__name__)

LISTS_SHARE = 0.3
"""Of the requests that this machine may make, for lists that messages wait for."""
LISTS_SINGLES_AN_HOUR = 300
"""Of the thousand single queries an hour that the account has."""
FEED_LISTS_SHARE = 0.2
FEED_LISTS_SINGLES_AN_HOUR = 100
"""The same for lists of consents that the feed brought."""
MOST_WANTED = 20_000
LIST_RESULTS = ("read", "changed", "failed", "not_asked", "timed_out")

_AT_ONCE = 4
_LOOK_AGAIN_S = 0.1
_IN_VAIN_S = 60.0
_LEAST_PAUSE_S = 5.0


class ListObserver(Protocol):
    """Who counts; must not raise."""

    def lists_read(self, result: str, number: int) -> None:
        """So many lists ended as ``result``, one of ``LIST_RESULTS``."""


@dataclass(slots=True, eq=False)
class _Wish:
    """A list to be read. ``is_urgent``: a message waits for it."""

    link: BrandLink
    wanted: WantedList
    subject: ConsentSubject
    dealer: int
    is_urgent: bool
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class AccessListReader:
    """A ``ListReader`` of ``gateway.dealers``. ``find_address`` gives the address behind a key, None where it is not
    known; ``clock``: seconds since 1970 UTC."""

    def __init__(
        self,
        links: Mapping[int, BrandLink],
        lists: DealerListStore,
        find_address: Callable[[bytes], bytes | None],
        observer: ListObserver,
        budget: AskingBudget,
        *,
        wait_s: float = WAIT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._links = links
        self._lists = lists
        self._find_address = find_address
        self._observer = observer
        self._budget = budget
        self._wait_s = wait_s
        self._clock = clock
        self._urgent: dict[bytes, _Wish] = {}
        self._later: dict[bytes, _Wish] = {}
        self._reading: dict[bytes, _Wish] = {}
        self._in_vain: dict[bytes, float] = {}
        self._shut_until = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._working: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many lists are still to be read."""
        return len(self._urgent) + len(self._later) + len(self._reading)

    async def close(self) -> None:
        """Whoever still waits hears that there is nothing more."""
        working = set() if self._working is None else {self._working}
        await end_tasks(self._tasks | working)

    def read_now(self, brand: int, wanted: Sequence[WantedList], dealer: int, done: Callable[[], None]) -> None:
        """``done`` is called once: when all that could be read is in the store, or nobody waits any longer."""
        now = time.monotonic()
        fresh = [each for each in wanted if self._in_vain.get(each.name, 0.0) <= now]
        wishes = [wish for each in fresh if (wish := self._wish(brand, each, dealer, is_urgent=True)) is not None]
        if not wishes:
            done()
            return
        self._start(self._wait_for(wishes, done))

    def read_later(self, brand: int, wanted: Sequence[WantedList], dealer: int) -> None:
        """When there is time."""
        for each in wanted:
            self._wish(brand, each, dealer, is_urgent=False)

    def _wish(self, brand: int, wanted: WantedList, dealer: int, *, is_urgent: bool) -> _Wish | None:
        name = wanted.name
        wish = self._reading.get(name) or self._urgent.get(name) or self._later.get(name)
        if wish is None:
            link, subject = self._links.get(brand), self._subject(name)
            is_shut = time.monotonic() < self._shut_until
            if link is None or subject is None or is_shut or self.waiting >= MOST_WANTED:
                self._observer.lists_read("not_asked", 1)
                return None
            wish = _Wish(link, wanted, subject, dealer, is_urgent)
        if name not in self._reading:
            wish.is_urgent = wish.is_urgent or is_urgent
            self._later.pop(name, None)
            (self._urgent if wish.is_urgent else self._later)[name] = wish
        if self._working is None or self._working.done():
            self._working = asyncio.get_running_loop().create_task(self._work(), name="dealer-lists")
        return wish

    def _subject(self, name: bytes) -> ConsentSubject | None:
        key, channel, kind = subject_of(name)
        address = self._find_address(key)
        if address is None:
            return None
        recipient = address.decode("utf-8", "replace")
        return None if find_address_problem(recipient, channel) else ConsentSubject(recipient, channel, kind)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="dealer-list")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait_for(self, wishes: Sequence[_Wish], done: Callable[[], None]) -> None:
        try:
            async with asyncio.timeout(self._wait_s):
                for wish in wishes:
                    await wish.ended.wait()
        except TimeoutError:
            open_ = [wish for wish in wishes if not wish.ended.is_set()]
            self._observer.lists_read("timed_out", len(open_))
            self._note_in_vain(open_)
        finally:
            done()

    def _note_in_vain(self, wishes: Sequence[_Wish]) -> None:
        now = time.monotonic()
        if len(self._in_vain) > MOST_WANTED:
            self._in_vain.clear()
        for wish in wishes:
            self._in_vain[wish.wanted.name] = now + _IN_VAIN_S

    # ---- reading ----

    async def _work(self) -> None:
        """Until nothing is wanted any more, as the budget allows."""
        while queue := self._urgent or self._later:
            if len(self._reading) >= _AT_ONCE or not self._budget.take_many():
                await asyncio.sleep(_LOOK_AGAIN_S)
                continue
            name = next(iter(queue))
            wish = self._reading[name] = queue.pop(name)
            self._start(self._read(wish))

    async def _read(self, wish: _Wish) -> None:
        result = "failed"
        try:
            result = await self._read_one(wish)
        except (OSError, ValueError) as fault:
            log.warning("dealers.list_failed", brand=wish.link.code, fault=type(fault).__name__)
        finally:
            self._reading.pop(wish.wanted.name, None)
            if result == "failed":
                self._note_in_vain([wish])
            self._observer.lists_read(result, 1)
            wish.ended.set()

    async def _read_one(self, wish: _Wish) -> str:
        read_at = int(self._clock())
        found = await ask_access(
            wish.link,
            wish.subject,
            wish.dealer,
            Priority.QUERY if wish.is_urgent else Priority.BULK,
            lambda: self._budget.take_singles(1),
            self._budget.spend_many,
        )
        if isinstance(found, Failure):
            log.warning("dealers.list_failed", brand=wish.link.code, failure=failure_words(found))
            self._shut(max(found.pause_s, _LEAST_PAUSE_S))
            return "failed"
        if not found.is_taker_known and wish.dealer not in found.codes:
            self._note_in_vain([wish])
        key, channel, kind = subject_of(wish.wanted.name)
        kept = access_list(
            key, channel, kind, wish.wanted.consent_at, found.codes, read_at, is_taker_known=found.is_taker_known
        )
        return "changed" if await enter_lists(self._lists, [kept]) else "read"

    def _shut(self, pause_s: float) -> None:
        """The registry does not answer: nobody waits for it, and nothing is kept for later; messages ask again."""
        self._shut_until = time.monotonic() + pause_s
        for queue in (self._urgent, self._later):
            self._observer.lists_read("not_asked", len(queue))
            for wish in queue.values():
                wish.ended.set()
            queue.clear()
