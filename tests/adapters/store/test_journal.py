"""Our own refusals beside the store: what was appended is there, whatever happened to the file's end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.store import StoreError
from adapters.store.journal import FILE_NAME, JournalEntry, RefusalJournal
from filters.exchange import OutboxItem

NOW = 1_760_000_000
RECORD = b"k" * 10 + b"\x08\x88" + b"\x68\x00\x00\x00"


def item(number: int) -> OutboxItem:
    return OutboxItem(b"id-%d" % number, 600123, NOW + number, b"sealed\x00\xff" * number)


@pytest.fixture
def journal(tmp_path: Path) -> RefusalJournal:
    return RefusalJournal(tmp_path, keep_days=90)


def test_entries_come_back_as_appended(journal: RefusalJournal) -> None:
    """Records and reports, oldest first."""
    journal.append(600123, [RECORD], [item(1), item(2)], NOW)
    journal.append(600124, [RECORD, RECORD], [], NOW)
    assert journal.entries() == [
        JournalEntry(600123, (RECORD,), (item(1), item(2))),
        JournalEntry(600124, (RECORD, RECORD), ()),
    ]


def test_reports_made_are_left_out(journal: RefusalJournal) -> None:
    """The refusal itself stays: only its report is done with."""
    journal.append(600123, [RECORD], [item(1), item(2)], NOW)
    journal.append_removed([b"id-1"], NOW)
    assert journal.entries() == [JournalEntry(600123, (RECORD,), (item(2),))]


def test_a_report_due_again_under_the_same_id_comes_back(journal: RefusalJournal) -> None:
    """What was done with before it was appended again is not done with; each time anew."""
    for number in range(1, 4):
        journal.append(600123, [RECORD], [item(1)], NOW + number)
        assert [entry.outbox for entry in journal.entries()] == [()] * (number - 1) + [(item(1),)]
        journal.append_removed([b"id-1"], NOW + number)
        assert [entry.outbox for entry in journal.entries()] == [()] * number


@given(cut=st.integers(1, 200), tail=st.binary(max_size=20))
def test_a_torn_end_costs_the_torn_entry_only(tmp_path_factory: pytest.TempPathFactory, cut: int, tail: bytes) -> None:
    """Cut anywhere in the last entry, with whatever a power cut leaves there: the first entry is whole, the torn one
    is gone or whole, and what is appended afterwards is found."""
    directory = tmp_path_factory.mktemp("journal")
    journal = RefusalJournal(directory, keep_days=90)
    journal.append(1, [RECORD], [], NOW)
    first_bytes = (directory / FILE_NAME).stat().st_size
    journal.append(2, [RECORD], [item(1)], NOW)
    content = (directory / FILE_NAME).read_bytes()
    (directory / FILE_NAME).write_bytes(content[: max(first_bytes, len(content) - cut)] + tail)
    journal.append(3, [RECORD], [], NOW)
    brands = [entry.brand for entry in journal.entries()]
    assert brands in ([1, 3], [1, 2, 3])


def test_appending_from_many_threads_tears_nothing(tmp_path: Path) -> None:
    """Workers share the file."""

    def append(brand: int) -> None:
        RefusalJournal(tmp_path, keep_days=90).append(brand, [RECORD] * 20, [item(5)], NOW)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(append, range(1, 81)))
    entries = RefusalJournal(tmp_path, keep_days=90).entries()
    assert sorted(entry.brand for entry in entries) == list(range(1, 81))
    assert {entry.records for entry in entries} == {(RECORD,) * 20}


def test_only_old_entries_of_a_large_journal_are_forgotten(tmp_path: Path) -> None:
    """Compaction keeps what the registry may not know yet."""
    journal = RefusalJournal(tmp_path, keep_days=90)
    journal.append(1, [RECORD] * 40_000, [], NOW - 91 * 86400)
    journal.append(2, [RECORD], [item(1)], NOW - 89 * 86400)
    journal.compact(NOW)
    assert [entry.brand for entry in journal.entries()] == [2]
    journal.append(3, [RECORD], [], NOW)
    journal.compact(NOW + 365 * 86400)
    assert [entry.brand for entry in journal.entries()] == [2, 3], "a small journal is left alone"


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    """The error names the file."""
    journal = RefusalJournal(tmp_path / "missing", keep_days=90)
    with pytest.raises(StoreError, match=FILE_NAME):
        journal.append(1, [RECORD], [], NOW)


def test_no_address_is_in_it(tmp_path: Path) -> None:
    """The journal holds hashed keys and sealed reports only, and is its owner's alone."""
    RefusalJournal(tmp_path, keep_days=90).append(1, [RECORD], [item(2)], NOW)
    assert b"@" not in (tmp_path / FILE_NAME).read_bytes()
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0
