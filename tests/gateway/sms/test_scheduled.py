"""What a provider holds until its time is called off when the person refuses before it, against simulated providers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest

from filters.exchange import Refusal
from filters.phone import parse_phone
from filters.sms.dialects.registry import make_dialect
from filters.sms.http import HttpRequest, HttpResponse, UpstreamFault
from filters.sms.message import SmsRecipient, Submission
from filters.sms.note_seal import NoteSeal
from filters.vocabulary import Channel, MessageClass, RecipientType, Status
from gateway.sms.scheduled import CancellingRecorder, CancelUpstream, ScheduledSends
from gateway.sms.scheduled_journal import ScheduledJournal
from gateway.sms.sealed_notes import SealedNotes
from loadtest.providers.iletimerkezi import IletiMerkeziSimulator
from loadtest.providers.infobip import InfobipSimulator
from loadtest.providers.jetsms import JetSmsSimulator
from loadtest.providers.netgsm import NetgsmSimulator
from loadtest.providers.twilio import TwilioSimulator
from loadtest.providers.vatansms import VatanSmsSimulator
from loadtest.providers.verimor import VerimorSimulator
from tests.support.sms_provider import RunningProvider
from tests.support.sms_world import SHOP, SHOP_CLIENT, SmsWorld, number

PROVIDERS: dict[str, tuple[Callable[[], Any], dict[str, str]]] = {
    "netgsm": (NetgsmSimulator, {"username": "8500000001", "password": "sifre-1"}),
    "iletimerkezi": (IletiMerkeziSimulator, {"key": "anahtar-1", "hash": "ozet-1"}),
    "verimor": (VerimorSimulator, {"username": "908500000001", "password": "sifre-1"}),
    "jetsms": (JetSmsSimulator, {"username": "jet-1", "password": "sifre-1"}),
    "vatansms": (VatanSmsSimulator, {"api_id": "vatan", "api_key": "anahtar"}),
    "infobip": (InfobipSimulator, {"api_key": "key"}),
    "twilio": (TwilioSimulator, {"account_sid": "AC" + "0" * 32, "auth_token": "token"}),
}
ONE, OTHER = number(1), number(2)
BY_THEMSELVES = ("jetsms",)
"""Whose jobs of several people are called off for each alone."""


class _Recorder:
    """Makes refusals durable in the world's index."""

    def __init__(self, world: SmsWorld) -> None:
        self._world = world
        self.is_failing = False

    async def record(self, refusal: Refusal) -> None:
        if self.is_failing:
            raise OSError("away")
        await self._world.consent([refusal.address.decode()], Status.REJECTED, at=refusal.received_at, own=True)


class _Upstream:
    """The way to the simulated provider. ``faults`` says how the next calls end."""

    name = "provider"

    def __init__(self, provider: RunningProvider) -> None:
        self._provider = provider
        self.asked: list[HttpRequest] = []
        self.faults: list[UpstreamFault] = []

    async def send(self, request: HttpRequest, valid_s: float | None = None) -> HttpResponse | UpstreamFault:
        self.asked.append(request)
        return self.faults.pop(0) if self.faults else await self._provider.ask(request)


