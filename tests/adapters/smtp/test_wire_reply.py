"""Replies are read strictly, in any chunks, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.smtp.wire_reply import MAX_LINE_BYTES, MAX_REPLY_BYTES, GarbledReplyError, ReplyReader, WireReply

texts = st.binary(max_size=60).filter(lambda text: b"\n" not in text and not text.endswith(b"\r"))
replies = st.builds(
    lambda code, lines: WireReply(code, b"\n".join(lines)),
    st.integers(200, 599),
    st.lists(texts, min_size=1, max_size=4),
)


def render(reply: WireReply) -> bytes:
    lines = reply.text.split(b"\n")
    marks = [b"-"] * (len(lines) - 1) + [b" "]
    return b"".join(b"%d%s%s\r\n" % (reply.code, mark, line) for mark, line in zip(marks, lines, strict=True))


def read_all(chunks: list[bytes]) -> list[WireReply]:
    reader = ReplyReader()
    found = []
    for chunk in chunks:
        reader.feed(chunk)
        while (reply := reader.next_reply()) is not None:
            found.append(reply)
    return found


@given(st.lists(replies, max_size=5), st.data())
def test_chunks_do_not_matter(sent: list[WireReply], data: st.DataObject) -> None:
    """The same replies come out whole, byte by byte, and cut anywhere."""
    wire = b"".join(render(reply) for reply in sent)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=8)))
    pieces = [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert read_all([wire]) == sent
    assert read_all(pieces) == sent
    assert read_all([bytes([byte]) for byte in wire]) == sent


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_anything_else_is_garbled_or_waits(chunks: list[bytes]) -> None:
    """Arbitrary bytes give replies, patience, or GarbledReplyError; never another exception."""
    try:
        for reply in read_all(chunks):
            assert 200 <= reply.code < 600
    except GarbledReplyError:
        pass


@pytest.mark.parametrize(
    "wire",
    [
        b"hello\r\n",
        b"\r\n",
        b"25\r\n",
        b"2500 ok\r\n",
        b"250_ok\r\n",
        b"150 ok\r\n",
        b"600 ok\r\n",
        b"250-first\r\n251 other\r\n",
        b"2\xb250 ok\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"250 " + b"x" * MAX_LINE_BYTES + b"\r\n",
        b"x" * (MAX_LINE_BYTES + 1),
        b"250-x\r\n" * (MAX_REPLY_BYTES // 5 + 1),
    ],
)
def test_no_reply(wire: bytes) -> None:
    """What RFC 5321 4.2 does not know, and what has no end, is refused."""
    with pytest.raises(GarbledReplyError):
        read_all([wire])


def test_a_bare_code_and_a_bare_newline_are_replies() -> None:
    """A code without text is allowed (RFC 5321 4.2); a bare LF is tolerated."""
    assert read_all([b"250\r\n250 ok\n"]) == [(250, b""), (250, b"ok")]


def test_rest_is_noticed() -> None:
    """Half a line, and half a reply, count as unread."""
    reader = ReplyReader()
    reader.feed(b"250 ok\r\n25")
    assert reader.next_reply() == (250, b"ok")
    assert reader.has_rest
    reader.feed(b"0-more\r\n")
    assert reader.next_reply() is None
    assert reader.has_rest
    reader.feed(b"250 end\r\n")
    assert reader.next_reply() == (250, b"more\nend")
    assert not reader.has_rest
