"""The alphabets are those of 3GPP TS 23.038: what each holds, at what cost, under which code."""

from __future__ import annotations

import sys

import gsm0338
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.sms.alphabet import (
    ASCII_ONE_UNIT,
    Encoding,
    decode_text,
    encode_text,
    find_characters,
    find_costs,
    fold_letters,
    measure_folded,
    measure_text,
)
from tests.support import sms_counting

SEVEN_BIT = [encoding for encoding in Encoding if encoding is not Encoding.UCS2]
EVERY_CHARACTER = [chr(code) for code in range(0x10000) if not 0xD800 <= code < 0xE000]

TURKISH_CODES = [
    # letter, behind the escape in the single shift table, in the locking table (TS 23.038, A.2.1 and A.3.1)
    ("Ğ", 0x47, 0x0B),
    ("ğ", 0x67, 0x0C),
    ("İ", 0x49, 0x40),
    ("ı", 0x69, 0x07),
    ("Ş", 0x53, 0x1C),
    ("ş", 0x73, 0x1D),
    ("ç", 0x63, 0x60),
    ("€", 0x65, 0x04),
]


@pytest.mark.parametrize("encoding", Encoding)
def test_every_character_costs_what_a_second_implementation_says(encoding: Encoding) -> None:
    """All of the basic plane, one by one: held or not, and in how many units."""
    width = 16 if encoding is Encoding.UCS2 else 7
    wrong = []
    for character in EVERY_CHARACTER:
        units = measure_text(character, encoding)
        bits = sms_counting.bits_of(character, encoding.value)
        if (units.total * width if units else None) != bits:
            wrong.append(character)
    assert wrong == []


def test_the_default_alphabet_is_that_of_a_published_codec() -> None:
    """Codes and text agree with the package gsm0338 for each character that either knows."""
    codec = gsm0338.Codec()
    for character in EVERY_CHARACTER:
        try:
            theirs = codec.encode(character)[0]
        except UnicodeEncodeError:
            theirs = None
        if character == "\x1b":
            theirs = None  # the escape is no character of a text
        ours = encode_text(character, Encoding.GSM7) if measure_text(character, Encoding.GSM7) else None
        assert ours == theirs, hex(ord(character))


@pytest.mark.parametrize(("letter", "shifted", "locked"), TURKISH_CODES)
def test_turkish_letters_have_the_codes_of_the_national_tables(letter: str, shifted: int, locked: int) -> None:
    """Two septets behind an escape, or one septet in place of a letter that Turkish does not need."""
    assert encode_text(letter, Encoding.TURKISH_SINGLE) == bytes((0x1B, shifted))
    assert encode_text(letter, Encoding.TURKISH_LOCKING) == bytes((locked,))
    assert encode_text(letter, Encoding.TURKISH_BOTH) == bytes((locked,))


def test_the_locking_table_gives_up_eight_characters() -> None:
    """è ì Ø ø Æ æ ¡ ¿ are gone once it is in force."""
    lost = (find_characters(Encoding.GSM7) or set()) - (find_characters(Encoding.TURKISH_LOCKING) or set())
    assert lost == set("èìØøÆæ¡¿")


@pytest.mark.parametrize("character", [*"₺“”‘’–—…`\u00a0\u200b\u200d🎉\x00\x1b\t\x7f\ufffe"])
def test_what_looks_harmless_and_is_in_no_seven_bit_alphabet(character: str) -> None:
    """One of these turns the whole text into UCS-2 (C1)."""
    assert list(find_costs(f"abc{character}")) == [Encoding.UCS2]


def test_ascii_of_a_suffix_costs_one_unit_everywhere() -> None:
    """Printable ASCII without the nine characters that are escaped or missing."""
    assert set(map(chr, range(32, 127))) - ASCII_ONE_UNIT == set("^{}\\[~]|`")


def test_half_a_surrogate_pair_is_no_text() -> None:
    """It has no cost in any encoding, UCS-2 included."""
    assert find_costs("abc\ud83d") == {}
    with pytest.raises(ValueError):
        encode_text("\ud83d", Encoding.UCS2)


def test_a_character_that_the_encoding_lacks_is_not_written() -> None:
    """There is no question mark in its place."""
    with pytest.raises(ValueError, match="gsm7"):
        encode_text("ş", Encoding.GSM7)


@pytest.mark.parametrize("encoding", SEVEN_BIT)
def test_codes_that_a_phone_shows_otherwise_are_read_so(encoding: Encoding) -> None:
    """An escape before a code the shift table lacks shows the code of the locking table; octets above 0x7F are none."""
    assert decode_text(b"\x1bA", encoding) == "A"
    assert decode_text(b"abc\x1b", encoding) == "abc"
    with pytest.raises(ValueError, match="septets"):
        decode_text(b"\x80", encoding)


@given(st.data())
def test_what_is_written_is_read_again(data: st.DataObject) -> None:
    """Encode and decode are inverse in every encoding, and as long as was measured."""
    encoding = data.draw(st.sampled_from(Encoding))
    held = find_characters(encoding)
    letters = st.sampled_from(sorted(held)) if held else st.characters(exclude_categories=["Cs"])
    text = data.draw(st.text(letters))
    units = measure_text(text, encoding)
    assert units is not None
    octets = encode_text(text, encoding)
    assert decode_text(octets, encoding) == text
    assert units.total == (len(octets) if held else len(octets) // 2)


@given(st.text(st.sampled_from("abc ğşçıİŞĞÇöü’“”–…₺\u00a0é€{}^") | st.characters(exclude_categories=["Cs"])))
def test_folding_is_counted_without_doing_it(text: str) -> None:
    """The cost of a text that the provider folds is the cost of the folded text."""
    folded = fold_letters(text)
    quick, slow = measure_folded(text), measure_text(folded, Encoding.GSM7)
    assert (quick and (quick.total, quick.pairs)) == (slow and (slow.total, slow.pairs))


def test_decomposed_letters_fold_like_composed_ones() -> None:
    """s with cedilla, i with dot: two characters that are one letter (C2)."""
    assert fold_letters("s\u0327is\u0327e I\u0307c\u0327") == "sise Ic"


def test_the_tables_hold_128_codes_each() -> None:
    """127 characters and the escape; ten or eighteen behind it."""
    sizes = {encoding: len(find_characters(encoding) or ()) for encoding in SEVEN_BIT}
    assert sizes == {
        Encoding.GSM7: 127 + 10,
        Encoding.TURKISH_SINGLE: 127 + 17,
        Encoding.TURKISH_LOCKING: 127 + 9,
        Encoding.TURKISH_BOTH: 127 + 9,
    }
    assert find_characters(Encoding.UCS2) is None
    assert measure_text(chr(sys.maxunicode), Encoding.UCS2) == (2, 1, b"\xdb\xff\xdf\xff")
