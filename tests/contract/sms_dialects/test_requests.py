"""What a codec reads is what was asked for, and what it writes holds the kept recipients and nobody else."""

from __future__ import annotations

import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filters.sms.dialect import CallKind
from tests.support.sms_dialect_case import DialectCase, Pair

PREFIXES = ("", "0", "90", "+90", "0090")
LETTERS = "abc ÇĞİÖŞÜ çğıöşü <&>\"'=+%;{}[] 🙂"

# One case is one fixture for all examples; codecs keep no state between requests.
many = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])

texts = st.text(LETTERS, min_size=1, max_size=40).map(lambda text: f"Merhaba{text}son")
numbers = st.lists(
    st.tuples(st.sampled_from(PREFIXES), st.integers(0, 9_999_999)), min_size=1, max_size=12, unique_by=lambda it: it[1]
).map(lambda found: [f"{prefix}532{number:07d}" for prefix, number in found])


@st.composite
def requests(draw: st.DrawFn) -> list[Pair]:
    chosen = draw(numbers)
    some_texts = draw(st.lists(texts, min_size=1, max_size=3))
    return [(number, draw(st.sampled_from(some_texts))) for number in chosen]


def fit(case: DialectCase, pairs: list[Pair]) -> list[Pair]:
    """The pairs, as far as one request of this dialect can hold them."""
    pairs = [(case.spell(number), text) for number, text in pairs]
    if case.has_one_text:
        pairs = [(number, pairs[0][1]) for number, _ in pairs]
    return pairs[:1] if case.is_single else pairs


def written(case: DialectCase, pairs: list[Pair], kept: list[int], tag_number: int = 0) -> object:
    request = case.compose(pairs, case.tags[tag_number % len(case.tags)])
    call = case.dialect.recognise(request)
    assert call is not None
    assert call.kind is CallKind.SEND
    submission = case.dialect.read(request, call)
    texts_kept = [submission.texts[submission.recipients[position].text] for position in kept]
    return request, submission, case.dialect.write(submission, kept, texts_kept)


@many
@given(pairs=requests(), tag_number=st.integers(0, 3))
def test_everybody_kept_makes_the_same_request(case: DialectCase, pairs: list[Pair], tag_number: int) -> None:
    """Recipients in order with their spelling, texts and tag reach the provider as they were sent."""
    pairs = fit(case, pairs)
    request, submission, upstream = written(case, pairs, list(range(len(pairs))), tag_number)
    tag = case.tags[tag_number % len(case.tags)]
    assert (submission.tag_class, submission.tag_type) == tag
    assert [recipient.spelled for recipient in submission.recipients] == [number for number, _ in pairs]
    assert [recipient.number.e164 for recipient in submission.recipients] == [f"+90{n[-10:]}" for n, _ in pairs]
    assert [submission.texts[recipient.text] for recipient in submission.recipients] == [text for _, text in pairs]
    assert case.tag_in(upstream) == case.tag_in(request)
    for reader in case.readers:
        assert reader(upstream) == pairs
    again = case.dialect.read(upstream, case.dialect.recognise(upstream))
    assert again.recipients == submission.recipients
    assert again.credential_id == submission.credential_id != ""


@many
@given(pairs=requests(), data=st.data())
def test_a_dropped_number_is_nowhere_in_the_upstream_request(
    case: DialectCase, pairs: list[Pair], data: st.DataObject
) -> None:
    """Whichever are dropped: the kept ones are there in order, and no digit of the others."""
    pairs = fit(case, pairs)
    kept = sorted(data.draw(st.sets(st.integers(0, len(pairs) - 1), min_size=1)))
    _, _, upstream = written(case, pairs, kept)
    for reader in case.readers:
        assert reader(upstream) == [pairs[position] for position in kept]
    everything = repr(upstream)
    for position, (number, _) in enumerate(pairs):
        if position not in kept:
            assert number[-10:] not in everything


@many
@given(pairs=requests())
def test_a_suffix_reaches_everybody_whole(case: DialectCase, pairs: list[Pair]) -> None:
    """The texts that are handed to ``write`` are the texts in the upstream request."""
    pairs = fit(case, pairs)
    request = case.compose(pairs, case.tags[0])
    submission = case.dialect.read(request, case.dialect.recognise(request))
    longer = [f"{text} Ret icin 3338'e RET ORNEK yaz." for _, text in pairs]
    upstream = case.dialect.write(submission, range(len(pairs)), longer)
    for reader in case.readers:
        assert [text for _, text in reader(upstream)] == longer


def test_a_number_that_is_none_keeps_its_place(case: DialectCase) -> None:
    """What the strict parser refuses is answered for, and never guessed at."""
    pairs = [(case.spell("5321110001"), "Merhaba"), ("532111", "Merhaba"), (case.spell("5321110003"), "Merhaba")]
    if case.is_single:
        pairs = pairs[1:2]
    request = case.compose(pairs, case.tags[0])
    submission = case.dialect.read(request, case.dialect.recognise(request))
    assert [recipient.number is None for recipient in submission.recipients] == [
        number == "532111" for number, _ in pairs
    ]


def test_ids_are_shaped_like_the_provider_s(case: DialectCase) -> None:
    """Minted ids look like real ones, differ, and begin as no real one does."""
    minted = [case.dialect.mint_id(number) for number in (0, 1, 2**64, 2**128 - 1, 987654321987654321987654321)]
    assert len(set(minted)) == len(minted)
    assert all(re.fullmatch(case.id_shape, job_id) for job_id in minted)
