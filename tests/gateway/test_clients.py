"""Who may send: by network, by login, and what is done against guessing."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable
from typing import Any

import argon2
import pytest
import pytest_asyncio

from filters.client import Client
from gateway.clients import ClientAccess, ClientDirectory, LoginFailure, LoginResult
from gateway.peer import normalise_peer, peer_group

HASHER = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SHOP, BANK, OFFICE = Client("shop", (1,)), Client("bank", (2,)), Client("office", (3,))


def networks(*texts: str) -> tuple[Any, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest_asyncio.fixture
async def make() -> AsyncIterator[Callable[..., ClientDirectory]]:
    made: list[ClientDirectory] = []

    def build(*accesses: ClientAccess, **options: Any) -> ClientDirectory:
        made.append(ClientDirectory(accesses, **options))
        return made[-1]

    yield build
    for directory in made:
        directory.close()


async def ask(directory: ClientDirectory, username: bytes, password: bytes, peer: str = "192.0.2.1") -> LoginResult:
    result: asyncio.Future[LoginResult] = asyncio.get_running_loop().create_future()
    directory.check_login(username, password, peer, result.set_result)
    async with asyncio.timeout(10):
        return await result


def shop_login(hasher: argon2.PasswordHasher = HASHER) -> ClientAccess:
    return ClientAccess(SHOP, (), "shop", hasher.hash("secret"))


async def test_the_most_specific_network_wins(make: Callable[..., ClientDirectory]) -> None:
    """Whatever the order of the clients."""
    directory = make(
        ClientAccess(SHOP, networks("10.0.0.0/8", "2001:db8::/32")),
        ClientAccess(BANK, networks("10.1.2.0/24", "2001:db8:1::/48")),
        ClientAccess(OFFICE, networks("10.1.2.3/32")),
    )
    for _ in range(2):  # the second time from memory
        assert directory.find_by_network("10.9.9.9") is SHOP
        assert directory.find_by_network("10.1.2.4") is BANK
        assert directory.find_by_network("10.1.2.3") is OFFICE
        assert directory.find_by_network("2001:db8::1") is SHOP
        assert directory.find_by_network("2001:db8:1::1") is BANK
        assert directory.find_by_network("192.0.2.1") is None
        assert directory.find_by_network("::a01:203") is None


async def test_no_network_means_nobody(make: Callable[..., ClientDirectory]) -> None:
    """A client with a login only is not known by its address."""
    assert make(shop_login()).find_by_network("127.0.0.1") is None
    assert make().find_by_network("127.0.0.1") is None


def test_two_clients_cannot_share_a_network_or_a_name() -> None:
    """It would be chance whose mail it is."""
    with pytest.raises(ValueError, match="shop and bank share the network"):
        ClientDirectory([ClientAccess(SHOP, networks("10.0.0.0/8")), ClientAccess(BANK, networks("10.0.0.0/8"))])
    with pytest.raises(ValueError, match="username is another client's"):
        ClientDirectory([shop_login(), ClientAccess(BANK, (), "shop", HASHER.hash("x"))])
    with pytest.raises(ValueError, match="not an argon2 hash"):
        ClientDirectory([ClientAccess(SHOP, (), "shop", "secret")])


async def test_only_the_right_password_makes_a_client(make: Callable[..., ClientDirectory]) -> None:
    """Names and passwords are compared byte for byte."""
    directory = make(shop_login(), ClientAccess(BANK, (), "bänk", HASHER.hash("şifre")))
    assert directory.has_logins
    assert await ask(directory, b"shop", b"secret") is SHOP
    assert await ask(directory, "bänk".encode(), "şifre".encode()) is BANK
    for username, password in [
        (b"shop", b"Secret"),
        (b"shop", b""),
        (b"Shop", b"secret"),
        (b"nobody", b"secret"),
        ("bänk".encode(), b"secret"),
        (b"\xff", b"\xff"),
    ]:
        assert await ask(directory, username, password) is LoginFailure.WRONG


async def test_a_good_login_is_remembered_for_a_while_and_no_longer(make: Callable[..., ClientDirectory]) -> None:
    """From memory the answer comes within the call; a wrong password never does."""
    clock = Clock()
    directory = make(shop_login(), clock=clock, remembered_s=60)
    results: list[LoginResult] = []
    assert await ask(directory, b"shop", b"secret") is SHOP
    directory.check_login(b"shop", b"secret", "192.0.2.1", results.append)
    assert results == [SHOP]
    directory.check_login(b"shop", b"wrong", "192.0.2.1", results.append)
    assert results == [SHOP]
    clock.now += 61
    directory.check_login(b"shop", b"secret", "192.0.2.1", results.append)
    assert results == [SHOP]
    async with asyncio.timeout(10):
        while len(results) < 3:
            await asyncio.sleep(0.005)
    assert sorted(results, key=str) == sorted([SHOP, LoginFailure.WRONG, SHOP], key=str)


async def test_what_is_remembered_does_not_hold_the_password(make: Callable[..., ClientDirectory]) -> None:
    """A dump of the memory's values shows keyed hashes only."""
    directory = make(shop_login())
    await ask(directory, b"shop", b"secret")
    assert directory._remembered
    assert b"secret" not in repr(vars(directory)).encode()


