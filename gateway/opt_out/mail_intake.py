"""Refusals by mail: takes mail for ``ret-<code>@<opt_out_mail_domain>`` and for nothing else.

The refusal stands in the address (``filters.token``), so it is effective whatever the mail says; the mail is not kept.
To report it to the registry the person's address is needed in clear: from the token in the subject, else from the
sender of the mail if its consent key is the one in the code. Both may fail (subject rewritten, sent from another
account): then the report is marked as without address, and counted, and a person has to see to it.

===========================  ======================================================================================
unknown recipient            550 5.1.1 at RCPT
recorded durably             250, and only then
store fails, any fault       451: the sender's queue tries again
larger than we keep          no matter: the head is read, the rest discarded up to the size limit, then 552
delivery status report       250, not recorded (``filters.refusal_mail`` says why other automatic mail counts)
===========================  ======================================================================================

aiosmtpd does the dialogue. What would harm here is replaced: its address parser (decodes encoded words inside RCPT, so
that the string checked is not the one sent), its DATA (refuses mail with one long line for good), VRFY (repeats its
argument), and the answer to a fault (500 and the exception's text). Its log prints recipients and commands at INFO and
contents at DEBUG, so it is shut off altogether.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from aiosmtpd.smtp import SMTP, Envelope, Session

from filters.address import AddressError, parse_email
from filters.consent_key import ConsentKeys
from filters.exchange import Refusal
from filters.refusal_mail import MAX_HEADER_BYTES, RefusalMail, parse_refusal_mail
from filters.token import MAIL_CODE_CHARS, MAIL_CODE_PREFIX, MailGrant, TokenKeys
from filters.vocabulary import Channel
from gateway.opt_out.throttle import Throttle
from gateway.ports import RefusalRecorder

DEFAULT_SIZE_BYTES = 1024 * 1024
DEFAULT_CONNECTIONS = 100

SOURCE_MAIL = "HS_EPOSTA"

_MAX_RECIPIENTS = 10
_TIMEOUT_S = 120
_RECORD_TIMEOUT_S = 15.0
_BACKLOG = 128
_COMMAND_LIMITS = {"*": 100, "NOOP": 20, "RSET": 50, "VRFY": 5, "HELP": 5, "AUTH": 3, "HELO": 5, "EHLO": 5}

_RECORDED = "250 2.0.0 refusal recorded"
_REPORT_TAKEN = "250 2.0.0 taken, not a refusal"
_NOT_RECORDED = "451 4.3.0 not recorded, please try again later"
_TOO_OFTEN = "451 4.7.1 too many refusals to this address, please try again later"
_FAULT = "451 4.3.0 temporary fault, please try again later"
_NO_SUCH_USER = "550 5.1.1 no such address"
_TOO_MANY = "452 4.5.3 too many recipients"
_TOO_LARGE = "552 5.3.4 message too large"
_NULL_PATH = "<>"

_BUSY = b"421 4.3.2 too many connections, please try again later\r\n"


def silence_smtp_log() -> None:
    """Shut off aiosmtpd's logger, at every level and whatever a logging configuration sets later."""
    log = logging.getLogger("mail.log")
    log.setLevel(logging.CRITICAL + 1)
    if _refuse_record not in log.filters:
        log.addFilter(_refuse_record)


def _refuse_record(record: logging.LogRecord) -> bool:
    return False


class IntakeObserver(Protocol):
    """Who counts. Called in the loop's thread; must not raise."""

    def mail_answered(self, reply: str) -> None:
        """``reply``: code and enhanced code of the answer to a mail ("250 2.0.0")."""

    def mail_failed(self, error: Exception) -> None:
        """A fault of ours, answered with 451. Its text may hold anything: log its class only."""


