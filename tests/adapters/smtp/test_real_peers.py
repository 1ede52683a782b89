"""TLS, passwords, and servers that others wrote."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.smtp import SmtpUpstream, Timeouts, TlsMode, UpstreamSettings, UpstreamSettingsError
from adapters.smtp.settings import load_tls_context
from filters.vocabulary import Outcome
from loadtest.mail_sink import MailSink, SinkOptions

QUICK = Timeouts(connect_s=5, greeting_s=5, command_s=5, data_block_s=5, after_dot_s=5, quit_s=1)


@asynccontextmanager
async def upstream_to(port: int, **options: Any) -> AsyncIterator[SmtpUpstream]:
    options.setdefault("timeouts", QUICK)
    upstream = SmtpUpstream(UpstreamSettings("relay", ((options.pop("host", "127.0.0.1"), port),), **options))
    await upstream.start()
    try:
        yield upstream
    finally:
        await upstream.close(0)


def outcomes_of(result: Any) -> list[Outcome]:
    return [item.outcome for item in result]


@pytest.mark.parametrize("mode", ["starttls", "tls"])
@pytest.mark.parametrize("without", [frozenset[str](), frozenset({"PLAIN"})])
def test_tls_and_password(
    run: Any,
    make_mail: Any,
    relay: Any,
    certificates: Any,
    mode: str,
    without: frozenset[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Verified TLS and AUTH PLAIN or LOGIN; the secret is in no log at any level, and a large message passes."""
    caplog.set_level(logging.DEBUG)

    async def scenario() -> None:
        options = SinkOptions(
            is_keeping=True,
            tls=mode,
            tls_context=certificates.server_context,
            credentials=("kapi", "çok-gizli"),
            without=without,
        )
        async with (
            MailSink(options) as sink,
            upstream_to(
                sink.port,
                tls=TlsMode(mode),
                ca_file=str(certificates.ca_file),
                username="kapi",
                password="çok-gizli",
            ) as upstream,
        ):
            content = b"".join(b".line %d\r\n" % number for number in range(150_000))
            assert outcomes_of(await relay(upstream, make_mail("a"))) == [Outcome.RELAYED]
            assert outcomes_of(await relay(upstream, make_mail("b", content=content))) == [Outcome.RELAYED]
            assert outcomes_of(await relay(upstream, make_mail("close-before-reply"))) == [Outcome.UNKNOWN]
            assert sink.taken[1].content == content

    run(scenario())
    assert "gizli" not in caplog.text
    assert "gizli" not in repr(UpstreamSettings("x", (("h", 1),), TlsMode.TLS, username="u", password="gizli"))


@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_an_unverified_certificate_gets_nothing(
    run: Any, make_mail: Any, relay: Any, certificates: Any, mode: str
) -> None:
    """An unknown authority or the wrong name: deferred, not a byte of mail sent; `verify` off lets it pass."""

    async def scenario() -> None:
        options = SinkOptions(is_keeping=True, tls=mode, tls_context=certificates.server_context)
        async with MailSink(options) as sink:
            for trust in ({}, {"ca_file": str(certificates.ca_file), "tls_name": "other.example"}):
                async with upstream_to(sink.port, tls=TlsMode(mode), **trust) as upstream:
                    assert upstream.capabilities is None
                    assert outcomes_of(await relay(upstream, make_mail("a"))) == [Outcome.DEFERRED]
                    assert upstream.status.hosts[0].last_fault == "tls_failed"
            assert sink.transactions == 0
            async with upstream_to(sink.port, tls=TlsMode(mode), verify=False) as upstream:
                assert outcomes_of(await relay(upstream, make_mail("a"))) == [Outcome.RELAYED]

    run(scenario())


def test_starttls_demanded_but_not_offered(run: Any, make_mail: Any, relay: Any) -> None:
    """A server without STARTTLS gets no mail where TLS is demanded."""

    async def scenario() -> None:
        async with MailSink(SinkOptions()) as sink, upstream_to(sink.port, tls=TlsMode.STARTTLS) as upstream:
            (item,) = await relay(upstream, make_mail("a"))
            assert item.outcome is Outcome.DEFERRED
            assert upstream.status.hosts[0].last_fault == "tls_missing"
            assert sink.transactions == 0

    run(scenario())


