"""The documented rate limits hold on the registry's clock, and every breach is seen by the test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from loadtest.registry.door.limits import Limits
from loadtest.registry.settings import Settings
from tests.support.registry_world import CONSENTS, RegistryWorld, item, key

BRANDS = "/sps/600123/brands"


@pytest.fixture
async def strict() -> AsyncIterator[RegistryWorld]:
    """A registry that enforces its limits; the login was the first call of this second."""
    async with RegistryWorld(is_limiting=True) as made:
        await made.login()
        yield made


async def breaches(world: RegistryWorld) -> list[str]:
    return [each["rule"] for each in (await world.sim("GET", "requests"))["breaches"]]


async def test_ten_calls_in_any_second(strict: RegistryWorld) -> None:
    """The eleventh gets 429 H124; a moment over a second later there is room again."""
    replies = [await strict.call("GET", BRANDS) for _ in range(10)]
    assert [reply.status for reply in replies] == [200] * 9 + [429]
    assert replies[-1].codes == ["H124"]
    assert await breaches(strict) == ["second"]
    await strict.advance(0.9)
    assert (await strict.call("GET", BRANDS)).status == 429
    await strict.advance(0.1)
    assert (await strict.call("GET", BRANDS)).status == 200


async def test_a_hundred_tokens_an_hour_and_asking_again_restarts_the_hour(strict: RegistryWorld) -> None:
    """Whoever asks while blocked waits an hour from then; the answer is flat, or in the envelope by setting."""
    for _ in range(99):
        await strict.advance(1)
        await strict.login()
    asked = {"grant_type": "password"}
    refused = await strict.call("POST", "/oauth2/token", asked)
    assert (refused.status, refused.body["code"]) == (429, "H084")
    await strict.advance(3599)
    assert (await strict.call("POST", "/oauth2/token", asked)).status == 429
    await strict.advance(3599)
    await strict.sim("PUT", "settings", {"is_token_limit_flat": False})
    again = await strict.call("POST", "/oauth2/token", asked)
    assert again.body["errors"][0]["code"] == "H084"
    await strict.advance(3601)
    await strict.login()
    assert await breaches(strict) == ["token", "token-hour-restarted", "token-hour-restarted"]


async def test_single_status_and_history_have_hours_of_their_own(strict: RegistryWorld) -> None:
    """1000 and 100; nothing else is counted with them."""
    await strict.sim("PUT", "settings", {"requests_per_second": 100_000})
    statuses = [(await strict.call("POST", CONSENTS + "/status", key())).status for _ in range(1001)]
    assert statuses == [200] * 1000 + [429]
    histories = [await strict.call("POST", CONSENTS + "/history", key()) for _ in range(101)]
    assert [reply.status for reply in histories] == [200] * 100 + [429]
    assert histories[-1].codes == ["H089"]
    assert (await strict.call("GET", BRANDS)).status == 200
    await strict.advance(3600)
    assert (await strict.call("POST", CONSENTS + "/status", key())).status == 200


async def test_without_enforcement_breaches_are_still_counted(world: RegistryWorld) -> None:
    """So that a test can run unhindered and still say that nothing was too much."""
    for _ in range(12):
        assert (await world.call("GET", BRANDS)).status == 200
    assert set(await breaches(world)) == {"second"}


async def test_sizes_beyond_the_documents_are_breaches_too(world: RegistryWorld) -> None:
    """Lists and pages that are too long are named."""
    await world.call("POST", CONSENTS + "/request", [item(recipient=f"a{n}@example.com") for n in range(1001)])
    await world.call("GET", CONSENTS + "/changes?limit=1001")
    await world.call("POST", CONSENTS + "/history?limit=101", key())
    recipients = [f"a{n}@example.com" for n in range(1001)]
    await world.call("POST", CONSENTS + "/BIREYSEL/status/EPOSTA", {"recipients": recipients})
    assert set(await breaches(world)) == {"bulk-size", "changes-limit", "page", "multi-status-size"}


def test_too_many_failures_are_noticed_and_in_the_end_barred() -> None:
    """From 20,000 calls in 24 hours with under 70 % success: a notice, and after 96 bad hours the bar."""
    heard: list[str] = []
    limits = Limits(Settings(), lambda rule, _detail: heard.append(rule))
    now = 1_000_000.0
    for number in range(20_000):
        limits.count("a", 422 if number % 3 == 0 else 200, now)
    assert heard == ["failure-ratio"]
    for hour in range(1, 98):
        for number in range(1000):
            limits.count("a", 404 if number % 2 else 200, now + hour * 3600)
    assert limits.barred == {"a"}
    assert limits.ratio("a")[0] == 24_000


def test_a_good_day_ends_the_notice() -> None:
    """Back over 70 % within 96 hours: nothing happens."""
    heard: list[str] = []
    limits = Limits(Settings(), lambda rule, _detail: heard.append(rule))
    for number in range(20_000):
        limits.count("a", 403 if number % 3 == 0 else 200, 0.0)
    for hour in range(24, 121):
        for _ in range(1000):
            limits.count("a", 429, hour * 3600.0)  # 429 is not among the failures
    assert (heard, limits.barred) == (["failure-ratio"], set())


async def test_the_log_tells_each_call_and_no_secret(world: RegistryWorld) -> None:
    """Operation, status, codes and user; no body and no token."""
    await world.call("POST", CONSENTS, item(status="RED"))
    await world.call("GET", "/nowhere")
    log = await world.sim("GET", "requests")
    assert [(each["operation"], each["status"], each["codes"]) for each in log["calls"]] == [
        ("token", 200, []),
        ("add", 422, ["H115"]),
        ("unknown", 404, []),
    ]
    assert log["by_code"] == {"H115": 1}
    assert world.token not in str(log)
    assert "ayse@example.com" not in str(log)