class Place:
    """A gateway in front of one simulated provider. ``another_worker`` shares its store and nothing else."""

    def __init__(self, name: str, make_world: Callable[..., SmsWorld], provider: RunningProvider, mode: str) -> None:
        self.name = name
        self.provider = provider
        self.counts: list[str] = []
        self.workers = 0
        self.world = make_world(dialect=make_dialect(name))
        self.world.now = time.time()
        self.upstream = _Upstream(provider)
        self.means = (
            {} if mode == "off" else {"provider": CancelUpstream(self.upstream, self.world.dialect, mode == "whole")}
        )
        self.scheduled = self.another_worker()
        self.recorder = _Recorder(self.world)
        self.route = self.make_route()

    def make_route(self) -> Any:
        return replace(self.world.route, upstream=self.upstream, scheduled=self.scheduled)

    def another_worker(self, check_every_s: float = 60.0, term_s: float = 45.0) -> ScheduledSends:
        self.workers += 1
        notes = SealedNotes(self.world.index, NoteSeal({1: b"n" * 32}, 1))
        return ScheduledSends(
            notes=notes,
            journals={
                name: ScheduledJournal(
                    notes, name, f"worker-{self.workers}", clock=lambda: self.world.now, term_s=term_s
                )
                for name in self.means
            },
            index=self.world.index,
            evidence=self.world.evidence,
            upstreams=self.means,
            count=self.counts.append,
            clock=lambda: self.world.now,
            check_every_s=check_every_s,
            first_pause_s=0.01,
        )

    async def consent(self, *numbers: str) -> None:
        await self.world.consent(numbers, at=int(self.world.now) - 86400)
        await self.world.index.apply(SHOP, [], watermark_at=int(self.world.now))

    async def send(self, *numbers: str, in_s: float = 3600.0) -> HttpResponse:
        """As a client of the provider would ask for it."""
        title = "MG" + "0" * 32 if self.name == "twilio" else "ORNEK"
        asked = Submission(
            "plain",
            "messages.send",
            [SmsRecipient(parse_phone(each), each, 0) for each in numbers],
            ["Bahar indirimi basladi"],
            sender_title=title,
            tag_class=MessageClass.COMMERCIAL,
            tag_type=RecipientType.INDIVIDUAL,
            send_at=(self.world.now + in_s) // 60 * 60,
        )
        codec: Any = self.world.dialect
        request = codec.compose(asked, PROVIDERS[self.name][1])
        call = codec.recognise(request)
        return (await self.world.pipeline.handle(request, call, self.route, SHOP_CLIENT)).response

    async def send_held(self, who: str, until_hour: int) -> HttpResponse:
        """At once, but only from ten o'clock until ``until_hour`` of any day."""
        message = {
            "sender": "ORNEK",
            "destinations": [{"to": who}],
            "content": {"text": "Bahar indirimi basladi"},
            "options": {
                "deliveryTimeWindow": {"from": {"hour": 10, "minute": 0}, "to": {"hour": until_hour, "minute": 0}},
                "regional": {"turkeyIys": {"recipientType": "BIREYSEL"}},
            },
        }
        headers = (("content-type", "application/json"), ("authorization", "App key"))
        request = HttpRequest("POST", "/sms/3/messages", "", headers, orjson.dumps({"messages": [message]}))
        call = self.world.dialect.recognise(request)
        assert call is not None
        return (await self.world.pipeline.handle(request, call, self.route, SHOP_CLIENT)).response

    async def refuse(self, who: str, worker: ScheduledSends | None = None) -> None:
        key = parse_phone(who).key
        recorder = CancellingRecorder(self.recorder, worker or self.scheduled)
        await recorder.record(
            Refusal(SHOP, Channel.SMS, self.world.keys.derive(SHOP, key), key, None, int(self.world.now), "HS_MESAJ")
        )

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not is_so():
                await asyncio.sleep(0.005)

    @property
    def held(self) -> list[str]:
        """Who will still get it, in ten digits."""
        return [each.number[-10:] for each in self._taken() if not each.is_cancelled]

    def _taken(self) -> list[Any]:
        simulator = self.provider.simulator
        return list(getattr(simulator, "taken", None) or simulator.sent)

    def cancellations(self) -> list[dict[str, Any]]:
        return [record for record in self.world.records() if record["kind"] == "cancellation"]


OpenPlace = Callable[..., AbstractAsyncContextManager[Place]]


