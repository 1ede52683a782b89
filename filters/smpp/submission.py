"""From what came over the link to a ``Submission``, the words all SMS dialects share, and back to submit_sm.

``read_submission`` makes one submission of one message or of all parts of a long one; ``write_messages`` makes what
leaves for one recipient. A text that nobody changed leaves in the octets in which it came; a changed one is encoded as
its sender encoded it and cut anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from filters.phone import PhoneError, PhoneNumber, parse_phone
from filters.smpp.coding import Coding, DefaultAlphabet, decode_units, find_coding, read_units
from filters.smpp.fields import Address, PduError, Tlv
from filters.smpp.message import ShortMessage, change_text
from filters.smpp.numbers import HAS_HEADER, MODE_MASK, STORE_AND_FORWARD, TYPE_MASK, VENDOR_TAGS, CommandStatus, Tag
from filters.smpp.split import MAX_UNSPLIT, PART_OCTETS, LongStyle, capacity, split_text
from filters.smpp.tags import TagRules, find_class, find_type
from filters.smpp.times import parse_schedule
from filters.smpp.user_data import UserData, parse_user_data
from filters.sms.message import Alphabet, SmsRecipient, Submission, TextKind

DIALECT: Final = "smpp"
TON_INTERNATIONAL: Final = 1
_TON_UNKNOWN_OR_NATIONAL: Final = (0, 2)
_PASSED_ON: Final = frozenset({Tag.PRIVACY, Tag.USER_MESSAGE_REFERENCE, Tag.LANGUAGE})
_SAR: Final = frozenset({Tag.SAR_REFERENCE, Tag.SAR_TOTAL, Tag.SAR_NUMBER})
_PORTS: Final = frozenset({Tag.SOURCE_PORT, Tag.DESTINATION_PORT})
_REPLACES_SAME_TYPE: Final = range(0x41, 0x48)
"""protocol_id of texts that overwrite an earlier one on the handset (23.040, 9.2.3.9); texts all the same."""


@dataclass(slots=True)
class SmppRequest:
    """What the codec needs of a request to send it on and to answer it; ``Submission.fields["smpp"]``.

    ``parts`` as they came, in order; ``text`` what they said. ``coding`` is None where they are no text to read.
    """

    owner: str
    parts: tuple[ShortMessage, ...]
    destinations: tuple[Address, ...]
    text: str
    coding: Coding | None
    style: LongStyle


@dataclass(frozen=True, slots=True)
class LinkReading:
    """How messages of one link are read. ``long_style``: how a text travels that came in one part and needs more."""

    default_alphabet: DefaultAlphabet = DefaultAlphabet.GSM
    tags: TagRules = field(default_factory=TagRules)
    long_style: LongStyle = LongStyle.HEADER_8


def read_submission(
    parts: Sequence[ShortMessage],
    destinations: Sequence[Address],
    *,
    owner: str,
    operation: str,
    system_type: str,
    style: LongStyle | None,
    reading: LinkReading,
    now: float,
) -> Submission:
    """What is asked for by ``parts`` (one message, or all of a long one in order) for ``destinations``.

    ``style`` is how the parts came, None for a message in one part; ``now`` in seconds since 1970 UTC. Raises
    ``PduError``.
    """
    first = parts[0]
    if len(parts) == 1 and _is_ordinary(first):
        kind, coding, units = TextKind.PLAIN, find_coding(first.data_coding, reading.default_alphabet), b""
        if coding is None:
            kind = TextKind.BINARY
        else:
            units = read_units(first.payload, coding)
    else:
        kind, coding, units = _read_parts(parts, reading.default_alphabet)
    text, alphabet = "", Alphabet.AUTO
    if coding is not None:
        try:
            text = decode_units(units, coding)
        except ValueError:
            raise PduError(CommandStatus.SUBMIT_FAILED, "the text is not in the alphabet of its data_coding") from None
        alphabet = coding.alphabet
        if style is None:
            style = _style_of(first, len(units), coding, reading.long_style)
    request = SmppRequest(
        owner, tuple(parts), tuple(destinations), text, coding, style if style is not None else reading.long_style
    )
    has_tags = not reading.tags.is_silent
    return Submission(
        dialect=DIALECT,
        operation=operation,
        recipients=[SmsRecipient(find_number(address), address.value, 0) for address in destinations],
        texts=[text],
        sender_title=first.source.value,
        credential_id=owner,
        tag_class=find_class(first, system_type, reading.tags) if has_tags else None,
        tag_type=find_type(first, reading.tags) if has_tags else None,
        kind=kind,
        alphabet=alphabet,
        send_at=parse_schedule(first.schedule, now) if first.schedule else None,
        fields={DIALECT: request},
    )


def _is_ordinary(message: ShortMessage) -> bool:
    """Whether the payload is the text as it stands: no header, no parameters, nothing special about it."""
    return not (
        message.tlvs or message.protocol_id or message.canned_id or message.esm_class not in (0, STORE_AND_FORWARD)
    )


def _read_parts(parts: Sequence[ShortMessage], default: DefaultAlphabet) -> tuple[TextKind, Coding | None, bytes]:
    """What kind of message it is, and the coding and units of its whole text where it is one to read."""
    first = parts[0]
    datas: list[UserData] = []
    is_canned = False
    for message in parts:
        if message.esm_class & TYPE_MASK:
            raise PduError(CommandStatus.INVALID_ESM_CLASS, "esm_class: acknowledgements are not taken")
        if message is not first and (message.protocol_id, message.schedule) != (first.protocol_id, first.schedule):
            # What is read of the first part must hold for the one with the opt-out too: shown, and not sent later.
            raise PduError(CommandStatus.SUBMIT_FAILED, "parts of one message with different times or protocols")
        is_canned = is_canned or message.canned_id != 0
        datas.append(_user_data(message))
    coding = _coding_of(first, datas, default)
    if is_canned:
        # The text lies at the SMSC under a number.
        return TextKind.TEMPLATE, None, b""
    if coding is None:
        return TextKind.BINARY, None, b""
    return TextKind.PLAIN, coding, b"".join([read_units(data.content, coding, data.header_bytes) for data in datas])


def find_number(address: Address) -> PhoneNumber | None:
    """The number behind a destination, or None where it is not surely one."""
    value = address.value
    if address.ton == TON_INTERNATIONAL:
        value = value if value.startswith("+") else f"+{value}"
    elif address.ton not in _TON_UNKNOWN_OR_NATIONAL:
        return None
    try:
        number = parse_phone(value)
    except PhoneError:
        return None
    return None if address.ton != TON_INTERNATIONAL and number.hangs_on_its_plus else number


def write_messages(
    request: SmppRequest, destination: Address, text: str, reference: Callable[[], int]
) -> list[ShortMessage]:
    """What leaves for ``destination``. Raises ``ValueError`` where ``text`` does not go into the sender's coding.

    ``reference`` tells what the parts of a changed text have in common; it is asked where there are parts.
    """
    first = request.parts[0]
    if request.coding is None or text == request.text:
        # Without its ports what is for a program would be shown as a text.
        more = _SAR if request.coding is not None else _SAR | _PORTS
        return [
            change_text(
                message,
                destination,
                message.payload,
                message.esm_class,
                _passed_on(message.tlvs, more),
                is_in_tlv=message.is_in_tlv,
            )
            for message in request.parts
        ]
    tlvs = _passed_on(first.tlvs)
    mode = first.esm_class & ~HAS_HEADER
    return [
        change_text(first, destination, payload, mode | esm_class, tlvs + sar, is_in_tlv=is_in_tlv)
        for payload, esm_class, sar, is_in_tlv in split_text(text, request.coding, request.style, reference)
    ]


def _user_data(message: ShortMessage) -> UserData:
    if message.esm_class & MODE_MASK == 1:
        # Datagrams have no answer that means anything.
        raise PduError(CommandStatus.INVALID_ESM_CLASS, "esm_class: datagram mode is not taken")
    if message.esm_class & HAS_HEADER:
        return parse_user_data(message.payload)
    return UserData(message.payload)


def _coding_of(first: ShortMessage, datas: Sequence[UserData], default: DefaultAlphabet) -> Coding | None:
    """The coding of the whole text, or None where the message is no text to read."""
    has_shift, has_locking = datas[0].has_turkish_shift, datas[0].has_turkish_locking
    for data in datas:
        if data.has_other:
            return None
        if (data.has_turkish_shift, data.has_turkish_locking) != (has_shift, has_locking):
            raise PduError(CommandStatus.INVALID_ESM_CLASS, "parts of one message in different alphabets")
    if first.protocol_id and first.protocol_id not in _REPLACES_SAME_TYPE:
        return None
    if first.tlvs and any(tlv.tag in _PORTS for tlv in first.tlvs):
        return None
    return find_coding(first.data_coding, default, has_turkish_shift=has_shift, has_turkish_locking=has_locking)


def _style_of(message: ShortMessage, size: int, coding: Coding, usual: LongStyle) -> LongStyle:
    """How a message that came whole goes on when it has grown: cut by the SMSC where its sender leaves that to it."""
    if message.is_in_tlv:
        return LongStyle.PAYLOAD
    if size <= PART_OCTETS:
        return usual
    if size > capacity(coding, 0) and size <= MAX_UNSPLIT:
        return LongStyle.UNSPLIT
    return usual


def _passed_on(tlvs: tuple[Tlv, ...], more: frozenset[Tag] = frozenset()) -> tuple[Tlv, ...]:
    """The TLVs that go on: those we know to be harmless, the operator's own, and those in ``more``."""
    if not tlvs:
        return tlvs
    return tuple(tlv for tlv in tlvs if tlv.tag in _PASSED_ON or tlv.tag in VENDOR_TAGS or tlv.tag in more)