def test_a_wrong_password_is_our_fault_not_the_clients(run: Any, make_mail: Any, relay: Any) -> None:
    """535 from the upstream, and 530 without a password: deferred, never refused."""

    async def scenario() -> None:
        async with MailSink(SinkOptions(credentials=("kapi", "right"))) as sink:
            login = {"username": "kapi", "password": "wrong", "allow_cleartext_auth": True}
            async with upstream_to(sink.port, **login) as upstream:
                assert outcomes_of(await relay(upstream, make_mail("a"))) == [Outcome.DEFERRED]
                assert upstream.status.hosts[0].last_fault == "auth_refused"
            async with upstream_to(sink.port) as upstream:
                assert outcomes_of(await relay(upstream, make_mail("a"))) == [Outcome.DEFERRED]

    run(scenario())


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"username": "u", "password": "p"}, "clear"),
        ({"username": "u"}, "belong together"),
        ({"addresses": ()}, "address"),
        ({"helo_name": "two words"}, "helo_name"),
        ({"max_connections": 0}, "positive"),
        ({"username": "u\0", "password": "p", "tls": TlsMode.TLS}, "NUL"),
    ],
)
def test_contradictory_settings_are_refused(options: dict[str, Any], word: str) -> None:
    """With a sentence that says what is wrong, and without the password in it."""
    values: dict[str, Any] = {"addresses": (("h", 25),), **options}
    with pytest.raises(UpstreamSettingsError, match=word):
        UpstreamSettings("relay", **values)


def test_an_unusable_ca_file_is_refused(tmp_path: Any) -> None:
    """Missing or no certificate: said at start, not at the first message."""
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate")
    for ca_file in (broken, tmp_path / "missing.pem"):
        with pytest.raises(UpstreamSettingsError, match="ca_file"):
            load_tls_context(UpstreamSettings("relay", (("h", 25),), TlsMode.TLS, ca_file=str(ca_file)))


# scripted servers: what no decent server does


@asynccontextmanager
async def scripted(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any], window_bytes: int = 0
) -> AsyncIterator[int]:
    """A server that runs ``serve`` for each connection; its port. ``window_bytes``: how much it takes unread."""
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listener = socket.socket()
    if window_bytes:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window_bytes)
    listener.bind(("127.0.0.1", 0))
    server = await asyncio.start_server(handle, sock=listener, limit=window_bytes or 65536)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()
        await asyncio.sleep(0.05)


def test_a_lone_dot_after_354_for_nobody(run: Any, make_mail: Any, relay: Any) -> None:
    """A server that says 354 though it refused everybody gets a dot and no content (RFC 2920 3.1)."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 odd\r\n")
        while line := await reader.readline():
            heard.append(line)
            replies = {
                b"EHLO": b"250-odd\r\n250 PIPELINING",
                b"RCPT": b"550 no",
                b"DATA": b"354 go",
                b".\r\n": b"554 no",
            }
            writer.write(replies.get(line[:4], b"250 ok") + b"\r\n")

    async def scenario() -> None:
        async with scripted(serve) as port, upstream_to(port, max_connections=1) as upstream:
            for _ in range(3):
                assert outcomes_of(await relay(upstream, make_mail("a"))) == [Outcome.REFUSED]
        assert heard.count(b".\r\n") == 3
        assert heard.count(b"EHLO localhost\r\n") == 1
        assert not [line for line in heard if line.startswith(b"Subject")]

    run(scenario())


@pytest.mark.parametrize("lines", [120_000, 8_000_000], ids=["written at once", "written in pieces"])
def test_a_message_cut_off_before_its_end_is_deferred(run: Any, make_mail: Any, relay: Any, lines: int) -> None:
    """The server stops reading and leaves in the middle: the dot was never sent, so this is not "unknown"."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 odd\r\n")
        while line := await reader.readline():
            if line.startswith(b"EHLO"):
                writer.write(b"250-odd\r\n250 PIPELINING\r\n")
            elif line.startswith(b"DATA"):
                writer.write(b"354 go\r\n")
                await asyncio.sleep(0.1)
                writer.transport.abort()
                return
            else:
                writer.write(b"250 ok\r\n")

    async def scenario() -> None:
        async with scripted(serve, window_bytes=4096) as port, upstream_to(port) as upstream:
            (connection,) = upstream._sockets
            narrow = connection._transport.get_extra_info("socket")  # the kernel must not swallow it all at once
            narrow.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            (item,) = await relay(upstream, make_mail("a", content=b"x" * 70 + b"\r\n" * lines))
            assert item.outcome is Outcome.DEFERRED

    run(scenario())


def test_a_slow_but_moving_reader_is_waited_for(run: Any, make_mail: Any, relay: Any) -> None:
    """A transfer that takes longer than the patience for one block is no time-out while it moves."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 slow\r\n")
        while line := await reader.readline():
            if line.startswith(b"EHLO"):
                writer.write(b"250-slow\r\n250 PIPELINING\r\n")
            elif line.startswith(b"DATA"):
                writer.write(b"354 go\r\n")
                tail = b""
                while not tail.endswith(b"\r\n.\r\n"):
                    tail = (tail + await reader.read(500_000))[-5:]
                    await asyncio.sleep(0.04)
                writer.write(b"250 taken\r\n")
            else:
                writer.write(b"250 ok\r\n")

    async def scenario() -> None:
        patience = Timeouts(command_s=0.3, data_block_s=0.3, after_dot_s=2)
        async with scripted(serve) as port, upstream_to(port, timeouts=patience) as upstream:
            begun = time.monotonic()
            (item,) = await relay(upstream, make_mail("a", content=(b"x" * 70 + b"\r\n") * 160_000))
            assert item.outcome is Outcome.RELAYED
            assert time.monotonic() - begun > 0.6

    run(scenario())


def test_a_byte_now_and_then_buys_no_time(run: Any, make_mail: Any, relay: Any) -> None:
    """A reply that trickles in without end is a time-out like silence."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 drip\r\n")
        await reader.readline()
        writer.write(b"250-drip\r\n250 PIPELINING\r\n")
        await reader.readline()
        writer.write(b"250 ")
        while not writer.transport.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.01)

    async def scenario() -> None:
        async with scripted(serve) as port, upstream_to(port, timeouts=Timeouts(command_s=0.2)) as upstream:
            begun = time.monotonic()
            assert outcomes_of(await relay(upstream, make_mail("a"))) == [Outcome.DEFERRED]
            assert time.monotonic() - begun < 1.5

    run(scenario())


