"""What notes are called: found again after the key has changed, written under the current one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from filters.sms.note_seal import NoteSeal

SECRETS = {1: b"a" * 32, 2: b"b" * 32, 3: b"c" * 32}
WORDS = st.lists(st.text(max_size=8), min_size=1, max_size=4)


@given(WORDS, st.sampled_from(sorted(SECRETS)))
def test_a_note_is_written_under_the_first_of_the_names_it_is_looked_for_by(words: list[str], current: int) -> None:
    seal = NoteSeal(SECRETS, current)
    assert seal.names(*words)[0] == seal.name(*words)
    assert set(seal.names(*words)) == set(NoteSeal(SECRETS, 1).names(*words))


@given(WORDS, WORDS)
def test_notes_about_different_words_have_different_names(one: list[str], other: list[str]) -> None:
    seal = NoteSeal(SECRETS, 1)
    assert (seal.name(*one) == seal.name(*other)) is (one == other)
