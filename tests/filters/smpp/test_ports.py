"""Messages to a port of the handset, which the TLVs source_port and destination_port name (SMPP 3.4, 5.3.2.20)."""

from __future__ import annotations

import pytest

from filters.smpp.carrier import bodies_of, pack_request
from filters.smpp.dialect import SmppDialect
from filters.smpp.fields import Address, Tlv
from filters.smpp.message import ShortMessage, parse_submit
from filters.smpp.numbers import Tag
from filters.sms.message import TextKind

DIALECT = SmppDialect()


@pytest.mark.parametrize("tag", [Tag.SOURCE_PORT, Tag.DESTINATION_PORT])
def test_a_message_to_a_port_stays_one(tag: Tag) -> None:
    """What is for a program goes on with its port, and reads as what it was: it is no text, and gets no opt-out."""
    port = Tlv(tag, (2948).to_bytes(2, "big"))
    message = ShortMessage(Address(5, 0, "ORNEK"), Address(1, 1, "905321110001"), b"\x01\x06\x01\xae", tlvs=(port,))
    request = pack_request((message,), (message.destination,), system_id="s", system_type="", received_at=1.8e9)
    call = DIALECT.recognise(request)
    assert call is not None
    asked = DIALECT.read(request, call)
    assert asked.kind is TextKind.BINARY
    written = DIALECT.write(asked, [0], asked.texts)
    assert [[parse_submit(body) for body in group] for group in bodies_of(written)] == [[message]]
    assert DIALECT.read(written, call).kind is TextKind.BINARY
