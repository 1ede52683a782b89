"""``izinkapi registry outbox|retry``: what is on its way to the registry, and what cannot go."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import typer
from rich.text import Text

from filters.business_days import HolidayCalendar
from filters.consent_report import Report, consent_to_add, open_report
from filters.exchange import OutboxItem
from filters.refusal_report import NONCE_BYTES, RefusalReport, ReportSeal
from filters.registry.error_codes import ERROR_RULES
from filters.registry.words import CHANNEL_WORDS, SOURCE_OWN_DECISION, STATUS_WORDS, render_time
from gateway.cli.registry.running import (
    NO,
    AnyBrand,
    AsJson,
    Config,
    DryRun,
    Opened,
    fail,
    print_json,
    print_table,
    say,
    wiring,
    work_on_store,
)
from gateway.configuration.settings import Configuration
from gateway.consents.csv_row import mask
from gateway.registry.parked import ADDRESS_UNKNOWN, PARKED_AT, is_parked, keep_parked, unpark

_MOST_LISTED = 1_000_000


def add_to(app: typer.Typer) -> None:
    app.command("outbox")(outbox)
    app.command("retry")(retry)


class _Listed(NamedTuple):
    """An item of the outbox; ``code`` is "" unless it is parked; ``report`` None where it cannot be opened."""

    item: OutboxItem
    code: str
    report: Report | None


def outbox(
    config: Config,
    brand: AnyBrand = None,
    parked: Annotated[
        bool, typer.Option("--parked", help="List what cannot be reported as it is, one by one.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Reports that wait, with their deadline, and those that a person has to see to. Exit code 1 where there are such,
    or a deadline has passed."""

    async def work(opened: Opened, configuration: Configuration) -> list[_Listed]:
        return await _list(opened, configuration, brand)

    listed = work_on_store(config, work)
    now = int(time.time())
    waiting = [each for each in listed if not each.code]
    kept = [each for each in listed if each.code]
    overdue = sum(each.item.due_at < now for each in waiting)
    codes = Counter(each.code for each in kept)
    oldest = min((each.item.due_at for each in waiting), default=None)
    if as_json:
        print_json(
            {
                "waiting": dict(Counter(str(each.item.brand) for each in waiting)),
                "oldest_due": None if oldest is None else render_time(oldest),
                "seconds_left": None if oldest is None else oldest - now,
                "overdue": overdue,
                "parked": dict(codes),
                "items": [_as_json(each) for each in kept] if parked else None,
            }
        )
    else:
        _print_outbox(waiting, kept, now, parked=parked)
    raise typer.Exit(NO if kept or overdue else 0)


async def _list(opened: Opened, configuration: Configuration, brand: int | None) -> list[_Listed]:
    seal, _ = wiring().report_sealing(configuration)
    listed = []
    for item in await opened.store.outbox_due(PARKED_AT, _MOST_LISTED):
        if brand not in (None, item.brand):
            continue
        if not is_parked(item):
            listed.append(_Listed(item, "", None))
            continue
        code, inner = unpark(item)
        listed.append(_Listed(item, code, _open(seal, inner)))
    return listed


def _open(seal: ReportSeal, item: OutboxItem) -> Report | None:
    try:
        return open_report(seal, item.item_id, item.sealed)
    except ValueError:
        return None


