"""Whom the index does not know the registry is asked about, within a budget; without its word nobody is permitted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from filters.consent import Change, Consent, unpack
from filters.decision.policy import Policy
from filters.exchange import Lookup
from filters.vocabulary import Channel, LookupFailure, RecipientType, Status
from gateway.registry.asking.budget import AskingBudget
from gateway.registry.asking.missing import ABSENT_S, MissingAskedIndex
from gateway.registry.asking.remembering import RememberingKeys
from tests.support.registry_world import CONSENTS, item
from tests.support.sync_world import BRAND, SECRET, SLOT, SyncWorld

MERCHANT = (Channel.EMAIL, RecipientType.BUSINESS)


class Asking:
    """Looks up as a pipeline does: keys first, then the index."""

    def __init__(self, sync: SyncWorld, *, per_second: float = 100.0, singles_per_hour: float = 100.0) -> None:
        self.sync = sync
        self.results: Counter[str] = Counter()
        self.keys = RememberingKeys(SECRET, [BRAND])
        self.index = MissingAskedIndex(
            sync.store,
            sync.store,
            self.keys,
            {BRAND: sync.link},
            {BRAND: Policy()},
            self,
            AskingBudget(per_second, singles_per_hour, sync.world.clock.now),
            wait_s=2.0,
            clock=sync.world.clock.now,
        )

    def requeried(self, result: str, number: int) -> None:
        self.results[result] += number

    async def look_up(self, *people: str) -> list[Status | None]:
        """What a decision on mail to individuals would rest on."""
        keys = self.keys.derive_many(BRAND, [person.encode() for person in people])
        answered: asyncio.Future[Lookup | LookupFailure] = asyncio.get_running_loop().create_future()
        self.index.lookup(BRAND, keys, b"digest", answered.set_result)
        answer = await answered
        assert isinstance(answer, Lookup)
        states = [unpack(value).get(SLOT) if value else None for value in answer.values]
        return [None if state is None else state.status for state in states]

    async def requests(self) -> Counter[str]:
        return Counter((await self.sync.world.sim("GET", "requests?limit=1"))["by_operation"])


@pytest.fixture
async def make_asking(sync: SyncWorld) -> AsyncIterator[Callable[..., Asking]]:
    made: list[Asking] = []

    def make(**options: float) -> Asking:
        made.append(Asking(sync, **options))
        return made[-1]

    await sync.loaded(60)
    yield make
    for each in made:
        await each.index.close()


@pytest.fixture
def asking(make_asking: Callable[..., Asking]) -> Asking:
    return make_asking()


async def register(sync: SyncWorld, *people: str, **changes: str) -> None:
    for person in people:
        added = await sync.world.call("POST", CONSENTS, item(recipient=person, **changes))
        assert added.status == 200, added


async def test_a_consent_that_has_not_reached_us_is_fetched_before_the_decision(
    asking: Asking, sync: SyncWorld
) -> None:
    """With the registry's own date and source, as any other source would have brought it; and only once."""
    await register(sync, "new@example.com")
    assert await asking.look_up("new@example.com", "nobody@example.com") == [Status.APPROVED, None]
    assert (await sync.state("new@example.com"))[SLOT].source == "HS_WEB"
    before = await asking.requests()
    assert await asking.look_up("new@example.com") == [Status.APPROVED]
    assert await asking.requests() == before
    assert asking.results == {"found": 1, "absent": 1}


async def test_a_refusal_of_the_other_recipient_type_comes_along(asking: Asking, sync: SyncWorld) -> None:
    """E10: the consent alone would permit what both records together do not."""
    await register(sync, "both@example.com")
    await register(sync, "both@example.com", recipientType="TACIR")
    await sync.world.advance(60)
    await sync.world.citizen(recipient="both@example.com", recipientType="TACIR")
    assert await asking.look_up("both@example.com") == [Status.APPROVED]
    assert (await sync.state("both@example.com"))[MERCHANT].status is Status.REJECTED


async def test_a_record_of_calls_does_not_hide_that_one_of_messages_is_missing(asking: Asking, sync: SyncWorld) -> None:
    """Both stand under one key, and only the first was here."""
    phone = "+905550000017"
    key = asking.keys.derive(BRAND, phone.encode())
    at = int(sync.world.clock.now()) - 7200
    call = Change(key, Channel.CALL, RecipientType.INDIVIDUAL, Consent(Status.APPROVED, at, "HS_WEB"))
    await sync.store.apply(BRAND, [call])
    await register(sync, phone, type="MESAJ")
    await asking.look_up(phone)
    assert (await sync.state(phone))[Channel.SMS, RecipientType.INDIVIDUAL].status is Status.APPROVED


