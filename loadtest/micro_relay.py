"""What relaying one message costs: ``python -m loadtest.micro_relay [--messages N] [--size BYTES] [--waiting N]``.

Hands messages to ``adapters.smtp`` in this process, with Postfix's smtp-sink (or ``--upstream HOST:PORT``) as the next
hop, and prints messages a second and the CPU time of this process per message, Python's and the kernel's apart.
``--profile`` prints where it goes.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import os
import pstats
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

import uvloop

from adapters.smtp import SmtpUpstream, UpstreamSettings
from filters.address import EmailAddress
from filters.envelope import EnvelopeRecipient, RecipientOutcome
from filters.exchange import OutgoingMail
from filters.vocabulary import Outcome

SMTP_SINK = "/usr/sbin/smtp-sink"


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_mail(size_bytes: int, recipients: int) -> OutgoingMail:
    """A message of about ``size_bytes`` with quoted-printable lines of 76 characters."""
    line = b"Merhaba, bu hafta sepetinizdeki =C3=BCr=C3=BCnlerde indirim var; ka=C3=A7=C4=B1rma\r\n"
    head = b"From: Magaza <haber@magaza.example>\r\nSubject: Kampanya\r\nMIME-Version: 1.0\r\n\r\n"
    content = head + line * max(1, (size_bytes - len(head)) // len(line))
    addresses = [b"r%07d@musteri.example" % number for number in range(recipients)]
    to = [EnvelopeRecipient(EmailAddress(address, address, False), b"") for address in addresses]
    return OutgoingMail(b"haber@magaza.example", b"", to, content)


async def run(
    host: str, port: int, messages: int, mail: OutgoingMail, sessions: int, waiting: int
) -> tuple[float, float, float]:
    """Relay ``messages`` times, ``sessions`` at once and ``waiting`` behind them; wall, user and system seconds."""
    upstream = SmtpUpstream(UpstreamSettings("bench", ((host, port),), max_connections=sessions))
    if not await upstream.start():
        raise SystemExit("the upstream did not answer")
    finished = asyncio.get_running_loop().create_future()
    started = answered = 0

    def done(outcomes: Sequence[RecipientOutcome]) -> None:
        nonlocal started, answered
        answered += 1
        failed = next((item for item in outcomes if item.outcome is not Outcome.RELAYED), None)
        if failed is not None and not finished.done():
            finished.set_exception(SystemExit(f"a message was not relayed: {failed}"))
        if answered == messages and not finished.done():
            finished.set_result(None)
        elif started < messages:
            started += 1
            upstream.relay(mail, done)

    wall, before = time.perf_counter(), os.times()
    while started < min(sessions + waiting, messages):
        started += 1
        upstream.relay(mail, done)
    await finished
    after = os.times()
    spent = time.perf_counter() - wall, after.user - before.user, after.system - before.system
    await upstream.close()
    return spent


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, start the sink, measure, end the sink."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.micro_relay", description=__doc__)
    parser.add_argument("--messages", type=int, default=30_000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--recipients", type=int, default=1)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--waiting", type=int, default=0, help="messages that wait for a session besides")
    parser.add_argument("--upstream", help="HOST:PORT of a server to use instead of smtp-sink")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args(arguments)
    mail = make_mail(options.size, options.recipients)
    sink: subprocess.Popen[bytes] | None = None
    if options.upstream:
        host, _, port = options.upstream.rpartition(":")
    else:
        host, port = "127.0.0.1", str(free_port())
        sink = subprocess.Popen([SMTP_SINK, "-u", "nobody", f"{host}:{port}", "1000"], stderr=subprocess.DEVNULL)
        time.sleep(0.3)
    profile = cProfile.Profile() if options.profile else None
    try:
        if profile is not None:
            profile.enable()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            wall_s, user_s, system_s = runner.run(
                run(host, int(port), options.messages, mail, options.sessions, options.waiting)
            )
    finally:
        if sink is not None:
            sink.terminate()
            sink.wait()
    if profile is not None:
        profile.disable()
        pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(18)
    print(
        f"{options.messages} messages of {len(mail.content)} bytes, {options.recipients} recipients, "
        f"{options.sessions} sessions: {options.messages / wall_s:,.0f} messages/s, "
        f"{user_s / options.messages * 1e6:.1f} µs of our own and {system_s / options.messages * 1e6:.1f} µs in the "
        "kernel a message"
    )


if __name__ == "__main__":
    main()
