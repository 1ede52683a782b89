"""An evidence record holds everything the law asks for, and nobody's address."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.consent import Consent
from filters.evidence.record import (
    ISTANBUL,
    RecordKind,
    check_retention,
    decode,
    encode_decision,
    encode_event,
    index_reading,
    label,
    recipient_entry,
)
from filters.reply import Reply
from filters.vocabulary import (
    Channel,
    FreshnessState,
    LookupFailure,
    MessageClass,
    Outcome,
    RecipientType,
    Status,
    Verdict,
)

KEY = bytes(range(10))
STATE = {
    (Channel.EMAIL, RecipientType.INDIVIDUAL): Consent(Status.APPROVED, 1_700_000_000, "HS_WEB"),
    (Channel.EMAIL, RecipientType.BUSINESS): Consent(Status.REJECTED, 1_700_000_500, "HS_EPOSTA", own=True),
    (Channel.SMS, RecipientType.INDIVIDUAL): Consent(Status.APPROVED, 1, "HS_ATM"),
}


def decision(**changes: object) -> dict:
    entry = recipient_entry(
        KEY,
        Channel.EMAIL,
        RecipientType.INDIVIDUAL,
        STATE,
        "R1",
        "CONSENT",
        Verdict.PERMIT,
        Outcome.RELAYED,
        "cd" * 32,
        "0123456789abcdef",
        Reply(250, "2.0", "queued for <ayse@example.com>"),
    )
    fields = {
        "decided_at": 1_785_600_000.25,
        "message_id": "m1",
        "node": "mx1-0",
        "session": "s1",
        "client": "shop",
        "listener": "smtp",
        "upstream": "relay",
        "brand": 600123,
        "iys_code": 600123,
        "channel": Channel.EMAIL,
        "message_class": MessageClass.COMMERCIAL,
        "class_from": "header",
        "campaign": "summer",
        "policy": "enforce",
        "size_bytes": 4096,
        "content_sha256": "ab" * 32,
        "index": index_reading("lmdb", 7, 1_785_599_940, 1_785_600_000.25, 86400, FreshnessState.FRESH),
        "recipients": [entry],
    }
    return decode(encode_decision(**(fields | changes)))


def test_a_decision_record_holds_what_regulation_section_9_lists():
    """Field by field; the golden form of format 1, which readers of ten years from now rely on."""
    assert decision() == {
        "v": 1,
        "kind": "decision",
        "at": "2026-08-01T16:00:00.250000Z",
        "id": "m1",
        "node": "mx1-0",
        "session": "s1",
        "client": "shop",
        "listener": "smtp",
        "upstream": "relay",
        "brand": 600123,
        "iys_code": 600123,
        "channel": "email",
        "class": "commercial",
        "class_from": "header",
        "campaign": "summer",
        "policy": "enforce",
        "size_bytes": 4096,
        "content_sha256": "ab" * 32,
        "index": {
            "store": "lmdb",
            "revision": 7,
            "watermark_at": 1_785_599_940,
            "staleness_s": 60,
            "limit_s": 86400,
            "freshness": "fresh",
            "failure": None,
        },
        "recipients": [
            {
                "key": "00010203040506070809",
                "declared": "individual",
                "registry": [
                    {
                        "type": "individual",
                        "status": "approved",
                        "consent_at": 1_700_000_000,
                        "source": "HS_WEB",
                        "own": False,
                    },
                    {
                        "type": "business",
                        "status": "rejected",
                        "consent_at": 1_700_000_500,
                        "source": "HS_EPOSTA",
                        "own": True,
                    },
                ],
                "row": "R1",
                "reason": "CONSENT",
                "verdict": "permit",
                "outcome": "relayed",
                "sent_sha256": "cd" * 32,
                "token": "0123456789abcdef",
                "reply": "250 2.2.0",
            }
        ],
    }


def test_no_record_and_not_read_and_not_readable_are_three_things():
    """[] is an answer of the index, null is none, and a failure has its name."""
    none = recipient_entry(KEY, Channel.EMAIL, None, {}, "R3", "NO_CONSENT", Verdict.DROP, Outcome.DROPPED)
    unread = recipient_entry(KEY, Channel.EMAIL, None, None, "R15", "EXEMPT", Verdict.PERMIT, Outcome.RELAYED)
    failed = index_reading("redis", 0, None, 5.0, 86400, FreshnessState.BLIND, LookupFailure.TIMED_OUT)
    assert (none["registry"], unread["registry"]) == ([], None)
    assert (failed["failure"], failed["staleness_s"], failed["watermark_at"]) == ("timed_out", None, None)


def test_the_next_hops_words_are_not_kept():
    """They often repeat the address."""
    assert "ayse" not in orjson.dumps(decision()).decode()
    refused = Reply(550, "", "no such user ayse@example.com")
    entry = recipient_entry(KEY, Channel.EMAIL, None, {}, "", "", Verdict.PERMIT, Outcome.REFUSED, reply=refused)
    assert entry["reply"] == "550"


def test_the_time_is_utc_and_istanbul_follows_from_it():
    from datetime import datetime

    at = datetime.fromisoformat(str(decision()["at"]))
    assert at.astimezone(ISTANBUL).isoformat() == "2026-08-01T19:00:00.250000+03:00"


@pytest.mark.parametrize("text", ["summer", "2026-08 sale/week 31", "", "a.b_c-d:e"])
def test_a_plain_campaign_label_is_kept(text):
    assert label(text) == text


@pytest.mark.parametrize(
    "text",
    ["ayse@example.com", "to 5321234567", "905321234567", "532 123 45 67", "x" * 65, "müşteri", "a\nb", "٥٣٢١٢٣٤٥٦٧"],
)
def test_a_campaign_label_that_may_name_a_person_becomes_a_hash(text):
    assert label(text).startswith("hash:")
    assert label(text) == label(text)


@given(st.text())
def test_a_label_never_holds_an_address_or_a_phone_number(text):
    kept = label(text)
    assert "@" not in kept
    if not kept.startswith("hash:"):
        assert sum(character.isdigit() for character in kept) <= 9


@given(st.text(min_size=1))
def test_the_record_says_nothing_of_an_address_put_into_the_campaign(address):
    record = decision(campaign=f"for {address}@example.com")
    assert "@example.com" not in orjson.dumps(record).decode()


def test_other_kinds_carry_their_fields_beside_kind_and_time():
    record = decode(encode_event(RecordKind.REFUSAL, 1_785_600_000.0, {"key": "00", "source": "HS_WEB", "v": 9}))
    assert record == {"key": "00", "source": "HS_WEB", "v": 1, "kind": "refusal", "at": "2026-08-01T16:00:00Z"}


@pytest.mark.parametrize("content", [b"", b"[]", b"1", b"{", b"\xff"])
def test_bytes_that_are_no_record_are_refused(content):
    with pytest.raises(ValueError):
        decode(content)


def test_retention_is_ten_years_and_never_below_three():
    assert check_retention(10) == 10
    assert check_retention(3) == 3
    with pytest.raises(ValueError, match="found 2"):
        check_retention(2)
