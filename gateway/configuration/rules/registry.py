"""The registry: who acts for which brand, and whether its push can reach us."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.configuration.document import Document
from gateway.configuration.rules.shared import beside, find_repeated
from gateway.configuration.sections.upstreams import TlsMode
from gateway.configuration.validate import Finding


def accounts_act_for_brands(document: Document) -> Iterator[Finding]:
    """Each brand has one account at most, and each account a password and brands that exist."""
    if document.registry is None:
        return
    codes = {brand.code for brand in document.brands}
    named = []
    for n, account in enumerate(document.registry.accounts):
        path = ("registry", "accounts", n)
        if account.password is None and account.password_file is None:
            yield Finding(
                path,
                "password_file or password with username",
                "neither",
                concerns=beside(path, "password", "password_file"),
            )
        for m, code in enumerate(account.brands):
            if code not in codes:
                yield Finding((*path, "brands", m), "the code of one of the [[brands]]", str(code))
            named.append(((*path, "brands", m), code))
    yield from find_repeated(named)


def push_can_reach_us(document: Document) -> Iterator[Finding]:
    """What it carries are addresses and wills: with a login, and encrypted wherever it leaves the machine."""
    push = document.registry.push if document.registry is not None else None
    if push is None:
        return
    path = ("registry", "push")
    if push.password is None and push.password_file is None:
        yield Finding(
            path,
            "password_file or password with username",
            "neither",
            concerns=beside(path, "password", "password_file"),
        )
    if push.registers and not push.public_url.startswith("https://"):
        yield Finding(
            (*path, "public_url"),
            "an https address, since the registry registers no other (H531)",
            f'"{push.public_url}"',
            hint="registers = false keeps us from registering it",
            concerns=((*path, "registers"),),
        )
    if push.tls is TlsMode.STARTTLS:
        yield Finding((*path, "tls"), '"none" or "tls"', '"starttls"')
    elif push.tls is TlsMode.NONE and not push.address.is_loopback:
        yield Finding(
            (*path, "tls"),
            '"tls", since the address is not on loopback',
            '"none"',
            hint="or listen on loopback, behind a proxy that ends TLS",
            concerns=((*path, "address"),),
        )
