"""``izinkapi registry brands|status|multi-status|history``: what the registry says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from filters.registry.merging import find_address
from filters.registry.values import BrandInfo, Movement, StoredConsent
from filters.registry.words import CHANNEL_WORDS, RECIPIENT_TYPE_WORDS, STATUS_WORDS, render_time
from filters.registry.writing import MAX_MULTI_STATUS
from filters.vocabulary import Status
from gateway.cli.registry.running import (
    NO,
    AsJson,
    Brand,
    ChannelWord,
    Config,
    KindWord,
    Recipient,
    ask,
    done,
    fail,
    parse_channel,
    parse_kind,
    parse_subject,
    print_json,
    print_table,
    progress_bar,
    say,
)
from gateway.registry.ports import BrandLink


def add_to(app: typer.Typer) -> None:
    app.command("brands")(brands)
    app.command("status")(status)
    app.command("multi-status")(multi_status)
    app.command("history")(history)


def brands(config: Config, as_json: AsJson = False) -> None:
    """The brands of our accounts, and which of them this installation sends for. Exit code 1 if one of ours is not
    among them."""

    async def work(links: list[BrandLink]) -> list[tuple[int, BrandInfo]]:
        found: dict[int, tuple[int, BrandInfo]] = {}
        for iys_code, link in {link.registry.iys_code: link for link in links}.items():
            for info in done(await link.api.brands(iys_code)):
                found[info.brand_code] = (iys_code, info)
        ours.update(link.registry.brand_code for link in links)
        return list(found.values())

    ours: set[int] = set()
    found = ask(config, None, work)
    missing = sorted(ours - {info.brand_code for _, info in found})
    if as_json:
        listed = [{**info._asdict(), "iys_code": code, "is_ours": info.brand_code in ours} for code, info in found]
        print_json({"brands": listed, "missing": missing})
    else:
        print_table(
            [
                (
                    str(info.brand_code),
                    str(code),
                    info.name,
                    f"{info.approvals:,}",
                    f"{info.rejections:,}",
                    f"{info.retailers:,}",
                    "yes" if info.brand_code in ours else "",
                )
                for code, info in found
            ],
            "brand", "İYS no", "name", "ONAY", "RET", "dealers", "ours",
            numbers=("ONAY", "RET", "dealers"),
        )  # fmt: skip
        for code in missing:
            say(f"brand {code} is configured here, and the registry does not list it for the account", "red")
    raise typer.Exit(NO if missing else 0)


def status(
    config: Config,
    brand: Brand,
    recipient: Recipient,
    channel: ChannelWord = "EPOSTA",
    recipient_type: KindWord = "BIREYSEL",
    as_json: AsJson = False,
) -> None:
    """What the registry holds of one recipient. Exit code 1 where it has no record."""
    subject = parse_subject(recipient, channel, recipient_type)

    async def work(links: list[BrandLink]) -> StoredConsent | None:
        return done(await links[0].api.status(links[0].registry, subject))

    stored = ask(config, brand, work)
    if as_json:
        print_json(None if stored is None else _stored_as_json(stored))
    elif stored is None:
        say(f"No record under brand {brand}.")
    else:
        print_table(
            [
                ("status", _status_text(stored.status)),
                ("consent date (UTC+3)", _time(stored.consent_at)),
                ("stored (UTC+3)", _time(stored.created_at)),
                ("source", stored.source),
                ("dealer", "" if stored.retailer_code is None else str(stored.retailer_code)),
                ("dealers with access", str(stored.retailer_access_count)),
                ("transaction", stored.transaction_id),
            ],
            f"{CHANNEL_WORDS[subject.channel]} {RECIPIENT_TYPE_WORDS[subject.recipient_type]}",
            "",
        )
    raise typer.Exit(0 if stored is not None else NO)


def multi_status(
    config: Config,
    brand: Brand,
    recipients: Annotated[
        list[str] | None, typer.Argument(help="Addresses of one channel.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="One address a line; - reads standard input.", show_default=False)
    ] = None,
    channel: ChannelWord = "EPOSTA",
    recipient_type: KindWord = "BIREYSEL",
    as_json: AsJson = False,
) -> None:
    """Which of many addresses have given consent. Refusal and no record are alike absent: the registry says no more.
    Exit code 1 where some have not."""
    meant, kind = parse_channel(channel), parse_kind(recipient_type)
    asked = _read_addresses(recipients or [], file)
    addresses: dict[str, str] = {}
    for place, text in enumerate(asked, start=1):
        address = find_address(text, meant)
        if address is None:
            fail(f"address {place}: expected an address of channel {CHANNEL_WORDS[meant]}")
        addresses[address.decode()] = text
    wanted = list(addresses)
    if not wanted:
        fail("no addresses: name some, or a file of them with --file")

    async def work(links: list[BrandLink]) -> set[str]:
        link, approved = links[0], set[str]()
        with progress_bar(hidden=as_json or len(wanted) <= MAX_MULTI_STATUS) as bar:
            shown = bar.add_task("asked", total=len(wanted))
            for start in range(0, len(wanted), MAX_MULTI_STATUS):
                part = wanted[start : start + MAX_MULTI_STATUS]
                approved |= done(await link.api.multi_status(link.registry, meant, kind, part)).approved
                bar.advance(shown, len(part))
        return approved

    approved = ask(config, brand, work)
    if as_json:
        print_json({"asked": len(wanted), "approved": [addresses[each] for each in wanted if each in approved]})
    else:
        if len(wanted) <= 100:
            print_table(
                [
                    (addresses[each], _status_text(Status.APPROVED) if each in approved else Text("–", style="red"))
                    for each in wanted
                ],
                "address",
                "status",
            )
        say(f"{len(approved):,} of {len(wanted):,} have given consent; the others refused, or have no record.")
    raise typer.Exit(0 if len(approved) == len(wanted) else NO)


def history(
    config: Config,
    brand: Brand,
    recipient: Recipient,
    channel: ChannelWord = "EPOSTA",
    recipient_type: KindWord = "BIREYSEL",
    limit: Annotated[int, typer.Option(help="So many of the newest.", min=1, max=100)] = 20,
    as_json: AsJson = False,
) -> None:
    """All movements of one recipient's consent, newest first (100 of these questions an hour). Exit code 1 where there
    is none."""
    subject = parse_subject(recipient, channel, recipient_type)

    async def work(links: list[BrandLink]) -> tuple[list[Movement], int | None]:
        page = done(await links[0].api.history(links[0].registry, subject, 0, limit))
        return list(page.items), page.total

    movements, total = ask(config, brand, work)
    if as_json:
        print_json({"total": total, "movements": [_movement_as_json(movement) for movement in movements]})
    else:
        print_table(
            [
                (_status_text(each.status), _time(each.consent_at), _time(each.created_at), each.source)
                for each in movements
            ],
            "status",
            "consent date",
            "stored",
            "source",
        )
        say(f"{len(movements)} of {len(movements) if total is None else total} movements; times in UTC+3.")
    raise typer.Exit(0 if movements else NO)


def _read_addresses(given: list[str], file: Path | None) -> list[str]:
    if file is None:
        return given
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"--file: {error}")
    return [*given, *(line.strip() for line in text.splitlines() if line.strip())]


def _stored_as_json(stored: StoredConsent) -> dict[str, Any]:
    return {
        "channel": CHANNEL_WORDS[stored.subject.channel],
        "recipient_type": RECIPIENT_TYPE_WORDS[stored.subject.recipient_type],
        "status": STATUS_WORDS[stored.status],
        "source": stored.source,
        "consent_date": _time(stored.consent_at) or None,
        "created": _time(stored.created_at) or None,
        "transaction_id": stored.transaction_id,
        "retailer_code": stored.retailer_code,
        "retailer_access_count": stored.retailer_access_count,
    }


def _movement_as_json(movement: Movement) -> dict[str, Any]:
    return {
        "status": STATUS_WORDS[movement.status],
        "source": movement.source,
        "consent_date": _time(movement.consent_at) or None,
        "created": _time(movement.created_at) or None,
        "transaction_id": movement.transaction_id,
    }


def _status_text(status: Status) -> Text:
    return Text(STATUS_WORDS[status], style="green" if status is Status.APPROVED else "red")


def _time(at: int | None) -> str:
    return "" if at is None else render_time(at)
