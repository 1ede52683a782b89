"""The client side of one SMTP or LMTP connection without any I/O: replies in, events and bytes to write out.

::

    GREETING -> HELLO [-> STARTTLS -> HANDSHAKE -> HELLO] [-> AUTH] -> READY
    READY -> ENVELOPE -> CONTENT -> READY            the message was sent, whatever the answer
                         CONTENT -> ENVELOPE         ... and the envelope of the next left right behind its final dot
             ENVELOPE -> RESET -> READY              no recipient or no DATA; RSET where MAIL stands
             ENVELOPE -> EMPTY -> READY              354 though nobody was accepted: a lone dot (RFC 2920 3.1)
    READY -> NOOP -> READY, READY -> QUIT -> CLOSED, anything -> CLOSED

Two rules keep one message's reply from ever being taken for another's. Whenever we are about to write, nothing the
server sent may be left unread: a reply to a command not yet given is a broken protocol. And a connection on which
anything unclean was seen is never used again.

The envelope that follows a final dot in the same write (RFC 2920 3.1 allows it: content may be the first in a group)
bends neither: its commands were given, so their replies are due, behind the dot's; and before its own content is
written, nothing may be left unread. Replies that do not match commands come to light at its DATA, which alone may be
answered 354. Until that came, no refusal is believed to be for this message, and whatever ends the transaction lets it
be tried again, by itself.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from enum import IntEnum, auto
from typing import NamedTuple

from adapters.smtp.commands import UnsafeEnvelopeError, render_envelope
from adapters.smtp.extensions import Extensions, parse_extensions
from adapters.smtp.outcomes import (
    UNKNOWN,
    UNSAFE_ENVELOPE,
    Fault,
    TransactionResult,
    outcome_before_dot,
    outcome_of_refusal,
    outcome_of_success,
    result_before_dot,
    summarise,
)
from adapters.smtp.settings import TlsMode, UpstreamSettings
from adapters.smtp.wire_reply import GarbledReplyError, ReplyReader, WireReply
from filters.envelope import RecipientOutcome
from filters.exchange import OutgoingMail


class Phase(IntEnum):
    """What the dialogue waits for."""

    GREETING = auto()
    HELLO = auto()
    HELLO_PLAIN = auto()
    STARTTLS = auto()
    HANDSHAKE = auto()
    AUTH = auto()
    READY = auto()
    ENVELOPE = auto()
    CONTENT = auto()
    EMPTY = auto()
    RESET = auto()
    NOOP = auto()
    QUIT = auto()
    CLOSED = auto()


class Opened(NamedTuple):
    """The session is set up and READY; ``extensions`` are those that hold (after TLS, where there is TLS)."""

    extensions: Extensions


class TlsWanted(NamedTuple):
    """The server said go ahead: do the handshake, then call ``tls_started``."""


class ContentWanted(NamedTuple):
    """354 came and someone was accepted: write the content and its final dot; ``content_written`` once it left."""


class Finished(NamedTuple):
    """The transaction is over: one outcome per recipient, in order.

    ``is_retryable``: the server never answered MAIL, or its envelope had followed another message and was not granted
    (``Dialogue.follow``), so the same message may be tried once more.
    Whether the connection can take the next message says ``phase``, once all that came was read.
    """

    outcomes: list[RecipientOutcome]
    result: TransactionResult
    is_retryable: bool


class Broken(NamedTuple):
    """The connection must be closed; nothing more will come."""

    fault: Fault


Event = Opened | TlsWanted | ContentWanted | Finished | Broken

_CONTENT_WANTED = ContentWanted()
_TLS_WANTED = TlsWanted()


class Dialogue:
    """State of one connection. Bytes to be written collect in ``output``; whoever does the I/O takes and clears it."""

    __slots__ = (
        "_accepted",
        "_auth_answers",
        "_commands",
        "_following",
        "_following_commands",
        "_is_content_out",
        "_is_follower",
        "_is_secure",
        "_mail",
        "_outcomes",
        "_reader",
        "_replies",
        "_settings",
        "extensions",
        "output",
        "phase",
        "replies_seen",
    )

    def __init__(self, settings: UpstreamSettings) -> None:
        self._settings = settings
        self._reader = ReplyReader()
        self._is_secure = settings.tls is TlsMode.TLS
        self._auth_answers: list[bytes] | None = None
        self._mail: OutgoingMail | None = None
        self._commands: list[bytes] = []
        self._replies: list[WireReply] = []
        self._outcomes: list[RecipientOutcome | None] = []
        self._accepted: list[int] = []
        self._is_content_out = False
        self._following: OutgoingMail | None = None
        self._following_commands: list[bytes] = []
        self._is_follower = False
        self.extensions = Extensions()
        self.output: list[bytes] = []
        self.phase = Phase.GREETING
        self.replies_seen = 0

    def receive(self, data: bytes) -> list[Event]:
        """What the server sent, in any chunks; raises nothing."""
        events: list[Event] = []
        reader = self._reader
        reader.feed(data)
        while self.phase is not Phase.CLOSED:
            try:
                reply = reader.next_reply()
            except GarbledReplyError:
                self._break(Fault.GARBAGE, events)
                break
            if reply is None:
                break
            self.replies_seen += 1
            _ON_REPLY[self.phase](self, reply, events)
        if self.phase is Phase.READY and reader.has_rest:
            self._break(Fault.GARBAGE, events)
        return events

    def begin(self, mail: OutgoingMail) -> Finished | None:
        """Start a transaction; only when READY. ``Finished``, and READY still, if the envelope is unsafe to write."""
        assert self.phase is Phase.READY
        try:
            commands = render_envelope(mail, self.extensions)
        except UnsafeEnvelopeError:
            outcomes = [UNSAFE_ENVELOPE] * len(mail.recipients)
            return Finished(outcomes, TransactionResult.DEFERRED, False)
        self._mail = mail
        self._commands = commands
        self._replies = []
        self._is_content_out = False
        self._is_follower = False
        self.phase = Phase.ENVELOPE
        self.output.append(b"".join(commands) if self.extensions.has_pipelining else commands[0])
        return None

    def follow(self, mail: OutgoingMail) -> bytes | None:
        """The envelope of the message to come, to be written right behind the final dot of the one under way.

        Only while content is wanted and none was written; once, and then it has to be written. None, and nothing
        changes, where the server may not be spoken to like that or the envelope is unsafe to write.
        """
        assert self.phase is Phase.CONTENT
        assert not self._is_content_out
        assert self._following is None
        if self._settings.is_lmtp or not self.extensions.has_pipelining:
            return None
        try:
            commands = render_envelope(mail, self.extensions)
        except UnsafeEnvelopeError:
            return None
        self._following = mail
        self._following_commands = commands
        return b"".join(commands)

    def content_written(self) -> None:
        """The final dot has left: from now on a lost connection means "unknown", and a reply is the reply to it."""
        self._is_content_out = True

    def tls_started(self) -> None:
        """The handshake succeeded: all that was learned before is void (RFC 3207 4.2)."""
        assert self.phase is Phase.HANDSHAKE
        self._is_secure = True
        self.extensions = Extensions()
        self._reader = ReplyReader()
        self._say_hello()

    def noop(self) -> None:
        """Ask for a sign of life; only when READY."""
        assert self.phase is Phase.READY
        self.output.append(b"NOOP\r\n")
        self.phase = Phase.NOOP

    def quit(self) -> None:
        """Take leave; only when READY."""
        assert self.phase is Phase.READY
        self.output.append(b"QUIT\r\n")
        self.phase = Phase.QUIT

    def abandon(self, fault: Fault) -> Finished | None:
        """The connection is gone or will be cut; what that means for the transaction under way, if there is one."""
        phase, self.phase = self.phase, Phase.CLOSED
        self.output.clear()
        if self._mail is None:
            return None
        if phase is Phase.CONTENT:
            is_unknown = self._is_content_out
            return self._finish_open_recipients(
                UNKNOWN if is_unknown else outcome_before_dot(fault),
                TransactionResult.UNKNOWN if is_unknown else result_before_dot(fault),
            )
        return self._give_up_envelope(
            outcome_before_dot(fault), result_before_dot(fault), is_retryable=not self._replies and fault is Fault.LOST
        )

    def abandon_following(self, fault: Fault) -> Finished | None:
        """What the end of the connection means for the message whose envelope left behind the dot, if there is one.

        Nothing but that envelope was sent and no word of it was answered, so another connection may have it.
        """
        mail, self._following = self._following, None
        if mail is None:
            return None
        outcomes = [outcome_before_dot(fault)] * len(mail.recipients)
        return Finished(outcomes, TransactionResult.DEFERRED, is_retryable=True)

    # setting up

    def _say_hello(self) -> None:
        verb = b"LHLO " if self._settings.is_lmtp else b"EHLO "
        self.output.append(verb + self._settings.helo_name.encode("ascii") + b"\r\n")
        self.phase = Phase.HELLO

    def _on_greeting(self, reply: WireReply, events: list[Event]) -> None:
        if reply.code != 220:
            self._break(Fault.GREETING_REFUSED, events)
        elif self._is_quiet(events):
            self._say_hello()

    def _on_hello(self, reply: WireReply, events: list[Event]) -> None:
        if not self._is_quiet(events):
            return
        settings = self._settings
        if reply.code == 250:
            self.extensions = parse_extensions(reply)
        elif reply.code >= 500 and not settings.is_lmtp and self.phase is Phase.HELLO:
            self.output.append(b"HELO " + settings.helo_name.encode("ascii") + b"\r\n")
            self.phase = Phase.HELLO_PLAIN
            return
        else:
            self._break(Fault.HELLO_REFUSED, events)
            return
        if settings.tls is TlsMode.STARTTLS and not self._is_secure:
            if not self.extensions.has_starttls:
                self._break(Fault.TLS_MISSING, events)
                return
            self.output.append(b"STARTTLS\r\n")
            self.phase = Phase.STARTTLS
        elif settings.username is not None:
            self._authenticate(events)
        else:
            self._open(events)

    def _on_hello_plain(self, reply: WireReply, events: list[Event]) -> None:
        if reply.code >= 500:
            self._break(Fault.HELLO_REFUSED, events)
        else:
            self._on_hello(WireReply(reply.code, b""), events)

    def _on_starttls(self, reply: WireReply, events: list[Event]) -> None:
        if reply.code != 220:
            self._break(Fault.TLS_MISSING, events)
        elif self._is_quiet(events):  # bytes behind the 220 were put there by someone on the line
            self.phase = Phase.HANDSHAKE
            events.append(_TLS_WANTED)

    def _on_unexpected(self, reply: WireReply, events: list[Event]) -> None:
        self._break(Fault.CLOSED_BY_PEER if reply.code == 421 else Fault.GARBAGE, events)

    def _authenticate(self, events: list[Event]) -> None:
        """PLAIN (RFC 4616) if offered, else LOGIN."""
        username = (self._settings.username or "").encode()
        password = (self._settings.password or "").encode()
        mechanisms = self.extensions.auth_mechanisms
        if "PLAIN" in mechanisms:
            token = base64.b64encode(b"\0" + username + b"\0" + password)
            self.output.append(b"AUTH PLAIN " + token + b"\r\n")
            self._auth_answers = []
        elif "LOGIN" in mechanisms:
            self.output.append(b"AUTH LOGIN\r\n")
            self._auth_answers = [base64.b64encode(password) + b"\r\n", base64.b64encode(username) + b"\r\n"]
        else:
            self._break(Fault.AUTH_MISSING, events)
            return
        self.phase = Phase.AUTH

    def _on_auth(self, reply: WireReply, events: list[Event]) -> None:
        if not self._is_quiet(events):
            return
        if reply.code == 334 and self._auth_answers:
            self.output.append(self._auth_answers.pop())
        elif reply.code == 235:
            self._auth_answers = None
            self._open(events)
        else:
            self._break(Fault.AUTH_REFUSED, events)

    def _open(self, events: list[Event]) -> None:
        self.phase = Phase.READY
        events.append(Opened(self.extensions))

    # one transaction

    def _on_envelope(self, reply: WireReply, events: list[Event]) -> None:
        if reply.code == 421:
            self._on_closing(reply, events)
            return
        replies = self._replies
        replies.append(reply)
        commands = self._commands
        is_last = len(replies) == len(commands)
        if not is_last and 300 <= reply.code < 400:
            self._break(Fault.GARBAGE, events)
        elif is_last:
            self._on_data(reply, events)
        elif not self.extensions.has_pipelining:
            self._go_on_in_lockstep(events)

    def _go_on_in_lockstep(self, events: list[Event]) -> None:
        """The server wants one command at a time; stop as soon as it is known that there will be no DATA."""
        if not self._is_quiet(events):
            return
        replies = self._replies
        is_mail_refused = replies[0].code >= 400
        is_data_next = len(replies) == len(self._commands) - 1
        if is_mail_refused or (is_data_next and all(reply.code >= 400 for reply in replies[1:])):
            self._judge_envelope()
            self._end_without_content(None, events)
            return
        self.output.append(self._commands[len(replies)])

    def _on_data(self, reply: WireReply, events: list[Event]) -> None:
        if not self._is_quiet(events):
            return
        if reply.code < 300:  # nothing was sent that could have succeeded: replies and commands do not match
            self._break(Fault.GARBAGE, events)
            return
        self._judge_envelope()
        if reply.code == 354 and self._accepted:
            self.phase = Phase.CONTENT
            self._is_follower = False
            events.append(_CONTENT_WANTED)
        elif reply.code < 400:
            if reply.code != 354 or self._settings.is_lmtp:  # LMTP has no reply to a dot for nobody (RFC 2033 4.2)
                self._break(Fault.GARBAGE, events)
                return
            events.append(self._finish_open_recipients(UNKNOWN, None))
            self.output.append(b".\r\n")
            self.phase = Phase.EMPTY
        else:
            self._end_without_content(reply, events)

    def _judge_envelope(self) -> None:
        """Who was accepted, and what the others were told."""
        replies = self._replies
        assert self._mail is not None
        count = len(self._mail.recipients)
        mail_reply = replies[0]
        if mail_reply.code >= 400:
            self._accepted = []
            self._outcomes = [outcome_of_refusal(mail_reply)] * count
            return
        outcomes: list[RecipientOutcome | None] = []
        accepted = []
        for place in range(count):
            reply = replies[place + 1]
            if reply.code < 300:
                accepted.append(place)
                outcomes.append(None)
            else:
                outcomes.append(outcome_of_refusal(reply, is_later_recipient=place > 0))
        self._accepted = accepted
        self._outcomes = outcomes

    def _end_without_content(self, data_reply: WireReply | None, events: list[Event]) -> None:
        """No 354. The accepted recipients, if any, share DATA's reply."""
        is_mail_open = self._replies[0].code < 300
        is_out_of_order = self._replies[0].code == 503 or (
            data_reply is not None and data_reply.code == 503 and bool(self._accepted)
        )
        rest = UNKNOWN if data_reply is None else outcome_of_refusal(data_reply)
        if is_out_of_order:
            events.append(self._finish_open_recipients(rest, None))
            self._break(Fault.GARBAGE, events)
        elif is_mail_open:
            events.append(self._finish_open_recipients(rest, None))
            self.output.append(b"RSET\r\n")
            self.phase = Phase.RESET
        else:
            self.phase = Phase.READY
            events.append(self._finish_open_recipients(rest, None))

    def _on_content(self, reply: WireReply, events: list[Event]) -> None:
        """The reply to the final dot: one for all, in LMTP one for each accepted recipient in order (RFC 2033 4.2)."""
        code = reply.code
        if 300 <= code < 400:
            self._break(Fault.GARBAGE, events)
            return
        if not self._is_content_out:
            if code < 300:
                self._is_content_out = True  # taken before it was complete? nobody can know
                self._break(Fault.GARBAGE, events)
                return
            events.append(self._finish_open_recipients(outcome_of_refusal(reply), None))
            self._break(Fault.EARLY_REPLY, events)
            return
        outcome = outcome_of_success(reply) if code < 300 else outcome_of_refusal(reply)
        accepted = self._accepted
        if self._settings.is_lmtp and code != 421:
            self._outcomes[accepted.pop(0)] = outcome
            if accepted:
                return
        if code == 421:
            events.append(self._finish_open_recipients(outcome, None))
            self._break(Fault.CLOSED_BY_PEER, events)
        else:
            events.append(self._finish_open_recipients(outcome, None))
            self._go_on()

    def _go_on(self) -> None:
        """After the reply to a final dot: the next envelope is under way already, or nothing is."""
        following = self._following
        if following is None:
            self.phase = Phase.READY
            return
        self._mail = following
        self._commands = self._following_commands
        self._following = None
        self._is_follower = True
        self._replies = []
        self._is_content_out = False
        self.phase = Phase.ENVELOPE

    def _on_closing(self, reply: WireReply, events: list[Event]) -> None:
        """421 before the content: the server leaves, and the message stays with the client (RFC 5321 3.8).

        Before MAIL was answered it may as well speak of the time between two messages.
        """
        is_retryable = not self._replies
        self.phase = Phase.CLOSED
        events.append(
            self._give_up_envelope(outcome_of_refusal(reply), TransactionResult.DEFERRED, is_retryable=is_retryable)
        )
        events.append(Broken(Fault.CLOSED_BY_PEER))

    def _give_up_envelope(self, rest: RecipientOutcome, result: TransactionResult, *, is_retryable: bool) -> Finished:
        """The connection ended inside the envelope: refusals already heard stand, for the others ``rest`` holds."""
        assert self._mail is not None
        replies = self._replies
        self._outcomes = [None] * len(self._mail.recipients)
        if replies and replies[0].code >= 400:
            rest = outcome_of_refusal(replies[0])
        else:
            for place, reply in enumerate(replies[1 : len(self._outcomes) + 1]):
                if reply.code >= 400:
                    self._outcomes[place] = outcome_of_refusal(reply, is_later_recipient=place > 0)
        return self._finish_open_recipients(rest, result, is_retryable=is_retryable)

    def _finish_open_recipients(
        self, rest: RecipientOutcome, result: TransactionResult | None, *, is_retryable: bool = False
    ) -> Finished:
        """Close the transaction; recipients without an outcome so far get ``rest``. ``result`` None: sum them up."""
        outcomes = [rest if outcome is None else outcome for outcome in self._outcomes]
        self._mail = None
        if self._is_follower:
            is_retryable = result is not TransactionResult.TIMED_OUT
        return Finished(outcomes, result or summarise(outcomes), is_retryable)

    # between transactions

    def _on_pause(self, reply: WireReply, events: list[Event]) -> None:
        """The reply to RSET, NOOP or a lone dot."""
        is_refused_empty = self.phase is Phase.EMPTY and reply.code >= 400 and reply.code != 421
        if reply.code < 300 or is_refused_empty:
            self.phase = Phase.READY
        else:
            self._on_unexpected(reply, events)

    def _on_quit(self, reply: WireReply, events: list[Event]) -> None:
        self._break(Fault.SHUT_DOWN, events)

    def _is_quiet(self, events: list[Event]) -> bool:
        """Whether nothing unread is left; breaks the dialogue otherwise."""
        if not self._reader.has_rest:
            return True
        self._break(Fault.GARBAGE, events)
        return False

    def _break(self, fault: Fault, events: list[Event]) -> None:
        ended = self.abandon(fault), self.abandon_following(fault)
        events.extend([finished for finished in ended if finished is not None])
        events.append(Broken(fault))


_HANDLERS: dict[Phase, Callable[[Dialogue, WireReply, list[Event]], None]] = {
    Phase.GREETING: Dialogue._on_greeting,
    Phase.HELLO: Dialogue._on_hello,
    Phase.HELLO_PLAIN: Dialogue._on_hello_plain,
    Phase.STARTTLS: Dialogue._on_starttls,
    Phase.HANDSHAKE: Dialogue._on_unexpected,
    Phase.AUTH: Dialogue._on_auth,
    Phase.READY: Dialogue._on_unexpected,
    Phase.ENVELOPE: Dialogue._on_envelope,
    Phase.CONTENT: Dialogue._on_content,
    Phase.EMPTY: Dialogue._on_pause,
    Phase.RESET: Dialogue._on_pause,
    Phase.NOOP: Dialogue._on_pause,
    Phase.QUIT: Dialogue._on_quit,
    Phase.CLOSED: Dialogue._on_unexpected,
}
_ON_REPLY = [Dialogue._on_unexpected, *(_HANDLERS[phase] for phase in Phase)]  # indexed by phase, from 1

__all__ = [
    "Broken",
    "ContentWanted",
    "Dialogue",
    "Event",
    "Finished",
    "Opened",
    "Phase",
    "TlsWanted",
]
