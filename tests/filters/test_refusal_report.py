"""The sealed report of a refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.consent import SOURCES
from filters.refusal_report import NONCE_BYTES, RefusalReport, ReportSeal
from filters.vocabulary import Channel, RecipientType

SEAL = ReportSeal({1: b"s" * 32}, current=1)
REPORT = RefusalReport(
    600123, Channel.EMAIL, RecipientType.INDIVIDUAL, "ayse@example.com", b"k" * 10, 1_790_000_000, "HS_WEB"
)
NONCE = b"n" * NONCE_BYTES


@given(
    st.builds(
        RefusalReport,
        brand=st.integers(0, 2**40),
        address=st.sampled_from(("", "ayse@example.com", "+905000000000", "şükrü@örnek.example")),
        key=st.binary(min_size=10, max_size=10),
        refused_at=st.integers(0, 2**33),
        source=st.sampled_from(SOURCES),
    )
)
def test_a_report_opens_as_it_was_sealed(report: RefusalReport) -> None:
    assert SEAL.open(report.item_id, SEAL.seal(report, NONCE)) == report


def test_a_sealed_report_shows_no_address() -> None:
    """A dump of the store gives nobody's address away."""
    sealed = SEAL.seal(REPORT, NONCE)
    assert b"ayse" not in sealed
    assert b"example" not in sealed


@given(st.integers(0, 10_000))
def test_an_altered_report_does_not_open(position: int) -> None:
    sealed = bytearray(SEAL.seal(REPORT, NONCE))
    position %= len(sealed) * 8
    sealed[position // 8] ^= 1 << position % 8
    with pytest.raises(ValueError, match="refusal report"):
        SEAL.open(REPORT.item_id, bytes(sealed))


@pytest.mark.parametrize("sealed", [b"", b"\1", b"\1" + b"x" * 12, b"\2" + b"x" * 60])
def test_what_is_no_report_does_not_open(sealed: bytes) -> None:
    with pytest.raises(ValueError, match="refusal report"):
        SEAL.open(REPORT.item_id, sealed)


def test_a_report_does_not_open_under_another_item() -> None:
    other = REPORT._replace(brand=600124)
    with pytest.raises(ValueError, match="another item"):
        SEAL.open(other.item_id, SEAL.seal(REPORT, NONCE))


def test_old_keys_keep_opening() -> None:
    rotated = ReportSeal({1: b"s" * 32, 2: b"t" * 32}, current=2)
    assert rotated.open(REPORT.item_id, SEAL.seal(REPORT, NONCE)) == REPORT


def test_a_repeated_refusal_has_the_same_item() -> None:
    """Whenever and however it is repeated."""
    assert REPORT._replace(refused_at=1_790_009_999, source="HS_EPOSTA").item_id == REPORT.item_id


@pytest.mark.parametrize(
    "other",
    [
        REPORT._replace(brand=600124),
        REPORT._replace(channel=Channel.SMS),
        REPORT._replace(recipient_type=RecipientType.BUSINESS),
        REPORT._replace(key=b"j" * 10),
        REPORT._replace(address=""),
    ],
)
def test_another_refusal_has_another_item(other: RefusalReport) -> None:
    """A report that lacks the address does not stand in the way of one that has it."""
    assert other.item_id != REPORT.item_id


@pytest.mark.parametrize(
    ("secrets", "current", "says"),
    [({1: b"short"}, 1, "at least 32 bytes"), ({300: b"s" * 32}, 300, "0 to 255"), ({1: b"s" * 32}, 2, "not among")],
)
def test_unsafe_keys_are_refused(secrets: dict[int, bytes], current: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ReportSeal(secrets, current)
