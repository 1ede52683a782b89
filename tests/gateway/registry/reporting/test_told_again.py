"""A refusal that the registry could not take is told again once the registry holds the consent it is a refusal of."""

from __future__ import annotations

from typing import Any

import pytest

from filters.vocabulary import Channel, RecipientType, Status
from gateway.refusals import RefusalReports
from gateway.registry.pull import Pull
from gateway.registry.questions import QuestionBook
from gateway.registry.unheard import UnheardRefusals
from loadtest.registry.rules.dates import render_instant
from tests.support.registry_world import CONSENTS, item
from tests.support.reporting_world import HOUR_S, KEYS, SEAL, ReportingWorld
from tests.support.sync_world import SEAL as NOTE_SEAL

AYSE = "ayse@example.com"
MAIL = (Channel.EMAIL, RecipientType.INDIVIDUAL)


@pytest.fixture
def pull(world: ReportingWorld) -> Pull:
    """Reads the feed for the same index, by the same clock."""
    return Pull(
        [world.link],
        world.store,
        world.store,
        QuestionBook(world.store, NOTE_SEAL),
        KEYS,
        unheard=UnheardRefusals(world.store, KEYS, RefusalReports(SEAL, world.calendar)),
        clock=world.now,
    )


async def register(world: ReportingWorld, at: float, **changes: Any) -> None:
    """A consent that the sender tells the registry by another way than ours."""
    await world.registry.login()
    added = await world.registry.call("POST", CONSENTS, item(recipient=AYSE, consentDate=render_instant(at), **changes))
    assert added.status == 200, added


async def test_a_consent_registered_after_its_refusal_brings_the_refusal_to_the_registry(
    world: ReportingWorld, pull: Pull
) -> None:
    """Given at ten, refused at noon, registered by the shop's own system at two: the registry hears of the refusal."""
    given_at = world.now() - 2 * HOUR_S
    await world.refuse(AYSE)
    await world.work()
    assert (world.stored(AYSE), await world.waiting()) == (None, [])
    await world.registry.advance(2 * HOUR_S)
    await register(world, given_at)
    await world.registry.advance(2 * HOUR_S)
    assert await pull.turn(world.link) is None
    assert (await world.state(AYSE))[MAIL].status is Status.REJECTED
    (waiting,) = await world.waiting()
    assert waiting.due_at == world.calendar.due_at(int(given_at) + 2 * HOUR_S), "its deadline runs from the refusal"
    await world.work()
    assert world.stored(AYSE) == ("RET", "HS_WEB")
    held = (await world.state(AYSE))[MAIL]
    assert (held.status, held.own) == (Status.REJECTED, False)


async def test_it_is_told_once_however_often_the_feed_is_read(world: ReportingWorld, pull: Pull) -> None:
    """Whether it still waits or has been taken."""
    await world.refuse(AYSE)
    await world.work()
    await register(world, world.now() - HOUR_S)
    await world.registry.advance(2 * HOUR_S)
    for _ in range(2):
        await world.store.keep(f"pull/{world.brand}/HS", None)
        await pull.turn(world.link)
    assert len(await world.waiting()) == 1
    await world.work()
    await world.store.keep(f"pull/{world.brand}/HS", None)
    await pull.turn(world.link)
    assert await world.waiting() == []
    assert len(world.stored_times()) == 2, "the consent and its refusal"


@pytest.mark.parametrize("later", [True, False], ids=["later-consent", "no-refusal"])
async def test_other_consents_bring_nothing(world: ReportingWorld, pull: Pull, later: bool) -> None:
    """One from after the refusal lifts it; without a refusal there is nothing to tell."""
    if later:
        await world.refuse(AYSE)
        await world.work()
        await world.registry.advance(60)
    await register(world, world.now())
    await world.registry.advance(2 * HOUR_S)
    await pull.turn(world.link)
    assert await world.waiting() == []
    assert (await world.state(AYSE))[MAIL].status is Status.APPROVED


async def test_a_refusal_of_the_other_recipient_type_is_not_told(world: ReportingWorld, pull: Pull) -> None:
    """The registry holds nothing of that type to be refused."""
    await world.refuse(AYSE, kind=RecipientType.BUSINESS)
    await world.work()
    await register(world, world.now() - HOUR_S)
    await world.registry.advance(2 * HOUR_S)
    await pull.turn(world.link)
    assert await world.waiting() == []
