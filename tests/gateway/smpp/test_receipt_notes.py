"""Receipts find their message in another worker, and in this one after a restart."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.smpp.fields import Address, Tlv
from filters.smpp.message import ShortMessage
from filters.smpp.numbers import Tag
from filters.smpp.receipt import MessageState, Receipt, parse_receipt
from filters.sms.note_seal import NoteSeal
from gateway.smpp import receipt_notes
from gateway.smpp.receipt_notes import ReceiptNotes
from gateway.smpp.receipts import ClientPart, ReceiptBook, ToDeliver
from gateway.sms.sealed_notes import SealedNotes
from tests.support.memory_index import MemoryIndex

SENT = ShortMessage(
    Address(5, 0, "SHOP"),
    Address(1, 1, "905321234567"),
    b"Bahar",
    registered_delivery=1,
    tlvs=(Tlv(Tag.USER_MESSAGE_REFERENCE, b"\0\7"), Tlv(0x1400, b"x")),
)
PARTS = (ClientPart("iz00", SENT),)
DELIVERED = Receipt("4711", MessageState.DELIVERED, "000", "2611211200", "2611211201")


@pytest.fixture
def index() -> MemoryIndex:
    return MemoryIndex()


def make_book(index: MemoryIndex, upstream: str = "operator") -> ReceiptBook:
    """One worker's."""
    return ReceiptBook(kept=ReceiptNotes(SealedNotes(index, NoteSeal({1: b"n" * 32}, 1)), upstream))


async def ask(book: ReceiptBook, receipt: Receipt = DELIVERED) -> ToDeliver | None:
    """What the book says, after its patience if need be."""
    said: list[ToDeliver | None] = []
    book.find(receipt, 0.0, said.append)
    for _ in range(5):
        await asyncio.sleep(0)
    book.sweep(10.0)
    (found,) = said
    return found


async def test_another_worker_tells_the_client_what_the_first_one_would(index: MemoryIndex) -> None:
    first, other = make_book(index), make_book(index)
    first.track("shop", PARTS, ["4711"], 0.0)
    by_other, by_first = await ask(other), await ask(first)
    assert by_other is not None
    assert by_first is not None
    assert (by_other.client, by_other.messages) == (by_first.client, by_first.messages)
    (told,) = by_other.messages
    receipt = parse_receipt(told)
    assert receipt is not None
    assert (receipt.message_id, receipt.state, told.source, told.destination) == (
        "iz00",
        MessageState.DELIVERED,
        SENT.destination,
        SENT.source,
    )


async def test_a_receipt_that_cannot_be_delivered_yet_is_found_again(index: MemoryIndex) -> None:
    make_book(index).track("shop", PARTS, ["4711"], 0.0)
    other = make_book(index)
    found = await ask(other)
    assert found is not None
    other.restore(found)
    again = await ask(other)
    assert again is not None
    assert again.messages == found.messages


async def test_another_operators_id_is_nobodys(index: MemoryIndex) -> None:
    """Two SMSCs may give the same id."""
    make_book(index).track("shop", PARTS, ["4711"], 0.0)
    assert await ask(make_book(index, "other")) is None
    assert await ask(make_book(index), DELIVERED._replace(message_id="4712")) is None


async def test_a_message_of_several_at_the_smsc_is_its_own_workers_alone(index: MemoryIndex) -> None:
    make_book(index).track("shop", PARTS, ["4711", "4712"], 0.0)
    assert await ask(make_book(index)) is None


async def test_nothing_is_kept_where_no_receipt_was_asked_for(index: MemoryIndex) -> None:
    silent = (ClientPart("iz00", SENT._replace(registered_delivery=0)),)
    make_book(index).track("shop", silent, ["4711"], 0.0)
    assert index.notes == {}


async def test_the_store_shows_neither_number_nor_text(index: MemoryIndex) -> None:
    make_book(index).track("shop", PARTS, ["4711"], 0.0)
    dump = b"".join(name + sealed for name, sealed in index.notes.items())
    assert not [secret for secret in (b"90532", b"Bahar", b"SHOP", b"shop", b"4711") if secret in dump]


async def test_a_slow_store_holds_a_bounded_number(index: MemoryIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipt_notes, "MAX_UNDER_WAY", 3)
    asked: list[bytes] = []
    monkeypatch.setattr(index, "keep_note", lambda name, _sealed, _done: asked.append(name))
    book = make_book(index)
    for number in range(9):
        book.track("shop", PARTS, [str(number)], 0.0)
    assert len(asked) == 3


@given(plain=st.binary(max_size=2000))
def test_short_and_long_notes_open_to_what_was_sealed(plain: bytes) -> None:
    seal = NoteSeal({1: b"n" * 32}, 1)
    (name,) = seal.names("x")
    assert seal.open(name, seal.seal(name, plain, b"n" * 12)) == plain


async def test_no_two_notes_share_a_nonce(index: MemoryIndex) -> None:
    """One nonce twice under one key would give both texts away; nonces are drawn in blocks, and blocks have ends."""
    nonces: list[bytes] = []

    class Watched(NoteSeal):
        def seal(self, name: bytes, plain: bytes, nonce: bytes) -> bytes:
            nonces.append(nonce)
            return super().seal(name, plain, nonce)

    book = ReceiptBook(kept=ReceiptNotes(SealedNotes(index, Watched({1: b"n" * 32}, 1)), "operator"))
    for number in range(1000):
        book.track("shop", PARTS, [str(number)], 0.0)
    assert {len(nonce) for nonce in nonces} == {12}
    assert len(set(nonces)) == 1000
