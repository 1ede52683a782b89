"""What every implementation of the consent index keeps: the two stores and the one in plain dictionaries."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.store import Store
from filters.consent import CHANNELS, RECIPIENT_TYPES, SOURCES, Change, Consent, apply_changes, unpack
from filters.decision.dealer_access import AccessList, access_list
from filters.exchange import Lookup, OutboxItem
from filters.vocabulary import Channel, LookupFailure, RecipientType, Status
from tests.support.memory_index import MemoryIndex
from tests.support.redis_server import RedisServer

BRAND, OTHER_BRAND = 600123, 600124
NOW = 1_760_000_000


@pytest.fixture(params=["lmdb", "redis", "dictionaries"])
async def fresh_index(
    request: pytest.FixtureRequest, redis_server: RedisServer, open_test_store: Callable[..., Store]
) -> AsyncIterator[Any]:
    """Opened, but without a mark."""
    if request.param == "dictionaries":
        yield MemoryIndex()
        return
    url = "lmdb:store" if request.param == "lmdb" else redis_server.url
    store = open_test_store(url, map_size_bytes=1 << 30)
    await store.start()
    yield store


@pytest.fixture
async def index(fresh_index: Any) -> Any:
    await fresh_index.initialise()
    return fresh_index


def key(number: int) -> bytes:
    return random.Random(number).randbytes(10)


def change(
    number: int,
    status: Status = Status.APPROVED,
    at: int = NOW,
    channel: Channel = Channel.EMAIL,
    recipient_type: RecipientType = RecipientType.INDIVIDUAL,
    source: str = "HS_WEB",
    own: bool = False,
) -> Change:
    return Change(key(number), channel, recipient_type, Consent(status, at, source, own))


async def ask(index: Any, brand: int, keys: list[bytes], digest: bytes | None = None) -> Lookup | LookupFailure:
    answered: asyncio.Future[Lookup | LookupFailure] = asyncio.get_running_loop().create_future()
    index.lookup(brand, keys, digest, answered.set_result)
    return await asyncio.wait_for(answered, 5)


async def look_up(index: Any, brand: int, *keys: bytes, digest: bytes | None = None) -> Lookup:
    answer = await ask(index, brand, list(keys), digest)
    assert isinstance(answer, Lookup), answer
    return answer


async def remember(index: Any, digest: bytes, *keys: bytes) -> bool:
    kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    index.remember_taken(digest, list(keys), kept.set_result)
    return await asyncio.wait_for(kept, 5)


async def test_without_a_mark_nothing_can_be_looked_up(fresh_index: Any) -> None:
    """A look-up never makes the mark: an empty store is "cannot look up", not "no record"."""
    assert await ask(fresh_index, BRAND, [key(1)]) is LookupFailure.NOT_INITIALISED
    assert await ask(fresh_index, BRAND, [key(1)]) is LookupFailure.NOT_INITIALISED
    assert (await fresh_index.health()).failure is LookupFailure.NOT_INITIALISED


async def test_without_a_mark_nothing_can_be_changed(fresh_index: Any) -> None:
    """A store that is not initialised takes no change."""
    with pytest.raises(OSError):
        await fresh_index.apply(BRAND, [change(1)])
    await fresh_index.initialise()
    assert (await look_up(fresh_index, BRAND, key(1))).values == [None]


async def test_initialising_twice_changes_nothing(index: Any) -> None:
    """What was applied is still there after a second initialise."""
    await index.apply(BRAND, [change(1)])
    await index.initialise()
    assert (await look_up(index, BRAND, key(1))).values[0] is not None


async def test_an_unknown_recipient_has_no_record(index: Any) -> None:
    """No record is None in the place of its key, beside those that have one."""
    await index.apply(BRAND, [change(2)])
    answer = await look_up(index, BRAND, key(1), key(2), key(3))
    assert [value is not None for value in answer.values] == [False, True, False]


async def test_a_brand_never_loaded_has_no_watermark(index: Any) -> None:
    """Records alone do not make a brand known."""
    await index.apply(BRAND, [change(1)])
    assert (await look_up(index, BRAND, key(1))).watermark_at is None
    assert await index.watermarks() == {}


async def test_answers_come_in_the_order_of_the_keys(index: Any) -> None:
    """One thousand keys, asked in another order than they were written, each with its own date."""
    await index.apply(BRAND, [change(number, at=NOW + number) for number in range(1000)])
    asked = random.Random(5).sample(range(1000), 1000)
    answer = await look_up(index, BRAND, *[key(number) for number in asked])
    dates = [unpack(value or b"")[Channel.EMAIL, RecipientType.INDIVIDUAL].consent_at for value in answer.values]
    assert dates == [NOW + number for number in asked]


async def test_the_same_key_asked_twice_is_answered_twice(index: Any) -> None:
    """Two recipients of one message may be the same person."""
    await index.apply(BRAND, [change(1)])
    first, second = (await look_up(index, BRAND, key(1), key(1))).values
    assert first == second
    assert first is not None


async def test_a_look_up_of_nothing_gives_the_watermark(index: Any) -> None:
    """Freshness can be asked without a recipient."""
    await index.apply(BRAND, [], watermark_at=NOW)
    assert await look_up(index, BRAND) == Lookup([], NOW, 1, frozenset())


async def test_all_slots_of_a_recipient_come_with_one_look_up(index: Any) -> None:
    """Channels and recipient types stand side by side in one value."""
    slots = [(channel, kind) for channel in CHANNELS for kind in RECIPIENT_TYPES]
    changes = [
        change(1, Status.REJECTED if number % 2 else Status.APPROVED, NOW + number, channel, kind, SOURCES[number + 1])
        for number, (channel, kind) in enumerate(slots)
    ]
    random.Random(1).shuffle(changes)
    assert (await index.apply(BRAND, changes)).changed == 1
    (value,) = (await look_up(index, BRAND, key(1))).values
    assert unpack(value or b"") == {(found.channel, found.recipient_type): found.consent for found in changes}


async def test_a_change_is_seen_by_the_next_look_up(index: Any) -> None:
    """What apply returned is what the next decision rests on, with the revision it named."""
    for revision in range(1, 30):
        applied = await index.apply(BRAND, [change(1, at=NOW + revision)])
        answer = await look_up(index, BRAND, key(1))
        assert answer.revision == applied.revision == revision
        assert unpack(answer.values[0] or b"")[Channel.EMAIL, RecipientType.INDIVIDUAL].consent_at == NOW + revision


async def test_an_older_approval_does_not_lift_a_refusal(index: Any) -> None:
    """Upload time is not consent time (edge case E4)."""
    await index.apply(BRAND, [change(1, Status.REJECTED, NOW, own=True)])
    assert (await index.apply(BRAND, [change(1, Status.APPROVED, NOW - 1)])).changed == 0
    (value,) = (await look_up(index, BRAND, key(1))).values
    assert unpack(value or b"")[Channel.EMAIL, RecipientType.INDIVIDUAL].status is Status.REJECTED


async def test_a_later_approval_lifts_our_own_refusal(index: Any) -> None:
    """The later will rules (edge case E3)."""
    await index.apply(BRAND, [change(1, Status.REJECTED, NOW, own=True)])
    await index.apply(BRAND, [change(1, Status.APPROVED, NOW + 1, source="IYS_WEB")])
    (value,) = (await look_up(index, BRAND, key(1))).values
    assert unpack(value or b"") == {
        (Channel.EMAIL, RecipientType.INDIVIDUAL): Consent(Status.APPROVED, NOW + 1, "IYS_WEB")
    }


async def test_the_same_change_again_changes_nothing_but_the_revision(index: Any) -> None:
    """Repeating an import is harmless."""
    changes = [change(number) for number in range(100)]
    assert (await index.apply(BRAND, changes)).changed == 100
    again = await index.apply(BRAND, changes)
    assert (again.changed, again.revision) == (0, 2)
    assert (await index.stats()).recipients == {BRAND: 100}


async def test_the_watermark_moves_forward_only(index: Any) -> None:
    """An older import does not make the index look older, nor one brand's another's."""
    await index.apply(BRAND, [], watermark_at=NOW)
    await index.apply(BRAND, [], watermark_at=NOW - 100)
    await index.apply(OTHER_BRAND, [], watermark_at=NOW - 50)
    assert (await look_up(index, BRAND)).watermark_at == NOW
    assert await index.watermarks() == {BRAND: NOW, OTHER_BRAND: NOW - 50}


async def test_values_without_a_packed_form_are_refused_whole(index: Any) -> None:
    """A wrong brand, time, key or outbox id raises, and nothing of the call is kept."""
    if isinstance(index, MemoryIndex):
        return  # takes what it is given: nothing is packed there
    good = change(1)
    for brand, changes, watermark_at, outbox in [
        (0, [good], None, []),
        (2**32, [good], None, []),
        (BRAND, [good], -1, []),
        (BRAND, [good, good._replace(key=b"short")], None, []),
        (BRAND, [good], None, [OutboxItem(b"", BRAND, NOW, b"sealed")]),
        (BRAND, [good], None, [OutboxItem(b"x" * 65, BRAND, NOW, b"sealed")]),
    ]:
        with pytest.raises(ValueError):
            await index.apply(brand, changes, watermark_at=watermark_at, outbox=outbox)
    assert await look_up(index, BRAND, key(1)) == Lookup([None], None, 0, frozenset())


async def test_a_bulk_load_is_an_apply(index: Any) -> None:
    """Sorted packed records, more than one step holds, are all found; loading them again changes nothing."""
    numbers = range(9000)
    records = sorted(key(number) + bytes([0, 8]) + (NOW + number).to_bytes(4, "big") for number in numbers)
    assert (await index.load(BRAND, records)).changed == len(numbers)
    assert (await index.load(BRAND, records)).changed == 0
    answer = await look_up(index, BRAND, *[key(number) for number in numbers])
    assert [unpack(value or b"") for value in answer.values] == [
        {(Channel.EMAIL, RecipientType.INDIVIDUAL): Consent(Status.APPROVED, NOW + number, "HS_WEB")}
        for number in numbers
    ]


async def test_what_was_taken_is_recalled_with_the_message(index: Any) -> None:
    """The look-up of a message says who has it already (design D2)."""
    digest, other = b"d" * 32, b"e" * 32
    assert await remember(index, digest, key(1), key(2))
    assert await remember(index, digest, key(3), key(2))
    await index.apply(BRAND, [], watermark_at=NOW)
    assert (await look_up(index, BRAND, key(1), digest=digest)).taken == {key(1), key(2), key(3)}
    assert (await look_up(index, BRAND, key(1), digest=other)).taken == frozenset()
    assert (await look_up(index, BRAND, key(1))).taken == frozenset()


async def test_many_look_ups_at_once_each_get_their_own_answer(index: Any) -> None:
    """Different brands, sizes and digests in one turn of the loop do not mix."""
    await index.apply(BRAND, [change(number, at=NOW + number) for number in range(50)], watermark_at=NOW)
    await index.apply(OTHER_BRAND, [], watermark_at=NOW + 1)
    for number in range(0, 50, 7):
        assert await remember(index, b"digest-%d" % number, key(number))
    answers: dict[int, Lookup | LookupFailure] = {}
    for number in range(50):
        brand = OTHER_BRAND if number % 3 == 0 else BRAND
        keys = [key(number + step) for step in range(number % 4)]
        digest = b"digest-%d" % number if number % 2 == 0 else None
        index.lookup(brand, keys, digest, lambda answer, number=number: answers.setdefault(number, answer))
    async with asyncio.timeout(5):
        while len(answers) < 50:
            await asyncio.sleep(0.001)
    for number, answer in answers.items():
        assert isinstance(answer, Lookup)
        assert answer.watermark_at == (NOW + 1 if number % 3 == 0 else NOW)
        expected = [number + step if number + step < 50 else None for step in range(number % 4)]
        assert [
            value and unpack(value)[Channel.EMAIL, RecipientType.INDIVIDUAL].consent_at - NOW for value in answer.values
        ] == expected
        assert answer.taken == ({key(number)} if number % 14 == 0 else frozenset())


async def test_the_outbox_gives_what_is_due_first(index: Any) -> None:
    """Reports come by due time, at most as many as asked, and only those due."""
    items = [OutboxItem(b"id-%d" % number, BRAND, NOW + 10 * number, b"sealed-%d" % number) for number in range(5)]
    await index.apply(BRAND, [change(1, Status.REJECTED, own=True)], outbox=items[::-1])
    assert await index.outbox_due(NOW + 25, 10) == items[:3]
    assert await index.outbox_due(NOW + 100, 2) == items[:2]
    assert await index.outbox_due(NOW - 1, 10) == []
    assert (await index.stats()).outbox == {BRAND: 5}


async def test_a_report_made_leaves_the_outbox(index: Any) -> None:
    """Removing twice is harmless, and so is adding the same item again while it waits."""
    items = [OutboxItem(b"id-%d" % number, BRAND, NOW, b"s" * 300) for number in range(3)]
    await index.apply(BRAND, [], outbox=items)
    await index.apply(BRAND, [], outbox=[items[0]._replace(due_at=NOW + 5), items[1]])
    assert await index.outbox_due(NOW + 10, 10) == items
    await index.outbox_remove(items[:2])
    await index.outbox_remove(items[:2])
    assert await index.outbox_due(NOW, 10) == items[2:]
    assert (await index.stats()).outbox == {BRAND: 1}


async def test_stats_count_by_brand_channel_type_and_status(index: Any) -> None:
    """The counters follow every change, those from one status to the other too."""
    await index.apply(BRAND, [change(number) for number in range(10)], watermark_at=NOW)
    await index.apply(BRAND, [change(number, Status.REJECTED, NOW + 1) for number in range(4)])
    await index.apply(OTHER_BRAND, [change(20, channel=Channel.SMS), change(20, recipient_type=RecipientType.BUSINESS)])
    stats = await index.stats()
    email, individual = Channel.EMAIL, RecipientType.INDIVIDUAL
    assert stats.records == {
        (BRAND, email, individual, Status.APPROVED): 6,
        (BRAND, email, individual, Status.REJECTED): 4,
        (OTHER_BRAND, Channel.SMS, individual, Status.APPROVED): 1,
        (OTHER_BRAND, email, RecipientType.BUSINESS, Status.APPROVED): 1,
    }
    assert stats.recipients == {BRAND: 10, OTHER_BRAND: 1}
    assert stats.watermarks == {BRAND: NOW}
    assert stats.revision == 3


async def test_closed_it_says_unreachable(index: Any) -> None:
    """A look-up after the end is answered, with a failure."""
    await index.close()
    assert await ask(index, BRAND, [key(1)]) is LookupFailure.UNREACHABLE


consents = st.builds(
    Consent,
    st.sampled_from(Status),
    st.integers(NOW, NOW + 1),
    st.sampled_from((*SOURCES[::12], SOURCES[-1])),
    st.booleans(),
)
# Keys that share their bucket in Redis, all but their last byte even: where the merge has the most to mix up.
close_changes = st.lists(
    st.builds(
        Change,
        st.sampled_from([bytes([third]) + bytes(6) + bytes([last]) for third in (64, 65) for last in (0, 1)]),
        st.sampled_from(CHANNELS),
        st.sampled_from(RECIPIENT_TYPES),
        consents,
    ),
    max_size=12,
)
examples = count(1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(close_changes, min_size=1, max_size=4))
async def test_any_changes_merge_as_the_definition_says(index: Any, batches: list[list[Change]]) -> None:
    """The merge inside each store, Redis's in Lua, equals filters.consent: values, count of changed keys, counters."""
    brand = next(examples)  # each example has keys and counters of its own in a store that is not emptied between
    batches = [[found._replace(key=brand.to_bytes(2, "big") + found.key) for found in batch] for batch in batches]
    keys = sorted({found.key for batch in batches for found in batch})
    expected: dict[bytes, bytes] = {}
    for batch in batches:
        before = dict(expected)
        for one in keys:
            merged = apply_changes(expected.get(one), [found for found in batch if found.key == one])
            if merged:
                expected[one] = merged
        applied = await index.apply(brand, batch)
        assert applied.changed == sum(before.get(one) != expected.get(one) for one in keys)
        assert (await look_up(index, brand, *keys)).values == [expected.get(one) for one in keys]
    counted = Counter(
        (brand, *slot, consent.status) for value in expected.values() for slot, consent in unpack(value).items()
    )
    stats = await index.stats()
    assert {found: number for found, number in stats.records.items() if found[0] == brand} == dict(counted)
    assert stats.recipients.get(brand, 0) == len(expected)


