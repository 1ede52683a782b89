"""Messages from a client through the listener to the SMSC, and what the client is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from filters.smpp.answer import ConsentRefusal
from filters.smpp.dialect import SmppDialect
from filters.smpp.reassembly import ReassemblyLimits
from filters.smpp.server_session import ServerLimits
from filters.smpp.submission import LinkReading
from filters.smpp.tags import TagRules
from filters.vocabulary import MessageClass
from tests.gateway.smpp.conftest import Start
from tests.support.esme import Esme, multi_body, parts_of, read_multi_answer, submit_body
from tests.support.smpp_world import SUFFIX

SOMEBODY, NOBODY = "905321234567", "905329876543"


async def test_a_permitted_message_reaches_the_smsc_with_its_opt_out(start: Start) -> None:
    """The client is told the SMSC's own id; sender title and destination are as it wrote them."""
    world = await start()
    esme = await Esme.bound(world.port)
    answer = await esme.submit(SOMEBODY, b"Indirim basladi")
    assert answer.status == 0
    assert world.smsc.messages() == [("SHOP", SOMEBODY, "Indirim basladi" + SUFFIX)]
    assert answer.message_id == world.smsc.submitted[0].message_id
    esme.close()


async def test_a_recipient_without_consent_is_refused_and_nothing_is_sent(start: Start) -> None:
    """0x45 by default: permanent for clients, and no claim that the number is wrong."""
    world = await start()
    world.pipeline.refused.add("+" + NOBODY)
    esme = await Esme.bound(world.port)
    answer = await esme.submit(NOBODY)
    assert (answer.status, answer.body) == (0x45, b"")
    assert world.smsc.submitted == []
    esme.close()


async def test_a_refusal_may_be_a_vendors_code(start: Start) -> None:
    world = await start(refusal=ConsentRefusal(status=0x450))
    world.pipeline.refused.add("+" + NOBODY)
    esme = await Esme.bound(world.port)
    assert (await esme.submit(NOBODY)).status == 0x450
    esme.close()


async def test_a_refusal_may_be_told_by_a_receipt(start: Start) -> None:
    """Accepted, then REJECTD under the id that was given; without a wish for receipts the status says it."""
    world = await start(refusal=ConsentRefusal(by_receipt=True, receipt_error="451"))
    world.pipeline.refused.add("+" + NOBODY)
    esme = await Esme.bound(world.port)
    answer = await esme.submit(NOBODY, registered=1)
    assert answer.status == 0
    (receipt,) = await esme.wait_for_deliveries(1)
    assert receipt.fields["id"] == answer.message_id
    assert (receipt.fields["stat"], receipt.fields["err"], receipt.tlvs[0x0427]) == ("REJECTD", "451", b"\x08")
    assert (receipt.source, receipt.destination, receipt.esm_class) == (NOBODY, "SHOP", 4)
    assert (await esme.submit(NOBODY, registered=0)).status == 0x45
    assert world.smsc.submitted == []
    esme.close()


async def test_what_is_no_number_is_an_invalid_destination(start: Start) -> None:
    world = await start()
    esme = await Esme.bound(world.port)
    for number, ton in (("12", 1), ("90532123456789", 1), ("SHOP", 5), ("905321234567,905321234568", 1), ("", 1)):
        assert (await esme.submit(number[:20], ton=ton)).status == 0x0B
    assert world.smsc.submitted == []
    esme.close()


async def test_a_fault_of_ours_is_temporary(start: Start) -> None:
    world = await start()
    world.pipeline.deferred.add("+" + SOMEBODY)
    esme = await Esme.bound(world.port)
    assert (await esme.submit(SOMEBODY)).status == 0x08
    esme.close()


async def test_what_the_smsc_says_is_said(start: Start) -> None:
    """Its refusals in its own numbers; its temporary faults as temporary."""
    world = await start()
    esme = await Esme.bound(world.port)
    assert (await esme.submit("905321239404")).status == 0x0B
    assert (await esme.submit("905321239408")).status == 0x08
    assert (await esme.submit("905321239445")).status == 0x45
    esme.close()


