"""The upstream's words reach the client truthfully, and nothing in them that must not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.smtp.outcomes import MAX_TEXT_CHARACTERS, outcome_of_refusal, outcome_of_success, read_text
from adapters.smtp.wire_reply import WireReply
from filters.vocabulary import Outcome


@pytest.mark.parametrize(
    ("code", "text", "enhanced", "clean"),
    [
        (550, b"5.1.1 <someone@musteri.example> unknown", "5.1.1", "[address] unknown"),
        (550, b"5.1.1 first\n5.1.1 second", "5.1.1", "first\nsecond"),
        (550, b"no such user", "5.0.0", "no such user"),
        (550, b"4.7.1 class does not fit", "5.0.0", "class does not fit"),
        (554, b'5.7.1 "some one"@musteri.example is bad', "5.7.1", "[address] is bad"),
        (451, b"4.3.0 \x00\x1b[31m\xc3\xbc", "4.3.0", "??[31m??"),
        (450, b"", "4.0.0", "no reason given"),
        (550, b"5.1.1", "5.1.1", "no reason given"),
    ],
)
def test_reply_texts(code: int, text: bytes, enhanced: str, clean: str) -> None:
    """Enhanced code of the right class, clean text, no address."""
    reply = outcome_of_refusal(WireReply(code, text)).reply
    assert (reply.code, reply.enhanced, reply.text) == (code, enhanced, clean)


@given(st.integers(200, 599), st.binary(max_size=3000))
def test_any_text_becomes_harmless(code: int, raw: bytes) -> None:
    """Printable ASCII and LF, no "@", bounded; and it renders as a reply."""
    subject_detail, text = read_text(WireReply(code, raw))
    assert text.replace("\n", "").isprintable()
    assert text.isascii()
    assert "@" not in text
    assert 0 < len(text) <= MAX_TEXT_CHARACTERS
    assert subject_detail.count(".") == 1


@given(st.integers(400, 599), st.binary(max_size=100), st.booleans())
def test_a_refusal_is_never_a_success_and_never_mixed(code: int, raw: bytes, is_later: bool) -> None:
    """4xx defers; 5xx refuses unless it speaks about us; the outcome fits the code the client gets."""
    outcome, reply = outcome_of_refusal(WireReply(code, raw), is_later_recipient=is_later)
    assert outcome is (Outcome.REFUSED if reply.is_permanent else Outcome.DEFERRED)
    assert code >= 500 or outcome is Outcome.DEFERRED


@pytest.mark.parametrize("code", [421, 503, 530, 534, 535, 538])
def test_what_concerns_us_is_temporary_to_the_client(code: int) -> None:
    """Our credentials, our order of commands, the server's session: no fault of the message."""
    outcome, reply = outcome_of_refusal(WireReply(code, b"5.7.0 Authentication required"))
    assert (outcome, reply.code) == (Outcome.DEFERRED, 451)


def test_too_many_recipients_is_temporary() -> None:
    """552 to a later RCPT means 452 (RFC 5321 4.5.3.1.10); a full mailbox stays permanent."""
    assert outcome_of_refusal(WireReply(552, b"too many"), is_later_recipient=True).reply.code == 452
    assert outcome_of_refusal(WireReply(552, b"too many")).reply.code == 552
    assert outcome_of_refusal(WireReply(552, b"5.2.2 full"), is_later_recipient=True).reply.code == 552


def test_success_is_250() -> None:
    """Any 2xx to the dot is 250 to the client, with the queue id the upstream gave."""
    assert outcome_of_success(WireReply(250, b"2.0.0 Ok: queued as 4XyZ")).reply == (250, "0.0", "Ok: queued as 4XyZ")
