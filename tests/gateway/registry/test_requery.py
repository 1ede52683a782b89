"""In state stale the registry is asked about those being written to; without its word nobody is permitted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from filters.consent import Change, Consent, unpack
from filters.decision.freshness import freshness
from filters.decision.policy import Policy
from filters.exchange import Lookup
from filters.vocabulary import FreshnessState, LookupFailure, Status
from gateway.registry.asking.remembering import RememberingKeys
from gateway.registry.asking.requery import RequeryingIndex
from tests.support.registry_world import CONSENTS, RegistryWorld, item
from tests.support.sync_world import BRAND, KEYS, SECRET, SLOT, SyncWorld

POLICY = Policy()
STALE_S, BLIND_S = 30 * 3600, 80 * 3600


class Asking:
    """Looks up as a pipeline does: keys first, then the index."""

    def __init__(self, sync: SyncWorld) -> None:
        self.sync = sync
        self.results: Counter[str] = Counter()
        self.keys = RememberingKeys(SECRET)
        self.index = RequeryingIndex(
            sync.store,
            sync.store,
            self.keys,
            {BRAND: sync.link},
            {BRAND: POLICY},
            self,
            wait_s=2.0,
            clock=sync.world.clock.now,
        )

    def requeried(self, result: str, number: int) -> None:
        self.results[result] += number

    async def look_up(self, *people: str) -> tuple[list[Status | None], FreshnessState]:
        """What a decision would rest on."""
        keys = self.keys.derive_many(BRAND, [person.encode() for person in people])
        answered: asyncio.Future[Lookup | LookupFailure] = asyncio.get_running_loop().create_future()
        self.index.lookup(BRAND, keys, b"digest", answered.set_result)
        answer = await answered
        assert isinstance(answer, Lookup)
        states = [unpack(value).get(SLOT) if value else None for value in answer.values]
        how_fresh, _ = freshness(answer.watermark_at, int(self.sync.world.clock.now()), POLICY)
        return [None if state is None else state.status for state in states], how_fresh

    async def requests(self) -> int:
        found = await self.sync.world.sim("GET", "requests?limit=1")
        return int(found["by_operation"].get("multi-status", 0))


@pytest.fixture
async def asking(sync: SyncWorld) -> AsyncIterator[Asking]:
    made = Asking(sync)
    yield made
    await made.index.close()


async def know(sync: SyncWorld, *people: str) -> None:
    at = int(sync.world.clock.now()) - 7200
    changes = [
        Change(KEYS.derive(BRAND, person.encode()), *SLOT, Consent(Status.APPROVED, at, "HS_WEB")) for person in people
    ]
    await sync.store.apply(BRAND, changes)


async def register(world: RegistryWorld, *people: str) -> None:
    for person in people:
        added = await world.call("POST", CONSENTS, item(recipient=person))
        assert added.status == 200, added


async def test_a_fresh_index_asks_nobody(asking: Asking, sync: SyncWorld) -> None:
    """The registry is for what we do not know."""
    await sync.loaded(3600)
    await know(sync, "a@example.com")
    assert await asking.look_up("a@example.com") == ([Status.APPROVED], FreshnessState.FRESH)
    assert await asking.requests() == 0


async def test_what_the_registry_confirms_is_as_fresh_as_its_answer(asking: Asking, sync: SyncWorld) -> None:
    """The first message after the flip is held, as its addresses are not known yet; its retry goes."""
    await sync.loaded(STALE_S)
    await know(sync, "a@example.com", "b@example.com")
    await register(sync.world, "a@example.com", "b@example.com")
    assert await asking.look_up("a@example.com") == ([Status.APPROVED], FreshnessState.STALE)
    assert await asking.look_up("a@example.com", "b@example.com") == ([Status.APPROVED] * 2, FreshnessState.FRESH)
    assert await sync.watermark() == int(sync.world.clock.now()) - STALE_S


async def test_what_the_registry_does_not_hold_is_withdrawn_first(asking: Asking, sync: SyncWorld) -> None:
    """Whoever refused while we were not told is refused now."""
    await sync.loaded(STALE_S)
    await know(sync, "a@example.com", "gone@example.com")
    await register(sync.world, "a@example.com", "gone@example.com")
    await sync.world.advance(60)
    await sync.world.citizen(recipient="gone@example.com")
    await asking.look_up("a@example.com")
    statuses, how_fresh = await asking.look_up("a@example.com", "gone@example.com")
    assert statuses == [Status.APPROVED, Status.REJECTED]
    assert how_fresh is FreshnessState.FRESH
    assert asking.results == {"not_asked": 1, "withdrawn": 1, "confirmed": 1}


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 500}, {"kind": "garbage"}, {"kind": "cut"}])
async def test_without_its_word_the_answer_stays_stale(
    asking: Asking, sync: SyncWorld, fault: dict[str, object]
) -> None:
    """Unknown never becomes a permission."""
    await sync.loaded(STALE_S)
    await know(sync, "a@example.com")
    await register(sync.world, "a@example.com")
    await asking.look_up("a@example.com")
    await sync.world.sim("PUT", "faults", {"faults": [fault | {"path": "status"}]})
    assert await asking.look_up("a@example.com") == ([Status.APPROVED], FreshnessState.STALE)


async def test_a_registry_that_hangs_is_waited_for_a_moment_only(asking: Asking, sync: SyncWorld) -> None:
    """The client must hear of us; then the message is held as it would have been."""
    await sync.loaded(STALE_S)
    await know(sync, "a@example.com")
    await register(sync.world, "a@example.com")
    await asking.look_up("a@example.com")
    await sync.world.sim("PUT", "faults", {"faults": [{"kind": "slow", "seconds": 3.0, "path": "status"}]})
    async with asyncio.timeout(2.8):
        assert await asking.look_up("a@example.com") == ([Status.APPROVED], FreshnessState.STALE)
    assert asking.results["timed_out"] == 1


async def test_a_blind_index_asks_nobody(asking: Asking, sync: SyncWorld) -> None:
    """Blind is never allowed, whatever a single answer would say."""
    await sync.loaded(BLIND_S)
    await know(sync, "a@example.com")
    for _ in range(2):
        assert await asking.look_up("a@example.com") == ([Status.APPROVED], FreshnessState.BLIND)
    assert await asking.requests() == 0


async def test_nobody_is_asked_for_whom_we_hold_no_consent(asking: Asking, sync: SyncWorld) -> None:
    """No record and refusal are a no already."""
    await sync.loaded(STALE_S)
    await asking.look_up("a@example.com")
    assert await asking.look_up("a@example.com") == ([None], FreshnessState.STALE)
    assert await asking.requests() == 0


async def test_messages_in_flight_share_a_request(asking: Asking, sync: SyncWorld) -> None:
    """Forty messages at once are one question; and what was confirmed is not asked again at once."""
    people = [f"p{number}@example.com" for number in range(40)]
    await sync.loaded(STALE_S)
    await know(sync, *people)
    await register(sync.world, *people)
    await asking.look_up(people[0])
    found = await asyncio.gather(*(asking.look_up(person) for person in people))
    assert found == [([Status.APPROVED], FreshnessState.FRESH)] * 40
    assert await asking.requests() == 1
    await asking.look_up(*people)
    assert await asking.requests() == 1
    await sync.world.advance(1000)
    await asking.look_up(*people)
    assert await asking.requests() == 2


async def test_once_the_index_is_fresh_again_nothing_is_remembered(asking: Asking, sync: SyncWorld) -> None:
    """Addresses are kept in memory only as long as they are needed."""
    await sync.loaded(STALE_S)
    await know(sync, "a@example.com")
    for _ in range(2):
        await asking.look_up("a@example.com")
    assert asking.keys.addresses
    await sync.loaded(0)
    await asking.look_up("a@example.com")
    assert not asking.keys.addresses
    assert not asking.keys.wanted


async def test_a_confirmation_does_not_outlive_a_clock_that_is_set_back(asking: Asking, sync: SyncWorld) -> None:
    """It would stand for a quarter of an hour and all the time by which the clock was wrong."""
    await sync.loaded(STALE_S + 600)
    await know(sync, "a@example.com")
    await register(sync.world, "a@example.com")
    await asking.look_up("a@example.com")
    assert await asking.look_up("a@example.com") == ([Status.APPROVED], FreshnessState.FRESH)
    asked = await asking.requests()
    await sync.world.sim("PUT", "clock", {"advance_s": -300})
    await sync.world.login()
    assert await asking.look_up("a@example.com") == ([Status.APPROVED], FreshnessState.FRESH)
    assert await asking.requests() == asked + 1