@pytest.fixture
def open_place(make_world: Callable[..., SmsWorld]) -> OpenPlace:
    @asynccontextmanager
    async def open_it(name: str = "netgsm", mode: str = "single") -> AsyncIterator[Place]:
        async with RunningProvider(PROVIDERS[name][0]()) as provider:
            place = Place(name, make_world, provider, mode)
            try:
                yield place
            finally:
                await place.scheduled.close()

    return open_it


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_refusal_before_the_time_calls_the_message_off(open_place: OpenPlace, name: str) -> None:
    """In the provider's own words, at once, and the evidence tells it by key."""
    async with open_place(name) as place:
        await place.consent(ONE)
        assert (await place.send(ONE)).status < 300
        assert place.held == [ONE[-10:]]
        await place.refuse(ONE)
        await place.until(lambda: bool(place.cancellations()))
        assert place.held == []
        assert place.counts == ["cancelled"]
        (record,) = place.cancellations()
        assert (record["result"], record["upstream"], record["attempts"]) == ("cancelled", "provider", 1)
        assert record["key"] == place.world.keys.derive(SHOP, parse_phone(ONE).key).hex()
        assert ONE[-10:] not in orjson.dumps(record).decode()


async def test_another_worker_calls_it_off_too_and_none_does_so_again(open_place: OpenPlace) -> None:
    async with open_place() as place:
        await place.consent(ONE)
        await place.send(ONE)
        await asyncio.sleep(0.02)  # the sender's own second look at the index is over
        other = place.another_worker()
        await place.refuse(ONE, other)
        await place.until(lambda: "cancelled" in place.counts)
        await place.refuse(ONE)
        await asyncio.sleep(0.05)
        await other.close()
        assert place.counts == ["cancelled"]
        assert len(place.upstream.asked) == 2


async def test_a_refusal_that_reaches_the_index_another_way_counts_as_well(open_place: OpenPlace) -> None:
    """From the registry, or by an operator's hand: the worker that sent it looks again by itself."""
    async with open_place() as place:
        place.scheduled = place.another_worker(check_every_s=0.02)
        place.route = place.make_route()
        await place.consent(ONE, OTHER)
        await place.send(ONE)
        await place.send(OTHER)
        await place.world.consent([ONE], Status.REJECTED, at=int(place.world.now))
        await place.until(lambda: "cancelled" in place.counts)
        assert place.held == [OTHER[-10:]]


async def test_a_refusal_while_the_provider_is_asked_is_not_missed(open_place: OpenPlace) -> None:
    """It comes after the decision and before the note."""
    async with open_place() as place:
        await place.consent(ONE)
        ask = place.upstream.send

        async def send(request: HttpRequest, valid_s: float | None = None) -> HttpResponse | UpstreamFault:
            if len(place.upstream.asked) == 0:
                await place.refuse(ONE)
            return await ask(request, valid_s)

        place.upstream.send = send
        await place.send(ONE)
        await place.until(lambda: "cancelled" in place.counts)
        assert place.held == []


@pytest.mark.parametrize("name", sorted(PROVIDERS.keys() - {"twilio"}))
async def test_a_job_to_several_people_is_called_off_whole_only_where_that_is_set(
    open_place: OpenPlace, name: str
) -> None:
    """A provider that can leave out one person of a job leaves out that one."""
    async with open_place(name) as place:
        await place.consent(ONE, OTHER)
        await place.send(ONE, OTHER)
        await place.refuse(ONE)
        await asyncio.sleep(0.05)
        assert place.held == ([OTHER[-10:]] if name in BY_THEMSELVES else [ONE[-10:], OTHER[-10:]])
    async with open_place(name, "whole") as place:
        await place.consent(ONE, OTHER)
        await place.send(ONE, OTHER)
        await place.refuse(ONE)
        await place.until(lambda: bool(place.counts))
        assert place.held == ([OTHER[-10:]] if name in BY_THEMSELVES else [])


async def test_nothing_is_called_off_where_that_is_set(open_place: OpenPlace) -> None:
    async with open_place(mode="off") as place:
        await place.consent(ONE)
        await place.send(ONE)
        await place.refuse(ONE)
        await asyncio.sleep(0.05)
        assert place.held == [ONE[-10:]]
        assert not place.world.index.notes


