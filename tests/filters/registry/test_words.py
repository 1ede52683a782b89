"""The registry's words and times."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from filters.registry import words
from filters.vocabulary import Channel, RecipientType, Status

INSTANTS = st.integers(0, words.LATEST_AT)


@given(INSTANTS)
def test_a_time_survives_the_registrys_form(at: int) -> None:
    """What we write as a time we read as the same second."""
    assert words.find_time(words.render_time(at)) == at


def test_times_are_turkish_all_year_round() -> None:
    """The registry's times are UTC+3, in summer and in winter alike."""
    assert words.render_time(0) == "1970-01-01 03:00:00"
    assert words.find_time("2026-07-01 12:00:00") == 1782896400
    assert words.find_time("2026-01-01 12:00:00") == 1767258000


def test_small_differences_of_a_time_are_forgiven_on_reading() -> None:
    """Blanks around, a T between, fractions and a zone do not change the instant."""
    at = words.find_time("2026-07-01 12:00:00")
    for text in (" 2026-07-01 12:00:00 ", "2026-07-01T12:00:00", "2026-07-01 12:00:00.000", "2026-07-01T09:00:00Z"):
        assert words.find_time(text) == at, text


@given(st.one_of(st.text(max_size=60), st.none(), st.integers(), st.floats(), st.binary()))
def test_what_is_no_time_is_none(value: object) -> None:
    """No value raises; what comes out fits the four bytes of the index."""
    at = words.find_time(value)
    assert at is None or 0 <= at <= words.LATEST_AT


def test_impossible_times_are_none() -> None:
    """A day that does not exist, and a century the index cannot hold, are no times."""
    for text in ("2026-02-30 10:00:00", "2026-07-01 25:00:00", "9999-12-31 23:59:59", "0001-01-01 00:00:00", ""):
        assert words.find_time(text) is None, text


def test_each_word_of_ours_has_one_of_the_registrys() -> None:
    """All members can be written, and what is written is read as the same member."""
    assert {words.find_channel(word) for word in words.CHANNEL_WORDS.values()} == set(Channel)
    assert {words.find_recipient_type(word) for word in words.RECIPIENT_TYPE_WORDS.values()} == set(RecipientType)
    assert {words.find_status(word) for word in words.STATUS_WORDS.values()} == set(Status)


def test_an_unknown_status_is_neither_consent_nor_refusal() -> None:
    """RED, an old client's mistake, and any other word are None."""
    for word in ("RED", "BEKLEMEDE", "", None, 1, ["ONAY"], "ONAY\u0000"):
        assert words.find_status(word) is None, word


def test_sources_of_the_registry_are_an_open_set() -> None:
    """A source invented tomorrow keeps its name; what is no name is unknown."""
    assert words.find_source("IYS_HOLOGRAM") == "IYS_HOLOGRAM"
    assert words.find_source("iys_web ") == "IYS_WEB"
    for word in ("", None, 7, "IYS WEB", "x@shop.example", "A" * 41):
        assert words.find_source(word) == words.UNKNOWN_SOURCE


def test_a_report_day_is_a_real_day() -> None:
    """Only YYYY-MM-DD of a day that exists."""
    assert words.is_day("2026-02-28")
    for text in ("2026-02-30", "2026-2-28", "20260228", "2026-02-28 ", "2026-02-2٨"):
        assert not words.is_day(text), text
    assert words.render_day(1767214800 - 1) == "2025-12-31"
    assert words.render_day(1767214800) == "2026-01-01"
