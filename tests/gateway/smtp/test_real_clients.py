"""Clients we did not write, smtplib and swaks: in clear, by STARTTLS, by implicit TLS, with logins, by LMTP."""

from __future__ import annotations

import asyncio
import shutil
import smtplib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.smtp import replies
from gateway.smtp.session import SessionEvent
from gateway.smtp.settings import TlsMode
from tests.support.certificates import client_context, server_context
from tests.support.conversation import differences, load_conversation
from tests.support.mail_world import EVERYTHING

MAIL = b"Subject: Hello\r\n\r\n.a line with a dot\r\nGood day.\r\n"
SENDER, RECIPIENT = "news@shop.example", "ayse@customer.example"
SWAKS = shutil.which("swaks")
FILES = sorted((Path(__file__).parents[2] / "dialogues").glob("*.txt"))


def send(client: smtplib.SMTP, prepare: Callable[[smtplib.SMTP], object] = lambda _: None) -> dict[Any, Any]:
    with client:
        prepare(client)
        return client.sendmail(SENDER, [RECIPIENT], MAIL)


async def test_smtplib_sends(serve: Any) -> None:
    """As the simplest program would."""
    gate = await serve()
    assert await asyncio.to_thread(lambda: send(smtplib.SMTP("127.0.0.1", gate.port))) == {}
    assert [message.content for message in gate.handler.messages] == [MAIL]


async def test_smtplib_sends_after_starttls_and_login(serve: Any, tmp_path: Path) -> None:
    """The certificate is verified, the password checked off the loop."""
    gate = await serve(knows_network=False, has_logins=True, tls=TlsMode.STARTTLS)

    def prepare(client: smtplib.SMTP) -> None:
        client.ehlo()
        assert not client.has_extn("auth")
        client.starttls(context=client_context(tmp_path))
        client.login("shop", "secret")
        assert not client.has_extn("starttls")

    assert await asyncio.to_thread(lambda: send(smtplib.SMTP("localhost", gate.port), prepare)) == {}
    assert gate.handler.envelopes[0].is_tls
    assert gate.events[SessionEvent.TLS_STARTED] == 1
    assert gate.events[SessionEvent.LOGIN_SUCCEEDED] == 1


@pytest.mark.parametrize("is_login", [False, True], ids=["plain", "login"])
async def test_smtplib_sends_over_implicit_tls(serve: Any, tmp_path: Path, is_login: bool) -> None:
    """Submissions (RFC 8314), with either mechanism."""
    gate = await serve(knows_network=False, has_logins=True, tls=TlsMode.IMPLICIT)

    def run() -> dict[Any, Any]:
        client = smtplib.SMTP_SSL("localhost", gate.port, context=client_context(tmp_path))

        def prepare(client: smtplib.SMTP) -> None:
            client.user, client.password = "shop", "secret"
            client.ehlo()
            name = "LOGIN" if is_login else "PLAIN"
            assert client.auth(name, getattr(client, f"auth_{name.lower()}"))[0] == 235

        return send(client, prepare)

    assert await asyncio.to_thread(run) == {}
    assert [message.content for message in gate.handler.messages] == [MAIL]


async def test_a_wrong_password_is_refused_and_sends_nothing(serve: Any) -> None:
    """535, and MAIL still asks for a login."""
    gate = await serve(knows_network=False, has_logins=True, allows_clear_login=True)

    def run() -> None:
        with smtplib.SMTP("127.0.0.1", gate.port) as client:
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                client.login("shop", "wrong")
            assert refused.value.smtp_code == 535
            with pytest.raises(smtplib.SMTPSenderRefused) as stranger:
                client.sendmail(SENDER, [RECIPIENT], MAIL)
            assert stranger.value.smtp_code == 530

    await asyncio.to_thread(run)
    assert gate.handler.messages == []
    assert gate.events[SessionEvent.LOGIN_FAILED] == 2  # smtplib tries both mechanisms


async def test_smtplib_delivers_by_lmtp(serve: Any) -> None:
    """LHLO; smtplib reads the reply of the first recipient."""
    gate = await serve(is_lmtp=True)
    assert await asyncio.to_thread(lambda: send(smtplib.LMTP("127.0.0.1", gate.port))) == {}
    assert [message.content for message in gate.handler.messages] == [MAIL]


async def test_a_thousand_recipients_and_five_megabytes_come_through_unchanged(serve: Any) -> None:
    """Every byte and every recipient, over blocks of any size."""
    gate = await serve()
    recipients = [f"r{number}@customer.example" for number in range(1000)]
    content = b"Subject: x\r\n\r\n" + b"".join(b".%d text\r\n" % number for number in range(400_000))

    def run() -> None:
        with smtplib.SMTP("127.0.0.1", gate.port) as client:
            client.sendmail(SENDER, recipients, content)

    await asyncio.to_thread(run)
    message = gate.handler.messages[0]
    assert [wire.decode() for wire, _ in message.recipients] == recipients
    assert message.content == content


async def test_a_handshake_that_fails_harms_nobody(serve: Any, connect: Any, tmp_path: Path) -> None:
    """Clear text where TLS is expected, and a client that leaves in the middle."""
    gate = await serve(tls=TlsMode.IMPLICIT)
    talker, leaver = await connect(gate.port), await connect(gate.port)
    talker.send(b"EHLO c.example\r\n" * 10)
    await talker.hear_all()
    leaver.vanish()
    await gate.until(lambda: gate.events[SessionEvent.TLS_FAILED] == 2)
    await gate.until(lambda: gate.listener.session_count == 0)

    def client() -> Any:
        return send(smtplib.SMTP_SSL("localhost", gate.port, context=client_context(tmp_path)))

    assert await asyncio.to_thread(client) == {}


