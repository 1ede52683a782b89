"""A reply is one value, and it cannot contradict itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.reply import Reply

codes = st.integers(200, 599)
texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)


@given(codes, st.sampled_from(["", "0.0", "7.1"]), texts)
def test_code_and_enhanced_code_agree(code: int, detail: str, text: str) -> None:
    """The first digit of both is the same, whatever was put in."""
    reply = Reply(code, detail, text)
    assert not reply.enhanced or reply.enhanced[0] == str(code)[0]
    assert [reply.is_success, reply.is_temporary, reply.is_permanent].count(True) == 1


@given(codes, st.lists(texts, min_size=1, max_size=5))
def test_all_lines_but_the_last_have_a_hyphen(code: int, lines: list[str]) -> None:
    """RFC 5321 4.2: a client knows where a reply ends."""
    wire = Reply(code, "1.5", "\n".join(lines)).render().decode("ascii")
    assert wire.endswith("\r\n")
    rows = wire[:-2].split("\r\n")
    assert [row[3] for row in rows] == ["-"] * (len(lines) - 1) + [" "]
    assert all(row.startswith(str(code)) for row in rows)


@pytest.mark.parametrize(
    ("reply", "wire"),
    [
        (Reply(250, "0.0", "Ok"), b"250 2.0.0 Ok\r\n"),
        (Reply(354, "", "Go ahead"), b"354 Go ahead\r\n"),
        (Reply(550, "7.1", "ğ"), b"550 5.7.1 ?\r\n"),
    ],
)
def test_the_wire_form(reply: Reply, wire: bytes) -> None:
    """ASCII whatever the text."""
    assert reply.render() == wire
