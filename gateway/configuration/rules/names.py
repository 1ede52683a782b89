"""What is told apart by a name, an address or a network, and what refers to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from gateway.configuration.document import Document
from gateway.configuration.problems import Path, render_path
from gateway.configuration.rules.shared import find_repeated, listener_addresses
from gateway.configuration.validate import Finding
from gateway.configuration.values import Endpoint


def something_is_there(document: Document) -> Iterator[Finding]:
    """A gateway needs someone to send for, someone to take mail from, and a place to take it."""
    if not document.brands:
        yield Finding(("brands",), "at least one brand", "none", "[[brands]]")
    if not document.clients:
        yield Finding(("clients",), "at least one client", "none", "[[clients]]")
    if not (
        document.listeners.smtp or document.listeners.http or document.listeners.smpp or document.listeners.opt_out_mail
    ):
        yield Finding(("listeners",), "at least one listener", "none", "[[listeners.smtp]]")


def names_are_unique(document: Document) -> Iterator[Finding]:
    """Logs, metrics and evidence tell things apart by these."""
    yield from find_repeated((("brands", n, "code"), brand.code) for n, brand in enumerate(document.brands))
    yield from find_repeated((("clients", n, "name"), client.name) for n, client in enumerate(document.clients))
    yield from find_repeated(
        (("clients", n, "username"), client.username)
        for n, client in enumerate(document.clients)
        if client.username is not None
    )
    yield from find_repeated(
        [(("upstreams", "smtp", n, "name"), upstream.name) for n, upstream in enumerate(document.upstreams.smtp)]
        + [(("upstreams", "sms", n, "name"), upstream.name) for n, upstream in enumerate(document.upstreams.sms)]
        + [(("upstreams", "smpp", n, "name"), upstream.name) for n, upstream in enumerate(document.upstreams.smpp)]
    )
    yield from find_repeated(
        (("listeners", "smtp", n, "name"), listener.effective_name)
        for n, listener in enumerate(document.listeners.smtp)
    )


def networks_are_unique(document: Document) -> Iterator[Finding]:
    """The same network in two clients would leave open which of them it is."""
    yield from find_repeated(
        (("clients", n, "networks", m), network)
        for n, client in enumerate(document.clients)
        for m, network in enumerate(client.networks)
    )


def addresses_are_unique(document: Document) -> Iterator[Finding]:
    """Only one listener can have an address; one on all addresses has the port on each of them."""
    seen: list[tuple[Path, Endpoint]] = []
    for path, endpoint in listener_addresses(document):
        for earlier_path, earlier in seen:
            if earlier.port == endpoint.port and (
                earlier.host == endpoint.host or _is_everywhere(earlier, endpoint) or _is_everywhere(endpoint, earlier)
            ):
                yield Finding(
                    path,
                    "an address of its own",
                    f'"{endpoint}"',
                    hint=f'{render_path(earlier_path)} is "{earlier}"',
                    concerns=(earlier_path,),
                )
                break
        seen.append((path, endpoint))


def references_exist(document: Document) -> Iterator[Finding]:
    """What is named has to be there."""
    codes = [brand.code for brand in document.brands]
    code_paths = tuple(("brands", n, "code") for n in range(len(codes)))
    for n, client in enumerate(document.clients):
        for m, code in enumerate(client.brands):
            if code not in codes:
                yield _unknown(("clients", n, "brands", m), "the code of one of [[brands]]", code, codes, code_paths)
    mail = [upstream.name for upstream in document.upstreams.smtp]
    mail_paths = tuple(("upstreams", "smtp", n, "name") for n in range(len(mail)))
    for n, listener in enumerate(document.listeners.smtp):
        if listener.upstream not in mail:
            path = ("listeners", "smtp", n, "upstream")
            yield _unknown(path, "the name of one of [[upstreams.smtp]]", listener.upstream, mail, mail_paths)
    sms = [upstream.name for upstream in document.upstreams.sms]
    sms_paths = tuple(("upstreams", "sms", n, "name") for n in range(len(sms)))
    for n, http in enumerate(document.listeners.http):
        for m, name in enumerate(http.sms):
            if name not in sms:
                place: Path = ("listeners", "http", n, "sms", m)
                yield _unknown(place, "the name of one of [[upstreams.sms]]", name, sms, sms_paths)


def _unknown(path: Path, expected: str, value: object, known: Sequence[object], concerns: tuple[Path, ...]) -> Finding:
    names = [str(name) for name in known]
    nearest = get_close_matches(str(value), names, n=1, cutoff=0.6)
    hint = f"did you mean {_quote(nearest[0], value)}?" if nearest else ""
    if not nearest and names:
        hint = f"known: {', '.join(_quote(name, value) for name in names[:5])}"
    return Finding(path, expected, _quote(str(value), value), hint=hint, concerns=concerns)


def _quote(name: str, like: object) -> str:
    return name if isinstance(like, int) else f'"{name}"'


def _is_everywhere(wide: Endpoint, narrow: Endpoint) -> bool:
    """Whether ``wide`` listens on all addresses of the family of ``narrow`` (:: takes IPv4 too where the system maps
    it, which our sockets switch off)."""
    wide_ip, narrow_ip = wide.ip, narrow.ip
    return (
        wide_ip is not None
        and narrow_ip is not None
        and wide_ip.is_unspecified
        and wide_ip.version == narrow_ip.version
    )
