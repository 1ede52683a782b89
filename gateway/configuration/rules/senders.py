"""Who sends for whom: brands, clients, their classes and tags."""

from __future__ import annotations

from collections.abc import Iterator

from filters.vocabulary import MessageClass
from gateway.configuration.document import Document
from gateway.configuration.problems import Path
from gateway.configuration.rules.shared import beside, find_half, find_repeated, find_two_sources
from gateway.configuration.sections.clients import ClientSection
from gateway.configuration.validate import Finding


def brands_have_an_identity(document: Document) -> Iterator[Finding]:
    """Law 6563, 7/2: MERSİS number and title of a merchant, or name and T.C. number of a tradesman."""
    for n, brand in enumerate(document.brands):
        path = ("brands", n)
        merchant = beside(path, "title", "mersis")
        trader = beside(path, "trader_name", "trader_id")
        if (brand.title or brand.mersis) and (brand.trader_name or brand.trader_id):
            yield Finding(
                path,
                "a merchant (title, mersis) or a tradesman (trader_name, trader_id)",
                "parts of both",
                concerns=merchant + trader,
            )
        elif brand.mersis and not brand.title:
            yield Finding((*path, "title"), "the trade title that goes with mersis", "nothing", '"Örnek Mağaza A.Ş."')
        elif brand.title and not brand.mersis:
            yield Finding(
                (*path, "mersis"),
                "the 16 digits of the MERSİS number that goes with title",
                "nothing",
                '"0123456789012345"',
            )
        elif brand.trader_name and not brand.trader_id:
            yield Finding(
                (*path, "trader_id"),
                "the 11 digits of the T.C. number that goes with trader_name",
                "nothing",
                '"12345678901"',
            )
        elif brand.trader_id and not brand.trader_name:
            yield Finding((*path, "trader_name"), "the name that goes with trader_id", "nothing", '"Ayşe Örnek"')
        elif not brand.title and not brand.trader_name:
            yield Finding(
                path,
                "title and mersis, or trader_name and trader_id",
                "neither",
                hint="commercial messages must say who sends them (Law 6563, 7/2)",
                concerns=merchant + trader,
            )


def clients_can_be_recognised(document: Document) -> Iterator[Finding]:
    """By where they connect from, or by a login with its hash."""
    for n, client in enumerate(document.clients):
        path = ("clients", n)
        yield from find_two_sources(path, client, "password_hash")
        yield from find_half(
            path,
            client,
            "username",
            "password_hash",
            either="password_hash or password_hash_file",
            other="the username that goes with the password hash",
            example='"shop"',
        )
        has_hash = client.password_hash is not None or client.password_hash_file is not None
        if not client.networks and client.username is None and not has_hash:
            yield Finding(
                path,
                "networks, or username and password_hash",
                "neither",
                hint="it could never be recognised",
                concerns=beside(path, "networks", "username", "password_hash", "password_hash_file"),
            )


def clients_reports_are_signed(document: Document) -> Iterator[Finding]:
    """A report names people: its receiver must be able to tell that it is ours."""
    for n, client in enumerate(document.clients):
        path = ("clients", n)
        yield from find_two_sources(path, client, "report_secret")
        yield from find_half(
            path,
            client,
            "report_url",
            "report_secret",
            either="report_secret or report_secret_file",
            other="the address that goes with the secret",
            example='"https://shop.example/izin"',
        )


def clients_have_brands_and_classes(document: Document) -> Iterator[Finding]:
    """A client's fixed and default classes must be among those it may use."""
    for n, client in enumerate(document.clients):
        path = ("clients", n)
        if not client.brands:
            yield Finding((*path, "brands"), "at least one code of [[brands]]", "an empty list", "[600123]")
        yield from find_repeated(((*path, "brands", m), code) for m, code in enumerate(client.brands))
        allowed = (*path, "allowed_classes")
        if not client.allowed_classes:
            yield Finding(allowed, "at least one class", "an empty list", '["commercial"]')
            continue
        for where, message_class in _classes_of(client, path):
            if message_class not in client.allowed_classes:
                listed = ", ".join(f'"{word}"' for word in client.allowed_classes)
                yield Finding(
                    where, f"a class of allowed_classes ({listed})", f'"{message_class}"', concerns=(allowed,)
                )


def tag_fields_are_told_apart(document: Document) -> Iterator[Finding]:
    """A header field has one meaning, and every kind of tag keeps at least one field or is switched off on purpose."""
    yield from find_repeated(
        (("tags", name, m), field.lower())
        for name in ("class_headers", "brand_headers", "recipient_type_headers", "campaign_headers")
        for m, field in enumerate(getattr(document.tags, name))
    )
    if not document.tags.class_headers:
        yield Finding(("tags", "class_headers"), "at least one header field", "an empty list", '["X-Izin-Class"]')
    for name, own in (
        ("class_words", {"commercial", "informational", "service"}),
        ("recipient_type_words", {"individual", "business"}),
    ):
        for word, meaning in getattr(document.tags, name).items():
            if word.lower() in own and word.lower() != meaning:
                yield Finding(("tags", name, word), f'"{word.lower()}", the meaning this word has', f'"{meaning}"')


def _classes_of(client: ClientSection, path: Path) -> Iterator[tuple[Path, MessageClass]]:
    yield (*path, "default_class"), client.default_class
    if client.fixed_class is not None:
        yield (*path, "fixed_class"), client.fixed_class
    for sender, message_class in client.sender_classes.items():
        yield (*path, "sender_classes", sender), message_class
