"""Rules about SMPP's two ends."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.configuration.document import Document
from gateway.configuration.problems import Path
from gateway.configuration.rules.shared import beside, find_address_fault, find_two_sources
from gateway.configuration.sections.smpp_listeners import SmppListenerSection
from gateway.configuration.sections.smpp_upstreams import SmppTls
from gateway.configuration.validate import Finding

_GENERIC_REFUSAL = 0x45
_VENDOR_REFUSALS = range(0x400, 0x500)


def smpp_upstreams_can_be_bound_to(document: Document) -> Iterator[Finding]:
    for n, upstream in enumerate(document.upstreams.smpp):
        path: Path = ("upstreams", "smpp", n)
        yield from find_address_fault(upstream, path, '"smsc.operator.example:2775"')
        yield from find_two_sources(path, upstream, "password")
        if upstream.password is None and upstream.password_file is None:
            yield Finding(
                path, "password_file or password", "neither", concerns=beside(path, "password", "password_file")
            )
        away = [address for address in (upstream.address, *upstream.addresses) if address and not address.is_loopback]
        if upstream.tls is SmppTls.NONE and away and not upstream.clear_text:
            yield Finding(
                (*path, "tls"),
                f'"tls", since password and texts are sent to {away[0].host}',
                '"none"',
                hint="clear_text = true allows it",
                concerns=beside(path, "clear_text", "address", "addresses"),
            )


def smpp_listeners_have_what_they_need(document: Document) -> Iterator[Finding]:
    upstreams = [upstream.name for upstream in document.upstreams.smpp]
    clients = [client.name for client in document.clients]
    has_logins = any(client.username is not None for client in document.clients)
    for n, listener in enumerate(document.listeners.smpp):
        path: Path = ("listeners", "smpp", n)
        if listener.upstream not in upstreams:
            yield Finding((*path, "upstream"), "the name of one of [[upstreams.smpp]]", f'"{listener.upstream}"')
        for number, client in listener.inbound.items():
            if client not in clients:
                yield Finding((*path, "inbound", number), "the name of one of [[clients]]", f'"{client}"')
        yield from _certificate(path, listener)
        if has_logins and listener.tls is SmppTls.NONE and not listener.clear_text and not listener.address.is_loopback:
            yield Finding(
                (*path, "tls"),
                '"tls", since clients log in and the listener is not on loopback',
                '"none"',
                hint="clear_text = true allows it",
                concerns=beside(path, "clear_text", "address"),
            )
        if listener.refusal_status != _GENERIC_REFUSAL and listener.refusal_status not in _VENDOR_REFUSALS:
            yield Finding(
                (*path, "refusal_status"),
                "69, or a code from 1024 to 1279",
                str(listener.refusal_status),
                hint="other codes make clients try again or take the number for a wrong one",
            )
        if listener.class_tlv_values and listener.class_tlv is None:
            yield Finding((*path, "class_tlv"), "the TLV's tag with class_tlv_values", "nothing", "5121")


def _certificate(path: Path, listener: SmppListenerSection) -> Iterator[Finding]:
    for name in ("certificate_file", "private_key_file"):
        is_set = getattr(listener, name) is not None
        if listener.tls is SmppTls.NONE and is_set:
            yield Finding(
                (*path, name), "tls with it", 'tls = "none"', hint="it would have no effect", concerns=((*path, "tls"),)
            )
        if listener.tls is SmppTls.TLS and not is_set:
            yield Finding(
                (*path, name), 'the path of a PEM file, needed with tls = "tls"', "nothing",
                '"tls/certificate.pem"' if name == "certificate_file" else '"tls/private-key.pem"',
                concerns=((*path, "tls"),),
            )  # fmt: skip
