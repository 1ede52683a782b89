"""Pull: everything the registry stored until an hour ago, once the feed was read to its end; never more is claimed."""

from __future__ import annotations

import orjson
import pytest

from filters.consent import Change, Consent
from filters.registry.merging import read_movements, subjects_of
from filters.registry.values import ConsentSubject, Movement
from filters.registry.words import find_source
from filters.vocabulary import Channel, RecipientType, Status
from gateway.registry.feed_place import unpack_place
from gateway.registry.pull import LAG_S, WINDOW_S
from tests.support.registry_world import CONSENTS, RegistryWorld, item
from tests.support.sync_world import BRAND, KEYS, SLOT, SyncWorld, movement

HOUR_S, DAY_S = 3600, 86_400


async def give(world: RegistryWorld, *movements: dict[str, object]) -> None:
    await world.sim("POST", "movements", list(movements))


async def test_a_refusal_is_in_the_index_after_the_feeds_lag_and_not_before(
    sync: SyncWorld, world: RegistryWorld
) -> None:
    """The feed never shows the last hour; the watermark says so by being an hour behind the question."""
    await sync.loaded()
    await world.call("POST", CONSENTS, item(recipient="ayse@example.com"))
    await world.advance(60)
    await give(world, movement("ayse@example.com"))
    await world.advance(59 * 60)
    assert await sync.pull.turn(sync.link) is None
    assert await sync.status("ayse@example.com") is not Status.REJECTED
    await world.advance(2 * 60)
    assert await sync.pull.turn(sync.link) is None
    assert await sync.status("ayse@example.com") is Status.REJECTED
    assert await sync.watermark() == int(world.clock.now()) - LAG_S


async def test_both_sources_are_read(sync: SyncWorld, world: RegistryWorld) -> None:
    """What the provider itself sent is as much a part of the registry as what citizens did there."""
    await sync.loaded()
    await world.call("POST", CONSENTS, item(recipient="hs@example.com"))
    await give(world, movement("iys@example.com", "ONAY", source="IYS_WEB_YENI"))
    await world.advance(2 * HOUR_S)
    await sync.pull.turn(sync.link)
    assert await sync.status("hs@example.com") is Status.APPROVED
    assert await sync.status("iys@example.com") is Status.APPROVED


