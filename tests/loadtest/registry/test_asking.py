"""Questions about consents, and the feed that is an hour late."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.support.registry_world import CONSENTS, RegistryWorld, item, key

CHANGES = CONSENTS + "/changes"
MULTI = CONSENTS + "/BIREYSEL/status/EPOSTA"
HOUR = 3600


async def read_all(world: RegistryWorld, limit: int, source: str = "IYS", after: str = "") -> list[dict[str, Any]]:
    """The loop that the reference describes: until 204."""
    found: list[dict[str, Any]] = []
    while True:
        reply = await world.call("GET", f"{CHANGES}?source={source}&limit={limit}&after={quote(after)}")
        if reply.status == 204:
            assert reply.body == b""
            return found
        assert 0 < len(reply.body["list"]) <= limit
        found += reply.body["list"]
        after = reply.body["after"]


async def test_multi_status_lists_only_those_who_consent(world: RegistryWorld) -> None:
    """Refusals and unknown addresses are alike absent; one bad entry fails the whole call."""
    await world.call("POST", CONSENTS, item())
    await world.call("POST", CONSENTS, item(recipient="b@example.com"))
    await world.citizen(recipient="b@example.com")
    recipients = ["nobody@example.com", "AYSE@example.com", "b@example.com"]
    reply = await world.call("POST", MULTI, {"recipients": recipients})
    assert (reply.status, reply.body["list"]) == (200, ["ayse@example.com"])
    bad = await world.call("POST", MULTI, {"recipients": [*recipients, "+905321234567"]})
    assert [(each["code"], each["location"]) for each in bad.body["errors"]] == [("H464", ["recipients", 3])]


async def test_history_is_newest_first_and_paged(world: RegistryWorld) -> None:
    """Every movement of the one consent, of both sides."""
    await world.call("POST", CONSENTS, item())
    await world.call("POST", CONSENTS, item(status="RET", consentDate="2026-11-18 10:00:01"))
    await world.advance(5)
    await world.citizen(status="ONAY", source="IYS_MOBIL")
    reply = await world.call("POST", CONSENTS + "/history?limit=2", key())
    assert [each["source"] for each in reply.body["list"]] == ["IYS_MOBIL", "HS_WEB"]
    assert reply.body["pagination"] == {"totalCount": 3, "pageSize": 2, "offset": 0}
    rest = await world.call("POST", CONSENTS + "/history?offset=2", key())
    assert [each["consentDate"] for each in rest.body["list"]] == ["2026-11-18 10:00:00"]


async def test_the_last_hour_is_never_shown(world: RegistryWorld) -> None:
    """A movement appears sixty minutes after it was stored, and is gone after seven days."""
    await world.citizen(status="ONAY", citizenName="A. Ö.")
    await world.advance(HOUR - 1)
    assert (await world.call("GET", CHANGES)).status == 204
    await world.advance(1)
    reply = await world.call("GET", CHANGES)
    assert reply.body["list"] == [
        {
            **key(),
            "consentDate": "2026-11-18 12:00:00",
            "creationDate": "2026-11-18 12:00:00",
            "source": "IYS_WEB_YENI",
            "status": "ONAY",
            "transactionId": reply.body["list"][0]["transactionId"],
            "citizenName": "A. Ö.",
        }
    ]
    epoch, _, transaction = reply.body["after"].partition("_")
    assert (epoch.isdecimal(), transaction) == (True, reply.body["list"][0]["transactionId"])
    await world.advance(7 * 24 * HOUR - HOUR)
    await world.login()
    assert len((await world.call("GET", CHANGES)).body["list"]) == 1
    await world.advance(1)
    assert (await world.call("GET", CHANGES)).status == 204


async def test_the_feed_shows_one_side_at_a_time(world: RegistryWorld) -> None:
    """IYS is the citizens' side and the default, HS what the provider sent."""
    await world.call("POST", CONSENTS, item())
    await world.citizen()
    await world.advance(HOUR + 1)
    assert [each["source"] for each in await read_all(world, 10)] == ["IYS_WEB"]
    assert [each["source"] for each in await read_all(world, 10, "HS")] == ["HS_WEB"]


async def test_no_movement_is_lost_between_pages(world: RegistryWorld) -> None:
    """Pages of every size give the same movements in the same order, also many of one moment and one address."""
    addresses = [f"a{number}@example.com" for number in range(6)]
    for address in addresses:
        await world.citizen(recipient=address, status="ONAY")
        await world.citizen(recipient=address, status="RET")
        await world.citizen(recipient=address, status="ONAY", recipientType="TACIR")
    await world.advance(HOUR + 1)
    expected = await read_all(world, 1000)
    assert len(expected) == 18
    for limit in (1, 2, 5, 17, 18):
        assert await read_all(world, limit) == expected


async def test_a_cursor_older_than_the_window_goes_on_where_the_window_begins(world: RegistryWorld) -> None:
    """What fell out in between is a gap that the feed cannot fill."""
    await world.citizen(status="ONAY")
    await world.advance(HOUR)
    cursor = (await world.call("GET", CHANGES)).body["after"]
    await world.citizen(recipient="b@example.com", status="ONAY")
    await world.advance(8 * 24 * HOUR)
    await world.citizen(recipient="c@example.com", status="ONAY")
    await world.advance(HOUR)
    await world.login()
    assert [each["recipient"] for each in await read_all(world, 10, after=cursor)] == ["c@example.com"]


async def test_a_closed_line_keeps_the_date_of_the_consent(world: RegistryWorld) -> None:
    """For a merchant that was stored without a date it is empty."""
    phone = {"recipient": "+905321234567", "type": "MESAJ"}
    await world.call("POST", CONSENTS, item(**phone))
    await world.call("POST", CONSENTS, item(**phone, recipientType="TACIR", consentDate=..., source=...))
    for kind in ("BIREYSEL", "TACIR"):
        await world.citizen(**phone, recipientType=kind, source="IYS_AHS_HAT_KAPATMA")
    await world.advance(HOUR + 1)
    found = {each["recipientType"]: each["consentDate"] for each in await read_all(world, 10)}
    assert found == {"BIREYSEL": "2026-11-18 10:00:00", "TACIR": ""}


async def test_a_partner_sees_only_its_channels(world: RegistryWorld) -> None:
    """The feed is filtered by rights; what is not shown takes no place on a page."""
    await world.citizen(status="ONAY")
    await world.citizen(recipient="+905321234567", type="MESAJ", status="ONAY")
    document = await world.sim("GET", "world")
    partner = next(each for each in document["users"] if each["role"] == "partner")
    partner["rights"] = [{"brand": 600123, "channels": ["MESAJ"]}]
    await world.sim("PUT", "world", document)
    await world.advance(HOUR)
    await world.login("ortak@partner.example")
    assert [each["type"] for each in await read_all(world, 1)] == ["MESAJ"]
    listed = (await world.call("GET", "/integrator/900001/sps")).body
    assert listed["pagination"] == {"offset": 0, "pageSize": 100, "totalCount": 1}
    assert (listed["list"][0]["brandCode"], listed["list"][0]["MESAJ"]) == (600123, "write")


async def test_places_have_numbers(world: RegistryWorld) -> None:
    """Provinces and towns by code; an unknown one has no content."""
    assert (await world.call("GET", "/info/city/34")).body == {"code": 34, "name": "İstanbul"}
    assert len((await world.call("GET", "/info/city")).body) == 81
    assert (await world.call("GET", "/info/town/945")).body == {
        "code": 945,
        "name": "Termal",
        "city_code": 77,
        "cityCode": 77,
    }
    assert (await world.call("GET", "/info/city/99")).status == 204
