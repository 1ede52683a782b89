"""What holds for every message, whatever the ports do and in whatever order they do it.

One message is sent, and sent again as a client does that was told to come back, while people change their minds, the
clock goes on, and index, next hop and evidence answer late, twice, wrongly or not at all. The expectations are taken
from the definitions, not from the pipeline: who may have a mail is read off the packed records by ``says_yes``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gateway.mail.pipeline
from filters.address import parse_email
from filters.client import Client
from filters.consent import unpack
from filters.envelope import RecipientOutcome
from filters.exchange import Lookup
from filters.reason import Reason
from filters.reply import Reply
from filters.vocabulary import Channel, MessageClass, Outcome, RecipientType, Status
from gateway.mail.in_hand import RecipientInHand
from gateway.mail.pipeline import COPIES_IN_FLIGHT, DECISION_VALID_S
from tests.support.agenda import Manner
from tests.support.pipeline_world import (
    CLOSED,
    COMMERCIAL,
    INFORMATIONAL,
    OUTLET,
    SERVICE,
    SHOP,
    PipelineWorld,
    Sent,
    mail,
)
from tests.support.scripted_upstream import DEFERRED, REFUSED, RELAYED, UNKNOWN, Given

PEOPLE = [b"%s%d@example.com" % (name, number) for name in (b"ayse", b"bora", b"cem", b"deniz") for number in range(12)]
# Spellings that share a consent key.
SPELLINGS: list[Callable[[bytes], bytes]] = [
    lambda wire: wire,
    lambda wire: wire.capitalize(),
    lambda wire: wire.partition(b"@")[0] + b"@EXAMPLE.com",
]
YES, NO = (RecipientType.INDIVIDUAL, Status.APPROVED), (RecipientType.INDIVIDUAL, Status.REJECTED)
YES_AS_MERCHANT, NO_AS_MERCHANT = (RecipientType.BUSINESS, Status.APPROVED), (RecipientType.BUSINESS, Status.REJECTED)
SOME_WILLS = st.sampled_from(
    [(YES,), (YES,), (YES,), (YES,), (), (NO,), (YES_AS_MERCHANT,), (YES, YES_AS_MERCHANT), (YES, NO_AS_MERCHANT)]
)
SHOP_CLIENT = Client("shop", (SHOP,))
CLIENTS = (
    SHOP_CLIENT,
    SHOP_CLIENT,
    Client("panel", (SHOP, OUTLET, CLOSED)),
    Client("orders", (SHOP,), default_class=MessageClass.INFORMATIONAL),
    Client("strict", (OUTLET,), allowed_classes=frozenset({MessageClass.COMMERCIAL})),
)
CLASS_WORDS = (None, None, COMMERCIAL, INFORMATIONAL, SERVICE, b"X-Izin-Class: news")
TYPE_WORDS = (None, None, b"X-Izin-Recipient-Type: business", b"X-Izin-Recipient-Type: tacir x")
FATES = st.one_of(
    st.just((RELAYED,)),  # else a message to many would never come to success
    st.sampled_from([(RELAYED, DEFERRED), (RELAYED, RELAYED, RELAYED, DEFERRED, REFUSED, UNKNOWN)]),
)


@dataclass(frozen=True)
class Letter:
    """One message and who sends it."""

    client: Client
    fields: tuple[bytes, ...]
    wires: tuple[bytes, ...]

    @property
    def content(self) -> bytes:
        return mail(*self.fields)

    @property
    def untagged(self) -> bytes:
        return mail()

    @property
    def is_exempt(self) -> bool:
        """Whether it is lawfully claimed that no consent is needed."""
        words = {INFORMATIONAL: MessageClass.INFORMATIONAL, SERVICE: MessageClass.SERVICE}
        tags = [field for field in self.fields if field.startswith(b"X-Izin-Class")]
        claimed = words.get(tags[0]) if tags else self.client.default_class
        return claimed in (MessageClass.INFORMATIONAL, MessageClass.SERVICE)

    @property
    def declared(self) -> RecipientType | None:
        return RecipientType.BUSINESS if TYPE_WORDS[2] in self.fields else None


@st.composite
def letters(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Letter:
    client = draw(st.sampled_from(CLIENTS))
    brand = draw(st.sampled_from([*client.brands, *client.brands, None, OUTLET]))
    words = [
        draw(st.sampled_from(CLASS_WORDS)),
        b"X-Izin-Brand: %d" % brand if brand else None,
        draw(st.sampled_from(TYPE_WORDS)),
    ]
    several = st.builds(lambda who, spell: spell(who), st.sampled_from(PEOPLE), st.sampled_from(SPELLINGS))
    wires = draw(st.lists(several, min_size=1, max_size=draw(st.sampled_from([1, 3, 6, 40])), unique=True))
    return Letter(client, tuple(word for word in words if word), tuple(wires))


def says_yes(value: bytes | None, declared: RecipientType | None) -> bool:
    """Whether the records of one person allow a commercial mail: a consent, and no refusal under either type."""
    try:
        records = unpack(value or b"")
    except ValueError:
        return False
    mails = {kind: consent.status for (channel, kind), consent in records.items() if channel is Channel.EMAIL}
    return Status.REJECTED not in mails.values() and mails.get(declared or RecipientType.INDIVIDUAL) is Status.APPROVED


def finish(coroutine: Coroutine[Any, Any, Any]) -> None:
    """The memory index never waits, so no loop is needed to change it."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