async def test_a_provider_that_does_not_answer_is_asked_again(open_place: OpenPlace) -> None:
    async with open_place() as place:
        await place.consent(ONE)
        await place.send(ONE)
        place.upstream.faults = [UpstreamFault.UNREACHABLE, UpstreamFault.TIMED_OUT]
        await place.refuse(ONE)
        await place.until(lambda: "cancelled" in place.counts)
        assert place.held == []
        assert place.counts == ["retried", "retried", "cancelled"]
        assert place.cancellations()[0]["attempts"] == 3


async def test_what_could_not_be_called_off_until_its_time_is_an_alarm(open_place: OpenPlace) -> None:
    """Counted, in the evidence, and not tried any more."""
    async with open_place() as place:
        await place.consent(ONE)
        await place.send(ONE)
        place.upstream.faults = [UpstreamFault.UNREACHABLE] * 1000
        await place.refuse(ONE)
        await place.until(lambda: "retried" in place.counts)
        place.world.now += 3600
        await place.until(lambda: "failed" in place.counts)
        asked = len(place.upstream.asked)
        await asyncio.sleep(0.05)
        assert len(place.upstream.asked) == asked
        assert place.cancellations()[-1]["result"] == "failed"


async def test_a_refusal_that_is_not_durable_calls_nothing_off(open_place: OpenPlace) -> None:
    """The refusal comes first; the person comes again."""
    async with open_place() as place:
        await place.consent(ONE)
        await place.send(ONE)
        place.recorder.is_failing = True
        with pytest.raises(OSError, match="away"):
            await place.refuse(ONE)
        await asyncio.sleep(0.05)
        assert place.held == [ONE[-10:]]


async def test_a_refusal_of_another_kind_or_person_calls_nothing_off(open_place: OpenPlace) -> None:
    async with open_place() as place:
        await place.consent(ONE, OTHER)
        await place.send(ONE)
        key = place.world.keys.derive(SHOP, parse_phone(ONE).key)
        place.scheduled.refused(Refusal(SHOP, Channel.CALL, key, b"", None, int(place.world.now), "HS_MESAJ"))
        place.scheduled.refused(
            Refusal(SHOP, Channel.SMS, key, b"", RecipientType.BUSINESS, int(place.world.now), "HS_MESAJ")
        )
        await place.refuse(OTHER)
        await asyncio.sleep(0.05)
        assert place.held == [ONE[-10:]]


async def test_what_lies_in_the_store_can_be_read_by_nobody(open_place: OpenPlace) -> None:
    """Neither the account's secret nor the job, nor whom it is about."""
    async with open_place("verimor") as place:
        await place.consent(ONE)
        await place.send(ONE)
        notes = place.world.index.notes
        key = place.world.keys.derive(SHOP, parse_phone(ONE).key)
        assert notes
        for name, sealed in notes.items():
            assert key not in name
            for secret in (b"sifre-1", b"908500000001", b"/v2/cancel", ONE[1:].encode(), key.hex().encode()):
                assert secret not in sealed


async def test_a_later_worker_goes_on_where_one_has_left(open_place: OpenPlace) -> None:
    """The provider does not answer, the worker is stopped meanwhile, and the next one calls the message off."""
    async with open_place() as place:
        await place.consent(ONE)
        await place.send(ONE)
        place.upstream.faults = [UpstreamFault.UNREACHABLE] * 3
        place.scheduled._first_pause_s = 30.0
        await place.refuse(ONE)
        await place.until(lambda: "retried" in place.counts)
        await place.scheduled.close()
        assert place.held == [ONE[-10:]]
        place.upstream.faults = []
        later = place.another_worker()
        later.start()
        await place.until(lambda: "cancelled" in place.counts)
        await later.close()
        assert place.held == []


async def test_what_a_killed_worker_looked_after_is_looked_after_by_another(open_place: OpenPlace) -> None:
    """It left no word: its sign of life stands still. The refusal comes from the registry, after its death."""
    async with open_place() as place:
        await place.consent(ONE)
        await place.send(ONE)
        await asyncio.sleep(0.02)
        _kill(place.scheduled)
        other = place.another_worker(check_every_s=0.02, term_s=0.1)
        other.start()
        await place.world.consent([ONE], Status.REJECTED, at=int(place.world.now))
        await place.until(lambda: "cancelled" in place.counts)
        await other.close()
        assert place.held == []


