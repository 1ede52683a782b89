"""What several rules need: addresses in use, repetitions, pairs of sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gateway.configuration.document import Document
from gateway.configuration.problems import Path, render_path
from gateway.configuration.section import Section
from gateway.configuration.sections.listeners import HttpListenerSection, OptOutMailListenerSection, SmtpListenerSection
from gateway.configuration.sections.smpp_listeners import SmppListenerSection
from gateway.configuration.sections.smpp_upstreams import SmppUpstreamSection
from gateway.configuration.sections.upstreams import SmtpUpstreamSection
from gateway.configuration.validate import Finding
from gateway.configuration.values import Endpoint

_ListenerSection = SmtpListenerSection | HttpListenerSection | SmppListenerSection | OptOutMailListenerSection


def listener_addresses(document: Document) -> Iterator[tuple[Path, Endpoint]]:
    """Every address we listen on, in the order of the sections."""
    listeners = document.listeners
    groups: tuple[tuple[str, Sequence[_ListenerSection]], ...] = (
        ("smtp", listeners.smtp),
        ("http", listeners.http),
        ("smpp", listeners.smpp),
        ("opt_out_mail", listeners.opt_out_mail),
    )
    for name, group in groups:
        for n, listener in enumerate(group):
            yield ("listeners", name, n, "address"), listener.address
    if document.registry is not None and document.registry.push is not None:
        yield ("registry", "push", "address"), document.registry.push.address
    yield ("admin", "address"), document.admin.address


def upstream_addresses(upstream: SmtpUpstreamSection, path: Path) -> Iterator[tuple[Path, Endpoint]]:
    """Every address of the upstream at ``path``, in order of preference."""
    if upstream.address is not None:
        yield (*path, "address"), upstream.address
    for m, endpoint in enumerate(upstream.addresses):
        yield (*path, "addresses", m), endpoint


def find_address_fault(
    upstream: SmtpUpstreamSection | SmppUpstreamSection, path: Path, example: str
) -> Iterator[Finding]:
    """``address`` and ``addresses`` both, or neither."""
    concerns = beside(path, "address", "addresses")
    if upstream.address is not None and upstream.addresses:
        yield Finding(path, "address or addresses", "both", concerns=concerns)
    elif upstream.address is None and not upstream.addresses:
        yield Finding(
            (*path, "address"), "a host and a port, or several in addresses", "nothing", example, concerns=concerns
        )


def find_repeated(values: Iterable[tuple[Path, object]]) -> Iterator[Finding]:
    """Every (path, value) whose value an earlier one has."""
    seen: dict[object, Path] = {}
    for path, value in values:
        if value in seen:
            shown = value if isinstance(value, int) else f'"{value}"'
            first = seen[value]
            yield Finding(
                path, "a value that is not used yet", str(shown), hint=f"{render_path(first)} has it", concerns=(first,)
            )
        seen.setdefault(value, path)


def beside(path: Path, *names: str) -> tuple[Path, ...]:
    """The settings ``names`` of the table at ``path``."""
    return tuple((*path, name) for name in names)


def find_two_sources(path: Path, section: Section, name: str) -> Iterator[Finding]:
    """A secret given both by environment and by file."""
    if getattr(section, name) is not None and getattr(section, f"{name}_file") is not None:
        yield Finding(path, f"{name} or {name}_file", "both", concerns=beside(path, name, f"{name}_file"))


def find_half(
    path: Path, section: Section, name: str, secret: str, *, either: str, other: str, example: str
) -> Iterator[Finding]:
    """``name`` without the ``secret`` that belongs to it, or the reverse: a forgotten line.

    ``either`` names the secret's two sources, the better one first; ``other`` is what ``name`` is, as in ``example``.
    """
    has_name = getattr(section, name) is not None
    has_secret = getattr(section, secret) is not None or getattr(section, f"{secret}_file") is not None
    if has_name and not has_secret:
        yield Finding(path, f"{either} with {name}", "neither", concerns=beside(path, name, secret, f"{secret}_file"))
    if has_secret and not has_name:
        yield Finding((*path, name), other, "nothing", example)
