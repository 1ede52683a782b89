"""Write: the upstream request, read back and held against what was decided before it leaves."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from filters.sms.dialect import CallKind, Dialect
from filters.sms.http import HttpRequest
from filters.sms.message import Submission
from gateway.sms.heavy import HEAVY_RECIPIENTS
from gateway.sms.in_hand import SmsInHand
from gateway.sms.route import Outlet
from gateway.sms.steps.faults import WrittenWrongError

_LAST_DIGITS = 10
"""By these two numbers are told apart here: a Turkish number's own, whatever stands before it."""
_BLANKS_BUT_DIGITS = bytes(byte if 48 <= byte <= 57 else 32 for byte in range(256))


def translate(sms: SmsInHand, outlet: Outlet) -> tuple[Submission, Dialect]:
    """The request as another dialect reads it, which the upstream speaks and the client does not."""
    found = sms.classification
    assert found is not None
    # What was decided, not what the request alone says: the provider's own check must be of the same.
    asked = replace(sms.asked, tag_class=found.message_class, tag_type=found.recipient_type)
    composed = outlet.composer.compose(asked, outlet.account)
    call = outlet.dialect.recognise(composed)
    if call is None or call.kind is not CallKind.SEND:
        raise WrittenWrongError("a composed request is no request to send")
    native = outlet.dialect.read(composed, call)
    ours = [recipient.number and recipient.number.e164 for recipient in sms.asked.recipients]
    if [recipient.number and recipient.number.e164 for recipient in native.recipients] != ours:
        raise WrittenWrongError("a composed request has other recipients")
    return native, outlet.dialect


def write_upstream(sms: SmsInHand, native: Submission, dialect: Dialect) -> HttpRequest:
    """The request for ``kept``, each with its text. Raises ``WrittenWrongError``."""
    outgoing = dialect.write(native, sms.kept, sms.texts)
    is_one_text = len(sms.kept) >= HEAVY_RECIPIENTS and sms.texts.count(sms.texts[0]) == len(sms.texts)
    if not (is_one_text and _is_like_the_first(sms, native, dialect, outgoing)):
        _read_back(sms, dialect, outgoing, len(sms.kept))
    _note_digests(sms, is_one_text=is_one_text)
    return outgoing


def _is_like_the_first(sms: SmsInHand, native: Submission, dialect: Dialect, outgoing: HttpRequest) -> bool:
    """Whether ``outgoing`` holds the number of each who is kept once and no others, beside those that a request for the
    first of them holds too, in the text or elsewhere. That one is read back; so text and rest are as they should be.

    False where it is not certain. Knows nothing of the dialect: it looks at digits.
    """
    first = dialect.write(native, sms.kept[:1], sms.texts[:1])
    _read_back(sms, dialect, first, 1)
    asked = sms.asked.recipients
    permitted = {asked[position][0][1][-_LAST_DIGITS:] for position in sms.kept}  # type: ignore[index] # kept: has one
    runs = _find_digits(outgoing)
    found = set(runs)
    if not (permitted <= found and found - permitted <= set(_find_digits(first))):
        return False
    if sum(map(permitted.__contains__, runs)) != len(sms.kept):  # somebody twice
        return False
    if len(sms.kept) == len(asked):
        return True
    kept = set(sms.kept)
    others = {
        number[1][-_LAST_DIGITS:]
        for position, (number, _, _, _) in enumerate(asked)
        if number is not None and position not in kept
    }
    return not (found & others)


def _find_digits(outgoing: HttpRequest) -> list[bytes]:
    """The last digits of whatever may be a number."""
    raw = f"{outgoing.path} {outgoing.query} ".encode() + outgoing.body
    runs = raw.translate(_BLANKS_BUT_DIGITS, b" ().-").split()
    return [digits[-_LAST_DIGITS:] for digits in runs if len(digits) >= _LAST_DIGITS]


def _note_digests(sms: SmsInHand, *, is_one_text: bool) -> None:
    """What the evidence says of each text that leaves."""
    if len(sms.kept) == 1:
        sms.sent_sha256[sms.kept[0]] = _digest_of(sms.texts[0])
        return
    if is_one_text:
        digests = [_digest_of(sms.texts[0])] * len(sms.texts)
    else:
        different = set(sms.texts)
        if len(different) == len(sms.texts):
            digests = list(map(_digest_of, sms.texts))
        else:
            known = {text: _digest_of(text) for text in different}
            digests = list(map(known.__getitem__, sms.texts))
    if len(sms.kept) == len(sms.sent_sha256):
        sms.sent_sha256 = digests
        return
    for position, digest in zip(sms.kept, digests, strict=True):
        sms.sent_sha256[position] = digest


def _digest_of(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _read_back(sms: SmsInHand, dialect: Dialect, outgoing: HttpRequest, most: int) -> None:
    """As the provider will: the numbers and texts of the first ``most`` of ``kept``, and no others."""
    call = dialect.recognise(outgoing)
    if call is None or call.kind is not CallKind.SEND:
        raise WrittenWrongError("what was written is no request to send")
    again = dialect.read(outgoing, call)
    asked, texts = sms.asked.recipients, again.texts
    # Whoever is kept has a number, and what is written must have it.
    permitted = [asked[position][0][0] for position in sms.kept[:most]]  # type: ignore[index] # kept: has one
    if [each[0] and each[0][0] for each in again.recipients] != permitted:
        raise WrittenWrongError("what was written has other recipients")
    if [texts[each[2]] for each in again.recipients] != sms.texts[:most]:
        raise WrittenWrongError("what was written has other texts")
