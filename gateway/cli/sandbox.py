"""``izinkapi sandbox``: everything that İzinKapı talks to, simulated on this machine, until it is told to stop.

With a configuration, its registry, relays and providers are simulated at the very addresses it names, as far as they
are on the loopback interface and without TLS; without one, at the addresses of the snippet that is printed.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli.simulators import (
    SMSC_PASSWORD,
    SMSC_SYSTEM_ID,
    Account,
    Part,
    configured_parts,
    default_parts,
    is_taken,
)
from gateway.configuration import Configuration, ConfigurationError
from gateway.configuration.load import load_configuration
from gateway.configuration.sections.upstreams import SmsDialect
from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME

_START_S = 20.0
_END_S = 20.0
_NOT_DONE = 2

_SNIPPET = """\
[registry]
base_url = "{registry}"
username = "{username}"
password_file = "{password_file}"

[[upstreams.smtp]]
name = "relay"
address = "{relay}"
tls = "none"
"""
_SMS_SNIPPET = """
[[upstreams.sms]]
name = "{name}"
dialect = "{dialect}"
base_url = "{base_url}"
"""
_SMSC_SNIPPET = """
[[upstreams.smpp]]
name = "smsc"
address = "{address}"
tls = "none"
system_id = "{system_id}"
password_file = "{password_file}"
"""


def sandbox(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Simulate what this configuration names.", show_default=False)
    ] = None,
    directory: Annotated[
        Path, typer.Option("--directory", help="Where the registry's state, mail taken and logs are kept.")
    ] = Path("var/sandbox"),
    registry: Annotated[str, typer.Option("--registry", help="Where the registry listens (port 0: a free one).")] = (
        "127.0.0.1:8090"
    ),
    relay: Annotated[str, typer.Option("--relay", help="Where the relay listens (port 0: a free one).")] = (
        "127.0.0.1:2526"
    ),
    providers: Annotated[
        int, typer.Option("--providers", help="First port of the SMS providers and the SMSC (0: free ones).")
    ] = 8101,
    *,
    allow_http_push: Annotated[
        bool, typer.Option("--allow-http-push", help="Let the registry push to plain http addresses too.")
    ] = False,
) -> None:
    """Run simulated registry, mail relay, SMS providers and SMSC on this machine until Ctrl-C or SIGTERM."""
    console = Console(highlight=False)
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    try:
        if config is None:
            account = Account(DEFAULT_USERNAME, DEFAULT_PASSWORD, ())
            for name, password in (("registry-password", DEFAULT_PASSWORD), ("smsc-password", SMSC_PASSWORD)):
                (directory / name).write_text(password + "\n", encoding="utf-8")
                (directory / name).chmod(0o600)
            parts = default_parts(directory, account, registry, relay, providers)
        else:
            configuration = load_configuration(config)
            account = _account_of(configuration)
            parts = configured_parts(directory, account, configuration, lambda sentence: _say(console, sentence))
    except (ConfigurationError, ValueError) as error:
        _fail(str(error))
    if allow_http_push:
        parts = [
            part._replace(command=[*part.command, "--allow-http-push"]) if "loadtest.registry" in part.command else part
            for part in parts
        ]
    for part in parts:
        if is_taken(part.address):
            _fail(
                f"{part.address}, where {part.title} would listen, is taken by another program; end that one"
                + (", or choose other addresses with --registry, --relay and --providers" if config is None else "")
            )
    raise typer.Exit(_run(console, directory, parts, account, shows_snippet=config is None))


def _run(console: Console, directory: Path, parts: list[Part], account: Account, *, shows_snippet: bool) -> int:
    """Start, wait, end; the exit code."""
    is_told = False

    def end(_number: int, _frame: object) -> None:
        nonlocal is_told
        is_told = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with ExitStack() as stack:
        running = [(part, stack.enter_context(_running(part, directory / f"{part.title}.log"))) for part in parts]
        for part, process in running:
            if not _answers(part.address, process, lambda: is_told):
                if is_told:
                    return 0
                _say(console, f"{part.title} did not start at {part.address}; see {directory / part.title}.log")
                return _NOT_DONE
        _show(console, directory, parts, account, shows_snippet=shows_snippet)
        while not is_told:
            for part, process in running:
                if process.poll() is not None:
                    _say(console, f"{part.title} has ended; see {directory / part.title}.log")
                    return _NOT_DONE
            time.sleep(0.2)
    return 0


def _account_of(configuration: Configuration) -> Account:
    registry = configuration.registry
    username = DEFAULT_USERNAME if registry is None or registry.username is None else registry.username
    password = DEFAULT_PASSWORD
    if registry is not None and registry.password is not None:
        password = registry.password.reveal().decode()
    brands = tuple(f"{each.brand.code}:{each.brand.iys_code}:{each.brand.name}" for each in configuration.brands)
    return Account(username, password, brands)


# Processes


@contextmanager
def _running(part: Part, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``part`` until the block ends, in a group of its own, so that Ctrl-C ends it through us and in order."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own programs
            part.command,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=os.environ | ({part.secret_variable: part.secret} if part.secret_variable else {}),
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(address: str, process: subprocess.Popen[bytes], is_told: Callable[[], bool]) -> bool:
    """Whether something listens at ``address`` before long."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None and not is_told():
        try:
            with socket.create_connection((host, int(port)), timeout=1):
                return process.poll() is None
        except OSError:
            time.sleep(0.1)
    return False


# What is shown


def _show(console: Console, directory: Path, parts: list[Part], account: Account, *, shows_snippet: bool) -> None:
    table = Table(title="Simulated on this machine", title_justify="left", title_style="bold", expand=False)
    for column in ("what", "address", "look here; login"):
        table.add_column(column, overflow="fold")
    for part in parts:
        table.add_row(part.title, part.address, Text(part.note))
    console.print(table)
    if example := next((part.address for part in parts if part.is_provider), ""):
        console.print(f"What a provider took: /_sim/sent at its address, for example http://{example}/_sim/sent")
    by_title = {part.title: part for part in parts}
    if "registry" in by_title and shows_snippet:
        console.print(f"The registry's account: {account.username} / {account.password}; brands 600123 and 600124")
    if shows_snippet:
        console.print("\n[bold]For the configuration[/bold]")
        snippet = _SNIPPET.format(
            registry=f"http://{by_title['registry'].address}",
            username=account.username,
            password_file=directory / "registry-password",
            relay=by_title["relay"].address,
        )
        for dialect in SmsDialect:
            if dialect.value in by_title:
                base_url = f"http://{by_title[dialect.value].address}"
                snippet += _SMS_SNIPPET.format(name=dialect.value, dialect=dialect.value, base_url=base_url)
        snippet += _SMSC_SNIPPET.format(
            address=by_title["smsc"].address, system_id=SMSC_SYSTEM_ID, password_file=directory / "smsc-password"
        )
        console.print(Text(snippet), soft_wrap=True)
    console.print("Running until Ctrl-C or SIGTERM.")


def _say(console: Console, sentence: str) -> None:
    console.print(Text(sentence, style="yellow"), soft_wrap=True)


def _fail(sentence: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True, highlight=False).print(Text.assemble(("error ", "bold red"), sentence))
    raise typer.Exit(_NOT_DONE)
