"""Bodies that carry a message: submit_sm, deliver_sm, data_sm, submit_multi, and their answers (SMPP 3.4, 4.2 to 4.7).

All four become one value, ``ShortMessage``. The text stands in ``payload`` whether it came as short_message or as the
TLV message_payload; both at once is refused, because the next reader might take the other one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple

from filters.smpp.fields import (
    Address,
    PduError,
    Tlv,
    read_address,
    read_octet,
    read_string,
    read_tlvs,
    render_address,
    render_string,
    render_tlvs,
)
from filters.smpp.numbers import CommandStatus, Tag

MAX_SHORT_MESSAGE: Final = 254
MAX_DESTINATIONS: Final = 254
_ADDRESS_BYTES: Final = 21
_DATA_ADDRESS_BYTES: Final = 65
_MESSAGE_ID_BYTES: Final = 65
_FLAGS = Struct(">BBBB")
_PAYLOAD: Final = int(Tag.MESSAGE_PAYLOAD)
_NOBODY: Final = Address(0, 0, "")
_new = tuple.__new__  # half the time of a class's own way


class ShortMessage(NamedTuple):
    """One message to one destination, with every field of its PDU.

    ``schedule`` and ``validity`` are the 16-character times or "". ``is_in_tlv``: the payload travels as the TLV
    message_payload, which then is not among ``tlvs``.
    """

    source: Address
    destination: Address
    payload: bytes = b""
    data_coding: int = 0
    esm_class: int = 0
    registered_delivery: int = 0
    service_type: str = ""
    protocol_id: int = 0
    priority: int = 0
    schedule: str = ""
    validity: str = ""
    replace_if_present: int = 0
    canned_id: int = 0
    tlvs: tuple[Tlv, ...] = ()
    is_in_tlv: bool = False


class UnsuccessfulDelivery(NamedTuple):
    """One destination of a submit_multi that was not taken, and why (4.5.2.1)."""

    destination: Address
    status: int


# The fixed part of nearly all bodies in one step of the regular expression engine; what it does not match is read field
# by field, which tells what is wrong with it.
_FIXED: Final = re.compile(
    rb"([^\0]{0,5})\0..([^\0]{0,20})\0..([^\0]{0,20})\0...((?:[^\0]{16})?)\0((?:[^\0]{16})?)\0.....", re.DOTALL
).match


def parse_submit(body: bytes) -> ShortMessage:
    """submit_sm or deliver_sm: the same fields. Raises ``PduError``."""
    fixed = _FIXED(body)
    if fixed is None:
        return _parse_by_field(body)
    service_type, source, destination, schedule, validity = fixed.groups()
    at = fixed.end()
    length = body[at - 1]
    end = at + length
    if length > MAX_SHORT_MESSAGE or end > len(body):
        raise PduError(CommandStatus.INVALID_LENGTH, "sm_length: more than there is")
    payload = body[at:end]
    tlvs: tuple[Tlv, ...] = ()
    is_in_tlv = False
    if end != len(body):
        tlvs, payload, is_in_tlv = _take_payload(read_tlvs(body, end), payload)
    source_at = len(service_type) + 3
    destination_at = source_at + len(source) + 3
    classes_at = destination_at + len(destination)
    return _new(
        ShortMessage,
        (
            _new(Address, (body[source_at - 2], body[source_at - 1], source.decode("latin-1"))),
            _new(Address, (body[destination_at - 2], body[destination_at - 1], destination.decode("latin-1"))),
            payload,
            body[at - 3],
            body[classes_at + 1],
            body[at - 5],
            service_type.decode("latin-1") if service_type else "",
            body[classes_at + 2],
            body[classes_at + 3],
            schedule.decode("latin-1") if schedule else "",
            validity.decode("latin-1") if validity else "",
            body[at - 4],
            body[at - 2],
            tlvs,
            is_in_tlv,
        ),
    )


def change_text(
    message: ShortMessage,
    destination: Address,
    payload: bytes,
    esm_class: int,
    tlvs: tuple[Tlv, ...],
    *,
    is_in_tlv: bool,
) -> ShortMessage:
    """``message`` with another text, to ``destination``: a quarter of the time of ``_replace``."""
    (
        source, _, _, data_coding, _, registered, service_type, protocol_id, priority,
        schedule, validity, replace, canned_id, _, _,
    ) = message  # fmt: skip
    return _new(
        ShortMessage,
        (
            source, destination, payload, data_coding, esm_class, registered, service_type, protocol_id, priority,
            schedule, validity, replace, canned_id, tlvs, is_in_tlv,
        ),
    )  # fmt: skip


def _parse_by_field(body: bytes) -> ShortMessage:
    service_type, at = read_string(body, 0, 6, CommandStatus.INVALID_SERVICE_TYPE, "service_type")
    source, at = read_address(body, at, _ADDRESS_BYTES, CommandStatus.INVALID_SOURCE, "source_addr")
    destination, at = read_address(body, at, _ADDRESS_BYTES, CommandStatus.INVALID_DESTINATION, "destination_addr")
    return _parse_rest(body, at, service_type, source, destination)


def parse_submit_multi(body: bytes) -> tuple[ShortMessage, tuple[Address, ...]]:
    """The message, its destination empty, and the destinations. Distribution lists live at the SMSC, where nobody can
    check who is on them: refused. Raises ``PduError``."""
    service_type, at = read_string(body, 0, 6, CommandStatus.INVALID_SERVICE_TYPE, "service_type")
    source, at = read_address(body, at, _ADDRESS_BYTES, CommandStatus.INVALID_SOURCE, "source_addr")
    count, at = read_octet(body, at, "number_of_dests")
    if not 1 <= count <= MAX_DESTINATIONS:
        raise PduError(CommandStatus.INVALID_NUMBER_OF_DESTINATIONS, "number_of_dests: from 1 to 254")
    destinations = []
    for _ in range(count):
        flag, at = read_octet(body, at, "dest_flag")
        if flag != 1:
            status = CommandStatus.CANNOT_SUBMIT_TO_LIST if flag == 2 else CommandStatus.INVALID_DESTINATION_FLAG
            raise PduError(status, "dest_flag: only SME addresses are taken")
        destination, at = read_address(body, at, _ADDRESS_BYTES, CommandStatus.INVALID_DESTINATION, "destination_addr")
        destinations.append(destination)
    return _parse_rest(body, at, service_type, source, _NOBODY), tuple(destinations)


def _parse_rest(body: bytes, at: int, service_type: str, source: Address, destination: Address) -> ShortMessage:
    """From esm_class on, which submit_sm, deliver_sm and submit_multi share."""
    if len(body) - at < 10:
        raise PduError(CommandStatus.INVALID_COMMAND_LENGTH, "the body ends early")
    esm_class, protocol_id, priority = body[at], body[at + 1], body[at + 2]
    schedule, at = _read_time(body, at + 3, CommandStatus.INVALID_SCHEDULE, "schedule_delivery_time")
    validity, at = _read_time(body, at, CommandStatus.INVALID_EXPIRY, "validity_period")
    if len(body) - at < 5:
        raise PduError(CommandStatus.INVALID_COMMAND_LENGTH, "the body ends early")
    registered, replace, data_coding, canned_id = _FLAGS.unpack_from(body, at)
    length = body[at + 4]
    at += 5
    if length > MAX_SHORT_MESSAGE or length > len(body) - at:
        raise PduError(CommandStatus.INVALID_LENGTH, "sm_length: more than there is")
    payload = body[at : at + length]
    at += length
    tlvs: tuple[Tlv, ...] = ()
    is_in_tlv = False
    if at != len(body):
        tlvs, payload, is_in_tlv = _take_payload(read_tlvs(body, at), payload)
    return ShortMessage(
        source, destination, payload, data_coding, esm_class, registered, service_type, protocol_id, priority,
        schedule, validity, replace, canned_id, tlvs, is_in_tlv,
    )  # fmt: skip


def parse_data(body: bytes) -> ShortMessage:
    """data_sm, whose text always is in a TLV (4.7.1). Raises ``PduError``."""
    service_type, at = read_string(body, 0, 6, CommandStatus.INVALID_SERVICE_TYPE, "service_type")
    source, at = read_address(body, at, _DATA_ADDRESS_BYTES, CommandStatus.INVALID_SOURCE, "source_addr")
    destination, at = read_address(body, at, _DATA_ADDRESS_BYTES, CommandStatus.INVALID_DESTINATION, "destination_addr")
    if len(body) - at < 3:
        raise PduError(CommandStatus.INVALID_COMMAND_LENGTH, "the body ends early")
    esm_class, registered, data_coding = body[at], body[at + 1], body[at + 2]
    tlvs, payload, is_in_tlv = _take_payload(read_tlvs(body, at + 3), b"")
    return ShortMessage(
        source, destination, payload, data_coding, esm_class, registered, service_type, tlvs=tlvs, is_in_tlv=is_in_tlv
    )


def _take_payload(tlvs: tuple[Tlv, ...], payload: bytes) -> tuple[tuple[Tlv, ...], bytes, bool]:
    for tlv in tlvs:
        if tlv.tag == _PAYLOAD:
            if payload:
                raise PduError(CommandStatus.INVALID_LENGTH, "short_message and message_payload: only one of them")
            return tuple(other for other in tlvs if other is not tlv), tlv.value, True
    return tlvs, payload, False


def _read_time(body: bytes, at: int, status: int, field: str) -> tuple[str, int]:
    """A time is empty or of sixteen characters (7.1.1)."""
    if at < len(body) and not body[at]:
        return "", at + 1
    text, after = read_string(body, at, 17, status, field)
    if len(text) != 16:
        raise PduError(status, f"{field}: empty or of 16 characters")
    return text, after


def render_submit(message: ShortMessage) -> bytes:
    """The body of submit_sm or deliver_sm. Raises ``ValueError`` where a field does not fit."""
    (
        source, destination, payload, data_coding, esm_class, registered, service_type, protocol_id, priority,
        schedule, validity, replace, canned_id, tlvs, is_in_tlv,
    ) = message  # fmt: skip
    if is_in_tlv:
        tlvs, payload = (*tlvs, Tlv(_PAYLOAD, payload)), b""
    if (
        len(payload) > MAX_SHORT_MESSAGE
        or len(service_type) > 5
        or len(source.value) >= _ADDRESS_BYTES
        or len(destination.value) >= _ADDRESS_BYTES
        or len(schedule) > 16
        or len(validity) > 16
        or "\0" in f"{service_type}{source.value}{destination.value}{schedule}{validity}"
    ):
        raise ValueError("a text does not fit its SMPP field")
    head = (
        f"{service_type}\0{chr(source.ton)}{chr(source.npi)}{source.value}\0"
        f"{chr(destination.ton)}{chr(destination.npi)}{destination.value}\0"
        f"{chr(esm_class)}{chr(protocol_id)}{chr(priority)}{schedule}\0{validity}\0"
        f"{chr(registered)}{chr(replace)}{chr(data_coding)}{chr(canned_id)}{chr(len(payload))}"
    ).encode("latin-1")  # UnicodeEncodeError is a ValueError
    return head + payload + render_tlvs(tlvs) if tlvs else head + payload


def render_message_id(message_id: str) -> bytes:
    """The body of submit_sm_resp, deliver_sm_resp or data_sm_resp."""
    return render_string(message_id, _MESSAGE_ID_BYTES)


def parse_message_id(body: bytes) -> str:
    """The message id of an answer; some SMSCs leave the body out, which is "". What follows it is not read: some add
    TLVs there that 3.4 does not know. Raises ``PduError``."""
    if not body:
        return ""
    return read_string(body, 0, _MESSAGE_ID_BYTES, CommandStatus.SYSTEM_ERROR, "message_id")[0]


def render_multi_answer(message_id: str, failed: Sequence[UnsuccessfulDelivery]) -> bytes:
    """The body of submit_multi_resp (4.5.2)."""
    parts = [render_string(message_id, _MESSAGE_ID_BYTES), bytes((len(failed),))]
    for destination, status in failed:
        parts.append(render_address(destination, _ADDRESS_BYTES))
        parts.append(status.to_bytes(4, "big"))
    return b"".join(parts)
