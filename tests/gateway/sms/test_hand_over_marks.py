"""Requests at the provider are marked for other workers each in its own time, and only while they are there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.sms.at_provider import LOOK_EVERY_S, MARK_AFTER_S, AtProvider

Told = Callable[[bool], None]


class Memory:
    """A memory of retries that keeps marks by request, and is asked nothing else."""

    def __init__(self) -> None:
        self.marked: dict[bytes, float] = {}

    def remember_taken(self, digest: bytes, marks: Sequence[bytes], done: Told) -> None:
        self.marked[digest] = asyncio.get_running_loop().time()
        done(True)

    def forget_taken(self, digest: bytes, marks: Sequence[bytes], done: Told) -> None:
        del self.marked[digest]
        done(True)


def make_marks() -> tuple[Memory, AtProvider]:
    memory = Memory()
    return memory, AtProvider(memory, lambda _is_kept: None)  # type: ignore[arg-type] # of a consent index, all it asks


async def test_each_is_marked_once_it_takes_longer_however_many_are_there() -> None:
    memory, marks = make_marks()
    loop = asyncio.get_running_loop()
    begun: dict[bytes, float] = {}
    for name in (b"first", b"second", b"third"):
        begun[name] = loop.time()
        marks.begin(name, lambda: False)
        await asyncio.sleep(0.07)
    async with asyncio.timeout(3):
        while len(memory.marked) < len(begun):
            await asyncio.sleep(0.01)
    assert all(memory.marked[name] - at >= MARK_AFTER_S - 0.01 for name, at in begun.items())
    assert list(memory.marked) == list(begun)


async def test_one_that_is_answered_sooner_is_never_marked() -> None:
    memory, marks = make_marks()
    answered = marks.begin(b"answered", lambda: False)
    marks.begin(b"silent", lambda: False)
    await asyncio.sleep(LOOK_EVERY_S)
    answered.end(True)
    async with asyncio.timeout(3):
        while not memory.marked:
            await asyncio.sleep(0.01)
    assert list(memory.marked) == [b"silent"]


async def test_one_whose_client_leaves_is_marked_at_once_and_taken_back_at_its_end() -> None:
    memory, marks = make_marks()
    left = marks.begin(b"left", lambda: True)
    marks.begin(b"silent", lambda: False)
    await asyncio.sleep(LOOK_EVERY_S * 2)
    assert list(memory.marked) == [b"left"]
    left.end(True)
    assert not memory.marked


async def test_one_that_comes_after_a_quiet_time_is_marked_too() -> None:
    memory, marks = make_marks()
    marks.begin(b"before", lambda: False).end(True)
    await asyncio.sleep(LOOK_EVERY_S * 2)
    marks.begin(b"after", lambda: True)
    await asyncio.sleep(LOOK_EVERY_S * 2)
    assert list(memory.marked) == [b"after"]
