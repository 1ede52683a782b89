"""The link to the SMSC: every message gets one truthful result, whatever becomes of the link."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from adapters.smpp import LinkEvent, SmscSettings, SmscSettingsError, SmscUpstream
from filters.smpp.client_session import ClientLimits
from filters.smpp.exchange import SubmitResult
from filters.vocabulary import Outcome
from loadtest.providers.smsc import Smsc
from tests.adapters.smpp.conftest import LinkUp
from tests.support.certificates import Authority
from tests.support.smpp_world import smsc_settings


async def test_a_taken_message_has_the_smscs_id(link_up: LinkUp) -> None:
    world = await link_up()
    number = world.submit()
    await world.until(lambda: number in world.results)
    assert world.results[number] == [SubmitResult(Outcome.RELAYED, 0, world.smsc.submitted[0].message_id)]


@pytest.mark.parametrize(
    ("ending", "result"),
    [
        ("9404", SubmitResult(Outcome.REFUSED, 0x0B)),
        ("9445", SubmitResult(Outcome.REFUSED, 0x45)),
        ("9408", SubmitResult(Outcome.DEFERRED, 0x08)),
    ],
)
async def test_a_refusal_is_told_in_the_smscs_number(link_up: LinkUp, ending: str, result: SubmitResult) -> None:
    world = await link_up()
    number = world.submit("90532123" + ending)
    await world.until(lambda: number in world.results)
    assert world.results[number] == [result]


async def test_throttling_is_waited_out(link_up: LinkUp) -> None:
    """Nothing is lost and nothing comes twice; the pauses grow."""
    world = await link_up(waiting_s=5)
    world.smsc.throttle_next = 7
    numbers = [world.submit() for _ in range(20)]
    await world.until(lambda: len(world.results) == len(numbers))
    assert {result.outcome for results in world.results.values() for result in results} == {Outcome.RELAYED}
    assert world.smsc.taken == 20
    assert world.events[LinkEvent.THROTTLED] >= 1


async def test_throttling_without_end_is_told(link_up: LinkUp) -> None:
    """0x58 goes to the client once the message has waited long enough."""
    world = await link_up(waiting_s=0.2)
    world.smsc.throttle_next = 1_000_000
    number = world.submit()
    await world.until(lambda: number in world.results)
    (result,) = world.results[number]
    assert result.outcome is Outcome.DEFERRED
    assert world.smsc.taken == 0


async def test_what_was_unanswered_when_the_link_died_is_unknown_and_not_sent_again(link_up: LinkUp) -> None:
    world = await link_up()
    number = world.submit("905321239000")
    await world.until(lambda: world.smsc.taken == 1)
    world.smsc.cut()
    await world.until(lambda: number in world.results)
    assert world.results[number] == [SubmitResult(Outcome.UNKNOWN)]
    again = world.submit()
    await world.until(lambda: again in world.results)
    assert world.results[again][0].outcome is Outcome.RELAYED
    assert world.smsc.taken == 2


async def test_an_answer_that_does_not_come_is_unknown_too(link_up: LinkUp) -> None:
    world = await link_up(limits=ClientLimits(answer_s=0.3))
    number = world.submit("905321239000")
    await world.until(lambda: number in world.results)
    assert world.results[number] == [SubmitResult(Outcome.UNKNOWN)]
    assert world.events[LinkEvent.ANSWER_OVERDUE] == 1


async def test_waiting_without_a_link_ends(link_up: LinkUp) -> None:
    """DEFERRED: nothing was handed over."""
    world = await link_up(password="wrong", waiting_s=0.3, is_bound=False)
    number = world.submit()
    await world.until(lambda: number in world.results)
    assert world.results[number] == [SubmitResult(Outcome.DEFERRED)]
    await world.until(lambda: world.events[LinkEvent.BIND_REFUSED] >= 2)
    assert world.upstream.status.bind_status == 0x0E


async def test_the_window_is_kept(link_up: LinkUp) -> None:
    """More wait here than the SMSC has unanswered."""
    world = await link_up(limits=ClientLimits(window=3), waiting_s=0.4)
    world.smsc.is_mute = True
    for _ in range(10):
        world.submit()
    await asyncio.sleep(0.1)
    assert world.smsc.taken == 3
    assert (world.upstream.status.unanswered, world.upstream.status.waiting) == (3, 7)
    await world.until(lambda: len(world.results) == 7)
    assert {results[0].outcome for results in world.results.values()} == {Outcome.DEFERRED}


async def test_more_than_may_wait_is_put_off_at_once(link_up: LinkUp) -> None:
    world = await link_up(limits=ClientLimits(window=1), max_waiting=2)
    world.smsc.is_mute = True
    for _ in range(4):
        world.submit()
    assert world.results[4] == [SubmitResult(Outcome.DEFERRED, 0x58)]


async def test_parts_after_one_that_was_refused_are_not_sent(link_up: LinkUp) -> None:
    world = await link_up(limits=ClientLimits(window=1))
    number = world.submit("905321239404", parts=3)
    await world.until(lambda: number in world.results)
    assert [result.outcome for result in world.results[number]] == [
        Outcome.REFUSED,
        Outcome.DEFERRED,
        Outcome.DEFERRED,
    ]


async def test_a_silent_smsc_is_asked_and_left(link_up: LinkUp) -> None:
    """enquire_link first; unanswered, the link is made anew."""
    world = await link_up(limits=ClientLimits(quiet_s=0.2, answer_s=0.4))
    await world.until(lambda: world.smsc.enquiries >= 2)
    assert world.smsc.binds == 1, "an SMSC that answers is stayed with"
    world.smsc.is_mute = True
    await world.until(lambda: world.events[LinkEvent.ENDED] == 1)
    world.smsc.is_mute = False
    await world.until(lambda: world.smsc.binds == 2)


async def test_several_links_share_the_messages(link_up: LinkUp) -> None:
    world = await link_up(links=3, limits=ClientLimits(window=2))
    world.smsc.is_mute = True
    for _ in range(9):
        world.submit()
    await world.until(lambda: world.smsc.taken == 6)


async def test_the_second_address_stands_in() -> None:
    smsc = Smsc()
    await smsc.start()
    closed = Smsc()
    await closed.start()
    await closed.stop()
    settings = smsc_settings(0, addresses=(("127.0.0.1", closed.port), ("127.0.0.1", smsc.port)))
    upstream = SmscUpstream(settings, deliver=lambda _message, answer: answer(0))
    upstream.start()
    async with asyncio.timeout(10):
        while not upstream.status.bound:
            await asyncio.sleep(0.01)
    await upstream.close()
    await smsc.stop()


async def test_deliveries_are_answered(link_up: LinkUp) -> None:
    world = await link_up()
    world.smsc.inject("905321234567", "3338", "RET")
    await world.until(lambda: world.smsc.deliver_answers == [0])
    assert world.delivered[0].source.value == "905321234567"


async def test_drain_waits_for_answers_and_unbinds(link_up: LinkUp) -> None:
    world = await link_up()
    numbers = [world.submit() for _ in range(30)]
    await world.upstream.drain(5)
    assert all(world.results[number][0].outcome is Outcome.RELAYED for number in numbers)
    await world.until(lambda: not world.smsc.links)
    late = world.submit()
    assert world.results[late][0].outcome is Outcome.DEFERRED


async def test_tls_verifies_the_smsc(tmp_path: Path) -> None:
    """Its own authority's certificate is believed, another's is not."""
    authority = await asyncio.to_thread(Authority, tmp_path)
    certificate, key = await asyncio.to_thread(authority.issue, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    smsc = Smsc()
    await smsc.start(context=context)
    for ca_file, is_trusted in ((str(authority.certificate), True), (None, False)):
        failures: list[LinkEvent] = []
        upstream = SmscUpstream(
            smsc_settings(smsc.port, tls=True, ca_file=ca_file, tls_name="localhost"),
            deliver=lambda _message, answer: answer(0),
            count=failures.append,
        )
        upstream.start()
        async with asyncio.timeout(10):
            while not upstream.status.bound and LinkEvent.CONNECT_FAILED not in failures:
                await asyncio.sleep(0.01)
        assert bool(upstream.status.bound) is is_trusted
        await upstream.close()
    await smsc.stop()


@pytest.mark.parametrize(
    "wrong",
    [
        {"addresses": ()},
        {"links": 0},
        {"allow_cleartext": False},
        {"password": "longer than eight"},
        {"system_id": "longer than fifteen"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SmscSettingsError, match="upstream operator"):
        smsc_settings(2775, **wrong)


def test_no_password_is_printed() -> None:
    settings: SmscSettings = smsc_settings(2775)
    assert "secret" not in repr(settings)
    assert "secret" not in repr(settings.bind)
