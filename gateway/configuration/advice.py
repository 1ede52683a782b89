"""What is allowed and probably not meant: said as a warning, stops nothing."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.configuration.document import Document
from gateway.configuration.validate import Finding


def find_advice(document: Document) -> Iterator[Finding]:
    listeners = document.listeners
    for n, brand in enumerate(document.brands):
        if not brand.contact:
            yield Finding(
                ("brands", n, "contact"),
                "a contact that recipients can reach",
                "nothing",
                '"iletisim@shop.example"',
                "the law asks for one in every commercial message (6563, 7/2)",
            )
        if brand.opt_out_mail_domain and not listeners.opt_out_mail:
            yield Finding(
                ("brands", n, "opt_out_mail_domain"),
                "a listener for its mail",
                "none",
                "[[listeners.opt_out_mail]]",
                "unless another machine has it",
            )
    if listeners.opt_out_mail and not any(brand.opt_out_mail_domain for brand in document.brands):
        yield Finding(
            ("listeners", "opt_out_mail"),
            "a brand with opt_out_mail_domain",
            "none",
            'opt_out_mail_domain = "izin.example"',
            "no mail will name this listener",
        )
    if document.brands and not any(http.opt_out_pages for http in listeners.http):
        yield Finding(
            ("listeners", "http"),
            "a listener for the opt-out pages",
            "none",
            "[[listeners.http]]",
            "unless another machine has it",
        )
    ip = document.admin.address.ip
    if ip is not None and (ip.is_global or ip.is_unspecified):
        yield Finding(
            ("admin", "address"),
            "an address that only operators reach",
            f'"{document.admin.address}"',
            '"127.0.0.1:9025"',
            "it asks for no login",
        )
    for n, upstream in enumerate(document.upstreams.smtp):
        if not upstream.verify:
            path = ("upstreams", "smtp", n, "verify")
            yield Finding(path, "true", "false", hint="anyone on the way can pretend to be the relay")
    if document.store.url.is_tls and not document.store.verify:
        yield Finding(("store", "verify"), "true", "false", hint="anyone on the way can pretend to be the store")
