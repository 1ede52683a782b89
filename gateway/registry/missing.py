"""Ask the registry about those being written to of whom the index holds nothing: re-query on miss (design D7).

Around the index, for brands whose index is fresh: a record that has not reached us yet can be fetched, where a stale
brand is the matter of ``gateway.registry.requery``. Two questions each: one about many, shared by all messages in
flight, says who has consent at all; then one about each of those brings the records of both recipient types, dates
included, and what they say enters the index as from any other source. The message is decided on the index, afterwards:
what the registry did not say changes nothing.

A list of unknown addresses must not eat the rate: both kinds of question have a budget of their own (``AskingBudget``),
a no is remembered, and where the budget is spent the answer goes on as it was: no record.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from filters.exchange import Lookup
from filters.freshness import freshness
from filters.policy import Policy
from filters.registry.call import Priority
from filters.registry.failures import Failure
from filters.registry.merging import settle
from filters.registry.values import ConsentSubject
from filters.registry.writing import find_address_problem
from filters.vocabulary import Channel, FreshnessState, LookupFailure, RecipientType
from gateway.ports import ConsentIndex, ConsentWriter
from gateway.registry.failures import failure_words
from gateway.registry.ports import BrandLink
from gateway.registry.requery import (
    MOST_ASKED,
    MOST_REMEMBERED,
    MOST_WAITING,
    WAIT_S,
    Gathering,
    RememberingKeys,
    RequeryObserver,
    Slot,
)

log = structlog.stdlib.get_logger(__name__)

MISSING_SHARE = 0.1
"""Of the requests that this machine may make."""
MISSING_SINGLES_AN_HOUR = 300
"""Of the thousand single queries an hour that the account has; the rest is for reports and proofs."""
ABSENT_S = 6 * 3600.0
"""So long nobody asks again about one of whom the registry held no consent. Push and pull bring it earlier."""

_BURST_S = 10.0
_HOUR_S = 3600.0


class AskingBudget:
    """Two buckets that fill with time: ``per_second`` requests about many, ``singles_per_hour`` about one.

    Both begin full: ten seconds' worth, at least two requests; an hour's worth of single ones.
    """

    def __init__(
        self, per_second: float, singles_per_hour: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._most = max(per_second * _BURST_S, 2.0), max(singles_per_hour, 2.0)
        self._rates = per_second, singles_per_hour / _HOUR_S
        self._left = list(self._most)
        self._filled_at = monotonic()

    def take_many(self) -> bool:
        """Whether a request about many may be made; it is then counted."""
        return self._take(0, 1)

    def take_singles(self, number: int) -> bool:
        """Whether so many requests about one may be made; all of them are then counted, or none."""
        return self._take(1, number)

    def _take(self, which: int, number: int) -> bool:
        now = self._monotonic()
        passed, self._filled_at = max(now - self._filled_at, 0.0), now
        for each, rate in enumerate(self._rates):
            self._left[each] = min(self._left[each] + passed * rate, self._most[each])
        if self._left[which] < number:
            return False
        self._left[which] -= number
        return True


class MissingAskedIndex:
    """A ``ConsentIndex`` around ``index``. ``policies`` by brand; ``clock``: seconds since 1970 UTC."""

    def __init__(
        self,
        index: ConsentIndex,
        writer: ConsentWriter,
        keys: RememberingKeys,
        links: Mapping[int, BrandLink],
        policies: Mapping[int, Policy],
        observer: RequeryObserver,
        budget: AskingBudget,
        *,
        wait_s: float = WAIT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._index = index
        self._writer = writer
        self._keys = keys
        self._links = links
        self._policies = policies
        self._observer = observer
        self._budget = budget
        self._wait_s = wait_s
        self._clock = clock
        self._absent: dict[bytes, float] = {}
        self._gathering: dict[tuple[int, Slot], Gathering] = {}
        self._fetching: dict[bytes, asyncio.Task[bool]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.remember_taken = index.remember_taken
        self.forget_taken = index.forget_taken

    async def close(self) -> None:
        """Whoever still waits gets the answer there was."""
        tasks = [*self._tasks, *self._fetching.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def lookup(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        done: Callable[[Lookup | LookupFailure], None],
    ) -> None:
        """As of the index; later, and with more in it, where somebody was missing and the registry was asked."""

        def looked(answer: Lookup | LookupFailure) -> None:
            missing = self._missing(brand, keys, answer) if isinstance(answer, Lookup) and brand in self._links else {}
            if not missing:
                done(answer)
                return
            if len(self._tasks) >= MOST_WAITING:
                self._observer.requeried("not_asked", len(missing))
                done(answer)
                return
            asking = self._ask_and_look_again(brand, keys, message_digest, answer, missing, done)
            task = asyncio.get_running_loop().create_task(asking, name="missing")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._index.lookup(brand, keys, message_digest, looked)

    def _missing(self, brand: int, keys: Sequence[bytes], answer: Lookup) -> dict[str, bytes]:
        """Address to key of those to ask about."""
        now = self._clock()
        state, _ = freshness(answer.watermark_at, int(now), self._policies[brand])
        if state not in (FreshnessState.FRESH, FreshnessState.AGING):
            return {}
        found: dict[str, bytes] = {}
        for key, value in zip(keys, answer.values, strict=False):
            if value or self._absent.get(key, -ABSENT_S) > now - ABSENT_S:
                continue
            address = self._keys.addresses.get(key)
            if address is None:
                continue
            recipient = address.decode("utf-8", "replace")
            if find_address_problem(recipient, _channel_of(recipient)) is None:
                found[recipient] = key
        return found

    async def _ask_and_look_again(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        answer: Lookup | LookupFailure,
        missing: Mapping[str, bytes],
        done: Callable[[Lookup | LookupFailure], None],
    ) -> None:
        is_changed = False
        try:
            async with asyncio.timeout(self._wait_s):
                is_changed = await self._learn(brand, missing)
        except TimeoutError:
            self._observer.requeried("timed_out", len(missing))
        except Exception as fault:
            log.warning("missing.failed", brand=brand, fault=type(fault).__name__)
        except asyncio.CancelledError:
            done(answer)
            raise
        if not is_changed:
            done(answer)
            return
        try:
            self._index.lookup(brand, keys, message_digest, done)
        except Exception as fault:  # in a task nobody else would hear of it, and the message would wait for ever
            log.warning("missing.failed", brand=brand, fault=type(fault).__name__)
            done(LookupFailure.BROKEN)

    async def _learn(self, brand: int, missing: Mapping[str, bytes]) -> bool:
        """Whether anything entered the index."""
        consenting: set[str] = set()
        for channel in {_channel_of(recipient) for recipient in missing}:
            people = [recipient for recipient in missing if _channel_of(recipient) is channel]
            for start in range(0, len(people), MOST_ASKED):
                part = people[start : start + MOST_ASKED]
                answers = await asyncio.gather(
                    *(self._ask_many(brand, (channel, kind), part) for kind in RecipientType)
                )
                approved = [each for each in answers if each is not None]
                if len(approved) < len(answers):
                    continue  # not said of all: nobody is taken for absent
                found = frozenset[str]().union(*approved)
                consenting |= found
                self._remember_absent([missing[recipient] for recipient in part if recipient not in found])
        fetched = await asyncio.gather(*(self._fetch(brand, each, missing[each]) for each in sorted(consenting)))
        return any(fetched)

    def _remember_absent(self, keys: Sequence[bytes]) -> None:
        if len(self._absent) > MOST_REMEMBERED:
            self._absent.clear()
        self._absent.update(dict.fromkeys(keys, self._clock()))
        self._observer.requeried("absent", len(keys))

    async def _ask_many(self, brand: int, slot: Slot, recipients: list[str]) -> frozenset[str] | None:
        """Who of them has consent; None if that could not be learnt."""
        gathering = self._gathering.get((brand, slot))
        if gathering is None or gathering.is_closed or len(gathering.recipients) + len(recipients) > MOST_ASKED:
            if not self._budget.take_many():
                self._observer.requeried("not_asked", len(recipients))
                return None
            link = self._links[brand]
            gathering = Gathering(link.api.with_priority(Priority.QUERY), link.registry, slot, self._observer)
            self._gathering[brand, slot] = gathering
        gathering.recipients.update(dict.fromkeys(recipients))
        # Shielded: whoever gives up does not take the answer from the others.
        approved = await asyncio.shield(gathering.answer())
        return None if approved is None else approved.intersection(recipients)

    async def _fetch(self, brand: int, recipient: str, key: bytes) -> bool:
        """The records of one address into the index, once for all who wait for them."""
        task = self._fetching.get(key)
        if task is None:
            if not self._budget.take_singles(len(RecipientType)):
                self._observer.requeried("not_asked", 1)
                return False
            task = asyncio.get_running_loop().create_task(self._enter(brand, recipient, key), name="missing-record")
            self._fetching[key] = task
            task.add_done_callback(lambda _: self._fetching.pop(key, None))
        return await asyncio.shield(task)

    async def _enter(self, brand: int, recipient: str, key: bytes) -> bool:
        """Both recipient types or neither: a consent without the refusal beside it would permit too much (E10)."""
        link, channel = self._links[brand], _channel_of(recipient)
        api = link.api.with_priority(Priority.QUERY)
        changes = []
        for kind in RecipientType:
            record = await api.status(link.registry, ConsentSubject(recipient, channel, kind))
            if isinstance(record, Failure):
                log.warning("missing.failed", brand=brand, failure=failure_words(record))
                self._observer.requeried("failed", 1)
                return False
            changes.append(settle(record, key, {}, channel, kind))
        try:
            applied = await self._writer.apply(brand, [change for change in changes if change is not None])
        except OSError as fault:  # said here: whoever asked may have gone
            log.warning("missing.failed", brand=brand, fault=type(fault).__name__)
            self._observer.requeried("failed", 1)
            return False
        self._observer.requeried("found", 1)
        return bool(applied.changed)


def _channel_of(recipient: str) -> Channel:
    return Channel.EMAIL if "@" in recipient else Channel.SMS
