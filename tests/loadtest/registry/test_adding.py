"""Consents are written one by one or in bulk, by the rules of the reference's section 3."""

from __future__ import annotations

import pytest

from tests.support.registry_world import BRAND, CONSENTS, RegistryWorld, item, key

BULK = CONSENTS + "/request"
LATER = "2026-11-18 10:00:01"


async def status_of(world: RegistryWorld, **changes: str) -> str | None:
    reply = await world.call("POST", CONSENTS + "/status", key(**changes))
    return reply.body.get("status")


@pytest.mark.parametrize(
    ("stored", "incoming", "answer"),
    [
        ([], "ONAY", []),
        ([], "RET", ["H175"]),
        (["ONAY"], "ONAY", []),
        (["ONAY"], "RET", []),
        (["ONAY", "RET"], "ONAY", []),
        (["ONAY", "RET"], "RET", ["H174"]),
    ],
)
async def test_the_state_table(world: RegistryWorld, stored: list[str], incoming: str, answer: list[str]) -> None:
    """What is stored decides what may come, and what came decides what is stored."""
    for second, status in enumerate(stored):
        reply = await world.call("POST", CONSENTS, item(status=status, consentDate=f"2026-11-18 09:00:0{second}"))
        assert reply.status == 200
    reply = await world.call("POST", CONSENTS, item(status=incoming))
    assert reply.codes == answer
    assert await status_of(world) == (([*stored, None][-2] if stored else None) if answer else incoming)


async def test_an_address_is_stored_in_lower_case(world: RegistryWorld) -> None:
    """Whatever the spelling, it is one consent."""
    assert (await world.call("POST", CONSENTS, item(recipient="Ayse@Example.COM"))).status == 200
    reply = await world.call("POST", CONSENTS + "/status", key(recipient="AYSE@example.com"))
    assert reply.body == {
        **key(),
        "status": "ONAY",
        "source": "HS_WEB",
        "consentDate": "2026-11-18 10:00:00",
        "creationDate": "2026-11-18 12:00:00",
        "transactionId": reply.body["transactionId"],
        "retailerAccessCount": 0,
    }
    assert len(reply.body["transactionId"]) == 64


async def test_brands_types_and_channels_are_apart(world: RegistryWorld) -> None:
    """A consent is identified by brand, address, recipient type and type."""
    await world.call("POST", CONSENTS, item())
    assert await status_of(world, recipientType="TACIR") is None
    other = await world.call("POST", "/sps/600123/brands/600124/consents/status", key())
    assert other.body == {}


async def test_a_bulk_request_is_all_or_nothing(world: RegistryWorld) -> None:
    """One entry per bad item, by its index, and nothing is queued."""
    reply = await world.call(
        "POST", BULK, [item(), item(recipient="b@x"), item(recipient="c@example.com", status="RED")]
    )
    assert reply.status == 422
    assert [(each["code"], each["index"]) for each in reply.body["errors"]] == [("H120", 1), ("H115", 2)]
    assert (await world.sim("GET", "state"))["bulk_waiting"] == 0


async def test_state_errors_of_a_bulk_request_come_out_in_the_poll(world: RegistryWorld) -> None:
    """A list that can be read gets 202; a first refusal in it fails alone, later."""
    reply = await world.call("POST", BULK, [item(), item(recipient="b@example.com", status="RET")])
    assert reply.status == 202
    assert [each["creationDate"] for each in reply.body["subRequests"]] == ["2026-11-18 12:00:00"] * 2
    assert set(reply.body["subRequests"][0]) == {*item(), "subRequestId", "creationDate"}
    place = f"{BULK}/{reply.body['requestId']}"
    assert (await world.call("GET", place)).body == []
    await world.advance(2)
    assert [each["status"] for each in (await world.call("GET", place)).body] == ["enqueue", "enqueue"]
    await world.advance(2)
    assert [each["status"] for each in (await world.call("GET", place)).body] == ["success", "enqueue"]
    await world.advance(2)
    first, second = (await world.call("GET", place)).body
    assert (first["status"], first["index"], first["requestId"]) == ("success", 0, reply.body["requestId"])
    assert first["subRequestId"] == reply.body["subRequests"][0]["subRequestId"]
    assert first["creationDate"] == "2026-11-18 12:00:03"
    assert (second["status"], second["error"]["code"]) == ("failure", "H175")
    await world.advance(60 * 86_400 + 1)
    await world.login()
    assert (await world.call("GET", place)).body == []


async def test_nobody_polls_the_request_of_another_brand(world: RegistryWorld) -> None:
    """To another brand of the same provider the id is unknown."""
    reply = await world.call("POST", BULK, [item()])
    await world.advance(10)
    other = await world.call("GET", f"/sps/600123/brands/600124/consents/request/{reply.body['requestId']}")
    assert (other.status, other.body) == (200, [])


