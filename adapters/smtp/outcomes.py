"""What the upstream's replies, and our own faults with it, mean for a recipient and for the client.

The upstream's verdict is passed on as it is, with four exceptions, each because the reply speaks about us rather than
about the message: 421 (the session, not the mail), 503 (our order of commands), 530/534/535/538 (our credentials) are
temporary to the client, and 552 for a later RCPT without 5.2.2 means "too many recipients" (RFC 5321 4.5.3.1.10).
"""

from __future__ import annotations

import re
from enum import StrEnum

from adapters.smtp.wire_reply import WireReply
from filters.envelope import RecipientOutcome
from filters.reply import Reply
from filters.vocabulary import Outcome

MAX_TEXT_CHARACTERS = 400

_ABOUT_US = frozenset({421, 503, 530, 534, 535, 538})
_ENHANCED = re.compile(rb"([245])\.(\d{1,3}\.\d{1,3})(?: |$)")
_PRINTABLE = bytes(byte if 32 <= byte < 127 or byte == 10 else 63 for byte in range(256))
_HIDDEN = "[address]"


class Fault(StrEnum):
    """What went wrong with a connection; a closed list, used in status and logs instead of exception texts."""

    CONNECT_FAILED = "connect_failed"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    GARBAGE = "garbage"
    EARLY_REPLY = "early_reply"
    CLOSED_BY_PEER = "closed_by_peer"
    GREETING_REFUSED = "greeting_refused"
    HELLO_REFUSED = "hello_refused"
    TLS_MISSING = "tls_missing"
    TLS_FAILED = "tls_failed"
    AUTH_MISSING = "auth_missing"
    AUTH_REFUSED = "auth_refused"
    SHUT_DOWN = "shut_down"


class TransactionResult(StrEnum):
    """How one ``relay`` ended; the label ``result`` of ``upstream_replies_total``."""

    RELAYED = "relayed"
    PARTIAL = "partial"
    DEFERRED = "deferred"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    LOST = "lost"
    TIMED_OUT = "timed_out"
    GARBAGE = "garbage"
    RETRIED = "retried"
    NO_ROOM = "no_room"
    UNREACHABLE = "unreachable"


UNKNOWN = RecipientOutcome(
    Outcome.UNKNOWN, Reply(451, "4.2", "next hop did not confirm the message; it may have been taken")
)
LOST = RecipientOutcome(Outcome.DEFERRED, Reply(451, "4.2", "connection to the next hop was lost"))
TIMED_OUT = RecipientOutcome(Outcome.DEFERRED, Reply(451, "4.2", "next hop did not answer in time"))
GARBAGE = RecipientOutcome(Outcome.DEFERRED, Reply(451, "5.0", "next hop broke the protocol"))
UNREACHABLE = RecipientOutcome(Outcome.DEFERRED, Reply(451, "4.1", "next hop cannot be reached"))
NO_ROOM = RecipientOutcome(Outcome.DEFERRED, Reply(451, "3.2", "too many messages wait for the next hop"))
SHUT_DOWN = RecipientOutcome(Outcome.DEFERRED, Reply(451, "3.2", "service is shutting down"))
UNSAFE_ENVELOPE = RecipientOutcome(Outcome.DEFERRED, Reply(451, "3.0", "message cannot be handed over"))

NO_SMTPUTF8 = RecipientOutcome(Outcome.REFUSED, Reply(550, "6.7", "next hop does not support SMTPUTF8"))
NO_8BITMIME = RecipientOutcome(Outcome.REFUSED, Reply(554, "6.3", "next hop does not support 8-bit content"))
TOO_LARGE = RecipientOutcome(Outcome.REFUSED, Reply(552, "3.4", "message is larger than the next hop accepts"))
OTHER_HOST = RecipientOutcome(Outcome.DEFERRED, Reply(451, "4.4", "the next hop that can take this is not available"))