class MailIntake:
    """The listener. ``domains`` are the brands' ``opt_out_mail_domain``; ``now`` gives seconds since 1970 UTC."""

    def __init__(
        self,
        recorder: RefusalRecorder,
        tokens: TokenKeys,
        keys: ConsentKeys,
        domains: Iterable[str],
        hostname: str,
        observer: IntakeObserver,
        *,
        now: Callable[[], float] = time.time,
        throttle: Throttle | None = None,
        max_connections: int = DEFAULT_CONNECTIONS,
        size_bytes: int = DEFAULT_SIZE_BYTES,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        silence_smtp_log()
        self._recorder = recorder
        self._tokens = tokens
        self._keys = keys
        self._domains = frozenset(domain.lower() for domain in domains if domain)
        self._hostname = hostname
        self._observer = observer
        self._now = now
        self._throttle = throttle or Throttle()
        self._max_connections = max_connections
        self._size_bytes = size_bytes
        self._tls = tls
        self._sessions: set[_Session] = set()
        self._servers: list[asyncio.Server] = []

    async def start(self, listening: socket.socket) -> None:
        """Accept connections on ``listening``; may be called for several sockets."""
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(self._make_session, sock=listening, backlog=_BACKLOG))

    async def close(self) -> None:
        """Stop accepting and end the sessions; a mail not yet answered is sent again by its sender."""
        for server in self._servers:
            server.close()
        for session in tuple(self._sessions):
            session.end()
        for server in self._servers:
            await server.wait_closed()

    def _make_session(self) -> asyncio.BaseProtocol:
        if len(self._sessions) >= self._max_connections:
            return _Busy()
        return _Session(
            _Handler(self),
            self._sessions,
            data_size_limit=self._size_bytes,
            enable_SMTPUTF8=True,
            hostname=self._hostname,
            ident="ESMTP",
            tls_context=self._tls,
            timeout=_TIMEOUT_S,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            command_call_limit=_COMMAND_LIMITS,
            loop=asyncio.get_running_loop(),
        )

    def find_grant(self, address: str) -> MailGrant | None:
        """What the recipient address grants, or None if it is not one of ours."""
        local, at, domain = address.rpartition("@")
        if not at or domain.lower() not in self._domains:
            return None
        if len(local) != len(MAIL_CODE_PREFIX) + MAIL_CODE_CHARS or not local.lower().startswith(MAIL_CODE_PREFIX):
            return None
        return self._tokens.read_mail_code(local[len(MAIL_CODE_PREFIX) :])

    async def take(self, recipients: Sequence[str], sender: str, content: bytes) -> str:
        """Record the refusals of one mail; the reply to it."""
        reply = await self._take(recipients, sender, content)
        self._observer.mail_answered(reply[:9])
        return reply

    async def _take(self, recipients: Sequence[str], sender: str, content: bytes) -> str:
        mail = parse_refusal_mail(content)
        if mail.is_status_report:
            return _REPORT_TAKEN
        now = asyncio.get_running_loop().time()
        for recipient in recipients:
            grant = self.find_grant(recipient)
            if grant is None:
                continue
            if not self._throttle.admit(recipient.lower(), now):
                return _TOO_OFTEN
            refusal = Refusal(
                brand=grant.brand,
                channel=grant.channel,
                key=grant.key,
                address=self._find_address(grant, mail, sender),
                recipient_type=grant.recipient_type,
                received_at=int(self._now()),
                source=SOURCE_MAIL,
            )
            try:
                async with asyncio.timeout(_RECORD_TIMEOUT_S):
                    await self._recorder.record(refusal)
            except Exception as error:  # whatever it is: not known to be durable, so not confirmed
                self._observer.mail_failed(error)
                return _NOT_RECORDED
        return _RECORDED

    def _find_address(self, grant: MailGrant, mail: RefusalMail, sender: str) -> bytes:
        """The canonical address behind the key of ``grant``, or b""; never one that does not belong to it."""
        for candidate in mail.token_candidates:
            token = self._tokens.read_token(candidate)
            if (
                token is not None
                and (token.brand, token.channel) == (grant.brand, grant.channel)
                and self._keys.derive(token.brand, token.address) == grant.key
            ):
                return token.address
        if grant.channel is Channel.EMAIL:
            for wire in (mail.from_address, sender.encode("utf-8", "surrogateescape")):
                try:
                    key = parse_email(wire, allow_utf8=True).key
                except AddressError:
                    continue
                if self._keys.derive(grant.brand, key) == grant.key:
                    return key
        return b""

    def report_fault(self, error: Exception) -> None:
        self._observer.mail_failed(error)


class _Handler:
    """What aiosmtpd calls at each step."""

    def __init__(self, intake: MailIntake) -> None:
        self._intake = intake

    async def handle_EHLO(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        offered = [line for line in responses if not line.startswith(("250-AUTH", "250 HELP"))]
        return [*offered, "250 ENHANCEDSTATUSCODES"]

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._intake.find_grant(address) is None:
            return _NO_SUCH_USER
        if len(envelope.rcpt_tos) >= _MAX_RECIPIENTS:
            return _TOO_MANY
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        sender = envelope.mail_from or ""
        content = envelope.content
        return await self._intake.take(
            envelope.rcpt_tos, "" if sender == _NULL_PATH else sender, content if isinstance(content, bytes) else b""
        )

    async def handle_exception(self, error: Exception) -> str:
        self._intake.report_fault(error)
        return _FAULT


class _Session(SMTP):
    """One connection."""

    def __init__(self, handler: _Handler, sessions: set[_Session], **settings: Any) -> None:
        super().__init__(handler, **settings)
        self._open_sessions = sessions

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._open_sessions.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._open_sessions.discard(self)
        super().connection_lost(error)

    def end(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """The path between the angle brackets as it stands, and what follows; nothing is decoded or repaired.

        The null path is returned with its brackets: an empty text means a syntax error to the caller.
        """
        path, bracket, rest = arg.strip().partition(">")
        if not bracket or not path.startswith("<") or (rest and not rest.startswith(" ")):
            return None, None
        return path[1:] or _NULL_PATH, rest

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 - the library's name
        """Keep the head of the mail, discard the rest: what is refused does not depend on the body."""
        if await self.check_helo_needed():
            return
        envelope = self.envelope
        if envelope is None or not envelope.rcpt_tos:
            await self.push("503 5.5.1 need RCPT first")
            return
        if arg:
            await self.push("501 5.5.4 DATA takes no argument")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        head = bytearray()
        size = 0
        is_line_start = True
        while True:
            try:
                piece = await self._reader.readuntil(b"\r\n")
                ends_line = True
            except asyncio.LimitOverrunError as error:
                piece = await self._reader.read(error.consumed)
                ends_line = False
            if is_line_start and ends_line and piece == b".\r\n":
                break
            if is_line_start and piece.startswith(b"."):
                piece = piece[1:]
            size += len(piece)
            if len(head) < MAX_HEADER_BYTES:
                head += piece
            is_line_start = ends_line
        if self.data_size_limit and size > self.data_size_limit:
            reply = _TOO_LARGE
        else:
            envelope.content = bytes(head)
            reply = await self.event_handler.handle_DATA(self, self.session, envelope)
        self._set_post_data_state()  # type: ignore[no-untyped-call] # the library gives it no types
        await self.push(reply)

    async def smtp_VRFY(self, arg: str | None) -> None:  # noqa: N802 - the library's name
        await self.push("252 2.1.5 send some mail, I will see")


class _Busy(asyncio.Protocol):
    """A connection beyond the limit."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(_BUSY)
        transport.close()
