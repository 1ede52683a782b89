"""Binds, states, limits and what peers say that they should not."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

from filters.smpp.reassembly import ReassemblyLimits
from filters.smpp.server_session import ServerLimits
from tests.gateway.smpp.conftest import Start
from tests.support.certificates import client_context, server_context
from tests.support.esme import Esme, bind_body, pdu, submit_body

SOMEBODY = "905321234567"
TRANSMITTER, RECEIVER, TRANSCEIVER = 0x02, 0x01, 0x09


@pytest.mark.parametrize("command", [TRANSMITTER, RECEIVER, TRANSCEIVER])
async def test_a_client_binds_in_all_three_ways(start: Start, command: int) -> None:
    """The answer names us and says that TLVs are understood."""
    world = await start()
    esme = await Esme.open(world.port)
    answer = await esme.ask(command, bind_body())
    assert (answer.command, answer.status) == (command | 0x80000000, 0)
    assert answer.body == b"IZINKAPI\0" + struct.pack(">HHB", 0x0210, 1, 0x34)
    esme.close()


@pytest.mark.parametrize(("system_id", "password"), [("shop", "wrong"), ("nobody", "secret"), ("shop", ""), ("", "")])
async def test_wrong_credentials_are_refused_alike(start: Start, system_id: str, password: str) -> None:
    """Whether the name exists is not told; afterwards nothing can be submitted."""
    world = await start()
    esme = await Esme.open(world.port)
    assert (await esme.ask(TRANSCEIVER, bind_body(system_id, password))).status == 0x0E
    assert (await esme.submit(SOMEBODY)).status == 0x04
    assert (await esme.ask(TRANSCEIVER, bind_body())).status == 0, "the right password still helps"
    esme.close()


async def test_a_known_network_binds_without_a_password_under_its_own_name(start: Start) -> None:
    world = await start(knows_network=True)
    esme = await Esme.open(world.port)
    assert (await esme.ask(TRANSCEIVER, bind_body("other", ""))).status == 0x0E
    assert (await esme.ask(TRANSCEIVER, bind_body("shop", ""))).status == 0
    esme.close()


async def test_binds_of_one_client_are_limited(start: Start) -> None:
    world = await start(max_binds_per_client=1)
    first = await Esme.bound(world.port)
    second = await Esme.open(world.port)
    assert (await second.ask(TRANSCEIVER, bind_body())).status == 0x0D
    first.close()
    await world.until(lambda: world.listener.session_count == 1)
    assert (await second.ask(TRANSCEIVER, bind_body())).status == 0
    second.close()


async def test_a_receiver_may_not_submit_and_nobody_binds_twice(start: Start) -> None:
    world = await start()
    esme = await Esme.bound(world.port, command=RECEIVER)
    assert (await esme.submit(SOMEBODY)).status == 0x04
    assert (await esme.ask(TRANSCEIVER, bind_body())).status == 0x05
    assert world.smsc.taken == 0
    esme.close()


async def test_unbind_is_answered_and_the_connection_closed(start: Start) -> None:
    world = await start()
    esme = await Esme.bound(world.port)
    assert (await esme.ask(0x06)).command == 0x80000006
    assert await esme.read() is None
    esme.close()


@pytest.mark.parametrize(("command", "status"), [(0x03, 0x67), (0x07, 0x13), (0x08, 0x11)])
async def test_what_is_not_offered_is_refused_in_its_own_words(start: Start, command: int, status: int) -> None:
    """query_sm, replace_sm, cancel_sm."""
    world = await start()
    esme = await Esme.bound(world.port)
    answer = await esme.ask(command, b"1\0\0\0\0")
    assert (answer.command, answer.status) == (command | 0x80000000, status)
    esme.close()


@pytest.mark.parametrize("command", [0x0B, 0x7777])
async def test_outbind_and_unknown_commands_get_a_generic_nack(start: Start, command: int) -> None:
    world = await start()
    esme = await Esme.bound(world.port)
    answer = await esme.ask(command)
    assert (answer.command, answer.status) == (0x80000000, 0x03)
    assert (await esme.submit(SOMEBODY)).status == 0
    esme.close()


@pytest.mark.parametrize("length", [0, 4, 15, 70_001, 0x7FFFFFFF, 0xFFFFFFFF])
async def test_an_impossible_length_ends_the_link(start: Start, length: int) -> None:
    """Where the next PDU begins cannot be known any more."""
    world = await start()
    esme = await Esme.bound(world.port)
    esme.writer.write(struct.pack(">4L", length, 0x04, 0, 9))
    said = await esme.read()
    assert said is not None
    assert (said.command, said.status) == (0x80000000, 0x02)
    assert await esme.read() is None
    assert world.smsc.taken == 0
    esme.close()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 0x15),
        (submit_body(SOMEBODY)[:-3], 0x01),
        (submit_body(SOMEBODY) + b"\x04", 0xC0),
        (submit_body(SOMEBODY) + b"\x04\x24\xff\xff", 0xC2),
        (submit_body(SOMEBODY, tlvs=[(0x0424, b"other")]), 0x01),
        (submit_body(SOMEBODY, tlvs=[(0x0204, b"1")]), 0xC2),
        (submit_body(SOMEBODY, tlvs=[(0x0204, b"12"), (0x0204, b"13")]), 0xC0),
        (submit_body("9" * 21), 0x0B),
        (submit_body(SOMEBODY, source="S" * 21), 0x0A),
        (submit_body(SOMEBODY, b"\x09hi", esm_class=0x40), 0x43),
        (submit_body(SOMEBODY, b"\x05\x00\x03\x01\x02\x03hi", esm_class=0x40), 0x43),
        (submit_body(SOMEBODY, schedule="tomorrow"), 0x61),
        (submit_body(SOMEBODY, tlvs=[(0x020C, b"\0\1")]), 0xC3),
    ],
)
async def test_a_pdu_that_cannot_be_read_is_refused_and_the_link_goes_on(
    start: Start, body: bytes, status: int
) -> None:
    world = await start()
    esme = await Esme.bound(world.port)
    assert (await esme.ask(0x04, body)).status == status
    assert world.smsc.taken == 0
    assert (await esme.submit(SOMEBODY)).status == 0
    esme.close()


async def test_a_sequence_number_in_use_is_refused(start: Start) -> None:
    """Two answers under one number could not be told apart."""
    world = await start()
    world.pipeline.hold = asyncio.Event()
    esme = await Esme.bound(world.port)
    esme.send(0x04, submit_body(SOMEBODY), sequence=77)
    esme.send(0x04, submit_body("905321111111"), sequence=77)
    assert (await esme.hear()).status == 0x08
    world.pipeline.hold.set()
    assert (await esme.hear()).status == 0
    assert [submit.destination for submit in world.smsc.submitted] == [SOMEBODY]
    esme.close()


async def test_a_silent_client_is_asked_and_then_hung_up_on(start: Start) -> None:
    world = await start(idle_timeout_s=1.0)
    esme = await Esme.bound(world.port)
    said = await esme.read()
    assert said is not None
    assert said.command == 0x15
    assert await esme.read() is None
    esme.close()


async def test_who_does_not_bind_is_hung_up_on(start: Start) -> None:
    world = await start(bind_timeout_s=0.2)
    esme = await Esme.open(world.port)
    assert await esme.read() is None
    esme.close()


async def test_an_answer_that_does_not_come_is_told_as_temporary(start: Start) -> None:
    """And the late answer goes nowhere, though the client uses the number again."""
    world = await start(answer_timeout_s=0.2)
    world.pipeline.hold = asyncio.Event()
    esme = await Esme.bound(world.port)
    esme.send(0x04, submit_body(SOMEBODY), sequence=5)
    assert (await esme.hear()).status == 0x08
    world.pipeline.hold.set()
    await world.until(lambda: world.listener.in_hand == 0)
    assert world.pipeline.unheard == 1
    esme.send(0x15, sequence=6)
    assert (await esme.hear()).sequence == 6
    esme.close()


async def test_drain_asks_for_unbind_and_answers_what_is_under_way(start: Start) -> None:
    """Nothing new is taken meanwhile."""
    world = await start()
    world.pipeline.hold = asyncio.Event()
    esme = await Esme.bound(world.port)
    first = esme.send(0x04, submit_body(SOMEBODY))
    await world.until(lambda: world.listener.in_hand == 1)
    draining = asyncio.create_task(world.listener.drain(5))
    said = await esme.hear()
    assert said.command == 0x06
    late = esme.send(0x04, submit_body("905321111111"))
    refused = await esme.hear()
    assert (refused.sequence, refused.status) == (late, 0x08)
    world.pipeline.hold.set()
    answered = await esme.hear()
    assert (answered.sequence, answered.status) == (first, 0)
    esme.send(0x80000006, sequence=said.sequence)
    assert await esme.read() is None
    await draining
    assert world.smsc.taken == 1
    esme.close()


async def test_more_connections_than_allowed_are_hung_up_on(start: Start) -> None:
    world = await start(max_connections_per_peer=1)
    first = await Esme.bound(world.port)
    second = await Esme.open(world.port)
    assert await second.read() is None
    assert (await first.submit(SOMEBODY)).status == 0
    first.close()
    second.close()


async def test_tls_from_the_first_byte(start: Start, tmp_path: Path) -> None:
    context = await asyncio.to_thread(server_context, tmp_path)
    world = await start(tls=True, context=context)
    trusting = await asyncio.to_thread(client_context, tmp_path)
    esme = await Esme.bound(world.port, ssl=trusting, server_hostname="localhost")
    assert (await esme.submit(SOMEBODY)).status == 0
    esme.close()


async def test_bytes_that_come_one_by_one_are_the_same_message(start: Start) -> None:
    world = await start()
    esme = await Esme.bound(world.port)
    for octet in pdu(0x04, 3, submit_body(SOMEBODY)):
        esme.writer.write(bytes((octet,)))
        await asyncio.sleep(0)
    assert (await esme.hear()).status == 0
    esme.close()


async def test_no_limit_of_memory_is_reached_by_parts(start: Start) -> None:
    """Beyond the bounds parts are put off, as too fast."""
    world = await start(part_hold_s=0, reassembly=ReassemblyLimits(max_parts=3), limits=ServerLimits(window=5))
    esme = await Esme.bound(world.port)
    statuses = [
        (await esme.submit(SOMEBODY, bytes((5, 0, 3, reference, 2, 1)) + b"x", esm_class=0x40)).status
        for reference in range(5)
    ]
    assert statuses == [0, 0, 0, 0x58, 0x58]
    esme.close()
