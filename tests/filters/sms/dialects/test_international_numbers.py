"""Worldwide providers read the country code first; whom they would write to is whom we look up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.reason import Reason
from filters.sms.dialects.international_numbers import find_international, sender_of
from filters.sms.dialects.registry import make_dialect
from filters.sms.http import HttpRequest
from filters.sms.message import SmsFate
from filters.vocabulary import Outcome


@pytest.mark.parametrize(
    "spelled", ["905321110001", "+905321110001", "00905321110001", "05321110001", "+90 532 111 00 01"]
)
def test_spellings_of_one_turkish_number_are_one(spelled: str) -> None:
    """One key, and the sender's own spelling kept."""
    number = find_international(spelled)
    assert number is not None
    assert (number.e164, number.spelled) == ("+905321110001", spelled)


@pytest.mark.parametrize(("spelled", "e164"), [("14155550100", "+14155550100"), ("4915112345678", "+4915112345678")])
def test_numbers_abroad_need_no_plus(spelled: str, e164: str) -> None:
    """As these providers' documents write them."""
    number = find_international(spelled)
    assert number is not None
    assert number.e164 == e164


@pytest.mark.parametrize("spelled", ["5321110001", "(532) 111 00 01", "(532)1110001", "532-111-0001"])
def test_digits_with_two_readings_are_refused(spelled: str) -> None:
    """5321110001 is a Turkish mobile number without country code, and one in Cuba with it, whatever parts its
    groups."""
    assert find_international(spelled) is None


@pytest.mark.parametrize(
    "spelled", ["", "+", "abc", "905321110001,905321110002", "+9005321110001", "٩٠٥٣٢١١١٠٠٠١", "whatsapp:+905321110001"]
)
def test_what_is_no_single_number_is_refused(spelled: str) -> None:
    """None, so that it is answered for and never sent to."""
    assert find_international(spelled) is None


@given(st.text("0123456789+ ()-.x", max_size=18))
def test_a_plus_before_the_same_digits_never_means_somebody_else(spelled: str) -> None:
    """Digits that are accepted bare mean what they mean with a plus, or have no meaning with one."""
    bare, plus = find_international(spelled), find_international(f"+{spelled}")
    if bare is not None and plus is not None and not spelled.startswith("00"):
        assert bare.key == plus.key


@pytest.mark.parametrize(
    ("name", "path", "body"),
    [
        ("twilio", "/2010-04-01/Accounts/AC1/Messages.json", b"To=5321110001&From=ORNEK&Body=merhaba"),
        ("vonage_sms", "/sms/json", b"to=5321110001&from=ORNEK&text=merhaba"),
        (
            "vonage_messages",
            "/v1/messages",
            b'{"channel":"sms","message_type":"text","to":"5321110001","from":"ORNEK","text":"merhaba"}',
        ),
        (
            "infobip",
            "/sms/3/messages",
            b'{"messages":[{"sender":"ORNEK","destinations":[{"to":"5321110001"}],"content":{"text":"merhaba"}}]}',
        ),
    ],
)
def test_who_writes_no_country_code_hears_that_one_is_expected(name: str, path: str, body: bytes) -> None:
    """Ten digits are a Turkish number to their sender and one in Cuba to the provider: the answer says how to write it,
    and not what was written."""
    dialect = make_dialect(name)
    kind = "application/json" if body[:1] == b"{" else "application/x-www-form-urlencoded"
    request = HttpRequest("POST", path, "", (("content-type", kind), ("authorization", "Basic YTpi")), body)
    call = dialect.recognise(request)
    assert call is not None
    asked = dialect.read(request, call)
    assert asked.recipients[0].number is None
    fate = SmsFate(Outcome.DROPPED, Reason.ADDRESS_INVALID)
    answer = dialect.write_answer(asked, [fate], None, dialect.mint_id(1), ())
    assert b"expected one number with its country code, such as +905320000000" in answer.body


@pytest.mark.parametrize(
    ("told", "number"), [("5351234567", "+5351234567"), ("905321110001", "+905321110001"), ("+4915112345678",) * 2]
)
def test_who_wrote_is_told_with_the_country_code(told: str, number: str) -> None:
    """A person in Cuba who refuses is not the one in Turkey whose number looks alike."""
    assert sender_of(told) == number