async def test_who_has_a_record_of_the_other_recipient_type_is_not_asked_about(asking: Asking, sync: SyncWorld) -> None:
    """Nearly everybody has one type and not the other: it would be a question about everybody."""
    key = asking.keys.derive(BRAND, b"merchant@example.com")
    at = int(sync.world.clock.now()) - 7200
    await sync.store.apply(BRAND, [Change(key, *MERCHANT, Consent(Status.APPROVED, at, "HS_WEB"))])
    assert await asking.look_up("merchant@example.com") == [None]
    assert (await asking.requests())["multi-status"] == 0


async def test_a_no_is_remembered_for_hours(asking: Asking, sync: SyncWorld) -> None:
    """A list sent twice costs once; after that time it is asked again."""
    assert await asking.look_up("nobody@example.com") == [None]
    before = await asking.requests()
    assert await asking.look_up("nobody@example.com") == [None]
    assert await asking.requests() == before
    await sync.world.advance(ABSENT_S + 1)
    await sync.loaded(60)
    await sync.world.login()
    await register(sync, "nobody@example.com", consentDate=sync.world.ago(60))
    assert await asking.look_up("nobody@example.com") == [Status.APPROVED]


async def test_many_messages_share_their_questions(asking: Asking, sync: SyncWorld) -> None:
    """Two requests for fifty strangers in fifty messages, and two records for one who is in all of them."""
    await register(sync, "known@example.com")
    before = await asking.requests()
    answers = await asyncio.gather(
        *(asking.look_up(f"a{number}@example.com", "known@example.com") for number in range(50))
    )
    assert answers == [[None, Status.APPROVED]] * 50
    spent = await asking.requests() - before
    assert (spent["multi-status"], spent["status"]) == (2, 2)


async def test_a_list_of_strangers_spends_its_own_budget_and_no_more(make_asking: Callable[..., Asking]) -> None:
    """What is beyond it is what it was: nobody known, nobody permitted, and nobody remembered as refused."""
    asking = make_asking(per_second=0.2)
    for number in range(20):
        assert await asking.look_up(f"stranger{number}@example.com") == [None]
    assert (await asking.requests())["multi-status"] == 2
    assert asking.results["absent"] == 1
    await asking.sync.world.advance(10)
    await register(asking.sync, "stranger19@example.com")
    assert await asking.look_up("stranger19@example.com") == [Status.APPROVED]


async def test_half_a_question_is_never_asked(make_asking: Callable[..., Asking]) -> None:
    """Where the budget allows one request at a time, both recipient types wait until there are two."""
    asking = make_asking(per_second=0.2)
    assert await asking.look_up("first@example.com") == [None]
    await register(asking.sync, "second@example.com")
    for _ in range(5):
        assert await asking.look_up("second@example.com") == [None]
        await asking.sync.world.advance(1)
    assert (await asking.requests())["multi-status"] == 2
    await asking.sync.world.advance(6)
    assert await asking.look_up("second@example.com") == [Status.APPROVED]


async def test_without_budget_for_both_records_none_is_fetched(
    make_asking: Callable[..., Asking], sync: SyncWorld
) -> None:
    """Half an answer is no answer."""
    asking = make_asking(singles_per_hour=3.0)
    await register(sync, "one@example.com", "two@example.com")
    found = await asking.look_up("one@example.com", "two@example.com")
    assert sorted(map(str, found)) == sorted(map(str, [Status.APPROVED, None]))
    assert (await asking.requests())["status"] == 2


@pytest.mark.parametrize("ago_s", [30 * 3600, 80 * 3600], ids=["stale", "blind"])
async def test_only_a_fresh_index_is_completed(asking: Asking, sync: SyncWorld, ago_s: int) -> None:
    """What could not be permitted in any case is not asked for."""
    await register(sync, "new@example.com")
    await sync.world.advance(ago_s)
    assert await asking.look_up("new@example.com") == [None]
    assert (await asking.requests())["multi-status"] == 0


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500, "path": "status"},
        {"kind": "garbage", "path": "status"},
        {"kind": "cut", "path": "status"},
        {"kind": "slow", "seconds": 3.0, "path": "status"},
    ],
    ids=lambda fault: fault["kind"],
)
async def test_without_its_word_nothing_changes(asking: Asking, sync: SyncWorld, fault: dict[str, object]) -> None:
    """No record stays no record, nobody waits longer than that, and nobody is remembered as absent for it."""
    await register(sync, "new@example.com")
    await sync.world.sim("PUT", "faults", {"faults": [fault]})
    async with asyncio.timeout(2.8):
        assert await asking.look_up("new@example.com") == [None]
    assert asking.results["absent"] == 0
    assert await sync.state("new@example.com") == {}
