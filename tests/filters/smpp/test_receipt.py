"""Delivery receipts in the shapes SMSCs give them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.smpp.answer import ConsentRefusal
from filters.smpp.fields import Address, PduError, Tlv
from filters.smpp.message import ShortMessage
from filters.smpp.receipt import MessageState, Receipt, parse_receipt, render_receipt
from filters.smpp.times import parse_schedule

GATE, SOMEBODY = Address(5, 0, "SHOP"), Address(1, 1, "905321234567")


def delivery(text: bytes, *tlvs: Tlv) -> ShortMessage:
    return ShortMessage(SOMEBODY, GATE, text, esm_class=4, tlvs=tlvs)


@pytest.mark.parametrize(
    ("text", "message_id", "state", "error"),
    [
        (
            b"id:0123 sub:001 dlvrd:001 submit date:2611211200 done date:2611211201 stat:DELIVRD err:000 text:Hi",
            "0123", MessageState.DELIVERED, "000",
        ),
        (b"id:1a2b stat:UNDELIV err:01F text:id:9 stat:DELIVRD", "1a2b", MessageState.UNDELIVERABLE, "01F"),
        (b"stat:REJECTD id:7 err:069", "7", MessageState.REJECTED, "069"),
        (b"ID:7 STAT:expired", "7", MessageState.EXPIRED, "000"),
        (b"id:7 stat:SOMETHING", "7", MessageState.UNKNOWN, "000"),
    ],
)  # fmt: skip
def test_the_text_is_searched_by_field_name(text: bytes, message_id: str, state: MessageState, error: str) -> None:
    """In any order and case; what the sender wrote after "text:" is not taken for fields."""
    receipt = parse_receipt(delivery(text))
    assert receipt is not None
    assert (receipt.message_id, receipt.state, receipt.error) == (message_id, state, error)


def test_tlvs_win_over_the_text() -> None:
    receipt = parse_receipt(delivery(b"id:1 stat:DELIVRD", Tlv(0x001E, b"0xA\0"), Tlv(0x0427, b"\x05")))
    assert receipt is not None
    assert (receipt.message_id, receipt.state) == ("0xA", MessageState.UNDELIVERABLE)


def test_a_receipt_that_names_no_message_is_none() -> None:
    assert parse_receipt(delivery(b"stat:DELIVRD")) is None


@given(st.binary(max_size=300))
def test_noise_is_no_receipt_or_one_with_an_id(text: bytes) -> None:
    receipt = parse_receipt(delivery(text))
    assert receipt is None or receipt.message_id


@given(st.sampled_from(MessageState), st.from_regex(r"[0-9a-zA-Z]{1,30}", fullmatch=True))
def test_what_is_written_is_read_again(state: MessageState, message_id: str) -> None:
    receipt = Receipt(message_id, state, "069", "2611211200", "2611211201")
    original = ShortMessage(GATE, SOMEBODY)
    rendered = render_receipt(receipt, original)
    assert parse_receipt(rendered) == receipt
    assert parse_receipt(rendered._replace(tlvs=())) == receipt
    assert (rendered.source, rendered.destination) == (SOMEBODY, GATE)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", None),
        ("000001000000000R", 1000.0 + 86400),
        ("000000001000000R", 1000.0 + 600),
        ("261121120000000+", 1795262400.0),
        ("261121150000012+", 1795262400.0),
        ("261121090000012-", 1795262400.0),
    ],
)
def test_times_are_absolute_or_relative(text: str, at: float | None) -> None:
    """SMPP 3.4, 7.1.1: quarters of an hour from UTC."""
    assert parse_schedule(text, 1000.0) == at


@pytest.mark.parametrize("text", ["2611211200000000", "261321120000000+", "26112112000000x+", "000000000000999R"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(PduError):
        parse_schedule(text, 0.0)


@pytest.mark.parametrize("status", [0, 0x0B, 0x08, 0x14, 0x58])
def test_a_missing_consent_is_never_told_as_temporary_or_as_a_wrong_number(status: int) -> None:
    """Clients would try again, or delete the number."""
    with pytest.raises(ValueError, match="consent"):
        ConsentRefusal(status=status)
