"""``izinkapi registry push``: where the registry tells us at once what citizens did."""

from __future__ import annotations

from pathlib import Path

import typer

from filters.registry.values import PushConnection, PushRegistration
from filters.registry.words import CHANNEL_WORDS, render_time
from filters.vocabulary import Channel
from gateway.cli.registry.running import (
    AnyBrand,
    AsJson,
    Config,
    DryRun,
    ask,
    done,
    fail,
    print_json,
    print_table,
    say,
    wiring,
)
from gateway.configuration.problems import ConfigurationError
from gateway.configuration.settings import RegistryPushSettings
from gateway.registry.ports import BrandLink

_app = typer.Typer(help="Push connections: what is registered, register ours, take them back.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(_app, name="push")


@_app.command("list")
def list_(config: Config, brand: AnyBrand = None, as_json: AsJson = False) -> None:
    """The connections that the registry knows."""

    async def work(links: list[BrandLink]) -> list[tuple[int, PushRegistration]]:
        return [(link.code, each) for link in links for each in done(await link.api.push_registrations(link.registry))]

    found = ask(config, brand, work)
    if as_json:
        print_json([{"brand": code, **each._asdict()} for code, each in found])
        return
    print_table(
        [
            (
                str(code),
                "" if each.channel is None else CHANNEL_WORDS[each.channel],
                each.url,
                each.status,
                "" if each.registered_at is None else render_time(each.registered_at),
            )
            for code, each in found
        ],
        "brand", "channel", "URL", "status", "since (UTC+3)",
    )  # fmt: skip


@_app.command("register")
def register(config: Config, brand: AnyBrand = None, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Have the registry push to ``registry.push.public_url``, for every channel. The receiver must be running: the
    registry tries it at once."""
    push = _push_settings(config)

    async def work(links: list[BrandLink]) -> list[int]:
        for link in links:
            if not dry_run:
                done(await link.api.register_push(link.registry, _connections(push)))
        return [link.code for link in links]

    _told(ask(config, brand, work), "registered", dry_run=dry_run, as_json=as_json, url=push.public_url)


@_app.command("unregister")
def unregister(config: Config, brand: AnyBrand = None, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Take the connections to ``registry.push.public_url`` back."""
    push = _push_settings(config)

    async def work(links: list[BrandLink]) -> list[int]:
        for link in links:
            for connection in _connections(push):
                if not dry_run:
                    done(await link.api.unregister_push(link.registry, connection))
        return [link.code for link in links]

    _told(ask(config, brand, work), "taken back", dry_run=dry_run, as_json=as_json, url=push.public_url)


def _push_settings(config: Path) -> RegistryPushSettings:
    try:
        registry = wiring().load(config).registry
    except (ConfigurationError, OSError) as error:
        fail(str(error))
    if registry is None or registry.push is None:
        fail("expected a section [registry.push] with public_url, username and password")
    return registry.push


def _connections(push: RegistryPushSettings) -> list[PushConnection]:
    return [PushConnection(push.public_url, channel, push.username, push.password.reveal_text()) for channel in Channel]


def _told(codes: list[int], what: str, *, dry_run: bool, as_json: bool, url: str) -> None:
    if as_json:
        print_json({"brands": codes, "url": url, "dry_run": dry_run})
    else:
        begin = "would be" if dry_run else "is"
        say(f"Push to {url} {begin} {what} for {', '.join(map(str, codes))}.")
