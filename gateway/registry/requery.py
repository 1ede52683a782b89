"""In state stale: ask the registry about those who are being written to now, before they are held (design D7).

Around the index, so that no pipeline knows of it. While a brand's index is stale, a look-up that found consents waits,
a few seconds at most, until the registry has said of each whether it still stands; questions of all messages in flight
share requests of up to a thousand addresses, within the registry's limits. If it stands for all, the answer carries the
time of the question in place of the watermark: of these people, and for this message, everything up to then is known.
One that no longer stands is withdrawn from the index first. Without the registry's word nothing changes: the answer
goes on as it was, and the message is held. In state blind, and for records that do not exist, nobody is asked.

The index knows hashes only. While a brand is stale the addresses whose keys are derived are remembered for a moment,
in memory; so the first message of a worker after the brand has become stale is held, and comes again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import structlog

from filters.consent import State, unpack
from filters.consent_key import ConsentKeys
from filters.exchange import Lookup
from filters.freshness import freshness
from filters.policy import Policy
from filters.registry.call import Priority
from filters.registry.failures import Failure
from filters.registry.merging import withdraw
from filters.registry.values import RegistryBrand
from filters.registry.writing import find_address_problem
from filters.vocabulary import Channel, FreshnessState, LookupFailure, RecipientType, Status
from gateway.ports import ConsentIndex, ConsentWriter
from gateway.registry.failures import failure_words
from gateway.registry.ports import BrandLink, RegistryApi

log = structlog.stdlib.get_logger(__name__)

WAIT_S = 5.0
CONFIRMED_S = 900.0
"""So long a confirmation stands for the retries of a message and the next one to the same person."""

GATHER_S = 0.02
MOST_ASKED = 1000
MOST_REMEMBERED = 100_000
MOST_WAITING = 1000

RESULTS = ("confirmed", "withdrawn", "found", "absent", "not_asked", "failed", "timed_out")

Slot = tuple[Channel, RecipientType]


class RequeryObserver(Protocol):
    """Who counts; must not raise."""

    def requeried(self, result: str, number: int) -> None:
        """So many consents ended as ``result``, one of ``RESULTS``."""


class RememberingKeys(ConsentKeys):
    """Keys that remember the address behind each, for the brands in ``wanted`` only; those in ``always`` stay there."""

    __slots__ = ("addresses", "always", "wanted")

    def __init__(self, secret: bytes, always: Iterable[int] = ()) -> None:
        super().__init__(secret)
        self.always = frozenset(always)
        self.wanted: set[int] = set(self.always)
        self.addresses: dict[bytes, bytes] = {}

    def derive(self, brand: int, address_key: bytes) -> bytes:
        key = super().derive(brand, address_key)
        if brand in self.wanted:
            self._remember(((key, address_key),))
        return key

    def derive_many(self, brand: int, address_keys: Iterable[bytes]) -> list[bytes]:
        if brand not in self.wanted:
            return super().derive_many(brand, address_keys)
        addresses = list(address_keys)
        keys = super().derive_many(brand, addresses)
        self._remember(zip(keys, addresses, strict=True))
        return keys

    def _remember(self, found: Iterable[tuple[bytes, bytes]]) -> None:
        if len(self.addresses) > MOST_REMEMBERED:
            self.addresses.clear()
        self.addresses.update(found)


class RequeryingIndex:
    """A ``ConsentIndex`` around ``index``. ``policies`` by brand; ``clock``: seconds since 1970 UTC."""

    def __init__(
        self,
        index: ConsentIndex,
        writer: ConsentWriter,
        keys: RememberingKeys,
        links: Mapping[int, BrandLink],
        policies: Mapping[int, Policy],
        observer: RequeryObserver,
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
        self._wait_s = wait_s
        self._clock = clock
        self._confirmed: dict[bytes, int] = {}
        self._gathering: dict[tuple[int, Slot], Gathering] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.remember_taken = index.remember_taken
        self.forget_taken = index.forget_taken

    async def close(self) -> None:
        """Whoever still waits gets the answer there was."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def lookup(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        done: Callable[[Lookup | LookupFailure], None],
    ) -> None:
        """As of the index; later, and fresher, where the brand is stale and the registry could be asked."""

        def looked(answer: Lookup | LookupFailure) -> None:
            if (
                not keys
                or not isinstance(answer, Lookup)
                or brand not in self._links
                or not self._is_stale(brand, answer)
            ):
                done(answer)
                return
            open_keys = self._unconfirmed(keys, answer)
            if not open_keys:
                done(self._with_confirmations(keys, answer))
                return
            questions = self._questions_of(open_keys)
            if questions is None or len(self._tasks) >= MOST_WAITING:
                self._observer.requeried("not_asked", len(open_keys))
                done(answer)
                return
            asking = self._ask_and_look_again(brand, keys, message_digest, answer, questions, done)
            task = asyncio.get_running_loop().create_task(asking, name="requery")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._index.lookup(brand, keys, message_digest, looked)

    # ---- what is known ----

    def _is_stale(self, brand: int, answer: Lookup) -> bool:
        state, _ = freshness(answer.watermark_at, int(self._clock()), self._policies[brand])
        if state is FreshnessState.STALE:
            self._keys.wanted.add(brand)
            return True
        if brand in self._keys.wanted and brand not in self._keys.always:
            self._keys.wanted.discard(brand)
            self._keys.addresses.clear()
            self._confirmed.clear()
        return False

    def _unconfirmed(self, keys: Sequence[bytes], answer: Lookup) -> dict[bytes, State]:
        """Those with a consent of which the registry has not spoken of late."""
        since = self._clock() - CONFIRMED_S
        found: dict[bytes, State] = {}
        for key, value in zip(keys, answer.values, strict=False):
            state = _read(value)
            if _approved(state) and self._confirmed.get(key, 0) <= since:
                found[key] = state
        return found

    def _with_confirmations(self, keys: Sequence[bytes], answer: Lookup) -> Lookup:
        times = [
            self._confirmed[key]
            for key, value in zip(keys, answer.values, strict=False)
            if _approved(_read(value)) and key in self._confirmed
        ]
        known_at = min(times, default=None)
        if known_at is None or (answer.watermark_at or 0) >= known_at:
            return answer
        return answer._replace(watermark_at=known_at)

    def _questions_of(self, open_keys: Mapping[bytes, State]) -> dict[Slot, dict[str, bytes]] | None:
        """By slot: address to key. None where an address is not known, or is none to the registry."""
        questions: dict[Slot, dict[str, bytes]] = {}
        for key, state in open_keys.items():
            address = self._keys.addresses.get(key)
            if address is None:
                return None
            recipient = address.decode("utf-8", "replace")
            for slot in _approved(state):
                if find_address_problem(recipient, slot[0]) is not None:
                    return None
                questions.setdefault(slot, {})[recipient] = key
        return questions

    # ---- asking ----

    async def _ask_and_look_again(
        self,
        brand: int,
        keys: Sequence[bytes],
        message_digest: bytes | None,
        answer: Lookup,
        questions: Mapping[Slot, Mapping[str, bytes]],
        done: Callable[[Lookup | LookupFailure], None],
    ) -> None:
        is_told = False
        try:
            async with asyncio.timeout(self._wait_s):
                asked_at = int(self._clock())
                approved = await asyncio.gather(
                    *(self._gather(brand, slot, list(people)) for slot, people in questions.items())
                )
                if all(each is not None for each in approved):
                    await self._enter(brand, questions, [each or frozenset() for each in approved], asked_at)
                    is_told = True
        except TimeoutError:
            self._observer.requeried("timed_out", 1)
        except Exception as fault:
            log.warning("requery.failed", brand=brand, fault=type(fault).__name__)
        except asyncio.CancelledError:
            done(answer)
            raise
        if not is_told:
            done(answer)
            return

        def looked(fresh: Lookup | LookupFailure) -> None:
            if isinstance(fresh, Lookup) and not self._unconfirmed(keys, fresh):
                fresh = self._with_confirmations(keys, fresh)
            done(fresh)

        try:
            self._index.lookup(brand, keys, message_digest, looked)
        except Exception as fault:  # in a task nobody else would hear of it, and the message would wait for ever
            log.warning("requery.failed", brand=brand, fault=type(fault).__name__)
            done(LookupFailure.BROKEN)

    async def _enter(
        self,
        brand: int,
        questions: Mapping[Slot, Mapping[str, bytes]],
        approved: Sequence[frozenset[str]],
        asked_at: int,
    ) -> None:
        answers = [
            (slot, people, standing) for (slot, people), standing in zip(questions.items(), approved, strict=True)
        ]
        everybody = {key for _, people, _ in answers for key in people.values()}
        gone = {key for _, people, standing in answers for person, key in people.items() if person not in standing}
        if gone:
            held = await self._read(brand, list(gone))
            changes = [
                withdraw(key, held[key], *slot)
                for slot, people, standing in answers
                for person, key in people.items()
                if person not in standing
            ]
            await self._writer.apply(brand, [change for change in changes if change is not None])
        self._observer.requeried("withdrawn", len(gone))
        self._observer.requeried("confirmed", len(everybody - gone))
        if len(self._confirmed) > MOST_REMEMBERED:
            self._confirmed.clear()
        self._confirmed.update(dict.fromkeys(everybody, asked_at))

    async def _read(self, brand: int, keys: list[bytes]) -> dict[bytes, State]:
        answered: asyncio.Future[Lookup | LookupFailure] = asyncio.get_running_loop().create_future()

        def keep(answer: Lookup | LookupFailure) -> None:
            if not answered.done():
                answered.set_result(answer)

        self._index.lookup(brand, keys, None, keep)
        answer = await answered
        if not isinstance(answer, Lookup):
            raise OSError(str(answer))
        return {key: _read(value) for key, value in zip(keys, answer.values, strict=True)}

    async def _gather(self, brand: int, slot: Slot, recipients: list[str]) -> frozenset[str] | None:
        """Who of them has consent; None if that could not be learnt."""
        found: set[str] = set()
        parts = [recipients[start : start + MOST_ASKED] for start in range(0, len(recipients), MOST_ASKED)]
        for part in parts:
            gathering = self._gathering.get((brand, slot))
            if gathering is None or gathering.is_closed or len(gathering.recipients) + len(part) > MOST_ASKED:
                link = self._links[brand]
                gathering = Gathering(link.api.with_priority(Priority.QUERY), link.registry, slot, self._observer)
                self._gathering[brand, slot] = gathering
            gathering.recipients.update(dict.fromkeys(part))
            # Shielded: whoever gives up does not take the answer from the others.
            approved = await asyncio.shield(gathering.answer())
            if approved is None:
                return None
            found.update(approved.intersection(part))
        return frozenset(found)


class Gathering:
    """One request in the making, and then under way."""

    def __init__(self, api: RegistryApi, brand: RegistryBrand, slot: Slot, observer: RequeryObserver) -> None:
        self._api = api
        self._brand = brand
        self._slot = slot
        self._observer = observer
        self.recipients: dict[str, None] = {}
        self.is_closed = False
        self._asking: asyncio.Task[frozenset[str] | None] | None = None

    def answer(self) -> asyncio.Task[frozenset[str] | None]:
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask(), name="requery-request")
        return self._asking

    async def _ask(self) -> frozenset[str] | None:
        await asyncio.sleep(GATHER_S)
        self.is_closed = True
        with contextlib.suppress(ValueError):
            answer = await self._api.multi_status(self._brand, *self._slot, list(self.recipients))
            if not isinstance(answer, Failure):
                return answer.approved
            log.warning("requery.failed", brand=self._brand.brand_code, failure=failure_words(answer))
        self._observer.requeried("failed", len(self.recipients))
        return None


def _read(value: bytes | None) -> State:
    try:
        return unpack(value) if value else {}
    except ValueError:
        return {}


def _approved(state: State) -> list[Slot]:
    return [slot for slot, consent in state.items() if consent.status is Status.APPROVED]
