"""Dealers' lists are read at the registry, for messages that wait and for what the feed brings (E11)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from filters.client import Client
from filters.consent import Change, Consent, unpack
from filters.decision.dealer_access import access_list
from filters.exchange import Lookup
from filters.vocabulary import LookupFailure, Status
from gateway.dealers import AskedLists, index_for
from gateway.registry.asking.access_lists import AccessListReader
from gateway.registry.asking.budget import AskingBudget
from gateway.registry.asking.remembering import RememberingKeys
from gateway.registry.dealer_watch import DealerWatch, FeedAddresses
from gateway.registry.ports import BrandLink
from gateway.registry.pull import Pull
from tests.support.registry_world import BRAND as PATH
from tests.support.registry_world import CONSENTS, item, key, retailer
from tests.support.sync_world import BRAND, KEYS, SECRET, SLOT, SyncWorld

MINE, OTHER, ASLEEP = 10_000_001, 10_000_002, 10_000_003
AGE_S = 4 * 3600.0
AYSE = "ayse@example.com"


class Dealing:
    """A dealer's look-ups, in a worker that may ask the registry."""

    def __init__(self, sync: SyncWorld, *, per_second: float = 1000.0, singles: float = 1000.0) -> None:
        self.sync = sync
        self.results: Counter[str] = Counter()
        self.keys = RememberingKeys(SECRET, [BRAND])
        now = sync.world.clock.now
        budget = AskingBudget(per_second, singles, now)
        self.reader = AccessListReader(
            {BRAND: sync.link}, sync.store, self.keys.addresses.get, self, budget, wait_s=1.0, clock=now
        )
        self.lists = AskedLists(sync.store, self.reader, {BRAND}, AGE_S, now)

    def lists_read(self, result: str, number: int) -> None:
        self.results[result] += number

    async def is_open(self, *people: str, dealer: int = MINE) -> list[bool]:
        """To which of them the dealer may send."""
        keys = self.keys.derive_many(BRAND, [person.encode() for person in people])
        answered: asyncio.Future[Lookup | LookupFailure] = asyncio.get_running_loop().create_future()
        index = index_for(self.sync.store, self.lists, Client("bayi", (BRAND,), retailer_code=dealer))
        index.lookup(BRAND, keys, b"digest", answered.set_result)
        answer = await answered
        assert isinstance(answer, Lookup)
        return [bool(value) and unpack(value or b"")[SLOT].is_open for value in answer.values]

    async def rested(self) -> None:
        """Until nothing waits to be read."""
        async with asyncio.timeout(5):
            while self.reader.waiting:
                await asyncio.sleep(0.01)


async def asked(sync: SyncWorld) -> Counter[str]:
    """Lists and statuses that were asked for so far."""
    found = Counter((await sync.world.sim("GET", "requests?limit=1"))["by_operation"])
    return Counter({name: found[name] for name in ("access-list", "status") if found[name]})


@pytest.fixture
async def make_dealing(sync: SyncWorld) -> AsyncIterator[Callable[..., Dealing]]:
    """Three dealers at the registry, of whom one is not active."""
    for number, state in ((1, "active"), (2, "active"), (3, "passive")):
        made = await sync.world.call("POST", PATH + "/retailers", retailer(tckn=f"1000000014{number}", status=state))
        assert made.status == 201, made
    dealings: list[Dealing] = []

    def make(**options: float) -> Dealing:
        dealings.append(Dealing(sync, **options))
        return dealings[-1]

    await sync.loaded(60)
    yield make
    for each in dealings:
        await each.reader.close()


@pytest.fixture
def dealing(make_dealing: Callable[..., Dealing]) -> Dealing:
    return make_dealing()


async def consent(sync: SyncWorld, person: str = AYSE, *, known: bool = True, **changes: object) -> None:
    """Given at the registry; and here, by default, without any list."""
    added = await sync.world.call("POST", CONSENTS, item(recipient=person, **changes))
    assert added.status == 200, added
    if known:
        at = int(sync.world.clock.now()) - 7200
        change = Change(KEYS.derive(BRAND, person.encode()), *SLOT, Consent(Status.APPROVED, at, "HS_WEB"))
        await sync.store.apply(BRAND, [change])


async def let(sync: SyncWorld, *codes: int) -> None:
    """Open Ayşe's consent to exactly these, elsewhere."""
    body = {name: value for name, value in key().items() if name != "recipient"}
    given = body | {"recipients": [AYSE], "retailerAccess": list(codes)}
    set_ = await sync.world.call("PUT", CONSENTS + "/retailers/access", given)
    assert set_.status == 202, set_


async def test_a_list_that_nobody_knows_here_is_read_while_the_message_waits(
    dealing: Dealing, make_dealing: Callable[..., Dealing], sync: SyncWorld
) -> None:
    """Once: it is in the store then, for other processes and after a restart too."""
    await consent(sync, retailerAccess=[MINE])
    assert await dealing.is_open(AYSE) == [True]
    spent = await asked(sync)
    assert spent == {"access-list": 1}
    for each in (dealing, make_dealing()):
        assert await each.is_open(AYSE) == [True]
    assert await asked(sync) == spent
    assert dealing.results == {"changed": 1}