# -- notes ----------------------------------------------------------------------------------------------------------


async def keep(index: Any, name: bytes, sealed: bytes) -> bool:
    kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    index.keep_note(name, sealed, kept.set_result)
    return await asyncio.wait_for(kept, 5)


async def find(index: Any, *names: bytes) -> Any:
    found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    index.find_notes(list(names), found.set_result)
    return await asyncio.wait_for(found, 5)


async def test_a_note_is_found_under_its_name_and_no_other(index: Any) -> None:
    """Answers come in the order of the names; what was never kept is not there."""
    big = random.Random(5).randbytes(300_000)
    assert await keep(index, b"one", b"first")
    assert await keep(index, b"two", big)
    assert list(await find(index, b"two", b"three", b"one")) == [big, None, b"first"]
    assert list(await find(index)) == []


async def test_a_later_note_replaces_an_earlier_one_of_the_same_name(index: Any) -> None:
    assert await keep(index, b"one", b"first")
    assert await keep(index, b"one", b"second")
    assert list(await find(index, b"one")) == [b"second"]


async def claim(index: Any, name: bytes, sealed: bytes, keep_s: int = 60) -> bool | None:
    claimed: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
    index.claim_note(name, sealed, keep_s, claimed.set_result)
    return await asyncio.wait_for(claimed, 5)