async def test_submit_multi_tells_each_destination_its_own(start: Start) -> None:
    """Permitted ∪ refused = requested; the refused ones stand in the answer's list."""
    world = await start()
    world.pipeline.refused.add("+" + NOBODY)
    esme = await Esme.bound(world.port)
    answer = await esme.ask(0x21, multi_body([SOMEBODY, NOBODY, "12", "905321112233"]))
    message_id, failed = read_multi_answer(answer.body)
    assert answer.status == 0
    assert message_id
    assert failed == {NOBODY: 0x45, "12": 0x0B}
    assert sorted(destination for _, destination, _ in world.smsc.messages()) == ["905321112233", SOMEBODY]
    esme.close()


async def test_submit_multi_to_nobody_permitted_is_refused_as_a_whole(start: Start) -> None:
    world = await start()
    world.pipeline.refused |= {"+" + NOBODY, "+" + SOMEBODY}
    esme = await Esme.bound(world.port)
    answer = await esme.ask(0x21, multi_body([SOMEBODY, NOBODY]))
    assert (answer.status, answer.body) == (0x45, b"")
    esme.close()


async def test_distribution_lists_are_refused(start: Start) -> None:
    """Nobody here can know who is on a list that lives at the SMSC."""
    world = await start()
    esme = await Esme.bound(world.port)
    body = b"\0\x05\0SHOP\0\x01\x02LIST\0" + bytes((0, 0, 0)) + b"\0\0" + bytes((0, 0, 0, 0, 2)) + b"hi"
    assert (await esme.ask(0x21, body)).status == 0x44
    esme.close()


async def test_data_sm_carries_a_message_too(start: Start) -> None:
    world = await start()
    esme = await Esme.bound(world.port)
    body = b"\0\x05\0SHOP\0\x01\x01" + SOMEBODY.encode() + b"\0\0\0\0\x04\x24\x00\x02hi"
    answer = await esme.ask(0x103, body)
    assert (answer.status, answer.command) == (0, 0x80000103)
    assert world.smsc.messages() == [("SHOP", SOMEBODY, "hi" + SUFFIX)]
    esme.close()


async def test_parts_are_joined_before_the_opt_out(start: Start) -> None:
    """Out of order, in one burst: one message goes on, its opt-out once and at its end, each part has an id."""
    world = await start()
    esme = await Esme.bound(world.port)
    text = "".join(chr(97 + at % 26) for at in range(400))
    parts = parts_of(text.encode(), 153)
    numbers = [esme.send(0x04, submit_body(SOMEBODY, part, esm_class=0x40)) for part in reversed(parts)]
    answers = [await esme.hear() for _ in numbers]
    assert {answer.sequence for answer in answers} == set(numbers)
    assert {answer.status for answer in answers} == {0}
    assert len({answer.message_id for answer in answers}) == 3
    assert world.smsc.messages() == [("SHOP", SOMEBODY, text + SUFFIX)]
    assert [submit.part for submit in world.smsc.submitted] == [(7, 3, 1), (7, 3, 2), (7, 3, 3)]
    esme.close()


async def test_parts_may_come_over_several_binds_of_one_client(start: Start) -> None:
    """One message goes on, and each bind hears of its own part."""
    world = await start()
    binds = [await Esme.bound(world.port), await Esme.bound(world.port)]
    text = "Sonbahar indirimi basladi. " * 7
    numbers = [
        bind.send(0x04, submit_body(SOMEBODY, part, esm_class=0x40))
        for bind, part in zip(binds, parts_of(text.encode(), 153), strict=True)
    ]
    for bind, number in zip(binds, numbers, strict=True):
        answer = await bind.hear()
        assert (answer.sequence, answer.status) == (number, 0)
    assert len(world.pipeline.submissions) == 1
    assert world.pipeline.submissions[0].texts == [text]
    for bind in binds:
        bind.close()


async def test_all_parts_of_a_refused_message_are_refused(start: Start) -> None:
    world = await start()
    world.pipeline.refused.add("+" + NOBODY)
    esme = await Esme.bound(world.port)
    for part in parts_of(b"x" * 300, 153):
        esme.send(0x04, submit_body(NOBODY, part, esm_class=0x40))
    assert [(await esme.hear()).status for _ in range(2)] == [0x45, 0x45]
    assert world.smsc.submitted == []
    esme.close()


