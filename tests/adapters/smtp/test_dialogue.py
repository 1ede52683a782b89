"""Conversations: what the server says, what we write, and what it means. No sockets.

A script is a list of lines: ``S:`` the server says, ``C:`` we write (all that is due, in order), ``E:`` the event that
comes of it (its class, and the outcomes of a transaction).
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.smtp.dialogue import Broken, ContentWanted, Dialogue, Event, Finished, Opened, Phase
from adapters.smtp.outcomes import Fault
from adapters.smtp.settings import TlsMode, UpstreamSettings
from filters.address import EmailAddress
from filters.envelope import EnvelopeRecipient
from filters.exchange import OutgoingMail
from filters.vocabulary import Outcome

GREETING = ["S: 220 relay.example", "C: EHLO localhost", "S: 250-relay.example", "S: 250 PIPELINING", "E: Opened"]
LOCKSTEP = ["S: 220 relay.example", "C: EHLO localhost", "S: 250 relay.example", "E: Opened"]
LMTP = ["S: 220 relay.example", "C: LHLO localhost", "S: 250-relay.example", "S: 250 PIPELINING", "E: Opened"]
TWO = ["C: MAIL FROM:<s@a.example>", "C: RCPT TO:<r0@b.example>", "C: RCPT TO:<r1@b.example>", "C: DATA"]

SCRIPTS = {
    "both taken": [
        *GREETING,
        "begin 2",
        *TWO,
        *("S: 250 ok", "S: 250 ok", "S: 250 ok", "S: 354 go", "E: ContentWanted"),
        *("written", "S: 250 queued", "E: Finished relayed relayed", "ready"),
    ],
    "one refused, one taken": [
        *GREETING,
        "begin 2",
        *TWO,
        *("S: 250 ok", "S: 550 no", "S: 250 ok", "S: 354 go", "E: ContentWanted"),
        *("written", "S: 250 queued", "E: Finished refused relayed", "ready"),
    ],
    "nobody accepted, DATA refused: RSET": [
        *GREETING,
        "begin 2",
        *TWO,
        *("S: 250 ok", "S: 550 no", "S: 450 later", "S: 503 need RCPT", "E: Finished refused deferred"),
        *("C: RSET", "S: 250 ok", "ready"),
    ],
    "nobody accepted, DATA answered 354: a lone dot (RFC 2920 3.1)": [
        *GREETING,
        "begin 1",
        *("C: MAIL FROM:<s@a.example>", "C: RCPT TO:<r0@b.example>", "C: DATA"),
        *("S: 250 ok", "S: 550 no", "S: 354 go", "E: Finished refused", "C: ."),
        *("S: 554 no valid recipients", "ready"),
    ],
    "MAIL refused: no RSET, as there is nothing to reset": [
        *GREETING,
        "begin 2",
        *TWO,
        *("S: 552 too large", "S: 503 no", "S: 503 no", "S: 503 no", "E: Finished refused refused", "ready"),
    ],
    "DATA refused though one was accepted": [
        *GREETING,
        "begin 2",
        *TWO,
        *("S: 250 ok", "S: 250 ok", "S: 550 no", "S: 451 later", "E: Finished deferred refused"),
        *("C: RSET", "S: 250 ok", "ready"),
    ],
    "DATA out of order though one was accepted: never used again": [
        *GREETING,
        "begin 1",
        *("C: MAIL FROM:<s@a.example>", "C: RCPT TO:<r0@b.example>", "C: DATA"),
        *("S: 250 ok", "S: 250 ok", "S: 503 bad sequence", "E: Finished deferred", "E: Broken garbage"),
    ],
    "one reply too many before: DATA seems to succeed": [
        *GREETING,
        "begin 1",
        *("C: MAIL FROM:<s@a.example>", "C: RCPT TO:<r0@b.example>", "C: DATA"),
        *("S: 250 stray", "S: 250 ok", "S: 250 ok", "E: Finished deferred", "E: Broken garbage"),
    ],
    "354 in the place of RCPT's reply": [
        *GREETING,
        "begin 1",
        *("C: MAIL FROM:<s@a.example>", "C: RCPT TO:<r0@b.example>", "C: DATA"),
        *("S: 250 ok", "S: 354 go", "E: Finished deferred", "E: Broken garbage"),
    ],
    "421 before MAIL is answered": [
        *GREETING,
        "begin 1",
        *("C: MAIL FROM:<s@a.example>", "C: RCPT TO:<r0@b.example>", "C: DATA"),
        *("S: 421 idle too long", "E: Finished deferred", "E: Broken closed_by_peer"),
    ],
    "421 in the middle keeps what was heard": [
        *GREETING,
        "begin 2",
        *TWO,
        *("S: 250 ok", "S: 550 no", "S: 421 bye", "E: Finished refused deferred", "E: Broken closed_by_peer"),
    ],
    "421 to the dot: not taken": [
        *GREETING,
        "begin 1",
        *("C: MAIL FROM:<s@a.example>", "C: RCPT TO:<r0@b.example>", "C: DATA"),
        *("S: 250 ok", "S: 250 ok", "S: 354 go", "E: ContentWanted", "written"),
        *("S: 421 bye", "E: Finished deferred", "E: Broken closed_by_peer"),
    ],
    "nonsense to the dot: unknown": [
        *GREETING,
        "begin 1",
        *("C: MAIL FROM:<s@a.example>", "C: RCPT TO:<r0@b.example>", "C: DATA"),
        *("S: 250 ok", "S: 250 ok", "S: 354 go", "E: ContentWanted", "written"),
        *("S: fine, thanks", "E: Finished unknown", "E: Broken garbage"),
    ],
    "354 to the dot: unknown": [
        *GREETING,
        "begin 1",
        *("C: MAIL FROM:<s@a.example>", "C: RCPT TO:<r0@b.example>", "C: DATA"),
        *("S: 250 ok", "S: 250 ok", "S: 354 go", "E: ContentWanted", "written"),
        *("S: 354 more", "E: Finished unknown", "E: Broken garbage"),
    ],
    "refused before the content was out: refused, and never used again": [
        *GREETING,
        "begin 1",
        *("C: MAIL FROM:<s@a.example>", "C: RCPT TO:<r0@b.example>", "C: DATA"),
        *("S: 250 ok", "S: 250 ok", "S: 354 go", "E: ContentWanted"),
        *("S: 552 too large", "E: Finished refused", "E: Broken early_reply"),
    ],
    "taken before the content was out: nobody knows": [
        *GREETING,
        "begin 1",
        *("C: MAIL FROM:<s@a.example>", "C: RCPT TO:<r0@b.example>", "C: DATA"),
        *("S: 250 ok", "S: 250 ok", "S: 354 go", "E: ContentWanted"),
        *("S: 250 taken", "E: Finished unknown", "E: Broken garbage"),
    ],
    "lockstep: one command at a time": [
        *LOCKSTEP,
        "begin 2",
        *("C: MAIL FROM:<s@a.example>", "S: 250 ok", "C: RCPT TO:<r0@b.example>", "S: 550 no"),
        *("C: RCPT TO:<r1@b.example>", "S: 250 ok", "C: DATA", "S: 354 go", "E: ContentWanted"),
        *("written", "S: 250 queued", "E: Finished refused relayed", "ready"),
    ],
    "lockstep: nobody accepted, so no DATA": [
        *LOCKSTEP,
        "begin 1",
        *("C: MAIL FROM:<s@a.example>", "S: 250 ok", "C: RCPT TO:<r0@b.example>", "S: 450 later"),
        *("E: Finished deferred", "C: RSET", "S: 250 ok", "ready"),
    ],
    "lockstep: MAIL refused": [
        *LOCKSTEP,
        "begin 2",
        *("C: MAIL FROM:<s@a.example>", "S: 550 no", "E: Finished refused refused", "ready"),
    ],
    "LMTP: a reply for each accepted recipient": [
        *LMTP,
        "begin 3",
        *("C: MAIL FROM:<s@a.example>", *(f"C: RCPT TO:<r{n}@b.example>" for n in range(3)), "C: DATA"),
        *("S: 250 ok", "S: 250 ok", "S: 550 no", "S: 250 ok", "S: 354 go", "E: ContentWanted", "written"),
        *("S: 250 taken", "S: 452 full", "E: Finished relayed refused deferred", "ready"),
    ],
    "LMTP: nonsense after the first reply": [
        *LMTP,
        "begin 2",
        *TWO,
        *("S: 250 ok", "S: 250 ok", "S: 250 ok", "S: 354 go", "E: ContentWanted", "written"),
        *("S: 250 taken", "S: oops", "E: Finished relayed unknown", "E: Broken garbage"),
    ],
    "LMTP: 354 for nobody has no reply to wait for": [
        *LMTP,
        "begin 1",
        *("C: MAIL FROM:<s@a.example>", "C: RCPT TO:<r0@b.example>", "C: DATA"),
        *("S: 250 ok", "S: 550 no", "S: 354 go", "E: Finished refused", "E: Broken garbage"),
    ],
    "HELO where EHLO is unknown": [
        *("S: 220 old.example", "C: EHLO localhost", "S: 500 what", "C: HELO localhost", "S: 250 old", "E: Opened"),
    ],
    "greeting refused": ["S: 554 go away", "E: Broken greeting_refused"],
    "EHLO refused for now": ["S: 220 hi", "C: EHLO localhost", "S: 421 later", "E: Broken hello_refused"],
}


def new_dialogue(**options: Any) -> Dialogue:
    return Dialogue(UpstreamSettings("relay", (("127.0.0.1", 25),), **options))


def new_mail(recipients: int) -> OutgoingMail:
    addresses = [b"r%d@b.example" % number for number in range(recipients)]
    to = [EnvelopeRecipient(EmailAddress(address, address, False), b"") for address in addresses]
    return OutgoingMail(b"s@a.example", b"", to, b"x\r\n")


def describe(event: Event) -> str:
    if isinstance(event, Finished):
        return " ".join(["Finished", *(item.outcome for item in event.outcomes)])
    return f"Broken {event.fault}" if isinstance(event, Broken) else type(event).__name__


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
@pytest.mark.parametrize("is_byte_by_byte", [False, True])
def test_conversations(script: list[str], is_byte_by_byte: bool) -> None:
    """Each script holds to the letter, whole lines or byte by byte; nothing is written or happens beside it."""
    dialogue = new_dialogue(is_lmtp="C: LHLO localhost" in script)
    written: list[str] = []
    events: list[str] = []
    for step in script:
        kind, _, rest = step.partition(" ")
        if kind == "S:":
            assert (written, events) == ([], []), f"unexpected before {step!r}"
            wire = rest.encode() + b"\r\n"
            for chunk in [bytes([byte]) for byte in wire] if is_byte_by_byte else [wire]:
                events += map(describe, dialogue.receive(chunk))
        elif kind == "E:":
            assert events.pop(0) == rest
        elif kind == "begin":
            assert dialogue.begin(new_mail(int(rest))) is None
        elif kind == "written":
            dialogue.content_written()
        elif kind == "ready":
            assert dialogue.phase is Phase.READY
        else:
            assert written.pop(0) == rest
        written += b"".join(dialogue.output).decode().splitlines()
        dialogue.output.clear()
    assert (written, events) == ([], [])


def opened(extensions: bytes = b"PIPELINING", **options: Any) -> Dialogue:
    dialogue = new_dialogue(**options)
    dialogue.receive(b"220 hi\r\n")
    assert isinstance(dialogue.receive(b"250-hi\r\n250 " + extensions + b"\r\n")[0], Opened)
    dialogue.output.clear()
    return dialogue


@pytest.mark.parametrize(
    "wire",
    [
        b"250 ok\r\n250 ok\r\n354 go\r\n250 already\r\n",
        b"250 ok\r\n250 ok\r\n354 go\r\n2",
        b"250 ok\r\n550 no\r\n354 go\r\n554 x\r\n",
    ],
)
def test_a_reply_before_its_question_breaks_the_connection(wire: bytes) -> None:
    """A server that answers the dot before the dot was sent is not believed, and no content is sent to it."""
    dialogue = opened()
    dialogue.begin(new_mail(1))
    events = dialogue.receive(wire)
    assert not any(isinstance(event, ContentWanted) for event in events)
    assert events[-1] == Broken(Fault.GARBAGE)
    assert all(
        item.outcome is not Outcome.RELAYED
        for event in events
        if isinstance(event, Finished)
        for item in event.outcomes
    )


def test_a_reply_too_many_after_the_dot_ends_the_connection() -> None:
    """The message was relayed; the connection is not READY for another."""
    dialogue = opened()
    dialogue.begin(new_mail(1))
    dialogue.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    dialogue.content_written()
    events = dialogue.receive(b"250 queued\r\n250 again\r\n")
    assert [describe(event) for event in events] == ["Finished relayed", "Broken garbage"]
    assert dialogue.phase is Phase.CLOSED


@pytest.mark.parametrize(
    ("words", "fault"),
    [(b"421 idle too long\r\n", Fault.CLOSED_BY_PEER), (b"250 what\r\n", Fault.GARBAGE), (b"4", Fault.GARBAGE)],
)
def test_any_word_while_idle_ends_the_connection(words: bytes, fault: Fault) -> None:
    """Nothing was asked, so nothing can be an answer, and the next message must not meet it."""
    assert opened().receive(words) == [Broken(fault)]


@pytest.mark.parametrize("behind", [b"250-evil\r\n250 AUTH PLAIN\r\n", b"2", b"\r\n"])
def test_what_stands_behind_starttls_is_an_attack(behind: bytes) -> None:
    """Clear text after the 220 to STARTTLS (CVE-2011-0411): the connection ends without a handshake."""
    dialogue = new_dialogue(tls=TlsMode.STARTTLS)
    dialogue.receive(b"220 hi\r\n")
    dialogue.receive(b"250-hi\r\n250 STARTTLS\r\n")
    assert dialogue.receive(b"220 go ahead\r\n" + behind) == [Broken(Fault.GARBAGE)]


def test_what_was_learned_before_tls_is_forgotten() -> None:
    """Extensions announced in clear do not hold after the handshake (RFC 3207 4.2)."""
    dialogue = new_dialogue(tls=TlsMode.STARTTLS)
    dialogue.receive(b"220 hi\r\n")
    dialogue.receive(b"250-hi\r\n250-SMTPUTF8\r\n250 STARTTLS\r\n")
    dialogue.receive(b"220 go ahead\r\n")
    dialogue.tls_started()
    assert not dialogue.extensions.has_smtputf8
    (event,) = dialogue.receive(b"250 hi\r\n")
    assert event == Opened(dialogue.extensions)
    assert not dialogue.extensions.has_smtputf8


def test_starttls_demanded_and_missing() -> None:
    """No STARTTLS announced, or refused: nothing but EHLO was ever said in clear."""
    for answer in (b"250 hi\r\n", b"250-hi\r\n250 STARTTLS\r\n454 not now\r\n"):
        dialogue = new_dialogue(tls=TlsMode.STARTTLS)
        dialogue.receive(b"220 hi\r\n")
        events = [event for line in answer.splitlines(keepends=True) for event in dialogue.receive(line)]
        assert events == [Broken(Fault.TLS_MISSING)]


@pytest.mark.parametrize(
    ("heard", "fault", "is_retryable"),
    [
        (b"", Fault.LOST, True),
        (b"25", Fault.LOST, True),
        (b"", Fault.TIMED_OUT, False),
        (b"", Fault.SHUT_DOWN, False),
        (b"250 ok\r\n", Fault.LOST, False),
        (b"250 ok\r\n250 ok\r\n", Fault.LOST, False),
    ],
)
def test_another_connection_only_before_mail_was_answered(heard: bytes, fault: Fault, is_retryable: bool) -> None:
    """A connection that died between two messages is not the message's fault; anything later is the client's to
    try again."""
    dialogue = opened()
    dialogue.begin(new_mail(1))
    dialogue.receive(heard)
    finished = dialogue.abandon(fault)
    assert finished is not None
    assert finished.is_retryable == is_retryable
    assert finished.outcomes[0].outcome is Outcome.DEFERRED


@given(
    wire=st.lists(
        st.sampled_from(
            [
                b"250 ok\r\n",
                b"354 go\r\n",
                b"550 no\r\n",
                b"451 later\r\n",
                b"421 bye\r\n",
                b"250-more\r\n",
                b"?\r\n",
                b"25",
            ]
        ),
        max_size=12,
    ),
    recipients=st.integers(1, 3),
    has_pipelining=st.booleans(),
    is_lmtp=st.booleans(),
    data=st.data(),
)
@settings(max_examples=300)
def test_whatever_the_server_says(
    wire: list[bytes], recipients: int, has_pipelining: bool, is_lmtp: bool, data: st.DataObject
) -> None:
    """Any replies in any chunks: at most one end of the transaction, exactly one with the connection's loss, an
    outcome for each recipient, and RELAYED only behind a 354 and a 2xx that came after the content."""
    options: dict[str, Any] = {"is_lmtp": is_lmtp}
    dialogue = opened(b"PIPELINING" if has_pipelining else b"DSN", **options)
    dialogue.begin(new_mail(recipients))
    whole = b"".join(wire)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=6)))
    finished: list[Finished] = []
    is_content_out = False
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        chunk = whole[start:end]
        for event in dialogue.receive(chunk):
            if isinstance(event, ContentWanted):
                assert b"354" in whole[:end]
                is_content_out = True
                dialogue.content_written()
            elif isinstance(event, Finished):
                finished.append(event)
                if any(item.outcome is Outcome.RELAYED for item in event.outcomes):
                    assert is_content_out
    lost = dialogue.abandon(Fault.LOST)
    if lost is not None:
        finished.append(lost)
    (only,) = finished
    assert len(only.outcomes) == recipients
    assert dialogue.abandon(Fault.LOST) is None
    if only.is_retryable:
        assert not is_content_out


@given(st.lists(st.binary(max_size=40), max_size=10), st.sampled_from(list(TlsMode)), st.booleans())
def test_bytes_from_anyone(chunks: list[bytes], tls: TlsMode, has_login: bool) -> None:
    """Arbitrary bytes from the start never raise, and never a password in the clear."""
    login = {"username": "u", "password": "secret", "allow_cleartext_auth": True} if has_login else {}
    dialogue = new_dialogue(tls=tls, **login)
    for chunk in [b"220 hi\r\n", *chunks]:
        dialogue.receive(chunk)
    if tls is TlsMode.STARTTLS:
        assert b"AUTH" not in b"".join(dialogue.output)
