"""Octets and text, parts and wholes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.smpp.coding import Coding, DefaultAlphabet, Scheme, decode_units, read_units
from filters.smpp.fields import Address, PduError
from filters.smpp.message import ShortMessage
from filters.smpp.numbers import HAS_HEADER
from filters.smpp.reassembly import Reassembler, ReassemblyLimits, find_part
from filters.smpp.septets import pack, unpack
from filters.smpp.split import LongStyle, TooLongError, split_text
from filters.smpp.submission import LinkReading, read_submission, write_messages
from filters.smpp.user_data import parse_user_data, render_header
from filters.sms.alphabet import Encoding, find_characters
from filters.sms.message import Alphabet, TextKind

CODINGS = {
    "gsm": Coding(0, Scheme.GSM),
    "packed": Coding(0, Scheme.GSM_PACKED),
    "turkish": Coding(0, Scheme.GSM, has_turkish_shift=True),
    "locking": Coding(0, Scheme.GSM, has_turkish_locking=True),
    "both": Coding(0, Scheme.GSM, has_turkish_shift=True, has_turkish_locking=True),
    "ascii": Coding(1, Scheme.ASCII),
    "latin-1": Coding(3, Scheme.LATIN_1),
    "ucs-2": Coding(8, Scheme.UCS2),
}
_TABLES = {
    "gsm": Encoding.GSM7, "packed": Encoding.GSM7, "turkish": Encoding.TURKISH_SINGLE,
    "locking": Encoding.TURKISH_LOCKING, "both": Encoding.TURKISH_BOTH,
}  # fmt: skip
SHOP, SOMEBODY = Address(5, 0, "SHOP"), Address(1, 1, "905321234567")
STYLES = [LongStyle.HEADER_8, LongStyle.HEADER_16, LongStyle.SAR, LongStyle.PAYLOAD]


def texts(name: str) -> st.SearchStrategy[str]:
    if name in _TABLES:
        letters = sorted(find_characters(_TABLES[name]) or ())
        return st.text(st.sampled_from(letters), max_size=700)
    if name == "ucs-2":
        return st.text(st.characters(blacklist_categories=["Cs"]), max_size=300)
    top = 127 if name == "ascii" else 255
    return st.text(st.characters(max_codepoint=top), max_size=700)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", CODINGS)
@given(data=st.data())
@settings(max_examples=20)
def test_parts_say_what_the_whole_said(name: str, style: LongStyle, data: st.DataObject) -> None:
    """Each part fits 140 octets, no pair is torn, and together they are the text again."""
    text = data.draw(texts(name))
    coding = CODINGS[name]
    pieces = split_text(text, coding, style, lambda: 0x1234)
    units = b""
    for piece in pieces:
        headed = bool(piece.esm_class & HAS_HEADER)
        user_data = parse_user_data(piece.payload) if headed else None
        content = user_data.content if user_data else piece.payload
        header_bytes = user_data.header_bytes if user_data else 0
        part = read_units(content, coding, header_bytes)
        if style is not LongStyle.PAYLOAD:
            if coding.scheme is Scheme.UCS2:
                assert len(piece.payload) <= 140
                part.decode("utf-16-be")
            elif coding.scheme is Scheme.GSM:
                assert (header_bytes * 8 + 6) // 7 + len(part) <= 160
                decode_units(part, coding)
                assert not part.endswith(b"\x1b")
            elif coding.scheme is Scheme.GSM_PACKED:
                assert len(piece.payload) <= 140
        units += part
    decoded = decode_units(units, coding)
    if coding.scheme is Scheme.GSM_PACKED:
        # Seven spare bits cannot be told from "@" or CR at the end of eight septets.
        assert decoded.rstrip("@\r") == text.rstrip("@\r") or text.replace("@", "").replace("\r", "") == (
            decoded.replace("@", "").replace("\r", "")
        )
    else:
        assert decoded == text


def test_more_than_255_parts_are_refused() -> None:
    with pytest.raises(TooLongError):
        split_text("x" * 40_000, CODINGS["gsm"], LongStyle.HEADER_8, lambda: 1)


@given(st.binary(max_size=200).map(lambda octets: bytes(octet & 0x7F for octet in octets)), st.integers(0, 12))
def test_packed_septets_come_back(septets: bytes, header: int) -> None:
    back = unpack(pack(septets, header), header)
    assert back.rstrip(b"\0\r") == septets.rstrip(b"\0\r")
    if septets and septets[-1] not in b"\0\r":
        assert back == septets


def test_the_standards_own_example_of_packing() -> None:
    """3GPP TS 23.038, 6.1.2.1: "hellohello"."""
    assert pack(b"hellohello") == bytes.fromhex("E8329BFD4697D9EC37")


@given(st.binary(max_size=30))
def test_noise_for_a_header_is_refused_or_read(payload: bytes) -> None:
    try:
        data = parse_user_data(payload)
    except PduError:
        return
    assert data.header_bytes + len(data.content) == len(payload)
    assert data.part is None or 1 <= data.part.number <= data.part.total


def parts_of(text: str, name: str, style: LongStyle, reference: int = 9) -> list[ShortMessage]:
    pieces = split_text(text, CODINGS[name], style, lambda: reference)
    return [
        ShortMessage(
            SHOP,
            SOMEBODY,
            piece.payload,
            CODINGS[name].data_coding,
            piece.esm_class,
            tlvs=piece.tlvs,
            is_in_tlv=piece.is_in_tlv,
        )
        for piece in pieces
    ]


@pytest.mark.parametrize("style", STYLES[:3])
@given(
    text=st.text("abc{€ ğĞışÇ", min_size=200, max_size=500),
    seed=st.integers(),
    name=st.sampled_from(["turkish", "ucs-2"]),
)
@settings(max_examples=30)
def test_parts_in_any_order_make_the_same_message(style: LongStyle, text: str, seed: int, name: str) -> None:
    """The set completes with its last part and not before; the text is whole."""
    parts = parts_of(text, name, style)
    shuffled = list(enumerate(parts))
    random.Random(seed).shuffle(shuffled)
    reassembler = Reassembler(ReassemblyLimits())
    complete = None
    for number, part in shuffled:
        assert complete is None
        place = find_part(part)
        assert place is not None
        complete = reassembler.add("shop", part, place, number, 0.0).complete
    assert complete is not None
    assert [part.ticket for part in complete.in_order()] == list(range(len(parts)))
    assert (len(reassembler), reassembler.part_count, reassembler.size_bytes) == (0, 0, 0)
    submission = read_submission(
        [part.message for part in complete.in_order()],
        [SOMEBODY],
        owner="shop",
        operation="submit_sm",
        system_type="",
        style=complete.style,
        reading=LinkReading(),
        now=0.0,
    )
    assert submission.texts == [text]
    request = submission.fields["smpp"]
    assert [message._replace(tlvs=()) for message in write_messages(request, SOMEBODY, text, lambda: 1)] == [
        part._replace(tlvs=()) for part in parts
    ], "an unchanged text leaves in the octets in which it came"


def test_a_reference_used_again_gives_the_old_set_up() -> None:
    """Eight bits come round quickly: other text under the same number is another message."""
    old, new = parts_of("x" * 200, "gsm", LongStyle.HEADER_8), parts_of("y" * 200, "gsm", LongStyle.HEADER_8)
    reassembler = Reassembler(ReassemblyLimits())
    for part, ticket in ((old[0], "old"), (new[0], "new")):
        place = find_part(part)
        assert place is not None
        added = reassembler.add("shop", part, place, ticket, 0.0)
    assert added.given_up is not None
    assert added.given_up.parts[1].ticket == "old"
    place = find_part(new[1])
    assert place is not None
    complete = reassembler.add("shop", new[1], place, "last", 0.0).complete
    assert complete is not None
    assert [part.ticket for part in complete.in_order()] == ["new", "last"]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4), st.integers(0, 1)), max_size=60))
def test_memory_is_counted_right_whatever_comes(arrivals: list[tuple[int, int, int]]) -> None:
    """Bounds hold at every step, and after expiry nothing is left."""
    limits = ReassemblyLimits(max_parts=7, max_bytes=6000, max_age_s=10)
    reassembler = Reassembler(limits)
    statuses: set[int] = set()
    for now, (reference, number, letter) in enumerate(arrivals):
        payload = bytes((5, 0, 3, reference, 4, number)) + b"xy"[letter : letter + 1]
        message = ShortMessage(SHOP, SOMEBODY, payload, 0, HAS_HEADER)
        place = find_part(message)
        assert place is not None
        try:
            reassembler.add("shop", message, place, None, now)
        except PduError as error:
            statuses.add(error.status)
        assert reassembler.part_count <= limits.max_parts
        assert reassembler.size_bytes <= limits.max_bytes
        reassembler.expire(now)
    reassembler.expire(10_000)
    assert statuses <= {0x58}
    assert (len(reassembler), reassembler.part_count, reassembler.size_bytes) == (0, 0, 0)


@pytest.mark.parametrize(
    ("default", "octets", "text"),
    [
        (DefaultAlphabet.GSM, b"\x00Hi\x02\x1b\x65", "@Hi$€"),
        (DefaultAlphabet.LATIN_1, b"Hi \xfc", "Hi ü"),
        (DefaultAlphabet.GSM_PACKED, bytes.fromhex("E8329BFD4697D9EC37"), "hellohello"),
    ],
)
def test_data_coding_0_is_what_the_operator_says(default: DefaultAlphabet, octets: bytes, text: str) -> None:
    submission = read_submission(
        [ShortMessage(SHOP, SOMEBODY, octets)],
        [SOMEBODY],
        owner="shop",
        operation="submit_sm",
        system_type="",
        style=None,
        reading=LinkReading(default_alphabet=default),
        now=0.0,
    )
    assert (submission.texts, submission.kind) == ([text], TextKind.PLAIN)


def test_turkish_shift_is_kept_when_the_text_grows() -> None:
    """Never another alphabet (C2.3): the header names the table in each new part."""
    header = render_header(None, has_turkish_shift=True)
    message = ShortMessage(SHOP, SOMEBODY, header + b"a\x1bg" * 50, 0, HAS_HEADER)
    submission = read_submission(
        [message], [SOMEBODY], owner="shop", operation="submit_sm", system_type="", style=None,
        reading=LinkReading(), now=0.0,
    )  # fmt: skip
    assert (submission.texts[0], submission.alphabet) == ("ağ" * 50, Alphabet.TURKISH)
    grown = write_messages(submission.fields["smpp"], SOMEBODY, submission.texts[0] + " RET", lambda: 5)
    assert len(grown) == 1
    grown = write_messages(submission.fields["smpp"], SOMEBODY, submission.texts[0] + " RET SHOP 3338", lambda: 5)
    assert len(grown) == 2
    for number, part in enumerate(grown, 1):
        data = parse_user_data(part.payload)
        assert data.has_turkish_shift
        assert data.part is not None
        assert (data.part.reference, data.part.number) == (5, number)