async def test_a_client_that_waits_for_each_answer_sends_its_long_message(start: Start) -> None:
    """A window of one: earlier parts are answered as taken after a moment, the last part has the verdict."""
    world = await start(part_hold_s=0.05)
    world.pipeline.refused.add("+" + NOBODY)
    esme = await Esme.bound(world.port)
    for destination, verdict in ((SOMEBODY, 0), (NOBODY, 0x45)):
        first, last = parts_of(b"y" * 200, 153)
        assert (await esme.submit(destination, first, esm_class=0x40, registered=1)).status == 0
        assert (await esme.submit(destination, last, esm_class=0x40, registered=1)).status == verdict
    receipts = await esme.wait_for_deliveries(3)
    assert sorted(receipt.fields["stat"] for receipt in receipts) == ["DELIVRD", "DELIVRD", "REJECTD"]
    assert world.smsc.messages() == [("SHOP", SOMEBODY, "y" * 200 + SUFFIX)]
    esme.close()


async def test_the_last_part_may_come_again_after_a_temporary_fault(start: Start) -> None:
    """What was answered early is kept for it."""
    world = await start(part_hold_s=0)
    world.pipeline.deferred.add("+" + SOMEBODY)
    esme = await Esme.bound(world.port)
    first, last = parts_of(b"y" * 200, 153)
    assert (await esme.submit(SOMEBODY, first, esm_class=0x40)).status == 0
    assert (await esme.submit(SOMEBODY, last, esm_class=0x40)).status == 0x08
    world.pipeline.deferred.clear()
    assert (await esme.submit(SOMEBODY, last, esm_class=0x40)).status == 0
    assert world.smsc.messages() == [("SHOP", SOMEBODY, "y" * 200 + SUFFIX)]
    esme.close()


@pytest.mark.parametrize("more", [{"protocol": 0x40}, {"schedule": "270101120000012+"}])
async def test_parts_that_would_not_be_shown_together_are_refused(start: Start, more: dict[str, Any]) -> None:
    """The part with the opt-out in it must not come later than the rest, or never be shown."""
    world = await start()
    esme = await Esme.bound(world.port)
    first, last = parts_of(b"x" * 180 + SUFFIX.encode(), 153)
    esme.send(0x04, submit_body(SOMEBODY, first, esm_class=0x40))
    esme.send(0x04, submit_body(SOMEBODY, last, esm_class=0x40, **more))
    assert [(await esme.hear()).status for _ in range(2)] == [0x45, 0x45]
    assert world.smsc.submitted == []
    esme.close()


async def test_an_incomplete_message_is_never_sent(start: Start) -> None:
    """Its parts are put off, and one answered early is told EXPIRED."""
    world = await start(part_hold_s=0.05, reassembly=ReassemblyLimits(max_age_s=0.4))
    esme = await Esme.bound(world.port)
    first, _ = parts_of(b"z" * 200, 153)
    answer = await esme.submit(SOMEBODY, first, esm_class=0x40, registered=1)
    assert answer.status == 0
    (receipt,) = await esme.wait_for_deliveries(1)
    assert (receipt.fields["stat"], receipt.fields["id"]) == ("EXPIRED", answer.message_id)
    assert world.smsc.submitted == []
    esme.close()


async def test_a_payload_stays_a_payload(start: Start) -> None:
    """A sender that leaves cutting to the SMSC: so do we, Unicode and all."""
    world = await start()
    esme = await Esme.bound(world.port)
    text = "Öğleden sonra görüşürüz, ağaçlı yol üstünde. " * 10
    answer = await esme.submit(SOMEBODY, b"", data_coding=8, tlvs=[(0x0424, text.encode("utf-16-be"))])
    assert answer.status == 0
    (submit,) = world.smsc.submitted
    assert submit.octets.decode("utf-16-be") == text + SUFFIX
    esme.close()


