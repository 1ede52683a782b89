"""Content ends at CRLF "." CRLF and nowhere else, and a message with any other newline is refused whole."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.reply import Reply
from gateway.smtp import replies
from gateway.smtp.effects import CheckRecipient, HandleMessage
from gateway.smtp.end_of_data import ContentReader, has_clean_lines, split_at_end, unstuff
from gateway.smtp.settings import ListenerSettings
from tests.support.mail_world import make_dialogue

NEWLINES = [b"\n", b"\r", b"\r\n", b"\n\r", b"\r\0", b"\0\n", b"\r\0\n", b"\n\0"]
WRONG_ENDS = [
    before + b"." + after for before, after in itertools.product(NEWLINES, NEWLINES) if before + after != b"\r\n\r\n"
]
SMUGGLED = b"MAIL FROM:<boss@bank.example>\r\nRCPT TO:<victim@customer.example>\r\nDATA\r\nSend money\r\n"

# Mail-like bytes that are dense in what matters.
DENSE = st.lists(
    st.sampled_from([b"\r\n", b"\r\n.", b"\r\n..", b"\r\n.\r", b"\r", b"\n", b".", b"a", b"text ", b"\0"]), max_size=30
).map(b"".join)


def begin(limit: int = 10_000):
    dialogue = make_dialogue(ListenerSettings(name="in", hostname="gate.example", max_message_bytes=limit))
    assert dialogue.receive(b"HELO c.example\r\nMAIL FROM:<a@shop.example>\r\n") is None
    assert isinstance(dialogue.receive(b"RCPT TO:<b@customer.example>\r\n"), CheckRecipient)
    assert dialogue.recipient_checked(None) is None
    assert dialogue.receive(b"DATA\r\n") is None
    dialogue.take_replies()
    return dialogue


@pytest.mark.parametrize("is_bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("end", WRONG_ENDS, ids=repr)
def test_a_wrong_end_of_data_ends_nothing(end: bytes, is_bytewise: bool) -> None:
    """The message is refused at its true end, nothing is handed on, and what was smuggled in is never a command."""
    assert len(WRONG_ENDS) >= 27
    dialogue = begin()
    sent = b"Hello" + end + SMUGGLED + b".\r\n"
    for piece in [sent[at : at + 1] for at in range(len(sent))] if is_bytewise else [sent]:
        assert dialogue.receive(piece) is None
    assert dialogue.take_replies() == replies.BARE_NEWLINE_IN_CONTENT
    assert dialogue.receive(b"NOOP\r\n") is None
    assert dialogue.take_replies() == replies.NOTHING_DONE


@given(DENSE, st.data())
def test_the_end_is_where_the_standard_says_it_is_however_blocks_are_cut(content: bytes, data: st.DataObject) -> None:
    """Against a plain search over the whole."""
    sent = content + b"\r\n.\r\nREST"
    end = (b"\r\n" + sent).index(b"\r\n.\r\n")
    expected_content = unstuff(sent[:end])
    reader = ContentReader()
    at = 0
    while True:
        size = data.draw(st.integers(1, len(sent) - at))
        place = reader.read(sent[: at + size], at)
        if place >= 0:
            break
        at += size
    assert place == end + 3
    assert reader.take_content() == expected_content
    whole = split_at_end(sent, 0)
    if whole is None:
        assert sent.startswith(b".")
    else:
        assert whole == (expected_content, end + 3)


@given(DENSE, st.integers(1, 7))
def test_dropped_content_ends_at_the_same_place(content: bytes, size: int) -> None:
    """What is thrown away is still read strictly."""
    sent = content + b"\r\n.\r\n"
    end = (b"\r\n" + sent).index(b"\r\n.\r\n") + 3
    reader = ContentReader()
    reader.drop()
    for at in range(0, len(sent), size):
        place = reader.read(sent[at : at + size], 0)
        if place >= 0:
            assert at + place == end
            return
        reader.drop()
    raise AssertionError("the end was not found")


@given(DENSE)
def test_lines_are_clean_if_and_only_if_every_newline_is_crlf_and_there_is_no_nul(content: bytes) -> None:
    """The fast comparison says the same as a search with an expression."""
    is_dirty = re.search(rb"\r(?!\n)|(?<!\r)\n|\0", content) is not None
    assert has_clean_lines(content) is not is_dirty


@given(st.lists(st.sampled_from([b"", b".", b"..", b"a", b".a", b"a."]), max_size=8))
def test_stuffing_is_undone_exactly(lines: list[bytes]) -> None:
    """What a client stuffs by the standard arrives as it was written."""
    written = b"".join(line + b"\r\n" for line in lines)
    stuffed = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
    dialogue = begin()
    effect = dialogue.receive(stuffed + b".\r\n")
    assert isinstance(effect, HandleMessage)
    assert effect.content == written


def test_a_line_over_998_octets_is_passed_on_as_it_came() -> None:
    """Real senders write such lines and next hops take them; the gate does not stop what flowed before."""
    dialogue = begin(limit=100_000)
    content = b"Subject: long\r\n\r\n" + b"x" * 50_000 + b"\r\n"
    effect = dialogue.receive(content + b".\r\n")
    assert isinstance(effect, HandleMessage)
    assert effect.content == content


def test_a_message_far_over_the_limit_ends_the_session() -> None:
    """Reading on to say 552 politely has a bound."""
    dialogue = begin(limit=1000)
    block = b"x" * 998 + b"\r\n"
    for _ in range(200):
        effect = dialogue.receive(block)
        if effect is not None:
            break
    assert dialogue.take_replies() == replies.MESSAGE_FAR_TOO_BIG
    assert dialogue.effect is effect is not None


def test_refusing_content_costs_no_memory() -> None:
    """What is too big is not collected."""
    dialogue = begin(limit=100_000)
    for _ in range(300):
        dialogue.receive(b"x" * 1000)
    assert dialogue._budget.used_bytes == 0
    assert len(dialogue._content._buffer) < 5


def test_a_byte_at_a_time_is_not_quadratic() -> None:
    """A megabyte in single bytes takes no longer than a few hundred nanoseconds each."""
    import time

    def spend(size: int) -> float:
        reader = ContentReader()
        started = time.process_time()
        for _ in range(size):
            reader.read(b"x", 0)
        return time.process_time() - started

    spend(1000)
    small, large = spend(20_000), spend(200_000)
    assert large < 40 * small


def test_a_handler_reply_of_421_does_not_announce_that_we_close() -> None:
    """A next hop that closes its channel means a temporary failure here."""
    dialogue = begin()
    dialogue.receive(b"x\r\n.\r\nMAIL FROM:<a@shop.example>\r\nRCPT TO:<b@customer.example>\r\n")
    assert dialogue.message_answered(None) is not None
    dialogue.take_replies()
    dialogue.recipient_checked(Reply(421, "4.1", "Away"))
    assert dialogue.take_replies() == b"451 4.4.1 Away\r\n"
