"""Where secrets come from, and over which connections they go."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.configuration.document import Document
from gateway.configuration.problems import Path
from gateway.configuration.rules.shared import beside, find_half, find_two_sources, upstream_addresses
from gateway.configuration.sections.upstreams import SmsUpstreamSection, SmtpUpstreamSection, TlsMode
from gateway.configuration.validate import Finding


def secrets_have_one_source(document: Document) -> Iterator[Finding]:
    """The environment or a file, not both: which one counts would have to be guessed."""
    yield from find_two_sources(("store",), document.store, "password")
    for name in ("index_secret", "token_keys", "outbox_keys"):
        yield from find_two_sources(("secrets",), document.secrets, name)
    for n, upstream in enumerate(document.upstreams.smtp):
        yield from find_two_sources(("upstreams", "smtp", n), upstream, "password")
    for n, provider in enumerate(document.upstreams.sms):
        for name in ("password", "inbound_secret", "inbound_signing_secret"):
            yield from find_two_sources(("upstreams", "sms", n), provider, name)
    if document.registry is not None:
        yield from find_two_sources(("registry",), document.registry, "password")
        for n, account in enumerate(document.registry.accounts):
            yield from find_two_sources(("registry", "accounts", n), account, "password")
        if document.registry.push is not None:
            yield from find_two_sources(("registry", "push"), document.registry.push, "password")


def logins_are_complete(document: Document) -> Iterator[Finding]:
    """A name without a password, or the reverse, is a forgotten line."""
    upstreams: list[tuple[Path, SmtpUpstreamSection | SmsUpstreamSection]] = [
        *((("upstreams", "smtp", n), upstream) for n, upstream in enumerate(document.upstreams.smtp)),
        *((("upstreams", "sms", n), upstream) for n, upstream in enumerate(document.upstreams.sms)),
    ]
    for path, upstream in upstreams:
        yield from find_half(
            path,
            upstream,
            "username",
            "password",
            either="password_file or password",
            other="the username that goes with the password",
            example='"izinkapi"',
        )


def passwords_travel_encrypted(document: Document) -> Iterator[Finding]:
    """Without TLS a password can be read by anyone on the way; whoever wants that has to say so."""
    logins = [n for n, client in enumerate(document.clients) if client.username is not None]
    login_paths = tuple(("clients", n, "username") for n in logins)
    for n, listener in enumerate(document.listeners.smtp):
        path = ("listeners", "smtp", n)
        if (
            logins
            and listener.tls is TlsMode.NONE
            and not listener.auth_without_tls
            and not listener.address.is_loopback
        ):
            yield Finding(
                (*path, "tls"),
                '"starttls" or "tls", since clients log in and the listener is not on loopback',
                '"none"',
                hint="auth_without_tls = true allows it",
                concerns=(*login_paths, (*path, "auth_without_tls"), (*path, "address")),
            )
    for n, upstream in enumerate(document.upstreams.smtp):
        path = ("upstreams", "smtp", n)
        away = [endpoint for _, endpoint in upstream_addresses(upstream, path) if not endpoint.is_loopback]
        if upstream.username is not None and upstream.tls is TlsMode.NONE and away and not upstream.auth_without_tls:
            yield Finding(
                (*path, "tls"),
                f'"starttls" or "tls", since a password is sent to {away[0].host}',
                '"none"',
                hint="auth_without_tls = true allows it",
                concerns=beside(path, "username", "auth_without_tls", "address", "addresses"),
            )
