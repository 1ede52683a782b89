"""Whether a day's movements are in the index, and what becomes of those that are not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.store import Store
from filters.consent import Change, Consent
from filters.registry.merging import withdraw
from filters.registry.words import render_day
from filters.vocabulary import Channel, RecipientType, Status
from gateway.registry.proof import Proof, recall_days
from gateway.registry.proof_day import DayResult, DayState, Sample, prove_day
from gateway.registry.proof_sample import SampleResult, prove_sample
from tests.support.registry_world import RegistryWorld
from tests.support.reporting_world import BRAND, DAY_S, HOLIDAYS, HOUR_S, KEYS, ReportingWorld

AYSE = "ayse@example.com"
SLOT = (Channel.EMAIL, RecipientType.INDIVIDUAL)


@pytest.fixture
async def world(lmdb_store: Store) -> AsyncIterator[ReportingWorld]:
    """Yesterday ten people gave consent and one of them refused again; it is today, noon. The index knows nothing."""
    async with RegistryWorld(holidays=HOLIDAYS) as registry:
        made = ReportingWorld(registry, lmdb_store)
        for number in range(9):
            made.consented(f"kisi{number}@example.com", ago_s=HOUR_S)
        made.consented(AYSE, ago_s=HOUR_S)
        await registry.advance(60)
        made.consented(AYSE, status="RET", ago_s=30)
        await registry.advance(DAY_S)
        yield made
        await made.close()


def yesterday(world: ReportingWorld) -> str:
    return render_day(int(world.now()) - DAY_S)


async def prove(world: ReportingWorld, **options: object) -> DayResult:
    return await prove_day(world.link, world.store, KEYS, yesterday(world), **options)


async def hold(world: ReportingWorld, recipient: str, status: Status, at: int) -> None:
    key = KEYS.derive(BRAND, recipient.encode())
    await world.store.apply(BRAND, [Change(key, *SLOT, Consent(status, at, "HS_WEB"))])


async def test_what_the_index_lacks_is_found_and_repaired(world: ReportingWorld) -> None:
    """Eleven movements of ten people, none of them known here."""
    result = await prove(world)
    assert (result.state, result.movements, result.counts_agree) == (DayState.REPAIRED, 11, True)
    assert (result.missing, result.contrary) == (10, 1)
    assert (await world.state(AYSE))[SLOT].status is Status.REJECTED
    assert (await prove(world)).state is DayState.AGREED


async def test_a_proof_that_may_not_repair_changes_nothing(world: ReportingWorld) -> None:
    result = await prove(world, repairs=False)
    assert (result.state, result.divergence, result.repaired) == (DayState.DIFFERENT, 11, 0)
    assert await world.state(AYSE) == {}


async def test_a_later_will_in_the_index_is_no_difference(world: ReportingWorld) -> None:
    """What moved after the day's end is not the day's."""
    await prove(world)
    await hold(world, "kisi1@example.com", Status.REJECTED, int(world.now()) - 60)
    assert (await prove(world)).state is DayState.AGREED


async def test_a_consent_that_the_registry_took_back_is_found(world: ReportingWorld) -> None:
    """The refusal never reached us: here consent, there none."""
    at = int(world.now()) - DAY_S - HOUR_S
    for number in range(9):
        await hold(world, f"kisi{number}@example.com", Status.APPROVED, at - 60)
    await hold(world, AYSE, Status.APPROVED, at - 60)
    result = await prove(world)
    assert (result.missing, result.contrary) == (0, 1)
    assert (await world.state(AYSE))[SLOT].status is Status.REJECTED


async def test_the_sides_say_how_many_consented_and_refused(world: ReportingWorld) -> None:
    """For the daily report, as the registry counts: by channel, type and source."""
    (side,) = [side for side in (await prove(world)).sides if side.total]
    assert (side.channel, side.source, side.approvals, side.rejections) == (Channel.EMAIL, "IYS", 10, 1)


async def test_a_day_without_a_movement_is_nothing(world: ReportingWorld) -> None:
    day = render_day(int(world.now()) - 3 * DAY_S)
    assert (await prove_day(world.link, world.store, KEYS, day)).state is DayState.NOTHING


async def test_a_file_that_is_not_finished_is_waited_for(world: ReportingWorld) -> None:
    await world.registry.sim("PUT", "settings", {"report_ready_s": 90_000.0})
    assert (await prove(world)).state is DayState.NOT_READY


@pytest.mark.parametrize("kind", ["half", "garbage", "maintenance", "cut"])
async def test_a_file_that_does_not_arrive_whole_proves_nothing(world: ReportingWorld, kind: str) -> None:
    """Its hash or the way there says so; the index is left alone."""
    await world.registry.sim("PUT", "faults", {"faults": [{"kind": kind, "path": "/file"}]})
    result = await prove(world)
    assert result.state is DayState.FAILED
    assert result.problem
    assert "@" not in result.problem
    assert await world.state(AYSE) == {}


async def test_a_sample_finds_a_consent_that_the_registry_never_had(world: ReportingWorld) -> None:
    """No movement tells of it, and it is the dangerous difference: it is taken back."""
    sample: Sample = {}
    await prove(world, sample=sample)
    await hold(world, "hayalet@example.com", Status.APPROVED, int(world.now()) - 40 * DAY_S)
    sample[SLOT].append("hayalet@example.com")
    result = await prove_sample(world.link, world.store, KEYS, sample, clock=world.now)
    assert (result.asked, result.loose, result.tight, result.repaired) == (11, 1, 0, 1)
    assert (await world.state("hayalet@example.com"))[SLOT].status is Status.REJECTED


async def test_a_sample_leaves_a_refusal_alone_that_the_registry_is_still_to_hear_of(world: ReportingWorld) -> None:
    """Our own veto is no divergence."""
    sample: Sample = {}
    await prove(world, sample=sample)
    await world.refuse("kisi1@example.com")
    result = await prove_sample(world.link, world.store, KEYS, sample, clock=world.now)
    assert result.divergence == 0
    assert (await world.state("kisi1@example.com"))[SLOT].own


async def test_a_sample_brings_a_consent_that_never_reached_us(world: ReportingWorld) -> None:
    sample: Sample = {SLOT: ["kisi1@example.com"]}
    result = await prove_sample(world.link, world.store, KEYS, sample, clock=world.now)
    assert (result.tight, result.repaired) == (1, 1)
    assert (await world.state("kisi1@example.com"))[SLOT].status is Status.APPROVED


async def test_a_sample_lifts_what_was_only_our_own_taking_back(world: ReportingWorld) -> None:
    """A consent that we once took back, and that the registry holds at the very date: it was nobody's refusal."""
    sample: Sample = {SLOT: ["kisi1@example.com"]}
    await prove_sample(world.link, world.store, KEYS, sample, clock=world.now)
    key = KEYS.derive(BRAND, b"kisi1@example.com")
    taken_back = withdraw(key, await world.state("kisi1@example.com"), *SLOT)
    assert taken_back is not None
    await world.store.apply(BRAND, [taken_back])
    result = await prove_sample(world.link, world.store, KEYS, sample, clock=world.now)
    assert (result.tight, result.repaired) == (1, 1)
    assert (await world.state("kisi1@example.com"))[SLOT].status is Status.APPROVED
    assert (await prove_sample(world.link, world.store, KEYS, sample, clock=world.now)).divergence == 0


