"""Header blocks: names, offsets, values."""

from __future__ import annotations

import email
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.mime.fields import AMBIGUOUS_TYPE, DEFAULT_TYPE, parse_content_type, parse_disposition
from filters.mime.fields import parse_transfer_encoding as parse_encoding
from filters.mime.headers import render_without, scan_headers
from filters.mime.limits import DEFAULT_LIMITS, Limits
from filters.mime.refusal import MalformedContent
from filters.mime.stamp import stamp

NAMES = st.from_regex(re.compile(r"[A-Za-z][A-Za-z0-9-]{0,12}", re.ASCII), fullmatch=True)
VALUES = st.lists(st.text("abc :;=<>@\"'\t", max_size=20), min_size=1, max_size=3).map("\r\n ".join)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=12), st.text("x\r\n:", max_size=20))
def test_fields_are_what_the_standard_library_finds(fields: list[tuple[str, str]], body: str) -> None:
    """Same names in the same order, offsets that meet, the body behind the empty line."""
    head = "".join(f"{name}: x{value}\r\n" for name, value in fields)
    content = f"{head}\r\n{body}".encode()
    headers = scan_headers(content)
    expected = email.message_from_bytes(content)
    assert [name.decode() for name, _, _ in headers.fields] == [name.lower() for name, _ in expected.raw_items()]
    assert b"".join(content[start:end] for _, start, end in headers.fields) == head.encode()
    assert content[headers.body_start :] == body.encode()
    assert not headers.has_defect


def test_values_are_unfolded_and_found_in_any_case_of_the_name() -> None:
    """A folded value loses its line ends only (RFC 5322 2.2.3)."""
    headers = scan_headers(b"X-Izin-Brand:\r\n 600123\r\nTO: a\r\nTo : b,\r\n\tc\r\n\r\n")
    assert headers.values(b"x-izin-brand") == [b"600123"]
    assert headers.values(b"to") == [b"a", b"b,\tc"]
    assert headers.find_all({b"to", b"x-izin-brand", b"cc"}) == {b"x-izin-brand": [b"600123"], b"to": [b"a", b"b,\tc"]}


@pytest.mark.parametrize(
    ("content", "has_defect", "body"),
    [
        (b"", False, b""),
        (b"\r\nbody", False, b"body"),
        (b"A: b\r\n", False, b""),
        (b"A: b\r\n\r\n", False, b""),
        (b"A: b", True, b""),
        (b"no field\r\nA: b\r\n\r\nbody", True, b"body"),
        (b" \r\nA: b\r\n\r\nbody", True, b"body"),
        (b"A: b\r\n : c\r\n\r\nbody", False, b"body"),
        (b"A\xff: b\r\n\r\nbody", True, b"body"),
        (b"From a@b.example\r\nA: b\r\n\r\nbody", False, b"body"),
        (b"From : a@b.example\r\n\r\nbody", False, b"body"),
        (b"A: b\rc\r\n\r\nbody", True, b"body"),
        (b"A: b\nc: d\r\n\r\nbody", True, b"body"),
    ],
)
def test_what_is_no_field_is_a_defect(content: bytes, has_defect: bool, body: bytes) -> None:
    """Readers disagree about where such a header ends; where it is sound, nothing is marked."""
    headers = scan_headers(content)
    assert headers.has_defect is has_defect
    assert content[headers.body_start :] == body


@pytest.mark.parametrize(
    ("content", "is_doubtful"),
    [
        (b"A: b\r\n\t\r\nC: d\r\n\r\n", True),
        (b"A: b\r\n  \r\n\r\n", True),
        (b"A:\r\n \r\n c\r\n\r\n", True),
        (b"no field\r\nA: b\r\n\r\n", True),
        (b"A: b\r\n c\r\n\td\r\n\r\nbody\r\n \r\nbody", False),
        (b"A:\r\n b\r\n\r\n", False),
        (b"\r\n \r\n", False),
    ],
)
def test_a_line_of_blanks_makes_the_end_doubtful(content: bytes, is_doubtful: bool) -> None:
    """It continues a field by the standard, and ends the header for readers that trim lines."""
    assert scan_headers(content).has_doubtful_end is is_doubtful


def test_tags_are_found_behind_a_defect() -> None:
    """What a tag says tightens; it is not lost because a line before it is broken."""
    assert scan_headers(b"no field\r\nX-Izin-Class: commercial\r\n\r\n").values(b"x-izin-class") == [b"commercial"]


def test_a_header_over_the_limit_is_refused_without_its_content_in_the_text() -> None:
    """The detail, nothing else."""
    with pytest.raises(MalformedContent) as raised:
        scan_headers(b"Secret: x\r\n" * 100, Limits(header_bytes=1_000))
    assert str(raised.value) == "header_too_large"


