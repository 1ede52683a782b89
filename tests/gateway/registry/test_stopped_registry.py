"""The registry stops: every decision's staleness grows with the clock, and behaviour flips at the second configured."""

from __future__ import annotations

from typing import Any

import pytest

from filters.brand import Brand
from filters.consent import unpack
from filters.decision.decide import Facts, decide
from filters.decision.freshness import freshness
from filters.decision.policy import Policy
from filters.vocabulary import Channel, FreshnessState, MessageClass, RecipientType, Verdict
from gateway.registry.freshness_watch import FreshnessWatch
from gateway.registry.pull import LAG_S
from tests.support.registry_world import CONSENTS, RegistryWorld, item
from tests.support.sync_world import BRAND, KEYS, SLOT, SyncWorld

POLICY = Policy(aging_after_s=7200, stale_after_s=86_400, blind_after_s=259_200)
BRAND_VALUE = Brand(BRAND, BRAND, "Örnek Mağaza", "Örnek Mağaza A.Ş.", "0123456789012345")


async def verdicts(sync: SyncWorld, now: float) -> tuple[Verdict, Verdict, int | None]:
    """Of commercial and of informational mail to a person with consent, and the staleness they carry."""
    found = await sync.store.find(BRAND, [KEYS.derive(BRAND, b"ayse@example.com")])
    how_fresh, staleness_s = freshness(found.watermark_at, int(now), POLICY)
    state = unpack(found.values[0] or b"")
    assert SLOT in state
    verdict = [
        decide(
            Facts(each, Channel.EMAIL, RecipientType.INDIVIDUAL, BRAND_VALUE, how_fresh, int(now), staleness_s),
            state,
            POLICY,
        ).verdict
        for each in (MessageClass.COMMERCIAL, MessageClass.INFORMATIONAL)
    ]
    return verdict[0], verdict[1], staleness_s


@pytest.mark.parametrize(
    ("limit_s", "before", "after"),
    [
        (POLICY.aging_after_s, (FreshnessState.FRESH, Verdict.PERMIT), (FreshnessState.AGING, Verdict.PERMIT)),
        (POLICY.stale_after_s, (FreshnessState.AGING, Verdict.PERMIT), (FreshnessState.STALE, Verdict.DEFER)),
        (POLICY.blind_after_s, (FreshnessState.STALE, Verdict.DEFER), (FreshnessState.BLIND, Verdict.DEFER)),
    ],
)
async def test_behaviour_flips_at_the_second_configured(
    sync: SyncWorld,
    world: RegistryWorld,
    limit_s: int,
    before: tuple[FreshnessState, Verdict],
    after: tuple[FreshnessState, Verdict],
) -> None:
    """Informational mail is untouched throughout, and the watch counts the time in each state."""
    await sync.loaded(LAG_S)
    await world.call("POST", CONSENTS, item())
    await world.advance(2 * LAG_S)
    assert await sync.pull.turn(sync.link) is None
    known_until = await sync.watermark()
    assert known_until is not None
    await world.sim("PUT", "faults", {"faults": [{"kind": "maintenance"}]})
    moment = [0.0]
    watch = FreshnessWatch({BRAND: POLICY}, clock=world.clock.now, monotonic=lambda: moment[0])
    for second, (state, verdict) in ((limit_s, before), (limit_s + 1, after)):
        await world.advance(known_until + second - world.clock.now())
        assert await sync.pull.turn(sync.link) is not None
        assert await sync.watermark() == known_until
        commercial, informational, staleness_s = await verdicts(sync, world.clock.now())
        assert (commercial, informational, staleness_s) == (verdict, Verdict.PERMIT, second)
        spent = watch.tell(await sync.store.watermarks())
        told: Any = watch.describe()[str(BRAND)]
        assert (told["state"], told["staleness_s"]) == (state, second)
        moment[0] += 7.0
    assert spent[BRAND, before[0]] == 7.0


async def test_a_brand_that_was_never_loaded_is_cold(sync: SyncWorld, world: RegistryWorld) -> None:
    """And counted so."""
    watch = FreshnessWatch({BRAND: POLICY}, clock=world.clock.now)
    watch.tell({})
    told: Any = watch.describe()[str(BRAND)]
    assert (told["state"], told["staleness_s"]) == (FreshnessState.COLD, None)
