"""The machine's clock is set right, or wrong, while mail passes: how old the index is cannot be told then, so a consent
is not acted on; a refusal is, and what has an hour of its own goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.mail.pipeline import DECISION_VALID_S
from tests.support.agenda import Manner, always
from tests.support.pipeline_world import COMMERCIAL, INFORMATIONAL, Clock, PipelineWorld, mail

AYSE, BORA = b"ayse@example.com", b"bora@example.com"


@pytest.fixture
def world() -> Iterator[PipelineWorld]:
    world = PipelineWorld()
    yield world
    world.close()


def answer(world: PipelineWorld, recipient: bytes, tag: bytes = COMMERCIAL) -> int:
    return world.send(mail(tag), [recipient]).reply.overall.code


@pytest.mark.parametrize("hours", [-2, -24 * 400, 30, 24 * 400], ids="{:+} h".format)
async def test_clock_jump_permits_nothing(world: PipelineWorld, hours: int) -> None:
    """Back, the registry was read in the future; forward, too long ago. Set right again, mail flows."""
    await world.load()
    await world.consent(AYSE)
    await world.refuse(BORA)
    assert (answer(world, AYSE), answer(world, BORA)) == (250, 550)
    world.clock.now += hours * 3600
    assert (answer(world, AYSE), answer(world, BORA)) == (451, 550)
    assert answer(world, BORA, INFORMATIONAL) == 250
    world.clock.now -= hours * 3600
    assert (answer(world, AYSE), answer(world, BORA)) == (250, 550)


async def test_clock_jump_back_does_not_keep_a_decision_young(world: PipelineWorld) -> None:
    """How long a recipient has waited since the decision is told by a clock that nobody sets."""
    wall = Clock()
    world.pipeline._clock = wall
    people = [b"alici%d@example.com" % number for number in range(40)]
    await world.load()
    for recipient in people:
        await world.consent(recipient)
    world.upstream.manner = always(Manner.LATE)
    sent = world.send(mail(COMMERCIAL), people)
    await world.refuse(people[39])
    wall.now -= 60
    world.clock.now += DECISION_VALID_S + 0.1
    world.agenda.deliver_all()
    assert [reply.code for reply in sent.reply.per_recipient] == [250] * 39 + [550]
