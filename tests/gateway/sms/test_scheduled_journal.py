"""The journal of scheduled sends: whatever one worker wrote, another one reads once the first is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.sms.http import HttpRequest
from filters.sms.note_seal import NoteSeal
from filters.vocabulary import RecipientType
from gateway.sms import scheduled_journal
from gateway.sms.scheduled_journal import DAY_S, ScheduledJournal, ScheduledSend, pack_sends, unpack_sends
from gateway.sms.sealed_notes import SealedNotes
from tests.support.memory_index import MemoryIndex

NOW = 1_790_000_000.0


class _Store(MemoryIndex):
    """Takes no note while ``is_away``; then nothing can be read either."""

    is_away = False

    def keep_note(self, name: bytes, sealed: bytes, done: Callable[[bool], None]) -> None:
        return done(False) if self.is_away else super().keep_note(name, sealed, done)

    def claim_note(self, name: bytes, sealed: bytes, keep_s: int, done: Callable[[bool | None], None]) -> None:
        return done(None) if self.is_away else super().claim_note(name, sealed, keep_s, done)

    def find_notes(self, names: Sequence[bytes], done: Callable[[Sequence[bytes | None] | None], None]) -> None:
        return done(None) if self.is_away else super().find_notes(names, done)


class Shelf:
    """A store and a clock that several workers share."""

    def __init__(self) -> None:
        self.store = _Store()
        self.now = NOW
        self.passed = 0.0
        self.seals = {1: b"n" * 32}

    def worker(self, name: str, key: int = 1, upstream: str = "netgsm") -> ScheduledJournal:
        notes = SealedNotes(self.store, NoteSeal(self.seals, key))
        return ScheduledJournal(notes, upstream, name, clock=lambda: self.now, monotonic=lambda: self.passed)

    async def after_term(self, heir: ScheduledJournal) -> list[ScheduledSend]:
        """What ``heir`` takes over after one look and another one a term later."""
        assert await heir.take_over() == []
        self.passed += scheduled_journal.TERM_S
        return await heir.take_over()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def make_send(number: int = 0, *, at: float = NOW + 3600, **changes: Any) -> ScheduledSend:
    request = HttpRequest("POST", "/cancel", "", (("content-type", "text/plain"),), b"\xff job")
    send = ScheduledSend("netgsm", f"m-{number}", "", 600123, number.to_bytes(10, "big"), None, at, request)
    return send._replace(**changes)


@given(
    st.lists(
        st.builds(
            make_send,
            st.integers(0, 2**79),
            part=st.text(max_size=3),
            recipient_type=st.sampled_from([None, *RecipientType]),
            request=st.builds(HttpRequest, st.just("POST"), st.text(max_size=5), body=st.binary(max_size=9)),
        ),
        max_size=6,
    )
)
def test_whatever_is_packed_is_unpacked_alike(sends: list[ScheduledSend]) -> None:
    """In order, requests that are alike and requests that are not."""
    assert unpack_sends(pack_sends(sends)) == sends


@pytest.mark.parametrize("plain", [b"", b"[]", b"{}", b'{"requests":[],"sends":[[1]]}', b'{"requests":[1],"sends":[]}'])
def test_what_another_version_wrote_hides_nothing_else(plain: bytes) -> None:
    assert unpack_sends(plain) == []


async def test_all_pages_of_all_days_are_read(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """More pages than are asked for at once, on two days, from more workers than a book shows at once."""
    monkeypatch.setattr(scheduled_journal, "PAGE_SENDS", 1)
    written = [make_send(number, at=NOW + 2 * DAY_S) for number in range(150)]
    workers = [shelf.worker(f"w{number}") for number in range(11)]
    assert await workers[0].write(written[:70])
    shelf.now += DAY_S
    assert await workers[0].write(written[70:140])
    for worker, send in zip(workers[1:], written[140:], strict=True):
        assert await worker.write([send])
    found = await shelf.after_term(shelf.worker("heir"))
    assert sorted(send.message_id for send in found) == sorted(send.message_id for send in written)


async def test_writing_at_once_loses_nothing(shelf: Shelf) -> None:
    """Every request to send writes for itself."""
    worker = shelf.worker("w")
    written = [make_send(number) for number in range(50)]
    assert all(await asyncio.gather(*(worker.write([send]) for send in written)))
    found = await shelf.after_term(shelf.worker("heir"))
    assert {send.key for send in found} == {send.key for send in written}


async def test_a_store_that_was_away_says_so_and_hides_nothing_written_later(shelf: Shelf) -> None:
    """What was not taken is answered for; a gap of it does not end the reading."""
    worker = shelf.worker("w")
    assert await worker.write([make_send(1)])
    shelf.store.is_away = True
    assert not await worker.write([make_send(2)])
    shelf.store.is_away = False
    assert await worker.write([make_send(3)])
    assert {send.message_id for send in await shelf.after_term(shelf.worker("heir"))} == {"m-1", "m-3"}


async def test_nobody_is_gone_only_because_the_store_was_away(shelf: Shelf) -> None:
    """A sign that nobody could read, or write, has not stood still."""
    worker, watcher = shelf.worker("w"), shelf.worker("watcher")
    assert await worker.write([make_send()])
    assert await watcher.take_over() == []
    shelf.store.is_away = True
    shelf.passed += 600
    assert await watcher.take_over() == []
    shelf.store.is_away = False
    assert await watcher.take_over() == []
    await worker.beat()
    shelf.passed += 1
    assert await watcher.take_over() == []


async def test_one_of_many_heirs_takes_over(shelf: Shelf) -> None:
    worker = shelf.worker("w")
    assert await worker.write([make_send()])
    await worker.leave(is_empty=False)
    found = await asyncio.gather(*(shelf.worker(f"heir{number}").take_over() for number in range(4)))
    assert sorted(map(len, found)) == [0, 0, 0, 1]


async def test_nobody_takes_over_what_another_upstream_holds(shelf: Shelf) -> None:
    """Machines on one store may have other upstreams: who could not call it off must not hide it from who can."""
    worker = shelf.worker("w")
    assert await worker.write([make_send()])
    await worker.leave(is_empty=False)
    assert await shelf.worker("stranger", upstream="verimor").take_over() == []
    assert len(await shelf.worker("heir").take_over()) == 1


async def test_who_left_nothing_is_asked_for_nothing(shelf: Shelf) -> None:
    worker = shelf.worker("w")
    assert await worker.write([make_send()])
    await worker.leave(is_empty=True)
    assert await shelf.after_term(shelf.worker("heir")) == []


async def test_a_new_key_hides_no_earlier_writer(shelf: Shelf) -> None:
    """The installation's keys were changed in the middle of the day."""
    assert await shelf.worker("old").write([make_send(1)])
    shelf.seals[2] = b"m" * 32
    assert await shelf.worker("new", 2).write([make_send(2)])
    assert {send.message_id for send in await shelf.after_term(shelf.worker("heir", 2))} == {"m-1", "m-2"}


async def test_nothing_in_the_store_tells_whom_it_is_about(shelf: Shelf) -> None:
    """Neither the person's key nor the request, which holds the account's credentials."""
    send = make_send(2**60)
    assert await shelf.worker("w").write([send])
    for name, sealed in shelf.store.notes.items():
        for secret in (send.key, send.key.hex().encode(), b"/cancel", b"m-1"):
            assert secret not in name + sealed