async def test_who_took_the_consent_may_use_it_too(dealing: Dealing, sync: SyncWorld) -> None:
    """The list does not name him; the status does."""
    await consent(sync, retailerCode=MINE, retailerAccess=[OTHER])
    assert await dealing.is_open(AYSE, dealer=OTHER) == [True]
    assert await asked(sync) == {"access-list": 1}
    assert await dealing.is_open(AYSE, dealer=MINE) == [True]
    assert await asked(sync) == {"access-list": 2, "status": 1}


async def test_a_no_is_kept_like_a_yes(dealing: Dealing, sync: SyncWorld) -> None:
    """Whoever is listed nowhere is asked about once."""
    await consent(sync, retailerAccess=[OTHER])
    await consent(sync, "bora@example.com")
    assert await dealing.is_open(AYSE, "bora@example.com") == [False, False]
    spent = await asked(sync)
    assert await dealing.is_open(AYSE, "bora@example.com") == [False, False]
    assert await asked(sync) == spent == {"access-list": 2, "status": 2}


async def test_a_dealer_that_is_not_active_counts_as_not_listed(dealing: Dealing, sync: SyncWorld) -> None:
    await consent(sync, retailerAccess=[ASLEEP, MINE])
    assert await dealing.is_open(AYSE, dealer=ASLEEP) == [False]
    assert await dealing.is_open(AYSE) == [True]


async def test_what_was_changed_elsewhere_is_found_within_the_age(dealing: Dealing, sync: SyncWorld) -> None:
    """From half the age on the list is read again behind the message; the message itself does not wait."""
    await consent(sync, retailerAccess=[MINE])
    assert await dealing.is_open(AYSE) == [True]
    await let(sync, OTHER)
    await sync.world.advance(AGE_S / 2 - 60)
    assert await dealing.is_open(AYSE) == [True]
    await sync.world.advance(120)
    assert await dealing.is_open(AYSE) == [True]
    await dealing.rested()
    assert await dealing.is_open(AYSE) == [False]
    await sync.world.login()
    await let(sync, MINE)
    await sync.world.advance(AGE_S + 1)
    assert await dealing.is_open(AYSE) == [True], "and past the age it is read while the message waits"


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 500}, {"kind": "garbage"}, {"kind": "cut"}])
async def test_past_the_age_a_list_opens_nothing_without_the_registrys_word(
    dealing: Dealing, sync: SyncWorld, fault: dict[str, object]
) -> None:
    """Unknown means no; and once the registry is silent, nobody waits for it for a while."""
    await consent(sync, retailerAccess=[MINE])
    await dealing.is_open(AYSE)
    await sync.world.advance(AGE_S + 1)
    await sync.world.sim("PUT", "faults", {"faults": [fault | {"path": "access"}]})
    assert await dealing.is_open(AYSE) == [False]
    spent = await asked(sync)
    for _ in range(3):
        assert await dealing.is_open(AYSE) == [False]
    assert await asked(sync) == spent


async def test_nobody_waits_longer_than_a_moment_for_a_registry_that_hangs(dealing: Dealing, sync: SyncWorld) -> None:
    """Nor a second time: the message is looked up again before it leaves."""
    await consent(sync, retailerAccess=[MINE])
    await sync.world.sim("PUT", "faults", {"faults": [{"kind": "slow", "seconds": 3.0, "path": "access"}]})
    async with asyncio.timeout(1.8):
        assert await dealing.is_open(AYSE) == [False]
    async with asyncio.timeout(0.5):
        assert await dealing.is_open(AYSE) == [False]
    await dealing.rested()
    assert await dealing.is_open(AYSE) == [True], "what came too late was not for nothing"


async def test_messages_in_flight_share_their_questions(dealing: Dealing, sync: SyncWorld) -> None:
    """Thirty messages to one person are one question."""
    await consent(sync, retailerAccess=[MINE])
    assert await asyncio.gather(*(dealing.is_open(AYSE) for _ in range(30))) == [[True]] * 30
    assert await asked(sync) == {"access-list": 1}


async def test_a_long_list_spends_its_budget_and_is_read_on_afterwards(
    make_dealing: Callable[..., Dealing], sync: SyncWorld
) -> None:
    """Twelve people, two requests at once: whoever was not reached is a no now, and known by and by."""
    people = [f"p{number}@example.com" for number in range(12)]
    for person in people:
        await consent(sync, person, retailerAccess=[MINE])
    dealing = make_dealing(per_second=0.2)
    assert sum(await dealing.is_open(*people)) == 2
    await sync.world.advance(10)
    await asyncio.sleep(0.5)
    assert (await asked(sync))["access-list"] == 4
    for _ in range(4):
        await sync.world.advance(10)
        await asyncio.sleep(0.3)
    await dealing.rested()
    assert await dealing.is_open(*people) == [True] * 12
    assert (await asked(sync))["access-list"] == 12


