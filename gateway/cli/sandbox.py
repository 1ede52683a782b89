"""``izinkapi sandbox``: everything that İzinKapı talks to, simulated on this machine, until it is told to stop.

With a configuration, its registry, relays and providers are simulated at the very addresses it names, as far as they
are on the loopback interface and without TLS; without one, at the addresses of the snippet that is printed.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.configuration import Configuration, ConfigurationError
from gateway.configuration.load import load_configuration
from gateway.configuration.sections.upstreams import SmsDialect, TlsMode
from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME, PASSWORD_VARIABLE

_START_S = 20.0
_END_S = 20.0
_NOT_DONE = 2
_HOLIDAYS = Path(__file__).parent.parent.parent / "config" / "holidays-tr.toml"

# Where the simulator of a dialect is not a module of the dialect's name among the providers.
_SIMULATORS = {
    "netgsm_legacy": "loadtest.providers.netgsm",
    "vonage_sms": "loadtest.providers.vonage",
    "vonage_messages": "loadtest.providers.vonage",
}

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


class Part(NamedTuple):
    """One simulator: what it is, where it listens, how it is started."""

    title: str
    address: str
    command: list[str]
    note: str = ""
    secret: str = ""
    """Handed over in the environment: the list of processes, where commands stand, is read by everybody."""


class Account(NamedTuple):
    """What opens the simulated registry, and the brands in it as BRANDCODE:IYSCODE:NAME; none: its own."""

    username: str
    password: str
    brands: tuple[str, ...]


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
        int, typer.Option("--providers", help="First port of the SMS providers (0: free ones).")
    ] = 8101,
    *,
    allow_http_push: Annotated[
        bool, typer.Option("--allow-http-push", help="Let the registry push to plain http addresses too.")
    ] = False,
) -> None:
    """Run simulated registry, mail relay and SMS providers on this machine until Ctrl-C or SIGTERM."""
    console = Console(highlight=False)
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    try:
        if config is None:
            account = Account(DEFAULT_USERNAME, DEFAULT_PASSWORD, ())
            (directory / "registry-password").write_text(DEFAULT_PASSWORD + "\n", encoding="utf-8")
            (directory / "registry-password").chmod(0o600)
            parts = _default_parts(directory, account, _settle(registry), _settle(relay), providers)
        else:
            configuration = load_configuration(config)
            account = _account_of(configuration)
            parts = _configured_parts(directory, account, configuration, console)
    except (ConfigurationError, ValueError) as error:
        _fail(str(error))
    if allow_http_push:
        parts = [
            part._replace(command=[*part.command, "--allow-http-push"]) if part.title == "registry" else part
            for part in parts
        ]
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


# What to start


def _default_parts(directory: Path, account: Account, registry: str, relay: str, first_port: int) -> list[Part]:
    parts = [_registry(directory, registry, account), _relay(directory, "relay", relay)]
    started: set[str] = set()
    for dialect in SmsDialect:
        module = _provider_module(dialect)
        if module is None or module in started:
            continue
        started.add(module)
        parts.append(_provider(dialect.value, dialect, _settle(f"127.0.0.1:{first_port}")))
        first_port += bool(first_port)
    return parts


def _configured_parts(directory: Path, account: Account, configuration: Configuration, console: Console) -> list[Part]:
    parts: list[Part] = []
    if configuration.registry is not None:
        address = _loopback_address(configuration.registry.base_url)
        if address is None:
            _say(console, "registry.base_url is not plain http on this machine: not simulated")
        else:
            parts.append(_registry(directory, address, account))
    for upstream in configuration.smtp_upstreams:
        for number, endpoint in enumerate(upstream.addresses):
            title = upstream.name if number == 0 else f"{upstream.name}-{number + 1}"
            if not _is_loopback(endpoint.host) or upstream.tls is not TlsMode.NONE:
                _say(console, f"upstream {upstream.name} is not on this machine, or has TLS: not simulated")
                continue
            parts.append(_relay(directory, title, f"{endpoint.host}:{endpoint.port}"))
    for provider in configuration.sms_upstreams:
        address = _loopback_address(provider.base_url)
        if address is None or _provider_module(provider.dialect) is None:
            _say(console, f"upstream {provider.name} is not on this machine, or has no simulator: not simulated")
            continue
        parts.append(_provider(provider.name, provider.dialect, address))
    if not parts:
        raise ValueError(f"{configuration.file} names nothing on the loopback interface that could be simulated")
    return parts


def _account_of(configuration: Configuration) -> Account:
    registry = configuration.registry
    username = DEFAULT_USERNAME if registry is None or registry.username is None else registry.username
    password = DEFAULT_PASSWORD
    if registry is not None and registry.password is not None:
        password = registry.password.reveal().decode()
    brands = tuple(f"{each.brand.code}:{each.brand.iys_code}:{each.brand.name}" for each in configuration.brands)
    return Account(username, password, brands)


def _registry(directory: Path, address: str, account: Account) -> Part:
    command = [sys.executable, "-m", "loadtest.registry", "serve", "--listen", address]
    command += ["--store", str(directory / "registry.sqlite"), "--username", account.username]
    if _HOLIDAYS.exists():
        command += ["--holidays", str(_HOLIDAYS)]
    for brand in account.brands:
        command += ["--brand", brand]
    note = f"page http://{address}/, control http://{address}/_sim/state"
    return Part("registry", address, command, note, account.password)


def _relay(directory: Path, title: str, address: str) -> Part:
    store = directory / f"{title}-mail"
    command = [sys.executable, "-m", "loadtest.mail_sink", "--listen", address, "--store", str(store)]
    return Part(title, address, command, f"mail in {store / 'new'}")


def _provider(title: str, dialect: SmsDialect, address: str) -> Part:
    host, _, port = address.rpartition(":")
    command = [sys.executable, "-m", str(_provider_module(dialect)), "--host", host, "--port", port]
    return Part(title, address, command, f"{dialect.value}; what it took: http://{address}/_sim/sent")


def _provider_module(dialect: SmsDialect) -> str | None:
    """The simulator of a provider, None if there is none."""
    name = _SIMULATORS.get(dialect.value, f"loadtest.providers.{dialect.value}")
    return name if importlib.util.find_spec(name) is not None else None


# Addresses


def _settle(address: str) -> str:
    """``address`` with a free port in place of 0. Raises ``ValueError`` if it is not on this machine."""
    host, _, port = address.rpartition(":")
    if not _is_loopback(host) or not port.isdecimal():
        raise ValueError(f"expected an address of the loopback interface like 127.0.0.1:8090, found {address!r}")
    if int(port):
        return address
    with socket.socket() as held:
        held.bind((host, 0))
        return f"{host}:{held.getsockname()[1]}"


def _loopback_address(base_url: str) -> str | None:
    """Host and port of a plain http address on this machine."""
    parts = urlsplit(base_url)
    if parts.scheme != "http" or parts.hostname is None or not _is_loopback(parts.hostname):
        return None
    return f"{parts.hostname}:{parts.port or 80}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
            env=os.environ | ({PASSWORD_VARIABLE: part.secret} if part.secret else {}),
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
    for column in ("what", "address", "look here"):
        table.add_column(column, overflow="fold")
    for part in parts:
        table.add_row(part.title, part.address, Text(part.note))
    console.print(table)
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
        console.print(Text(snippet), soft_wrap=True)
    console.print("Running until Ctrl-C or SIGTERM.")


def _say(console: Console, sentence: str) -> None:
    console.print(Text(sentence, style="yellow"), soft_wrap=True)


def _fail(sentence: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True, highlight=False).print(Text.assemble(("error ", "bold red"), sentence))
    raise typer.Exit(_NOT_DONE)
