"""A dealer's messages reach those whose consent is open to it, and nobody else (edge cases E11 to E13)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from filters.client import Client
from filters.decision.dealer_access import access_list
from filters.exchange import Lookup
from filters.phone import parse_phone
from filters.vocabulary import Channel, LookupFailure, MessageClass, RecipientType
from gateway.dealers import DealerIndex, enter_lists, index_for
from tests.support.memory_index import MemoryIndex
from tests.support.pipeline_world import NOW, SHOP, PipelineWorld, mail
from tests.support.sms_world import NOW as SMS_NOW
from tests.support.sms_world import SmsWorld, message, number, outcomes

AYSE, BORA = b"ayse@example.com", b"bora@example.com"
DEALER, OTHER = 10_000_001, 10_000_002
SLOT = (Channel.EMAIL, RecipientType.INDIVIDUAL)


class Lists(MemoryIndex):
    """Lists only; counts who asks."""

    def __init__(self) -> None:
        super().__init__()
        self.failure = None
        self.asked = 0

    def find_access(self, names: Sequence[bytes], done: Callable[[Sequence[bytes | None] | None], None]) -> None:
        self.asked += 1
        super().find_access(names, done)


@pytest.fixture
def lists() -> Lists:
    return Lists()


@pytest.fixture
async def world(lists: Lists) -> AsyncIterator[PipelineWorld]:
    """Ayşe's consent is open to the dealer; Bora's is open to another."""
    made = PipelineWorld(dealer_lists=lists)
    await made.load()
    for wire, code in ((AYSE, DEALER), (BORA, OTHER)):
        await made.consent(wire)
        await enter_lists(lists, [access_list(made.key(wire), *SLOT, NOW - 1000, [code])])
    yield made
    made.close()


def dealer(code: int | None = DEALER, fixed_class: MessageClass | None = None) -> Client:
    return Client("bayi", (SHOP,), retailer_code=code, fixed_class=fixed_class)


def reached(world: PipelineWorld) -> list[bytes]:
    return [wire for one in world.upstream.given for wire in one.wires]


async def test_only_a_consent_that_is_open_to_the_dealer_is_used(world: PipelineWorld) -> None:
    """The other recipient is dropped by row E11, and the evidence says so."""
    world.send(mail(), [AYSE, BORA], client=dealer())
    assert reached(world) == [AYSE]
    [record] = world.records
    assert [(each["row"], each["reason"]) for each in record["recipients"]] == [
        ("R10", "CONSENT"),
        ("E11", "DEALER_NO_ACCESS"),
    ]
    assert record["recipients"][0]["registry"][0]["open_to_dealer"] is True


async def test_the_brand_owner_needs_no_list_and_asks_for_none(world: PipelineWorld, lists: Lists) -> None:
    """E12; and one look-up answers its messages as before."""
    asked = lists.asked
    world.send(mail(), [AYSE, BORA], client=dealer(None))
    assert reached(world) == [AYSE, BORA]
    assert lists.asked == asked


async def test_a_refusal_closes_the_consent_to_the_dealer_too(world: PipelineWorld) -> None:
    """E13: whatever is listed."""
    await world.refuse(AYSE)
    world.send(mail(), [AYSE], client=dealer())
    assert reached(world) == []


async def test_a_new_consent_is_not_open_by_the_list_of_the_old_one(world: PipelineWorld) -> None:
    """A list belongs to one consent; unknown means no until the new one's is known."""
    await world.consent(AYSE, at=NOW - 500)
    world.send(mail(), [AYSE], client=dealer())
    assert reached(world) == []


async def test_lists_that_cannot_be_asked_hold_the_message(world: PipelineWorld, lists: Lists) -> None:
    """A fault of ours is temporary to the client."""
    lists.failure = LookupFailure.TIMED_OUT
    sent = world.send(mail(), [AYSE], client=dealer())
    assert reached(world) == []
    assert [reply.code for reply in sent.reply.per_recipient] == [451]