async def test_without_a_single_query_left_who_took_it_stays_unknown(
    make_dealing: Callable[..., Dealing], sync: SyncWorld
) -> None:
    """A no for now, and not for the list's whole age."""
    dealing = make_dealing(singles=2.0)
    people = [f"p{number}@example.com" for number in range(3)]
    for person in people:
        await consent(sync, person, retailerCode=MINE)
    assert sum(await dealing.is_open(*people)) == 2
    late = make_dealing()
    assert await late.is_open(*people) == [True] * 3


async def test_a_renewed_consent_is_closed_until_its_own_list_is_read(dealing: Dealing, sync: SyncWorld) -> None:
    await consent(sync, retailerAccess=[MINE])
    assert await dealing.is_open(AYSE) == [True]
    await sync.world.advance(600)
    added = await sync.world.call("POST", CONSENTS, item(consentDate=sync.world.ago(60)))
    assert added.status == 200, added
    at = int(sync.world.clock.now()) - 60
    await sync.store.apply(
        BRAND, [Change(KEYS.derive(BRAND, AYSE.encode()), *SLOT, Consent(Status.APPROVED, at, "HS_WEB"))]
    )
    assert await dealing.is_open(AYSE) == [False]


async def test_of_a_brand_nobody_can_ask_about_what_is_kept_counts(dealing: Dealing, sync: SyncWorld) -> None:
    """Its lists come from imports alone, and grow no older than those."""
    await consent(sync)
    at = int(sync.world.clock.now()) - 7200
    await sync.store.keep_access([access_list(KEYS.derive(BRAND, AYSE.encode()), *SLOT, at, [MINE], at - 9_000_000)])
    dealing.lists.brands = frozenset()
    assert await dealing.is_open(AYSE) == [True]
    assert await asked(sync) == {}


class Watching:
    """The sync process: what the feed brings is read without any message."""

    def __init__(self, sync: SyncWorld) -> None:
        self.results: Counter[str] = Counter()
        now = sync.world.clock.now
        addresses = FeedAddresses()
        self.addresses = addresses.by_key
        self.reader = AccessListReader(
            {BRAND: sync.link}, sync.store, addresses.find, self, AskingBudget(1000, 1000, now), clock=now
        )
        dealers = {BRAND: frozenset({MINE, ASLEEP, 10_000_099})}
        self.watch = DealerWatch(sync.links, dealers, KEYS, sync.store, self.reader, addresses, now)
        self.pull = Pull(sync.links, sync.store, sync.store, sync.book, KEYS, heard=self.watch.heard, clock=now)

    def lists_read(self, result: str, number: int) -> None:
        self.results[result] += number

    async def turn(self, link: BrandLink) -> None:
        await self.pull.turn(link)
        await self.watch.step()
        async with asyncio.timeout(5):
            while self.reader.waiting:
                await asyncio.sleep(0.01)
        await self.watch.step()


@pytest.fixture
async def watching(sync: SyncWorld, dealing: Dealing) -> AsyncIterator[Watching]:
    """Over the same store as ``dealing``, whose dealers are there."""
    made = Watching(sync)
    yield made
    await made.reader.close()


async def test_what_the_feed_brings_is_read_before_any_message_needs_it(
    watching: Watching, dealing: Dealing, sync: SyncWorld
) -> None:
    """With whoever took it, for all dealers; a feed read once more asks nothing, and addresses are forgotten."""
    await consent(sync, known=False, retailerCode=MINE, retailerAccess=[OTHER])
    await consent(sync, "bora@example.com", known=False)
    await sync.world.advance(3700)
    await watching.turn(sync.link)
    spent = await asked(sync)
    assert spent == {"access-list": 2, "status": 2}
    assert watching.addresses == {}
    for dealer, is_open in ((MINE, True), (OTHER, True), (ASLEEP, False)):
        assert await dealing.is_open(AYSE, "bora@example.com", dealer=dealer) == [is_open, False]
    await sync.store.keep(f"pull/{BRAND}/HS", None)
    await watching.turn(sync.link)
    assert await asked(sync) == spent
    assert watching.results == {"changed": 1, "read": 1}


async def test_a_dealer_the_registry_does_not_call_active_is_an_alarm(watching: Watching, sync: SyncWorld) -> None:
    """One that sleeps and one that is none; what cannot be asked is none."""
    assert watching.watch.not_active == {BRAND: 0}
    await watching.watch.look_at_dealers()
    assert watching.watch.not_active == {BRAND: 2}
    assert watching.watch.describe()["dealers"] == {
        str(BRAND): {str(MINE): "active", str(ASLEEP): "passive", "10000099": "unknown"}
    }
    await sync.world.sim("PUT", "faults", {"faults": [{"kind": "maintenance"}]})
    await watching.watch.look_at_dealers()
    assert watching.watch.not_active == {BRAND: 2}