async def test_of_all_who_claim_a_name_one_gets_it(index: Any) -> None:
    """At once or one after the other; a name that is kept already is nobody's to claim."""
    answers = await asyncio.gather(*(claim(index, b"claimed", b"by %d" % n) for n in range(8)))
    assert sorted(answers) == [False] * 7 + [True]
    assert list(await find(index, b"claimed")) == [b"by %d" % answers.index(True)]
    assert await keep(index, b"kept", b"first")
    assert await claim(index, b"kept", b"second") is False
    assert list(await find(index, b"kept")) == [b"first"]


async def lists_of(index: Any, *names: bytes) -> Any:
    found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    index.find_access(list(names), found.set_result)
    return await asyncio.wait_for(found, 5)


async def test_lists_of_dealers_are_found_by_consent_and_slot(index: Any) -> None:
    """In the order asked, None for one that nobody kept, and apart for each slot of a recipient."""
    mail = access_list(key(1), Channel.EMAIL, RecipientType.INDIVIDUAL, NOW, [10_000_001, 10_000_002])
    call = access_list(key(1), Channel.CALL, RecipientType.BUSINESS, NOW, [])
    await index.keep_access([mail, call])
    unknown = access_list(key(2), Channel.EMAIL, RecipientType.INDIVIDUAL, NOW, []).name
    assert list(await lists_of(index, call.name, unknown, mail.name)) == [call.packed, None, mail.packed]
    assert list(await lists_of(index)) == []


