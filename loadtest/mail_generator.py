"""A shop's mail server under load: ``python -m loadtest.mail_generator --target HOST:PORT --messages N [...]``.

Sends marketing mail (``loadtest.marketing_mail``) to numbered recipients (``loadtest.numbered_recipients``) and keeps
a journal of what it sent and what it was told, to be compared with the sink's (``loadtest.audit``).

Load
    ``--sessions N``          connections at once (30)
    ``--rate R``              open loop: R messages a second whatever the server does; latency then counts from the
                              moment a message was *due*. Without it closed loop: as fast as the sessions are answered
    ``--messages N``, ``--seconds T``   whichever comes first ends the sending
    ``--per-connection``      a new connection for each message
    ``--recipients N``        recipients a message (1), taken in turn from ``--first`` to ``--first`` + ``--people``
    ``--size N``, ``--attachment N``    bytes; ``--header 'X-Izin-Class: commercial'`` any number of times
    ``--lockstep``            one command at a time even if PIPELINING is announced

Like a client's MTA it tries again what was answered 4xx or lost, after ``--retry-s`` seconds and up to ``--attempts``
times, only for the recipients not settled yet. Prints a summary; ``--json`` prints it as JSON.

The journal has one JSON line per event: ``{"event": "sent", "id", "recipients", "attempt", "at"}``, then ``{"event":
"answered", "id", "attempt", "rcpt": [codes], "code", "at"}`` (``code`` 0: no DATA took place) or ``{"event": "lost",
"id", "attempt", "at"}``, at the end ``{"event": "given_up", "id", "recipients"}`` for those still open.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import uvloop

from loadtest.marketing_mail import MailTemplate
from loadtest.numbered_recipients import address_of

_TICK_S = 0.001
_FLUSH_BYTES = 64 * 1024


@dataclass
class GeneratorOptions:
    """What the command line says; benches and tests fill it in directly."""

    host: str
    port: int
    messages: int | None = None
    seconds: float | None = None
    rate: float | None = None
    sessions: int = 30
    recipients: int = 1
    first: int = 1
    people: int = 100_000
    size_bytes: int = 4096
    attachment_bytes: int = 0
    headers: Sequence[str] = ()
    sender: str = "haber@magaza.example"
    helo_name: str = "shop.example"
    is_lockstep: bool = False
    is_per_connection: bool = False
    journal: Path | None = None
    retry_s: float = 1.0
    attempts: int = 5
    patience_s: float = 60.0


@dataclass
class GeneratorReport:
    """What became of it. ``codes`` counts final replies per attempt, ``lost`` connections cut under a message.

    Latencies in milliseconds from when the message was due (open loop) or begun (closed loop) to its answer.
    """

    messages: int = 0
    settled: int = 0
    given_up: int = 0
    attempts: int = 0
    lost: int = 0
    connections: int = 0
    connect_failures: int = 0
    seconds: float = 0.0
    messages_per_second: float = 0.0
    cpu_us_per_message: float = 0.0
    latency_ms: dict[str, float] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    recipient_codes: dict[str, int] = field(default_factory=dict)


class _Message:
    __slots__ = ("attempt", "due_at", "load_id", "open_recipients")

    def __init__(self, load_id: bytes, recipients: list[bytes], due_at: float) -> None:
        self.load_id = load_id
        self.open_recipients = recipients
        self.attempt = 0
        self.due_at = due_at


class _Session(asyncio.Protocol):
    """One connection: takes the next message whenever it is free."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._transport: asyncio.Transport | None = None
        self._partial = b""
        self._state = "greeting"
        self._has_pipelining = False
        self._message: _Message | None = None
        self._codes: list[int] = []
        self._commands: list[bytes] = []
        self._content: list[bytes] = []
        self.is_free = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._generator.sessions.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        message, self._message = self._message, None
        self._generator.session_ended(self, message)

    def send(self, message: _Message) -> None:
        """Begin a message; only when free."""
        generator = self._generator
        self.is_free = False
        self._message = message
        self._codes = []
        message.attempt += 1
        generator.note_sent(message)
        recipients = message.open_recipients
        self._content = generator.template.render(message.load_id, recipients[0])
        self._content.append(b".\r\n")
        self._commands = [
            generator.mail_command,
            *[b"RCPT TO:<" + address + b">\r\n" for address in recipients],
            b"DATA\r\n",
        ]
        self._state = "envelope"
        self._write(self._commands if self._has_pipelining else self._commands[:1])

    def finish(self) -> None:
        """QUIT and close."""
        self.is_free = False
        self._state = "quit"
        self._write([b"QUIT\r\n"])

    def abort(self) -> None:
        """Close without a word; what still comes in the same chunk counts for nothing."""
        self._state = "over"
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._partial:
            data = self._partial + data
        lines = data.split(b"\n")
        self._partial = lines.pop()
        for line in lines:
            if line[3:4] != b"-":
                self._reply(int(line[:3]) if line[:3].isdigit() else 0)
            elif self._state == "hello" and line[4:14].upper() == b"PIPELINING":
                self._has_pipelining = not self._generator.options.is_lockstep
            if self._state == "over":
                return

    def _reply(self, code: int) -> None:
        state = self._state
        if state == "envelope":
            self._envelope_reply(code)
        elif state == "content":
            self._settle(code)
        elif state == "greeting" and code == 220:
            self._state = "hello"
            self._write([b"EHLO " + self._generator.options.helo_name.encode() + b"\r\n"])
        elif state in ("hello", "reset") and code == 250:
            self._become_free()
        else:
            self.abort()

    def _envelope_reply(self, code: int) -> None:
        codes, commands = self._codes, self._commands
        codes.append(code)
        if code in (0, 421):
            self.abort()
        elif len(codes) == len(commands):
            is_anybody_accepted = codes[0] < 300 and any(each < 300 for each in codes[1:-1])
            if code == 354 and is_anybody_accepted:
                self._state = "content"
                self._write(self._content)
            elif code == 354:
                self._state = "content"
                self._write([b".\r\n"])
            else:
                self._settle(code)
        elif not self._has_pipelining:
            is_data_next = len(codes) == len(commands) - 1
            if codes[0] >= 400 or (is_data_next and min(codes[1:]) >= 400):
                codes += [code] * (len(commands) - 1 - len(codes))
                self._settle(0)
            else:
                self._write([commands[len(codes)]])

    def _settle(self, code: int) -> None:
        message = self._message
        assert message is not None
        if code == 421 or (self._state == "content" and not 200 <= code < 600):
            self.abort()
            return
        self._message = None
        mail_code = self._codes[0]
        recipient_codes = (
            self._codes[1 : len(self._commands) - 1] if mail_code < 400 else [mail_code] * len(message.open_recipients)
        )
        was_content = self._state == "content"
        self._generator.settle(message, recipient_codes, code)
        if was_content:
            self._become_free()
        else:
            self._state = "reset"
            self._write([b"RSET\r\n"])

    def _become_free(self) -> None:
        self._state = "ready"
        if self._generator.options.is_per_connection and self._codes:
            self.finish()
            return
        self.is_free = True
        self._generator.session_free(self)

    def _write(self, pieces: list[bytes]) -> None:
        if self._transport is not None:
            self._transport.write(b"".join(pieces))  # one copy is cheaper than many small buffers