# servers that others wrote


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def start_server(free_port: int) -> Iterator[Callable[..., int]]:
    """Starts a program with the port in place of PORT, waits until it listens; ends it afterwards."""
    programs: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> int:
        line = [word.replace("PORT", str(free_port)) for word in command]
        programs.append(subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", free_port)) == 0:
                    return free_port
            time.sleep(0.05)
        raise AssertionError("the server did not start")

    yield start
    for program in programs:
        program.terminate()
        program.wait()


@pytest.mark.parametrize("options", [(), ("-p",), ("-e",), ("-L",), ("-8", "-N")])
def test_postfix_smtp_sink(
    run: Any, make_mail: Any, relay: Any, start_server: Callable[..., int], options: tuple[str, ...]
) -> None:
    """Postfix's own test server, with pipelining, without, as plain SMTP and as LMTP."""
    program = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin:/usr/libexec/postfix")
    assert program is not None, "the system package postfix is needed"
    port = start_server(program, "-u", "nobody", *options, "127.0.0.1:PORT", "100")

    async def scenario() -> None:
        async with upstream_to(port, is_lmtp="-L" in options) as upstream:
            answers = [relay(upstream, make_mail(f"a{number}", "b")) for number in range(100)]
            for result in await asyncio.gather(*answers):
                assert outcomes_of(result) == [Outcome.RELAYED] * 2

    run(scenario())


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (("-q", "."), Outcome.UNKNOWN),
        (("-Q", "."), Outcome.DEFERRED),
        (("-r", "."), Outcome.DEFERRED),
        (("-f", "."), Outcome.REFUSED),
        (("-r", "RCPT"), Outcome.DEFERRED),
        (("-f", "MAIL"), Outcome.REFUSED),
        (("-q", "DATA"), Outcome.DEFERRED),
        (("-Q", "MAIL"), Outcome.DEFERRED),
        (("-q", "MAIL"), Outcome.DEFERRED),
        (("-f", "DATA"), Outcome.REFUSED),
    ],
)
def test_postfix_smtp_sink_failing(
    run: Any,
    make_mail: Any,
    relay: Any,
    start_server: Callable[..., int],
    fault: tuple[str, str],
    expected: Outcome,
) -> None:
    """The faults Postfix's test server can play, each with its outcome, three times in a row."""
    program = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin:/usr/libexec/postfix")
    assert program is not None, "the system package postfix is needed"
    port = start_server(program, "-u", "nobody", *fault, "127.0.0.1:PORT", "100")

    async def scenario() -> None:
        async with upstream_to(port, backoff_s=(0.01, 0.02)) as upstream:
            for _ in range(2):
                assert outcomes_of(await relay(upstream, make_mail("a"))) == [expected]

    run(scenario())


AIOSMTPD = """
import asyncio, sys
from aiosmtpd.smtp import SMTP

class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("full"):
            return "452 4.2.2 <" + address + "> is full"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        if b"refuse-me" in envelope.content:
            return "554 5.6.0 refused"
        return "250 2.0.0 " + str(len(envelope.content))

async def main():
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(Handler(), enable_SMTPUTF8=True), "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
"""


def test_aiosmtpd(run: Any, make_mail: Any, relay: Any, start_server: Callable[..., int]) -> None:
    """A lockstep server in Python: lengths agree, dots too, and each refusal is the one it gave."""
    port = start_server(sys.executable, "-c", AIOSMTPD, "PORT")

    async def scenario() -> None:
        async with upstream_to(port) as upstream:
            assert upstream.capabilities is not None
            assert upstream.capabilities.has_smtputf8
            content = b"Subject: x\r\n\r\n.\r\n..\r\nson\r\n"
            result = await relay(upstream, make_mail("a", "full", content=content))
            assert outcomes_of(result) == [Outcome.RELAYED, Outcome.DEFERRED]
            assert result[0].reply.text == str(len(content))
            assert result[1].reply == (452, "2.2", "[address] is full")
            assert outcomes_of(await relay(upstream, make_mail("a", content=b"refuse-me\r\n"))) == [Outcome.REFUSED]

    run(scenario())
