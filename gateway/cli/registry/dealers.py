"""``izinkapi registry retailers``: dealers of a brand, and which of them a consent is open to (edge cases E11, E12)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from filters.consent import unpack
from filters.decision.dealer_access import access_list
from filters.registry.call import Priority
from filters.registry.merging import find_address
from filters.registry.values import ConsentSubject, Place, Retailer, RetailerToAdd
from filters.vocabulary import Status
from gateway.cli.registry.running import (
    NO,
    AsJson,
    Brand,
    ChannelWord,
    Config,
    DryRun,
    KindWord,
    Opened,
    Recipient,
    api_of,
    ask,
    ask_with_store,
    done,
    fail,
    parse_subject,
    print_json,
    print_table,
    say,
)
from gateway.configuration import Configuration
from gateway.dealers import enter_lists
from gateway.registry.asking.access_question import ACTIVE, read_access
from gateway.registry.ports import BrandLink

_PAGE = 100
_TEXTS = ("title", "name", "tckn", "tin")
_OPTIONAL = ("mersis", "alias", "mobile", "status")

app = typer.Typer(help="Dealers: list, add, delete; which of them a consent is open to.", no_args_is_help=True)

Code = Annotated[int, typer.Argument(help="The dealer's code, eight digits.", show_default=False)]
Codes = Annotated[list[int] | None, typer.Argument(help="Dealers' codes.", show_default=False)]


@app.command("list")
def list_(config: Config, brand: Brand, as_json: AsJson = False) -> None:
    """All dealers of the brand. Exit code 1 where there is none."""

    async def work(links: list[BrandLink]) -> list[Retailer]:
        found: list[Retailer] = []
        while True:
            page = done(await links[0].api.retailers(links[0].registry, len(found), _PAGE))
            found += page.items
            if len(page.items) < _PAGE or len(found) >= (page.total or 0):
                return found

    _show(ask(config, brand, work), as_json=as_json)


@app.command("add")
def add(
    config: Config,
    brand: Brand,
    file: Annotated[
        Path,
        typer.Argument(
            help='A JSON object: {"title", "name", "tckn", "tin", "city": {"name", "code": 6}, "town": …} '
            "and, where known, mersis, alias, mobile, status.",
            show_default=False,
        ),
    ],
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Register a dealer; the answer is its code."""
    retailer = _read_retailer(file)

    async def work(links: list[BrandLink]) -> int | None:
        return None if dry_run else done(await api_of(links[0]).add_retailer(links[0].registry, retailer))

    code = ask(config, brand, work)
    if as_json:
        print_json({"retailer_code": code, "dry_run": dry_run})
    else:
        say("The file is in order; nothing was sent." if code is None else f"The dealer's code is {code}.")