async def test_pages_are_followed_to_the_last(
    sync: SyncWorld, world: RegistryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven movements by pages of two, and one question more to be sure that nothing follows."""
    monkeypatch.setattr("gateway.registry.pull.PAGE", 2)
    await sync.loaded()
    for number in range(7):
        await give(world, movement(f"p{number}@example.com", "ONAY"))
        await world.advance(1)
    await world.advance(2 * HOUR_S)
    await sync.pull.turn(sync.link)
    assert [await sync.status(f"p{number}@example.com") for number in range(7)] == [Status.APPROVED] * 7


async def test_without_a_load_nothing_is_claimed(sync: SyncWorld, world: RegistryWorld) -> None:
    """A cold brand stays cold: seven days of changes are not the registry."""
    await give(world, movement("ayse@example.com", "ONAY"))
    await world.advance(2 * HOUR_S)
    await sync.pull.turn(sync.link)
    assert await sync.status("ayse@example.com") is Status.APPROVED
    assert await sync.watermark() is None


async def test_a_load_that_the_feed_reaches_back_to_is_carried_on(sync: SyncWorld, world: RegistryWorld) -> None:
    """An import as of six days ago and the feed make one stretch, whichever came first."""
    await sync.pull.turn(sync.link)
    await sync.loaded(6 * DAY_S)
    await sync.pull.turn(sync.link)
    assert await sync.watermark() == int(world.clock.now()) - LAG_S


async def test_a_gap_over_seven_days_stops_the_watermark_and_is_told(sync: SyncWorld, world: RegistryWorld) -> None:
    """Movements still come in; what lay between nobody knows, so the index is said to be as old as it is."""
    at = await sync.loaded()
    await world.advance(HOUR_S)
    await sync.pull.turn(sync.link)
    await give(world, movement("lost@example.com", "ONAY"))
    await world.advance(WINDOW_S + DAY_S)
    await give(world, movement("seen@example.com", "ONAY"))
    await world.advance(2 * HOUR_S)
    for _ in range(2):
        await sync.pull.turn(sync.link)
        told = sync.pull.describe()[str(BRAND)]
        assert isinstance(told, dict)
        assert told["gap_since_at"] == at
        assert await sync.watermark() == at
    assert await sync.status("lost@example.com") is None
    assert await sync.status("seen@example.com") is Status.APPROVED


async def test_a_gap_is_closed_by_a_complete_load(sync: SyncWorld, world: RegistryWorld) -> None:
    """From its date on the feed goes on without a hole."""
    await sync.loaded()
    await sync.pull.turn(sync.link)
    await world.advance(WINDOW_S + DAY_S)
    await sync.pull.turn(sync.link)
    await sync.loaded(HOUR_S)
    await world.advance(2 * HOUR_S)
    await sync.pull.turn(sync.link)
    told = sync.pull.describe()[str(BRAND)]
    assert isinstance(told, dict)
    assert told["gap_since_at"] is None
    assert await sync.watermark() == int(world.clock.now()) - LAG_S


async def test_a_cursor_the_registry_does_not_know_costs_repetition_only(sync: SyncWorld, world: RegistryWorld) -> None:
    """Reading begins at the window's edge, and the watermark goes on."""
    await sync.loaded()
    await give(world, movement("ayse@example.com", "ONAY"))
    await world.advance(2 * HOUR_S)
    await sync.pull.turn(sync.link)
    name = f"pull/{BRAND}/IYS"
    place = unpack_place(await sync.store.recall(name))
    assert place is not None
    assert place.after
    await sync.store.keep(name, place._replace(after="not-a-cursor").pack())
    await world.advance(HOUR_S)
    await sync.pull.turn(sync.link)
    assert await sync.watermark() == int(world.clock.now()) - LAG_S
    assert await sync.status("ayse@example.com") is Status.APPROVED


async def test_a_registry_that_fails_leaves_everything_as_it_was(sync: SyncWorld, world: RegistryWorld) -> None:
    """The failure is told in a word, the watermark does not move, and the next turn makes up for it."""
    at = await sync.loaded()
    await world.advance(2 * HOUR_S)
    await world.sim("PUT", "faults", {"faults": [{"kind": "status", "status": 500, "path": "changes"}]})
    assert await sync.pull.turn(sync.link) is not None
    told = sync.pull.describe()[str(BRAND)]
    assert isinstance(told, dict)
    assert told["IYS"]["failure"] == "server_fault 500"
    assert await sync.watermark() == at
    await world.sim("DELETE", "faults")
    assert await sync.pull.turn(sync.link) is None
    assert await sync.watermark() == int(world.clock.now()) - LAG_S


async def test_a_cut_between_two_pages_goes_on_where_it_was(
    sync: SyncWorld, world: RegistryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read is kept; only the rest is asked for again."""
    monkeypatch.setattr("gateway.registry.pull.PAGE", 2)
    await sync.loaded()
    for number in range(5):
        await give(world, movement(f"p{number}@example.com", "ONAY"))
        await world.advance(1)
    await world.advance(2 * HOUR_S)
    await world.sim("PUT", "faults", {"faults": [{"kind": "cut", "path": "changes", "after": 1, "count": 1}]})
    assert await sync.pull.turn(sync.link) is not None
    assert await sync.status("p1@example.com") is Status.APPROVED
    assert await sync.status("p4@example.com") is None
    await sync.pull.turn(sync.link)
    assert await sync.status("p4@example.com") is Status.APPROVED


@pytest.mark.parametrize("garbage", [b"", b"null", b"[]", b"{}", b'{"after":1,"since":2,"until":3}', b"\xff"])
def test_a_place_that_cannot_be_read_is_none(garbage: bytes) -> None:
    """Reading then begins anew, which only repeats."""
    assert unpack_place(garbage) is None


async def test_a_closed_line_without_a_date_refuses_as_of_its_creation(sync: SyncWorld, world: RegistryWorld) -> None:
    """``IYS_AHS_HAT_KAPATMA`` with an empty ``consentDate`` (İYS API reference, 6.7)."""
    await sync.loaded()
    phone = "+905320000001"
    consent = item(recipient=phone, type="MESAJ", recipientType="TACIR", consentDate=..., source=...)
    reply = await world.call("POST", CONSENTS, consent)
    assert reply.status == 200, reply
    await world.advance(HOUR_S)
    await give(
        world,
        movement(phone, type="MESAJ", recipientType="TACIR", source="IYS_AHS_HAT_KAPATMA"),
    )
    await world.advance(2 * HOUR_S)
    await sync.pull.turn(sync.link)
    found = (await sync.state(phone))[Channel.SMS, RecipientType.BUSINESS]
    assert found.status is Status.REJECTED
    assert found.source == "IYS_AHS_HAT_KAPATMA"


async def test_what_waits_for_an_answer_holds_the_watermark(sync: SyncWorld, world: RegistryWorld) -> None:
    """A will that could not be read is not known; asked and answered, the watermark moves on."""
    at = await sync.loaded()
    await world.call("POST", CONSENTS, item(recipient="ayse@example.com"))
    await world.advance(2 * HOUR_S)
    await sync.book.add(BRAND, [sync_subject("ayse@example.com")])
    await sync.pull.turn(sync.link)
    assert await sync.watermark() == at
    await sync.questions.ask(sync.link)
    assert await sync.status("ayse@example.com") is Status.APPROVED
    await sync.pull.turn(sync.link)
    assert await sync.watermark() == int(world.clock.now()) - LAG_S


def sync_subject(recipient: str) -> ConsentSubject:
    return ConsentSubject(recipient, Channel.EMAIL, RecipientType.INDIVIDUAL)


@pytest.mark.parametrize("source", ["", "?", None])
async def test_a_refusal_without_a_source_is_lifted_by_a_later_consent_only(
    sync: SyncWorld, world: RegistryWorld, source: str | None
) -> None:
    """It is no taking back of our own, which an older consent of the registry's would lift."""
    await world.call("POST", CONSENTS, item(recipient="ayse@example.com"))
    at = int(world.clock.now())
    refused = Movement(ConsentSubject("ayse@example.com", *SLOT), Status.REJECTED, find_source(source), at, at, "t")
    found = read_movements((refused,), (), lambda address: KEYS.derive(BRAND, address))
    await sync.store.apply(BRAND, found.changes)
    await sync.book.add(BRAND, [refused.subject])
    await sync.questions.ask(sync.link)
    assert await sync.status("ayse@example.com") is Status.REJECTED


@pytest.mark.parametrize("person", ["ayşe@example.com", "o'hara@example.com"])
async def test_who_cannot_be_asked_for_is_refused_and_holds_up_nobody(
    sync: SyncWorld, world: RegistryWorld, person: str
) -> None:
    """An address that we take and the registry's queries do not: its will is unknown, which means no."""
    await world.call("POST", CONSENTS, item(recipient="next@example.com"))
    await sync.store.apply(
        BRAND,
        [Change(KEYS.derive(BRAND, person.encode()), *SLOT, Consent(Status.APPROVED, 1_700_000_000, "HS_WEB"))],
    )
    await sync.book.add(BRAND, [*subjects_of(person), *subjects_of("next@example.com")])
    await sync.questions.ask(sync.link)
    assert await sync.book.waiting(BRAND) == ()
    assert await sync.status(person) is Status.REJECTED
    assert await sync.status("next@example.com") is Status.APPROVED


async def test_questions_lie_sealed_in_the_store(sync: SyncWorld) -> None:
    """They hold an address, which the store must not show (KVKK)."""
    await sync.book.add(BRAND, [sync_subject("ayse@example.com")])
    packed = await sync.store.recall(f"question/{BRAND}")
    assert packed
    assert b"ayse" not in packed
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(packed)