def _print_outbox(waiting: Sequence[_Listed], kept: Sequence[_Listed], now: int, *, parked: bool) -> None:
    rows = []
    for brand in sorted({each.item.brand for each in waiting}):
        dues = [each.item.due_at for each in waiting if each.item.brand == brand]
        left_h = (min(dues) - now) / 3600
        rows.append(
            (
                str(brand),
                f"{len(dues):,}",
                render_time(min(dues)),
                Text(f"{left_h:,.1f} h", style="red" if left_h < 24 else ""),
                f"{sum(due < now for due in dues):,}",
            )
        )
    if rows:
        print_table(
            rows,
            "brand", "waiting", "first deadline (UTC+3)", "left", "overdue",
            numbers=("waiting", "left", "overdue"),
        )  # fmt: skip
    else:
        say("No report waits to be made.")
    if not kept:
        return
    print_table(
        [(code, f"{number:,}", meaning_of(code)) for code, number in Counter(each.code for each in kept).most_common()],
        "cannot go", "reports", "because",
        numbers=("reports",),
    )  # fmt: skip
    if parked:
        print_table(
            [_cells(each) for each in kept],
            "report", "brand", "what", "address", "date (UTC+3)", "cause",
        )  # fmt: skip
    else:
        say("One by one: --parked. Once the cause is mended: izinkapi registry retry.")


def meaning_of(code: str) -> str:
    if code == ADDRESS_UNKNOWN:
        return "only the hashed key is known; a person has to find the address"
    rule = ERROR_RULES.get(code)
    return rule.meaning if rule is not None else "refused"


def _cells(each: _Listed) -> tuple[str, ...]:
    report_id = each.item.item_id.hex()[:8]
    if each.report is None:
        return (report_id, str(each.item.brand), "sealed with a key that is not here", "", "", each.code)
    consent = consent_to_add(each.report)
    what = f"{CHANNEL_WORDS[consent.channel]} {STATUS_WORDS[consent.status]}"
    at = "" if consent.consent_at is None else render_time(consent.consent_at)
    address = mask(consent.recipient) if consent.recipient else "unknown"
    return (report_id, str(each.item.brand), what, address, at, each.code)


def _as_json(each: _Listed) -> dict[str, Any]:
    report_id, brand, what, address, at, code = _cells(each)
    return {"report": report_id, "brand": int(brand), "what": what, "address": address, "date": at, "code": code}


def retry(
    config: Config,
    code: Annotated[str, typer.Option("--code", help="Those kept for this cause, as H467.", show_default=False)],
    brand: AnyBrand = None,
    own_decision: Annotated[
        bool,
        typer.Option(
            "--own-decision",
            help="Tell refusals as the brand's own decision of today to stop (HS_KARAR): for those that came too late "
            "(H467). The brand says so; nobody's will is dated falsely.",
        ),
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Put reports back on their way that could not go. Exit code 1 where there is none."""

    async def work(opened: Opened, configuration: Configuration) -> int:
        seal, calendar = wiring().report_sealing(configuration)
        moved = 0
        listed = await _list(opened, configuration, None)
        for each in listed:
            if each.code != code or each.report is None or brand not in (None, each.item.brand):
                continue
            moved += 1
            if dry_run:
                continue
            item = unpark(each.item).report
            if own_decision and isinstance(each.report, RefusalReport):
                item = _as_own_decision(each.report, seal, calendar)
            await opened.store.apply(item.brand, [], outbox=[item])
            await opened.store.outbox_remove([each.item])
        if moved and not dry_run:
            counts = Counter(each.code for each in listed if each.code)
            counts[code] -= moved
            await keep_parked(opened.store, +counts)
        return moved

    if code == ADDRESS_UNKNOWN:
        fail("reports without an address cannot go; enter the refusal with its address: izinkapi consents set")
    moved = work_on_store(config, work)
    if as_json:
        print_json({"moved": moved, "dry_run": dry_run})
    else:
        say(f"{moved:,} reports {'would go' if dry_run else 'go'} again.")
    raise typer.Exit(0 if moved else NO)


def _as_own_decision(report: RefusalReport, seal: ReportSeal, calendar: HolidayCalendar) -> OutboxItem:
    now = int(time.time())
    told = report._replace(source=SOURCE_OWN_DECISION, refused_at=now)
    sealed = seal.seal(told, os.urandom(NONCE_BYTES))
    return OutboxItem(told.item_id, told.brand, calendar.due_at(now), sealed)
