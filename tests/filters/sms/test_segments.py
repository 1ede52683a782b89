"""Segments are counted exactly: the reference's tables, and a second implementation that builds each of them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.sms.alphabet import Encoding, find_characters, measure_text
from filters.sms.segments import count_segments, find_capacity, pack_units
from tests.support import sms_counting

CAPACITIES = [
    # content rules C1: alone, each of several with an 8-bit reference, with a 16-bit reference
    (Encoding.GSM7, 160, 153, 152),
    (Encoding.TURKISH_SINGLE, 155, 149, 148),
    (Encoding.TURKISH_LOCKING, 155, 149, 148),
    (Encoding.TURKISH_BOTH, 152, 146, 145),
    (Encoding.UCS2, 70, 67, 66),
]

USABLE = [
    # content rules C1: parts, then the longest text with the operator's code
    (1, 155, 150, 65),
    (2, 301, 293, 129),
    (3, 454, 442, 196),
    (4, 607, 591, 263),
]

VERIMOR = {
    # sms-dialects 12: as the provider bills, without the operator's code
    Encoding.GSM7: (160, 306, 459, 612, 765, 918, 1071),
    Encoding.TURKISH_LOCKING: (155, 298, 447, 596, 745, 894, 1043),
    Encoding.UCS2: (70, 134, 201, 268, 335, 402, 469),
}

PITFALLS = [
    # text, encoding, segments, why
    ("", Encoding.GSM7, 1, "an empty text is a message"),
    ("a" * 159 + "€", Encoding.GSM7, 2, "161 septets, not 160 characters"),
    ("a" * 158 + "€", Encoding.GSM7, 1, "exactly full"),
    ("a" * 152 + "€" + "a" * 152, Encoding.GSM7, 3, "the pair moves on and pushes one septet out"),
    ("a" * 151 + "€" + "a" * 153, Encoding.GSM7, 2, "the pair just fits"),
    ("€" * 153, Encoding.GSM7, 3, "76 pairs to a segment, not 76.5"),
    ("😀" * 35, Encoding.UCS2, 1, "two units each"),
    ("a" * 66 + "😀" + "a" * 66, Encoding.UCS2, 3, "a surrogate pair is not split either"),
    ("😀" * 67, Encoding.UCS2, 3, "33 of them to a segment"),
    ("ş" * 77 + "a", Encoding.TURKISH_SINGLE, 1, "155 septets"),
    ("ş" * 78, Encoding.TURKISH_SINGLE, 2, "156 septets"),
    ("ş" * 155, Encoding.TURKISH_LOCKING, 1, "one septet each"),
    ("\r\n" * 80, Encoding.GSM7, 1, "both count"),
]


@pytest.mark.parametrize(("encoding", "single", "each", "each_16"), CAPACITIES)
def test_capacities_are_those_of_the_reference(encoding: Encoding, single: int, each: int, each_16: int) -> None:
    """What is left of 140 octets beside the headers."""
    assert find_capacity(encoding) == (single, each)
    assert find_capacity(encoding, 16) == (single, each_16)


@pytest.mark.parametrize(("segments", "plain", "turkish", "unicode"), USABLE)
def test_usable_lengths_leave_room_for_the_operators_code(
    segments: int, plain: int, turkish: int, unicode: int
) -> None:
    """Five characters behind the text, once a message; one more character takes one more segment."""
    for encoding, length in ((Encoding.GSM7, plain), (Encoding.TURKISH_SINGLE, turkish), (Encoding.UCS2, unicode)):
        assert count_segments("a" * length, encoding, code_length=5) == segments
        assert count_segments("a" * (length + 1), encoding, code_length=5) == segments + 1


@pytest.mark.parametrize(("encoding", "lengths"), VERIMOR.items())
def test_billing_tables_of_a_provider_are_met(encoding: Encoding, lengths: tuple[int, ...]) -> None:
    """The last character of each step and the first beyond it."""
    for segments, length in enumerate(lengths, start=1):
        assert count_segments("a" * length, encoding) == segments
        assert count_segments("a" * (length + 1), encoding) == segments + 1


@pytest.mark.parametrize(("text", "encoding", "segments", "why"), PITFALLS)
def test_pitfalls(text: str, encoding: Encoding, segments: int, why: str) -> None:
    """Where calculators are known to go wrong (C1)."""
    assert count_segments(text, encoding) == segments, why
    assert sms_counting.count(text, encoding.value) == segments, why


def texts(encoding: Encoding) -> st.SearchStrategy[str]:
    """Texts of up to about eight segments with many pairs, some of them exactly at the ends of segments."""
    held = find_characters(encoding)
    pairs = [c for c in sorted(held) if sms_counting.bits_of(c, encoding.value) == 14] if held else ["😀", "𝔸"]
    runs = st.tuples(st.sampled_from("aÖ\n"), st.integers(0, 160)).map(lambda run: run[0] * run[1])
    doubles = st.tuples(st.sampled_from(pairs), st.integers(1, 90)).map(lambda run: run[0] * run[1])
    free = st.text(st.sampled_from(sorted(held)) if held else st.characters(exclude_categories=["Cs"]))
    return st.lists(runs | doubles | free, max_size=8).map("".join)


@given(st.data(), st.sampled_from(Encoding), st.sampled_from((8, 16)), st.sampled_from(("", "B001", " B001")))
def test_counts_equal_those_of_a_second_implementation(
    data: st.DataObject, encoding: Encoding, reference_bits: int, code: str
) -> None:
    """For any text in any encoding, with and without an operator's code."""
    text = data.draw(texts(encoding))
    ours = count_segments(text, encoding, reference_bits=reference_bits, code_length=len(code))
    assert ours == sms_counting.count(text, encoding.value, reference_bits=reference_bits, code=code)


