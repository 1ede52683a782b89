"""What is read from a mail to a refusal address."""

from __future__ import annotations

import time
from base64 import b64encode
from quopri import encodestring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.refusal_mail import MAX_HEADER_BYTES, parse_refusal_mail

TOKEN = "AYxQw7i1Y6EXP-bOA6I2H3R0Qa_qiQCPJ7O5xIfoLaloPam9bCJQjnXxOtL63IHaBw"


def mail(*fields: str) -> bytes:
    return ("\r\n".join(fields) + "\r\n\r\nbody: From: other@example.org\r\n").encode()


@pytest.mark.parametrize(
    "subject",
    [
        f"RET {TOKEN}",
        f"Re: RET {TOKEN}",
        f"RET\r\n {TOKEN}",
        f"=?utf-8?B?{b64encode(f'RET {TOKEN}'.encode()).decode()}?=",
        f"=?utf-8?Q?{encodestring(f'RET {TOKEN}'.encode(), header=True).decode().replace('=' + chr(10), '')}?=",
        f"=?UTF-8?q?RET_{TOKEN[:20]}?=\r\n =?UTF-8?q?{TOKEN[20:].replace('_', '=5F')}?=",
    ],
)
def test_the_token_is_found_however_the_program_wrote_the_subject(subject: str) -> None:
    """Plain, answered, folded, encoded whole or in two words."""
    assert parse_refusal_mail(mail(f"Subject: {subject}", "From: a@example.com")).token_candidates == (TOKEN,)


@pytest.mark.parametrize(
    ("field", "address"),
    [
        ("From: ayse@example.com", b"ayse@example.com"),
        ("from:<ayse@example.com>", b"ayse@example.com"),
        ('From: "Ayşe <x> Örnek" <ayse@example.com>', b"ayse@example.com"),
        ("From: =?utf-8?q?Ay=C5=9Fe?=\r\n\t<ayse@example.com>", b"ayse@example.com"),
        ("From: ayse@example.com>", b""),
        ("X-From: ayse@example.com", b""),
        ("From: ", b""),
    ],
)
def test_the_sender_is_read_from_the_from_field(field: str, address: bytes) -> None:
    assert parse_refusal_mail(mail("Subject: unsubscribe", field)).from_address == address


def test_the_body_and_repeated_fields_are_not_looked_at() -> None:
    """The first field of a name counts."""
    read = parse_refusal_mail(mail("From: a@example.com", "From: b@example.com", "To: c@example.com"))
    assert read.from_address == b"a@example.com"
    assert parse_refusal_mail(b"\r\nFrom: a@example.com\r\n").from_address == b""


def test_only_a_delivery_status_report_is_no_refusal() -> None:
    """Apple's programs mark a person's unsubscription as auto-replied."""
    bounce = mail('Content-Type: multipart/report; boundary="x";\r\n report-type=delivery-status')
    assert parse_refusal_mail(bounce).is_status_report
    for counts in (
        mail("Auto-Submitted: auto-replied", "X-Apple-Unsubscribe: true", "Subject: unsubscribe"),
        mail("Auto-Submitted: auto-generated"),
        mail("Precedence: bulk"),
        mail("Content-Type: multipart/report; report-type=feedback-report"),
        mail("Content-Type: multipart/mixed"),
    ):
        assert not parse_refusal_mail(counts).is_status_report


@given(st.binary(max_size=3000))
def test_no_mail_makes_the_reader_fail(content: bytes) -> None:
    read = parse_refusal_mail(content)
    assert len(read.token_candidates) <= 8


@pytest.mark.parametrize(
    "hostile",
    [
        b"Subject: " + b"=?" * 200_000,
        b"Subject: " + b"=?utf-8?q?" * 100_000,
        b"Subject: x" + b"\r\n " * 300_000,
        b"Subject: " + b"A" * 1_000_000,
        b"Content-Type: multipart/report" + b" report-type" * 80_000,
        b"From: " + b"<" * 1_000_000,
        b"\n" * 1_000_000,
        b"a:\r\n" * 200_000,
        b"Subject: " + b"=?x?q?a?= " * 100_000,
    ],
)
def test_hostile_headers_cost_a_bounded_time(hostile: bytes) -> None:
    """A megabyte of the worst is read in well under a second: only the first 64 KiB are looked at."""
    assert len(hostile) > MAX_HEADER_BYTES
    started = time.perf_counter()
    parse_refusal_mail(hostile)
    assert time.perf_counter() - started < 0.5
