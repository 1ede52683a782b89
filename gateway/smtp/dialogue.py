"""The conversation of one SMTP or LMTP session, without any I/O: bytes in, replies and at most one effect out.

Whoever owns the connection calls ``receive`` with what came, however it was cut, and gets the effect that the dialogue
cannot go on without, or None when it only waits for more. Each effect has one method that resumes the dialogue with
the result and returns the next effect; bytes that arrive meanwhile are kept. Replies collect in the order of the
commands (RFC 2920) and are taken with ``take_replies``, so that a group of pipelined commands is one write.

**States.** What may come when is the table ``ALLOWED``; EHLO and RSET lead back to GREETED.

::

    CONNECTED --EHLO--> GREETED --MAIL--> SENDER --RCPT--> RECIPIENTS --DATA--> (content) --> GREETED

**Strictness.** Commands and content end in CRLF only. A bare CR or LF in a command closes the session: a peer that
means it as a line end disagrees with us about where every command begins. BDAT closes it too: what follows an
unoffered BDAT is content that would be read as commands. What was sent in clear after STARTTLS is thrown away
(RFC 3207 6).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from filters.address import AddressError, AddressProblem, parse_email
from filters.client import Client
from filters.envelope import Answer, Envelope, EnvelopeRecipient
from filters.reply import Reply
from gateway.smtp import replies
from gateway.smtp.authentication import MAX_LINE_BYTES as MAX_LOGIN_LINE_BYTES
from gateway.smtp.authentication import MECHANISMS, Challenge, Credentials, LoginExchange, Step
from gateway.smtp.effects import CheckLogin, CheckRecipient, Close, Effect, HandleMessage, StartTls
from gateway.smtp.end_of_data import ContentReader, has_clean_lines, split_at_end
from gateway.smtp.extensions import NOTHING_ANNOUNCED, Extensions
from gateway.smtp.memory_budget import MemoryBudget
from gateway.smtp.parameters import (
    NO_MAIL_PARAMETERS,
    ParameterError,
    check_recipient_parameters,
    parse_mail_parameters,
)
from gateway.smtp.settings import ListenerSettings, TlsMode

MAX_LINE_BYTES: Final = 2048
"""Without CRLF. RFC 5321 4.5.3.1.4 asks for 512 and the extensions add to it: DSN alone 529 octets to RCPT."""

_DISCARD_FACTOR: Final = 4
"""Content too big is read on and thrown away up to so many times the limit, so that the client hears why."""

_DISCARD_MINIMUM: Final = 65536


class State(StrEnum):
    """Where the session stands between two commands."""

    CONNECTED = "connected"
    GREETED = "greeted"
    SENDER = "sender"
    RECIPIENTS = "recipients"


# Where a command is allowed, and the reply where it is not; before EHLO that is another one. Commands not listed are
# allowed everywhere.
ALLOWED: Final[Mapping[bytes, tuple[frozenset[State], bytes]]] = {
    b"MAIL": (frozenset({State.GREETED}), replies.MAIL_ALREADY_GIVEN),
    b"RCPT": (frozenset({State.SENDER, State.RECIPIENTS}), replies.MAIL_FIRST),
    b"DATA": (frozenset({State.SENDER, State.RECIPIENTS}), replies.MAIL_FIRST),
    b"AUTH": (frozenset({State.GREETED}), replies.NOT_WITHIN_MAIL),
    b"STARTTLS": (frozenset({State.GREETED}), replies.NOT_WITHIN_MAIL),
}

# Web browsers can be made to post mail commands to a port; what they say first gives them away.
_NOT_MAIL: Final = frozenset({b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT"})

_FROM = re.compile(rb"FROM: *<([^<>]*)>((?: .*)?)", re.IGNORECASE | re.DOTALL).fullmatch
_TO = re.compile(rb"TO: *<([^<>]*)>((?: .*)?)", re.IGNORECASE | re.DOTALL).fullmatch

# A reverse-path is handed on and never looked up, so more than recipients may have is let through: hosts without a dot,
# address literals, the long local parts of VERP and SRS. Nothing that a next hop could read as two things.
_SENDER = re.compile(
    rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|\[[A-Za-z0-9:.]+\])"
).fullmatch
_MAX_SENDER_BYTES: Final = 254

# The name a client gives itself goes into the trace header: what is not plainly a name there is masked.
_UNSAFE_IN_TRACE = re.compile(rb"[^A-Za-z0-9._:\[\]-]")
_MAX_HELLO_BYTES: Final = 255


class Dialogue:
    """One session. ``client`` may be set from outside once the peer's address is known; a login replaces it."""

    __slots__ = (
        "_announced",
        "_budget",
        "_charge",
        "_content",
        "_content_refusal",
        "_effect",
        "_errors",
        "_extensions",
        "_failed_logins",
        "_has_prdr",
        "_input",
        "_input_at",
        "_is_closed",
        "_is_content",
        "_is_discarding_line",
        "_is_logged_in",
        "_is_served",
        "_is_shutting_down",
        "_kept",
        "_kept_bytes",
        "_login",
        "_name",
        "_recipient_numbers",
        "_replies",
        "_reply_numbers",
        "_saw_recipient",
        "_settings",
        "_size_limit",
        "client",
        "envelope",
        "is_tls",
        "peer",
        "session_id",
        "state",
        "steps",
    )

    def __init__(
        self,
        settings: ListenerSettings,
        extensions: Extensions,
        budget: MemoryBudget,
        *,
        session_id: str = "",
        peer: str = "",
        client: Client | None = None,
    ) -> None:
        self._settings = settings
        self._extensions = extensions
        self._budget = budget
        self.session_id = session_id
        self.peer = peer
        self.client = client
        self.is_tls = False
        self.state = State.CONNECTED
        self.steps = 0
        """Complete lines, ends of content and results so far: the signs of life. Single bytes are none."""
        self.envelope: Envelope | None = None
        self._name = ""
        self._is_logged_in = False
        self._is_shutting_down = False
        self._is_served = False
        self._is_closed = False
        self._errors = 0
        self._failed_logins = 0
        # What is said and not taken yet, and what the dialogue waits for.
        self._replies: list[bytes] = []
        self._effect: Effect | None = None
        # What is not read yet: ``_input`` from ``_input_at`` on, then what came while an effect was under way.
        self._input = b""
        self._input_at = 0
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._is_discarding_line = False
        self._login: LoginExchange | None = None
        # The transaction: the place of each accepted address in the envelope, and for each RCPT taken the place that
        # its reply comes from.
        self._recipient_numbers: dict[bytes, int] = {}
        self._reply_numbers: list[int] = []
        self._saw_recipient = False
        self._announced = NOTHING_ANNOUNCED
        self._has_prdr = False
        self._size_limit = 0
        # Its content, while that is being read.
        self._is_content = False
        self._content: ContentReader | None = None
        self._content_refusal = b""
        self._charge = 0

    # What the owner of the connection calls

    def greet(self) -> None:
        protocol = "LMTP" if self._settings.is_lmtp else "ESMTP"
        self._replies.append(Reply(220, "", f"{self._settings.hostname} {protocol}").render())

    def receive(self, data: bytes) -> Effect | None:
        """Take ``data`` as it came from the client; the effect to carry out, or None."""
        if self._effect is not None:
            if not self._is_closed:
                self._kept.append(data)
                self._kept_bytes += len(data)
                self._budget.hold(len(data))
            return None
        if self._input:
            data = self._input + data
            self._input = b""
        return self._advance(data, 0)

    def take_replies(self) -> bytes:
        """What is to be sent now."""
        said = self._replies
        if not said:
            return b""
        joined = said[0] if len(said) == 1 else b"".join(said)
        said.clear()
        return joined

    @property
    def effect(self) -> Effect | None:
        """What the dialogue waits for, if anything."""
        return self._effect

    @property
    def kept_bytes(self) -> int:
        """How much arrived while an effect is under way; the owner stops reading when it gets too much."""
        return self._kept_bytes

    @property
    def content_bytes(self) -> int | None:
        """How much of a message's content has come, None when none is being sent."""
        if not self._is_content:
            return None
        return 0 if self._content is None else self._content.size_bytes

    def recipient_checked(self, refusal: Reply | None) -> Effect | None:
        """Resume after ``CheckRecipient``: None takes the recipient, anything else is said to the client."""
        effect = self._effect
        assert isinstance(effect, CheckRecipient)
        if refusal is None:
            recipients = effect.envelope.recipients
            number = len(recipients)
            recipients.append(effect.recipient)
            self._recipient_numbers[effect.recipient.address.wire] = number
            self._reply_numbers.append(number)
            self.state = State.RECIPIENTS
            self._replies.append(replies.RECIPIENT_TAKEN)
        else:
            self._replies.append(_render(refusal))
        return self._resume()

    def message_answered(self, answer: Answer | None) -> Effect | None:
        """Resume after ``HandleMessage``; None stands for a fault of ours."""
        effect = self._effect
        assert isinstance(effect, HandleMessage)
        self._is_served = True
        if answer is None or len(answer.per_recipient) != len(effect.envelope.recipients):
            self._say_of_message(replies.FAULT)
        elif self._settings.is_lmtp:
            self._say_of_each_recipient(answer)
        elif self._has_prdr:
            self._replies.append(replies.CONTENT_UNDER_REVIEW)
            self._say_of_each_recipient(answer)
            # The last reply is for the whole: anything but success would take back what was said to those it reached.
            taken = next((reply for reply in answer.per_recipient if reply.is_success), answer.overall)
            self._replies.append(_render(taken))
        else:
            self._replies.append(_render(answer.overall))
        self._end_transaction()
        return self._resume()

    def login_checked(self, client: Client | None, refusal: bytes = replies.LOGIN_REFUSED) -> Effect | None:
        """Resume after ``CheckLogin``: the client behind the login, or None and the reply that refuses it."""
        assert isinstance(self._effect, CheckLogin)
        self._effect = None
        if client is not None:
            self.client = client
            self._is_logged_in = True
            self._replies.append(replies.LOGIN_TAKEN)
        else:
            self._replies.append(refusal)
            self._failed_logins += 1
            if self._failed_logins >= self._settings.max_failed_logins:
                self._close(replies.LOGIN_TOO_OFTEN)
        return self._resume()

    def tls_started(self) -> Effect | None:
        """Resume after ``StartTls``, once the handshake is done: what was said in clear is forgotten (RFC 3207 4.2)."""
        assert isinstance(self._effect, StartTls)
        self.is_tls = True
        self.state = State.CONNECTED
        self._name = ""
        self._forget_input()
        return self._resume()

    def shut_down(self) -> None:
        """Begin no second message: once one is answered, any command but QUIT gets 421 from now on.

        Nothing is said of it unasked. A client that has just heard of its message would take it for the reply to the
        QUIT it sends next, and some take that for a failure of the message. One that has just connected may hand over
        what it came for. Those that say nothing are the owner's to ``break_off`` (``is_leaving``).
        """
        self._is_shutting_down = True

    @property
    def is_leaving(self) -> bool:
        """Whether the session is to end and nothing is under way in it."""
        return self._is_shutting_down and self.envelope is None and self._effect is None

    def _is_to_leave(self, line: bytes) -> bool:
        return self._is_served and self.envelope is None and line[:4].upper() != b"QUIT"

    def break_off(self, reply: bytes) -> Close | None:
        """End the session now with ``reply``, whatever is under way, whose result must not be resumed with any more."""
        if self._is_closed:
            return None
        self.abandon()
        return self._close(reply)

    def abandon(self) -> None:
        """The connection is gone: give back what is held."""
        self._budget.release(self._charge)
        self._charge = 0
        self._is_content = False
        self._content = None
        self._forget_input()

    # Reading

    def _advance(self, buffer: bytes, at: int) -> Effect | None:
        """Read ``buffer`` from ``at`` on until it ends or something has to be done first."""
        size = len(buffer)
        while True:
            if self._effect is not None:
                # The buffer is kept whole: a copy of the rest at each of a thousand pipelined RCPTs would be quadratic.
                if at < size and not self._is_closed:
                    self._input = buffer
                    self._input_at = at
                    self._kept_bytes += size
                    self._budget.hold(size)
                return self._effect
            if at >= size:
                return None
            if self._is_content:
                at = self._read_content(buffer, at)
                continue
            if self._is_discarding_line:
                at = self._discard_line(buffer, at)
                if at < 0:
                    return None
                continue
            end = buffer.find(b"\r\n", at)
            if end < 0 or end - at > MAX_LINE_BYTES:
                limit = self._line_limit(buffer, at)
                if end < 0 or end - at > limit:
                    if self._has_stray_newline(buffer, at, limit):
                        self._close(replies.BARE_NEWLINE_IN_COMMAND)
                    elif end < 0 and size - at < limit + 2:
                        self._input = buffer[at:]
                        return None
                    else:
                        self._is_discarding_line = True
                        at += limit
                    continue
            line = buffer[at:end]
            at = end + 2
            if b"\n" in line or b"\r" in line:
                self._close(replies.BARE_NEWLINE_IN_COMMAND)
            else:
                self.steps += 1
                if self._is_shutting_down and self._is_to_leave(line):
                    self._close(replies.SHUTTING_DOWN)
                elif self._login is None:
                    self._carry_out(line)
                else:
                    self._take_login_step(self._login, self._login.answer(line))

    def _resume(self) -> Effect | None:
        """Go on with what was not read yet, and what came meanwhile."""
        if self._is_closed:
            return self._effect
        self._effect = None
        self.steps += 1
        if not self._kept_bytes:
            return self._advance(b"", 0)
        buffer, at = self._input, self._input_at
        if not buffer or self._kept:
            buffer = b"".join((buffer[at:], *self._kept))
            at = 0
        self._forget_input()
        return self._advance(buffer, at)

    def _line_limit(self, buffer: bytes, at: int) -> int:
        """How long the line at ``at`` may be: what belongs to a login may hold a ticket or token (RFC 4954 4)."""
        if self._login is not None or buffer[at : at + 5].upper() == b"AUTH ":
            return MAX_LOGIN_LINE_BYTES
        return MAX_LINE_BYTES

    @staticmethod
    def _has_stray_newline(buffer: bytes, at: int, limit: int) -> bool:
        """Whether the first ``limit`` bytes of a line not ended there hold a bare CR or LF.

        A CR that is the last byte so far may still get its LF. What lies beyond the limit is never looked at, so that
        the outcome is the same however the bytes are cut.
        """
        head = buffer[at : at + limit]
        return b"\n" in head or b"\r" in head[: len(buffer) - at - 1]

    def _discard_line(self, buffer: bytes, at: int) -> int:
        """Skip the rest of a line too long; the place behind it, or -1 when it has not ended yet."""
        end = buffer.find(b"\r\n", at)
        if end < 0:
            self._input = b"\r" if buffer.endswith(b"\r", at) else b""
            return -1
        self._is_discarding_line = False
        self.steps += 1
        too_long = replies.LINE_TOO_LONG if self._login is None else replies.LOGIN_LINE_TOO_LONG
        self._login = None
        self._object(too_long)
        return end + 2

    def _read_content(self, buffer: bytes, at: int) -> int:
        """Take content from ``buffer``; the place behind its end, or the end of the buffer."""
        reader = self._content
        if reader is None:
            found = split_at_end(buffer, at)
            if found is not None:
                content, rest = found
                self._account_for(rest - at, rest - at)
                if self._effect is None:
                    self._finish_content(content)
                return rest
            reader = self._content = ContentReader()
        rest = reader.read(buffer, at)
        has_ended = rest >= 0
        if not has_ended:
            rest = len(buffer)
        self._account_for(rest - at, reader.size_bytes)
        if self._effect is None:
            if has_ended:
                self._finish_content(b"" if self._content_refusal else reader.take_content())
            elif self._content_refusal:
                reader.drop()
        return rest

    def _account_for(self, taken: int, size: int) -> None:
        """Charge ``taken`` more bytes of content, ``size`` of them so far; too much of it is refused at its end."""
        if size > self._size_limit * _DISCARD_FACTOR + _DISCARD_MINIMUM:
            self._close(replies.MESSAGE_FAR_TOO_BIG)
        elif self._content_refusal:
            return
        # Stuffing makes at most four octets of three; until it is undone, only what is over that is surely too big.
        elif size > self._size_limit + self._size_limit // 3 + 16:
            self._refuse_content(replies.MESSAGE_TOO_BIG)
        elif self._budget.try_hold(taken):
            self._charge += taken
        else:
            self._refuse_content(replies.NO_MEMORY)

    def _refuse_content(self, refusal: bytes) -> None:
        self._content_refusal = refusal
        self._budget.release(self._charge)
        self._charge = 0

    def _finish_content(self, content: bytes) -> None:
        """The true end of the content is reached: hand it on whole, or refuse it whole."""
        self._is_content = False
        self._content = None
        self.steps += 1
        if not self._content_refusal:
            if len(content) > self._size_limit:
                self._refuse_content(replies.MESSAGE_TOO_BIG)
            elif not has_clean_lines(content):
                self._refuse_content(replies.BARE_NEWLINE_IN_CONTENT)
        if self._content_refusal:
            self._say_of_message(self._content_refusal)
            self._end_transaction()
            return
        assert self.envelope is not None
        self._effect = HandleMessage(self.envelope, content, self._charge)
        self._charge = 0

    def _forget_input(self) -> None:
        self._input = b""
        if self._kept_bytes:
            self._budget.release(self._kept_bytes)
            self._kept_bytes = 0
            self._kept.clear()

    # Saying

    def _object(self, reply: bytes) -> None:
        """Say that a command made no sense; a client that only makes such is not worth the conversation."""
        self._replies.append(reply)
        self._errors += 1
        if self._errors >= self._settings.max_command_errors:
            self._close(replies.TOO_MANY_ERRORS)

    def _close(self, reply: bytes, *, is_farewell: bool = False) -> Close:
        self._replies.append(reply)
        self._is_closed = True
        close = Close(is_farewell)
        self._effect = close
        return close

    def _say_of_message(self, reply: bytes) -> None:
        """The same reply for the whole message: LMTP wants it once for each recipient taken (RFC 2033 4.2)."""
        self._replies.append(reply * len(self._reply_numbers) if self._settings.is_lmtp else reply)

    def _say_of_each_recipient(self, answer: Answer) -> None:
        rendered = [_render(reply) for reply in answer.per_recipient]
        self._replies.extend(rendered[number] for number in self._reply_numbers)

    # Commands

    def _carry_out(self, line: bytes) -> None:
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        command = _COMMANDS.get(verb)
        if command is None:
            if verb in _NOT_MAIL:
                self._close(replies.NOT_FOR_MAIL)
            else:
                self._object(replies.UNKNOWN_COMMAND)
            return
        rule = ALLOWED.get(verb)
        if rule is not None and self.state not in rule[0]:
            self._replies.append(replies.HELLO_FIRST if self.state is State.CONNECTED else rule[1])
            return
        command(self, argument)

    def _ehlo(self, argument: bytes) -> None:
        if self._settings.is_lmtp:
            self._object(replies.WRONG_PROTOCOL_LMTP)
        elif self._greeted(argument):
            self._replies.append(self._extensions.hello_reply(self.client, is_tls=self.is_tls))

    def _helo(self, argument: bytes) -> None:
        if self._settings.is_lmtp:
            self._object(replies.WRONG_PROTOCOL_LMTP)
        elif self._greeted(argument):
            self._replies.append(Reply(250, "", self._settings.hostname).render())

    def _lhlo(self, argument: bytes) -> None:
        if not self._settings.is_lmtp:
            self._object(replies.WRONG_PROTOCOL_SMTP)
        elif self._greeted(argument):
            self._replies.append(self._extensions.hello_reply(self.client, is_tls=self.is_tls))

    def _greeted(self, argument: bytes) -> bool:
        name = argument.strip(b" ")
        if not name or b" " in name or len(name) > _MAX_HELLO_BYTES:
            self._object(replies.HELLO_NEEDS_NAME)
            return False
        self._name = _UNSAFE_IN_TRACE.sub(b"?", name).decode("ascii")
        self._end_transaction()
        self.state = State.GREETED
        return True

    def _mail(self, argument: bytes) -> None:
        client = self.client
        if client is None:
            self._replies.append(self._extensions.stranger_reply(is_tls=self.is_tls))
            return
        match = _FROM(argument)
        if match is None:
            self._object(replies.MAIL_SYNTAX)
            return
        path, rest = match.groups()
        terms = self._extensions.terms()
        parameters = NO_MAIL_PARAMETERS
        if rest:
            try:
                parameters = parse_mail_parameters(rest.strip(b" "), terms.announced)
            except ParameterError as error:
                self._replies.append(error.reply)
                return
        if path and not (len(path) <= _MAX_SENDER_BYTES and _SENDER(path)):
            try:
                # Beyond ASCII the strict parser judges; within it, what the expression refused stays refused.
                parse_email(path, allow_utf8=parameters.is_smtputf8 and not path.isascii())
            except AddressError as error:
                self._replies.append(
                    replies.NEEDS_SMTPUTF8 if error.problem is AddressProblem.NON_ASCII else replies.bad_sender(error)
                )
                return
        size_limit = terms.size_limit_for(client)
        if parameters.size_bytes > size_limit:
            self._replies.append(replies.MESSAGE_TOO_BIG)
            return
        if not self._budget.has_room_for(parameters.size_bytes):
            self._replies.append(replies.NO_MEMORY)
            return
        self._size_limit = size_limit
        self._announced = terms.announced
        self._has_prdr = parameters.has_prdr
        self.envelope = Envelope(
            client,
            self._settings.name,
            self.session_id,
            path,
            parameters.passed_on,
            parameters.is_smtputf8,
            parameters.is_8bitmime,
            [],
            self.peer,
            self._name,
            self.is_tls,
        )
        self.state = State.SENDER
        self._replies.append(replies.MAIL_TAKEN)

    def _rcpt(self, argument: bytes) -> None:
        envelope = self.envelope
        assert envelope is not None
        self._saw_recipient = True
        match = _TO(argument)
        if match is None:
            self._object(replies.RECIPIENT_SYNTAX)
            return
        if len(self._reply_numbers) >= self._settings.max_recipients:
            self._replies.append(replies.TOO_MANY_RECIPIENTS)
            return
        path, rest = match.groups()
        parameters = rest.strip(b" ")
        try:
            if parameters:
                check_recipient_parameters(parameters, self._announced, is_smtputf8=envelope.is_smtputf8)
            known = self._recipient_numbers.get(path)
            if known is not None:
                # The same mailbox again gets one copy; under LMTP it still gets a reply of its own after the content.
                self._reply_numbers.append(known)
                self._replies.append(replies.RECIPIENT_TAKEN)
                return
            address = parse_email(path, allow_utf8=envelope.is_smtputf8)
        except ParameterError as error:
            self._replies.append(error.reply)
        except AddressError as error:
            self._replies.append(_explain_recipient(path, error))
        else:
            self._effect = CheckRecipient(envelope, EnvelopeRecipient(address, parameters))

    def _data(self, argument: bytes) -> None:
        if argument.strip(b" "):
            self._object(replies.NO_ARGUMENT_EXPECTED)
        elif self.state is not State.RECIPIENTS:
            self._replies.append(replies.NO_VALID_RECIPIENTS if self._saw_recipient else replies.RECIPIENT_FIRST)
        else:
            self._content_refusal = b""
            self._is_content = True
            self._replies.append(replies.START_CONTENT)

    def _rset(self, argument: bytes) -> None:
        if argument.strip(b" "):
            self._object(replies.NO_ARGUMENT_EXPECTED)
            return
        self._end_transaction()
        self._replies.append(replies.RESET)

    def _noop(self, _argument: bytes) -> None:
        self._replies.append(replies.NOTHING_DONE)

    def _quit(self, argument: bytes) -> None:
        if argument.strip(b" "):
            self._object(replies.NO_ARGUMENT_EXPECTED)
        else:
            self._close(replies.FAREWELL, is_farewell=True)

    def _vrfy(self, _argument: bytes) -> None:
        self._replies.append(replies.CANNOT_VERIFY)

    def _help(self, _argument: bytes) -> None:
        self._replies.append(replies.HELP)

    def _expn(self, _argument: bytes) -> None:
        self._replies.append(replies.NOT_OFFERED)

    def _bdat(self, _argument: bytes) -> None:
        self._close(replies.NO_CHUNKING)

    def _starttls(self, argument: bytes) -> None:
        if argument.strip(b" "):
            self._object(replies.NO_ARGUMENT_EXPECTED)
        elif self.is_tls:
            self._replies.append(replies.TLS_ACTIVE)
        elif self._settings.tls is not TlsMode.STARTTLS:
            self._replies.append(replies.NOT_OFFERED)
        else:
            self._replies.append(replies.READY_FOR_TLS)
            self._effect = StartTls()

    def _auth(self, argument: bytes) -> None:
        if self._is_logged_in:
            self._replies.append(replies.ALREADY_LOGGED_IN)
            return
        if not self._extensions.can_log_in(is_tls=self.is_tls):
            could_with_tls = self._extensions.can_log_in(is_tls=True) and self._settings.tls is TlsMode.STARTTLS
            self._object(replies.LOGIN_NEEDS_TLS if could_with_tls else replies.NOT_OFFERED)
            return
        mechanism, _, initial = argument.strip(b" ").partition(b" ")
        is_plain = MECHANISMS.get(mechanism.upper())
        if is_plain is None:
            self._object(replies.MECHANISM_UNKNOWN)
            return
        exchange = LoginExchange(is_plain=is_plain)
        self._take_login_step(exchange, exchange.start(initial))

    def _take_login_step(self, exchange: LoginExchange, step: Step) -> None:
        if isinstance(step, Challenge):
            self._login = exchange
            self._replies.append(step.line)
            return
        self._login = None
        if isinstance(step, Credentials):
            self._effect = CheckLogin(step.username, step.password)
        else:
            self._object(step.reply)

    def _end_transaction(self) -> None:
        self.envelope = None
        self._saw_recipient = False
        self._reply_numbers = []
        self._recipient_numbers = {}
        if self.state is not State.CONNECTED:
            self.state = State.GREETED