@app.command("delete")
def delete(
    config: Config,
    brand: Brand,
    code: Code,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Delete a dealer to which no consent refers."""

    async def work(links: list[BrandLink]) -> Retailer:
        link = links[0]
        found = done(await api_of(link).retailer(link.registry, code))
        if not dry_run and (yes or typer.confirm(f"Delete dealer {code}, {found.title}?", default=False, err=True)):
            done(await api_of(link).delete_retailer(link.registry, code))
            deleted.append(code)
        return found

    deleted: list[int] = []
    found = ask(config, brand, work)
    verb = "is deleted" if deleted else "would be deleted" if dry_run else "stays"
    say(f"Dealer {code}, {found.title}, {verb}.")
    raise typer.Exit(0 if deleted or dry_run else NO)


@app.command("access")
def access(
    config: Config,
    brand: Brand,
    recipient: Recipient,
    codes: Codes = None,
    channel: ChannelWord = "EPOSTA",
    recipient_type: KindWord = "BIREYSEL",
    add_: Annotated[bool, typer.Option("--add", help="Open the consent to these dealers too.")] = False,
    set_: Annotated[bool, typer.Option("--set", help="Open it to exactly these dealers.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Close it to these dealers.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """The dealers that one consent is open to; with --add, --set or --remove, change them first.

    What the registry answers is what the gateway goes by from then on (edge case E11).
    """
    subject = parse_subject(recipient, channel, recipient_type)
    if add_ + set_ + remove > 1 or bool(codes) is not (add_ or set_ or remove):
        fail("expected dealers' codes with one of --add, --set, --remove, or neither")

    async def work(links: list[BrandLink], opened: Opened, _: Configuration) -> list[Retailer]:
        link, named = links[0], codes or []
        if not dry_run:
            await _change(link, subject, named, add_=add_, set_=set_, remove=remove)
        found = done(await read_access(link, subject, Priority.ROUTINE))
        if not dry_run:
            await _remember(link, subject, found, opened)
        return found

    _show(ask_with_store(config, brand, work), as_json=as_json)


async def _remember(link: BrandLink, subject: ConsentSubject, found: list[Retailer], opened: Opened) -> None:
    """Into the list beside the consent that the index holds; without one there is nothing that could be open. A dealer
    counts while the registry calls it active, and so does whoever took the consent."""
    address = find_address(subject.recipient, subject.channel)
    if address is None:
        return
    key = opened.keys.derive(link.code, address)
    value = (await opened.store.find(link.code, [key])).values[0]
    held = unpack(value).get((subject.channel, subject.recipient_type)) if value else None
    if held is None or held.status is not Status.APPROVED:
        return
    codes = {each.retailer_code for each in found if each.status == ACTIVE}
    stored = done(await link.api.status(link.registry, subject))
    taker = None if stored is None else stored.retailer_code
    if taker is not None and all(each.retailer_code != taker for each in found):
        codes.add(taker)
    slot = subject.channel, subject.recipient_type
    await enter_lists(opened.store, [access_list(key, *slot, held.consent_at, codes, int(time.time()))])


async def _change(
    link: BrandLink, subject: ConsentSubject, codes: list[int], *, add_: bool, set_: bool, remove: bool
) -> None:
    api, who = api_of(link), (subject.channel, subject.recipient_type, [subject.recipient])
    if add_:
        done(await api.add_access(link.registry, subject, codes))
    elif set_:
        done(await api.set_access(link.registry, *who, codes))
    elif remove:
        done(await api.remove_access(link.registry, *who, codes))


def _show(found: list[Retailer], *, as_json: bool) -> None:
    if as_json:
        print_json([retailer._asdict() for retailer in found])
    else:
        print_table(
            [
                (str(each.retailer_code), each.title, each.city, each.status, _count(each.access_count))
                for each in found
            ],
            "code", "title", "city", "status", "consents",
            numbers=("consents",),
        )  # fmt: skip
    raise typer.Exit(0 if found else NO)


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _read_retailer(path: Path) -> RetailerToAdd:
    """Fails with the field's name and never with what stands in it: these are personal numbers."""
    try:
        fields: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        fail(f"{path}: expected a readable file with a JSON object")
    if not isinstance(fields, dict):
        fail(f"{path}: expected a JSON object")
    for name in _TEXTS:
        if not isinstance(fields.get(name), str):
            fail(f"{path}: {name}: expected a text; needed are {', '.join(_TEXTS)}, city and town")
    for name in _OPTIONAL:
        if name in fields and not isinstance(fields[name], str):
            fail(f"{path}: {name}: expected a text")
    if unknown := sorted(set(fields) - {*_TEXTS, *_OPTIONAL, "city", "town"}):
        fail(f"{path}: unknown field {unknown[0]!r}")
    return RetailerToAdd(
        fields["title"],
        fields["name"],
        fields["tckn"],
        fields["tin"],
        _read_place(path, fields, "city"),
        _read_place(path, fields, "town"),
        **{name: fields[name] for name in _OPTIONAL if name in fields},
    )


def _read_place(path: Path, fields: dict[str, Any], name: str) -> Place:
    place = fields.get(name)
    if not isinstance(place, dict) or type(place.get("code")) is not int or not isinstance(place.get("name"), str):
        fail(f'{path}: {name}: expected {{"name": "Ankara", "code": 6}}')
    return Place(place["code"], place["name"])