async def test_what_was_taken_over_once_is_taken_over_again(open_place: OpenPlace) -> None:
    """Each worker in a row is killed; the last one still knows."""
    async with open_place() as place:
        await place.consent(ONE)
        await place.send(ONE)
        await asyncio.sleep(0.02)
        _kill(place.scheduled)
        for _ in range(3):
            heir = place.another_worker(check_every_s=0.02, term_s=0.06)
            heir.start()
            await place.until(lambda heir=heir: bool(heir._sends))
            _kill(heir)
        last = place.another_worker(check_every_s=0.02, term_s=0.06)
        last.start()
        await place.world.consent([ONE], Status.REJECTED, at=int(place.world.now))
        await place.until(lambda: "cancelled" in place.counts)
        await last.close()
        assert place.held == []


async def test_a_worker_that_only_heard_the_refusal_leaves_its_retries_behind(open_place: OpenPlace) -> None:
    """It did not send the job, and who sent it is gone too."""
    async with open_place() as place:
        await place.consent(ONE)
        await place.send(ONE)
        await asyncio.sleep(0.02)
        _kill(place.scheduled)
        place.upstream.faults = [UpstreamFault.UNREACHABLE] * 1000
        hearing = place.another_worker()
        hearing._first_pause_s = 30.0
        await place.refuse(ONE, hearing)
        await place.until(lambda: "retried" in place.counts)
        await hearing.close()
        place.upstream.faults = []
        later = place.another_worker()
        later.start()
        await place.until(lambda: "cancelled" in place.counts)
        await later.close()
        assert place.held == []


async def test_a_worker_that_lives_keeps_what_is_its_own(open_place: OpenPlace) -> None:
    """Its sign of life changes; nobody else asks the provider."""
    async with open_place() as place:
        place.scheduled = place.another_worker(check_every_s=0.01)
        place.route = place.make_route()
        await place.consent(ONE)
        await place.send(ONE)
        other = place.another_worker(check_every_s=0.01, term_s=0.3)
        other.start()
        await asyncio.sleep(0.6)
        assert not other._sends
        await other.close()


async def test_what_lies_behind_is_taken_over_by_nobody(open_place: OpenPlace) -> None:
    """The time of sending has come: nothing can be called off any more."""
    async with open_place() as place:
        await place.consent(ONE)
        await place.send(ONE)
        await place.scheduled.close()
        place.world.now += 3700
        later = place.another_worker(check_every_s=0.01)
        later.start()
        await asyncio.sleep(0.05)
        await later.close()
        assert not later._sends
        assert len(place.upstream.asked) == 1


def _kill(worker: ScheduledSends) -> None:
    """What it had under way ends without another word."""
    for task in [*worker._tasks, *([worker._checking] if worker._checking else [])]:
        task.cancel()


async def test_what_a_provider_holds_for_hours_or_speed_is_called_off_too(open_place: OpenPlace) -> None:
    """No time of sending stands in the request; the provider waits for its window all the same."""
    async with open_place("infobip") as place:
        await place.consent(ONE)
        assert (await place.send_held(ONE, 20)).status == 200
        await place.refuse(ONE)
        await place.until(lambda: "cancelled" in place.counts)
        assert place.held == []


async def test_a_hold_beyond_the_longest_lead_is_refused(open_place: OpenPlace) -> None:
    """As a time of sending that far ahead is."""
    async with open_place("infobip") as place:
        place.route = replace(place.route, max_lead_s=13 * 3600.0)
        await place.consent(ONE)
        assert (await place.send_held(ONE, 20)).status == 403
        assert (await place.send_held(ONE, 22)).status == 200
        assert len(place.upstream.asked) == 1


async def test_what_is_held_for_no_time_is_not_noted(open_place: OpenPlace) -> None:
    async with open_place("infobip") as place:
        await place.consent(ONE)
        assert (await place.send_held(ONE, 10)).status == 200
        assert not place.world.index.notes
