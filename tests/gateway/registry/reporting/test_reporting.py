"""What becomes of refusals on their way from the outbox to the registry."""

from __future__ import annotations

import asyncio
import random

import pytest

from filters.exchange import OutboxItem
from filters.vocabulary import Channel, RecipientType, Status
from gateway.registry.pending import PendingState
from gateway.registry.reporting.fates import Fate
from gateway.registry.reporting.flights import FIRST_POLL_S
from tests.support.reporting_world import DAY_S, HOUR_S, ReportingWorld, consent

AYSE = "ayse@example.com"


def people(count: int) -> list[str]:
    return [f"kisi{number}@example.com" for number in range(count)]


async def test_a_refusal_reaches_the_registry_and_leaves_the_outbox(world: ReportingWorld) -> None:
    """One refusal goes alone, at once, with its own date and source."""
    world.consented(AYSE)
    await world.refuse(AYSE)
    await world.work()
    assert world.stored(AYSE) == ("RET", "HS_WEB")
    assert await world.waiting() == []
    held = (await world.state(AYSE))[Channel.EMAIL, RecipientType.INDIVIDUAL]
    assert (held.status, held.own) == (Status.REJECTED, False), "the registry holds it now: no longer only ours"


async def test_a_refusal_that_the_registry_never_had_a_consent_for_stays_in_force_here(world: ReportingWorld) -> None:
    """H175 ends the report and not the refusal (edge case E2)."""
    await world.refuse(AYSE)
    await world.work()
    assert world.stored(AYSE) is None
    assert await world.waiting() == []
    assert await world.parked() == {}
    held = (await world.state(AYSE))[Channel.EMAIL, RecipientType.INDIVIDUAL]
    assert (held.status, held.own) == (Status.REJECTED, True)
    assert world.observer.fates[Fate.VETO, "H175"] == 1


async def test_a_refusal_of_both_types_is_told_for_both_but_never_in_one_second(world: ReportingWorld) -> None:
    """Movements of one address and channel within a second would share their transaction id."""
    world.consented(AYSE)
    world.consented(AYSE, kind="TACIR")
    await world.refuse(AYSE, kind=None)
    await world.work()
    assert len(world.stored_times()) == 1
    await world.work_for(4, 1)
    first, second = world.stored_times()
    assert second - first >= 1
    assert world.stored(AYSE, "TACIR") == world.stored(AYSE) == ("RET", "HS_WEB")
    assert await world.waiting() == []


async def test_a_refusal_the_registry_already_holds_counts_as_reported(world: ReportingWorld) -> None:
    """H174 is success."""
    world.consented(AYSE, status="ONAY")
    world.consented(AYSE, status="RET", ago_s=HOUR_S)
    await world.refuse(AYSE)
    await world.work()
    assert await world.waiting() == []
    assert world.observer.fates[Fate.HELD, "H174"] == 1


async def test_a_later_consent_at_the_registry_is_taken_over(world: ReportingWorld) -> None:
    """H178: the status is asked, and the later will rules here too (edge case E3)."""
    world.consented(AYSE)
    await world.refuse(AYSE)
    await world.registry.advance(HOUR_S)
    world.consented(AYSE, status="RET", ago_s=90)
    world.consented(AYSE, ago_s=60)
    await world.work()
    assert await world.waiting() == []
    assert world.observer.fates[Fate.SUPERSEDED, "H178"] == 1
    assert (await world.state(AYSE))[Channel.EMAIL, RecipientType.INDIVIDUAL].status is Status.APPROVED


async def test_many_refusals_go_as_a_list_that_is_asked_for_after_five_minutes(world: ReportingWorld) -> None:
    """No poll before 300 s, and nothing leaves the outbox before the registry says that it is stored."""
    for person in people(60):
        world.consented(person)
        await world.refuse(person)
    await world.work()
    assert world.operations()["bulk-v2"] == 1
    await world.work_for(FIRST_POLL_S - 10, 20)
    assert len(await world.waiting()) == 60
    assert sum(number for name, number in world.operations().items() if "poll" in name) == 0
    await world.work_for(30, 10)
    assert await world.waiting() == []
    assert len(world.stored_times()) == 60


