"""Connections in and out: TLS, addresses, limits."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.configuration.document import Document
from gateway.configuration.problems import Path, render_path
from gateway.configuration.rules.shared import (
    find_address_fault,
    find_repeated,
    listener_addresses,
    upstream_addresses,
)
from gateway.configuration.sections.listeners import HttpListenerSection, OptOutMailListenerSection, SmtpListenerSection
from gateway.configuration.sections.registry import RegistryPushSection
from gateway.configuration.sections.upstreams import TlsMode
from gateway.configuration.validate import Finding


def tls_settings_are_complete(document: Document) -> Iterator[Finding]:
    """TLS on a listener needs a certificate with its key; without TLS they would have no effect."""
    listeners = document.listeners
    for n, smtp in enumerate(listeners.smtp):
        yield from _certificate_rules(("listeners", "smtp", n), smtp)
    for n, http in enumerate(listeners.http):
        yield from _certificate_rules(("listeners", "http", n), http)
        if http.tls is TlsMode.STARTTLS:
            yield Finding(("listeners", "http", n, "tls"), '"none" or "tls"', '"starttls"')
    for n, intake in enumerate(listeners.opt_out_mail):
        yield from _certificate_rules(("listeners", "opt_out_mail", n), intake)
        if intake.tls is TlsMode.TLS:
            yield Finding(
                ("listeners", "opt_out_mail", n, "tls"),
                '"none" or "starttls"',
                '"tls"',
                hint="mail servers deliver without TLS from the first byte",
            )
    if document.registry is not None and document.registry.push is not None:
        yield from _certificate_rules(("registry", "push"), document.registry.push)
    for n, upstream in enumerate(document.upstreams.smtp):
        path = ("upstreams", "smtp", n)
        if upstream.tls is TlsMode.NONE:
            for name, is_set in (
                ("ca_file", upstream.ca_file is not None),
                ("verify", not upstream.verify),
                ("server_name", upstream.server_name is not None),
            ):
                if is_set:
                    yield Finding(
                        (*path, name), 'tls = "starttls" or "tls" with it', 'tls = "none"', concerns=((*path, "tls"),)
                    )
        elif not upstream.verify:
            for name in ("ca_file", "server_name"):
                if getattr(upstream, name) is not None:
                    yield Finding(
                        (*path, name), "verify = true with it", "verify = false", concerns=((*path, "verify"),)
                    )


def upstreams_have_addresses(document: Document) -> Iterator[Finding]:
    for n, upstream in enumerate(document.upstreams.smtp):
        path = ("upstreams", "smtp", n)
        yield from find_address_fault(upstream, path, '"127.0.0.1:2526"')
        yield from find_repeated(((*path, "addresses", m), endpoint) for m, endpoint in enumerate(upstream.addresses))


def mail_does_not_go_round(document: Document) -> Iterator[Finding]:
    """An upstream that is one of our own listeners hands mail to ourselves for ever."""
    for n, upstream in enumerate(document.upstreams.smtp):
        for path, endpoint in upstream_addresses(upstream, ("upstreams", "smtp", n)):
            for listener_path, listener in listener_addresses(document):
                if endpoint.meets(listener):
                    yield Finding(
                        path,
                        "the address of another server",
                        f'"{endpoint}"',
                        hint=f'it is our own: {render_path(listener_path)} is "{listener}"',
                        concerns=(listener_path,),
                    )
                    break


def limits_fit_each_other(document: Document) -> Iterator[Finding]:
    for n, listener in enumerate(document.listeners.smtp):
        path = ("listeners", "smtp", n, "limits")
        limits = listener.limits
        if limits.message_size > limits.message_memory:
            yield Finding(
                (*path, "message_memory"),
                f"at least message_size ({limits.message_size})",
                f'"{limits.message_memory}"',
                concerns=((*path, "message_size"),),
            )
        if limits.connections_per_peer > limits.connections:
            yield Finding(
                (*path, "connections_per_peer"),
                f"at most connections ({limits.connections})",
                str(limits.connections_per_peer),
                concerns=((*path, "connections"),),
            )


def _certificate_rules(
    path: Path, listener: SmtpListenerSection | HttpListenerSection | OptOutMailListenerSection | RegistryPushSection
) -> Iterator[Finding]:
    for name in ("certificate_file", "private_key_file"):
        is_set = getattr(listener, name) is not None
        if listener.tls is TlsMode.NONE and is_set:
            yield Finding(
                (*path, name), "tls with it", 'tls = "none"', hint="it would have no effect", concerns=((*path, "tls"),)
            )
        if listener.tls is not TlsMode.NONE and not is_set:
            yield Finding(
                (*path, name),
                f'the path of a PEM file, needed with tls = "{listener.tls}"',
                "nothing",
                '"tls/certificate.pem"' if name == "certificate_file" else '"tls/private-key.pem"',
                concerns=((*path, "tls"),),
            )