class Generator:
    """The load of one run. ``await run()`` gives the report."""

    def __init__(self, options: GeneratorOptions) -> None:
        if options.messages is None and options.seconds is None:
            raise ValueError("a run needs an end: messages, seconds, or both")
        self.options = options
        self.template = MailTemplate(
            options.size_bytes,
            sender=options.sender,
            attachment_bytes=options.attachment_bytes,
            headers=options.headers,
        )
        self.mail_command = b"MAIL FROM:<" + options.sender.encode() + b">\r\n"
        self.sessions: set[_Session] = set()
        self.report = GeneratorReport()
        self._run_id = secrets.token_hex(3)
        self._made = 0
        self._unsettled = 0
        self._waiting: deque[_Message] = deque()
        self._free: list[_Session] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self._is_sending = True
        self._latencies = array("d")
        self._codes: Counter[int] = Counter()
        self._recipient_codes: Counter[int] = Counter()
        self._journal_lines: list[str] = []
        self._journal_bytes = 0
        self._journal: int | None = None
        self._finished = asyncio.Event()
        self._begun_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._now = time.perf_counter  # uvloop's clock has whole milliseconds

    async def run(self) -> GeneratorReport:
        """Send, wait for the answers and retries, at most ``patience_s`` beyond the end of sending."""
        options = self.options
        if options.journal is not None:
            self._journal = os.open(options.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        cpu = time.process_time()
        self._begun_at = self._now()
        ticker = asyncio.create_task(self._tick(), name="generator ticks")
        try:
            async with asyncio.timeout((options.seconds or 10**7) + options.patience_s):
                await self._finished.wait()
        except TimeoutError:
            self._is_sending = False
        except asyncio.CancelledError:
            ticker.cancel()
            await self._close_sessions()
            raise
        finally:
            ticker.cancel()
            await asyncio.gather(ticker, return_exceptions=True)
        ended_at = self._now()
        self._give_up()
        await self._close_sessions()
        self._flush_journal()
        if self._journal is not None:
            os.close(self._journal)
        return self._complete_report(ended_at - self._begun_at, time.process_time() - cpu)

    # making messages

    def _next_message(self, due_at: float) -> _Message | None:
        options = self.options
        if options.messages is not None and self._made >= options.messages:
            self._stop_sending()
            return None
        number = self._made * options.recipients
        self._made += 1
        self._unsettled += 1
        recipients = [
            address_of(options.first + (number + place) % options.people).encode()
            for place in range(options.recipients)
        ]
        return _Message(f"{self._run_id}{self._made:010x}".encode(), recipients, due_at)

    def _stop_sending(self) -> None:
        self._is_sending = False
        if not self._unsettled:
            self._finished.set()

    async def _tick(self) -> None:
        """Keep connections open, make due messages (open loop), end the sending in time."""
        options = self.options
        next_connect_at = 0.0
        while True:
            now = self._now()
            elapsed = now - self._begun_at
            if self._is_sending and options.seconds is not None and elapsed >= options.seconds:
                self._stop_sending()
            if options.rate is not None:
                while self._is_sending and self._made < elapsed * options.rate:
                    message = self._next_message(self._begun_at + self._made / options.rate)
                    if message is None:
                        break
                    self._waiting.append(message)
            missing = options.sessions - len(self.sessions) - len(self._connecting)
            if missing > 0 and now >= next_connect_at and (self._is_sending or self._unsettled):
                failures = self.report.connect_failures
                for _ in range(missing):
                    self._connect()
                await asyncio.sleep(0)
                if self.report.connect_failures > failures:
                    next_connect_at = now + 0.1
            while self._free and self._waiting:
                self._give(self._free.pop())
            await asyncio.sleep(_TICK_S if options.rate is not None else 10 * _TICK_S)

    def _connect(self) -> None:
        task = self._loop.create_task(self._open_session(), name="generator connect")
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _open_session(self) -> None:
        options = self.options
        try:
            await self._loop.create_connection(lambda: _Session(self), options.host, options.port)
            self.report.connections += 1
        except OSError:
            self.report.connect_failures += 1
            await asyncio.sleep(0.1)

    # what sessions tell

    def session_free(self, session: _Session) -> None:
        """Give it a message: a retry or a due one first, in closed loop a new one."""
        self._free.append(session)
        self._give(self._free.pop())

    def _give(self, session: _Session) -> None:
        message: _Message | None = None
        if self._waiting:
            message = self._waiting.popleft()
        elif self.options.rate is None and self._is_sending:
            message = self._next_message(self._now())
        if message is None:
            self._free.append(session)
        else:
            session.send(message)

    def session_ended(self, session: _Session, message: _Message | None) -> None:
        """Its connection is closed; a message under way has no answer."""
        self.sessions.discard(session)
        if session in self._free:
            self._free.remove(session)
        if message is not None:
            self.report.lost += 1
            self._note({"event": "lost", "id": message.load_id.decode(), "attempt": message.attempt, "at": time.time()})
            self._retry(message)
        if self.options.is_per_connection and (self._is_sending or self._waiting):
            self._connect()

    def note_sent(self, message: _Message) -> None:
        """An attempt begins."""
        self.report.attempts += 1
        if self._journal is not None:
            self._note(
                {
                    "event": "sent",
                    "id": message.load_id.decode(),
                    "recipients": [address.decode() for address in message.open_recipients],
                    "attempt": message.attempt,
                    "at": time.time(),
                }
            )

    def settle(self, message: _Message, recipient_codes: list[int], code: int) -> None:
        """The server's last word on this attempt: per recipient, and to the final dot (0: none was sent)."""
        self._codes[code] += 1
        self._recipient_codes.update(recipient_codes)
        if self._journal is not None:
            self._note(
                {
                    "event": "answered",
                    "id": message.load_id.decode(),
                    "attempt": message.attempt,
                    "rcpt": recipient_codes,
                    "code": code,
                    "at": time.time(),
                }
            )
        still_open = [
            address
            for address, recipient_code in zip(message.open_recipients, recipient_codes, strict=True)
            if 400 <= recipient_code < 500 or (recipient_code < 300 and 400 <= code < 500)
        ]
        if still_open:
            message.open_recipients = still_open
            self._retry(message)
            return
        self._latencies.append(self._now() - message.due_at)
        self.report.settled += 1
        self._close_message()

    def _retry(self, message: _Message) -> None:
        if message.attempt >= self.options.attempts:
            self._note_given_up(message)
            self._close_message()
        else:
            self._loop.call_later(self.options.retry_s, self._waiting.append, message)

    def _close_message(self) -> None:
        self._unsettled -= 1
        if not self._unsettled and not self._is_sending:
            self._finished.set()

    # the end

    def _note_given_up(self, message: _Message) -> None:
        self.report.given_up += 1
        recipients = [address.decode() for address in message.open_recipients]
        self._note({"event": "given_up", "id": message.load_id.decode(), "recipients": recipients})

    def _give_up(self) -> None:
        while self._waiting:
            self._note_given_up(self._waiting.popleft())

    async def _close_sessions(self) -> None:
        self.options.is_per_connection = False
        for task in list(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for session in list(self.sessions):
            if session.is_free:
                session.finish()
            else:
                session.abort()
        for _ in range(100):
            if not self.sessions:
                return
            await asyncio.sleep(0.01)
        for session in list(self.sessions):
            session.abort()
        await asyncio.sleep(0.02)

    def _note(self, line: dict[str, object]) -> None:
        if self._journal is None:
            return
        text = json.dumps(line)
        self._journal_lines.append(text)
        self._journal_bytes += len(text)
        if self._journal_bytes > _FLUSH_BYTES:
            self._flush_journal()

    def _flush_journal(self) -> None:
        if self._journal is not None and self._journal_lines:
            os.write(self._journal, ("\n".join(self._journal_lines) + "\n").encode())
            self._journal_lines.clear()
            self._journal_bytes = 0

    def _complete_report(self, seconds: float, cpu_s: float) -> GeneratorReport:
        report = self.report
        report.messages = self._made
        report.seconds = round(seconds, 3)
        report.messages_per_second = round(report.settled / seconds, 1) if seconds else 0.0
        report.cpu_us_per_message = round(cpu_s / report.settled * 1e6, 1) if report.settled else 0.0
        ordered = sorted(self._latencies)
        if ordered:
            for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)):
                place = min(len(ordered) - 1, int(share * len(ordered)))
                report.latency_ms[name] = round(ordered[place] * 1000, 3)
        report.codes = {str(code): count for code, count in sorted(self._codes.items())}
        report.recipient_codes = {str(code): count for code, count in sorted(self._recipient_codes.items())}
        return report


