"""``izinkapi demo``: everything on one machine, sample mail and SMS through it, and what became of each message."""

from __future__ import annotations

import secrets
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.cli.demo_sms import send_sms, show_sms
from loadtest import sample_sms
from loadtest.gateway_configuration import render_configuration, render_mail_way
from loadtest.sample_mail import BRAND, CONSENTS_CSV, Sample, samples

_MARK = "izinkapi-demo"
_START_S = 20.0

_SMS_WAY = """\
[[upstreams.sms]]
name = "netgsm"
dialect = "netgsm"
base_url = "http://127.0.0.1:{provider}"
inbound_secret_file = "inbound-secret"

[[listeners.http]]
address = "127.0.0.1:{pages}"
sms = ["netgsm"]
"""


class Ports(NamedTuple):
    """Free ports of this machine's loopback."""

    smtp: int
    sink: int
    provider: int
    pages: int
    admin: int


class Fate(NamedTuple):
    """What became of one sample: what the client heard, and how many copies reached the relay."""

    sample: Sample
    code: int
    text: str
    copies: list[bytes]


def demo(
    directory: Annotated[
        Path, typer.Option("--directory", help="Where configuration, store and evidence are kept; made anew each time.")
    ] = Path("var/demo"),
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")] = False,
) -> None:
    """Run the gateway with sample mail and SMS on this machine and show what became of each message."""
    console = Console(highlight=False)
    directory = directory.absolute()
    _make_directory(directory, console)
    ports = _find_ports()
    config = directory / "izinkapi.toml"
    text = render_configuration(
        BRAND,
        ports.admin,
        opt_out_url=f"http://127.0.0.1:{ports.pages}",
        brand_settings=f'sms_opt_out = {{ keyword = "{sample_sms.KEYWORD}", number = "{sample_sms.NUMBER}" }}\n',
    )
    text += render_mail_way(ports.smtp, ports.sink) + _SMS_WAY.format(provider=ports.provider, pages=ports.pages)
    config.write_text(text, encoding="utf-8")
    inbound_secret = secrets.token_urlsafe(24)
    (directory / "inbound-secret").write_text(inbound_secret + "\n", encoding="utf-8")
    (directory / "inbound-secret").chmod(0o600)
    console.print("[bold]İzinKapı[/bold]: importing sample consents, starting gateway, relay and SMS provider …")
    for name, rows in (("consents", CONSENTS_CSV), ("consents-sms", sample_sms.CONSENTS_CSV)):
        (directory / f"{name}.csv").write_text(rows, encoding="utf-8")
        _command("consents", "import", "-c", str(config), "--brand", str(BRAND), str(directory / f"{name}.csv"))
    provider = [sys.executable, "-m", "loadtest.providers.netgsm", "--port", str(ports.provider)]
    sink = [sys.executable, "-m", "loadtest.mail_sink", "--listen", f"127.0.0.1:{ports.sink}"]
    gateway = [sys.executable, "-m", "gateway.cli", "serve", "-c", str(config)]
    with (
        _running([*sink, "--store", str(directory / "relay")], directory / "relay.log"),
        _running(provider, directory / "provider.log"),
        _running(gateway, directory / "gateway.log") as process,
    ):
        _wait_until_ready(f"http://127.0.0.1:{ports.provider}/_sim/sent", process, directory)
        _wait_until_ready(f"http://127.0.0.1:{ports.admin}/ready", process, directory)
        fates = [_send(sample, ports, directory / "relay" / "new") for sample in samples()]
        _show(console, fates)
        _show_copy(console, fates[0].copies[0])
        gateway_url = f"http://127.0.0.1:{ports.pages}"
        show_sms(console, send_sms(gateway_url, f"http://127.0.0.1:{ports.provider}", inbound_secret), gateway_url)
        if keep:
            _wait_for_interrupt(console, ports)
    _show_next(console, directory, config)


def _make_directory(directory: Path, console: Console) -> None:
    mark = directory / _MARK
    if directory.exists():
        if not mark.exists() and any(directory.iterdir()):
            console.print(f"[bold red]error[/bold red] {directory} holds something else; name another --directory")
            raise typer.Exit(2)
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
    mark.write_text("made by izinkapi demo; removed by the next run\n", encoding="utf-8")


def _find_ports() -> Ports:
    held = [socket.socket() for _ in Ports._fields]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return Ports(*(each.getsockname()[1] for each in held))
    finally:
        for each in held:
            each.close()


def _command(*arguments: str) -> None:
    subprocess.run(  # noqa: S603 - our own program with our own arguments
        [sys.executable, "-m", "gateway.cli", *arguments], check=True, stdout=subprocess.DEVNULL
    )


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``command`` until the block ends; its output goes to ``log``."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603 - our own program
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=60)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], directory: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - our own, on loopback
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the gateway did not start; see {directory / 'gateway.log'}")


