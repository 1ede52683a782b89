"""What is kept, where, and how old it may be."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.configuration.document import Document
from gateway.configuration.problems import Path, render_path
from gateway.configuration.rules.shared import beside
from gateway.configuration.sections.brands import BrandSection
from gateway.configuration.store_url import StoreKind
from gateway.configuration.validate import Finding


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
            concerns=beside(("store",), "password", "password_file"),
        )
    if not store.url.is_tls:
        for name, is_set in (("ca_file", store.ca_file is not None), ("verify", not store.verify)):
            if is_set:
                yield Finding(
                    ("store", name), "a rediss:// store with it", f'"{store.url}"', concerns=(("store", "url"),)
                )


def freshness_limits_are_ordered(document: Document) -> Iterator[Finding]:
    """aging, then stale, then blind: in another order a worse state would be skipped."""
    yield from _ordered(document, ("freshness",), ("freshness",))
    for n, brand in enumerate(document.brands):
        if brand.freshness is not None:
            yield from _ordered(document, ("brands", n, "freshness"), ("freshness",), brand)


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


def _ordered(document: Document, path: Path, common: Path, brand: BrandSection | None = None) -> Iterator[Finding]:
    names = ("aging_after", "stale_after", "blind_after")
    own = brand.freshness if brand is not None else None
    values = [getattr(own, name, None) or getattr(document.freshness, name) for name in names]
    concerns = beside(path, *names) + beside(common, *names)
    for (earlier_name, earlier), (name, value) in zip(
        zip(names, values, strict=True), list(zip(names, values, strict=True))[1:], strict=False
    ):
        if value <= earlier:
            yield Finding((*path, name), f"more than {earlier_name} ({earlier})", f'"{value}"', concerns=concerns)
