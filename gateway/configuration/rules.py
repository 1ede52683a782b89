"""The rules between settings, each a function from the document to what breaks it.

Rules judge what stands in the file and nothing else: no file is opened here and no clock read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches

from filters.vocabulary import MessageClass
from gateway.configuration.document import Document
from gateway.configuration.problems import Path, render_path
from gateway.configuration.section import Section
from gateway.configuration.sections.brands import BrandSection
from gateway.configuration.sections.clients import ClientSection
from gateway.configuration.sections.listeners import HttpListenerSection, OptOutMailListenerSection, SmtpListenerSection
from gateway.configuration.sections.upstreams import SmtpUpstreamSection, TlsMode
from gateway.configuration.store_url import StoreKind
from gateway.configuration.validate import Finding
from gateway.configuration.values import Endpoint

Rule = Callable[[Document], Iterator[Finding]]


def find_broken_rules(document: Document) -> Iterator[Finding]:
    for rule in RULES:
        yield from rule(document)


def something_is_there(document: Document) -> Iterator[Finding]:
    """A gateway needs someone to send for, someone to take mail from, and a place to take it."""
    if not document.brands:
        yield Finding(("brands",), "at least one brand", "none", "[[brands]]")
    if not document.clients:
        yield Finding(("clients",), "at least one client", "none", "[[clients]]")
    if not (document.listeners.smtp or document.listeners.http or document.listeners.opt_out_mail):
        yield Finding(("listeners",), "at least one listener", "none", "[[listeners.smtp]]")


def names_are_unique(document: Document) -> Iterator[Finding]:
    """Logs, metrics and evidence tell things apart by these."""
    yield from _unique((("brands", n, "code"), brand.code) for n, brand in enumerate(document.brands))
    yield from _unique((("clients", n, "name"), client.name) for n, client in enumerate(document.clients))
    yield from _unique(
        (("clients", n, "username"), client.username)
        for n, client in enumerate(document.clients)
        if client.username is not None
    )
    yield from _unique(
        [(("upstreams", "smtp", n, "name"), upstream.name) for n, upstream in enumerate(document.upstreams.smtp)]
        + [(("upstreams", "sms", n, "name"), upstream.name) for n, upstream in enumerate(document.upstreams.sms)]
    )
    yield from _unique(
        (("listeners", "smtp", n, "name"), listener.effective_name)
        for n, listener in enumerate(document.listeners.smtp)
    )


def networks_are_unique(document: Document) -> Iterator[Finding]:
    """The same network in two clients would leave open which of them it is."""
    yield from _unique(
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


def brands_have_an_identity(document: Document) -> Iterator[Finding]:
    """Law 6563, 7/2: MERSİS number and title of a merchant, or name and T.C. number of a tradesman."""
    for n, brand in enumerate(document.brands):
        path = ("brands", n)
        merchant = _concerning(path, "title", "mersis")
        trader = _concerning(path, "trader_name", "trader_id")
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
        yield from _one_source(path, client, "password_hash")
        has_hash = client.password_hash is not None or client.password_hash_file is not None
        if client.username is not None and not has_hash:
            yield Finding(
                path,
                "password_hash or password_hash_file with username",
                "neither",
                concerns=_concerning(path, "password_hash", "password_hash_file"),
            )
        if has_hash and client.username is None:
            yield Finding((*path, "username"), "the username that goes with the password hash", "nothing", '"shop"')
        if not client.networks and client.username is None and not has_hash:
            yield Finding(
                path,
                "networks, or username and password_hash",
                "neither",
                hint="it could never be recognised",
                concerns=_concerning(path, "networks", "username", "password_hash", "password_hash_file"),
            )


def clients_have_brands_and_classes(document: Document) -> Iterator[Finding]:
    """A client's fixed and default classes must be among those it may use."""
    for n, client in enumerate(document.clients):
        path = ("clients", n)
        if not client.brands:
            yield Finding((*path, "brands"), "at least one code of [[brands]]", "an empty list", "[600123]")
        yield from _unique(((*path, "brands", m), code) for m, code in enumerate(client.brands))
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