_COMMANDS: Final[Mapping[bytes, Callable[[Dialogue, bytes], None]]] = {
    b"EHLO": Dialogue._ehlo,
    b"HELO": Dialogue._helo,
    b"LHLO": Dialogue._lhlo,
    b"MAIL": Dialogue._mail,
    b"RCPT": Dialogue._rcpt,
    b"DATA": Dialogue._data,
    b"RSET": Dialogue._rset,
    b"NOOP": Dialogue._noop,
    b"QUIT": Dialogue._quit,
    b"VRFY": Dialogue._vrfy,
    b"EXPN": Dialogue._expn,
    b"HELP": Dialogue._help,
    b"BDAT": Dialogue._bdat,
    b"STARTTLS": Dialogue._starttls,
    b"AUTH": Dialogue._auth,
}


def _render(reply: Reply) -> bytes:
    """``reply`` on the wire. A next hop's 421 closes its own channel; said here it would announce the end of ours."""
    return reply._replace(code=451).render() if reply.code == 421 else reply.render()


def _explain_recipient(path: bytes, error: AddressError) -> bytes:
    if error.problem is AddressProblem.EMPTY:
        return replies.NULL_RECIPIENT
    if error.problem is AddressProblem.NON_ASCII:
        return replies.NEEDS_SMTPUTF8
    if path.lower() == b"postmaster":
        return replies.POSTMASTER_NEEDS_DOMAIN
    return replies.bad_recipient(error)
