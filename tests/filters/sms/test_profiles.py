"""Each provider's way with a text: which encoding it gets, and how far it goes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.sms.alphabet import Encoding, fold_letters
from filters.sms.message import Alphabet
from filters.sms.profiles import PROFILES, find_profile
from tests.support import sms_counting

PLAIN, TURKISH, EMOJI = "Bugun indirim var", "Bugün şeker ığdır çay", "Bugün 🎉"

CHOICES = [
    # profile, what the sender asked for, text, encoding
    ("netgsm", Alphabet.AUTO, PLAIN, Encoding.GSM7),
    ("netgsm", Alphabet.AUTO, TURKISH, Encoding.GSM7),  # folded
    ("netgsm", Alphabet.AUTO, EMOJI, Encoding.UCS2),
    ("netgsm", Alphabet.TURKISH, PLAIN, Encoding.TURKISH_SINGLE),
    ("netgsm", Alphabet.TURKISH, TURKISH, Encoding.TURKISH_SINGLE),
    ("netgsm", Alphabet.TURKISH, EMOJI, Encoding.UCS2),
    ("netgsm", Alphabet.UNICODE, TURKISH, Encoding.GSM7),  # it has no such choice
    ("iletimerkezi", Alphabet.AUTO, PLAIN, Encoding.GSM7),
    ("iletimerkezi", Alphabet.AUTO, TURKISH, Encoding.TURKISH_SINGLE),
    ("iletimerkezi", Alphabet.AUTO, EMOJI, Encoding.UCS2),
    ("verimor", Alphabet.DEFAULT, TURKISH, Encoding.GSM7),
    ("verimor", Alphabet.TURKISH, TURKISH, Encoding.TURKISH_LOCKING),
    ("verimor", Alphabet.UNICODE, PLAIN, Encoding.UCS2),
    ("jetsms", Alphabet.AUTO, TURKISH, Encoding.TURKISH_SINGLE),
    ("jetsms", Alphabet.DEFAULT, TURKISH, Encoding.GSM7),
    ("mutlucell", Alphabet.TURKISH, TURKISH, Encoding.TURKISH_SINGLE),
    ("mutlucell", Alphabet.UNICODE, PLAIN, Encoding.UCS2),
    ("vatansms", Alphabet.AUTO, TURKISH, Encoding.GSM7),
    ("turkcell", Alphabet.AUTO, TURKISH, Encoding.TURKISH_SINGLE),
    ("infobip", Alphabet.AUTO, TURKISH, Encoding.UCS2),
    ("infobip", Alphabet.DEFAULT, TURKISH, Encoding.GSM7),
    ("twilio", Alphabet.AUTO, "Größe ü ö", Encoding.GSM7),
    ("twilio", Alphabet.AUTO, TURKISH, Encoding.UCS2),
    ("vonage", Alphabet.AUTO, PLAIN, Encoding.GSM7),
    ("vonage", Alphabet.UNICODE, PLAIN, Encoding.UCS2),
    ("plain", Alphabet.AUTO, TURKISH, Encoding.TURKISH_SINGLE),
    ("smpp", Alphabet.UNICODE, PLAIN, Encoding.UCS2),
    ("smpp", Alphabet.AUTO, TURKISH, Encoding.UCS2),
]

ONE_SEGMENT = [
    # profile, alphabet, letter, the longest text of one segment with the operator's code (sms-dialects 4.2, 12)
    ("iletimerkezi", Alphabet.AUTO, "a", 155),
    ("verimor", Alphabet.DEFAULT, "a", 155),
    ("verimor", Alphabet.TURKISH, "ş", 150),
    ("verimor", Alphabet.UNICODE, "ş", 65),
    ("netgsm", Alphabet.TURKISH, "ş", 75),
    ("netgsm", Alphabet.AUTO, "ş", 155),
    ("netgsm", Alphabet.AUTO, "₺", 77),  # TL
    ("twilio", Alphabet.AUTO, "ş", 65),
]


@pytest.mark.parametrize(("name", "alphabet", "text", "encoding"), CHOICES)
def test_the_encoding_of_a_text(name: str, alphabet: Alphabet, text: str, encoding: Encoding) -> None:
    """By the profile, by what the sender asked for, and by what the text holds."""
    packed = find_profile(name).pack(text, alphabet)
    assert packed is not None
    assert packed[0] is encoding


@pytest.mark.parametrize(("name", "alphabet", "letter", "length"), ONE_SEGMENT)
def test_one_segment_is_as_long_as_the_provider_says(name: str, alphabet: Alphabet, letter: str, length: int) -> None:
    """155 plain, 150 Turkish, 65 Unicode: the operator's code is in the count."""
    profile = find_profile(name)
    assert profile.count_segments(letter * length, alphabet) == 1
    assert profile.count_segments(letter * (length + 1), alphabet) == 2


def test_a_route_without_an_operators_code_has_its_room() -> None:
    """Five characters more."""
    assert find_profile("plain", code_length=0).count_segments("a" * 160) == 1


def test_there_is_a_profile_for_each_dialect() -> None:
    """A name that is none is refused with all that are."""
    expected = "infobip iletimerkezi jetsms mutlucell netgsm plain smpp turkcell twilio vatansms verimor vonage"
    assert sorted(PROFILES) == sorted(expected.split())
    with pytest.raises(ValueError, match="netgsm"):
        find_profile("Netgsm")


@given(
    st.sampled_from(sorted(PROFILES)),
    st.sampled_from(Alphabet),
    st.text(st.sampled_from("ab şığçİ€{ö…₺😀\n") | st.characters(exclude_categories=["Cs"]), max_size=400),
)
def test_every_text_has_an_encoding_that_can_hold_it(name: str, alphabet: Alphabet, text: str) -> None:
    """As it is, or folded; and the count is that of the second implementation in that encoding."""
    profile = find_profile(name)
    packed = profile.pack(text, alphabet)
    assert packed is not None
    encoding = packed[0].value
    sent = text if sms_counting.can_hold(text, encoding) else fold_letters(text)
    counts = {
        sms_counting.count(form, encoding, reference_bits=profile.reference_bits, code=" B001")
        for form in (sent, fold_letters(text))
        if sms_counting.can_hold(form, encoding)
    }
    assert profile.count_segments(text, alphabet) in counts


def test_half_a_surrogate_pair_has_no_encoding() -> None:
    """It is no character, and nobody can say what would be sent."""
    assert find_profile("twilio").count_segments("\udc00") is None


WORDS = {
    Encoding.GSM7: "GSM-7",
    Encoding.TURKISH_SINGLE: "Turkish single shift",
    Encoding.TURKISH_LOCKING: "Turkish locking shift",
    Encoding.UCS2: "UCS-2",
}


def describe(name: str) -> str:
    """A profile as a row of the table in ``docs/sms-text.md``."""
    profile = PROFILES[name]
    cells = [name]
    for alphabet in Alphabet:
        mode = profile.modes.get(alphabet)
        encodings = " or ".join(WORDS[encoding] for encoding in mode.encodings) if mode else "–"
        cells.append(f"{encodings}, folded" if mode and mode.is_folded else encodings)
    return f"| {' | '.join((*cells, str(profile.max_segments), str(profile.max_characters or '–')))} |"


def test_the_page_shows_the_profiles_as_they_are() -> None:
    """An operator reads in ``docs/sms-text.md`` what is counted here."""
    page = (Path(__file__).parents[3] / "docs" / "sms-text.md").read_text(encoding="utf-8")
    for name in PROFILES:
        assert describe(name) in page.splitlines()
