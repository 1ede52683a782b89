"""Clocks that jump, consents that come after the refusal they precede, processes that begin when results wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from filters.registry.failures import CallFailure, Failure
from filters.registry.values import BulkAccepted, ConsentToAdd, RegistryBrand
from filters.vocabulary import Channel, RecipientType, Status
from gateway.registry.pending import PendingState
from gateway.registry.ports import RegistryApi
from gateway.registry.reporting.flights import FIRST_POLL_S
from tests.support.reporting_world import DAY_S, HOUR_S, ReportingWorld, consent

AYSE = "ayse@example.com"
MAIL = (Channel.EMAIL, RecipientType.INDIVIDUAL)


class OddIds:
    """The registry's client, but lists are taken under another id than the registry gave."""

    def __init__(self, api: RegistryApi, request_id: str) -> None:
        self._api = api
        self._request_id = request_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)

    async def bulk_add(self, brand: RegistryBrand, items: Sequence[ConsentToAdd]) -> BulkAccepted | CallFailure:
        answer = await self._api.bulk_add(brand, items)
        return answer if isinstance(answer, Failure) else answer._replace(request_id=self._request_id)


async def test_a_consent_from_before_a_refusal_of_ours_is_not_registered_any_more(world: ReportingWorld) -> None:
    """The registry did not take the refusal (H175); a consent that came before it would stand there unopposed."""
    await world.refuse(AYSE)
    await world.work()
    assert world.stored(AYSE) is None
    await world.registry.advance(HOUR_S)
    report = await world.hand_over(consent(AYSE, int(world.now()) - DAY_S))
    await world.work_for(10, 1)
    assert world.stored(AYSE) is None
    assert (await world.state(AYSE))[MAIL].status is Status.REJECTED
    assert (await world.waiting(), await world.parked()) == ([], {})
    found = await world.notes.find(report.item_id)
    assert found is not None
    assert found.state is PendingState.SUPERSEDED


async def test_a_consent_from_after_a_refusal_of_ours_is_registered(world: ReportingWorld) -> None:
    """The later will, as anywhere."""
    await world.refuse(AYSE)
    await world.work()
    await world.registry.advance(HOUR_S)
    await world.hand_over(consent(AYSE, int(world.now()) - 60))
    await world.work_for(10, 1)
    assert world.stored(AYSE) == ("ONAY", "HS_WEB")
    assert (await world.state(AYSE))[MAIL].status is Status.APPROVED


async def test_a_process_that_begins_when_results_wait_sends_nothing_twice(world: ReportingWorld) -> None:
    """It knows what is on its way before it asks what became of it."""
    for number in range(40):
        world.consented(f"kisi{number}@example.com")
        await world.refuse(f"kisi{number}@example.com")
    await world.work()
    await world.registry.advance(FIRST_POLL_S + 60)
    world.make_reporter()
    await world.work_for(2 * FIRST_POLL_S, 30)
    assert await world.waiting() == []
    assert world.operations()["bulk-v2"] + world.operations()["add-v2"] == 1


@pytest.mark.parametrize("kind", ["maintenance", "cut"])
async def test_a_pause_ends_though_the_clock_is_set_back(world: ReportingWorld, kind: str) -> None:
    """While the clock was a day ahead the registry could not be reached; both are mended."""
    world.consented(AYSE)
    world.ahead_s = DAY_S
    await world.registry.sim("PUT", "faults", {"faults": [{"kind": kind}]})
    await world.refuse("other@example.com")
    await world.work()
    await world.registry.sim("DELETE", "faults")
    world.ahead_s = 0.0
    await world.refuse(AYSE)
    await world.work_for(600, 60)
    assert world.stored(AYSE) == ("RET", "HS_WEB")


async def test_a_refusal_dated_by_a_clock_that_ran_ahead_is_reported_all_the_same(world: ReportingWorld) -> None:
    """Its date lies days ahead once the clock is right again; it was made before now, and its deadline runs."""
    world.consented(AYSE)
    world.ahead_s = 30.0 * DAY_S
    await world.refuse(AYSE)
    world.ahead_s = 0.0
    await world.work_for(300, 60)
    assert world.stored(AYSE) == ("RET", "HS_WEB")
    assert (await world.waiting(), await world.parked()) == ([], {})
    assert (await world.state(AYSE))[MAIL].status is Status.REJECTED


async def test_a_consent_whose_refusal_still_waits_goes_first(world: ReportingWorld) -> None:
    """Both came while the registry was down: it hears of both, in the order of their dates."""
    await world.registry.sim("PUT", "faults", {"faults": [{"kind": "maintenance"}]})
    await world.refuse(AYSE)
    await world.work()
    await world.hand_over(consent(AYSE, int(world.now()) - HOUR_S))
    await world.registry.sim("DELETE", "faults")
    await world.work_for(60, 5)
    assert world.stored(AYSE) == ("RET", "HS_WEB")
    assert (await world.waiting(), await world.parked()) == ([], {})


@pytest.mark.parametrize("request_id", ["x" * 32, "1" * 20, "a1" * 20, "a1" * 200, "ş1"])
async def test_a_list_that_cannot_be_asked_for_is_told_one_by_one(world: ReportingWorld, request_id: str) -> None:
    """The registry took it under an id that it does not let anybody ask for; nothing else waits for that."""
    for number in range(25):
        world.consented(f"kisi{number}@example.com")
        await world.refuse(f"kisi{number}@example.com")
    world.link = replace(world.link, api=cast("RegistryApi", OddIds(world.client, request_id)))  # all but one call
    world.make_reporter()
    await world.work_for(FIRST_POLL_S, 30)
    assert (await world.waiting(), await world.parked()) == ([], {})
    assert len(world.stored_times()) == 25
