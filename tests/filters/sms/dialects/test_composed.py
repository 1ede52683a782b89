"""What was asked in our own interface means the same to every provider it can leave through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.phone import parse_phone
from filters.sms.dialect import Composer, Dialect, RequestRefusedError
from filters.sms.dialects.registry import DIALECTS, make_dialect
from filters.sms.http import HttpRequest
from filters.sms.message import SmsRecipient, Submission, TextKind
from filters.vocabulary import MessageClass, RecipientType

NAMES = ("infobip", "jetsms", "mutlucell", "twilio", "vatansms", "vonage_messages", "vonage_sms")
SINGLE = ("twilio", "vonage_messages", "vonage_sms")
WITHOUT_TAG = ("mutlucell", "twilio", "vonage_messages", "vonage_sms")
ACCOUNT = {
    "username": "u", "password": "p", "account_sid": "AC1", "auth_token": "t", "key": "k", "secret": "s",
    "api_id": "i", "api_key": "a",
}  # fmt: skip
LETTERS = "abc ÇĞİÖŞÜçğıöşü<&>\"'=+%;{}"


def asked(
    numbers: list[str], texts: list[str], tag: MessageClass = MessageClass.COMMERCIAL, at: float | None = None
) -> Submission:
    recipients = [SmsRecipient(parse_phone(number), number, n % len(texts)) for n, number in enumerate(numbers)]
    kind = RecipientType.BUSINESS if tag is MessageClass.COMMERCIAL else None
    return Submission(
        "plain", "messages.send", recipients, texts, sender_title="ORNEK", tag_class=tag, tag_type=kind, send_at=at
    )


def leave(name: str, submission: Submission) -> Submission:
    codec = make_dialect(name)
    request = compose(codec, submission)
    call = codec.recognise(request)
    assert call is not None
    return codec.read(request, call)


def compose(codec: Dialect, submission: Submission) -> HttpRequest:
    composer: Composer = codec
    return composer.compose(submission, ACCOUNT)


@pytest.mark.parametrize("name", NAMES)
@given(
    lines=st.lists(st.integers(0, 9_999_999), min_size=1, max_size=6, unique=True),
    texts=st.lists(st.text(LETTERS, max_size=30).map(lambda text: f"a{text}z"), min_size=1, max_size=3, unique=True),
)
def test_people_texts_and_sender_are_the_same(name: str, lines: list[int], texts: list[str]) -> None:
    """The provider's own codec reads the same numbers in the same order, each with its text."""
    if name in SINGLE:
        lines, texts = lines[:1], texts[:1]
    submission = asked([f"+90532{line:07d}" for line in lines], texts)
    native = leave(name, submission)
    assert [each.number and each.number.e164 for each in native.recipients] == [
        each.number and each.number.e164 for each in submission.recipients
    ]
    assert [native.texts[each.text] for each in native.recipients] == [
        submission.texts[each.text] for each in submission.recipients
    ]
    assert native.sender_title == "ORNEK"
    assert native.credential_id


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITHOUT_TAG])
def test_the_tag_is_said_in_the_provider_s_words(name: str) -> None:
    """Commercial stays commercial, to a merchant where the dialect can say so; the exempt is never made commercial."""
    assert leave(name, asked(["+905321110001"], ["Merhaba"])).tag_class is MessageClass.COMMERCIAL
    exempt = leave(name, asked(["+905321110001"], ["Merhaba"], MessageClass.INFORMATIONAL))
    assert exempt.tag_class in (None, MessageClass.INFORMATIONAL)
    if name != "vatansms":
        assert leave(name, asked(["+905321110001"], ["Merhaba"])).tag_type is RecipientType.BUSINESS


@pytest.mark.parametrize("name", ["infobip", "jetsms", "mutlucell", "vatansms"])
def test_a_later_time_is_the_same_moment(name: str) -> None:
    """Whatever form and time zone the provider wants."""
    assert leave(name, asked(["+905321110001"], ["Merhaba"], at=1_900_000_020.0)).send_at == 1_900_000_020.0


@pytest.mark.parametrize("name", SINGLE)
def test_what_cannot_be_said_is_refused(name: str) -> None:
    """Two recipients, a later time without the means for it, a text that only the provider knows, no sender."""
    without_sender, template = asked(["+905321110001"], ["a"]), asked(["+905321110001"], ["a"])
    without_sender.sender_title = ""
    template.kind = TextKind.TEMPLATE
    for submission in (
        asked(["+905321110001", "+905321110002"], ["a"]),
        asked(["+905321110001"], ["a"], at=1_900_000_020.0),
        without_sender,
        template,
    ):
        with pytest.raises(RequestRefusedError):
            compose(make_dialect(name), submission)


def test_a_token_that_lapses_is_no_account() -> None:
    """Turkcell wants a login every ten minutes, so nothing can leave through it but what came in its own dialect."""
    assert [name for name in DIALECTS if not hasattr(make_dialect(name), "compose")] == ["turkcell"]
