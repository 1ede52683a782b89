"""A person who plainly refuses is understood, however the word is typed; other talk is left alone."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.brand import Brand
from filters.sms.keyword import BrandKeyword, KeywordBook, Meaning, Reading
from filters.sms.wording import make_opt_out_words

BOOK = KeywordBook(
    [
        BrandKeyword(1, "RET ORNEK", "3338", ("Örnek Mağaza",)),
        BrandKeyword(2, "RET BASKA", "3338"),
        BrandKeyword(3, "RET ORNEK PLUS", "3338"),
        BrandKeyword(4, "H", "4944"),
        BrandKeyword(5, "KOD", "4607"),
        BrandKeyword(6, "İPTAL ŞEKER", "+908501234567"),
    ]
)
AT_3338 = (1, 2, 3)


def unescape(text: str) -> str:
    text = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)
    return text.replace("\\n", "\n").replace("\\t", "\t")


def load_cases() -> list[tuple[str, str, str]]:
    """Number, text and reading of each line of ``inbound.txt``."""
    lines = (Path(__file__).parent / "inbound.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line and not line.startswith("#")]
    return [(number.strip(), unescape(text), reading) for number, text, reading in rows]


CASES = load_cases()


@pytest.mark.parametrize(("number", "text", "reading"), CASES)
def test_what_a_text_says(number: str, text: str, reading: str) -> None:
    """Each line of ``inbound.txt``: refusal and whose, unclear, or other talk."""
    meaning, *brands = reading.split()
    result = BOOK.read(text, number)
    assert result.meaning == meaning
    if brands == ["all"]:
        assert result == Reading(Meaning.REFUSAL, AT_3338, is_named=False)
    else:
        assert result.brands == tuple(map(int, brands))


def test_the_table_is_long_enough_to_mean_something() -> None:
    """At least 120 lines, and each kind of reading among them."""
    assert len(CASES) >= 120
    assert {reading.split()[0] for *_, reading in CASES} == set(Meaning)


def test_no_reading_means_consent() -> None:
    """There is no word for it: consent by SMS is given elsewhere and proven there."""
    assert set(Meaning) == {"refusal", "unclear", "other"}


@pytest.mark.parametrize("language", ["tr", "en"])
@pytest.mark.parametrize(
    ("keyword", "number"), [("RET ORNEK", "3338"), ("H", "4944"), ("KOD", "4607"), ("ŞEKER IPTAL", "4609")]
)
def test_what_our_own_suffix_asks_for_is_understood(keyword: str, number: str, language: str) -> None:
    """The keyword as our suffix writes it, as configured, in small letters, and in quotes."""
    book = KeywordBook([BrandKeyword(7, keyword, number), BrandKeyword(8, "RET BASKA", number)])
    words = make_opt_out_words(Brand(7, 7, "Örnek"), keyword, number, language=language)
    written = words.forms[-1].partition(":")[2].partition(">")[0]
    for text in (keyword, written, written.lower(), f'"{written}"', f"{written}.", f"{written} lutfen"):
        assert book.read(text, number) == Reading(Meaning.REFUSAL, (7,), is_named=True)


def test_brands_that_share_one_keyword_are_both_refused() -> None:
    """Nobody can tell which was meant, and a refusal wins."""
    book = KeywordBook([BrandKeyword(1, "RET", "3338"), BrandKeyword(2, "RET", "3338")])
    assert book.read("ret", "3338").brands == (1, 2)


def test_the_registrys_brand_code_names_the_brand() -> None:
    """RET and brand code is what the registry's own number takes."""
    book = KeywordBook([BrandKeyword(600123, "RET ORNEK", "3338"), BrandKeyword(600124, "RET BASKA", "3338")])
    assert book.read("RET 600124", "3338") == Reading(Meaning.REFUSAL, (600124,), is_named=True)


@pytest.mark.parametrize(("keyword", "number"), [("", "3338"), ("!?", "3338"), ("RET", ""), ("RET", "+")])
def test_what_nobody_could_send_is_no_keyword(keyword: str, number: str) -> None:
    """Refused when the book is made."""
    with pytest.raises(ValueError, match=r"keyword|number"):
        KeywordBook([BrandKeyword(1, keyword, number)])


DECORATION = st.text(st.sampled_from(" .!,\n\"'*<>()“”-\u200b🛑"), max_size=4)
REFUSALS = st.sampled_from(["RET ORNEK", "ORNEK RET", "IPTAL ORNEK", "RED ORNEK", "STOP ORNEK", "RET ORNEK LUTFEN"])
TURKISH = str.maketrans({"I": "İ", "O": "Ö", "S": "Ş", "U": "Ü", "C": "Ç", "G": "Ğ"})


@given(REFUSALS, st.booleans(), st.sampled_from((str, str.lower, str.title, str.swapcase)), DECORATION, DECORATION)
def test_typing_does_not_matter(text: str, is_turkish: bool, typed: object, before: str, after: str) -> None:
    """Case, Turkish letters, and signs around it."""
    written = typed(text.translate(TURKISH) if is_turkish else text)
    assert BOOK.read(before + written + after, "3338") == Reading(Meaning.REFUSAL, (1,), is_named=True)


KNOWN_WORDS = """ret iptal red stop lutfen sms mesaj istiyorum istemiyorum ornek baska hayir h onay evet degil
etmeyin yarin siparisim kod 3338 ? . , ! - et edin bir daha"""
WORDS = st.sampled_from([*KNOWN_WORDS.split(), "\n"])


@given(st.lists(WORDS, max_size=9).map(" ".join), st.sampled_from(["yarin", "siparisim", "onay", "degil", "etmeyin"]))
def test_one_unknown_word_in_a_single_sentence_is_enough(text: str, unknown: str) -> None:
    """Then it is for a person to read, or nobody's business; never a refusal."""
    sentence = re.sub(r"[?.,!\n]|-", " ", text)
    assert BOOK.read(f"{sentence} {unknown}", "3338").meaning is not Meaning.REFUSAL
    assert BOOK.read(f"{unknown} {text}", "3338").meaning is not Meaning.REFUSAL


@given(st.text(max_size=300), st.text(max_size=20))
def test_any_text_is_read(text: str, number: str) -> None:
    """Whatever arrives has a reading, and brands only where it is a refusal."""
    reading = BOOK.read(text, number)
    assert reading.meaning is Meaning.REFUSAL or reading.brands == ()


@pytest.mark.parametrize(
    "text", ["ret " * 250_000, "r." * 500_000, "\ufdfa" * 100_000, "'" * 1_000_000, "a" * 1_000_000]
)
def test_hostile_texts_are_read_in_a_moment(text: str) -> None:
    """However long; only the beginning counts."""
    begin = time.process_time()
    BOOK.read(text, "3338")
    assert time.process_time() - begin < 0.5


def test_many_brands_at_one_number_do_not_slow_a_reading() -> None:
    """The registry's number is shared by all of them."""
    book = KeywordBook([BrandKeyword(n, f"RET MARKA{n}", "3338") for n in range(5000)])
    begin = time.process_time()
    assert book.read("retmarka4999", "3338").brands == (4999,)
    assert book.read("bilinmeyen " * 20, "3338").meaning is Meaning.OTHER
    assert time.process_time() - begin < 0.5