class Remembering:
    """A ``ProofObserver``."""

    def __init__(self) -> None:
        self.days: list[DayResult] = []
        self.samples: list[SampleResult] = []

    def day_proven(self, result: DayResult) -> None:
        self.days.append(result)

    def sample_proven(self, result: SampleResult) -> None:
        self.samples.append(result)


async def test_each_day_is_proven_once_however_often_the_service_begins(world: ReportingWorld) -> None:
    """And days missed while it was away as far as the registry reaches back."""
    first, second = Remembering(), Remembering()
    await Proof([world.link], world.store, world.store, KEYS, observer=first, clock=world.now).step()
    assert [result.state for result in first.days].count(DayState.REPAIRED) == 1
    assert len(first.days) == 7
    assert first.samples[0].divergence == 0
    await Proof([world.link], world.store, world.store, KEYS, observer=second, clock=world.now).step()
    assert second.days == []
    await world.registry.advance(DAY_S)
    await Proof([world.link], world.store, world.store, KEYS, observer=second, clock=world.now).step()
    assert [result.state for result in second.days] == [DayState.NOTHING]
    assert len(await recall_days(world.store, BRAND)) == 8


async def test_nothing_is_agreed_to_unasked(world: ReportingWorld) -> None:
    """Saving cannot be undone: it is an operator's word."""
    await Proof([world.link], world.store, world.store, KEYS, clock=world.now).step()
    info = await world.client.reconciliation_info(world.link.registry, yesterday(world))
    assert info is not None
    assert getattr(info, "is_agreed", None) is False
