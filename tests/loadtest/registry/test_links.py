"""Opt-out links that the registry itself makes."""

from __future__ import annotations

from tests.support.registry_world import BRAND, CONSENTS, RegistryWorld, item, key


async def test_a_click_turns_consent_into_refusal_once(world: RegistryWorld) -> None:
    """Only for an address that consents; the click is a citizen's movement; 90 days later the link is dead."""
    await world.call("POST", CONSENTS, item())
    asked = [{"recipient": name, "recipientType": "BIREYSEL"} for name in ("ayse@example.com", "nobody@example.com")]
    made = (await world.call("POST", BRAND + "/via-hash-links", {"recipients": asked})).body
    assert (made[0]["recipient"], made[1]["code"]) == ("ayse@example.com", "H568")
    path = made[0]["url"].removeprefix(world.server.url)
    assert (await world.call("GET", path)).status == 200
    assert (await world.call("POST", CONSENTS + "/status", key())).body["status"] == "ONAY"
    assert "no longer" in (await world.call("POST", path + "?lang=en")).body.decode()
    shown = (await world.call("POST", CONSENTS + "/status", key())).body
    assert (shown["status"], shown["source"]) == ("RET", "IYS_EPOSTA")
    assert "used already" in (await world.call("POST", path + "?lang=en")).body.decode()
