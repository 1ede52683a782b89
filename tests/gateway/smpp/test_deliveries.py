"""Receipts and people's messages on their way from the SMSC to clients."""

from __future__ import annotations

import pytest

from tests.gateway.smpp.conftest import Start
from tests.support.esme import Esme, multi_body, parts_of, submit_body

SOMEBODY = "905321234567"


async def test_a_receipt_reaches_the_sender_under_the_id_it_knows(start: Start) -> None:
    world = await start()
    esme = await Esme.bound(world.port)
    answer = await esme.submit(SOMEBODY, registered=1, tlvs=[(0x0204, b"\x12\x34")])
    (receipt,) = await esme.wait_for_deliveries(1)
    assert receipt.fields["id"] == answer.message_id
    assert (receipt.fields["stat"], receipt.tlvs[0x001E], receipt.tlvs[0x0427]) == (
        "DELIVRD",
        answer.message_id.encode() + b"\0",
        b"\x02",
    )
    assert receipt.tlvs[0x0204] == b"\x12\x34", "the sender's own reference comes back"
    assert (receipt.source, receipt.destination) == (SOMEBODY, "SHOP")
    await world.until(lambda: world.smsc.deliver_answers == [0])
    esme.close()


async def test_each_part_hears_of_its_own_id_and_of_the_worst_end(start: Start) -> None:
    world = await start()
    esme = await Esme.bound(world.port)
    for part in parts_of(b"y" * 300, 153):
        esme.send(0x04, submit_body("905321239505", part, esm_class=0x40, registered=1))
    ids = {(await esme.hear()).message_id for _ in range(2)}
    receipts = await esme.wait_for_deliveries(2)
    assert {receipt.fields["id"] for receipt in receipts} == ids
    assert {receipt.fields["stat"] for receipt in receipts} == {"UNDELIV"}
    esme.close()


async def test_destinations_of_one_submit_multi_hear_under_one_id(start: Start) -> None:
    world = await start()
    esme = await Esme.bound(world.port)
    answer = await esme.ask(0x21, multi_body([SOMEBODY, "905321239505"], registered=1))
    receipts = await esme.wait_for_deliveries(2)
    assert {(receipt.source, receipt.fields["stat"]) for receipt in receipts} == {
        (SOMEBODY, "DELIVRD"),
        ("905321239505", "UNDELIV"),
    }
    assert {receipt.fields["id"] for receipt in receipts} == {answer.message_id}
    esme.close()


@pytest.mark.parametrize(("asked", "ending", "told"), [(0, "9505", 0), (2, "4567", 0), (2, "9505", 1), (1, "4567", 1)])
async def test_only_who_asked_is_told(start: Start, asked: int, ending: str, told: int) -> None:
    """registered_delivery: 1 of any end, 2 of failure only."""
    world = await start()
    esme = await Esme.bound(world.port)
    await esme.submit("90532123" + ending, registered=asked)
    if asked:
        await world.until(lambda: len(world.smsc.deliver_answers) == 1)
    await esme.ask(0x15)
    assert len(esme.deliveries) == told
    esme.close()


async def test_the_smsc_keeps_a_receipt_while_the_client_is_away(start: Start) -> None:
    """0x64: the SMSC comes again; nothing waits in our memory that a crash would lose."""
    world = await start()
    world.smsc.receipt_after_s = None
    esme = await Esme.bound(world.port)
    answer = await esme.submit(SOMEBODY, registered=1)
    esme.close()
    await world.until(lambda: world.listener.session_count == 0)
    (submit,) = world.smsc.submitted
    world.smsc.links[0].receipt(submit)
    await world.until(lambda: world.smsc.deliver_answers == [0x64])
    again = await Esme.bound(world.port)
    world.smsc.links[0].receipt(submit)
    (receipt,) = await again.wait_for_deliveries(1)
    assert receipt.fields["id"] == answer.message_id
    again.close()


async def test_a_receipt_of_nobodys_message_is_put_off(start: Start) -> None:
    """After some patience: it may have overtaken the answer to its message, or belong to another process."""
    world = await start()
    world.deliveries.book._patience_s = 0.2
    esme = await Esme.bound(world.port)
    world.smsc.links[0].deliver("905321234567", "SHOP", 4, b"id:424242 sub:001 dlvrd:001 stat:DELIVRD err:000 text:")
    await world.until(lambda: world.smsc.deliver_answers == [0x64])
    assert esme.deliveries == []
    esme.close()


async def test_what_a_person_writes_is_heard_first_and_passed_on_then(start: Start) -> None:
    world = await start()
    esme = await Esme.bound(world.port)
    world.smsc.inject(SOMEBODY, "3338", "ret örnek")
    (delivery,) = await esme.wait_for_deliveries(1)
    assert (delivery.source, delivery.destination, delivery.octets.decode("utf-16-be")) == (
        SOMEBODY,
        "3338",
        "ret örnek",
    )
    (heard,) = world.inbound.messages
    assert (heard.sender, heard.destination, heard.text) == (SOMEBODY, "3338", "ret örnek")
    esme.close()


async def test_a_refusal_does_not_wait_for_the_client_to_come_back(start: Start) -> None:
    """It holds at once; the message itself is kept by the SMSC for the client that is away."""
    world = await start()
    world.smsc.inject(SOMEBODY, "3338", "RET")
    await world.until(lambda: world.smsc.deliver_answers == [0x64])
    assert [heard.text for heard in world.inbound.messages] == ["RET"]


async def test_a_message_told_twice_has_one_id(start: Start) -> None:
    world = await start(routes={})
    for text in ("RET", "RET", "RET 2"):
        world.smsc.inject(SOMEBODY, "3338", text)
    await world.until(lambda: len(world.inbound.messages) == 3)
    first, again, other = world.inbound.messages
    assert first.message_id == again.message_id != other.message_id


async def test_the_smsc_repeats_what_could_not_be_kept(start: Start) -> None:
    """A refusal is taken only once it is durable."""
    world = await start()
    esme = await Esme.bound(world.port)
    world.inbound.is_durable = False
    world.smsc.inject(SOMEBODY, "3338", "RET")
    await world.until(lambda: world.smsc.deliver_answers == [0x64])
    world.inbound.is_durable = True
    world.smsc.inject(SOMEBODY, "3338", "RET")
    await world.until(lambda: world.smsc.deliver_answers == [0x64, 0])
    await esme.wait_for_deliveries(1)
    esme.close()


async def test_a_client_that_is_busy_gets_it_again(start: Start) -> None:
    """A temporary answer to a delivery: tried again, and not for ever."""
    world = await start()
    esme = await Esme.bound(world.port)
    esme.delivery_status = 0x58
    await esme.submit(SOMEBODY, registered=1)
    await esme.wait_for_deliveries(1)
    esme.delivery_status = 0
    await esme.wait_for_deliveries(2)
    assert esme.deliveries[0] == esme.deliveries[1]
    esme.close()
