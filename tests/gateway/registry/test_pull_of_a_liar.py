"""A feed in circles, one that ends too early or is cut for ever, a clock that jumps: nothing unread is ever claimed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from filters.registry.failures import CallFailure, Failure, ServerFault
from filters.registry.values import ChangesPage, ChangesSource, RegistryBrand
from filters.vocabulary import Status
from gateway.registry.ports import RegistryApi
from gateway.registry.pull import LAG_S, WINDOW_S
from tests.support.registry_world import RegistryWorld
from tests.support.sync_world import BRAND, SyncWorld, movement

HOUR_S, DAY_S = 3600, 86_400
Ask = Callable[[str | None], Any]
Answer = ChangesPage | CallFailure


class Between:
    """Stands between us and the registry's client. ``answer`` sees each question about citizens' movements: its
    number, its cursor, and how to put it to the registry."""

    def __init__(self, sync: SyncWorld, answer: Callable[[int, str | None, Ask], Any]) -> None:
        self._api = sync.link.api
        self._answer = answer
        self.asked = 0

    async def changes(
        self, brand: RegistryBrand, source: ChangesSource, after: str | None = None, limit: int = 1000
    ) -> Answer:
        async def ask(cursor: str | None) -> Answer:
            return await self._api.changes(brand, source, cursor, limit)

        if source is not ChangesSource.REGISTRY:
            return await ask(after)
        self.asked += 1
        answer: Answer = await self._answer(self.asked, after, ask)
        return answer


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.registry.pull.PAGE", 2)


async def turn(sync: SyncWorld, between: Between) -> Failure | None:
    return await sync.pull.turn(replace(sync.link, api=cast("RegistryApi", between)))  # all but one call is its


async def gave(world: RegistryWorld, count: int, apart_s: float = 1.0) -> None:
    for number in range(count):
        await world.sim("POST", "movements", [movement(f"p{number}@example.com", "ONAY")])
        await world.advance(apart_s)


def told(sync: SyncWorld) -> dict[str, Any]:
    found = sync.pull.describe()[str(BRAND)]
    assert isinstance(found, dict)
    return found


async def test_cursors_that_go_in_circles_end_the_turn(sync: SyncWorld, world: RegistryWorld) -> None:
    """Two cursors that lead to each other would be asked for until the end of days."""
    at = await sync.loaded()
    await gave(world, 4)
    await world.advance(2 * HOUR_S)

    async def answer(number: int, after: str | None, ask: Ask) -> Answer:
        assert number < 20, "it goes round and round"
        page = await ask(None)
        assert isinstance(page, ChangesPage)
        return page._replace(after=f"circle-{number % 2}")

    failure = await turn(sync, Between(sync, answer))
    assert failure is not None
    assert await sync.watermark() == at
    assert told(sync)["IYS"]["failure"]


async def test_an_empty_page_that_names_another_cursor_is_not_the_end(sync: SyncWorld, world: RegistryWorld) -> None:
    """A page may be empty because nothing on it is ours to see; behind it the feed goes on."""
    await sync.loaded()
    await gave(world, 4)
    await world.advance(2 * HOUR_S)

    async def answer(number: int, after: str | None, ask: Ask) -> Answer:
        page = await ask(after)
        return ChangesPage(page.after, ()) if number == 1 else page

    assert await turn(sync, Between(sync, answer)) is None
    assert await sync.status("p3@example.com") is Status.APPROVED


async def test_an_end_that_names_a_new_cursor_each_time_is_an_end(sync: SyncWorld, world: RegistryWorld) -> None:
    """What cursor an empty answer carries is not documented; it is followed a little way, and kept nowhere."""
    await sync.loaded()
    await gave(world, 1)
    await world.advance(2 * HOUR_S)

    async def answer(number: int, after: str | None, ask: Ask) -> Answer:
        assert number < 20, "it never ends"
        page = await ask(after if after is None or "_" in after else None)
        return page if number == 1 else ChangesPage(f"now-{number}", ())

    between = Between(sync, answer)
    assert await turn(sync, between) is None
    assert await sync.watermark() == int(world.clock.now()) - LAG_S
    asked = between.asked
    await world.sim("POST", "movements", [movement("later@example.com", "ONAY")])
    await world.advance(2 * HOUR_S)
    assert await sync.pull.turn(sync.link) is None
    assert asked < 10
    assert await sync.status("later@example.com") is Status.APPROVED


async def test_a_machine_that_slept_for_a_week_between_two_pages_tells_the_gap(
    sync: SyncWorld, world: RegistryWorld
) -> None:
    """The feed goes on where its window begins, and says nothing of what it leaves out."""
    at = await sync.loaded()
    await gave(world, 3)
    await world.advance(2 * HOUR_S)

    async def answer(number: int, after: str | None, ask: Ask) -> Answer:
        page = await ask(after)
        if number == 1:
            await world.sim("POST", "movements", [movement("lost@example.com", "ONAY")])
            await world.advance(WINDOW_S + DAY_S)
        return page

    await turn(sync, Between(sync, answer))
    assert await sync.status("lost@example.com") is None
    assert told(sync)["gap_since_at"] == at
    assert await sync.watermark() == at


async def test_a_clock_that_ran_ahead_hides_no_gap(sync: SyncWorld, world: RegistryWorld) -> None:
    """While it was ten days ahead a turn ended well; what was noted then is not believed once it is right again."""
    await sync.loaded()
    sync.pull._clock = lambda: world.clock.now() + 10 * DAY_S
    assert await sync.pull.turn(sync.link) is None
    sync.pull._clock = world.clock.now
    assert await sync.pull.turn(sync.link) is None
    assert told(sync)["IYS"]["known_until_at"] == int(world.clock.now()) - LAG_S


async def test_a_feed_that_is_cut_again_and_again_is_read_to_its_end_all_the_same(
    sync: SyncWorld, world: RegistryWorld
) -> None:
    """Two pages a turn, and a quarter of an hour between turns: each goes on where the last one stopped."""
    await gave(world, 40, 600)
    await world.advance(WINDOW_S - 40 * 600 - HOUR_S)
    await sync.loaded()

    async def answer(number: int, after: str | None, ask: Ask) -> Answer:
        return ServerFault(503, ()) if number % 3 == 0 else await ask(after)

    between = Between(sync, answer)
    for _ in range(14):
        if await turn(sync, between) is None:
            break
        await world.advance(900)
    else:
        raise AssertionError("it begins anew each time")
    assert await sync.status("p39@example.com") is Status.APPROVED
