"""The opt-out goes into an SMS whole and last, in the sender's alphabet, and never into an unseen segment."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.brand import Brand
from filters.sms.alphabet import ASCII_ONE_UNIT, Encoding, fold_letters
from filters.sms.message import Alphabet, TextKind
from filters.sms.profiles import PROFILES, Profile, find_profile
from filters.sms.suffix import Suffixed, SuffixPolicy, SuffixProblem, SuffixRefusal, SuffixWriter
from filters.sms.wording import Identity, OptOutWords, make_opt_out_words
from tests.support import sms_counting

BRAND = Brand(600123, 600123, "Örnek Mağaza", title="Örnek Mağaza A.Ş.", mersis="0123456789012345")
TRADER = Brand(600124, 600124, "Usta", trader_name="Şükrü Örnek", trader_id="12345678901")
WORDS = make_opt_out_words(BRAND, "RET ORNEK", "3338")
BARE = make_opt_out_words(BRAND, "RET ORNEK", "3338", identity=Identity.OMITTED)
LONGEST, SHORTEST = WORDS.forms[0], WORDS.forms[-1]

STANDING = [
    "Indirim! RET ORNEK yazip 3338'e gonderin",
    "Indirim! Ret icin 3338'e RET ORNEK yaz.",
    "INDIRIM! RET ORNEK YAZ 3338E GONDER",
    "İndirim! SMS almamak için “ret örnek” yazıp 3338’e gönderin",
    "Indirim! Ret:RET-ORNEK>3338 B001",
    "RET  ORNEK, 3338. Indirim basladi!",
    "Ret Örnek » 33 38",
    "3338 RET_ORNEK",
    "ＲＥＴ ＯＲＮＥＫ 3338",
    "RET ORNE\u0301K yaz 3338'e",
]

NOT_STANDING = [
    "Indirim! RET BASKA yazip 3338'e gonderin",
    "Indirim! RET ORNEK yazip 4607'ye gonderin",
    "Indirim! RET ORNEK yazip 13338'e gonderin",
    "Indirim! RET ORNEK yazip 33380'e gonderin",
    "Indirim! 3338 TL",
    "RET ORNEK",
    "Hazret Ornek 3338",
    "RET ORNEKLER 3338'e",
    "RET yazip 3338'e gonderin",
    "RET ORNEK " + "bugun " * 20 + "3338",
    "ORNEK RET 3338",
]


def write(text: str, profile: str = "netgsm", policy: SuffixPolicy = SuffixPolicy.FIT, **more: Alphabet) -> Suffixed:
    result = SuffixWriter(WORDS, find_profile(profile), policy).write(text, **more)
    assert isinstance(result, Suffixed)
    return result


# -- the words ---------------------------------------------------------------------------------------------------


def test_forms_are_written_out_from_long_to_short() -> None:
    """Each with keyword and number; the identity before the opt-out, which comes last (C2.2)."""
    assert WORDS.forms == (
        " Mersis:0123456789012345 SMS almamak icin RET ORNEK yazip 3338'e gonderin",
        " Mersis:0123456789012345 SMS ret: RET ORNEK yaz 3338'e gonder",
        " Mersis:0123456789012345 Ret: RET ORNEK yaz 3338'e",
        " SMS almamak icin RET ORNEK yazip 3338'e gonderin",
        " Mersis:0123456789012345 Ret:RET ORNEK>3338",
        " SMS ret: RET ORNEK yaz 3338'e gonder",
        " Ret: RET ORNEK yaz 3338'e",
        " Ret:RET ORNEK>3338",
    )
    assert make_opt_out_words(BRAND, "STOP ORNEK", "3338", language="en", identity=Identity.OMITTED).forms == (
        " To stop these SMS, send STOP ORNEK to 3338",
        " Stop SMS: STOP ORNEK to 3338",
        " Stop:STOP ORNEK>3338",
    )


@pytest.mark.parametrize(
    ("number", "called"),
    [
        ("3338", "3338'e"),
        ("4946", "4946'ya"),
        ("3342", "3342'ye"),
        ("4609", "4609'a"),
        ("4607", "4607'ye"),
        ("6770", "6770'e"),
        ("4610", "4610'a"),
        ("4620", "4620'ye"),
        ("4600", "4600'e"),
        ("+908501234561", "+908501234561'e"),
    ],
)
def test_the_number_gets_its_turkish_ending(number: str, called: str) -> None:
    """As it is read aloud."""
    words = make_opt_out_words(BRAND, "RET", number)
    assert words.forms[0].endswith(f" RET yazip {called} gonderin")


def test_a_keyword_with_turkish_letters_is_written_in_ascii() -> None:
    """So that no alphabet changes; inbound matching takes both spellings."""
    assert make_opt_out_words(BRAND, "RET  ŞEKER", "3338").forms[-1] == " Ret:RET SEKER>3338"


def test_a_tradesman_is_named_with_name_and_number() -> None:
    """He has no MERSİS number (Law 6563 7/2)."""
    assert make_opt_out_words(TRADER, "RET USTA", "3338").forms[0].startswith(" Sukru Ornek TC:12345678901 ")


@pytest.mark.parametrize(
    ("keyword", "number"),
    [("", "3338"), ("!!!", "3338"), ("RET {", "3338"), ("RET ж", "3338"), ("RET", "33"), ("RET", "3338 ")],
)
def test_what_no_alphabet_or_network_carries_is_no_opt_out(keyword: str, number: str) -> None:
    """Refused when the configuration is read, not when a message comes."""
    with pytest.raises(ValueError, match=r"keyword|number"):
        make_opt_out_words(BRAND, keyword, number)


def test_identity_always_needs_an_identity() -> None:
    """A brand without one cannot promise it."""
    with pytest.raises(ValueError, match="identity"):
        make_opt_out_words(Brand(1, 1, "Adsiz"), "RET", "3338", identity=Identity.ALWAYS)


def test_identity_always_has_no_form_without_it() -> None:
    """And one that stands in the text already is not written again."""
    words = make_opt_out_words(BRAND, "RET ORNEK", "3338", identity=Identity.ALWAYS)
    assert all("0123456789012345" in form for form in words.forms)
    assert words.find_forms("Mersis 0123 4567 8901 2345 indirim")[0] == BARE.forms[0]
    assert words.find_forms("Mersis 9123456789012345 indirim") == words.forms


# -- choosing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", range(len(WORDS.forms)))
def test_the_longest_form_that_adds_no_segment_is_taken(form: int) -> None:
    """A text that leaves exactly the room of a form gets that form, with one character more the next shorter."""
    room = 155 - len(WORDS.forms[form])
    fitting = write("a" * room)
    assert fitting.suffix == WORDS.forms[form]
    assert fitting.text == "a" * room + WORDS.forms[form]
    assert fitting.segments == (1, 1)
    if form + 1 < len(WORDS.forms):
        assert write("a" * (room + 1)).suffix == WORDS.forms[form + 1]


@pytest.mark.parametrize(
    ("profile", "alphabet", "letter", "usable"),
    [
        ("netgsm", Alphabet.AUTO, "a", 155),
        ("netgsm", Alphabet.AUTO, "ş", 155),
        ("netgsm", Alphabet.TURKISH, "a", 150),
        ("verimor", Alphabet.TURKISH, "ş", 150),
        ("verimor", Alphabet.UNICODE, "ş", 65),
        ("twilio", Alphabet.AUTO, "ş", 65),
        ("iletimerkezi", Alphabet.AUTO, "ş", None),
    ],
)
def test_refused_where_even_the_shortest_adds_a_segment(
    profile: str, alphabet: Alphabet, letter: str, usable: int | None
) -> None:
    """The refusal says how many characters to cut, and cutting so many helps while one fewer does not."""
    room = usable - len(SHORTEST) if usable else (150 - len(SHORTEST)) // 2
    writer = SuffixWriter(WORDS, find_profile(profile))
    result = writer.write(letter * (room + 4), alphabet)
    assert result == SuffixRefusal(SuffixProblem.NO_ROOM, 4)
    assert result.detail == "text: the opt-out does not fit without a further segment; cut 4 characters"
    assert isinstance(writer.write(letter * room, alphabet), Suffixed)
    assert isinstance(writer.write(letter * (room + 1), alphabet), SuffixRefusal)


def test_allow_takes_the_longest_form_of_as_few_segments_as_can_be() -> None:
    """The result says that there is one more."""
    result = write("a" * 150, policy=SuffixPolicy.ALLOW)
    assert result.segments == (1, 2)
    assert result.suffix == LONGEST
    assert write("a" * 100, policy=SuffixPolicy.ALLOW).segments == (1, 1)


def test_refuse_takes_the_full_form_or_none() -> None:
    """Nothing is shortened; the characters to cut make room for the full form."""
    writer = SuffixWriter(WORDS, find_profile("netgsm"), SuffixPolicy.REFUSE)
    room = 155 - len(LONGEST)
    assert isinstance(writer.write("a" * room), Suffixed)
    assert writer.write("a" * (room + 1)) == SuffixRefusal(SuffixProblem.NO_ROOM, 1)


@pytest.mark.parametrize("policy", SuffixPolicy)
def test_what_passes_the_providers_cap_is_refused_as_too_long(policy: SuffixPolicy) -> None:
    """Six segments at Netgsm, 1600 characters at Twilio; before anything goes upstream."""
    full = 6 * 153 - 5
    netgsm = SuffixWriter(BARE, find_profile("netgsm"), policy)
    result = netgsm.write("a" * full)
    assert isinstance(result, SuffixRefusal)
    assert result.problem is SuffixProblem.TOO_LONG
    assert result.cut == len(BARE.forms[0 if policy is SuffixPolicy.REFUSE else -1])
    assert isinstance(netgsm.write("a" * (full - result.cut)), Suffixed)
    result = SuffixWriter(BARE, find_profile("twilio"), policy).write("a" * 1600)
    assert isinstance(result, SuffixRefusal)
    assert result.problem is SuffixProblem.TOO_LONG


@pytest.mark.parametrize("policy", SuffixPolicy)
def test_a_text_that_is_beyond_the_cap_by_itself_is_too_long(policy: SuffixPolicy) -> None:
    """Room in its seventh segment is no room at Netgsm."""
    result = SuffixWriter(BARE, find_profile("netgsm"), policy).write("a" * (6 * 153 + 20))
    assert isinstance(result, SuffixRefusal)
    assert result.problem is SuffixProblem.TOO_LONG


def test_cutting_does_not_help_where_the_opt_out_is_as_long_as_a_segment() -> None:
    """A keyword of 40 letters in UCS-2: then the refusal promises nothing."""
    words = make_opt_out_words(BRAND, "RET " + "ORNEK" * 12, "3338")
    assert SuffixWriter(words, find_profile("twilio")).write("ş" * 60) == SuffixRefusal(SuffixProblem.NO_ROOM, None)


@pytest.mark.parametrize("kind", [kind for kind in TextKind if kind is not TextKind.PLAIN])
def test_otp_binary_and_template_are_never_touched(kind: TextKind) -> None:
    """One that needs an opt-out is refused (C2.9)."""
    result = SuffixWriter(WORDS, find_profile("netgsm")).write("Kod 123456", kind=kind)
    assert result == SuffixRefusal(SuffixProblem.NOT_PLAIN)
    assert result.detail


def test_half_a_surrogate_pair_is_refused() -> None:
    """Nobody can say what a phone would show."""
    writer = SuffixWriter(WORDS, find_profile("twilio"))
    assert writer.write("abc\ud83d") == SuffixRefusal(SuffixProblem.NOT_TEXT)
    assert writer.write("abc\ud83d {{opt_out}}") == SuffixRefusal(SuffixProblem.NOT_TEXT)


@pytest.mark.parametrize("text", ["indirim\0", "şimdi\0 {{opt_out}}", "ad\0 RET ORNEK yaz 3338'e"])
def test_a_zero_is_refused(text: str) -> None:
    """A reader that ends the text there would not show the opt-out behind it."""
    assert SuffixWriter(WORDS, find_profile("smpp")).write(text) == SuffixRefusal(SuffixProblem.NOT_TEXT)


# -- what stands already -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", STANDING)
def test_nothing_is_added_where_the_brands_own_opt_out_stands(text: str) -> None:
    """However it is typed (C2.7)."""
    result = write(text)
    assert result.text == text
    assert result.suffix == ""
    assert result.segments.before == result.segments.after


@pytest.mark.parametrize("text", NOT_STANDING)
def test_another_brands_or_half_an_opt_out_does_not_count(text: str) -> None:
    """Another keyword, another number, a number that is part of a longer one, or the two far apart."""
    result = write(text, policy=SuffixPolicy.ALLOW)
    assert result.text == text + result.suffix
    assert result.suffix in WORDS.forms


def test_a_long_number_is_known_with_and_without_the_countrys_prefix() -> None:
    """As people write it."""
    words = make_opt_out_words(BRAND, "RET", "+908501234567")
    for spelled in ("08501234567", "0850 123 45 67", "+90 850 123 45 67", "8501234567"):
        assert words.is_in(f"Ret icin RET yazip {spelled} gonderin")
    assert not words.is_in("RET yazip 0850 123 45 68'e")


def test_a_placeholder_is_filled_in_its_place_and_nothing_appended() -> None:
    """Counted without the mark before, with the words after."""
    result = write("Ret: {{opt_out}}. Indirim!")
    assert result.text == f"Ret: {LONGEST[1:]}. Indirim!"
    assert result.suffix == LONGEST[1:]
    assert result.segments == (1, 1)
    tight = write("a" * 120 + " {{opt_out}}")
    assert tight.text == "a" * 120 + " Ret: RET ORNEK yaz 3338'e"
    refused = SuffixWriter(WORDS, find_profile("netgsm")).write("a" * 150 + " {{opt_out}}")
    assert refused == SuffixRefusal(SuffixProblem.NO_ROOM, 150 + 1 + 18 + 2 - 155)  # two blanks may be needed


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{{opt_out}}0", "{} 0"),
        ("Kod:{{opt_out}}.", "Kod:{}."),
        ("5{{opt_out}}5", "5 {} 5"),
        ("{{opt_out}}\u0327", "{} \u0327"),
        ("ş{{opt_out}}", "ş {}"),
        ("{{opt_out}}{{opt_out}}", "{} {}"),
    ],
)
def test_what_touches_a_placeholder_does_not_touch_the_opt_out(text: str, filled: str) -> None:
    """A digit beside the number would make another number of it."""
    words = make_opt_out_words(BRAND, "RET ORNEK", "3338", identity=Identity.OMITTED)
    result = SuffixWriter(words, find_profile("netgsm")).write(text)
    assert isinstance(result, Suffixed)
    assert result.text == filled.replace("{}", result.suffix)
    assert words.is_in(result.text)


def test_equal_texts_are_computed_once() -> None:
    """A batch of 50,000 with one text costs one computation: the results are the very same."""
    writer = SuffixWriter(WORDS, find_profile("netgsm"))
    first, second, other = writer.write_each(["Indirim!", "Indirim" + "!", "Baska"])
    assert first is second
    assert other == writer.write("Baska")


def test_a_text_with_its_own_opt_out_is_not_taken_for_another_of_its_length() -> None:
    """Of a campaign some texts may carry the opt-out, or the identity, already: those get no second one."""
    own = "Indirim! Ret:RET ORNEK>3338"
    named = "Indirim! Mersis:0123456789012345"
    for special in (own, named):
        plain = "x" * len(special)
        writer = SuffixWriter(WORDS, find_profile("netgsm"))
        first, second = writer.write_each([plain, special])
        alone = SuffixWriter(WORDS, find_profile("netgsm"))
        assert (first, second) == (alone.write(plain), alone.write(special))
        assert isinstance(first, Suffixed)
        assert isinstance(second, Suffixed)
        assert second.suffix != first.suffix


# -- always ------------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    ["Indirim ", "şeker ", "ığdır", "€€{}", "😀", "…", "₺", "3338", "RET ORNEK", "RET", "0123456789012345", "\n",
     "e\u0301", "\u0327", "\u200b", "a" * 60, "ş" * 30, "{{opt_out}}", "{{opt_", "B001", "ь", "'"]
)  # fmt: skip
TEXTS = st.lists(
    PIECES | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40), max_size=14
).map("".join)
WRITERS = st.builds(
    lambda words, name, code, policy: SuffixWriter(words, find_profile(name, code_length=code), policy),
    st.sampled_from(
        [
            make_opt_out_words(brand, keyword, number, language=language, identity=identity)
            for brand in (BRAND, TRADER)
            for keyword, number in (("RET ORNEK", "3338"), ("H", "4944"), ("ŞEKER IPTAL", "+908501234567"))
            for language in ("tr", "en")
            for identity in Identity
        ]
    ),
    st.sampled_from(sorted(PROFILES)),
    st.sampled_from((None, 0, 4)),
    st.sampled_from(SuffixPolicy),
)


def words_of(writer: SuffixWriter) -> OptOutWords:
    return writer._words


def profile_of(writer: SuffixWriter) -> Profile:
    return writer._profile


def count(text: str, encoding: str, profile: Profile) -> int:
    """By the second implementation, folded where that is the only way into the encoding."""
    sent = text if sms_counting.can_hold(text, encoding) else fold_letters(text)
    return sms_counting.count(
        sent, encoding, reference_bits=profile.reference_bits, code=" B001"[: profile.code_length]
    )


@settings(max_examples=250)
@given(WRITERS, TEXTS, st.sampled_from(Alphabet))
def test_an_opt_out_is_whole_and_last_and_adds_nothing_unseen(
    writer: SuffixWriter, text: str, alphabet: Alphabet
) -> None:
    """Suffix whole and last, own words untouched, alphabet unchanged, both counts true, caps kept, policy kept."""
    words, profile = words_of(writer), profile_of(writer)
    result = writer.write(text, alphabet)
    if isinstance(result, SuffixRefusal):
        assert result.problem in (SuffixProblem.NO_ROOM, SuffixProblem.TOO_LONG)
        return
    bare = text.replace("{{opt_out}}", "")
    before, after = profile.pack(bare, alphabet), profile.pack(result.text, alphabet)
    assert before is not None
    assert after is not None
    assert before[0] is after[0] is result.encoding
    assert result.segments.before == count(bare, result.encoding.value, profile)
    assert result.segments.after == count(result.text, result.encoding.value, profile)
    assert words.is_in(result.text)
    if result.suffix and "{{opt_out}}" not in text:
        assert result.suffix in words.forms + words.without_identity
        assert result.text == text + result.suffix
        assert set(result.suffix) <= ASCII_ONE_UNIT
    elif "{{opt_out}}" in text:
        assert result.text.replace(" ", "") == text.replace("{{opt_out}}", result.suffix).replace(" ", "")
    else:
        assert result.text == text
    if result.suffix:
        assert result.segments.after <= profile.max_segments
        assert not profile.max_characters or len(result.text) <= profile.max_characters
        if writer._policy is not SuffixPolicy.ALLOW:
            assert result.segments.after <= result.segments.before


ORDINARY = st.from_regex(r"(38|3338| |345|2345|ret ornek|[a-z]){0,40}", fullmatch=True)


@given(
    WRITERS,
    st.lists(ORDINARY, max_size=30) | st.lists(TEXTS | ORDINARY, max_size=8),
    st.sampled_from(Alphabet),
    st.sampled_from(TextKind),
)
def test_many_texts_at_once_get_what_each_gets_alone(
    writer: SuffixWriter, texts: list[str], alphabet: Alphabet, kind: TextKind
) -> None:
    """Whatever the writer has seen before, and equal ones included."""
    alone = SuffixWriter(words_of(writer), profile_of(writer), writer._policy)
    expected = [alone.write(text, alphabet, kind) for text in texts * 2]
    assert writer.write_each(texts * 2, alphabet, kind) == expected
    assert writer.write_each(texts, alphabet, kind) == expected[: len(texts)]


@settings(max_examples=250)
@given(WRITERS, TEXTS, st.sampled_from(Alphabet))
def test_applying_twice_adds_nothing(writer: SuffixWriter, text: str, alphabet: Alphabet) -> None:
    """A text that went through once goes through again as it is."""
    once = writer.write(text.replace("{{opt_", ""), alphabet)
    if isinstance(once, SuffixRefusal):
        return
    twice = writer.write(once.text, alphabet)
    assert isinstance(twice, Suffixed)
    assert twice.text == once.text
    assert twice.suffix == ""


def write_anew(text: str, alphabet: Alphabet) -> Suffixed | SuffixRefusal:
    return SuffixWriter(WORDS, find_profile("netgsm")).write(text, alphabet)


@pytest.mark.parametrize(
    ("alphabet", "pairs"),
    [
        # the same length at another cost, the same cost at another place, a pair across the end of a segment
        (Alphabet.TURKISH, [("ş" * 5 + "a" * 95, "ş" * 40 + "a" * 60)]),
        (Alphabet.TURKISH, [("ş" * 10 + "a" * 125, "a" * 125 + "ş" * 10)]),
        (Alphabet.AUTO, [("a" * 152 + "€" + "a" * more, "€" + "a" * (152 + more)) for more in range(60, 160)]),
    ],
)
def test_texts_of_one_length_are_still_told_apart(alphabet: Alphabet, pairs: list[tuple[str, str]]) -> None:
    """Whatever a writer remembers, each text gets what a new writer gives it; and the two differ at least once."""
    writer = SuffixWriter(WORDS, find_profile("netgsm"))
    is_different = False
    for first, second in pairs:
        results = [writer.write(text, alphabet) for text in (first, second, first)]
        assert results == [write_anew(first, alphabet), write_anew(second, alphabet), write_anew(first, alphabet)]
        one, other = results[:2]
        if isinstance(one, Suffixed) and isinstance(other, Suffixed):
            is_different |= one.suffix != other.suffix
        else:
            is_different |= one != other
    assert is_different


@settings(max_examples=120)
@given(WRITERS, st.lists(TEXTS, max_size=6), st.sampled_from("aş€ğ😀3"), st.integers(1, 40), st.sampled_from(Alphabet))
def test_what_was_written_before_does_not_matter(
    writer: SuffixWriter, texts: list[str], letter: str, count: int, alphabet: Alphabet
) -> None:
    """Texts of one length and cost get what a new writer gives them, in whatever order they come."""
    runs = [letter * count + "b" * rest for rest in (110, 120, 130)]
    turned = [run[::-1] for run in runs]
    for text in [*texts, *runs, *turned, *reversed(texts), *runs]:
        fresh = SuffixWriter(words_of(writer), profile_of(writer), writer._policy)
        assert writer.write(text, alphabet) == fresh.write(text, alphabet)


@settings(max_examples=250)
@given(WRITERS, TEXTS, st.sampled_from(Alphabet), st.sampled_from("aş€😀"))
def test_the_advised_cut_is_enough(writer: SuffixWriter, text: str, alphabet: Alphabet, more: str) -> None:
    """A sender that cuts as many characters off the end gets through, if its alphabet stays what it was."""
    profile = profile_of(writer)
    text = text.replace("{{opt_out}}", "").replace("333", "")
    for _ in range(170):  # until the opt-out does not fit any more
        refusal = writer.write(text, alphabet)
        if isinstance(refusal, SuffixRefusal):
            break
        text += more
    else:
        return  # policy allow
    if refusal.cut is None:
        return
    assert 0 < refusal.cut < len(text)
    shorter = text[: -refusal.cut]
    before, after = profile.pack(text, alphabet), profile.pack(shorter, alphabet)
    assert before is not None
    assert after is not None
    if before[0] is after[0] and words_of(writer).find_forms(shorter) == words_of(writer).find_forms(text):
        assert isinstance(writer.write(shorter, alphabet), Suffixed)


@pytest.mark.parametrize("text", ["€" * 1_000_000, "RET ORNEK " * 100_000, "3338 " * 200_000, "ş" * 1_000_000])
def test_a_million_hostile_characters_take_a_moment(text: str) -> None:
    """Refused or written, well within what a worker can spare."""
    begin = time.process_time()
    for policy in SuffixPolicy:
        SuffixWriter(WORDS, find_profile("iletimerkezi"), policy).write(text)
    assert time.process_time() - begin < 3


def test_a_personal_text_costs_microseconds() -> None:
    """50,000 different texts in well under a second of one core (twenty times the usual cost is allowed here)."""
    texts = [f"Sayin {n}, bugun magazamizda butun urunlerde yuzde 40 indirim. Kod: A{n}" for n in range(5000)]
    writer = SuffixWriter(WORDS, find_profile("netgsm"))
    begin = time.process_time()
    results = writer.write_each(texts)
    assert (time.process_time() - begin) / len(texts) < 60e-6
    assert all(isinstance(result, Suffixed) and result.encoding is Encoding.GSM7 for result in results)
