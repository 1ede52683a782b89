"""Delivery receipts: the text of appendix B, and the TLVs that say the same (SMPP 3.4, 4.6.1 and 5.2.28).

Appendix B is a custom rather than a standard: SMSCs write ids in decimal or hexadecimal, dates with or without seconds,
fields in other orders. So the text is searched by field name, and the TLVs win where they stand.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final, NamedTuple

from filters.smpp.fields import Tlv, find_tlv
from filters.smpp.message import ShortMessage
from filters.smpp.numbers import TYPE_MASK, TYPE_RECEIPT, Tag


class MessageState(IntEnum):
    """5.2.28."""

    ENROUTE = 1
    DELIVERED = 2
    EXPIRED = 3
    DELETED = 4
    UNDELIVERABLE = 5
    ACCEPTED = 6
    UNKNOWN = 7
    REJECTED = 8

    @property
    def is_final(self) -> bool:
        """Whether nothing follows it."""
        return self not in (MessageState.ENROUTE, MessageState.ACCEPTED)


WORDS: Final = {
    MessageState.ENROUTE: "ENROUTE",
    MessageState.DELIVERED: "DELIVRD",
    MessageState.EXPIRED: "EXPIRED",
    MessageState.DELETED: "DELETED",
    MessageState.UNDELIVERABLE: "UNDELIV",
    MessageState.ACCEPTED: "ACCEPTD",
    MessageState.UNKNOWN: "UNKNOWN",
    MessageState.REJECTED: "REJECTD",
}
_STATES: Final = {word: state for state, word in WORDS.items()}
_FIELD: Final = re.compile(rb"(?:^|\s)(id|sub|dlvrd|submit date|done date|stat|err):\s?([^\s]*)", re.IGNORECASE)
_TEXT_MARK: Final = re.compile(rb"(?:^|\s)text:", re.IGNORECASE)
_MAX_SEARCHED: Final = 512


class Receipt(NamedTuple):
    """What a receipt says. Dates as written (YYMMDDhhmm, perhaps with seconds) or ""."""

    message_id: str
    state: MessageState
    error: str = "000"
    submitted: str = ""
    done: str = ""


def is_receipt(message: ShortMessage) -> bool:
    """Whether a deliver_sm is the SMSC's delivery receipt rather than somebody's message."""
    return message.esm_class & TYPE_MASK == TYPE_RECEIPT


def parse_receipt(message: ShortMessage) -> Receipt | None:
    """What the receipt in ``message`` says; None where it names no message."""
    text = message.payload[:_MAX_SEARCHED]
    mark = _TEXT_MARK.search(text)
    # What follows "text:" is the sender's own and may look like fields.
    found = {
        match[1].lower(): match[2].decode("latin-1")
        for match in _FIELD.finditer(text[: mark.start()] if mark else text)
    }
    message_id = found.get(b"id", "")
    named = find_tlv(message.tlvs, Tag.RECEIPTED_MESSAGE_ID)
    if named is not None:
        message_id = named.rstrip(b"\0").decode("latin-1")
    if not message_id:
        return None
    state = _STATES.get(found.get(b"stat", "").upper()[:7])
    told = find_tlv(message.tlvs, Tag.MESSAGE_STATE)
    if told is not None and told[0] in MessageState.__members__.values():
        state = MessageState(told[0])
    return Receipt(
        message_id,
        MessageState.UNKNOWN if state is None else state,
        found.get(b"err", "000"),
        found.get(b"submit date", ""),
        found.get(b"done date", ""),
    )


def render_receipt(receipt: Receipt, original: ShortMessage) -> ShortMessage:
    """The deliver_sm that tells the sender of ``original``: from its destination back to its source. Without the text:
    a receipt is no place for it."""
    delivered = "001" if receipt.state is MessageState.DELIVERED else "000"
    text = (
        f"id:{receipt.message_id} sub:001 dlvrd:{delivered} submit date:{receipt.submitted} "
        f"done date:{receipt.done} stat:{WORDS[receipt.state]} err:{receipt.error} text:"
    )
    tlvs = [
        Tlv(Tag.RECEIPTED_MESSAGE_ID, receipt.message_id.encode("latin-1") + b"\0"),
        Tlv(Tag.MESSAGE_STATE, bytes((receipt.state,))),
    ]
    reference = find_tlv(original.tlvs, Tag.USER_MESSAGE_REFERENCE)
    if reference is not None:
        tlvs.append(Tlv(Tag.USER_MESSAGE_REFERENCE, reference))
    return ShortMessage(
        source=original.destination,
        destination=original.source,
        payload=text.encode("latin-1"),
        esm_class=TYPE_RECEIPT,
        tlvs=tuple(tlvs),
    )


def receipt_date(at: float) -> str:
    """YYMMDDhhmm of seconds since 1970, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%y%m%d%H%M")


def wants_receipt(message: ShortMessage, state: MessageState) -> bool:
    """Whether the sender asked to be told of ``state`` (5.2.17): 1 of any end, 2 of failure only."""
    asked = message.registered_delivery & 0x03
    if asked == 1:
        return state.is_final
    return asked == 2 and state.is_final and state is not MessageState.DELIVERED
