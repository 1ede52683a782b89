"""Faults come by switch, hit what they name, and repeat from the same seed."""

from __future__ import annotations

import aiohttp
import pytest

from loadtest.registry.door.faults import Faults
from tests.support.registry_world import CONSENTS, RegistryWorld, item, key

BRANDS = "/sps/600123/brands"


async def switch(world: RegistryWorld, **fault: object) -> None:
    await world.sim("PUT", "faults", {"seed": 1, "faults": [fault]})


@pytest.mark.parametrize(
    ("fault", "status", "codes"),
    [
        ({"kind": "code", "code": "H124"}, 429, ["H124"]),
        ({"kind": "status", "status": 502}, 502, []),
        ({"kind": "maintenance"}, 503, []),
        ({"kind": "expired"}, 401, ["H351"]),
    ],
)
async def test_answers_that_are_not_the_registrys_own(
    world: RegistryWorld, fault: dict[str, object], status: int, codes: list[str]
) -> None:
    """Only calls whose path and method fit are hit, and the control paths never."""
    await switch(world, **fault, path="/brands", method="GET")
    reply = await world.call("GET", BRANDS)
    assert (reply.status, reply.codes) == (status, codes)
    assert (await world.call("GET", "/info/city/1")).status == 200
    assert (await world.call("POST", CONSENTS, item())).status == 200
    await world.sim("DELETE", "faults")
    assert (await world.call("GET", BRANDS)).status == 200


@pytest.mark.parametrize("kind", ["cut", "cut-after", "half"])
async def test_connections_are_cut_before_after_and_within_the_answer(world: RegistryWorld, kind: str) -> None:
    """What was cut before is not done; what was cut after or within is."""
    await switch(world, kind=kind, path="/consents", count=1)
    with pytest.raises(aiohttp.ClientError):
        await world.call("POST", CONSENTS, item())
    stored = (await world.call("POST", CONSENTS + "/status", key())).body.get("status")
    assert stored == (None if kind == "cut" else "ONAY")


async def test_nonsense_with_status_200(world: RegistryWorld) -> None:
    """A body that is not JSON although it says so."""
    await switch(world, kind="garbage")
    with pytest.raises(ValueError):
        await world.call("GET", BRANDS)


async def test_a_slow_answer_still_comes(world: RegistryWorld) -> None:
    """Later, and right."""
    await switch(world, kind="slow", seconds=0.05)
    assert (await world.call("GET", BRANDS)).status == 200


def test_the_same_seed_hits_the_same_calls() -> None:
    """Chance is drawn from the seed; schedules count calls."""

    def hits(seed: int, **fault: object) -> list[bool]:
        faults = Faults()
        faults.replace([{"kind": "cut", **fault}])
        faults.seed(seed)
        return [bool(faults.for_call("GET", "/")) for _ in range(200)]

    assert hits(7, rate=0.2) == hits(7, rate=0.2) != hits(8, rate=0.2)
    assert 20 < sum(hits(7, rate=0.2)) < 60
    assert [number for number, hit in enumerate(hits(1, every=50, after=10), 1) if hit] == [60, 110, 160]
    assert sum(hits(1, count=3)) == 3


async def test_a_switch_with_a_wrong_name_is_refused(world: RegistryWorld) -> None:
    """With a sentence that names the known ones; what was on stays on."""
    reply = await world.call("PUT", "/_sim/faults", {"faults": [{"kind": "explode"}]})
    assert (reply.status, "maintenance" in reply.body["error"]) == (400, True)
    assert (await world.call("PUT", "/_sim/settings", {"bulk_delay_s": "soon"})).status == 400
    assert (await world.call("PUT", "/_sim/settings", {"unheard_of": 1})).status == 400