def test_stamping_drops_the_named_fields_and_puts_the_others_below() -> None:
    """Informational mail: no opt-out, no other octet changed."""
    content = b"A: 1\r\nX-Izin-Class:\r\n informational\r\nB: 2\r\nx-izin-class: y\r\n\r\nbody\r\n"
    assert stamp(content, scan_headers(content), frozenset({b"x-izin-class"}), b"T: 0\r\n") == (
        b"T: 0\r\nA: 1\r\nB: 2\r\n\r\nbody\r\n"
    )
    assert render_without(scan_headers(content), (), {0}).startswith(b"X-Izin-Class")


def test_stamping_neither_swallows_a_text_without_header_nor_ends_a_header_early() -> None:
    """A first line that begins with a blank would continue the field above it."""
    bare = b" Hello\r\nthere\r\n"
    assert stamp(bare, scan_headers(bare), frozenset(), b"T: 0\r\n") == b"T: 0\r\n\r\n Hello\r\nthere\r\n"
    odd = b" \r\nFrom: a@b.example\r\n\r\nHello\r\n"
    stamped = stamp(odd, scan_headers(odd), frozenset(), b"T: 0\r\n")
    assert email.message_from_bytes(stamped)["From"] == "a@b.example"
    assert stamp(odd, scan_headers(odd), frozenset(), b"") == odd


@pytest.mark.parametrize(
    ("value", "media_type", "charset", "boundary"),
    [
        (b"text/html", "text/html", "", b""),
        (b'TEXT/HTML; Charset="UTF-8"', "text/html", "utf-8", b""),
        (b"text/plain; charset=utf-8; format=flowed", "text/plain", "utf-8", b""),
        (b"multipart/mixed; boundary=----=_Part/1", "multipart/mixed", "", b"----=_Part/1"),
        (b'multipart/mixed;\tboundary="a;b (c)" ;', "multipart/mixed", "", b"a;b (c)"),
        (b"multipart/mixed;; boundary=a", "multipart/mixed", "", b"a"),
        (b"text/html; utf-8", "text/html", "", b""),
        (b"text/plain (comment (nested)); charset=utf-8", "text/plain", "utf-8", b""),
    ],
)
def test_content_types_that_all_readers_take_alike(
    value: bytes, media_type: str, charset: str, boundary: bytes
) -> None:
    """Quoted or not, in any case, with stray semicolons and plain comments."""
    found = parse_content_type(value, DEFAULT_LIMITS)
    assert (found.media_type, found.charset, found.boundary, found.is_ambiguous) == (
        media_type,
        charset,
        boundary,
        False,
    )


@pytest.mark.parametrize(
    "value",
    [
        b"text",
        b"",
    ],
)
def test_an_empty_or_short_type_is_plain_text(value: bytes) -> None:
    """RFC 2045 5.2."""
    assert parse_content_type(value, DEFAULT_LIMITS) == DEFAULT_TYPE


@pytest.mark.parametrize(
    "value",
    [
        b"<html>",
        b"multipart/mixed; boundary=a b",
        b'multipart/mixed; boundary="a',
        b'multipart/mixed; boundary="a\\"b"',
        b'multipart/mixed; boundary="a "',
        b"multipart/mixed; boundary=a; boundary=b",
        b"multipart/mixed; boundary*=us-ascii''a",
        b'multipart/mixed; boundary="=?utf-8?q?a?="',
        b"multipart/mixed; boundary=\xc4\xb1",
        b"text/plain; charset=utf-8; charset=utf-16",
        b'text/plain; charset="utf-8" format=flowed',
        b"text/plain (; charset=utf-16)",
        b"text/plain (open",
    ],
)
def test_content_types_that_readers_mend_differently_are_ambiguous(value: bytes) -> None:
    """And whoever relies on them refuses."""
    assert parse_content_type(value, DEFAULT_LIMITS).is_ambiguous
    assert AMBIGUOUS_TYPE.is_ambiguous


@pytest.mark.parametrize(
    ("value", "is_attachment", "has_name"),
    [
        (b"inline", False, False),
        (b"", False, False),
        (b'INLINE; filename="a.txt"', False, True),
        (b"attachment", True, False),
        (b"attachment; filename*=utf-8''a", True, True),
        (b"x-unknown", True, False),
    ],
)
def test_an_unknown_disposition_is_an_attachment(value: bytes, is_attachment: bool, has_name: bool) -> None:
    """RFC 2183 2.8."""
    assert parse_disposition(value, DEFAULT_LIMITS) == (is_attachment, has_name)


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (b"Base64", "base64"),
        (b" 8BIT (as is)", "8bit"),
        (b"7-bit", "7bit"),
        (b"8bit;", "8bit;"),
        (b"a b", "?"),
        (b"\xff", "?"),
    ],
)
def test_a_transfer_encoding_is_one_token(value: bytes, token: str) -> None:
    """Anything else is unknown, and an unknown encoding is refused."""
    assert parse_encoding(value) == token