def secrets_have_one_source(document: Document) -> Iterator[Finding]:
    """The environment or a file, not both: which one counts would have to be guessed."""
    yield from _one_source(("store",), document.store, "password")
    for name in ("index_secret", "token_keys", "outbox_keys"):
        yield from _one_source(("secrets",), document.secrets, name)
    for n, upstream in enumerate(document.upstreams.smtp):
        yield from _one_source(("upstreams", "smtp", n), upstream, "password")
    if document.registry is not None:
        yield from _one_source(("registry",), document.registry, "password")


def logins_are_complete(document: Document) -> Iterator[Finding]:
    """A name without a password, or the reverse, is a forgotten line."""
    for n, upstream in enumerate(document.upstreams.smtp):
        path = ("upstreams", "smtp", n)
        has_password = upstream.password is not None or upstream.password_file is not None
        if upstream.username is not None and not has_password:
            yield Finding(
                path,
                "password_file or password with username",
                "neither",
                concerns=_concerning(path, "password", "password_file"),
            )
        if has_password and upstream.username is None:
            yield Finding((*path, "username"), "the username that goes with the password", "nothing", '"izinkapi"')


def store_is_one_of_ours(document: Document) -> Iterator[Finding]:
    """The grammar has room for Sentinel and Cluster; the store has not yet."""
    url = document.store.url
    if url.kind in (StoreKind.REDIS_SENTINEL, StoreKind.REDIS_CLUSTER):
        yield Finding(
            ("store", "url"),
            "lmdb:PATH, redis://HOST:PORT/DATABASE or rediss://HOST:PORT/DATABASE",
            f'"{url}"',
            hint="Sentinel and Cluster are not supported yet; give the address of the master",
        )


def store_settings_fit_the_store(document: Document) -> Iterator[Finding]:
    """A setting that has no effect is a misunderstanding."""
    store = document.store
    if store.url.kind is StoreKind.LMDB:
        for name in ("username", "password", "password_file"):
            if getattr(store, name) is not None:
                yield Finding(("store", name), "a Redis store with it", f'"{store.url}"', concerns=(("store", "url"),))
    elif store.username is not None and store.password is None and store.password_file is None:
        yield Finding(
            ("store",),
            "password_file or password with username",
            "neither",
            concerns=_concerning(("store",), "password", "password_file"),
        )
    if not store.url.is_tls:
        for name, is_set in (("ca_file", store.ca_file is not None), ("verify", not store.verify)):
            if is_set:
                yield Finding(
                    ("store", name), "a rediss:// store with it", f'"{store.url}"', concerns=(("store", "url"),)
                )


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
                concerns=_concerning(path, "username", "auth_without_tls", "address", "addresses"),
            )


def upstreams_have_addresses(document: Document) -> Iterator[Finding]:
    for n, upstream in enumerate(document.upstreams.smtp):
        path = ("upstreams", "smtp", n)
        concerns = _concerning(path, "address", "addresses")
        if upstream.address is not None and upstream.addresses:
            yield Finding(path, "address or addresses", "both", concerns=concerns)
        elif upstream.address is None and not upstream.addresses:
            yield Finding(
                (*path, "address"),
                "a host and a port, or several in addresses",
                "nothing",
                '"127.0.0.1:2526"',
                concerns=concerns,
            )
        yield from _unique(((*path, "addresses", m), endpoint) for m, endpoint in enumerate(upstream.addresses))


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


def freshness_limits_are_ordered(document: Document) -> Iterator[Finding]:
    """aging, then stale, then blind: in another order a worse state would be skipped."""
    yield from _ordered(document, ("freshness",), ("freshness",))
    for n, brand in enumerate(document.brands):
        if brand.freshness is not None:
            yield from _ordered(document, ("brands", n, "freshness"), ("freshness",), brand)


