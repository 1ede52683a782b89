"""SMS: which request belongs to which upstream, and what each upstream needs for what is asked of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from filters.sms.dialect import InboundCodec
from filters.sms.dialects.collisions import find_collision
from filters.sms.dialects.registry import make_dialect
from filters.sms.http import HttpRequest
from gateway.configuration.document import Document
from gateway.configuration.problems import Path, render_path
from gateway.configuration.rules.shared import beside
from gateway.configuration.sections.upstreams import SmsUpstreamSection
from gateway.configuration.validate import Finding

OUR_PATHS = re.compile(r"/(u|v1|sms|static|logo)(/.*)?")
"""What the opt-out pages and our own interface are reached by."""


def requests_belong_to_one_upstream(document: Document) -> Iterator[Finding]:
    """Two upstreams of one listener whose dialects share a path are told apart by prefixes."""
    names = {upstream.name: n for n, upstream in enumerate(document.upstreams.sms)}
    for n, upstream in enumerate(document.upstreams.sms):
        if upstream.prefix is not None and OUR_PATHS.fullmatch(upstream.prefix):
            yield Finding(("upstreams", "sms", n, "prefix"), "a path that we do not use", f'"{upstream.prefix}"')
    for n, listener in enumerate(document.listeners.http):
        speakers: list[tuple[Path, str, str]] = []
        if listener.plain_upstream is not None:
            speakers.append((("listeners", "http", n, "plain_upstream"), "plain", ""))
        for m, name in enumerate(listener.sms):
            if name not in names:
                continue
            upstream = document.upstreams.sms[names[name]]
            path: Path = ("listeners", "http", n, "sms", m)
            for earlier_path, dialect, prefix in speakers:
                if prefix == (upstream.prefix or "") and (shared := find_collision(dialect, str(upstream.dialect))):
                    yield Finding(
                        path,
                        "an upstream whose paths no other one here has, or with a prefix of its own",
                        f'"{name}", which shares {shared}',
                        hint=f"the other is {render_path(earlier_path)}",
                        concerns=(earlier_path, ("upstreams", "sms", names[name], "prefix")),
                    )
                    break
            speakers.append((path, str(upstream.dialect), upstream.prefix or ""))


def plain_requests_have_a_way_out(document: Document) -> Iterator[Finding]:
    """``POST /v1/messages`` leaves by an upstream that has an account, in a dialect that can be written from it."""
    upstreams = {upstream.name: (n, upstream) for n, upstream in enumerate(document.upstreams.sms)}
    for n, listener in enumerate(document.listeners.http):
        if listener.plain_upstream is None:
            continue
        path: Path = ("listeners", "http", n, "plain_upstream")
        if listener.plain_upstream not in upstreams:
            yield Finding(path, "the name of one of [[upstreams.sms]]", f'"{listener.plain_upstream}"')
            continue
        number, upstream = upstreams[listener.plain_upstream]
        yield from _account_is_there(path, number, upstream, "through which requests of our own form leave")


def confirmations_have_a_way_out(document: Document) -> Iterator[Finding]:
    """A text of ours leaves by an account of ours, under a sender title."""
    for n, upstream in enumerate(document.upstreams.sms):
        path: Path = ("upstreams", "sms", n)
        if upstream.confirm_text is None:
            continue
        yield from _account_is_there((*path, "confirm_text"), n, upstream, "that sends confirmations")
        if upstream.confirm_sender is None:
            yield Finding((*path, "confirm_sender"), "the sender title of confirm_text", "nothing", '"ORNEK"')
        if upstream.inbound_secret is None and upstream.inbound_secret_file is None:
            yield Finding(
                (*path, "confirm_text"),
                "inbound_secret or inbound_secret_file with it",
                "neither",
                hint="without incoming SMS there is nothing to confirm",
                concerns=beside(path, "inbound_secret", "inbound_secret_file"),
            )


def delivery_reports_have_a_way_in(document: Document) -> Iterator[Finding]:
    """What goes on to the sender comes in at a path that ends in a secret."""
    for n, upstream in enumerate(document.upstreams.sms):
        path: Path = ("upstreams", "sms", n)
        if upstream.delivery_url is not None and not (upstream.inbound_secret or upstream.inbound_secret_file):
            yield Finding(
                (*path, "delivery_url"),
                "inbound_secret or inbound_secret_file with it",
                "neither",
                hint="the provider posts to a path that ends in that secret",
                concerns=beside(path, "inbound_secret", "inbound_secret_file"),
            )


def signatures_can_be_checked(document: Document) -> Iterator[Finding]:
    """Who gives a secret to check incoming messages with has a provider that signs them."""
    for n, upstream in enumerate(document.upstreams.sms):
        name = "inbound_signing_secret" if upstream.inbound_signing_secret else "inbound_signing_secret_file"
        if getattr(upstream, name) is None:
            continue
        codec = make_dialect(str(upstream.dialect))
        if isinstance(codec, InboundCodec) and codec.is_inbound_signed(HttpRequest("POST", "/"), b"") is None:
            yield Finding(
                ("upstreams", "sms", n, name),
                "an upstream whose provider signs incoming messages",
                f'"{upstream.dialect}", which does not',
                hint="inbound_networks says where they may come from",
                concerns=(("upstreams", "sms", n, "dialect"),),
            )


def sms_rules_say_something(document: Document) -> Iterator[Finding]:
    """A rule has a condition and a consequence, and names what is there."""
    clients = [client.name for client in document.clients]
    upstreams = [upstream.name for upstream in document.upstreams.sms]
    codes = [brand.code for brand in document.brands]
    for n, rule in enumerate(document.sms_rules):
        path: Path = ("sms_rules", n)
        if (rule.header is None) != (rule.header_value is None):
            yield Finding(
                path, "header and header_value", "one of them", concerns=beside(path, "header", "header_value")
            )
        if not (rule.upstream or rule.client or rule.sender_title or rule.account or rule.header):
            yield Finding(path, "upstream, client, sender_title, account or header", "none of them")
        if rule.message_class is None and rule.recipient_type is None and rule.brand is None:
            yield Finding(path, "message_class, recipient_type or brand", "none of them")
        for name, value, known in (
            ("upstream", rule.upstream, upstreams),
            ("client", rule.client, clients),
            ("brand", rule.brand, codes),
        ):
            if value is not None and value not in known:
                shown = value if isinstance(value, int) else f'"{value}"'
                kind = {"upstream": "[[upstreams.sms]]", "client": "[[clients]]", "brand": "[[brands]]"}[name]
                yield Finding((*path, name), f"one of {kind}", str(shown))


def brands_can_word_their_opt_out(document: Document) -> Iterator[Finding]:
    """The keyword has letters that every SMS alphabet has; who always names itself has a name."""
    for n, brand in enumerate(document.brands):
        if brand.sms_opt_out is None:
            continue
        folded = "".join(letter for letter in brand.sms_opt_out.keyword if letter.isalnum())
        if not folded:
            yield Finding(
                ("brands", n, "sms_opt_out", "keyword"),
                "a keyword with letters or digits",
                f'"{brand.sms_opt_out.keyword}"',
            )


def _account_is_there(path: Path, number: int, upstream: SmsUpstreamSection, what: str) -> Iterator[Finding]:
    place: Path = ("upstreams", "sms", number)
    if upstream.dialect != "plain" and upstream.username is None:
        yield Finding(
            path,
            "an upstream with username and password",
            f'"{upstream.name}" without them',
            hint=f"an account {what}",
            concerns=beside(place, "username", "password", "password_file"),
        )
    if not hasattr(make_dialect(str(upstream.dialect)), "compose"):
        yield Finding(
            path,
            "an upstream whose dialect can be written without its own client",
            f'"{upstream.dialect}"',
            concerns=((*place, "dialect"),),
        )
