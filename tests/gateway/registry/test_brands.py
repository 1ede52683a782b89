"""Several brands, firms and accounts in one installation: none answers for another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from filters.registry.values import RegistryBrand
from filters.vocabulary import Status
from gateway.configuration import load_configuration
from gateway.registry.assembly import make_links
from gateway.registry.ports import BrandLink
from gateway.registry.rights import Rights
from tests.support.configurations import SMALLEST
from tests.support.registry_world import RegistryWorld
from tests.support.sync_world import BRAND, SyncWorld, movement

OTHER, FOREIGN = 600124, 600999


async def test_a_movement_of_one_brand_is_none_of_another(sync: SyncWorld, world: RegistryWorld) -> None:
    """The same person, two brands of one firm, two wills."""
    two = SyncWorld(world, sync.store, brands=(BRAND, OTHER))
    for brand in (BRAND, OTHER):
        await sync.loaded(brand=brand)
    await world.sim("POST", "movements", [movement("ayse@example.com", "ONAY")])
    await world.sim("POST", "movements", [movement("ayse@example.com", "ONAY", brandCode=OTHER)])
    await world.advance(60)
    await world.sim("POST", "movements", [movement("ayse@example.com", "RET", brandCode=OTHER)])
    await world.advance(7200)
    for link in two.links:
        assert await two.pull.turn(link) is None
    await two.close()
    assert await sync.status("ayse@example.com", BRAND) is Status.APPROVED
    assert await sync.status("ayse@example.com", OTHER) is Status.REJECTED


async def test_a_brand_the_account_does_not_own_is_told(sync: SyncWorld, world: RegistryWorld) -> None:
    """Clearly, in the status and as a log event; the others go on."""
    foreign = BrandLink(FOREIGN, RegistryBrand(BRAND, FOREIGN), sync.api)
    rights = Rights([sync.link, foreign], world.clock.now)
    assert await rights.check()
    told: Any = rights.describe()
    assert (told[str(BRAND)]["state"], told[str(FOREIGN)]["state"]) == ("owned", "not owned")
    assert rights.not_owned == (FOREIGN,)


async def test_a_registry_that_does_not_answer_is_no_loss_of_rights(sync: SyncWorld, world: RegistryWorld) -> None:
    """Not knowing is told as such, and asked again soon."""
    rights = Rights([sync.link], world.clock.now)
    await world.sim("PUT", "faults", {"faults": [{"kind": "status", "status": 500, "path": "brands"}]})
    assert not await rights.check()
    assert rights.not_owned == ()
    told: Any = rights.describe()
    assert told[str(BRAND)]["state"] == "server_fault 500"


def test_each_brand_gets_the_account_that_acts_for_it(tmp_path: Path) -> None:
    """The section's own account acts for those that no other one names; an inactive brand is left alone."""
    second = """
[[brands]]
code = 600124
iys_code = 600555
name = "İkinci Marka"
title = "İkinci A.Ş."
mersis = "0123456789012346"
opt_out_url = "https://izin.example"
sms_opt_out = { keyword = "RET IKINCI", number = "3338" }
"""
    text = SMALLEST.replace("[[clients]]", second + "\n[[clients]]", 1)
    text = text[: text.index("[registry]")] + (
        "[registry]\n"
        'base_url = "http://127.0.0.1:8090"\n'
        'username = "bir"\n'
        'password = "env:ONE"\n\n'
        "[[registry.accounts]]\n"
        "brands = [600124]\n"
        'username = "iki"\n'
        'password = "env:TWO"\n'
    )
    (tmp_path / "izinkapi.toml").write_text(text, "utf-8")
    configuration = load_configuration(tmp_path / "izinkapi.toml", {"ONE": "1", "TWO": "2"})
    assert configuration.registry is not None
    asked: list[tuple[str, str]] = []

    def api(username: str, password: str) -> Any:
        asked.append((username, password))
        return username

    links = make_links(configuration, configuration.registry, api)
    assert [(link.code, link.registry, link.api) for link in links] == [
        (600123, RegistryBrand(600123, 600123), "bir"),
        (600124, RegistryBrand(600555, 600124), "iki"),
    ]
    assert asked == [("bir", "1"), ("iki", "2")]
