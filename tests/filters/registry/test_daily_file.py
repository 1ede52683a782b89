"""The daily file: what we write is what the registry writes, and any cut into blocks reads the same."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.registry import words
from filters.registry.daily_file import HEADER, DailyFileHash, DailyFileReader, render_file
from filters.registry.reading import UnreadableError
from filters.registry.values import ConsentSubject, Movement
from filters.vocabulary import Channel, RecipientType, Status

MOVEMENTS = st.lists(
    st.builds(
        Movement,
        st.builds(
            ConsentSubject,
            st.from_regex(r"[a-z]{1,8}@shop\.example|\+9055500000[0-9]{2}", fullmatch=True),
            st.sampled_from(Channel),
            st.sampled_from(RecipientType),
        ),
        st.sampled_from(Status),
        st.sampled_from(["HS_WEB", "IYS_WEB"]),
        st.none() | st.integers(words.FIRST_CONSENT_AT, words.LATEST_AT),
        st.integers(words.FIRST_CONSENT_AT, words.LATEST_AT),
        st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    ),
    max_size=8,
)


@given(MOVEMENTS, st.integers(1, 300))
def test_a_file_written_is_read_back_whatever_the_blocks(movements: list[Movement], block_bytes: int) -> None:
    """Sorted by creation and transaction, and the same movements."""
    file = b"".join(render_file(movements))
    reader = DailyFileReader()
    found = [
        movement for at in range(0, len(file), block_bytes) for movement in reader.feed(file[at : at + block_bytes])
    ]
    found += reader.finish()
    assert found == sorted(movements, key=lambda each: (each.created_at or 0, each.transaction_id))
    assert reader.unread == []


def test_the_file_has_the_registrys_bytes() -> None:
    """Header, commas, LF after each line, an empty date where there is none."""
    movement = Movement(
        ConsentSubject("a@shop.example", Channel.EMAIL, RecipientType.BUSINESS),
        Status.REJECTED,
        "IYS_AHS_HAT_KAPATMA",
        None,
        1782896400,
        "ab" * 32,
    )
    assert b"".join(render_file([movement])) == (
        b"creationDate,transactionId,recipient,recipientType,type,status,consentDate,source\n"
        b"2026-07-01 12:00:00," + b"ab" * 32 + b",a@shop.example,TACIR,EPOSTA,RET,,IYS_AHS_HAT_KAPATMA\n"
    )


def test_the_hash_is_over_the_whole_file_by_the_method_named() -> None:
    """SHA-384 today, SHA-256 in older answers, in either spelling."""
    for method, expected in (("SHA-384", hashlib.sha384), ("SHA384", hashlib.sha384), ("sha256", hashlib.sha256)):
        hashed = DailyFileHash(method)
        hashed.feed(b"ab")
        hashed.feed(b"c")
        assert hashed.is_equal(expected(b"abc").hexdigest().upper())
        assert not hashed.is_equal(expected(b"abd").hexdigest())
    with pytest.raises(ValueError):
        DailyFileHash("MD5")


def test_a_line_that_cannot_be_read_is_counted_and_the_rest_goes_on() -> None:
    """None is skipped in silence."""
    good = "2026-07-01 12:00:00,t,a@shop.example,TACIR,EPOSTA,RET,,HS_WEB"
    reader = DailyFileReader()
    found = reader.feed(f"{HEADER}\n{good}\n{good.replace('RET', 'RED')}\nx\n{good}\n".encode())
    assert len(found) == 2
    assert [(entry.place, entry.field) for entry in reader.unread] == [(1, "status"), (2, "recipient")]


def test_columns_are_found_by_name() -> None:
    """Another order, another column, a byte-order mark, CRLF and quotes do no harm."""
    reader = DailyFileReader()
    found = reader.feed(
        b'\xef\xbb\xbftype,new,status,recipient,recipientType\r\nMESAJ,7,"ONAY",+905550000001,BIREYSEL\r\n'
    )
    assert [movement.subject.recipient for movement in found] == ["+905550000001"]


@pytest.mark.parametrize("file", [b"<html>\n", b"", b"x" * 5000])
def test_what_is_no_such_file_is_refused(file: bytes) -> None:
    """A page of HTML, an empty file, a line without end."""
    reader = DailyFileReader()
    with pytest.raises(UnreadableError):
        reader.feed(file) or reader.finish()
