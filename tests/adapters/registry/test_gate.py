"""The registry's limits kept for real, by the simulator's own count; and who goes first."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from adapters.registry import Credentials, Patience, RegistryClient, records_in
from adapters.registry.gate import RateGate
from adapters.registry.records import FileRecord, LocalRecord, record_name
from filters.registry.call import Priority, Quota
from filters.registry.failures import Failure, Limited
from filters.registry.limits import Limits
from filters.registry.values import ConsentSubject, RegistryBrand
from filters.vocabulary import Channel, RecipientType
from tests.adapters.registry.conftest import PARTNER, PASSWORD, USERNAME, MakeAddress
from tests.support.simulated_registry import SimulatedRegistry

ACCOUNT = Credentials(USERNAME, PASSWORD)
BRAND = RegistryBrand(600123, 600123)
SUBJECT = ConsentSubject("grenze@shop.example", Channel.EMAIL, RecipientType.INDIVIDUAL)


async def test_ten_a_second_is_never_broken_and_nearly_reached(
    registry: SimulatedRegistry, make_address: MakeAddress
) -> None:
    """Thirty calls at once, logins of two accounts among them: no breach, no 429, and in a few seconds."""
    address = make_address()
    mine, partners = address.client(ACCOUNT), address.client(Credentials(PARTNER, PASSWORD))
    began_at = time.monotonic()
    answers = await asyncio.gather(
        *(mine.brands(600123) for _ in range(15)), *(partners.partner_brands(900001) for _ in range(13))
    )
    assert not any(isinstance(answer, Failure) for answer in answers)
    assert time.monotonic() - began_at < 6
    assert registry.traffic()["total"] == 30
    assert registry.breaches() == []


async def test_users_of_one_address_share_the_rate_through_the_record(
    registry: SimulatedRegistry, make_address: MakeAddress, tmp_path: Path
) -> None:
    """Three gates of their own, one folder: together no more than ten a second."""
    clients = [make_address(records=records_in(tmp_path)).client(ACCOUNT) for _ in range(3)]
    answers = await asyncio.gather(*(client.brands(600123) for client in clients for _ in range(8)))
    assert not any(isinstance(answer, Failure) for answer in answers)
    assert registry.breaches() == []


async def test_refusals_go_before_bulk_verification() -> None:
    """Of those that wait the most urgent goes first, whoever came first."""
    gate, gone = RateGate(limits=Limits(per_second=1, window_s=1.0)), []

    async def go(priority: Priority) -> None:
        turn = await gate.enter(Quota.NONE, priority, 20)
        assert isinstance(turn, float)
        gone.append(priority)
        await gate.leave(turn)

    await go(Priority.ROUTINE)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(go(Priority.BULK))
        await asyncio.sleep(0.05)
        tasks.create_task(go(Priority.QUERY))
        tasks.create_task(go(Priority.REFUSAL))
    await gate.close()
    assert gone[1:] == [Priority.REFUSAL, Priority.QUERY, Priority.BULK]


async def test_a_view_of_the_client_waits_with_its_own_priority(
    registry: SimulatedRegistry, make_address: MakeAddress
) -> None:
    """What is asked in bulk lets what is asked now pass."""
    client = make_address(limits=Limits(per_second=1, window_s=1.0)).client(ACCOUNT)
    ended: list[str] = []

    async def ask(name: str, view: RegistryClient) -> None:
        assert not isinstance(await view.brands(600123), Failure)
        ended.append(name)

    await ask("first", client)
    bulk = asyncio.create_task(ask("bulk", client.with_priority(Priority.BULK)))
    await asyncio.sleep(0.05)
    await asyncio.gather(ask("now", client), bulk)
    assert ended == ["first", "now", "bulk"]
    assert registry.breaches() == []


async def test_a_request_that_would_wait_too_long_comes_back_unsent(
    registry: SimulatedRegistry, make_address: MakeAddress
) -> None:
    """At once where an hourly quota is used up, after its patience where others are before it."""
    client = make_address(limits=Limits(status_per_hour=2), patience=Patience(turn_s=5.0)).client(ACCOUNT)
    for _ in range(2):
        assert await client.status(BRAND, SUBJECT) is None
    began_at = time.monotonic()
    limited = await client.status(BRAND, SUBJECT)
    assert isinstance(limited, Limited)
    assert limited.code == ""
    assert 3500 < limited.pause_s < 3800
    assert time.monotonic() - began_at < 1
    assert registry.operations()["status"] == 2
    assert not isinstance(await client.brands(600123), Failure)


async def test_patience_ends_while_others_go_first() -> None:
    """The turn that was not waited for is not counted."""
    gate = RateGate(limits=Limits(per_second=1, window_s=1.0))
    turn = await gate.enter(Quota.NONE, Priority.ROUTINE, 1)
    assert isinstance(turn, float)
    assert isinstance(await gate.enter(Quota.NONE, Priority.ROUTINE, 0.1), Limited)
    await gate.leave(turn)
    assert isinstance(await gate.enter(Quota.NONE, Priority.ROUTINE, 5), float)
    await gate.close()


async def test_who_is_cancelled_while_waiting_leaves_the_queue() -> None:
    """And who waits behind goes on."""
    gate = RateGate(limits=Limits(per_second=1, window_s=1.0))
    turn = await gate.enter(Quota.NONE, Priority.ROUTINE, 1)
    assert isinstance(turn, float)
    await gate.leave(turn)
    first = asyncio.create_task(gate.enter(Quota.NONE, Priority.LOGIN, 20))
    second = asyncio.create_task(gate.enter(Quota.NONE, Priority.BULK, 20))
    await asyncio.sleep(0.05)
    first.cancel()
    began_at = time.monotonic()
    assert isinstance(await second, float)
    assert time.monotonic() - began_at < 1.6
    await gate.close()


class LostRecord:
    """A place that cannot be reached."""

    async def read(self) -> bytes | None:
        raise ConnectionError

    async def replace(self, expected: bytes | None, new: bytes) -> bool:
        raise ConnectionError


async def test_without_the_shared_count_nothing_is_sent(registry: SimulatedRegistry, make_address: MakeAddress) -> None:
    """A limit nobody can count is not risked."""
    client = make_address(records=lambda name: LostRecord()).client(ACCOUNT)
    assert isinstance(await client.brands(600123), Limited)
    assert registry.traffic()["total"] == 0


async def test_closing_sends_away_who_waits() -> None:
    """As limited, not for ever."""
    gate = RateGate(limits=Limits(per_second=1, window_s=60.0))
    assert isinstance(await gate.enter(Quota.NONE, Priority.ROUTINE, 1), float)
    waiting = asyncio.create_task(gate.enter(Quota.NONE, Priority.ROUTINE, 100))
    await asyncio.sleep(0.05)
    await gate.close()
    assert isinstance(await waiting, Limited)


async def test_a_damaged_record_of_the_count_is_begun_anew() -> None:
    """It does not stop the traffic for ever."""
    gate = RateGate(LocalRecord(b"\x00damaged"))
    assert isinstance(await gate.enter(Quota.NONE, Priority.ROUTINE, 1), float)
    await gate.close()


@pytest.mark.parametrize("kind", ["local", "file"])
async def test_a_record_changes_only_from_what_is_expected(kind: str, tmp_path: Path) -> None:
    """Of two who change the same value one is told to look again."""
    record = LocalRecord() if kind == "local" else FileRecord(tmp_path / "record")
    assert await record.read() is None
    assert await record.replace(None, b"1")
    assert not await record.replace(None, b"2")
    assert not await record.replace(b"0", b"2")
    assert await record.read() == b"1"
    assert await record.replace(b"1", b"2")
    results = await asyncio.gather(*(record.replace(b"2", b"%d" % number) for number in range(10, 18)))
    assert sum(results) == 1


def test_record_names_are_apart_and_show_nothing() -> None:
    """Parts cannot run into each other."""
    assert record_name("ab", "c") != record_name("a", "bc")
    assert USERNAME not in record_name("token", USERNAME)
    assert len(record_name("x")) == 32
