"""What a machine remembers of its store, and how marks are judged by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.store.mark import FORMAT, Mark, pack_mark, unpack_mark
from adapters.store.memory import StoreMemory
from filters.vocabulary import LookupFailure

FINGERPRINT = b"test-fp1"
GENERATION, OTHER_GENERATION = b"g" * 16, b"h" * 16


def mark(revision: int, generation: bytes = GENERATION) -> Mark:
    return Mark(FORMAT, generation, FINGERPRINT, revision)


class Monotonic:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_mark_is_adopted(tmp_path: Path) -> None:
    """Before the first contact nothing is known; afterwards only that store will do."""
    memory = StoreMemory(tmp_path, FINGERPRINT)
    assert memory.judge(mark(7), memory.revision) is None
    assert (memory.generation, memory.revision) == (GENERATION, 7)
    assert memory.judge(mark(7, OTHER_GENERATION), 7) is LookupFailure.FOREIGN
    assert memory.judge(None, 7) is LookupFailure.NOT_INITIALISED
    assert memory.judge(mark(8), 7) is None


def test_an_answer_overtaken_by_a_later_one_is_no_roll_back(tmp_path: Path) -> None:
    """What counts is the revision known when the question was sent, not when the answer came."""
    memory = StoreMemory(tmp_path, FINGERPRINT)
    memory.judge(mark(10), 0)
    floor = memory.revision
    assert memory.judge(mark(12), floor) is None
    assert memory.judge(mark(11), floor) is None
    assert memory.judge(mark(11), memory.revision) is LookupFailure.ROLLED_BACK


def test_a_roll_back_stays_until_accepted(tmp_path: Path) -> None:
    """Neither a higher revision nor a restart makes it good."""
    memory = StoreMemory(tmp_path, FINGERPRINT)
    memory.judge(mark(10), 0)
    assert memory.judge(mark(9), 10) is LookupFailure.ROLLED_BACK
    assert memory.judge(mark(99), 10) is LookupFailure.ROLLED_BACK
    again = StoreMemory(tmp_path, FINGERPRINT)
    assert again.judge(mark(100), 0) is LookupFailure.ROLLED_BACK
    again.accept(mark(100))
    assert again.judge(mark(100), again.revision) is None


def test_acceptance_reaches_a_running_process(tmp_path: Path) -> None:
    """Within half a second, through the file."""
    clock = Monotonic()
    running = StoreMemory(tmp_path, FINGERPRINT, monotonic=clock)
    running.judge(mark(10), 0)
    operator = StoreMemory(tmp_path, FINGERPRINT)
    operator.accept(mark(3, OTHER_GENERATION))
    assert running.judge(mark(3, OTHER_GENERATION), 10) is LookupFailure.FOREIGN
    clock.now += 1
    assert running.judge(mark(3, OTHER_GENERATION), 10) is None
    assert running.revision == 3


def test_a_process_left_behind_does_not_undo_an_acceptance(tmp_path: Path) -> None:
    """Its own write takes the newer memory over instead."""
    clock = Monotonic()
    behind = StoreMemory(tmp_path, FINGERPRINT, monotonic=clock)
    behind.judge(mark(10), 0)
    StoreMemory(tmp_path, FINGERPRINT).accept(mark(3, OTHER_GENERATION))
    clock.now += 5
    behind.judge(mark(11), 10)
    assert StoreMemory(tmp_path, FINGERPRINT).generation == OTHER_GENERATION


def test_writes_are_few_and_a_restart_knows_the_last(tmp_path: Path) -> None:
    """A revision a look-up is written once a second at most, and at the end."""
    clock = Monotonic()
    memory = StoreMemory(tmp_path, FINGERPRINT, monotonic=clock)
    for revision in range(1000):
        memory.judge(mark(revision), memory.revision)
    assert StoreMemory(tmp_path, FINGERPRINT).revision == 0
    clock.now += 1
    memory.judge(mark(1000), memory.revision)
    assert StoreMemory(tmp_path, FINGERPRINT).revision == 1000
    memory.judge(mark(1001), memory.revision)
    memory.close()
    assert StoreMemory(tmp_path, FINGERPRINT).revision == 1001


@pytest.mark.parametrize(
    "other",
    [
        Mark(FORMAT + 1, GENERATION, FINGERPRINT, 5),
        Mark(FORMAT, GENERATION, b"test-fp2", 5),
        Mark(FORMAT, OTHER_GENERATION, FINGERPRINT, 5),
    ],
    ids=["another layout", "another secret", "another generation"],
)
def test_a_mark_that_differs_is_foreign(tmp_path: Path, other: Mark) -> None:
    """A newer program's layout, another index secret, another store."""
    memory = StoreMemory(tmp_path, FINGERPRINT)
    memory.judge(mark(5), 0)
    assert memory.judge(other, 5) is LookupFailure.FOREIGN
    assert memory.judge(mark(5), 5) is None


@given(
    st.builds(
        Mark,
        st.integers(0, 65535),
        st.binary(min_size=16, max_size=16),
        st.binary(min_size=8, max_size=8),
        st.integers(0, 2**63),
    )
)
def test_a_mark_survives_packing(packed: Mark) -> None:
    """And what is no mark is none."""
    assert unpack_mark(pack_mark(packed)) == packed
    assert unpack_mark(pack_mark(packed)[:-1]) is None


def test_what_a_refusal_rests_on_is_known_to_a_process_that_did_not_look(tmp_path: Path) -> None:
    """One process recorded it, the store came back without it, and the other process asks for the first time since."""
    recording, other = StoreMemory(tmp_path, FINGERPRINT), StoreMemory(tmp_path, FINGERPRINT)
    for memory in (recording, other):
        memory.judge(mark(10), 0)
    recording.judge(mark(11), 10)
    recording.share()
    other.refresh()
    assert other.judge(mark(10), other.revision) is LookupFailure.ROLLED_BACK


def test_sharing_nothing_new_writes_nothing(tmp_path: Path) -> None:
    """And an older file takes nothing from what this process knows."""
    memory = StoreMemory(tmp_path, FINGERPRINT)
    memory.judge(mark(10), 0)
    written = (tmp_path / "store-memory.json").stat().st_mtime_ns
    memory.share()
    assert (tmp_path / "store-memory.json").stat().st_mtime_ns == written
    memory.judge(mark(12), 10)
    memory.refresh()
    assert memory.revision == 12