@contextmanager
def counted_settlements() -> Iterator[dict[RecipientInHand, int]]:
    """How often each recipient is settled meanwhile.

    Two corrections do not count, for they are part of the design: who was left out but has the message already, found
    out in the same step, and who has it but without the proof on the disk, so that the client has to come again.
    """
    counts: dict[RecipientInHand, int] = {}
    settle = RecipientInHand.settle

    def count(recipient: RecipientInHand, outcome: Outcome, reply: Reply) -> None:
        is_correction = reply in (Reason.ALREADY_TAKEN.reply, Reason.EVIDENCE_UNAVAILABLE.reply)
        if recipient.outcome is None or not is_correction:
            counts[recipient] = counts.get(recipient, 0) + 1
        settle(recipient, outcome, reply)

    with patch.object(RecipientInHand, "settle", count):
        yield counts


class Attempt:
    """One sending of a letter, with everything that ports were asked and told meanwhile."""

    def __init__(self, world: PipelineWorld, letter: Letter, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.letter = letter
        self.world = world
        self.first_asked = len(world.index.asked)
        self.first_given = len(world.upstream.given)
        self.first_record = len(world.records)
        self.copies_before = dict(world.upstream.taken)
        self.observed_before = len(world.observed)
        self.sent: Sent = world.send(letter.content, letter.wires, client=letter.client)
        agenda = world.agenda
        while agenda.owed:
            event = draw(EVENTS)
            if event == "time":
                world.clock.now += draw(st.sampled_from([0.5, DECISION_VALID_S * 1.5]))
            elif event == "refusal":
                finish(world.refuse(draw(st.sampled_from(letter.wires))))
            agenda.deliver(draw(st.integers(0, 3)))

    @property
    def given(self) -> list[Given]:
        return self.world.upstream.given[self.first_given :]

    @property
    def record(self) -> dict[str, Any] | None:
        records = self.world.records[self.first_record :]
        assert len(records) <= 1
        return records[0] if records else None

    @property
    def is_commercial(self) -> bool:
        return not self.letter.is_exempt


EVENTS = st.sampled_from(["nothing", "nothing", "nothing", "time", "refusal"])
AT_ONCE_OR_LATE = st.sampled_from([Manner.AT_ONCE, Manner.LATE])
ANY_MANNER = st.one_of(AT_ONCE_OR_LATE, st.sampled_from(list(Manner)))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data(), letter=letters())
def test_every_message_whatever_the_ports_do(data: st.DataObject, letter: Letter) -> None:
    """One answer; nobody without consent, each with his own link; success only for what arrived; no duplicates."""
    draw = data.draw
    most_copies = draw(st.sampled_from([1, 2, COPIES_IN_FLIGHT]))
    world = PipelineWorld()
    finish(world.load(draw(st.sampled_from([60, 60, 60, 60, 60, 4 * 3600, 90_000, None]))))
    brands = (SHOP, OUTLET)
    for wire in letter.wires:
        for brand in brands:
            for will in draw(SOME_WILLS):
                finish(world.consent(wire, brand=brand, kind=will[0], status=will[1]))
    is_unruly = draw(st.booleans())
    manners = ANY_MANNER if is_unruly else AT_ONCE_OR_LATE
    fates: dict[bytes, RecipientOutcome] = {}

    for _ in range(draw(st.integers(1, 3))):
        some_fates = draw(FATES)
        for wire in letter.wires:
            fates[wire] = draw(st.sampled_from(some_fates)) if len(some_fates) > 1 else RELAYED
        world.upstream.fate_of = fates.__getitem__
        world.upstream.manner = lambda: draw(manners)
        world.upstream.is_queueing = (lambda: draw(st.booleans())) if draw(st.booleans()) else (lambda: False)
        world.index.lookups = lambda: draw(manners)
        world.index.memory = lambda: draw(manners)
        world.evidence.manner = lambda: draw(manners)
        few = patch.object(gateway.mail.pipeline, "COPIES_IN_FLIGHT", most_copies)  # so that others have to wait
        with few, counted_settlements() as settled:
            attempt = Attempt(world, letter, draw)
        assert world.upstream.most_under_way <= most_copies
        check(attempt)
        check_nothing_is_left(world, settled)
        if not attempt.sent.reply.overall.is_temporary:
            break  # the client does not come again
    world.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_messages_that_are_under_way_together_do_not_touch_each_other(data: st.DataObject) -> None:
    """Answers of ports come in any order: each message gets its own answer, each person the link in his own copy."""
    draw = data.draw
    world = PipelineWorld()
    finish(world.load())
    for wire in PEOPLE:
        for will in draw(SOME_WILLS):
            finish(world.consent(wire, kind=will[0], status=will[1]))
    world.upstream.manner = world.index.lookups = world.evidence.manner = lambda: draw(AT_ONCE_OR_LATE)
    under_way: list[tuple[tuple[bytes, ...], Sent]] = []
    with counted_settlements() as settled:
        for number in range(draw(st.integers(2, 6))):
            wires = tuple(draw(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=5, unique=True)))
            under_way.append((wires, world.send(mail(COMMERCIAL, number=number), wires)))
            for _ in range(draw(st.integers(0, 4))):
                if world.agenda.owed:
                    world.agenda.deliver(draw(st.integers(0, 30)))
        world.agenda.deliver_all(lambda owed: draw(st.integers(0, owed - 1)))

    for number, (wires, sent) in enumerate(under_way):
        has = {wire for wire, message_id in world.upstream.taken if message_id == b"<%d@magaza.example>" % number}
        assert [reply.is_success for reply in sent.reply.per_recipient] == [wire in has for wire in wires]
    for _, _, outgoing in world.upstream.given:
        (recipient,) = outgoing.recipients
        (grant,) = world.grants(outgoing.content)
        assert grant is not None
        assert grant.address == recipient.address.key
    assert len(world.records) == len(world.observed) == len(under_way)
    assert max(world.upstream.taken.values(), default=1) == 1
    check_nothing_is_left(world, settled)
    world.close()


