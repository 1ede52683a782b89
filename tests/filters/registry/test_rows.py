"""Rows of senders, read as strictly as the registry reads them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from filters.registry import words
from filters.registry.error_codes import ERROR_RULES
from filters.registry.rows import FIELDS, read_row
from filters.registry.values import ConsentToAdd
from filters.registry.writing import consent_fields
from filters.vocabulary import Channel

NOW = 1_795_000_000
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "recipient": st.sampled_from(["ayse@example.com", "AYSE@example.com", "+905321234567", "a@b", ""]) | JSON,
        "type": st.sampled_from([*words.CHANNEL_WORDS.values(), "epost"]) | JSON,
        "recipientType": st.sampled_from([*words.RECIPIENT_TYPE_WORDS.values()]) | JSON,
        "status": st.sampled_from(["ONAY", "RET"]) | JSON,
        "source": st.sampled_from([*words.PROVIDER_SOURCES, "IYS_WEB"]) | JSON,
        "consentDate": st.sampled_from(["2015-05-01 00:00:00", "2026-11-18 10:00:00", "2026-11-31 10:00:00"]) | JSON,
        "retailerCode": st.sampled_from([12345678, True]) | JSON,
        "retailerAccess": st.just([12345678, 87654321]) | JSON,
        "x": JSON,
    },
)


@given(ROWS | JSON)
def test_any_row_is_a_consent_that_can_be_sent_or_has_codes_of_the_registry(row: object) -> None:
    """Nothing raises, nothing unsendable gets through, and every code is one that the registry knows."""
    read = read_row(row, NOW)
    if isinstance(read, ConsentToAdd):
        assert set(consent_fields(read)) <= set(FIELDS)
        assert read.recipient == read.recipient.lower()
    else:
        assert read
        assert set(read) <= set(ERROR_RULES)


def test_an_address_in_capitals_is_the_same_address() -> None:
    """The registry stores e-mail addresses in lower case."""
    row = {
        "recipient": "Ayse@Example.COM",
        "type": "EPOSTA",
        "status": "ONAY",
        "source": "HS_WEB",
        "consentDate": "2026-11-18 10:00:00",
    }
    read = read_row(row, NOW)
    assert isinstance(read, ConsentToAdd)
    assert (read.recipient, read.channel) == ("ayse@example.com", Channel.EMAIL)


def test_every_fault_of_a_row_is_told_at_once() -> None:
    assert read_row({"recipient": 7, "type": "EPOSTA", "extra": 1}, NOW) == ("H118", "H110", "H120")
