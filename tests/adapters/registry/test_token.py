"""One token for all users of an account, over expiry, revocation, blocks, restarts and processes."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.registry import Credentials, RegistryClient, records_in
from adapters.registry.records import LocalRecord
from adapters.registry.token_keeper import TokenKeeper
from filters.registry.call import Call
from filters.registry.calls.token import TokenAnswer
from filters.registry.failures import (
    CallFailure,
    Failure,
    Limited,
    LoginRefused,
    Refused,
    ServerFault,
    TransportFault,
    TransportProblem,
)
from filters.registry.limits import Limits
from filters.registry.token_state import TokenState, claimed, pack
from tests.adapters.registry.conftest import PARTNER, PASSWORD, USERNAME, MakeAddress
from tests.support.simulated_registry import ROOT, SimulatedRegistry

ACCOUNT = Credentials(USERNAME, PASSWORD)
UNLIMITED = Limits(per_second=100_000)


def logins(registry: SimulatedRegistry) -> int:
    return registry.operations().get("token", 0)


async def is_answered(client: RegistryClient) -> bool:
    return not isinstance(await client.brands(600123), Failure)


async def test_many_callers_at_once_log_in_once(registry: SimulatedRegistry, client: RegistryClient) -> None:
    """Thirty calls on a new client: one token request."""
    assert all(await asyncio.gather(*(is_answered(client) for _ in range(30))))
    assert logins(registry) == 1


async def test_a_caller_who_gives_up_does_not_take_the_login_from_the_others(
    registry: SimulatedRegistry, client: RegistryClient
) -> None:
    """The first caller is cancelled in the middle of the login; the second gets its answer by that same login."""
    registry.fault("slow", path="/oauth2/token", seconds=0.3, count=1)
    first = asyncio.create_task(is_answered(client))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(is_answered(client))
    await asyncio.sleep(0.05)
    first.cancel()
    assert await second
    assert logins(registry) == 1


@pytest.mark.parametrize(("later_s", "requests"), [(6800, 0), (6950, 1), (7300, 1), (14_000, 1), (15_000, 1)])
async def test_a_token_is_renewed_before_its_end_and_after_any_absence(
    registry: SimulatedRegistry, client: RegistryClient, later_s: float, requests: int
) -> None:
    """One request in each case: a refresh while the refresh token lives, a login after that."""
    assert await is_answered(client)
    before = logins(registry)
    registry.advance(later_s)
    assert all(await asyncio.gather(*(is_answered(client) for _ in range(10))))
    assert logins(registry) - before == requests


async def test_the_newest_refresh_token_is_used(registry: SimulatedRegistry, client: RegistryClient) -> None:
    """The simulator takes each refresh token once only; two refreshes in turn need no login."""
    assert await is_answered(client)
    for _ in range(2):
        registry.advance(6950)
        assert await is_answered(client)
    codes = registry.traffic()["by_status"]
    assert codes == {"200": codes["200"]}


@pytest.mark.parametrize(("is_refresh_revoked", "requests"), [(False, 1), (True, 2)])
async def test_a_revoked_token_is_replaced_once_for_all_and_the_calls_go_again(
    registry: SimulatedRegistry, client: RegistryClient, is_refresh_revoked: bool, requests: int
) -> None:
    """By refresh; where that is revoked too, by a login after it."""
    assert await is_answered(client)
    before = logins(registry)
    registry.control("POST", "tokens/revoke", {"refresh": is_refresh_revoked})
    assert all(await asyncio.gather(*(is_answered(client) for _ in range(20))))
    assert logins(registry) - before == requests


async def test_a_registry_that_refuses_every_token_is_not_asked_for_ever(
    registry: SimulatedRegistry, client: RegistryClient
) -> None:
    """One repeat with another token, then the refusal comes home."""
    registry.fault("expired", path="/brands")
    assert not await is_answered(client)
    assert registry.operations() == {"brands": 2, "token": 2}


async def test_while_logins_are_blocked_none_is_tried(registry: SimulatedRegistry, client: RegistryClient) -> None:
    """H084 in its flat shape: for a full hour no request to the token endpoint, however many ask; then one."""
    registry.set(token_requests_per_hour=1)
    registry.control("POST", "tokens/revoke", {"refresh": True})
    registry.fault("code", code="H084", path="/oauth2/token", count=1)
    for wait_s in (0, 600, 2900):
        registry.advance(wait_s)
        for result in await asyncio.gather(*(client.brands(600123) for _ in range(5))):
            assert isinstance(result, Limited)
            assert result.pause_s >= 1
        assert logins(registry) == 1
    registry.advance(200)
    assert await is_answered(client)
    assert logins(registry) == 2
    assert registry.breaches() == []


async def test_a_real_block_of_the_registry_is_not_restarted(
    registry: SimulatedRegistry, make_address: MakeAddress
) -> None:
    """Others used up the hour of our address: one refusal, no second try within the hour, then one login."""
    other = make_address(limits=UNLIMITED).client(ACCOUNT)
    assert await is_answered(other)
    registry.set(token_requests_per_hour=1)
    client = make_address(limits=UNLIMITED).client(ACCOUNT)
    first = await client.brands(600123)
    assert isinstance(first, Limited)
    assert (first.code, first.pause_s) == ("H084", 3600.0)
    for _ in range(3):
        assert isinstance(await client.brands(600123), Limited)
    assert logins(registry) == 2
    registry.advance(3700)
    assert await is_answered(client)
    assert [breach["rule"] for breach in registry.breaches()] == ["token"]


async def test_a_token_that_cannot_be_renewed_early_serves_to_its_end(
    registry: SimulatedRegistry, client: RegistryClient
) -> None:
    """A failed refresh five minutes before the end stops nobody."""
    assert await is_answered(client)
    registry.advance(6950)
    registry.fault("maintenance", path="/oauth2/token")
    assert await is_answered(client)
    registry.advance(300)
    assert isinstance(await client.brands(600123), ServerFault)


async def test_a_block_counts_for_all_accounts_of_the_address(
    registry: SimulatedRegistry, make_address: MakeAddress
) -> None:
    """The registry counts logins by source address, so the second account does not try either."""
    address = make_address(limits=UNLIMITED)
    registry.fault("code", code="H084", path="/oauth2/token", count=1)
    assert isinstance(await address.client(ACCOUNT).brands(600123), Limited)
    assert isinstance(await address.client(Credentials(PARTNER, PASSWORD)).partner_brands(900001), Limited)
    assert logins(registry) == 1


async def test_wrong_credentials_are_tried_once_in_a_quarter_of_an_hour(
    registry: SimulatedRegistry, make_address: MakeAddress
) -> None:
    """A person has to mend them; trying on would only use up the hour."""
    client = make_address(limits=UNLIMITED).client(Credentials(USERNAME, "falsch"))
    for _ in range(3):
        refused = await client.brands(600123)
        assert isinstance(refused, LoginRefused)
        assert (refused.status, refused.code) == (400, "invalid_request")
        assert 0 < refused.pause_s <= 900
    assert logins(registry) == 1
    registry.advance(901)
    assert isinstance(await client.brands(600123), LoginRefused)
    assert logins(registry) == 2


async def test_a_registry_that_is_down_does_not_use_up_the_logins(
    registry: SimulatedRegistry, make_address: MakeAddress
) -> None:
    """Pauses grow between the tries; whoever asks meanwhile hears the last fault."""
    client = make_address(limits=Limits(per_second=100_000, token_per_hour=100)).client(ACCOUNT)
    registry.fault("cut", path="/oauth2/token")
    for _ in range(300):
        fault = await client.brands(600123)
        assert isinstance(fault, TransportFault)
        assert fault.problem is TransportProblem.CUT_OFF
        registry.advance_ours(10)
    assert 5 <= logins(registry) <= 14
    registry.control("DELETE", "faults")
    registry.advance(600)
    assert await is_answered(client)


async def test_a_login_that_met_no_server_does_not_count(make_address: MakeAddress) -> None:
    """Not connected is not a request of the hour."""
    now = [1_000_000.0]
    address = make_address("http://127.0.0.1:9", limits=Limits(token_per_hour=1), clock=lambda: now[0])
    client = address.client(ACCOUNT)
    for _ in range(3):
        fault = await client.brands(600123)
        assert isinstance(fault, TransportFault)
        assert fault.problem is TransportProblem.NOT_CONNECTED
        now[0] += 700


async def test_a_restart_does_not_log_in_again(
    registry: SimulatedRegistry, make_address: MakeAddress, tmp_path: Path
) -> None:
    """The token lies in a file that only its owner may read, in a folder of the same kind."""
    directory = tmp_path / "registry"
    for _ in range(3):
        address = make_address(records=records_in(directory), limits=UNLIMITED)
        assert await is_answered(address.client(ACCOUNT))
        await address.close()
    assert logins(registry) == 1
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for path in directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert USERNAME not in path.name


async def test_a_restart_within_a_block_does_not_try_either(
    registry: SimulatedRegistry, make_address: MakeAddress, tmp_path: Path
) -> None:
    """The block is written down where the next process finds it."""
    registry.fault("code", code="H084", path="/oauth2/token", count=1)
    for _ in range(3):
        address = make_address(records=records_in(tmp_path), limits=UNLIMITED)
        assert isinstance(await address.client(ACCOUNT).brands(600123), Limited)
        await address.close()
    assert logins(registry) == 1
    registry.advance(3610)
    assert await is_answered(make_address(records=records_in(tmp_path), limits=UNLIMITED).client(ACCOUNT))


async def test_too_many_requests_a_second_at_the_token_endpoint_is_no_block_of_an_hour(
    registry: SimulatedRegistry, client: RegistryClient
) -> None:
    """H124 there is the limit of a second, and waits as long."""
    registry.fault("code", code="H124", path="/oauth2/token", count=1)
    limited = await client.brands(600123)
    assert isinstance(limited, Limited)
    assert limited.pause_s <= 2
    registry.advance(5)
    assert await is_answered(client)


async def test_an_answer_that_is_no_verdict_on_credentials_is_none(
    registry: SimulatedRegistry, client: RegistryClient
) -> None:
    """A 404 of some proxy on the way does not stop the login for a quarter of an hour."""
    registry.fault("status", status=404, path="/oauth2/token", count=1)
    assert isinstance(await client.brands(600123), Refused)
    registry.advance(5)
    assert await is_answered(client)


async def test_workers_that_start_together_log_in_once(
    registry: SimulatedRegistry, make_address: MakeAddress, tmp_path: Path
) -> None:
    """Each has a keeper of its own; they meet in the file. A slow login makes the others wait for it."""
    registry.fault("slow", path="/oauth2/token", seconds=0.3)
    clients = [make_address(records=records_in(tmp_path), limits=UNLIMITED).client(ACCOUNT) for _ in range(5)]
    assert all(await asyncio.gather(*(is_answered(client) for client in clients)))
    assert logins(registry) == 1


WORKER = """
import asyncio, sys
from pathlib import Path
from adapters.registry import Credentials, RegistryAddress, records_in