async def test_the_same_credentials_waiting_are_checked_once(make: Callable[..., ClientDirectory]) -> None:
    """Twenty connections opened at once do not cost twenty hashes."""
    directory = make(shop_login())
    checked = 0
    right = directory._is_right

    def count(*arguments: Any) -> bool:
        nonlocal checked
        checked += 1
        return right(*arguments)

    directory._is_right = count
    assert await asyncio.gather(*(ask(directory, b"shop", b"secret") for _ in range(20))) == [SHOP] * 20
    assert checked == 1


async def test_failures_from_one_peer_are_limited(make: Callable[..., ClientDirectory]) -> None:
    """Then even the right password waits, unless it is remembered; other peers are not concerned."""
    clock = Clock()
    directory = make(shop_login(), clock=clock, max_failures=3, failure_window_s=100)
    for number in range(3):
        assert await ask(directory, b"shop", b"wrong%d" % number) is LoginFailure.WRONG
    assert await ask(directory, b"shop", b"secret") is LoginFailure.TOO_MANY_FAILURES
    assert await ask(directory, b"shop", b"secret", "192.0.2.2") is SHOP
    assert await ask(directory, b"shop", b"secret") is SHOP
    clock.now += 101
    assert await ask(directory, b"shop", b"wrong") is LoginFailure.WRONG


async def test_an_ipv6_host_cannot_guess_from_each_of_its_addresses(make: Callable[..., ClientDirectory]) -> None:
    """A /64 is one peer."""
    directory = make(shop_login(), max_failures=2)
    for number in range(2):
        assert await ask(directory, b"shop", b"%d" % number, f"2001:db8::{number}") is LoginFailure.WRONG
    assert await ask(directory, b"shop", b"secret", "2001:db8::ffff") is LoginFailure.TOO_MANY_FAILURES


async def test_more_logins_than_can_wait_are_put_off(make: Callable[..., ClientDirectory]) -> None:
    """The queue before the threads is bounded."""
    directory = make(shop_login(), threads=1, max_failures=10_000)
    results = await asyncio.gather(*(ask(directory, b"shop", b"%d" % number) for number in range(200)))
    assert LoginFailure.BUSY in results
    assert LoginFailure.WRONG in results
    assert await ask(directory, b"shop", b"secret") is SHOP


async def test_an_unknown_name_costs_the_same_work_as_a_wrong_password(make: Callable[..., ClientDirectory]) -> None:
    """The stand-in hash has the parameters of a real one, or the clock would tell which names exist."""
    hasher = argon2.PasswordHasher(time_cost=3, memory_cost=4096, parallelism=1)
    directory = make(shop_login(hasher), max_failures=1000)
    for name in (b"shop", b"nobody"):
        assert await ask(directory, name, b"wrong") is LoginFailure.WRONG
    assert argon2.extract_parameters(directory._stand_in()) == argon2.extract_parameters(hasher.hash("any"))


async def test_the_loop_goes_on_while_a_password_is_checked(make: Callable[..., ClientDirectory]) -> None:
    """A slow hash stops nobody's mail."""
    directory = make(shop_login(argon2.PasswordHasher(time_cost=20, memory_cost=8192, parallelism=1)))
    turns = 0
    asking = asyncio.create_task(ask(directory, b"shop", b"secret"))
    while not asking.done():
        turns += 1
        await asyncio.sleep(0)
    assert asking.result() is SHOP
    assert turns > 20


@pytest.mark.parametrize(
    ("given", "normalised", "group"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0:0::1", "2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::1", "fe80::/64"),
    ],
)
def test_a_peer_has_one_spelling(given: str, normalised: str, group: str) -> None:
    """Networks are matched and limits counted on it."""
    assert normalise_peer(given) == normalised
    assert peer_group(normalised) == group


def test_what_is_no_address_is_no_peer() -> None:
    """The callers hand in what the socket said."""
    with pytest.raises(ValueError):
        normalise_peer("localhost")