async def test_one_bad_item_does_not_hold_up_the_others_of_its_list(world: ReportingWorld) -> None:
    """A list is refused as a whole, with the places of what is wrong: those are taken out, the rest goes again."""
    for person in people(30):
        world.consented(person)
        await world.refuse(person)
    at = int(world.now()) - 9 * DAY_S
    await world.hand_over(consent("eski@example.com", at))
    late = await world.waiting()
    # Its deadline says that it is in time, as with holidays that the registry does not know.
    (item,) = [each for each in late if each.due_at < world.now()]
    await world.store.outbox_remove([item])
    await world.store.apply(world.brand, [], outbox=[item._replace(due_at=late[-1].due_at)])
    await world.work_for(FIRST_POLL_S + 60, 30)
    assert await world.waiting() == []
    assert len(world.stored_times()) == 30
    assert await world.parked() == {"H467": 1}
    assert world.operations()["bulk-v2"] == 2


async def test_a_report_that_is_too_old_is_kept_where_a_person_sees_it(world: ReportingWorld) -> None:
    """H467: the deadline is missed, counted, and nothing is thrown away."""
    world.consented(AYSE)
    await world.refuse(AYSE)
    await world.registry.advance(10 * DAY_S)
    await world.work()
    assert await world.parked() == {"H467": 1}
    assert world.observer.fates[Fate.LATE, "H467"] == 1
    assert world.stored(AYSE) == ("ONAY", "IYS_WEB_YENI")
    held = (await world.state(AYSE))[Channel.EMAIL, RecipientType.INDIVIDUAL]
    assert (held.status, held.own) == (Status.REJECTED, True)


async def test_a_report_that_is_too_old_can_be_told_as_the_brands_own_decision(world: ReportingWorld) -> None:
    """``HS_KARAR`` dates no person's will falsely: from today the brand itself does not send any more."""
    world.consented(AYSE)
    await world.refuse(AYSE)
    await world.registry.advance(10 * DAY_S)
    world.make_reporter(is_late_own_decision=True)
    await world.work_for(5, 1)
    assert world.stored(AYSE) == ("RET", "HS_KARAR")
    assert (await world.waiting(), await world.parked()) == ([], {})
    assert world.observer.fates[Fate.LATE, "H467"] == 1, "the missed deadline is counted all the same"


async def test_a_refusal_without_its_address_is_kept_for_a_person_to_find_it(world: ReportingWorld) -> None:
    """The registry knows no hashes."""
    await world.refuse(AYSE, is_known=False)
    await world.work()
    assert await world.parked() == {"address_unknown": 1}
    assert await world.waiting() == []


async def test_a_refusal_that_brings_the_address_later_is_reported(world: ReportingWorld) -> None:
    world.consented(AYSE)
    await world.refuse(AYSE, is_known=False)
    await world.work()
    await world.refuse(AYSE)
    await world.work()
    assert world.stored(AYSE) == ("RET", "HS_WEB")
    assert await world.parked() == {"address_unknown": 1}


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "code", "code": "H124"},
        {"kind": "code", "code": "H083"},
        {"kind": "code", "code": "H123"},
        {"kind": "code", "code": "H192"},
        {"kind": "code", "code": "H015"},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 429},
        {"kind": "maintenance"},
        {"kind": "half"},
        {"kind": "cut"},
        {"kind": "cut-after"},
        {"kind": "garbage"},
        {"kind": "code", "code": "H353"},
        {"kind": "code", "code": "H520"},
        {"kind": "code", "code": "H525"},
    ],
    ids=lambda fault: fault.get("code") or f"{fault['kind']}{fault.get('status', '')}",
)
@pytest.mark.parametrize("count", [2, 30])
async def test_bad_weather_loses_nothing_and_stores_nothing_twice(
    world: ReportingWorld, fault: dict[str, object], count: int
) -> None:
    """While it lasts nothing leaves the outbox; afterwards each refusal is stored once."""
    for person in people(count):
        world.consented(person)
        await world.refuse(person)
    await world.registry.sim("PUT", "faults", {"faults": [fault | {"path": "/consents", "count": 3}]})
    await world.work()
    assert len(await world.waiting()) >= count - 1
    await world.work_for(1.5 * HOUR_S, 120)
    assert await world.waiting() == []
    assert await world.parked() == {}
    assert len(world.stored_times()) == count


