"""A kill between any two writes of the reporter only repeats: each refusal is stored once, and none is forgotten."""

from __future__ import annotations

import random
from typing import Any

import pytest

from filters.vocabulary import Channel, RecipientType, Status
from gateway.registry.pending import ConsentNotes, PendingState
from gateway.registry.reporting.reporter import Reporter
from tests.support.reporting_world import DAY_S, HOUR_S, SEAL, ReportingWorld, consent

MAIL = (Channel.EMAIL, RecipientType.INDIVIDUAL)
WRITES = frozenset({"apply", "keep", "replace", "outbox_remove"})


class Killed(BaseException):
    """The process is gone."""


class MortalStore:
    """The world's store, which passes on so many writes; ``is_done``: the last one reaches the disk, or it does not."""

    def __init__(self, store: Any, writes: int, *, is_done: bool) -> None:
        self._store = store
        self._left = writes
        self._is_done = is_done

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in WRITES:
            return found

        async def write(*given: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left > 0 or self._is_done:
                done = await found(*given, **named)
            if self._left <= 0:
                raise Killed
            return done

        return write


@pytest.mark.parametrize("is_done", [True, False], ids=["after-the-write", "before-the-write"])
@pytest.mark.parametrize("seed", range(4))
async def test_a_kill_at_any_write_of_a_report_is_made_up_for(world: ReportingWorld, is_done: bool, seed: int) -> None:
    """Lists and single reports, those the registry refuses among them; no process lives to see its fifth write."""
    chance = random.Random(seed)
    listed = [f"kisi{number}@example.com" for number in range(25)]
    for person in listed:
        world.consented(person)
        await world.refuse(person)
    await world.refuse("never@example.com")
    await world.refuse("lost@example.com", is_known=False)
    report = await world.hand_over(consent("new@example.com", int(world.now()) - HOUR_S))
    late = await world.hand_over(consent("late@example.com", int(world.now()) - 20 * DAY_S))
    kills = 0
    for _ in range(100):
        mortal: Any = MortalStore(world.store, chance.randrange(1, 5), is_done=is_done)
        reporter = Reporter(
            mortal,
            mortal,
            {world.brand: world.link},
            SEAL,
            notes=ConsentNotes(mortal),
            observer=world.observer,
            clock=world.now,
        )
        try:
            for _ in range(40):
                await reporter.step()
                await world.registry.advance(40)
        except Killed:
            kills += 1
            continue
        break
    assert kills >= 2
    assert await world.waiting() == []
    assert await world.parked() == {"address_unknown": 1, "H467": 1}
    assert all(world.stored(person) == ("RET", "HS_WEB") for person in listed)
    assert world.stored("new@example.com") == ("ONAY", "HS_WEB")
    assert len(world.stored_times()) == len(listed) + 1
    assert (await world.state("never@example.com"))[MAIL].status is Status.REJECTED
    assert (await world.state("lost@example.com"))[MAIL].status is Status.REJECTED
    states = [await world.notes.find(each.item_id) for each in (report, late)]
    assert [each.state for each in states if each is not None] == [PendingState.STORED, PendingState.REFUSED]
