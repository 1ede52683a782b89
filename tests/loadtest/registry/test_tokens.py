"""Who gets a token, how long it lives, and how a request for one goes wrong."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME
from tests.support.registry_world import RegistryWorld

PASSWORD = {"grant_type": "password", "username": DEFAULT_USERNAME, "password": DEFAULT_PASSWORD}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BRANDS = "/sps/600123/brands"


@pytest.mark.parametrize("is_form", [False, True])
async def test_a_token_is_given_for_json_and_for_a_form(world: RegistryWorld, is_form: bool) -> None:
    """Unknown fields are passed over, and the token opens the door."""
    asked = PASSWORD | {"base_url": "whatever"}
    if is_form:
        reply = await world.call("POST", "/oauth2/token", urlencode(asked).encode(), headers=FORM)
    else:
        reply = await world.call("POST", "/oauth2/token", asked)
    assert reply.status == 200
    assert {name: reply.body[name] for name in ("expires_in", "refresh_expires_in", "token_type")} == {
        "expires_in": 7200,
        "refresh_expires_in": 14_400,
        "token_type": "bearer",
    }
    world.token = reply.body["access_token"]
    assert (await world.call("GET", BRANDS)).status == 200


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({}, "invalid_request"),
        ([], "invalid_request"),
        (b"{", "invalid_request"),
        ({"grant_type": ""}, "invalid_grant"),
        ({"grant_type": "magic"}, "invalid_request"),
        ({"grant_type": 5}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        (PASSWORD | {"password": "wrong"}, "invalid_request"),
        (PASSWORD | {"password": ""}, "invalid_grant"),
        (PASSWORD | {"password": 5}, "invalid_request"),
        (PASSWORD | {"username": ""}, "invalid_grant"),
        ({"grant_type": "password", "password": "x"}, "invalid_request"),
        ({"grant_type": "password", "username": "x"}, "invalid_request"),
        (PASSWORD | {"username": "yonetici@shop.example"}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": ""}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "x.y.z"}, "invalid_grant"),
    ],
)
async def test_errors_have_the_shape_of_oauth(world: RegistryWorld, asked: Any, error: str) -> None:
    """Status 400 with error and error_description, never the envelope of the other calls."""
    reply = await world.call("POST", "/oauth2/token", asked)
    assert (reply.status, reply.body["error"], set(reply.body)) == (400, error, {"error", "error_description"})


async def test_an_access_token_lives_two_hours(world: RegistryWorld) -> None:
    """At 7200 seconds it is over, for 401 H351."""
    await world.advance(7199)
    assert (await world.call("GET", BRANDS)).status == 200
    await world.advance(1)
    reply = await world.call("GET", BRANDS)
    assert (reply.status, reply.codes) == (401, ["H351"])


async def test_a_refresh_gives_new_tokens_until_four_hours_from_login(world: RegistryWorld) -> None:
    """The new refresh token ends when the first would have; the old one is used up."""
    first = (await world.call("POST", "/oauth2/token", PASSWORD)).body
    await world.advance(10_000)
    asked = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = (await world.call("POST", "/oauth2/token", asked)).body
    assert second["refresh_token"] != first["refresh_token"]
    assert (second["expires_in"], second["refresh_expires_in"]) == (7200, 4400)
    assert (await world.call("POST", "/oauth2/token", asked)).body["error"] == "invalid_grant"
    world.token = second["access_token"]
    assert (await world.call("GET", BRANDS)).status == 200
    await world.advance(4400)
    asked["refresh_token"] = second["refresh_token"]
    assert (await world.call("POST", "/oauth2/token", asked)).body["error"] == "invalid_grant"


async def test_a_refresh_token_opens_no_door(world: RegistryWorld) -> None:
    """Nor does a token of another scheme, or none."""
    tokens = (await world.call("POST", "/oauth2/token", PASSWORD)).body
    world.token = tokens["refresh_token"]
    assert (await world.call("GET", BRANDS)).codes == ["H351"]
    wrong = await world.call("GET", BRANDS, headers={"Authorization": f"Basic {tokens['access_token']}"})
    assert wrong.codes == ["H351"]


async def test_tokens_can_be_revoked(world: RegistryWorld) -> None:
    """First the access tokens only, then the refresh tokens too."""
    tokens = (await world.call("POST", "/oauth2/token", PASSWORD)).body
    await world.sim("POST", "tokens/revoke")
    assert (await world.call("GET", BRANDS)).codes == ["H351"]
    asked = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    renewed = await world.call("POST", "/oauth2/token", asked)
    assert renewed.status == 200
    await world.sim("POST", "tokens/revoke", {"refresh": True})
    asked["refresh_token"] = renewed.body["refresh_token"]
    assert (await world.call("POST", "/oauth2/token", asked)).status == 400