async def test_without_lists_nothing_is_open() -> None:
    """Where nobody wired them, a dealer's mail is dropped, never sent."""
    world = PipelineWorld()
    await world.load()
    await world.consent(AYSE)
    world.send(mail(), [AYSE], client=dealer())
    assert reached(world) == []
    world.close()


async def test_a_list_is_entered_whichever_comes_first(lists: Lists) -> None:
    """That of an earlier consent never replaces that of a later one; an empty one replaces only another."""
    key = b"k" * 10
    old = access_list(key, *SLOT, NOW - 10, [DEALER])
    new = access_list(key, *SLOT, NOW, [OTHER])
    none = access_list(key, *SLOT, NOW, [])
    assert await enter_lists(lists, [none]) == 0
    assert [await enter_lists(lists, [each]) for each in (new, old, new)] == [1, 0, 0]
    assert await enter_lists(lists, [new, old, none]) == 1
    kept: list[object] = []
    lists.find_access([none.name], kept.append)
    assert kept == [[none.packed]]
    lists.failure = LookupFailure.UNREACHABLE
    with pytest.raises(OSError, match="dealers"):
        await enter_lists(lists, [new])


async def test_of_one_consent_the_list_read_last_counts(lists: Lists) -> None:
    """An export of last week does not bring back what the registry said today; nor is a list known to be empty lost."""
    key = b"k" * 10
    today, before = access_list(key, *SLOT, NOW, [], NOW), access_list(key, *SLOT, NOW, [DEALER], NOW - 600_000)
    assert [await enter_lists(lists, [each]) for each in (before, today, before)] == [1, 1, 0]
    kept: list[object] = []
    lists.find_access([today.name], kept.append)
    assert kept == [[today.packed]]
    later = access_list(key, *SLOT, NOW, [], NOW + 60)
    assert await enter_lists(lists, [later]) == 0, "no other dealers"
    lists.find_access([today.name], kept.append)
    assert kept[1] == [later.packed]


async def test_answers_that_break_the_contract_are_failures(lists: Lists) -> None:
    """Fewer lists than were asked for: whose is whose?"""

    class Short(Lists):
        def find_access(self, names: Sequence[bytes], done: Callable[[Sequence[bytes | None] | None], None]) -> None:
            done([])

    index = MemoryIndex()
    await index.initialise()
    world = PipelineWorld(index=index)
    found: list[Lookup | LookupFailure] = []
    DealerIndex(index, Short(), DEALER).lookup(SHOP, [b"k" * 10], None, found.append)
    assert isinstance(found[0], Lookup), "nobody known: nothing to ask for"
    world.index.failure = None
    await world.consent(AYSE)
    DealerIndex(world.index, Short(), DEALER).lookup(SHOP, [world.key(AYSE)], None, found.append)
    assert found[1] is LookupFailure.UNREACHABLE
    assert index_for(index, Short(), dealer(None)) is index
    world.close()


async def test_a_dealers_short_messages_are_judged_the_same_way() -> None:
    """The list of the SMS consent counts, in sending; the owner's batch beside it is not touched."""
    world = SmsWorld()
    people = [number(1), number(2)]
    await world.consent(people)
    for each, code in zip(people, (DEALER, OTHER), strict=True):
        key = world.keys.derive(SHOP, parse_phone(each).key)
        await world.index.keep_access(
            [access_list(key, Channel.SMS, RecipientType.INDIVIDUAL, SMS_NOW - 86400, [code])]
        )
    _, answer = await world.ask(message(*people), dealer())
    assert outcomes(answer) == ["relayed", "dropped"]
    assert [each["reason"] for each in world.records()[-1]["recipients"]] == ["CONSENT", "DEALER_NO_ACCESS"]
    _, answer = await world.ask(message(*people, text="Yaz indirimi basladi"))
    assert outcomes(answer) == ["relayed", "relayed"]
    world.close()
