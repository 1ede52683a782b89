"""Ask the registry about those being written to of whom the index holds nothing: re-query on miss (design D7).

Around the index, for brands whose index is fresh: a record that has not reached us yet can be fetched, where a stale
brand is the matter of ``requery``. Two questions each: one about many, shared by all messages in
flight, says who has consent at all; then one about each of those brings the records of both recipient types, dates
included, and what they say enters the index as from any other source. The message is decided on the index, afterwards:
what the registry did not say changes nothing.

Missing is who has no record of the message's channel. Who has one of the other recipient type only is not asked about:
nearly everybody has one type and not the other, so that would be a question about everybody, and the feed brings the
other within the hour.

A list of unknown addresses must not eat the rate: both kinds of question have a budget of their own (``AskingBudget``),
a no is remembered, and where the budget is spent the answer goes on as it was: no record.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from filters.consent import State, unpack
from filters.decision.policy import Policy
from filters.exchange import Lookup
from filters.registry.call import Priority
from filters.registry.failures import Failure
from filters.registry.merging import settle
from filters.registry.values import ConsentSubject
from filters.registry.writing import find_address_problem
from filters.vocabulary import Channel, FreshnessState, LookupFailure, RecipientType
from gateway.ports import ConsentIndex, ConsentWriter
from gateway.registry.asking.asking_index import WAIT_S, AskingIndex, Done, end_tasks
from gateway.registry.asking.budget import AskingBudget
from gateway.registry.asking.gathering import MOST_ASKED, Gatherings, RequeryObserver
from gateway.registry.asking.remembering import MOST_REMEMBERED, RememberingKeys
from gateway.registry.failures import failure_words
from gateway.registry.ports import BrandLink

log = structlog.stdlib.get_logger(__name__)

MISSING_SHARE = 0.1
"""Of the requests that this machine may make."""
MISSING_SINGLES_AN_HOUR = 300
"""Of the thousand single queries an hour that the account has; the rest is for reports and proofs."""
ABSENT_S = 6 * 3600.0
"""So long nobody asks again about one of whom the registry held no consent. Push and pull bring it earlier."""


class MissingAskedIndex(AskingIndex):
    """Asks about those of whom a fresh brand's index holds nothing."""

    name = "missing"

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
        super().__init__(index, policies, observer, wait_s=wait_s, clock=clock)
        self._writer = writer
        self._keys = keys
        self._links = links
        self._budget = budget
        self._gatherings = Gatherings(links, observer, budget.take_many)
        self._absent: dict[bytes, float] = {}
        self._fetching: dict[bytes, asyncio.Task[bool]] = {}

    async def close(self) -> None:
        """Whoever still waits gets the answer there was."""
        await super().close()
        await end_tasks(set(self._fetching.values()))

    def lookup(self, brand: int, keys: Sequence[bytes], message_digest: bytes | None, done: Done) -> None:
        """As of the index; later, and with more in it, where somebody was missing and the registry was asked."""

        def looked(answer: Lookup | LookupFailure) -> None:
            missing = self._missing(brand, keys, answer) if isinstance(answer, Lookup) and brand in self._links else {}
            if not missing or not isinstance(answer, Lookup):
                done(answer)
                return
            self._ask_first(
                brand, keys, message_digest, answer, len(missing), lambda: self._learn(brand, missing), done
            )

        self._index.lookup(brand, keys, message_digest, looked)

    def _missing(self, brand: int, keys: Sequence[bytes], answer: Lookup) -> dict[str, bytes]:
        """Address to key of those to ask about."""
        now = self._clock()
        if self._freshness(brand, answer) not in (FreshnessState.FRESH, FreshnessState.AGING):
            return {}
        found: dict[str, bytes] = {}
        for key, value in zip(keys, answer.values, strict=False):
            if self._absent.get(key, -ABSENT_S) > now - ABSENT_S:
                continue
            address = self._keys.addresses.get(key)
            if address is None:
                continue
            recipient = address.decode("utf-8", "replace")
            channel = _channel_of(recipient)
            if not _is_held(value, channel) and find_address_problem(recipient, channel) is None:
                found[recipient] = key
        return found

    async def _learn(self, brand: int, missing: Mapping[str, bytes]) -> bool:
        """Whether anything entered the index."""
        consenting: set[str] = set()
        for channel in {_channel_of(recipient) for recipient in missing}:
            people = [recipient for recipient in missing if _channel_of(recipient) is channel]
            for start in range(0, len(people), MOST_ASKED):
                part = people[start : start + MOST_ASKED]
                found = await self._gatherings.ask_slots(brand, [(channel, kind) for kind in RecipientType], part)
                if found is None:
                    continue  # not said of all: nobody is taken for absent
                consenting |= found
                self._remember_absent([missing[recipient] for recipient in part if recipient not in found])
        fetched = await asyncio.gather(*(self._fetch(brand, each, missing[each]) for each in sorted(consenting)))
        return any(fetched)

    def _remember_absent(self, keys: Sequence[bytes]) -> None:
        if len(self._absent) > MOST_REMEMBERED:
            self._absent.clear()
        self._absent.update(dict.fromkeys(keys, self._clock()))
        self._observer.requeried("absent", len(keys))

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


def _is_held(value: bytes | None, channel: Channel) -> bool:
    """Whether the index holds a record of the channel, of either recipient type.

    What cannot be read is not asked about: the decision has to meet it.
    """
    try:
        state: State = unpack(value) if value else {}
    except ValueError:
        return True
    return any((channel, kind) in state for kind in RecipientType)