async def test_it_holds_back_longer_while_the_registry_is_down(world: ReportingWorld) -> None:
    """Failed requests count against the account: in an hour there are few."""
    world.consented(AYSE)
    await world.refuse(AYSE)
    await world.registry.sim("PUT", "faults", {"faults": [{"kind": "maintenance", "path": "/consents"}]})
    await world.work_for(HOUR_S, 5)
    calls = world.operations()["add-v2"]
    assert 3 <= calls <= 40
    assert world.reporter.describe()["blocked"]


async def test_no_second_movement_of_an_address_goes_while_the_first_is_in_work(world: ReportingWorld) -> None:
    """Consent and refusal of one person go one after the other, in the order of their dates."""
    now = int(world.now())
    for person in people(30):
        await world.hand_over(consent(person, now - 3600))
        await world.refuse(person)
    await world.work()
    await world.work_for(20, 5)
    assert world.operations()["bulk-v2"] == 1, "the refusals wait for the answer to the consents"
    await world.work_for(2 * FIRST_POLL_S + 120, 30)
    assert await world.waiting() == []
    assert await world.parked() == {}
    assert all(world.stored(person) == ("RET", "HS_WEB") for person in people(30))


async def test_a_handed_consent_enters_the_index_only_when_the_registry_has_it(world: ReportingWorld) -> None:
    """Until then it explains a drop and permits nothing (edge case E5)."""
    await world.registry.sim("PUT", "faults", {"faults": [{"kind": "maintenance", "path": "/consents"}]})
    report = await world.hand_over(consent(AYSE, int(world.now()) - 60))
    await world.work()
    assert await world.state(AYSE) == {}
    await world.registry.sim("DELETE", "faults")
    await world.work_for(60, 10)
    assert (await world.state(AYSE))[Channel.EMAIL, RecipientType.INDIVIDUAL].status is Status.APPROVED
    found = await world.notes.find(report.item_id)
    assert found is not None
    assert found.state is PendingState.STORED


async def test_what_the_registry_says_against_a_handed_consent_comes_home(world: ReportingWorld) -> None:
    """A consent older than what is stored: superseded, and the code is kept with it."""
    world.consented(AYSE, status="ONAY", ago_s=DAY_S)
    world.consented(AYSE, status="RET", ago_s=60)
    report = await world.hand_over(consent(AYSE, int(world.now()) - HOUR_S))
    await world.work()
    found = await world.notes.find(report.item_id)
    assert found is not None
    assert (found.state, found.code) == (PendingState.SUPERSEDED, "H178")
    assert (await world.state(AYSE))[Channel.EMAIL, RecipientType.INDIVIDUAL].status is Status.REJECTED


async def test_a_new_process_goes_on_with_the_lists_that_are_on_their_way(world: ReportingWorld) -> None:
    """Nothing is sent again that was accepted before the kill."""
    for person in people(40):
        world.consented(person)
        await world.refuse(person)
    await world.work()
    world.make_reporter()
    await world.work_for(FIRST_POLL_S + 60, 30)
    assert await world.waiting() == []
    assert world.operations()["bulk-v2"] == 1
    assert len(world.stored_times()) == 40


async def test_a_list_the_registry_forgot_is_sent_again(world: ReportingWorld) -> None:
    """An id it does not know (any more) answers like one in work: after six hours its items go anew."""
    for person in people(40):
        world.consented(person)
        await world.refuse(person)
    await world.work()
    world.registry.registry.database.connection.execute("DELETE FROM bulk_items")
    world.registry.registry.database.connection.execute("DELETE FROM bulk_requests")
    await world.work_for(7 * HOUR_S, 300)
    assert await world.waiting() == []
    assert len(world.stored_times()) == 40