@given(st.data(), st.sampled_from(Encoding), st.integers(0, 400))
def test_room_is_the_most_that_can_still_be_appended(data: st.DataObject, encoding: Encoding, more: int) -> None:
    """``find_room`` and ``count`` agree on both sides of the edge, also behind pairs that left a septet unused."""
    text = data.draw(texts(encoding))
    units = measure_text(text, encoding)
    assert units is not None
    packing = pack_units(units, encoding, find_capacity(encoding))
    segments = packing.count(more)
    assert segments == sms_counting.count(text, encoding.value, code="a" * more)
    room = packing.find_room(segments)
    assert packing.count(room) == segments
    assert packing.count(room + 1) == segments + 1


def test_a_pair_at_the_seam_is_seen_in_a_text_that_is_short_by_itself() -> None:
    """157 septets are one segment; with more behind them the pair at 153 moves on, and a septet is lost."""
    units = measure_text("a" * 152 + "€" + "aaa", Encoding.GSM7)
    assert units is not None
    packing = pack_units(units, Encoding.GSM7, find_capacity(Encoding.GSM7))
    assert (packing.count(), packing.count(148), packing.count(149)) == (1, 2, 3)


@pytest.mark.parametrize(
    ("character", "encoding", "segments"),
    [
        ("a", Encoding.GSM7, 6536),
        ("€", Encoding.GSM7, 13158),
        ("ş", Encoding.TURKISH_SINGLE, 13514),
        ("😀", Encoding.UCS2, 30304),
    ],
)
def test_a_million_characters_are_counted_in_a_moment(character: str, encoding: Encoding, segments: int) -> None:
    """A hostile text costs no more than reading it a few times over: well under a second."""
    text = character * 1_000_000
    begin = time.process_time()
    assert count_segments(text, encoding) == segments
    assert time.process_time() - begin < 1


def test_what_an_encoding_lacks_is_not_counted() -> None:
    """A count of a text that cannot be sent would be a lie."""
    with pytest.raises(ValueError, match="gsm7"):
        count_segments("ş", Encoding.GSM7)