def _send(sample: Sample, ports: Ports, taken: Path) -> Fate:
    """Send ``sample`` as any mail program would, and press its opt-out link if that is part of the story."""
    before = {path.name for path in taken.glob("*.eml")} if taken.exists() else set()
    with smtplib.SMTP("127.0.0.1", ports.smtp, local_hostname="shop.example") as client:
        client.ehlo()
        client.mail("kampanya@shop.example")
        for recipient in sample.recipients:
            client.rcpt(recipient)
        code, text = client.data(sample.content)
    copies = [path.read_bytes() for path in sorted(taken.glob("*.eml")) if path.name not in before]
    if sample.presses_link and copies:
        link = str(message_from_bytes(copies[0])["List-Unsubscribe"]).partition("<")[2].partition(">")[0]
        request = urllib.request.Request(link, data=b"List-Unsubscribe=One-Click", method="POST")  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own page, on loopback
            assert answer.status == 200
    return Fate(sample, code, text.decode("ascii", "replace"), copies)


_COLOURS = {2: "green", 4: "yellow", 5: "red"}


def _show(console: Console, fates: list[Fate]) -> None:
    table = Table(title="What became of each message", title_justify="left", title_style="bold", expand=False)
    table.add_column("#", justify="right")
    table.add_column("message")
    table.add_column("to", justify="right")
    table.add_column("the client heard")
    table.add_column("copies at the relay", justify="right")
    for number, fate in enumerate(fates, 1):
        colour = _COLOURS.get(fate.code // 100, "white")
        heard = fate.text.partition(":")[0] if fate.code >= 400 else fate.text
        story = fate.sample.title
        table.add_row(
            str(number),
            Text(story),
            str(len(fate.sample.recipients)),
            Text(f"{fate.code} {heard}", style=colour),
            Text(str(len(fate.copies)), style="green" if fate.copies else "red"),
        )
    console.print(table)


def _show_copy(console: Console, copy: bytes) -> None:
    """What the first copy got: its new header fields and the footer of its text."""
    mail = message_from_bytes(copy, policy=policy.default)
    body = mail.get_body(("plain",))
    text = body.get_content() if body is not None else ""
    fields = [f"{name}: {mail[name]}" for name in ("List-Unsubscribe", "List-Unsubscribe-Post")]
    console.print(
        Panel(
            Text("\n".join([*fields, "", *text.strip().splitlines()])),
            title="The first copy as it reached the relay (header fields added, text part)",
            title_align="left",
            border_style="green",
        )
    )


def _wait_for_interrupt(console: Console, ports: Ports) -> None:
    console.print(
        f"Running until Ctrl-C. SMTP 127.0.0.1:{ports.smtp}, pages and Netgsm's API http://127.0.0.1:{ports.pages}/, "
        f"what the provider took http://127.0.0.1:{ports.provider}/_sim/sent, "
        f"status http://127.0.0.1:{ports.admin}/status, metrics http://127.0.0.1:{ports.admin}/metrics"
    )

    def end(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)  # or gateway and relay would outlive this program
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("stopping …")


def _show_next(console: Console, directory: Path, config: Path) -> None:
    program = Path(sys.argv[0])
    name = str(program) if program.name == "izinkapi" else "izinkapi"
    shown = config.relative_to(Path.cwd()) if config.is_relative_to(Path.cwd()) else config
    folder = directory.relative_to(Path.cwd()) if directory.is_relative_to(Path.cwd()) else directory
    asking = f"-c {shown} --brand {BRAND} --recipient"
    lines = [
        ("why would Can get nothing?", f"explain {asking} can@musteri.example"),
        ("what does the index know of Deniz now?", f"consents show {asking} deniz@musteri.example"),
        ("what was sent to Ayşe, and why?", f"evidence find -c {shown} --recipient ayse@musteri.example"),
        ("was a record altered?", f"evidence verify -c {shown}"),
        ("what was sent to Ayşe by SMS?", f"evidence find -c {shown} --recipient +90{sample_sms.AYSE}"),
        ("keep it running, with its pages", "demo --keep"),
        ("only the neighbours: registry, relay, SMS providers", "sandbox"),
    ]
    console.print("\n[bold]Where to look next[/bold]")
    for question, command in lines:
        console.print(Text.assemble((f"  {question}\n", "dim"), f"    {name} {command}"), soft_wrap=True)
    console.print(
        Text.assemble(
            ("  mail as it arrived, the gateway's log, its configuration\n", "dim"),
            f"    {folder}/relay/new/  {folder}/gateway.log  {shown}",
        ),
        soft_wrap=True,
    )
