"""The closed list of reasons: each with two sentences and one reply."""

from __future__ import annotations

import pytest

from filters.reason import Reason

# Faults of ours and conditions that pass: the client keeps the message and comes again.
TEMPORARY = {
    Reason.STALE,
    Reason.REGISTRY_DOWN,
    Reason.LOOKUP_FAILED,
    Reason.EVIDENCE_UNAVAILABLE,
    Reason.OVERLOADED,
    Reason.SHUTTING_DOWN,
    Reason.FAULT,
    Reason.UPSTREAM_DEFERRED,
    Reason.UPSTREAM_LOST,
}
SUCCESS = {
    Reason.CONSENT,
    Reason.MERCHANT,
    Reason.EXEMPT,
    Reason.EXEMPT_SERVICE,
    Reason.OUT_OF_SCOPE,
    Reason.MIXED,
    Reason.TAG_MISSING,
    Reason.ALREADY_TAKEN,
}


@pytest.mark.parametrize("reason", Reason)
def test_a_reply_carries_the_reason_in_one_ascii_line(reason: Reason) -> None:
    """Short enough for any client (RFC 5321 4.5.3.1.5: 512 octets), code and enhanced code of one class."""
    reply = reason.reply
    wire = reply.render()
    assert wire.isascii()
    assert wire.count(b"\r\n") == 1
    assert len(wire) <= 512
    assert reply.text == f"{reason.value}: {reason.sentence_en}"
    assert reply.enhanced[0] == str(reply.code)[0]
    assert "?" not in reply.text
    assert "@" not in reply.text


@pytest.mark.parametrize("reason", Reason)
def test_a_reply_is_temporary_just_if_waiting_or_the_operator_mends_it(reason: Reason) -> None:
    """What is ours to mend is never answered for good."""
    assert reason.reply.is_temporary is (reason in TEMPORARY)
    assert reason.reply.is_success is (reason in SUCCESS)


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_says_in_two_languages_who_mends_it(reason: Reason) -> None:
    """One sentence or two each, none shared by two reasons, and Turkish is Turkish."""
    assert reason.sentence_en.endswith(".")
    assert reason.sentence_tr.endswith(".")
    assert reason.sentence_en != reason.sentence_tr
    assert any(letter in reason.sentence_tr for letter in "çğıöşüÇĞİÖŞÜ")
    assert reason.sentence_en.isascii()
    if reason not in SUCCESS:
        assert any(who in reason.sentence_en for who in ("sender", "operator", "client", "brand owner"))
        assert any(who in reason.sentence_tr for who in ("önderen", "şletmen", "stemci", "arka sahibi"))


def test_names_are_values_and_sentences_are_distinct() -> None:
    """The vocabulary has one spelling everywhere."""
    assert all(reason.name == reason.value for reason in Reason)
    assert (
        len({reason.sentence_en for reason in Reason}) == len({reason.sentence_tr for reason in Reason}) == len(Reason)
    )