async def test_the_state_says_how_long_there_is_left(world: ReportingWorld) -> None:
    """The most urgent deadline, and what is overdue, for page and alarm."""
    await world.registry.sim("PUT", "faults", {"faults": [{"kind": "maintenance"}]})
    await world.refuse(AYSE)
    await world.work()
    told = world.reporter.describe()
    due_at = world.calendar.due_at(int(world.now()))
    assert told["oldest_due_at"] == due_at
    assert told["seconds_left"] == due_at - int(world.now())
    await world.registry.advance(due_at + 5 - world.now())
    await world.work()
    assert world.reporter.describe()["overdue"] == 1
    assert world.observer.seen[2] == 1


@pytest.mark.parametrize("seed", range(4))
async def test_any_weather_and_any_kill_ends_in_each_refusal_stored_once(world: ReportingWorld, seed: int) -> None:
    """Faults at random, processes that begin anew at random, tokens revoked: nobody lost, nobody twice."""
    chance = random.Random(seed)
    everybody = people(120)
    for person in everybody:
        world.consented(person)
    kinds = ["slow", "half", "cut", "cut-after", "expired", "maintenance", "garbage"]
    faults = [{"kind": kind, "rate": 0.04, "path": "/consents", "seconds": 0.01} for kind in kinds]
    faults += [{"kind": "code", "code": code, "rate": 0.04, "path": "/consents"} for code in ("H124", "H015", "H123")]
    await world.registry.sim("PUT", "faults", {"seed": seed, "faults": faults})
    left = list(everybody)
    for _ in range(60):
        for _ in range(chance.choice((0, 1, 1, 30))):
            if left:
                await world.refuse(left.pop(), kind=None if chance.random() < 0.2 else RecipientType.INDIVIDUAL)
        for _ in range(chance.randrange(1, 6)):
            await world.reporter.step()
        if chance.random() < 0.2:
            world.make_reporter()
        if chance.random() < 0.1:
            await world.registry.sim("POST", "tokens/revoke", {"refresh": True})
        await world.registry.advance(chance.choice((1, 30, 310)))
    for person in left:
        await world.refuse(person)
    await world.registry.sim("DELETE", "faults")
    await world.work_for(8 * HOUR_S, 200)
    assert await world.waiting() == []
    assert await world.parked() == {}
    assert all(world.stored(person) == ("RET", "HS_WEB") for person in everybody)
    assert len(world.stored_times()) == len(everybody)


async def test_a_brand_that_is_held_up_does_not_hold_up_another(world: ReportingWorld) -> None:
    """Each brand has an account of its own, which may be wrong."""
    world.consented(AYSE)
    other = OutboxItem(b"z" * 16, 600999, int(world.now()), b"not ours to open")
    await world.store.apply(600999, [], outbox=[other])
    await world.refuse(AYSE)
    await world.work()
    assert world.stored(AYSE) == ("RET", "HS_WEB")
    assert await world.waiting() == [other]


async def test_a_report_sealed_with_a_key_that_is_not_here_waits(world: ReportingWorld) -> None:
    """It is neither lost nor in the way of the others."""
    world.consented(AYSE)
    await world.store.apply(
        world.brand, [], outbox=[OutboxItem(b"z" * 16, world.brand, int(world.now()) + HOUR_S, b"\x09" * 60)]
    )
    await world.refuse(AYSE)
    await world.work()
    assert world.stored(AYSE) == ("RET", "HS_WEB")
    assert len(await world.waiting()) == 1


async def test_a_reporter_that_gets_the_lease_back_knows_what_another_did_meanwhile(world: ReportingWorld) -> None:
    """Its own memory of lists under way is an old one by then."""
    for person in people(40):
        world.consented(person)
        await world.refuse(person)
    first = world.reporter
    await world.work()
    world.make_reporter()
    await world.work_for(FIRST_POLL_S + 60, 30)
    assert await world.waiting() == []
    stop = asyncio.Event()
    stop.set()
    await first.run(stop)
    world.reporter = first
    world.consented(AYSE)
    await world.refuse(AYSE)
    await world.work()
    assert first.describe()["bulk_requests"] == 0
    assert world.stored(AYSE) == ("RET", "HS_WEB")
    assert world.operations()["bulk-v2"] == 1