async def test_v2_answers_an_identical_single_add_with_the_first_receipt(world: RegistryWorld) -> None:
    """Also after the citizen has refused meanwhile: the repeat changes nothing."""
    first = await world.call("POST", "/v2" + CONSENTS, item())
    await world.advance(10)
    await world.citizen()
    again = await world.call("POST", "/v2" + CONSENTS, item())
    assert (again.status, again.body) == (200, first.body)
    assert await status_of(world) == "RET"
    assert (await world.call("POST", CONSENTS, item())).codes == ["H178"]


async def test_v2_bulk_names_the_first_request_of_a_repeat(world: RegistryWorld) -> None:
    """A new request id, and in the poll where the consent came from."""
    first = await world.call("POST", "/v2" + BULK, [item()])
    await world.advance(10)
    second = await world.call("POST", "/v2" + BULK, [item()])
    await world.advance(10)
    assert second.body["requestId"] != first.body["requestId"]
    (entry,) = (await world.call("GET", f"/v2{BULK}/{second.body['requestId']}")).body
    assert entry["status"] == "success"
    assert entry["isAddConsentV2Service"] is True
    assert entry["originalRequestInformation"] == {
        "requestId": first.body["requestId"],
        "subRequestId": first.body["subRequests"][0]["subRequestId"],
    }


@pytest.mark.parametrize(
    ("now", "oldest"),
    [
        ("2026-11-18 12:00:00", "2026-11-13 00:00:00"),  # Wednesday: Friday's is the third business day old
        ("2026-11-16 00:00:00", "2026-11-11 00:00:00"),  # Monday
        ("2026-11-15 12:00:00", "2026-11-10 00:00:00"),  # Sunday
        ("2026-05-04 12:00:00", "2026-04-28 00:00:00"),  # 1 May, a Friday, is a holiday
    ],
)
async def test_a_consent_can_be_written_until_the_third_business_day_ends(now: str, oldest: str) -> None:
    """Holidays are data; the second before the oldest day is refused."""
    async with RegistryWorld(at=now) as world:
        await world.login()
        await world.sim("PUT", "holidays", ["05-01"])
        assert (await world.call("POST", CONSENTS, item(consentDate=oldest))).status == 200
        day = int(oldest[8:10]) - 1
        before = f"{oldest[:8]}{day:02} 23:59:59"
        refused = await world.call("POST", CONSENTS, item(consentDate=before, recipient="b@example.com"))
        assert refused.codes == ["H467"]


async def test_before_activation_history_may_be_loaded(world: RegistryWorld) -> None:
    """The three days bind from the day the provider is active; HS_2015 stands apart, with its one date."""
    old = item(source="HS_2015", consentDate="2015-05-01 00:00:00")
    assert (await world.call("POST", CONSENTS, old)).status == 200
    document = await world.sim("GET", "world")
    document["providers"][0]["activated_at"] = None
    await world.sim("PUT", "world", document)
    past = item(recipient="b@example.com", consentDate="2019-01-01 00:00:00")
    assert (await world.call("POST", CONSENTS, past)).status == 200


async def test_a_merchant_is_first_stored_without_date_and_source(world: RegistryWorld) -> None:
    """Only the update needs both; asked for, the date is empty."""
    first = item(recipientType="TACIR", source=..., consentDate=...)
    assert (await world.call("POST", CONSENTS, first)).status == 200
    reply = await world.call("POST", CONSENTS + "/status", key(recipientType="TACIR"))
    assert (reply.body["status"], reply.body["consentDate"]) == ("ONAY", "")
    assert (await world.call("POST", CONSENTS, item(recipientType="TACIR", status="RET"))).status == 200


async def test_equal_dates_are_settled_by_a_switch(world: RegistryWorld) -> None:
    """A refusal of the very second of the consent is taken, unless the setting says otherwise."""
    await world.call("POST", CONSENTS, item())
    assert (await world.call("POST", CONSENTS, item(status="RET"))).status == 200
    await world.sim("PUT", "settings", {"is_equal_date_refused": True})
    assert (await world.call("POST", CONSENTS, item())).codes == ["H178"]


async def test_a_refusal_stays_within_its_channel(world: RegistryWorld) -> None:
    """Calls and SMS of one number are two consents."""
    for channel in ("MESAJ", "ARAMA"):
        await world.call("POST", CONSENTS, item(recipient="+905321234567", type=channel))
    await world.citizen(recipient="+905321234567", type="MESAJ", source="IYS_KISAMESAJ")
    assert await status_of(world, recipient="+905321234567", type="MESAJ") == "RET"
    assert await status_of(world, recipient="+905321234567", type="ARAMA") == "ONAY"


async def test_the_brand_list_counts(world: RegistryWorld) -> None:
    """Consents and refusals by brand, from the same book."""
    await world.call("POST", CONSENTS, item())
    await world.call("POST", CONSENTS, item(recipient="b@example.com"))
    await world.citizen()
    first = (await world.call("GET", "/sps/600123/brands")).body[0]
    assert first["stats"]["consents"] == {"approval": 1, "rejection": 1, "total": 2}
    assert (first["brandCode"], first["master"]) == (600123, True)
    subscription = (await world.call("GET", "/sps/600123/subscription")).body
    assert (subscription["usedConsentLimit"], subscription["status"]) == (2, "ACTIVE")
    assert BRAND.endswith("600123")
