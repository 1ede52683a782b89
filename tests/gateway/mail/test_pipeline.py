"""The path of a mail, case by case: what reaches the next hop, what the client hears, what is kept."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import gateway.mail.pipeline
from filters.address import parse_email
from filters.client import Client
from filters.consent import Change, Consent
from filters.decision.policy import Policy
from filters.decision.table import ROWS
from filters.envelope import Envelope
from filters.mime.limits import DEFAULT_LIMITS
from filters.mime.release import RewriteFault
from filters.mime.settings import RewriteSettings
from filters.reply import Reply
from filters.vocabulary import Channel, LookupFailure, MessageClass, RecipientType, Status, Verdict
from gateway.mail.pipeline import DECISION_VALID_S
from tests.support.agenda import Manner, always, in_turn
from tests.support.pipeline_world import (
    COMMERCIAL,
    INFORMATIONAL,
    NOW,
    OUTLET,
    SERVICE,
    SHOP,
    PipelineWorld,
    Sent,
    address,
    mail,
)
from tests.support.scripted_upstream import DEFERRED, EVERYTHING, REFUSED, RELAYED

AYSE, BORA, CEM = b"ayse@example.com", b"bora@example.com", b"cem@example.com"


@pytest.fixture
def make_world() -> Iterator[Callable[..., PipelineWorld]]:
    worlds: list[PipelineWorld] = []

    def make(**options: Any) -> PipelineWorld:
        worlds.append(PipelineWorld(**options))
        return worlds[-1]

    yield make
    for each in worlds:
        each.close()


@pytest.fixture
async def world(make_world: Callable[..., PipelineWorld]) -> PipelineWorld:
    """An index read a minute ago, in which Ayşe, Bora and Cem consent to mail of the shop."""
    return await consenting(make_world())


async def consenting(world: PipelineWorld, *wires: bytes) -> PipelineWorld:
    await world.load()
    for wire in wires or (AYSE, BORA, CEM):
        await world.consent(wire)
    return world


def codes(sent: Sent) -> list[int]:
    return [reply.code for reply in sent.reply.per_recipient]


def reached(world: PipelineWorld) -> list[bytes]:
    return [wire for one in world.upstream.given for wire in one.wires]


# -- commercial mail ---------------------------------------------------------------------------------------------


async def test_a_consenting_recipient_gets_a_copy_with_an_opt_out_of_his_own(world: PipelineWorld) -> None:
    """Header, one-click and visible link name him; the client hears the next hop's own words."""
    sent = world.send(mail(), [AYSE])
    assert sent.reply.overall == Reply(250, "0.0", "Ok: queued")
    [given] = world.upstream.given
    content = given.mail.content
    assert content.startswith(
        b"Received: from shop.example ([192.0.2.1])\r\n\tby kapi.example (IzinKapi) with ESMTP id test-1"
    )
    [grant] = world.grants(content)
    assert grant is not None
    assert (grant.brand, grant.channel, grant.address) == (SHOP, Channel.EMAIL, AYSE)
    assert content.count(b"https://izin.example/600123/u/") == 2
    assert b"Sonbahar indirimi.\r\n" in content


async def test_the_evidence_says_what_was_decided_on_what_and_what_was_sent(world: PipelineWorld) -> None:
    """Hash before and after, reading of the index, record, row, token, the next hop's answer; no address."""
    content = mail(COMMERCIAL, b"X-Izin-Campaign: sonbahar")
    world.send(content, [AYSE])
    [record] = world.records
    [given] = world.upstream.given
    assert record["content_sha256"] == hashlib.sha256(content).hexdigest()
    assert (record["class"], record["class_from"], record["campaign"]) == ("commercial", "header", "sonbahar")
    assert record["index"]["watermark_at"] == NOW - 60
    assert (record["index"]["staleness_s"], record["index"]["freshness"]) == (60, "fresh")
    [person] = record["recipients"]
    assert person["key"] == world.key(AYSE).hex()
    assert person["registry"][0]["status"] == "approved"
    assert (person["row"], person["reason"], person["verdict"], person["outcome"]) == (
        "R10", "CONSENT", "permit", "relayed",
    )  # fmt: skip
    assert person["sent_sha256"] == hashlib.sha256(given.mail.content).hexdigest()
    assert person["token"]
    assert person["reply"] == "250 2.0.0"
    assert "redecided_at" not in person
    assert b"example.com" not in world.evidence.records[0]


async def test_of_several_recipients_those_who_may_get_it(world: PipelineWorld) -> None:
    """E18: each is decided alone; the sender hears the counts, and in LMTP each fate."""
    await world.refuse(BORA)
    sent = world.send(mail(), [AYSE, BORA, b"dilek@example.com", CEM])
    assert reached(world) == [AYSE, CEM]
    assert codes(sent) == [250, 550, 550, 250]
    assert sent.reply.overall.code == 250
    assert "2 relayed, 2 dropped" in sent.reply.overall.text


