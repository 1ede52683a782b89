"""A recipient refused before there is a message leaves what a dropped one leaves: a record, a count, no address."""

from __future__ import annotations

import json

import pytest

from filters.client import Client
from filters.envelope import Envelope
from filters.reply import Reply
from filters.vocabulary import LookupFailure, RecipientType
from gateway.mail.in_hand import MailInHand
from tests.support.agenda import Manner, always
from tests.support.pipeline_world import SENDER, SHOP, PipelineWorld, address

STRANGER, PERSON, FIRM = b"zeynep@customer.example", b"ayse@customer.example", b"satinalma@firm.example"


class Door:
    """A pipeline, and what was heard at RCPT."""

    def __init__(self) -> None:
        self.refused: list[MailInHand] = []
        self.world = PipelineWorld(observe_refused=self.refused.append)

    def ask(self, wire: bytes, listener: str = "marketing") -> Reply | None:
        heard: list[Reply | None] = []
        recipient = address(wire)
        envelope = Envelope(Client("shop", (SHOP,)), listener, "s-1", SENDER, recipients=[address(PERSON)])
        self.world.pipeline.check_recipient(envelope, recipient, heard.append)
        self.world.agenda.deliver_all()
        assert envelope.recipients == [address(PERSON)]
        (reply,) = heard
        return reply

    @property
    def records(self) -> list[dict[str, object]]:
        return [json.loads(record) for record in self.world.evidence.records]


@pytest.fixture
async def door() -> Door:
    door = Door()
    await door.world.load()
    await door.world.consent(PERSON)
    await door.world.consent(FIRM, kind=RecipientType.BUSINESS)
    return door


async def test_a_refusal_is_recorded_and_counted(door: Door) -> None:
    """By key, with the reading it rests on; the reason is the one for a message that declares nothing."""
    reply = door.ask(STRANGER)
    assert reply is not None
    assert (reply.code, reply.text.partition(":")[0]) == (550, "NO_CONSENT")
    (record,) = door.records
    (entry,) = record["recipients"]
    assert (entry["reason"], entry["verdict"], entry["outcome"]) == ("NO_CONSENT", "drop", "dropped")
    assert entry["key"] == door.world.key(STRANGER).hex()
    assert (record["class"], record["listener"], record["size_bytes"]) == ("commercial", "marketing", 0)
    assert record["index"] is not None
    assert b"zeynep" not in door.world.evidence.records[0]
    assert [asked.recipients[0].reason for asked in door.refused] == ["NO_CONSENT"]


async def test_whoever_may_still_get_it_leaves_nothing_yet(door: Door) -> None:
    """A consent, a firm that the header may declare, a class that is not fixed: decided after DATA."""
    assert [door.ask(PERSON), door.ask(FIRM), door.ask(STRANGER, "smtp")] == [None, None, None]
    assert door.records == []
    assert door.refused == []


async def test_a_refusal_of_our_own_is_told_as_one(door: Door) -> None:
    """LOCAL_RET, from the moment it is in the index."""
    await door.world.refuse(PERSON)
    reply = door.ask(PERSON)
    assert reply is not None
    assert reply.text.startswith("LOCAL_RET")


async def test_an_index_that_cannot_be_asked_refuses_nobody_at_rcpt(door: Door) -> None:
    """What is not certain waits for DATA, where it is temporary."""
    door.world.index.failure = LookupFailure.BROKEN
    assert door.ask(STRANGER) is None
    assert door.records == []


async def test_an_index_that_answers_twice_is_heard_once(door: Door) -> None:
    """One reply, one record, one count."""
    door.world.index.lookups = always(Manner.TWICE)
    assert door.ask(STRANGER) is not None
    assert len(door.records) == len(door.refused) == 1


async def test_evidence_that_cannot_be_kept_does_not_let_anybody_through(door: Door) -> None:
    """Nothing is sent to a refused recipient, so there is nothing that would lack its proof."""
    door.world.evidence.manner = always(Manner.FAILS)
    assert door.ask(STRANGER) is not None