def tag_fields_are_told_apart(document: Document) -> Iterator[Finding]:
    """A header field has one meaning, and every kind of tag keeps at least one field or is switched off on purpose."""
    yield from _unique(
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


def directories_are_apart(document: Document) -> Iterator[Finding]:
    """Store, evidence and secrets are backed up and read by different people."""
    places: list[tuple[Path, str]] = []
    if document.store.url.path is not None:
        places.append((("store", "url"), str(document.store.url.path)))
    places.append((("evidence", "directory"), str(document.evidence.directory)))
    places.append((("store", "state_directory"), str(document.store.state_directory)))
    places.append((("secrets", "directory"), str(document.secrets.directory)))
    seen: dict[str, Path] = {}
    for path, place in places:
        if place in seen:
            yield Finding(
                path,
                "a folder of its own",
                f'"{place}"',
                hint=f"{render_path(seen[place])} has it",
                concerns=(seen[place],),
            )
        seen.setdefault(place, path)


RULES: tuple[Rule, ...] = (
    something_is_there,
    names_are_unique,
    networks_are_unique,
    addresses_are_unique,
    references_exist,
    brands_have_an_identity,
    clients_can_be_recognised,
    clients_have_brands_and_classes,
    secrets_have_one_source,
    logins_are_complete,
    store_is_one_of_ours,
    store_settings_fit_the_store,
    tls_settings_are_complete,
    passwords_travel_encrypted,
    upstreams_have_addresses,
    mail_does_not_go_round,
    limits_fit_each_other,
    freshness_limits_are_ordered,
    tag_fields_are_told_apart,
    directories_are_apart,
)


def listener_addresses(document: Document) -> Iterator[tuple[Path, Endpoint]]:
    """Every address we listen on, in the order of the sections."""
    listeners = document.listeners
    groups: tuple[tuple[str, Sequence[SmtpListenerSection | HttpListenerSection | OptOutMailListenerSection]], ...] = (
        ("smtp", listeners.smtp),
        ("http", listeners.http),
        ("opt_out_mail", listeners.opt_out_mail),
    )
    for name, group in groups:
        for n, listener in enumerate(group):
            yield ("listeners", name, n, "address"), listener.address
    yield ("admin", "address"), document.admin.address


def upstream_addresses(upstream: SmtpUpstreamSection, path: Path) -> Iterator[tuple[Path, Endpoint]]:
    if upstream.address is not None:
        yield (*path, "address"), upstream.address
    for m, endpoint in enumerate(upstream.addresses):
        yield (*path, "addresses", m), endpoint


def _unique(values: Iterable[tuple[Path, object]]) -> Iterator[Finding]:
    seen: dict[object, Path] = {}
    for path, value in values:
        if value in seen:
            shown = value if isinstance(value, int) else f'"{value}"'
            first = seen[value]
            yield Finding(
                path, "a value that is not used yet", str(shown), hint=f"{render_path(first)} has it", concerns=(first,)
            )
        seen.setdefault(value, path)


def _unknown(path: Path, expected: str, value: object, known: Sequence[object], concerns: tuple[Path, ...]) -> Finding:
    names = [str(name) for name in known]
    nearest = get_close_matches(str(value), names, n=1, cutoff=0.6)
    hint = f"did you mean {_quote(nearest[0], value)}?" if nearest else ""
    if not nearest and names:
        hint = f"known: {', '.join(_quote(name, value) for name in names[:5])}"
    return Finding(path, expected, _quote(str(value), value), hint=hint, concerns=concerns)


def _quote(name: str, like: object) -> str:
    return name if isinstance(like, int) else f'"{name}"'


def _concerning(path: Path, *names: str) -> tuple[Path, ...]:
    return tuple((*path, name) for name in names)


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


def _one_source(path: Path, section: Section, name: str) -> Iterator[Finding]:
    if getattr(section, name) is not None and getattr(section, f"{name}_file") is not None:
        yield Finding(path, f"{name} or {name}_file", "both", concerns=_concerning(path, name, f"{name}_file"))


def _classes_of(client: ClientSection, path: Path) -> Iterator[tuple[Path, MessageClass]]:
    yield (*path, "default_class"), client.default_class
    if client.fixed_class is not None:
        yield (*path, "fixed_class"), client.fixed_class
    for sender, message_class in client.sender_classes.items():
        yield (*path, "sender_classes", sender), message_class


def _certificate_rules(
    path: Path, listener: SmtpListenerSection | HttpListenerSection | OptOutMailListenerSection
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


def _ordered(document: Document, path: Path, common: Path, brand: BrandSection | None = None) -> Iterator[Finding]:
    names = ("aging_after", "stale_after", "blind_after")
    own = brand.freshness if brand is not None else None
    values = [getattr(own, name, None) or getattr(document.freshness, name) for name in names]
    concerns = _concerning(path, *names) + _concerning(common, *names)
    for (earlier_name, earlier), (name, value) in zip(
        zip(names, values, strict=True), list(zip(names, values, strict=True))[1:], strict=False
    ):
        if value <= earlier:
            yield Finding((*path, name), f"more than {earlier_name} ({earlier})", f'"{value}"', concerns=concerns)
