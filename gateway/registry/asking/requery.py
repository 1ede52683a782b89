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
import time
from collections.abc import Callable, Mapping, Sequence

from filters.consent import Slot, State, unpack
from filters.decision.policy import Policy
from filters.exchange import Lookup
from filters.registry.merging import withdraw
from filters.registry.writing import find_address_problem
from filters.vocabulary import FreshnessState, LookupFailure, Status
from gateway.ports import ConsentIndex, ConsentWriter
from gateway.registry.asking.asking_index import WAIT_S, AskingIndex, Done
from gateway.registry.asking.gathering import Gatherings, RequeryObserver
from gateway.registry.asking.remembering import MOST_REMEMBERED, RememberingKeys
from gateway.registry.ports import BrandLink

CONFIRMED_S = 900.0
"""So long a confirmation stands for the retries of a message and the next one to the same person."""


class RequeryingIndex(AskingIndex):
    """Asks whether the consents of a stale brand still stand."""

    name = "requery"

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
        super().__init__(index, policies, observer, wait_s=wait_s, clock=clock)
        self._writer = writer
        self._keys = keys
        self._links = links
        self._confirmed: dict[bytes, int] = {}
        self._gatherings = Gatherings(links, observer)

    def lookup(self, brand: int, keys: Sequence[bytes], message_digest: bytes | None, done: Done) -> None:
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
            if questions is None:
                self._observer.requeried("not_asked", len(open_keys))
                done(answer)
                return
            self._ask_first(
                brand,
                keys,
                message_digest,
                answer,
                len(open_keys),
                lambda: self._confirm(brand, questions),
                done,
                lambda fresh: fresh if self._unconfirmed(keys, fresh) else self._with_confirmations(keys, fresh),
            )

        self._index.lookup(brand, keys, message_digest, looked)

    # ---- what is known ----

    def _is_stale(self, brand: int, answer: Lookup) -> bool:
        if self._freshness(brand, answer) is FreshnessState.STALE:
            self._keys.wanted.add(brand)
            return True
        if brand in self._keys.wanted and brand not in self._keys.always:
            self._keys.wanted.discard(brand)
            self._keys.addresses.clear()
            self._confirmed.clear()
        return False

    def _unconfirmed(self, keys: Sequence[bytes], answer: Lookup) -> dict[bytes, State]:
        """Those with a consent of which the registry has not spoken of late."""
        now = self._clock()
        found: dict[bytes, State] = {}
        for key, value in zip(keys, answer.values, strict=False):
            state = _read(value)
            # A confirmation that is still to come is of a clock set back since: nobody knows how old it is.
            if _approved(state) and not now - CONFIRMED_S < self._confirmed.get(key, 0) <= now:
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

    async def _confirm(self, brand: int, questions: Mapping[Slot, Mapping[str, bytes]]) -> bool:
        """Whether the registry spoke of all of them; what it said is then in the index."""
        asked_at = int(self._clock())
        answers = await asyncio.gather(
            *(self._gatherings.ask(brand, slot, list(people)) for slot, people in questions.items())
        )
        approved = [each for each in answers if each is not None]
        if len(approved) < len(answers):
            return False
        await self._enter(brand, questions, approved, asked_at)
        return True

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


def _read(value: bytes | None) -> State:
    try:
        return unpack(value) if value else {}
    except ValueError:
        return {}


def _approved(state: State) -> list[Slot]:
    return [slot for slot, consent in state.items() if consent.status is Status.APPROVED]