async def test_commands_right_behind_the_handshake_are_not_lost(serve: Any, connect: Any, tmp_path: Path) -> None:
    """They may be decrypted before the task that shook hands goes on."""
    gate = await serve(tls=TlsMode.STARTTLS)
    wire = await connect(gate.port)
    await wire.hear()
    await wire.ask(b"EHLO c.example\r\n")
    assert await wire.ask(b"STARTTLS\r\n") == replies.READY_FOR_TLS
    context = client_context(tmp_path)
    raw = wire.writer.get_extra_info("socket").dup()
    wire.writer.transport.pause_reading()

    def run() -> bytes:
        raw.setblocking(True)
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(b"EHLO c.example\r\nMAIL FROM:<a@shop.example>\r\nQUIT\r\n")
            heard = b""
            while piece := tls.recv(65536):
                heard += piece
            return heard

    heard = await asyncio.to_thread(run)
    assert heard.endswith(replies.MAIL_TAKEN + replies.FAREWELL)


async def test_commands_sent_in_clear_behind_starttls_are_not_obeyed(serve: Any, connect: Any, tmp_path: Path) -> None:
    """Injected ones neither run before the handshake nor after it."""
    gate = await serve(tls=TlsMode.STARTTLS)
    wire = await connect(gate.port)
    await wire.hear()
    await wire.ask(b"EHLO c.example\r\n")
    assert (
        await wire.ask(b"STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@shop.example>\r\n") == replies.READY_FOR_TLS
    )
    raw = wire.writer.get_extra_info("socket").dup()
    wire.writer.transport.pause_reading()

    def run() -> bytes:
        raw.setblocking(True)
        with client_context(tmp_path).wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(b"RCPT TO:<b@customer.example>\r\nQUIT\r\n")
            heard = b""
            while piece := tls.recv(65536):
                heard += piece
            return heard

    assert await asyncio.to_thread(run) == replies.HELLO_FIRST + replies.FAREWELL


async def test_a_new_certificate_serves_new_connections(serve: Any, tmp_path: Path) -> None:
    """Without a restart."""
    gate = await serve(tls=TlsMode.IMPLICIT)
    renewed = tmp_path / "renewed"
    renewed.mkdir()
    gate.listener.ssl_context = await asyncio.to_thread(server_context, renewed)

    def run(folder: Path) -> dict[Any, Any]:
        return send(smtplib.SMTP_SSL("localhost", gate.port, context=client_context(folder)))

    assert await asyncio.to_thread(run, renewed) == {}
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.to_thread(run, tmp_path)


async def swaks(gate: Any, *options: str) -> tuple[int, str]:
    """Exit code and transcript of one run."""
    assert SWAKS is not None, "swaks is one of the system packages that the tests need"
    process = await asyncio.create_subprocess_exec(
        SWAKS,
        *(
            "--server",
            f"127.0.0.1:{gate.port}",
            "--from",
            SENDER,
            "--to",
            RECIPIENT,
            "--body",
            "Good day.\n.\n",
            *options,
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, ()),
        ({}, ("--pipeline",)),
        ({"is_lmtp": True}, ("--protocol", "LMTP")),
        ({"tls": TlsMode.STARTTLS}, ("--tls",)),
        ({"tls": TlsMode.IMPLICIT}, ("--tlsc",)),
        (
            {"knows_network": False, "has_logins": True, "allows_clear_login": True},
            ("--auth", "PLAIN", "--auth-user", "shop", "--auth-password", "secret"),
        ),
        (
            {"knows_network": False, "has_logins": True, "tls": TlsMode.STARTTLS},
            ("--tls", "--auth", "LOGIN", "--auth-user", "shop", "--auth-password", "secret"),
        ),
    ],
    ids=["clear", "pipeline", "lmtp", "starttls", "implicit-tls", "plain", "starttls-login"],
)
async def test_swaks_sends(serve: Any, settings: dict[str, Any], options: tuple[str, ...]) -> None:
    """In each of its ways."""
    gate = await serve(**settings)
    code, said = await swaks(gate, *options)
    assert code == 0, said
    assert len(gate.handler.messages) == 1
    assert b"Good day.\r\n.\r\n" in gate.handler.messages[0].content


@pytest.mark.parametrize(
    "path", [path for path in FILES if "@ tls" not in path.read_text("utf-8")], ids=lambda p: p.stem
)
async def test_conversations_go_over_the_wire_as_they_are_written(path: Path, serve: Any, connect: Any) -> None:
    """The same files that drive the dialogue, pipelined whole through a socket."""
    conversation = load_conversation(path)
    options = conversation.options
    upstream = options.get("upstream", "")
    capabilities = None if upstream == "none" else EVERYTHING
    if upstream.startswith("size"):
        capabilities = EVERYTHING._replace(size_bytes=int(upstream[5:]) - int(options.get("footer", "0")))
    gate = await serve(
        knows_network=options.get("client") != "none",
        has_logins="logins" in options,
        budget=int(options.get("budget", str(1 << 26))),
        capabilities=capabilities,
        **{key: True for key in ("is_lmtp", "allows_clear_login") if key in options},
        **{key: int(value) for key, value in options.items() if key.startswith("max_")},
    )
    wire = await connect(gate.port)
    wire.send(b"".join(conversation.turns))
    if not conversation.is_closed:
        wire.send(b"QUIT\r\n")
    said = await wire.hear_all()
    if not conversation.is_closed:
        assert said.endswith(replies.FAREWELL)
        said = said[: -len(replies.FAREWELL)]
    assert differences(conversation.expected, said) == []
