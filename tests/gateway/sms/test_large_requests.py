"""Fifty thousand recipients in one request: all answered for, the loop free meanwhile, the collector back at work."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable, Sequence

import orjson
import pytest

from filters.sms.dialects.plain import PlainDialect
from filters.sms.http import HttpRequest
from filters.sms.message import Submission
from gateway.sms import heavy
from tests.support.sms_world import SHOP_CLIENT, SmsWorld, message, number

MANY = 50_000


async def test_fifty_thousand_recipients_are_decided_in_order(world: SmsWorld) -> None:
    """Every third has consented. Other work has its turn all the while: the longest wait is a fraction of the whole."""
    people = [number(n) for n in range(MANY)]
    await world.consent(people[::3])
    waits: list[float] = []
    is_done = False

    async def other_work() -> None:
        while not is_done:
            started = time.perf_counter()
            await asyncio.sleep(0)
            waits.append(time.perf_counter() - started)

    working = asyncio.create_task(other_work())
    response = await world.ask_raw(json.dumps(message(*people)).encode())
    is_done = True
    await working
    answer = orjson.loads(response.body)
    assert world.provider.numbers() == people[::3]
    assert [entry["to"] for entry in answer["recipients"]] == people
    relayed = [entry["outcome"] == "relayed" for entry in answer["recipients"]]
    assert relayed == [n % 3 == 0 for n in range(MANY)]
    (record,) = world.records()
    assert len(record["recipients"]) == MANY
    assert len(waits) > 20, "the loop was held"
    assert gc.isenabled()


async def test_fifty_thousand_texts_each_carry_the_opt_out(world: SmsWorld) -> None:
    people = [number(n) for n in range(MANY)]
    await world.consent(people)
    body = {"recipients": [{"to": each, "text": f"Sayin {n}"} for n, each in enumerate(people)], "class": "commercial"}
    await world.ask_raw(json.dumps(body).encode())
    assert [taken.text.split(" ")[1] for taken in world.provider.taken] == [str(n) for n in range(MANY)]
    assert all("RET ORNEK" in taken.text for taken in world.provider.taken)


async def test_one_more_than_the_cap_is_refused_as_a_whole(world: SmsWorld) -> None:
    response = await world.ask_raw(json.dumps(message(*[number(1)] * (MANY + 1))).encode(), SHOP_CLIENT)
    assert response.status == 400
    assert b"too_many_recipients" in response.body
    assert world.upstream.asked == []


class Forgetful(PlainDialect):
    """A codec with a fault: the ``n``-th that was left out is written all the same, in place of the last permitted."""

    wrong = ""

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        request = super().write(submission, kept, texts)
        if len(kept) < 2:
            return request
        last = submission.recipients[kept[-1]].number
        assert last is not None
        return request._replace(body=request.body.replace(last.e164.encode(), self.wrong.encode()))


@pytest.mark.parametrize(
    ("size", "spelled"),
    [
        *((3, spelled) for spelled in (number(1), number(1)[3:], "0532 000 00 01", "(0532) 000-00-01", "")),
        (1200, "(0532) 000-00-01"),
        (1200, ""),
    ],
)
async def test_a_codec_that_writes_another_number_sends_nothing(
    make_world: Callable[..., SmsWorld], size: int, spelled: str
) -> None:
    """Whatever is written is checked against what was decided, in requests of every size."""
    dialect = Forgetful()
    dialect.wrong = spelled
    world = make_world(dialect=dialect)
    await world.consent([number(n) for n in range(size) if n != 1])
    response = await world.ask_raw(json.dumps(message(*[number(n) for n in range(size)])).encode())
    assert response.status == 503
    assert world.upstream.asked == []


class Generous(PlainDialect):
    """A codec with another fault: it writes somebody whom nobody asked for, beside all others."""

    stranger = ""

    def write(self, submission: Submission, kept: Sequence[int], texts: Sequence[str]) -> HttpRequest:
        request = super().write(submission, kept, texts)
        if len(kept) < 2:
            return request
        body = orjson.loads(request.body)
        body["recipients"].append({"to": self.stranger})
        return request._replace(body=orjson.dumps(body))


@pytest.mark.parametrize("size", [3, 1200])
@pytest.mark.parametrize("stranger", ["(0532) 400-00-00", number(0)])
async def test_a_codec_that_writes_one_more_sends_nothing(
    make_world: Callable[..., SmsWorld], size: int, stranger: str
) -> None:
    """Nobody who was not in the request, and nobody twice who was in it once."""
    dialect = Generous()
    dialect.stranger = stranger
    world = make_world(dialect=dialect)
    await world.consent([number(n) for n in range(size)])
    response = await world.ask_raw(json.dumps(message(*[number(n) for n in range(size)])).encode())
    assert response.status == 503
    assert world.upstream.asked == []


async def test_the_interpreter_is_as_it_was_once_large_requests_are_answered(
    world: SmsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile threads take short turns and the collector is patient; both are changes to the whole process."""
    monkeypatch.setattr(heavy, "_LOOK_AFTER_S", 0.0)
    usual = gc.get_threshold(), sys.getswitchinterval()
    seen: set[tuple[int, float]] = set()

    async def watch() -> None:
        seen.add((gc.get_threshold()[0], sys.getswitchinterval()))

    world.upstream.before = [watch, watch]
    people = [number(n) for n in range(9000)]
    await world.consent(people)
    body = json.dumps(message(*people)).encode()
    assert len(body) > heavy.HEAVY_BYTES
    await asyncio.gather(world.ask_raw(body), world.ask_raw(body + b" "))
    await asyncio.sleep(0.01)
    assert (gc.get_threshold(), sys.getswitchinterval()) == usual
    assert {patience for patience, _ in seen} == {heavy._PATIENCE}
