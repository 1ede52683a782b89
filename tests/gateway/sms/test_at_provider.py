"""A repetition that reaches another worker while the provider is silent is not sent beside the first."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from filters.sms.dialects.plain import SEND
from filters.sms.http import HttpRequest, UpstreamFault
from gateway.sms.at_provider import MARK_AFTER_S, WAIT_S
from tests.support.sms_world import SHOP_CLIENT, SmsWorld, message, number, outcomes

YES = number(1)
BODY = json.dumps(message(YES)).encode()


class Pair:
    """Two workers with one store and one provider, which is silent until ``answering`` is set."""

    def __init__(self, make_world: Callable[..., SmsWorld]) -> None:
        self.one = make_world()
        self.other = make_world(beside=self.one)
        self.answering = asyncio.Event()
        self.has_left = False

    async def begin(self) -> asyncio.Task[Any]:
        """The first attempt is at the provider, and other workers know of it; then its client leaves."""
        await self.one.consent([YES])
        self.one.upstream.before = [self.answering.wait]
        request = HttpRequest("POST", "/v1/messages", "", (("content-type", "application/json"),), BODY)
        first = asyncio.create_task(
            self.one.pipeline.handle(request, SEND, self.one.route, SHOP_CLIENT, lambda: self.has_left)
        )
        async with asyncio.timeout(5):
            while not self.marks():
                await asyncio.sleep(0.005)
        self.has_left = True
        return first

    def marks(self) -> frozenset[bytes]:
        """Whatever is remembered of any request."""
        return frozenset(each for _, taken in self.one.index._taken.values() for each in taken)


@pytest.fixture
async def pair(make_world: Callable[..., SmsWorld]) -> Pair:
    return Pair(make_world)


async def test_it_waits_and_hears_what_became_of_the_first(pair: Pair) -> None:
    first = await pair.begin()
    again = asyncio.create_task(pair.other.ask_raw(BODY))
    await asyncio.sleep(0.05)
    assert len(pair.one.upstream.asked) == 1
    pair.answering.set()
    answered, response = await first, await again
    assert len(pair.one.upstream.asked) == 1
    assert orjson.loads(response.body)["id"] == orjson.loads(answered.response.body)["id"]
    assert outcomes(orjson.loads(response.body)) == ["relayed"]


async def test_it_is_told_to_come_again_where_the_first_takes_too_long(pair: Pair) -> None:
    """Nothing is sent, and the evidence says that it was deferred."""
    first = await pair.begin()
    again = asyncio.create_task(pair.other.ask_raw(BODY))
    await asyncio.sleep(0.05)
    pair.other.monotonic += WAIT_S
    response = await again
    assert response.status == 503
    assert len(pair.one.upstream.asked) == 1
    (record,) = pair.other.records()
    assert [(each["outcome"], each["reason"]) for each in record["recipients"]] == [("deferred", "UPSTREAM_LOST")]
    pair.answering.set()
    await first


async def test_an_unknown_outcome_of_the_first_stays_unknown_to_the_second(pair: Pair) -> None:
    pair.one.upstream.faults = [UpstreamFault.TIMED_OUT]
    first = await pair.begin()
    again = asyncio.create_task(pair.other.ask_raw(BODY))
    pair.answering.set()
    await first
    assert (await again).status == 504
    assert len(pair.one.upstream.asked) == 1


async def test_a_worker_that_ends_meanwhile_leaves_an_unknown_outcome(pair: Pair) -> None:
    """Its mark stays: whoever comes again is not sent to."""
    first = await pair.begin()
    marks = pair.marks()
    again = asyncio.create_task(pair.other.ask_raw(BODY))
    await asyncio.sleep(0.02)
    pair.other.monotonic += WAIT_S
    assert (await again).status == 503
    assert pair.marks() == marks
    pair.answering.set()
    await first


async def test_others_know_of_it_sooner_where_the_client_has_left(pair: Pair) -> None:
    pair.has_left = True
    began = time.monotonic()
    first = await pair.begin()
    assert time.monotonic() - began < MARK_AFTER_S
    pair.answering.set()
    await first


async def test_the_mark_goes_once_the_outcome_is_known(pair: Pair) -> None:
    """The same message a second time, to somebody who waits, is another message."""
    first = await pair.begin()
    pair.has_left = False
    pair.answering.set()
    await first
    assert not pair.marks()
    assert (await pair.other.ask_raw(BODY)).status == 200
    assert len(pair.one.upstream.asked) == 2


async def test_a_request_that_is_answered_soon_writes_nothing(
    make_world: Callable[..., SmsWorld], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    await world.consent([YES])
    asked: list[object] = []
    monkeypatch.setattr(world.index, "remember_taken", lambda *args: asked.append(args))
    monkeypatch.setattr(world.index, "forget_taken", lambda *args: asked.append(args))
    assert (await world.ask_raw(BODY)).status == 200
    await asyncio.sleep(2 * MARK_AFTER_S)
    assert asked == []


async def test_a_store_that_keeps_no_mark_holds_nothing_up(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    await pair.one.consent([YES])

    def refuse(_digest: bytes, _keys: Any, done: Callable[[bool], None]) -> None:
        done(False)

    monkeypatch.setattr(pair.one.index, "remember_taken", refuse)
    pair.one.upstream.before = [lambda: asyncio.sleep(2 * MARK_AFTER_S)]
    assert (await pair.one.ask_raw(BODY)).status == 200


async def test_a_request_that_is_cut_off_leaves_its_mark(pair: Pair) -> None:
    """The provider may have it: whoever repeats it must not send it beside that."""
    first = await pair.begin()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await asyncio.sleep(0.05)
    assert pair.marks()
