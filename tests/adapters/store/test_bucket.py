"""The layout of Redis's values, read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.store.bucket import bucket_of, find_in_bucket


def build(members: dict[bytes, bytes]) -> bytes:
    """A bucket as the layout is described; suffix to packed consents."""
    return b"".join(
        (
            len(members).to_bytes(2, "big"),
            *members,
            bytes(len(value) // 6 for value in members.values()),
            *members.values(),
        )
    )


suffixes = st.binary(min_size=8, max_size=8)
values = st.integers(1, 6).flatmap(lambda slots: st.binary(min_size=6 * slots, max_size=6 * slots))


@given(st.dictionaries(suffixes, values, min_size=1, max_size=40), suffixes)
def test_each_member_is_found_and_nobody_else(members: dict[bytes, bytes], other: bytes) -> None:
    """By its whole suffix."""
    bucket = build(members)
    for suffix, value in members.items():
        assert find_in_bucket(bucket, b"xx" + suffix) == value
    if other not in members:
        assert find_in_bucket(bucket, b"xx" + other) is None


@given(st.lists(suffixes, min_size=2, max_size=30, unique=True), st.data())
def test_bytes_across_two_members_are_nobody(members: list[bytes], data: st.DataObject) -> None:
    """A key whose bytes stand in the bucket, but across two neighbours, has no record."""
    bucket = build(dict.fromkeys(members, b"\0\0\0\0\0\1"))
    joined = b"".join(members)
    at = data.draw(st.integers(1, len(joined) - 8))
    across = joined[at : at + 8]
    if across not in members:
        assert find_in_bucket(bucket, b"xx" + across) is None


@pytest.mark.parametrize("wrong", [b"", b"\0", b"\0\0", b"\0\1", b"\xff\xff", b"something else entirely", b"\0" * 64])
def test_what_is_no_bucket_is_not_a_bucket_without_the_key(wrong: bytes) -> None:
    """Else a damaged store would answer "no record"."""
    with pytest.raises(ValueError):
        find_in_bucket(wrong, b"k" * 10)


@given(st.dictionaries(suffixes, values, min_size=1, max_size=10), st.data())
def test_a_bucket_cut_short_raises(members: dict[bytes, bytes], data: st.DataObject) -> None:
    """At any byte, for any key."""
    bucket = build(members)
    key = b"xx" + data.draw(st.sampled_from(sorted(members)))
    with pytest.raises(ValueError):
        find_in_bucket(bucket[: data.draw(st.integers(0, len(bucket) - 1))], key)


@given(st.binary(min_size=10, max_size=10))
def test_a_bucket_is_named_by_eighteen_bits(key: bytes) -> None:
    """The first two bytes and two bits of the third; the last eight bytes are the suffix."""
    name = bucket_of(key)
    assert name[:2] == key[:2]
    assert name[2] == key[2] & 0b1100_0000