def check(attempt: Attempt) -> None:
    check_answer(attempt)
    if attempt.is_commercial:
        check_consents(attempt)
        check_copies(attempt)
    else:
        check_exempt(attempt)
    check_success(attempt)
    check_retry(attempt)


def check_nothing_is_left(world: PipelineWorld, settled: dict[RecipientInHand, int]) -> None:
    """No message in hand, nobody waiting or under way; each recipient of each message was settled once and no more."""
    assert world.pipeline.in_hand == 0
    assert not world.agenda.owed
    for mail_in_hand, answer in world.observed:
        assert not mail_in_hand.waiting
        assert mail_in_hand.in_flight == 0
        assert not any(recipient.is_in_flight or recipient.signed for recipient in mail_in_hand.recipients)
        assert [recipient.fate.reply.code // 100 for recipient in mail_in_hand.recipients] == [
            reply.code // 100 for reply in answer.per_recipient
        ]
    everybody = {recipient for mail_in_hand, _ in world.observed for recipient in mail_in_hand.recipients}
    assert set(settled) <= everybody
    assert set(settled.values()) <= {1}


def check_answer(attempt: Attempt) -> None:
    """Exactly one answer, with one reply for each recipient, and nothing in it that a port said in confidence."""
    answer = attempt.sent.reply
    assert len(answer.per_recipient) == len(attempt.letter.wires)
    assert len(attempt.world.observed) == attempt.observed_before + 1
    for reply in (answer.overall, *answer.per_recipient):
        assert "@" not in reply.text
        assert "route" not in reply.text


