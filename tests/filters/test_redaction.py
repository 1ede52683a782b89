"""No address, phone number or secret gets through, whatever stands around it; ordinary text stays readable."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.redaction import ADDRESS, PHONE, SECRET, is_suspect, redact

_ATEXT = "abcXYZ019!#$%&'*+-/=?^_`{|}~öşı"
local_parts = st.one_of(
    st.text(_ATEXT, min_size=1, max_size=20).flatmap(
        lambda head: st.text(_ATEXT, max_size=8).map(lambda tail: f"{head}.{tail}" if tail else head)
    ),
    st.text("abc ,.;:<>@é", min_size=1, max_size=12).map(lambda inner: f'"{inner}"'),
)
labels = st.text("abcdefgxyz019-ğüı", min_size=1, max_size=12)
domains = st.one_of(
    st.lists(labels, min_size=1, max_size=4).map(".".join), st.just("[192.0.2.1]"), st.just("[IPv6:2001:db8::1]")
)
addresses = st.tuples(local_parts, domains).map("@".join)
phones = st.tuples(
    st.sampled_from(["+90", "0090", "90", "0", "+49 ", "(+90) ", "+1-"]),
    st.integers(2_000_000_000, 5_999_999_999).map(str),
    st.sampled_from(["", " ", "-", ".", "/", "\u00a0", "\u2011"]),
).map(
    lambda parts: f"{parts[0]}{parts[1][:3]}{parts[2]}{parts[1][3:6]}{parts[2]}{parts[1][6:8]}{parts[2]}{parts[1][8:]}"
)


@given(st.text(), addresses, st.text())
def test_an_address_in_any_text_is_masked(before, address, after):
    """Also one glued to what stands before and after it."""
    assert address not in redact(f"{before} {address} {after}")
    assert address not in redact(before + address + after)


@given(st.text(), addresses, st.text())
def test_an_address_in_a_repr_is_masked(before, address, after):
    """As exceptions and %r print it: of a text, of bytes, inside a list."""
    for shown in (
        repr(before + address + after),
        repr([before, address]),
        repr(address.encode()),
        repr({address: after}),
    ):
        assert address not in redact(shown)


@given(st.text(), phones, st.text())
def test_a_phone_number_in_any_text_is_masked(before, phone, after):
    assert phone not in redact(before + phone + after)
    assert phone not in redact(f"{before} {phone} {after}")


@given(st.binary(min_size=16, max_size=40))
def test_a_token_in_a_path_is_masked(content):
    """As the request line of an opt-out page shows it."""
    token = base64.urlsafe_b64encode(content).rstrip(b"=").decode()
    if any(c.isupper() for c in token) and any(c.islower() for c in token):
        assert token not in redact(f'"GET /o/{token} HTTP/1.1" 200')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("to user@example.com failed", f"to {ADDRESS} failed"),
        ("<user@example.com>", f"<{ADDRESS}>"),
        ("RCPT TO:<a+b@example.com> NOTIFY=NEVER", f"RCPT TO:<{ADDRESS}> NOTIFY=NEVER"),
        ('"john doe"@example.com', ADDRESS),
        ("postmaster@[192.0.2.1] said", f"{ADDRESS} said"),
        ("GET /x?u=a%40example.com HTTP/1.1", f"GET {ADDRESS} HTTP/1.1"),
        ("call +90 532 123 45 67 now", f"call {PHONE} now"),
        ("0532-123-45-67", PHONE),
        ("5321234567", PHONE),
        ("('127.0.0.1', 52344) AUTH PLAIN AHVzZXIAcGFzcw==", f"('127.0.0.1', 52344) AUTH PLAIN {SECRET}"),
        ("b'auth login dXNlcg=='", f"b'auth login {SECRET}"),
        ("Authorization: Basic dXNlcjpwYXNz", f"Authorization: {SECRET}"),
        ("password=hunter2, user=x", f"password: {SECRET}, user=x"),
        ("{'password': 'hunter2'}", f"{{'password: {SECRET}}}"),
        ("334 VXNlcm5hbWU6IA==", f"334 {SECRET}"),
    ],
)
def test_known_forms_are_masked(text, expected):
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:2525 connection lost after 12 s",
        "2026-08-01 10:11:12.123 started",
        "2026-08-01T10:11:12Z",
        "upstream relay: 250 2.0.0 in 0.0123 s, 4096 bytes, brand 600123",
        "File gateway/mail/pipeline.py, line 123, in _relay",
        "izinkapi_evidence_commit_duration_seconds",
        "auth check failed",
        "",
    ],
)
def test_ordinary_text_stays_as_it_is(text):
    assert redact(text) == text


@given(st.text())
def test_what_is_not_suspect_is_not_changed(text):
    """The quick look never misses what the masks would catch."""
    if redact(text) != text:
        assert is_suspect(text)


@pytest.mark.parametrize(
    "piece",
    ["a", "1", "1 ", "@", "a@", '"', '"a', "+", "=", "AUTH ", "password", "password=", "1.", "2026-", "[", "%40", "x="],
)
def test_hostile_text_takes_time_in_proportion_to_its_length(piece):
    """200 kB of anything is masked in well under a second."""
    text = piece * (200_000 // len(piece))
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 1.0
