"""Dealers, and the lists of those that may use a consent."""

from __future__ import annotations

from typing import Any

from tests.support.registry_world import BRAND, CONSENTS, RegistryWorld, item, key, retailer

RETAILERS = BRAND + "/retailers"
ACCESS = CONSENTS + "/retailers/access"
LIST = BRAND + "/consent/retailers/access/list"
FIRST, SECOND = 10_000_001, 10_000_002


async def two_dealers(world: RegistryWorld) -> None:
    for number, code in ((6, FIRST), (7, SECOND)):
        reply = await world.call("POST", RETAILERS, retailer(tckn=f"1000000014{number}"))
        assert (reply.status, reply.body) == (201, {"retailerCode": code})


async def accessing(world: RegistryWorld, path: str = LIST) -> list[int]:
    reply = await world.call("POST", path, key())
    return [each["retailerCode"] for each in reply.body["list"]]


async def test_a_dealer_is_added_listed_shown_and_removed(world: RegistryWorld) -> None:
    """What was sent comes back with code, count of consents and status."""
    await two_dealers(world)
    shown = await world.call("GET", f"{RETAILERS}/{FIRST}")
    assert shown.body == retailer() | {
        "retailerCode": FIRST,
        "retailerAccessCount": 0,
        "status": "active",
        "canBeDeleted": True,
    }
    listed = await world.call("GET", RETAILERS + "?limit=1&offset=1&short=true")
    assert listed.body["pagination"] == {"offset": 1, "pageSize": 1, "totalCount": 2, "currentPage": 2}
    assert set(listed.body["list"][0]) == {"title", "city", "retailerCode", "retailerAccessCount", "status"}
    assert len((await world.call("GET", RETAILERS + "?limit=1&all=true")).body["list"]) == 2
    removed = await world.call("DELETE", f"{RETAILERS}/{FIRST}")
    assert (removed.status, removed.body.decode()) == (200, "Başarılı")
    assert (await world.call("GET", f"{RETAILERS}/{FIRST}")).codes == ["H058"]
    other = await world.call("GET", f"/sps/600123/brands/600124/retailers/{SECOND}")
    assert other.codes == ["H353"]


async def test_a_dealer_with_consents_stays(world: RegistryWorld) -> None:
    """As the one that took a consent, or as one with access to it."""
    await two_dealers(world)
    await world.call("POST", CONSENTS, item(retailerCode=FIRST, retailerAccess=[SECOND]))
    for code in (FIRST, SECOND):
        assert (await world.call("DELETE", f"{RETAILERS}/{code}")).status == 500
        assert (await world.call("GET", f"{RETAILERS}/{code}")).body["canBeDeleted"] is False
    status = (await world.call("POST", CONSENTS + "/status", key())).body
    assert (status["retailerCode"], status["retailerTitle"], status["retailerAccessCount"]) == (
        FIRST,
        "Örnek Bayi Ltd.",
        1,
    )


async def test_access_is_added_set_and_taken_away(world: RegistryWorld) -> None:
    """Adding keeps the others, setting replaces all of them and the taking dealer, in both spellings of the path."""
    await two_dealers(world)
    await world.call("POST", CONSENTS, item(retailerCode=FIRST, retailerAccess=[FIRST]))
    added = await world.call("POST", ACCESS, key(retailerAccess=[SECOND]))
    assert (added.status, len(added.body["transactionId"])) == (200, 36)
    assert await accessing(world) == await accessing(world, CONSENTS + "/retailers/access/list") == [FIRST, SECOND]
    many: dict[str, Any] = {"recipients": ["ayse@example.com"], "recipientType": "BIREYSEL", "type": "EPOSTA"}
    assert (await world.call("POST", ACCESS + "/remove", many | {"retailerAccess": [FIRST]})).status == 202
    assert await accessing(world) == [SECOND]
    assert (await world.call("PUT", ACCESS, many | {"retailerAccess": [FIRST]})).status == 202
    assert await accessing(world) == [FIRST]
    assert "retailerCode" not in (await world.call("POST", CONSENTS + "/status", key())).body
    assert (await world.call("POST", CONSENTS + "/retailer/access/remove/all", many)).status == 202
    assert await accessing(world) == []


async def test_an_unknown_dealer_is_named_by_its_place(world: RegistryWorld) -> None:
    """``location`` mixes words and numbers."""
    await two_dealers(world)
    reply = await world.call("POST", CONSENTS, item(retailerAccess=[FIRST, 10_000_009]))
    assert (reply.status, reply.body["errors"][0]["location"]) == (403, ["retailerAccess", 1])