async def test_the_list_kept_last_counts(index: Any) -> None:
    """A list replaces the one before as a whole, in one call or in two."""
    lists = [
        access_list(key(1), Channel.EMAIL, RecipientType.INDIVIDUAL, NOW, [code]) for code in (10_000_003, 10_000_001)
    ]
    await index.keep_access([access_list(key(1), Channel.EMAIL, RecipientType.INDIVIDUAL, NOW, [10_000_009])])
    await index.keep_access(lists)
    await index.keep_access([])
    assert list(await lists_of(index, lists[0].name)) == [lists[1].packed]


async def test_lists_of_dealers_are_no_consents(index: Any) -> None:
    """They change no record, and a list without a consent permits nothing."""
    await index.apply(BRAND, [change(1)])
    before = await look_up(index, BRAND, key(1), key(2))
    await index.keep_access([access_list(key(2), Channel.EMAIL, RecipientType.INDIVIDUAL, NOW, [10_000_001])])
    assert (await look_up(index, BRAND, key(1), key(2))).values == before.values
    assert sum((await index.stats()).recipients.values()) == 1


async def test_a_list_under_a_name_of_another_length_is_refused(index: Any) -> None:
    """It would stand where nobody asks."""
    with pytest.raises(ValueError, match="lists of dealers"):
        await index.keep_access([AccessList(b"short", b"\0\0\0\0")])


async def test_without_a_mark_no_lists_are_kept(fresh_index: Any) -> None:
    """A store that is not initialised takes none, and a question that it cannot answer is no empty list."""
    with pytest.raises(OSError):
        await fresh_index.keep_access([access_list(key(1), Channel.EMAIL, RecipientType.INDIVIDUAL, NOW, [])])


async def test_what_is_remembered_of_a_message_can_be_taken_back(index: Any) -> None:
    """That and nothing else, also where it was never there."""

    async def forget(digest: bytes, *keys: bytes) -> bool:
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        index.forget_taken(digest, list(keys), done.set_result)
        return await asyncio.wait_for(done, 5)

    assert await remember(index, b"digest", key(1), key(2))
    assert await forget(b"digest", key(2), key(3))
    assert (await look_up(index, BRAND, key(1), digest=b"digest")).taken == {key(1)}
    assert await forget(b"digest", key(1))
    assert await forget(b"nobody's", key(1))
    assert (await look_up(index, BRAND, key(1), digest=b"digest")).taken == frozenset()
    assert await remember(index, b"digest", key(4))
    assert (await look_up(index, BRAND, key(1), digest=b"digest")).taken == {key(4)}
