"""A mail server that takes everything, remembers what it took, and fails on request.

Usage: ``python -m loadtest.mail_sink --listen 127.0.0.1:2526 [--journal FILE] [--store DIR] [...]``

It is a second implementation of SMTP and LMTP, independent of the gateway's, so that the two cannot share a mistake.

What it remembers
    ``--journal FILE``  one JSON line per message taken, written before the reply, so that it survives ``kill -9`` of
                        anything: ``n`` (count), ``at`` (seconds since 1970), ``sender``, ``recipients`` (those
                        accepted), ``id`` and ``body_id`` (the generator's marks in header and text, null if none),
                        ``size``, ``is_confirmed`` (false where the connection was cut before the reply on purpose);
                        with ``--links`` also ``link``, what the mail program's unsubscribe button would POST to.
    ``--store DIR``     each message as ``DIR/new/NUMBER.eml`` beside ``NUMBER.json`` with its envelope and parameters.

Faults by recipient: the local part says what happens (``+anything`` after it is ignored)
    tempfail-rcpt, permfail-rcpt     451 or 550 to this RCPT
    garbage-rcpt, 421                nonsense to this RCPT; 421 and the connection is closed
    close-at-rcpt, close-at-data     the connection is cut at RCPT, or at DATA
    tempfail-data, permfail-data     451 or 554 to the final dot (LMTP: for this recipient)
    421-data                         421 to the final dot, and closed
    close-after-dot                  cut at the dot, the message is *not* taken
    close-before-reply               taken and journalled, then cut without a reply
    garbage                          nonsense instead of the reply to the dot; the message is not taken
    extra-reply                      taken, and one reply too many
    hang                             no reply to the dot, ever
    slow-2s, slow-250ms              the reply to the dot comes that much later
    as the *sender*: tempfail-mail, permfail-mail

Faults by schedule: ``--fault WHEN:NAME``, NAME as above, any number of times
    ``every=10:tempfail-data``       each tenth message
    ``rate=0.01:close-before-reply`` at random, repeatable by ``--seed``
    ``from=100,to=200:421-data``     messages 100 to 200, counted from 1

What it announces: all of PIPELINING, 8BITMIME, SMTPUTF8, DSN, SIZE and ENHANCEDSTATUSCODES but what ``--without NAME``
takes away (``--without EHLO`` knows HELO only); ``--size N`` limits; ``--lmtp``; ``--tls starttls`` or ``tls`` with
``--certificate FILE --key FILE``; ``--auth USER:PASSWORD``. SIGTERM ends it and prints the count, SIGUSR1 prints it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import signal
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self, cast

import uvloop

HEADER_MARK = b"\r\nX-Load-Id: "
BODY_MARK = b"kayit-no-"
LINK_FIELD = b"\r\nList-Unsubscribe: "
MARK_LENGTH = 16

_RCPT_FAULTS = frozenset({"tempfail-rcpt", "permfail-rcpt", "garbage-rcpt", "421", "close-at-rcpt"})
_DOT_FAULTS = frozenset(
    {
        "tempfail-data",
        "permfail-data",
        "421-data",
        "close-after-dot",
        "close-before-reply",
        "garbage",
        "extra-reply",
        "hang",
        "close-at-data",
    }
)
_MAX_COMMAND_BYTES = 8192


class ScheduledFault(NamedTuple):
    """A fault and when it happens: each ``every``-th message, at ``rate``, or between two counts."""

    name: str
    every: int = 0
    rate: float = 0.0
    first: int = 0
    last: int = 0


class TakenMessage(NamedTuple):
    """A message the sink is responsible for."""

    sender: bytes
    recipients: tuple[bytes, ...]
    content: bytes
    mail_parameters: bytes
    rcpt_parameters: tuple[bytes, ...]


@dataclass
class SinkOptions:
    """What the command line says; tests fill it in directly."""

    host: str = "127.0.0.1"
    port: int = 0
    journal: Path | None = None
    store: Path | None = None
    without: frozenset[str] = frozenset()
    size_bytes: int = 64 * 1024 * 1024
    is_lmtp: bool = False
    tls: str = "none"
    tls_context: ssl.SSLContext | None = None
    credentials: tuple[str, str] | None = None
    faults: tuple[ScheduledFault, ...] = ()
    seed: int = 0
    is_keeping: bool = False
    has_links: bool = False
    max_connections: int = 0
    faults_by_name: bool = field(default=True)


def parse_fault(text: str) -> ScheduledFault:
    """``every=10:NAME``, ``rate=0.01:NAME`` or ``from=A,to=B:NAME``; raises ``ValueError``."""
    when, _, name = text.partition(":")
    if name not in _RCPT_FAULTS | _DOT_FAULTS and delay_of(name) is None:
        raise ValueError(f"unknown fault {name!r}")
    values = dict(item.split("=", 1) for item in when.split(","))
    unknown = values.keys() - {"every", "rate", "from", "to"}
    if unknown:
        raise ValueError(f"unknown schedule {sorted(unknown)}")
    return ScheduledFault(
        name,
        every=int(values.get("every", 0)),
        rate=float(values.get("rate", 0)),
        first=int(values.get("from", 0)),
        last=int(values.get("to", 0)),
    )


def delay_of(name: str) -> float | None:
    """Seconds in ``slow-2s`` or ``slow-250ms``, None if the name is another."""
    if not name.startswith("slow-"):
        return None
    number, unit = (name[5:-2], 0.001) if name.endswith("ms") else (name[5:-1], 1.0)
    return int(number) * unit if number.isdecimal() and name.endswith("s") else None


class MailSink:
    """The server: what all sessions share. ``taken`` holds the messages where ``is_keeping``; ``count`` all taken."""

    def __init__(self, options: SinkOptions) -> None:
        self.options = options
        self.count = 0
        self.transactions = 0
        self.connections = 0
        self.taken: list[TakenMessage] = []
        self.sessions: set[SinkSession] = set()
        self.noops = 0
        self._server: asyncio.Server | None = None
        self._random = random.Random(options.seed)
        self._journal: int | None = None
        lines = ["PIPELINING", f"SIZE {options.size_bytes}", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"]
        if options.tls == "starttls":
            lines.append("STARTTLS")
        if options.credentials is not None:
            lines.append("AUTH PLAIN LOGIN" if "PLAIN" not in options.without else "AUTH LOGIN")
        self.extensions = [line for line in lines if line.split()[0] not in options.without]

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Open the journal and listen."""
        options = self.options
        if options.journal is not None:
            self._journal = os.open(options.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if options.store is not None:
            (options.store / "new").mkdir(parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SinkSession(self, loop),
            options.host,
            options.port,
            ssl=options.tls_context if options.tls == "tls" else None,
            backlog=1024,
        )

    async def stop(self) -> None:
        """Stop listening and cut all sessions."""
        if self._server is not None:
            self._server.close()
        for session in list(self.sessions):
            session.cut()
        while self.sessions:
            await asyncio.sleep(0.005)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None
        if self._journal is not None:
            os.close(self._journal)
            self._journal = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    def choose_fault(self) -> str:
        """The scheduled fault of the next transaction, or ""."""
        self.transactions += 1
        number = self.transactions
        for fault in self.options.faults:
            if (
                (fault.every and number % fault.every == 0)
                or (fault.rate and self._random.random() < fault.rate)
                or (fault.first and fault.first <= number <= fault.last)
            ):
                return fault.name
        return ""

    def take(self, session: SinkSession, content: bytes, recipients: list[bytes], *, is_confirmed: bool) -> None:
        """Be responsible for a message from here on: it is in the journal before anybody hears of it."""
        self.count += 1
        if self._journal is not None:
            line = render_journal_line(
                self.count, session.sender, recipients, content, is_confirmed, has_link=self.options.has_links
            )
            os.write(self._journal, line)
        if not self.options.is_keeping and self.options.store is None:
            return
        content = content.replace(b"\r\n..", b"\r\n.")
        if content.startswith(b".."):
            content = content[1:]
        parameters = tuple(session.rcpt_parameters[address] for address in recipients)
        message = TakenMessage(session.sender, tuple(recipients), content, session.mail_parameters, parameters)
        if self.options.is_keeping:
            self.taken.append(message)
        if self.options.store is not None:
            stem = self.options.store / "new" / f"{self.count:08d}"
            stem.with_suffix(".eml").write_bytes(content)
            envelope = {
                "sender": message.sender.decode("utf-8", "replace"),
                "recipients": [address.decode("utf-8", "replace") for address in recipients],
                "mail_parameters": message.mail_parameters.decode("utf-8", "replace"),
                "rcpt_parameters": [each.decode("utf-8", "replace") for each in parameters],
            }
            stem.with_suffix(".json").write_text(json.dumps(envelope), encoding="utf-8")


def render_journal_line(
    number: int, sender: bytes, recipients: list[bytes], content: bytes, is_confirmed: bool, *, has_link: bool = False
) -> bytes:
    """One line of the journal."""
    line: dict[str, object] = {
        "n": number,
        "at": round(time.time(), 6),
        "sender": sender.decode("utf-8", "replace"),
        "recipients": [address.decode("utf-8", "replace") for address in recipients],
        "id": find_mark(content, HEADER_MARK),
        "body_id": find_mark(content, BODY_MARK, content.find(b"\r\n\r\n")),
        "size": len(content),
        "is_confirmed": is_confirmed,
    }
    if has_link:
        line["link"] = find_link(content)
    return json.dumps(line).encode() + b"\n"


def find_mark(content: bytes, mark: bytes, start: int = 0) -> str | None:
    """The generator's id after ``mark``, or None."""
    place = content.find(mark, max(start, 0))
    if place < 0:
        return None
    place += len(mark)
    return content[place : place + MARK_LENGTH].decode("ascii", "replace")


def find_link(content: bytes) -> str | None:
    """The http address in List-Unsubscribe (RFC 8058), or None."""
    field = content.find(LINK_FIELD)
    start = content.find(b"<http", field)
    if field < 0 or start < 0:
        return None
    return content[start + 1 : content.find(b">", start)].decode("ascii", "replace")


class SinkSession(asyncio.Protocol):
    """One connection. Commands are answered from a buffer; all replies of one chunk leave in one write."""

    def __init__(self, sink: MailSink, loop: asyncio.AbstractEventLoop) -> None:
        self.sender = b""
        self.mail_parameters = b""
        self.rcpt_parameters: dict[bytes, bytes] = {}
        self._sink = sink
        self._options = sink.options
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._output: list[bytes] = []
        self._has_mail = False
        self._recipients: list[bytes] = []
        self._dot_faults: dict[bytes, str] = {}
        self._scheduled = ""
        self._is_in_data = False
        self._searched = 0
        self._is_held = False
        self._is_secure = sink.options.tls == "tls"
        self._is_authenticated = sink.options.credentials is None
        self._auth_answers: list[str] | None = None
        self._upgrade: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._sink.connections += 1
        self._sink.sessions.add(self)
        limit = self._options.max_connections
        if limit and len(self._sink.sessions) > limit:
            self._transport.write(b"421 4.3.2 too many connections\r\n")
            self._transport.close()
            return
        self._transport.write(b"220 sink.example ready\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._sink.sessions.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def cut(self) -> None:
        """Close without a word."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._work()

    def _work(self) -> None:
        while not self._is_held and self._transport is not None:
            if self._is_in_data:
                if not self._read_content():
                    break
            else:
                end = self._buffer.find(b"\r\n")
                if end < 0:
                    if len(self._buffer) > _MAX_COMMAND_BYTES:
                        self._buffer.clear()
                        self._say(b"500 5.5.2 line too long")
                    break
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 2]
                self._command(line)
        if self._output and self._transport is not None:
            self._transport.write(b"".join(self._output))
            self._output.clear()

    def _say(self, line: bytes) -> None:
        self._output.append(line + b"\r\n")

    # commands

    def _command(self, line: bytes) -> None:
        if self._auth_answers is not None:
            self._auth_answer(line)
            return
        verb = line[:4].upper()
        if verb == b"MAIL":
            self._mail(line)
        elif verb == b"RCPT":
            self._rcpt(line)
        elif verb == b"DATA":
            self._data()
        elif verb == b"EHLO" or verb == b"LHLO" or verb == b"HELO":
            self._hello(verb)
        elif verb == b"RSET":
            self._reset()
            self._say(b"250 2.0.0 reset")
        elif verb == b"NOOP":
            self._sink.noops += 1
            self._say(b"250 2.0.0 nothing done")
        elif verb == b"QUIT":
            self._say(b"221 2.0.0 bye")
            self._finish()
        elif line.upper() == b"STARTTLS" and "STARTTLS" in self._sink.extensions and not self._is_secure:
            self._say(b"220 2.0.0 go ahead")
            self._start_tls()
        elif verb == b"AUTH" and self._options.credentials is not None:
            self._auth(line)
        else:
            self._say(b"502 5.5.1 unknown command")

    def _hello(self, verb: bytes) -> None:
        self._reset()
        if verb == b"HELO" and not self._options.is_lmtp:
            self._say(b"250 sink.example")
        elif "EHLO" in self._options.without or (verb == b"LHLO") != self._options.is_lmtp:
            self._say(b"502 5.5.1 unknown command")
        else:
            lines = ["sink.example", *self._sink.extensions]
            if self._is_secure and "STARTTLS" in lines:
                lines.remove("STARTTLS")
            last = len(lines) - 1
            for number, text in enumerate(lines):
                self._say(b"250%c%s" % (b" " if number == last else b"-", text.encode()))

    def _mail(self, line: bytes) -> None:
        if not self._is_authenticated:
            self._say(b"530 5.7.0 authentication required")
            return
        if self._has_mail:
            self._say(b"503 5.5.1 nested MAIL")
            return
        address, parameters = _split_path(line)
        local = address.partition(b"@")[0].decode("utf-8", "replace")
        if self._options.faults_by_name and local in ("tempfail-mail", "permfail-mail"):
            self._say(b"451 4.3.0 try later" if local == "tempfail-mail" else b"550 5.1.8 sender refused")
            return
        self._has_mail = True
        self.sender = address
        self.mail_parameters = parameters
        self._scheduled = self._sink.choose_fault()
        self._say(b"250 2.1.0 ok")

    def _rcpt(self, line: bytes) -> None:
        if not self._has_mail:
            self._say(b"503 5.5.1 need MAIL")
            return
        address, parameters = _split_path(line)
        fault = self._scheduled
        if self._options.faults_by_name:
            local = address.partition(b"@")[0].partition(b"+")[0].decode("utf-8", "replace")
            if local in _RCPT_FAULTS or local in _DOT_FAULTS or local.startswith("slow-"):
                fault = local
        if fault in _RCPT_FAULTS:
            self._fail_rcpt(fault, address)
            return
        if fault:
            self._dot_faults[address] = fault
        self._recipients.append(address)
        self.rcpt_parameters[address] = parameters
        self._say(b"250 2.1.5 ok")

    def _fail_rcpt(self, fault: str, address: bytes) -> None:
        if fault == "tempfail-rcpt":
            self._say(b"451 4.2.1 <" + address + b"> try later")
        elif fault == "permfail-rcpt":
            self._say(b"550 5.1.1 <" + address + b"> unknown")
        elif fault == "garbage-rcpt":
            self._say(b"\x00\xff no SMTP at all")
        elif fault == "421":
            self._say(b"421 4.3.2 closing")
            self._finish()
        else:
            self.cut()
            self._is_held = True

    def _data(self) -> None:
        if not self._recipients:
            self._say(b"503 5.5.1 need RCPT")
        elif "close-at-data" in self._dot_faults.values():
            self.cut()
            self._is_held = True
        else:
            self._is_in_data = True
            self._searched = 0
            self._say(b"354 go ahead")

    # content

    def _read_content(self) -> bool:
        """Look for the end of data; True once it was found and answered."""
        buffer = self._buffer
        if self._searched == 0 and buffer.startswith(b".\r\n"):
            del buffer[:3]
            self._end_of_data(b"")
            return True
        end = buffer.find(b"\r\n.\r\n", max(0, self._searched - 4))
        if end < 0:
            self._searched = len(buffer)
            return False
        content = bytes(buffer[: end + 2])
        del buffer[: end + 5]
        self._end_of_data(content)
        return True

    def _end_of_data(self, content: bytes) -> None:
        self._is_in_data = False
        if len(content) > self._options.size_bytes and self._options.size_bytes:
            for _ in self._recipients if self._options.is_lmtp else (0,):
                self._say(b"552 5.3.4 too large")
            self._reset()
            return
        if not self._dot_faults:
            self._sink.take(self, content, self._recipients, is_confirmed=True)
            for _ in self._recipients if self._options.is_lmtp else (0,):
                self._say(b"250 2.0.0 taken as %d" % self._sink.count)
            self._reset()
            return
        self._end_with_fault(content)

    def _end_with_fault(self, content: bytes) -> None:
        faults = set(self._dot_faults.values())
        recipients = self._recipients
        delays = [delay for delay in map(delay_of, faults) if delay is not None]
        if "hang" in faults:
            self._is_held = True
        elif "close-after-dot" in faults:
            self._is_held = True
            self.cut()
        elif "close-before-reply" in faults:
            self._sink.take(self, content, recipients, is_confirmed=False)
            self._is_held = True
            self.cut()
        elif "421-data" in faults:
            self._say(b"421 4.3.2 closing")
            self._finish()
        elif "garbage" in faults:
            self._say(b"2xx fine, I suppose")
        elif delays:
            # the reply is decided now and said later, as a slow disk would
            self._flush_now()
            self._is_held = True
            self._timer = self._loop.call_later(max(delays), self._release, content)
            return
        else:
            self._answer_dot(content, faults)
        self._reset()

    def _answer_dot(self, content: bytes, faults: set[str]) -> None:
        recipients = self._recipients
        replies = {"tempfail-data": b"451 4.3.0 try later", "permfail-data": b"554 5.6.0 content refused"}
        if self._options.is_lmtp:
            taken = [each for each in recipients if self._dot_faults.get(each, "") not in replies]
            if taken:
                self._sink.take(self, content, taken, is_confirmed=True)
            for address in recipients:
                self._say(replies.get(self._dot_faults.get(address, ""), b"250 2.0.0 taken"))
            return
        refusal = next((replies[fault] for fault in sorted(faults) if fault in replies), None)
        if refusal is not None:
            self._say(refusal)
            return
        self._sink.take(self, content, recipients, is_confirmed=True)
        self._say(b"250 2.0.0 taken as %d" % self._sink.count)
        if "extra-reply" in faults:
            self._say(b"250 2.0.0 and once more")

    def _release(self, content: bytes) -> None:
        self._is_held = False
        self._timer = None
        self._answer_dot(content, set(self._dot_faults.values()))
        self._reset()
        self._work()

    def _reset(self) -> None:
        self._has_mail = False
        self._recipients = []
        if self._dot_faults:
            self._dot_faults = {}
        self.rcpt_parameters = {}

    def _flush_now(self) -> None:
        if self._output and self._transport is not None:
            self._transport.write(b"".join(self._output))
            self._output.clear()

    def _finish(self) -> None:
        self._flush_now()
        self._is_held = True
        if self._transport is not None:
            self._transport.close()

    # rare commands

    def _auth(self, line: bytes) -> None:
        words = line.split()
        mechanism = words[1].upper() if len(words) > 1 else b""
        if mechanism == b"PLAIN" and len(words) == 3 and "PLAIN" not in self._options.without:
            self._check_credentials(base64.b64decode(words[2]).decode().split("\0")[1:])
        elif mechanism == b"LOGIN":
            self._auth_answers = []
            self._say(b"334 VXNlcm5hbWU6")
        else:
            self._say(b"504 5.5.4 mechanism unknown")

    def _auth_answer(self, line: bytes) -> None:
        assert self._auth_answers is not None
        self._auth_answers.append(base64.b64decode(line).decode())
        if len(self._auth_answers) == 1:
            self._say(b"334 UGFzc3dvcmQ6")
            return
        answers, self._auth_answers = self._auth_answers, None
        self._check_credentials(answers)

    def _check_credentials(self, given: list[str]) -> None:
        if tuple(given) == self._options.credentials:
            self._is_authenticated = True
            self._say(b"235 2.7.0 welcome")
        else:
            self._say(b"535 5.7.8 credentials refused")

    def _start_tls(self) -> None:
        self._flush_now()
        self._buffer.clear()
        self._is_held = True
        self._upgrade = self._loop.create_task(self._upgrade_to_tls(), name="sink STARTTLS")

    async def _upgrade_to_tls(self) -> None:
        assert self._transport is not None
        assert self._options.tls_context is not None
        try:
            transport = await self._loop.start_tls(self._transport, self, self._options.tls_context, server_side=True)
        except OSError:
            return
        self._transport = transport
        self._is_secure = True
        self._is_held = False
        self._work()


def _split_path(line: bytes) -> tuple[bytes, bytes]:
    """Address and parameters of a MAIL or RCPT line."""
    start = line.find(b"<") + 1
    end = line.find(b">", start)
    return line[start:end], line[end + 2 :]


async def serve(options: SinkOptions) -> None:
    """Run until SIGTERM or SIGINT."""
    sink = MailSink(options)
    await sink.start()
    print(f"listening on {options.host}:{sink.port}", flush=True)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def say() -> None:
        print(f"taken {sink.count}, connections {sink.connections}", flush=True)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_signal_handler(signal.SIGUSR1, say)
    await ended.wait()
    await sink.stop()
    say()


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.mail_sink", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--listen", default="127.0.0.1:2526", metavar="HOST:PORT")
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--links", action="store_true")
    parser.add_argument("--without", action="append", default=[], metavar="EXTENSION")
    parser.add_argument("--size", type=int, default=64 * 1024 * 1024)
    parser.add_argument("--lmtp", action="store_true")
    parser.add_argument("--tls", choices=["none", "starttls", "tls"], default="none")
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--auth", metavar="USER:PASSWORD")
    parser.add_argument("--fault", action="append", type=parse_fault, default=[], metavar="WHEN:NAME")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-connections", type=int, default=0)
    given = parser.parse_args(arguments)
    host, _, port = given.listen.rpartition(":")
    context = None
    if given.tls != "none":
        if given.certificate is None or given.key is None:
            parser.error("--tls needs --certificate and --key")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(given.certificate, given.key)
    user, _, password = (given.auth or "").partition(":")
    options = SinkOptions(
        host=host,
        port=int(port),
        journal=given.journal,
        store=given.store,
        without=frozenset(name.upper() for name in given.without),
        size_bytes=given.size,
        is_lmtp=given.lmtp,
        tls=given.tls,
        tls_context=context,
        credentials=(user, password) if given.auth else None,
        faults=tuple(given.fault),
        seed=given.seed,
        has_links=given.links,
        max_connections=given.max_connections,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options))


if __name__ == "__main__":
    main()
