"""Which simulators a sandbox starts, where they listen, and how each is started."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import ipaddress
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from gateway.configuration import Configuration
from gateway.configuration.sections.upstreams import SmsDialect, TlsMode

SMSC_SYSTEM_ID, SMSC_PASSWORD = "gate", "secret"
"""Who may bind to the SMSC where no configuration says it."""

_HOLIDAYS = Path(__file__).parent.parent.parent / "config" / "holidays-tr.toml"

# Where the simulator of a dialect is not a module of the dialect's name among the providers.
_SIMULATORS = {
    "netgsm_legacy": "loadtest.providers.netgsm",
    "plain": "loadtest.plain_provider",
    "vonage_sms": "loadtest.providers.vonage",
    "vonage_messages": "loadtest.providers.vonage",
}


class Part(NamedTuple):
    """One simulator: what it is, where it listens, how it is started."""

    title: str
    address: str
    command: list[str]
    note: str = ""
    secret: str = ""
    """Handed over in the environment: the list of processes, where commands stand, is read by everybody."""
    secret_variable: str = ""
    is_provider: bool = False
    """Whether it is asked at ``/_sim/sent`` what it took."""


class Account(NamedTuple):
    """What opens the simulated registry, and the brands in it as BRANDCODE:IYSCODE:NAME; none: its own."""

    username: str
    password: str
    brands: tuple[str, ...]


def is_taken(address: str) -> bool:
    """Whether somebody listens at ``address`` already."""
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: an old connection takes nothing
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def default_parts(directory: Path, account: Account, registry: str, relay: str, first_port: int) -> list[Part]:
    """Registry, a relay, and all providers that have a simulator; addresses as ``HOST:PORT``, port 0 for a free one."""
    registry, relay = _settle(registry), _settle(relay)
    parts = [_registry(directory, registry, account), _relay(directory, "relay", relay)]
    started: set[str] = set()
    for dialect in SmsDialect:
        module = _provider_module(dialect)
        if module is None or module in started:
            continue
        started.add(module)
        parts.append(_provider(dialect.value, dialect, _settle(f"127.0.0.1:{first_port}")))
        first_port += bool(first_port)
    parts.append(_smsc("smsc", _settle(f"127.0.0.1:{first_port}"), SMSC_SYSTEM_ID, SMSC_PASSWORD))
    return parts


def configured_parts(
    directory: Path, account: Account, configuration: Configuration, say: Callable[[str], None]
) -> list[Part]:
    """What ``configuration`` names on this machine; ``say`` hears what is left out. ``ValueError`` if that is all."""
    parts: list[Part] = []
    if configuration.registry is not None:
        address = _loopback_address(configuration.registry.base_url)
        if address is None:
            say("registry.base_url is not plain http on this machine: not simulated")
        else:
            parts.append(_registry(directory, address, account))
    for upstream in configuration.smtp_upstreams:
        for number, endpoint in enumerate(upstream.addresses):
            title = upstream.name if number == 0 else f"{upstream.name}-{number + 1}"
            if not _is_loopback(endpoint.host) or upstream.tls is not TlsMode.NONE:
                say(f"upstream {upstream.name} is not on this machine, or has TLS: not simulated")
                continue
            parts.append(_relay(directory, title, f"{endpoint.host}:{endpoint.port}"))
    for provider in configuration.sms_upstreams:
        address = _loopback_address(provider.base_url)
        if address is None or _provider_module(provider.dialect) is None:
            say(f"upstream {provider.name} is not on this machine, or has no simulator: not simulated")
            continue
        parts.append(_provider(provider.name, provider.dialect, address))
    for smsc in configuration.smpp_upstreams:
        for number, endpoint in enumerate(smsc.addresses):
            title = smsc.name if number == 0 else f"{smsc.name}-{number + 1}"
            if not _is_loopback(endpoint.host) or smsc.tls:
                say(f"upstream {smsc.name} is not on this machine, or has TLS: not simulated")
                continue
            password = smsc.password.reveal_text() if smsc.password is not None else ""
            parts.append(_smsc(title, f"{endpoint.host}:{endpoint.port}", smsc.system_id, password))
    if not parts:
        raise ValueError(f"{configuration.file} names nothing on the loopback interface that could be simulated")
    return parts


def _registry(directory: Path, address: str, account: Account) -> Part:
    command = [sys.executable, "-m", "loadtest.registry", "serve", "--listen", address]
    command += ["--store", str(directory / "registry.sqlite"), "--username", account.username]
    if _HOLIDAYS.exists():
        command += ["--holidays", str(_HOLIDAYS)]
    for brand in account.brands:
        command += ["--brand", brand]
    note = f"page http://{address}/, control http://{address}/_sim/state"
    return Part("registry", address, command, note, account.password, "IZINKAPI_SIMULATED_REGISTRY_PASSWORD")


def _relay(directory: Path, title: str, address: str) -> Part:
    store = directory / f"{title}-mail"
    command = [sys.executable, "-m", "loadtest.mail_sink", "--listen", address, "--store", str(store)]
    return Part(title, address, command, f"mail in {store / 'new'}")


def _provider(title: str, dialect: SmsDialect, address: str) -> Part:
    module = str(_provider_module(dialect))
    host, _, port = address.rpartition(":")
    command = [sys.executable, "-m", module, "--host", host, "--port", port]
    login = getattr(importlib.import_module(module), "LOGIN", "any login")
    return Part(
        title, address, command, login if title == dialect.value else f"{dialect.value}: {login}", is_provider=True
    )


def _smsc(title: str, address: str, system_id: str, password: str) -> Part:
    host, _, port = address.rpartition(":")
    command = [sys.executable, "-m", "loadtest.providers.smsc", "--host", host, "--port", port]
    command += ["--system-id", system_id]
    return Part(
        title, address, command, f"SMPP 3.4; system_id {system_id}", password, "IZINKAPI_SIMULATED_SMSC_PASSWORD"
    )


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
