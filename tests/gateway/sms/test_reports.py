"""Dropped numbers kept for reports, and messages remembered: sealed, each for its own client."""

from __future__ import annotations

import pytest

from filters.reason import Reason
from filters.sms.dialect import RequestRefusedError
from filters.sms.message import ReportEntry
from filters.sms.note_seal import NoteSeal
from gateway.sms.reports import DroppedNumbers
from gateway.sms.seen import SeenMessages
from tests.support.memory_index import MemoryIndex
from tests.support.sms_world import NOW, number

ENTRIES = [
    ReportEntry("0532 000 00 01", number(1), "a", Reason.REFUSED, float(NOW)),
    ReportEntry("bozuk", "", "", Reason.ADDRESS_INVALID, float(NOW)),
]


@pytest.fixture
def notes() -> MemoryIndex:
    return MemoryIndex()


async def test_what_was_kept_is_found_by_the_client_that_sent_it(notes: MemoryIndex) -> None:
    dropped = DroppedNumbers(notes, NoteSeal({1: b"n" * 32}, 1))
    assert await dropped.keep("shop", "netgsm", "17", ENTRIES, is_minted=True)
    found = await dropped.find("shop", "netgsm", ["16", "17"])
    assert found is not None
    assert list(found["17"].entries) == ENTRIES
    assert found["17"].is_minted
    assert found.keys() == {"17"}


async def test_a_report_about_thousands_of_jobs_leaves_none_out(notes: MemoryIndex) -> None:
    """The last of them counts as the first, and one asked for twice is found once."""
    dropped = DroppedNumbers(notes, NoteSeal({1: b"n" * 32}, 1))
    for job_id in ("0", "2500", "4999"):
        assert await dropped.keep("shop", "netgsm", job_id, ENTRIES, is_minted=False)
    found = await dropped.find("shop", "netgsm", [*map(str, range(5000)), "0"])
    assert found is not None
    assert list(found) == ["0", "2500", "4999"]


async def test_a_report_about_more_jobs_than_can_be_looked_for_is_refused(notes: MemoryIndex) -> None:
    dropped = DroppedNumbers(notes, NoteSeal({1: b"n" * 32}, 1))
    with pytest.raises(RequestRefusedError, match="50000"):
        await dropped.find("shop", "netgsm", [str(number) for number in range(50_001)])


@pytest.mark.parametrize(("client", "upstream"), [("other", "netgsm"), ("shop", "verimor"), ("shopnetgsm", "")])
async def test_nobody_else_finds_it(notes: MemoryIndex, client: str, upstream: str) -> None:
    dropped = DroppedNumbers(notes, NoteSeal({1: b"n" * 32}, 1))
    await dropped.keep("shop", "netgsm", "17", ENTRIES, is_minted=False)
    assert await dropped.find(client, upstream, ["17"]) == {}


async def test_a_dump_of_the_store_shows_no_number_and_no_job(notes: MemoryIndex) -> None:
    dropped = DroppedNumbers(notes, NoteSeal({1: b"n" * 32}, 1))
    await dropped.keep("shop", "netgsm", "17377215342605050417149344", ENTRIES, is_minted=False)
    dump = b"".join(name + sealed for name, sealed in notes.notes.items())
    for secret in (b"532", b"17377215", b"REFUSED", b"shop"):
        assert secret not in dump


async def test_an_older_key_still_opens(notes: MemoryIndex) -> None:
    await DroppedNumbers(notes, NoteSeal({1: b"n" * 32}, 1)).keep("shop", "netgsm", "17", ENTRIES, is_minted=False)
    turned = DroppedNumbers(notes, NoteSeal({1: b"n" * 32, 2: b"m" * 32}, 2))
    found = await turned.find("shop", "netgsm", ["17"])
    assert found is not None
    assert list(found["17"].entries) == ENTRIES


async def test_an_altered_note_is_none(notes: MemoryIndex) -> None:
    dropped = DroppedNumbers(notes, NoteSeal({1: b"n" * 32}, 1))
    await dropped.keep("shop", "netgsm", "17", ENTRIES, is_minted=False)
    (name,) = notes.notes
    notes.notes[name] = notes.notes[name][:-1] + bytes([notes.notes[name][-1] ^ 1])
    assert await dropped.find("shop", "netgsm", ["17"]) == {}


async def test_an_incoming_message_is_known_again_by_all_that_it_says(notes: MemoryIndex) -> None:
    """Under one id a provider may tell of several people: only the very same refusal is told again."""
    seen = SeenMessages(notes, NoteSeal({1: b"n" * 32}, 1))
    said = ("verimor", "mo-1", "+905321234567", [600123])
    assert not await seen.is_known(*said)
    assert await seen.remember(*said)
    assert await seen.is_known(*said)
    assert not await seen.is_known("netgsm", *said[1:])
    assert not await seen.is_known("verimor", "mo-1", "+905321234568", [600123])
    assert not await seen.is_known("verimor", "mo-1", "+905321234567", [600124])
