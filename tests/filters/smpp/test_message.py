"""Bodies read and written: what is written is read again, and nothing else gets in."""

from __future__ import annotations

import pytest
import smpplib.client
import smpplib.smpp
from hypothesis import given
from hypothesis import strategies as st

from filters.smpp.fields import Address, PduError, Tlv
from filters.smpp.frames import render_frame
from filters.smpp.message import (
    ShortMessage,
    _parse_by_field,
    parse_data,
    parse_message_id,
    parse_submit,
    parse_submit_multi,
    render_submit,
)
from filters.smpp.numbers import FIXED_LENGTHS, CommandStatus, Tag

OCTET = st.integers(0, 255)
WORD = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=20)
ADDRESS = st.builds(Address, OCTET, OCTET, WORD)
TIME = st.one_of(st.just(""), st.text("0123456789R+-", min_size=16, max_size=16))


@st.composite
def tlvs(draw: st.DrawFn) -> tuple[Tlv, ...]:
    tags = draw(
        st.lists(st.integers(0, 0xFFFF).filter(lambda tag: tag != Tag.MESSAGE_PAYLOAD), max_size=4, unique=True)
    )
    return tuple(
        Tlv(tag, draw(st.binary(min_size=FIXED_LENGTHS.get(tag, 0), max_size=FIXED_LENGTHS.get(tag, 30))))
        for tag in tags
    )


MESSAGES = st.builds(
    ShortMessage,
    ADDRESS,
    ADDRESS,
    st.binary(max_size=254),
    *[OCTET] * 3,
    WORD.map(lambda word: word[:5]),
    OCTET,
    OCTET,
    TIME,
    TIME,
    OCTET,
    OCTET,
    tlvs(),
    st.booleans(),
)


@given(MESSAGES)
def test_what_is_written_is_read_again(message: ShortMessage) -> None:
    """Every field, every TLV, every octet."""
    body = render_submit(message)
    assert parse_submit(body) == message
    assert _parse_by_field(body) == message


@given(MESSAGES, st.data())
def test_a_changed_body_is_read_or_refused_alike_in_both_ways(message: ShortMessage, data: st.DataObject) -> None:
    """The short way takes nothing that the long way would not, and reads it the same."""
    body = bytearray(render_submit(message))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(OCTET)
    cut = bytes(body[: data.draw(st.integers(0, len(body)))])
    outcomes: list[object] = []
    for parse in (parse_submit, _parse_by_field):
        try:
            outcomes.append(parse(cut))
        except PduError as error:
            outcomes.append(error.status)
    assert outcomes[0] == outcomes[1]


@given(st.binary(max_size=120))
def test_noise_is_refused_or_read_and_never_worse(body: bytes) -> None:
    """No other exception, from any of the readers."""
    statuses: set[int] = {CommandStatus.SYSTEM_ERROR}
    for parse in (parse_submit, parse_data, parse_submit_multi, parse_message_id):
        try:
            parse(body)
        except PduError as error:
            statuses.add(error.status)
    assert statuses <= set(CommandStatus) - {CommandStatus.OK}


@given(WORD.filter(str.isascii), st.binary(min_size=1, max_size=254), OCTET)
def test_a_second_implementation_reads_the_same(number: str, payload: bytes, coding: int) -> None:
    """smpplib reads what we write."""
    message = ShortMessage(Address(5, 0, "SHOP"), Address(1, 1, number), payload, coding, registered_delivery=1)
    client = smpplib.client.Client("127.0.0.1", 1, allow_unknown_opt_params=True)
    read = smpplib.smpp.parse_pdu(
        render_frame(0x04, 7, render_submit(message)), client=client, allow_unknown_opt_params=True
    )
    assert (read.source_addr, read.destination_addr) == (b"SHOP", number.encode())
    assert (read.short_message, read.data_coding, read.sequence) == (payload, coding, 7)


@pytest.mark.parametrize(
    "message",
    [
        ShortMessage(Address(0, 0, "x" * 21), Address(0, 0, "")),
        ShortMessage(Address(0, 0, ""), Address(0, 0, "9\0")),
        ShortMessage(Address(0, 0, "Ş"), Address(0, 0, "")),
        ShortMessage(Address(0, 0, ""), Address(0, 0, ""), b"x" * 255),
        ShortMessage(Address(0, 0, ""), Address(0, 0, ""), schedule="1" * 17),
        ShortMessage(Address(0, 0, ""), Address(256, 0, "")),
    ],
)
def test_what_does_not_fit_is_not_written(message: ShortMessage) -> None:
    with pytest.raises(ValueError, match=r"fit|ordinal"):
        render_submit(message)