async def test_with_partly_refused_set_to_refuse_nobody_gets_it(make_world: Callable[..., PipelineWorld]) -> None:
    """One of two may not have it: 550 for both, and nothing is handed over."""
    world = await consenting(make_world(refuses_partly=True), AYSE)
    sent = world.send(mail(COMMERCIAL), [AYSE, BORA])
    assert reached(world) == []
    assert codes(sent) == [550, 550]
    assert [reply.text.partition(":")[0] for reply in sent.reply.per_recipient] == ["PARTLY_REFUSED", "NO_CONSENT"]
    assert sent.reply.overall.code == 550


@pytest.mark.parametrize("age_s", [None, 25 * 3600, 80 * 3600, -4000])
async def test_an_index_that_is_old_or_from_the_future_permits_nothing(world: PipelineWorld, age_s: int | None) -> None:
    """A consent is deferred then, never acted on."""
    world.index._watermarks.clear()
    await world.load(age_s)
    assert codes(world.send(mail(), [AYSE])) == [451]
    assert reached(world) == []


@pytest.mark.parametrize("failure", LookupFailure)
async def test_an_index_that_cannot_be_asked_defers_commercial_mail(
    world: PipelineWorld, failure: LookupFailure
) -> None:
    """Not known is not "no record", and neither is a yes."""
    world.index.failure = failure
    sent = world.send(mail(), [AYSE, BORA])
    assert codes(sent) == [451, 451]
    assert sent.reply.overall.text.startswith("LOOKUP_FAILED")
    assert reached(world) == []
    assert world.records[0]["index"]["failure"] == failure


async def test_a_record_that_cannot_be_read_concerns_its_recipient_alone(world: PipelineWorld) -> None:
    """The others get their mail, however often the client comes back for him."""
    world.index.lookups = always(Manner.AT_ONCE)
    read = world.index.lookup

    def spoil(brand: int, keys: Any, digest: bytes | None, done: Callable[[Any], None]) -> None:
        read(brand, keys, digest, lambda answer: done(answer._replace(values=[b"\xff" * 6, *answer.values[1:]])))

    world.index.lookup = spoil
    sent = world.send(mail(), [AYSE, BORA])
    assert codes(sent) == [451, 250]
    assert reached(world) == [BORA]


async def test_two_spellings_of_one_key_are_two_recipients(world: PipelineWorld) -> None:
    """They share consents, but may be two mailboxes: each gets its copy, and the retry sends the one still missing."""
    other = b"AYSE@example.com"
    fates = {AYSE: RELAYED, other: DEFERRED}
    world.upstream.fate_of = fates.__getitem__
    assert codes(world.send(mail(), [AYSE, other])) == [250, 451]
    fates[other] = RELAYED
    again = world.send(mail(), [AYSE, other])
    assert codes(again) == [250, 250]
    assert reached(world) == [AYSE, other, other]
    await world.refuse(other)
    assert codes(world.send(mail(number=2), [AYSE, other])) == [550, 550]


async def test_a_link_that_has_no_room_refuses_its_recipient_alone(make_world: Callable[..., PipelineWorld]) -> None:
    """A long address makes a long link; where it does not fit, the others do not wait for it at each retry."""
    long = b"x" * 64 + b"@" + b".".join([b"y" * 60] * 2) + b".example"
    world = await consenting(make_world(), long, BORA)
    room = b"a" * 700
    content = mail(
        b"Content-Type: text/plain; charset=utf-8",
        body=room + b"{{opt_out_url}}\r\n",
    )
    sent = world.send(content, [long, BORA])
    assert codes(sent) == [550, 250]
    assert sent.reply.per_recipient[0].text.startswith("OPTOUT_IMPOSSIBLE: ")
    assert reached(world) == [BORA]
    assert world.records[0]["recipients"][0]["row"] == "G4"


