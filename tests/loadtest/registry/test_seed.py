"""The registry's file can be filled with the same made-up people that an index is seeded with."""

from __future__ import annotations

from pathlib import Path

import pytest

from filters.vocabulary import RecipientType, Status
from loadtest.registry.seed import recipient_of, seed
from loadtest.seed_index import consent_of
from tests.support.registry_world import CONSENTS, RegistryWorld, key

TYPES = {RecipientType.INDIVIDUAL: "BIREYSEL", RecipientType.BUSINESS: "TACIR"}
STATUSES = {Status.APPROVED: "ONAY", Status.REJECTED: "RET"}


@pytest.mark.parametrize("channel", ["EPOSTA", "MESAJ"])
async def test_everybody_is_there_with_what_they_want(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    """No number is left out where chunks end, counts fit, and each answers as seeded."""
    monkeypatch.setattr("loadtest.registry.seed._CHUNK", 7)
    path = tmp_path / "registry.sqlite"
    seed(path, 600123, 1234, channel)
    async with RegistryWorld(path) as world:
        await world.login()
        stats = (await world.call("GET", "/sps/600123/brands")).body[0]["stats"]["consents"]
        wanted = [consent_of(number) for number in range(1234)]
        approved = sum(consent.status is Status.APPROVED for _, consent in wanted)
        assert stats == {"approval": approved, "rejection": 1234 - approved, "total": 1234}
        for number in (0, 9, 10, 77, 999, 1233):
            kind, consent = wanted[number]
            asked = key(recipient=recipient_of(number, channel), type=channel, recipientType=TYPES[kind])
            reply = await world.call("POST", CONSENTS + "/status", asked)
            assert reply.body["status"] == STATUSES[consent.status]
        history = (await world.call("POST", CONSENTS + "/history", asked)).body
        assert history["pagination"]["totalCount"] == 1
        assert history["list"][0]["transactionId"] == reply.body["transactionId"]


async def test_the_first_movement_of_a_seeded_consent_keeps_its_past(tmp_path: Path) -> None:
    """History then has two lines, and the feed only the new one."""
    path = tmp_path / "registry.sqlite"
    seed(path, 600123, 3, "EPOSTA")
    async with RegistryWorld(path) as world:
        await world.login()
        await world.citizen(recipient="seed1@seed.example")
        asked = key(recipient="seed1@seed.example")
        assert (await world.call("POST", CONSENTS + "/history", asked)).body["pagination"]["totalCount"] == 2
        await world.advance(3600)
        changes = await world.call("GET", CONSENTS + "/changes")
        assert [each["status"] for each in changes.body["list"]] == ["RET"]
        assert (await world.call("GET", CONSENTS + "/changes?source=HS")).status == 204