async def test_the_class_comes_from_what_the_operator_agreed_on(start: Start) -> None:
    """Service type or vendor TLV; two that disagree make it commercial, and so does a value nobody knows."""
    rules = TagRules(
        service_types={"INFO": MessageClass.INFORMATIONAL},
        class_tlv=0x1401,
        classes={b"T": MessageClass.INFORMATIONAL, b"C": MessageClass.COMMERCIAL},
    )
    world = await start(dialect=SmppDialect(LinkReading(tags=rules)))
    world.pipeline.refused.add("+" + NOBODY)
    esme = await Esme.bound(world.port)
    assert (await esme.submit(NOBODY, service="INFO")).status == 0
    assert (await esme.submit(NOBODY, tlvs=[(0x1401, b"T")])).status == 0
    assert (await esme.submit(NOBODY, service="INFO", tlvs=[(0x1401, b"C")])).status == 0x45
    assert (await esme.submit(NOBODY, tlvs=[(0x1401, b"?")])).status == 0x45
    assert (await esme.submit(NOBODY)).status == 0x45
    assert [submit.text for submit in world.smsc.submitted] == ["Hello", "Hello"]
    assert world.smsc.submitted[1].tlvs == {0x1401: b"T"}, "the sender's tag goes on unchanged"
    esme.close()


async def test_what_is_no_text_is_refused_when_commercial(start: Start) -> None:
    """Binary, flash, ports, canned texts: no opt-out can be put there."""
    world = await start()
    esme = await Esme.bound(world.port)
    assert (await esme.submit(SOMEBODY, b"\x01\x02", data_coding=4)).status == 0x45
    assert (await esme.submit(SOMEBODY, b"hi", data_coding=0x10)).status == 0x45
    ports = bytes((6, 5, 4, 0x0B, 0x84, 0x23, 0xF0))
    assert (await esme.submit(SOMEBODY, ports + b"\x01", esm_class=0x40)).status == 0x45
    assert (await esme.submit(SOMEBODY, b"hi", protocol=0x7F)).status == 0x45
    assert world.smsc.submitted == []
    esme.close()


async def test_octets_that_are_not_in_the_alphabet_are_refused(start: Start) -> None:
    world = await start()
    esme = await Esme.bound(world.port)
    assert (await esme.submit(SOMEBODY, b"\xfe\xff")).status == 0x45
    assert (await esme.submit(SOMEBODY, b"\xd8\x00", data_coding=8)).status == 0x45
    esme.close()


async def test_the_window_slows_a_client_down_and_loses_nothing(start: Start) -> None:
    """Five hundred at once into a window of ten: all are answered, each once."""
    world = await start(limits=ServerLimits(window=10))
    esme = await Esme.bound(world.port)
    numbers = [esme.send(0x04, submit_body(f"9053212{at:05}", b"hi")) for at in range(500)]
    answers = [await esme.hear() for _ in numbers]
    assert sorted(answer.sequence for answer in answers) == numbers
    assert sum(answer.status == 0 for answer in answers) == world.smsc.taken
    esme.close()


async def test_a_client_that_leaves_is_noticed_by_the_pipeline(start: Start) -> None:
    """Its answer was not heard, so the memory of retries must keep what was sent."""
    world = await start()
    world.pipeline.hold = asyncio.Event()
    esme = await Esme.bound(world.port)
    esme.send(0x04, submit_body(SOMEBODY))
    await world.until(lambda: world.listener.in_hand == 1)
    esme.writer.transport.abort()
    await world.until(lambda: world.listener.session_count == 0)
    world.pipeline.hold.set()
    await world.until(lambda: world.listener.in_hand == 0)
    assert world.pipeline.unheard == 1
    assert world.smsc.taken == 1


async def test_a_pipeline_that_fails_is_a_temporary_fault_and_the_link_goes_on(start: Start) -> None:
    world = await start()
    working = world.pipeline.handle

    def fail(*_arguments: object) -> None:
        raise RuntimeError("not to be told")

    esme = await Esme.bound(world.port)
    world.pipeline.handle = fail
    assert (await esme.submit(SOMEBODY)).status == 0x08
    world.pipeline.handle = working
    assert world.listener.in_hand == 0
    assert (await esme.submit(SOMEBODY)).status == 0
    assert world.smsc.taken == 1
    esme.close()


async def test_an_unknown_outcome_is_told_as_temporary_and_not_sent_again(start: Start) -> None:
    """The link dies between submit and answer."""
    world = await start()
    esme = await Esme.bound(world.port)
    number = esme.send(0x04, submit_body("905321239000"))
    await world.until(lambda: world.smsc.taken == 1)
    world.smsc.cut()
    answer = await esme.hear()
    assert (answer.sequence, answer.status) == (number, 0x08)
    await world.until(lambda: world.upstream.status.bound == 1)
    assert world.smsc.taken == 1
    esme.close()