async def test_a_fault_of_the_rewriting_is_temporary(world: PipelineWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not pass the checks before release is not sent, and the client keeps the message."""

    def fail(*_arguments: object, **_options: object) -> None:
        raise RewriteFault("the part tree changed")

    monkeypatch.setattr(gateway.mail.pipeline, "plan_rewrite", fail)
    sent = world.send(mail(), [AYSE, BORA])
    assert codes(sent) == [451, 451]
    assert reached(world) == []
    assert "tree" not in sent.reply.overall.text


async def test_mail_without_room_for_an_opt_out_is_refused_with_what_to_mend(world: PipelineWorld) -> None:
    """G4: a picture alone cannot carry one."""
    sent = world.send(mail(b"Content-Type: image/png"), [AYSE])
    assert codes(sent) == [550]
    assert "no plain text or HTML" in sent.reply.overall.text
    [(observed, _)] = world.observed
    assert observed.rewrite_refusal is not None


# -- decisions that grow old (E19) ---------------------------------------------------------------------------------


async def test_those_who_waited_are_decided_again_before_their_copy_is_handed_over(world: PipelineWorld) -> None:
    """More recipients than copies under way, and a slow next hop: who refuses meanwhile gets nothing."""
    wires = [b"alici%d@example.com" % number for number in range(40)]
    await consenting(world, *wires)
    world.upstream.manner = always(Manner.LATE)
    sent = world.send(mail(), wires)
    assert len(reached(world)) == 32
    await world.refuse(wires[35])
    world.clock.now += DECISION_VALID_S + 0.1
    world.agenda.deliver_all()
    assert set(reached(world)) == set(wires) - {wires[35]}
    assert codes(sent)[35] == 550
    people = world.records[0]["recipients"]
    assert [("redecided_at" in person) for person in people] == [False] * 32 + [True] * 8
    assert (people[35]["reason"], people[35]["registry"][0]["own"]) == ("LOCAL_RET", True)
    assert world.records[0]["index"]["freshness"] == "fresh"


async def test_a_copy_that_waited_in_the_next_hops_queue_comes_back_to_be_decided_again(world: PipelineWorld) -> None:
    """It goes out on the newer decision, or not at all."""
    world.upstream.is_queueing = lambda: True
    sent = world.send(mail(), [AYSE, BORA])
    assert reached(world) == []
    await world.refuse(AYSE)
    world.agenda.deliver_all()
    assert reached(world) == [BORA]
    assert world.upstream.given[0].mail.is_again
    assert codes(sent) == [550, 250]


async def test_a_decision_stays_valid_for_a_moment_and_says_so_to_the_next_hop(world: PipelineWorld) -> None:
    """What is left of that moment is how long a copy may wait there; exempt mail may wait."""
    world.send(mail(), [AYSE])
    world.send(mail(INFORMATIONAL), [AYSE])
    assert [one.mail.valid_s for one in world.upstream.given] == [DECISION_VALID_S, float("inf")]


async def test_where_the_second_look_up_fails_those_who_waited_are_deferred(world: PipelineWorld) -> None:
    """An old yes is no yes; those handed over before are not sent again."""
    wires = [b"alici%d@example.com" % number for number in range(34)]
    await consenting(world, *wires)
    world.upstream.manner = in_turn([Manner.LATE] * 32)
    sent = world.send(mail(), wires)
    world.clock.now += DECISION_VALID_S + 0.1
    world.index.failure = LookupFailure.UNREACHABLE
    world.agenda.deliver_all()
    assert codes(sent) == [250] * 32 + [451] * 2
    assert sent.reply.overall.code == 451
    world.index.failure = None
    assert codes(world.send(mail(), wires)) == [250] * 34
    assert max(world.upstream.taken.values()) == 1


# -- evidence ------------------------------------------------------------------------------------------------------


async def test_commercial_mail_without_kept_evidence_is_no_success_and_no_duplicate(world: PipelineWorld) -> None:
    """The next hop has it, the proof is missing: the client comes again, and nobody gets it twice."""
    world.evidence.manner = in_turn([Manner.FAILS])
    sent = world.send(mail(), [AYSE])
    assert sent.reply.overall.code == 451
    assert world.retries == [True]
    again = world.send(mail(), [AYSE])
    assert again.reply.overall.code == 250
    assert reached(world) == [AYSE]
    assert world.records[0]["recipients"][0]["reason"] == "ALREADY_TAKEN"


@pytest.mark.parametrize("manner", [Manner.TWICE, Manner.TELLS_AND_RAISES])
async def test_a_log_that_breaks_its_word_after_keeping_the_record_changes_nothing(
    world: PipelineWorld, manner: Manner
) -> None:
    """The first word counts: the message is a success, and no retry is expected of it."""
    world.evidence.manner = always(manner)
    assert codes(world.send(mail(), [AYSE])) == [250]
    assert world.retries == []


async def test_while_evidence_cannot_be_kept_nothing_commercial_leaves(world: PipelineWorld) -> None:
    """Informational mail does: the law asks for proof of decisions, and of those it has none."""
    world.evidence.is_failing = True
    assert codes(world.send(mail(), [AYSE])) == [451]
    assert reached(world) == []
    assert codes(world.send(mail(INFORMATIONAL), [AYSE])) == [250]


async def test_evidence_that_fails_midway_stops_the_copies_not_handed_over_yet(world: PipelineWorld) -> None:
    """Nobody more gets a mail of which no proof can be kept."""
    wires = [b"alici%d@example.com" % number for number in range(40)]
    await consenting(world, *wires)
    world.upstream.manner = always(Manner.LATE)
    sent = world.send(mail(), wires)
    world.evidence.is_failing = True
    world.evidence.manner = always(Manner.FAILS)
    world.agenda.deliver_all()
    assert len(reached(world)) == 32
    assert codes(sent) == [451] * 40


# -- retries (design D2) -------------------------------------------------------------------------------------------


async def test_a_retry_sends_the_rest_only_and_never_to_one_who_refused_since(world: PipelineWorld) -> None:
    """Ayşe has it, Bora refused meanwhile, Cem gets it now."""
    fates = {AYSE: RELAYED, BORA: DEFERRED, CEM: DEFERRED}
    world.upstream.fate_of = fates.__getitem__
    assert world.send(mail(), [AYSE, BORA, CEM]).reply.overall.code == 451
    await world.refuse(BORA)
    fates[CEM] = RELAYED
    again = world.send(mail(), [AYSE, BORA, CEM])
    assert codes(again) == [250, 550, 250]
    assert world.upstream.taken[BORA, b"<1@magaza.example>"] == 0
    assert max(world.upstream.taken.values()) == 1


@pytest.mark.parametrize("word", [COMMERCIAL, INFORMATIONAL, SERVICE])
async def test_a_client_that_left_before_our_answer_brings_no_duplicates(world: PipelineWorld, word: bytes) -> None:
    """It never heard that all have it, and comes again; the same if it then sends to each recipient alone."""
    world.send(mail(word), [AYSE, BORA], is_client_there=False)
    assert world.retries == [True]
    assert codes(world.send(mail(word), [AYSE, BORA])) == [250, 250]
    assert codes(world.send(mail(word), [AYSE])) == [250]
    assert sorted(reached(world)) == [AYSE, BORA]


async def test_another_message_to_the_same_people_is_not_taken_for_a_retry(world: PipelineWorld) -> None:
    """Only the very same octets by the same client from the same sender are."""
    world.send(mail(), [AYSE], is_client_there=False)
    world.send(mail(number=2), [AYSE])
    world.send(mail(), [AYSE], sender=b"baska@magaza.example")
    world.send(mail(), [AYSE], client=Client("panel", (SHOP,)))
    assert reached(world) == [AYSE] * 4


async def test_a_memory_that_cannot_be_kept_is_counted(world: PipelineWorld) -> None:
    """The client is answered all the same; duplicates are then possible, and the operator can see why."""
    world.upstream.fate_of = {AYSE: RELAYED, BORA: DEFERRED}.__getitem__
    world.index.memory = in_turn([Manner.FAILS, Manner.RAISES])
    for _ in range(2):
        assert world.send(mail(), [AYSE, BORA]).reply.overall.code == 451
    assert world.retries == [False, False]


# -- exempt mail ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("manner", Manner)
async def test_informational_mail_flows_whatever_the_index_and_the_evidence_do(
    world: PipelineWorld, manner: Manner
) -> None:
    """Refusals and failures included; it arrives as it came, but for its tags and one field of trace."""
    await world.refuse(BORA)
    world.index.failing_with = LookupFailure.BROKEN
    world.index.lookups = world.index.memory = world.evidence.manner = always(manner)
    sent = world.send(mail(INFORMATIONAL, b"x-izin-campaign:\r\n  folded"), [AYSE, BORA])
    world.agenda.deliver_all()
    assert codes(sent) == [250, 250]
    [given] = world.upstream.given
    assert given.wires == (AYSE, BORA)
    assert given.mail.content.partition(b" +0000\r\n")[2] == mail()


async def test_exempt_mail_needs_no_brand(world: PipelineWorld) -> None:
    """A client with several brands that names none: the mail goes, and its retry is known again."""
    panel = Client("panel", (SHOP, OUTLET))
    fates = {AYSE: RELAYED, BORA: DEFERRED}
    world.upstream.fate_of = fates.__getitem__
    assert world.send(mail(INFORMATIONAL), [AYSE, BORA], client=panel).reply.overall.code == 451
    fates[BORA] = RELAYED
    assert world.send(mail(INFORMATIONAL), [AYSE, BORA], client=panel).reply.overall.code == 250
    assert [one.wires for one in world.upstream.given] == [(AYSE, BORA), (BORA,)]
    assert [record["brand"] for record in world.records] == [None, None]
    assert codes(world.send(mail(), [AYSE], client=panel)) == [550]


async def test_informational_mail_with_a_broken_header_keeps_its_text(world: PipelineWorld) -> None:
    """A first line that begins with a blank must not vanish into our field of trace."""
    orders = Client("orders", (SHOP,), default_class=MessageClass.INFORMATIONAL)
    for content in (b" Siparisiniz yolda\r\nYarin sizde\r\n", b"Siparisiniz yolda\r\n", b"\r\n\r\n", b".\r\n", b""):
        sent = world.send(content, [AYSE], client=orders)
        assert codes(sent) == [250]
        body = world.upstream.given[-1].mail.content.partition(b" +0000\r\n")[2]
        assert body == (b"\r\n" + content if content.startswith(b" ") else content)


async def test_service_mail_gets_an_opt_out_where_the_policy_asks_for_it_and_it_fits(
    make_world: Callable[..., PipelineWorld],
) -> None:
    """R16 recommends one: each recipient gets his own, without a look-up, refused or not."""
    world = make_world(policy=Policy(service_opt_out=True))
    await world.refuse(AYSE)
    sent = world.send(mail(SERVICE), [AYSE, BORA])
    assert codes(sent) == [250, 250]
    granted = [{grant.address for grant in world.grants(one.mail.content) if grant} for one in world.upstream.given]
    assert granted == [{AYSE}, {BORA}]
    world.send(mail(INFORMATIONAL), [CEM])
    assert not world.grants(world.upstream.given[-1].mail.content)


async def test_service_mail_in_which_no_opt_out_fits_goes_as_it_is(
    make_world: Callable[..., PipelineWorld], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recommended is not required: neither a picture alone nor a fault of the rewriting stops it."""
    world = make_world(policy=Policy(service_opt_out=True))
    assert codes(world.send(mail(SERVICE, b"Content-Type: image/png"), [AYSE])) == [250]

    def fail(*_arguments: object, **_options: object) -> None:
        raise RewriteFault("the part tree changed")

    monkeypatch.setattr(gateway.mail.pipeline, "plan_rewrite", fail)
    assert codes(world.send(mail(SERVICE), [AYSE])) == [250]
    assert not any(world.grants(one.mail.content) for one in world.upstream.given)


async def test_service_mail_goes_untouched_by_default(world: PipelineWorld) -> None:
    """One transaction for all, and no link."""
    world.send(mail(SERVICE), [AYSE, BORA])
    [given] = world.upstream.given
    assert given.wires == (AYSE, BORA)
    assert not world.grants(given.mail.content)


# -- what is known before the message is seen ------------------------------------------------------------------------

ORDERS = Client("orders", (SHOP,), default_class=MessageClass.INFORMATIONAL)


async def test_a_listener_that_fixes_the_class_is_believed_over_the_clients_default(world: PipelineWorld) -> None:
    """Untagged mail of a client for order mail is commercial on the port for marketing."""
    assert codes(world.send(mail(), [b"dilek@example.com"], client=ORDERS)) == [250]
    assert codes(world.send(mail(number=2), [b"dilek@example.com"], client=ORDERS, listener="marketing")) == [550]


@pytest.mark.parametrize("sender", [b"kampanya@magaza.example", b"Kampanya@MAGAZA.example", b"baska@haber.example"])
async def test_a_sender_that_fixes_the_class_is_believed_however_it_is_spelled(
    make_world: Callable[..., PipelineWorld], sender: bytes
) -> None:
    """By address or by domain, and nothing in the message loosens it."""
    classes = {"kampanya@magaza.example": MessageClass.COMMERCIAL, "@haber.example": MessageClass.COMMERCIAL}
    world = await consenting(make_world(sender_classes={"orders": classes}))
    assert codes(world.send(mail(INFORMATIONAL), [b"dilek@example.com"], client=ORDERS, sender=sender)) == [550]
    assert codes(world.send(mail(), [b"dilek@example.com"], client=ORDERS)) == [250]


async def test_of_several_that_fix_the_class_the_strictest_holds(make_world: Callable[..., PipelineWorld]) -> None:
    """A listener for informational mail does not loosen a login for marketing."""
    world = await consenting(make_world(fixed_class=MessageClass.INFORMATIONAL))
    marketing = Client("news", (SHOP,), fixed_class=MessageClass.COMMERCIAL)
    assert codes(world.send(mail(), [b"dilek@example.com"], client=marketing)) == [550]
    assert codes(world.send(mail(), [b"dilek@example.com"], client=Client("shop", (SHOP,)))) == [250]


def at_rcpt(world: PipelineWorld, wire: bytes, client: Client | None = None, listener: str = "marketing") -> list[Any]:
    heard: list[Any] = []
    envelope = Envelope(client or Client("shop", (SHOP,)), listener, "s-1", b"haber@magaza.example")
    world.pipeline.check_recipient(envelope, address(wire), heard.append)
    world.agenda.deliver_all()
    return heard


async def test_at_rcpt_only_what_is_certain_is_refused(world: PipelineWorld) -> None:
    """The class is fixed and there is one brand: 550 for refusals and strangers; anything less certain goes on."""
    await world.refuse(BORA)
    await world.consent(b"tacir@example.com", kind=RecipientType.BUSINESS)
    assert at_rcpt(world, AYSE) == [None]
    [refused] = at_rcpt(world, BORA)
    assert (refused.code, refused.text.partition(":")[0]) == (550, "LOCAL_RET")
    assert at_rcpt(world, b"dilek@example.com")[0].text.startswith("NO_CONSENT")
    assert at_rcpt(world, b"tacir@example.com") == [None], "the header may still declare the type"
    assert at_rcpt(world, BORA, listener="smtp") == [None], "the header may still say the class"
    assert at_rcpt(world, BORA, Client("panel", (SHOP, OUTLET))) == [None], "the header may still name the brand"


@pytest.mark.parametrize("manner", [Manner.LATE, Manner.FAILS, Manner.FAILS_LATE, Manner.IS_WRONG])
async def test_at_rcpt_what_the_index_cannot_say_is_left_for_later(world: PipelineWorld, manner: Manner) -> None:
    """A look-up that fails or makes no sense refuses nobody and leaves no session waiting."""
    world.index.lookups = always(manner)
    assert at_rcpt(world, AYSE) == [None]


# -- what is refused as a whole --------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [COMMERCIAL, INFORMATIONAL])
async def test_a_message_that_comes_by_a_third_time_goes_round(world: PipelineWorld, word: bytes) -> None:
    """Twice may be a forwarding; the field of trace tells."""
    content = mail(word)
    for _ in range(2):
        assert codes(world.send(content, [AYSE])) == [250]
        content = world.upstream.given[-1].mail.content
        content = content if word == COMMERCIAL else content.replace(b"From:", word + b"\r\nFrom:", 1)
    assert world.send(content, [AYSE]).reply.overall.code == 554


async def test_our_name_in_the_senders_own_fields_is_no_trace_of_ours(world: PipelineWorld) -> None:
    """Only Received fields say where a message has been."""
    assert world.send(mail(INFORMATIONAL), [AYSE]).reply.overall.code == 250
    trace = world.upstream.given[-1].mail.content.split(b"\r\n")[1].strip()
    fields = [b"X-Yol: " + trace] * 3
    assert world.send(mail(INFORMATIONAL, *fields, number=2), [AYSE]).reply.overall.code == 250


async def test_a_tag_in_a_header_that_is_no_header_throughout_cannot_loosen(world: PipelineWorld) -> None:
    """Behind a line that is no field some readers see text (G1); "commercial" there still counts."""
    junk = b"this line is no field"
    assert world.send(mail(junk, INFORMATIONAL), [b"dilek@example.com"]).reply.overall.code == 550
    assert reached(world) == []
    info = Client("panel", (SHOP,), default_class=MessageClass.INFORMATIONAL)
    assert world.send(mail(junk), [AYSE], client=info).reply.overall.code == 250
    assert world.send(mail(junk, COMMERCIAL, number=2), [b"dilek@example.com"], client=info).reply.overall.code == 550


async def test_a_hundred_received_fields_are_no_loop_and_a_hundred_and_one_are(world: PipelineWorld) -> None:
    """RFC 5321 6.3, in whatever case the fields are written."""
    trace = [b"received: from a by b; Mon, 1 Jan 2026 00:00:00 +0300"]
    assert codes(world.send(mail(INFORMATIONAL, *trace * 100), [AYSE])) == [250]
    assert world.send(mail(INFORMATIONAL, *trace * 101), [AYSE]).reply.overall.code == 554


@pytest.mark.parametrize("word", [COMMERCIAL, INFORMATIONAL])
async def test_a_header_beyond_the_limit_is_the_senders_to_mend(
    make_world: Callable[..., PipelineWorld], word: bytes
) -> None:
    """Its class cannot be told from what is not read, and unknown means no; the limit is the operator's to raise."""
    content = mail(b"X-Pad: " + b"\r\n ".join([b"x" * 70] * 4000), word)
    world = await consenting(make_world())
    assert world.send(content, [AYSE]).reply.overall.code == 554
    limits = DEFAULT_LIMITS._replace(header_bytes=1 << 20)
    world = await consenting(make_world(limits=limits, rewriting=RewriteSettings(limits=limits)))
    assert world.send(content, [AYSE]).reply.overall.code == 250


async def test_a_header_just_within_the_limit_has_room_for_what_we_add(world: PipelineWorld) -> None:
    """Our own fields take it beyond; that is no fault, and was once answered as one at each retry."""
    room = DEFAULT_LIMITS.header_bytes - len(mail(COMMERCIAL, b"X-Pad: ", body=b""))
    content = mail(COMMERCIAL, b"X-Pad: " + b"\r\n ".join([b"x" * 70] * (room // 73)))
    assert world.send(content, [AYSE]).reply.overall.code == 250


# -- what the next hop says ------------------------------------------------------------------------------------------


async def test_a_refusal_of_the_next_hop_is_passed_on_and_is_no_success(world: PipelineWorld) -> None:
    """The others have it; an answer of success would lose the one refused silently."""
    world.upstream.fate_of = {AYSE: RELAYED, BORA: REFUSED}.__getitem__
    sent = world.send(mail(), [AYSE, BORA])
    assert codes(sent) == [250, 550]
    assert sent.reply.overall.code == 550
    assert "no such mailbox" in sent.reply.overall.text


async def test_the_envelope_travels_as_the_client_stated_it(world: PipelineWorld) -> None:
    """Sender, parameters of MAIL and of RCPT, byte for byte, with every copy."""
    sent = Sent(
        Envelope(
            Client("shop", (SHOP,)), "smtp", "s-1", b"", b"BODY=8BITMIME RET=HDRS ENVID=q1", False, True,
            [address(b"Ayse@Example.com", b"NOTIFY=NEVER ORCPT=rfc822;a"), address(BORA)], "2001:db8::1", "h",
        ),
        mail(),
    )  # fmt: skip
    world.pipeline.handle(sent.envelope, sent.content, sent.answer)
    first, second = world.upstream.given
    assert (first.mail.sender, first.mail.mail_parameters) == (b"", b"BODY=8BITMIME RET=HDRS ENVID=q1")
    assert first.mail.is_8bit
    assert first.mail.recipients[0].address.wire == b"Ayse@Example.com"
    assert first.mail.recipients[0].parameters == b"NOTIFY=NEVER ORCPT=rfc822;a"
    assert second.mail.recipients == [address(BORA)]
    assert b"([IPv6:2001:db8::1])" in first.mail.content


async def test_tls_shows_in_the_trace(world: PipelineWorld) -> None:
    """ESMTPS, as RFC 3848 names it."""
    world.send(mail(), [AYSE], is_tls=True)
    assert b" with ESMTPS id " in world.upstream.given[0].mail.content


async def test_before_the_next_hop_has_told_what_it_can_do_nothing_eight_bit_is_added(world: PipelineWorld) -> None:
    """A plan made then is safe for any next hop."""
    world.upstream.capabilities = None
    world.send(mail(), [AYSE])
    assert world.upstream.given[0].mail.content.isascii()
    world.upstream.capabilities = EVERYTHING


@pytest.mark.parametrize("manner", [Manner.RAISES, Manner.TELLS_AND_RAISES, Manner.TWICE, Manner.IS_WRONG])
async def test_a_next_hop_that_breaks_its_word_costs_no_answer(world: PipelineWorld, manner: Manner) -> None:
    """One answer, at once: success only where it told of one first."""
    world.upstream.manner = always(manner)
    sent = world.send(mail(), [AYSE, BORA])
    expected = 250 if manner in (Manner.TELLS_AND_RAISES, Manner.TWICE) else 451
    assert codes(sent) == [expected, expected]
    assert "@" not in sent.reply.overall.text


async def test_an_observer_that_fails_costs_nothing(make_world: Callable[..., PipelineWorld]) -> None:
    """Counting comes after the answer, and cannot take it back or give a second."""
    world = await consenting(make_world())

    def fail(*_arguments: object) -> None:
        raise KeyError("observer")

    world.pipeline._observe = fail
    assert world.send(mail(), [AYSE]).reply.overall.code == 250


# -- with the embedded store -----------------------------------------------------------------------------------------


def verdict_words(sent: Sent) -> str:
    return sent.reply.per_recipient[0].text.partition(":")[0]


async def test_edge_cases_of_consent_hold_with_the_embedded_store(
    make_world: Callable[..., PipelineWorld], lmdb_store: Any
) -> None:
    """E1, E3, E4, E14, E15 through pipeline and LMDB: the later will rules, per brand and per channel."""
    world = make_world(index=lmdb_store)
    mails, texts = Channel.EMAIL, Channel.SMS
    individual, business = RecipientType.INDIVIDUAL, RecipientType.BUSINESS

    async def record(
        wire: bytes, status: Status, at: int, brand: int = SHOP, channel: Channel = mails, own: bool = False
    ) -> None:
        key = world.keys.derive(brand, parse_email(wire, allow_utf8=False).key)
        kinds = (individual, business) if own else (individual,)
        changes = [Change(key, channel, kind, Consent(status, at, "HS_WEB", own)) for kind in kinds]
        await lmdb_store.apply(brand, changes, watermark_at=NOW - 60)

    async def outcome(wire: bytes, number: int) -> tuple[int, str]:
        sent = world.send(mail(COMMERCIAL, number=number), [wire])
        return sent.reply.overall.code, verdict_words(sent)

    e1, e3, e4, e14, e15 = (b"%s@example.com" % name for name in (b"e1", b"e3", b"e4", b"e14", b"e15"))
    await record(e1, Status.APPROVED, NOW - 5000)
    assert (await outcome(e1, 1))[0] == 250
    await record(e1, Status.REJECTED, NOW - 10, own=True)
    assert await outcome(e1, 2) == (550, "LOCAL_RET")

    await record(e3, Status.REJECTED, NOW - 4000, own=True)
    await record(e3, Status.APPROVED, NOW - 3000)
    await record(e4, Status.REJECTED, NOW - 3000, own=True)
    await record(e4, Status.APPROVED, NOW - 4000)
    assert await outcome(e3, 3) == (550, "LOCAL_RET"), "the refusal covers the other type as well (E10)"
    assert await outcome(e4, 4) == (550, "LOCAL_RET")
    key = world.keys.derive(SHOP, e3)
    await lmdb_store.apply(SHOP, [Change(key, mails, business, Consent(Status.APPROVED, NOW - 3000, "HS_WEB"))])
    assert (await outcome(e3, 5))[0] == 250

    await record(e14, Status.APPROVED, NOW - 5000, brand=OUTLET)
    assert await outcome(e14, 6) == (550, "NO_CONSENT")
    await record(e15, Status.APPROVED, NOW - 5000, channel=texts)
    assert await outcome(e15, 7) == (550, "NO_CONSENT")
    assert reached(world) == [e1, e3]


async def test_a_retry_is_known_again_with_the_embedded_store(
    make_world: Callable[..., PipelineWorld], lmdb_store: Any
) -> None:
    """The memory goes through the store's writing thread; the client hears its 451 only once it is kept."""
    world = make_world(index=lmdb_store)
    for wire in (AYSE, BORA):
        change = Change(world.key(wire), Channel.EMAIL, RecipientType.INDIVIDUAL, Consent(Status.APPROVED, 5, "HS_WEB"))
        await lmdb_store.apply(SHOP, [change], watermark_at=NOW - 60)
    fates = {AYSE: RELAYED, BORA: DEFERRED}
    world.upstream.fate_of = fates.__getitem__
    for expected in (451, 250):
        sent = world.send(mail(), [AYSE, BORA])
        await until(lambda sent=sent: bool(sent.answers))
        assert sent.reply.overall.code == expected
        fates[BORA] = RELAYED
    assert reached(world) == [AYSE, BORA, BORA]


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.002)


def test_every_reason_for_a_drop_is_permanent_and_every_one_for_a_deferral_is_not() -> None:
    """So no verdict can be told in the words of another, and none of them by a reply of success."""
    for row in ROWS:
        for clause in row.clauses:
            if clause.verdict is Verdict.DROP:
                assert clause.reason.reply.is_permanent
            if clause.verdict is Verdict.DEFER:
                assert clause.reason.reply.is_temporary


async def test_a_next_hop_slow_to_ask_for_content_is_told_what_holds_then(world: PipelineWorld) -> None:
    """Edge case E19: a refusal, a failing index or a stale one between DATA and 354 stops the content."""
    world.send(mail(COMMERCIAL), [AYSE, BORA])
    answers: list[bool] = []
    for_ayse, for_bora = (each.mail.still_stands for each in world.upstream.given)
    assert for_ayse is not None
    assert for_bora is not None
    for_ayse(answers.append)
    await world.refuse(AYSE)
    for_ayse(answers.append)
    for_bora(answers.append)
    world.index.failure = LookupFailure.UNREACHABLE
    for_bora(answers.append)
    world.index.failure = None
    world.clock.now += 90 * 24 * 3600
    for_bora(answers.append)
    assert answers == [True, False, True, False, False]


async def test_informational_content_is_never_asked_about(world: PipelineWorld) -> None:
    """It needs no consent, so nothing that changes can stop it."""
    world.send(mail(INFORMATIONAL), [AYSE])
    assert [each.mail.still_stands for each in world.upstream.given] == [None]


async def test_a_loosening_tag_behind_a_line_of_blanks_is_not_believed(world: PipelineWorld) -> None:
    """Gate G1: a reader that trims lines sees the tag as text, so it may tighten and never loosen."""
    sent = world.send(b"From: haber@magaza.example\r\nX-Note: a\r\n\t\r\n" + mail(INFORMATIONAL), [b"can@example.com"])
    assert sent.reply.overall.code == 550
    assert not world.upstream.given


async def test_the_record_tells_of_the_later_decision_on_which_the_content_left(world: PipelineWorld) -> None:
    """Edge case E19: what was asked again between DATA and 354 is what the evidence rests on."""
    world.upstream.manner = always(Manner.LATE)
    world.send(mail(COMMERCIAL), [AYSE])
    (given,) = world.upstream.given
    assert given.mail.still_stands is not None
    world.clock.now += 5
    answers: list[bool] = []
    given.mail.still_stands(answers.append)
    while world.agenda.owed:
        world.agenda.deliver()
    assert answers == [True]
    assert world.records[0]["recipients"][0]["redecided_at"] == NOW + 5