async def main():
    url, directory, username, password = sys.argv[1:]
    address = RegistryAddress(url, records=records_in(Path(directory)))
    client = address.client(Credentials(username, password))
    for answer in await asyncio.gather(*(client.brands(600123) for _ in range(8))):
        assert isinstance(answer, tuple), answer
    await address.close()

asyncio.run(main())
"""


def test_processes_share_token_and_limits(tmp_path: Path) -> None:
    """Two programs with the same folder: one login, and together never over ten a second."""
    registry = SimulatedRegistry()
    registry.start()
    try:
        workers = [
            subprocess.Popen([sys.executable, "-c", WORKER, registry.url, str(tmp_path), USERNAME, PASSWORD], cwd=ROOT)
            for _ in range(2)
        ]
        assert [worker.wait(30) for worker in workers] == [0, 0]
        assert registry.operations() == {"token": 1, "brands": 16}
        assert registry.breaches() == []
    finally:
        registry.stop()


async def test_a_lease_of_a_dead_process_ends() -> None:
    """Who began to log in and died holds the others up for the lease, not for ever."""
    answers: list[str] = []

    async def send(call: Call[TokenAnswer]) -> TokenAnswer | CallFailure:
        answers.append(call.name)
        return TokenAnswer("a1", "r1", 7200, 14400)

    now = [1_000_000.0]
    record = LocalRecord(pack(claimed(TokenState(), "dead", now[0], 40)))
    keeper = TokenKeeper(ACCOUNT, send, record, lambda: now[0])
    waiting = asyncio.create_task(keeper.token())
    await asyncio.sleep(0.25)
    assert not waiting.done()
    now[0] += 41
    assert await waiting == "a1"
    assert answers == ["login"]


def test_credentials_show_neither_name_nor_password() -> None:
    """They may end in a log."""
    assert USERNAME not in repr(ACCOUNT)
    assert PASSWORD not in repr(ACCOUNT)
    with pytest.raises(ValueError):
        Credentials("", PASSWORD)