_BEFORE_DOT = {
    Fault.TIMED_OUT: TIMED_OUT,
    Fault.GARBAGE: GARBAGE,
    Fault.EARLY_REPLY: GARBAGE,
    Fault.SHUT_DOWN: SHUT_DOWN,
}
_RESULTS = {
    Fault.TIMED_OUT: TransactionResult.TIMED_OUT,
    Fault.GARBAGE: TransactionResult.GARBAGE,
    Fault.EARLY_REPLY: TransactionResult.GARBAGE,
}


def outcome_before_dot(fault: Fault) -> RecipientOutcome:
    """Nothing of the message can have been taken: the client keeps it."""
    return _BEFORE_DOT.get(fault, LOST)


def result_before_dot(fault: Fault) -> TransactionResult:
    """The counter for the same."""
    return _RESULTS.get(fault, TransactionResult.LOST)


def outcome_of_refusal(reply: WireReply, *, is_later_recipient: bool = False) -> RecipientOutcome:
    """What a 4xx or 5xx means for the recipients it concerns; ``is_later_recipient``: a RCPT that was not the first."""
    subject_detail, text = read_text(reply)
    code = reply.code
    if code in _ABOUT_US:
        return RecipientOutcome(Outcome.DEFERRED, Reply(451, "3.0" if code >= 500 else subject_detail, text))
    if code == 552 and is_later_recipient and subject_detail in ("0.0", "5.3"):
        return RecipientOutcome(Outcome.DEFERRED, Reply(452, "5.3", text))
    outcome = Outcome.DEFERRED if code < 500 else Outcome.REFUSED
    return RecipientOutcome(outcome, Reply(code, subject_detail, text))


def outcome_of_success(reply: WireReply) -> RecipientOutcome:
    """The upstream's 2xx to the final dot."""
    subject_detail, text = read_text(reply)
    return RecipientOutcome(Outcome.RELAYED, Reply(250, subject_detail, text))


def read_text(reply: WireReply) -> tuple[str, str]:
    """Enhanced code without its class ("7.1"; "0.0" if absent or of another class than the code), and clean text.

    The text is printable ASCII, at most 400 characters in lines separated by LF, without addresses: upstreams like to
    repeat the recipient, and a reply travels into logs that are not ours.
    """
    raw = reply.text
    subject_detail = "0.0"
    found = _ENHANCED.match(raw)
    if found is not None:
        if found[1][0] - 48 == reply.code // 100:
            subject_detail = found[2].decode("ascii")
        code_bytes = found[0]
        raw = raw[len(code_bytes) :].replace(b"\n" + code_bytes, b"\n")
    text = raw.translate(_PRINTABLE).decode("ascii")
    if "@" in text:
        text = "\n".join(_hide_addresses(line) for line in text.split("\n"))
    return subject_detail, text[:MAX_TEXT_CHARACTERS] or "no reason given"


def _hide_addresses(line: str) -> str:
    """Replace each word with an "@" in it; a quoted local part is taken back to the word that opens the quotes."""
    words: list[str] = []
    for word in line.split(" "):
        if "@" not in word:
            words.append(word)
            continue
        if '"@' in word and word.count('"') % 2:
            while words and '"' not in words[-1]:
                words.pop()
            if words:
                words.pop()
        words.append(_HIDDEN)
    return " ".join(words)


def summarise(outcomes: list[RecipientOutcome]) -> TransactionResult:
    """One word for the outcomes of one transaction that ended with the upstream's replies."""
    if len(outcomes) == 1:
        return _WORDS[outcomes[0].outcome]
    words = {item.outcome for item in outcomes}
    if len(words) == 1:
        return _WORDS[words.pop()]
    if Outcome.UNKNOWN in words:
        return TransactionResult.UNKNOWN
    if Outcome.RELAYED in words:
        return TransactionResult.PARTIAL
    return TransactionResult.DEFERRED


_WORDS = {
    Outcome.RELAYED: TransactionResult.RELAYED,
    Outcome.DROPPED: TransactionResult.REFUSED,
    Outcome.DEFERRED: TransactionResult.DEFERRED,
    Outcome.REFUSED: TransactionResult.REFUSED,
    Outcome.UNKNOWN: TransactionResult.UNKNOWN,
}