def check_consents(attempt: Attempt) -> None:
    """Whoever was written to was looked up in this transaction, and the last that was told of him said yes."""
    world, letter = attempt.world, attempt.letter
    wires = set(letter.wires)
    for given_at, asked_by_then, outgoing in attempt.given:
        (recipient,) = outgoing.recipients
        assert recipient.address.wire in wires
        answers = [
            (asked.at, asked.answer, asked.keys.index(key))
            for asked in world.index.asked[attempt.first_asked : asked_by_then]
            for key in {world.keys.derive(brand, recipient.address.key) for brand in (SHOP, OUTLET)} & set(asked.keys)
        ]
        assert answers, "never looked up"
        told_at, answer, place = answers[-1]
        assert isinstance(answer, Lookup)
        assert says_yes(answer.values[place], letter.declared)
        assert answer.watermark_at is not None
        assert given_at - answer.watermark_at <= 24 * 3600 + DECISION_VALID_S
        assert given_at - told_at <= DECISION_VALID_S
        assert answer.taken.isdisjoint({world.keys.derive(brand, recipient.address.wire) for brand in (SHOP, OUTLET)})


def check_copies(attempt: Attempt) -> None:
    """Each copy is for one person and holds the link of that person and no other."""
    for _, _, outgoing in attempt.given:
        (recipient,) = outgoing.recipients
        assert recipient.address.key == parse_email(recipient.address.wire, allow_utf8=False).key
        (grant,) = attempt.world.grants(outgoing.content)
        assert grant is not None
        assert grant.address == recipient.address.key
        assert grant.brand in attempt.letter.client.brands
        assert outgoing.content.count(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n") == 1
        assert b"X-Izin" not in outgoing.content
        assert outgoing.sender == attempt.sent.envelope.sender


def check_exempt(attempt: Attempt) -> None:
    """Exempt mail reaches everybody in one transaction, as it came but for the tags and one field of trace."""
    letter = attempt.letter
    if attempt.sent.reply.overall.code in (550, 554) and not attempt.given:
        tags = [field for field in letter.fields if field.startswith(b"X-Izin-Brand")]
        is_foreign = bool(tags) and int(tags[0][-6:]) not in letter.client.brands
        is_not_allowed = letter.client.name == "strict"
        assert is_foreign or is_not_allowed
        return
    for _, _, outgoing in attempt.given:
        assert {recipient.address.wire for recipient in outgoing.recipients} <= set(letter.wires)
        trace, _, rest = outgoing.content.partition(b" +0000\r\n")
        assert trace.startswith(b"Received: from shop.example ([192.0.2.1])")
        assert trace.count(b"\r\n") == 2
        assert rest == letter.untagged
    reached = {wire for one in attempt.given for wire in one.wires}
    already = {wire for wire, _ in attempt.copies_before}
    assert reached | already >= set(letter.wires)


def check_success(attempt: Attempt) -> None:
    """Success only after the next hop's own, and for commercial mail only with the proof on the disk."""
    world, letter, answer = attempt.world, attempt.letter, attempt.sent.reply
    has = {wire for wire, _ in world.upstream.taken}
    reached = {wire for one in attempt.given for wire in one.wires}
    for wire, reply in zip(letter.wires, answer.per_recipient, strict=True):
        if reply.is_success:
            assert wire in has
    if answer.overall.is_success:
        assert all(reply.is_success or reply.is_permanent for reply in answer.per_recipient)
        dropped = {wire for wire, reply in zip(letter.wires, answer.per_recipient, strict=True) if reply.is_permanent}
        assert not dropped & reached, "refused by the next hop"
        if attempt.is_commercial:
            record = attempt.record
            assert record is not None
            assert [one["outcome"] for one in record["recipients"]] == [
                "relayed" if reply.is_success else "dropped" for reply in answer.per_recipient
            ]


def check_retry(attempt: Attempt) -> None:
    """Nobody gets the message twice, unless the next hop never said that it had it or the memory was not kept.

    Exempt mail does not wait for a memory that cannot be read: it flows whatever happens to the index.
    """
    world = attempt.world
    if world.index.forgot or (world.index.was_unreadable and not attempt.is_commercial):
        return
    twice = {wire for (wire, _), copies in world.upstream.taken.items() if copies > 1}
    assert twice <= world.upstream.doubtful


def test_the_expectation_says_no_to_what_nobody_can_have_written() -> None:
    """Neither silence nor nonsense is a consent."""
    assert not says_yes(None, None)
    assert not says_yes(b"\xff" * 6, None)