async def generate(options: GeneratorOptions) -> GeneratorReport:
    """One run in the current loop."""
    return await Generator(options).run()


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, run, print the report."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.mail_generator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--target", default="127.0.0.1:2525", metavar="HOST:PORT")
    parser.add_argument("--messages", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--recipients", type=int, default=1)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--attachment", type=int, default=0)
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--sender", default="haber@magaza.example")
    parser.add_argument("--lockstep", action="store_true")
    parser.add_argument("--per-connection", action="store_true")
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--retry-s", type=float, default=1.0)
    parser.add_argument("--attempts", type=int, default=5)
    parser.add_argument("--patience", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    if given.messages is None and given.seconds is None:
        parser.error("a run needs an end: --messages, --seconds, or both")
    host, _, port = given.target.rpartition(":")
    options = GeneratorOptions(
        host=host,
        port=int(port),
        messages=given.messages,
        seconds=given.seconds,
        rate=given.rate,
        sessions=given.sessions,
        recipients=given.recipients,
        first=given.first,
        people=given.people,
        size_bytes=given.size,
        attachment_bytes=given.attachment,
        headers=given.header,
        sender=given.sender,
        is_lockstep=given.lockstep,
        is_per_connection=given.per_connection,
        journal=given.journal,
        retry_s=given.retry_s,
        attempts=given.attempts,
        patience_s=given.patience,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(generate(options))
    if given.json:
        json.dump(asdict(report), sys.stdout)
        print()
        return
    for name, value in asdict(report).items():
        print(f"{name:20} {value}")


if __name__ == "__main__":
    main()
