"""``izinkapi registry outbox|retry|load``: what is on its way to the registry, what cannot go, and more to go there."""

from __future__ import annotations

import csv
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.text import Text

from filters.business_days import HolidayCalendar
from filters.consent import Change, Consent
from filters.consent_report import Report, consent_to_add, open_report
from filters.exchange import OutboxItem, Refusal
from filters.refusal_report import NONCE_BYTES, RefusalReport, ReportSeal
from filters.registry.error_codes import ERROR_RULES
from filters.registry.values import ConsentToAdd
from filters.registry.words import CHANNEL_WORDS, SOURCE_OWN_DECISION, STATUS_WORDS, render_time
from filters.vocabulary import Status
from gateway.cli.registry.running import (
    NO,
    AnyBrand,
    AsJson,
    Brand,
    Config,
    DryRun,
    Opened,
    fail,
    print_json,
    print_table,
    progress_bar,
    say,
    wiring,
    work_on_store,
)
from gateway.configuration.settings import Configuration
from gateway.consents.csv_file import CsvFileError
from gateway.consents.csv_row import mask, parse_header
from gateway.refusals import RefusalReports
from gateway.registry.parked import ADDRESS_UNKNOWN, PARKED_AT, is_parked, keep_parked, unpark
from gateway.registry.pending import ConsentNotes
from gateway.registry.registering import Registering

_BATCH = 1000
_SHOWN_BAD_ROWS = 20
_MOST_LISTED = 1_000_000


def add_to(app: typer.Typer) -> None:
    app.command("outbox")(outbox)
    app.command("retry")(retry)
    app.command("load")(load)


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
    print_table(
        rows, "brand", "waiting", "first deadline (UTC+3)", "left", "overdue", numbers=("waiting", "left", "overdue")
    )
    if not kept:
        return
    print_table(
        [(code, f"{number:,}", _meaning(code)) for code, number in Counter(each.code for each in kept).most_common()],
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


def _meaning(code: str) -> str:
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


class _BadRow(NamedTuple):
    file: str
    line: int
    codes: tuple[str, ...]


def load(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="CSV files in UTF-8 with a header row: recipient, type, recipientType, status, source, consentDate "
            "[, retailerCode, retailerAccess]; times as YYYY-MM-DD HH:mm:ss in UTC+3.",
            show_default=False,
        ),
    ],
    config: Config,
    brand: Brand,
    rejects: Annotated[
        Path | None, typer.Option(help="Write file, line and codes of each bad row there.", show_default=False)
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Hand consents over for registration: what is in order goes to the registry with the next reports.

    A consent permits nothing before the registry holds it; a refusal is in force at once. Repeating is harmless. Bad
    rows are told by the registry's own codes. Exit code 1 where there were any.
    """
    counts: Counter[str] = Counter()
    bad: list[_BadRow] = []

    async def work(opened: Opened, configuration: Configuration) -> None:
        if brand not in [each.brand.code for each in configuration.brands]:
            raise ValueError("--brand: expected one of the configuration's [[brands]]")
        seal, calendar = wiring().report_sealing(configuration)
        registering = Registering(
            opened.store,
            ConsentNotes(opened.store),
            opened.keys,
            seal,
            calendar,
            lambda refusals: _record(opened, RefusalReports(seal, calendar), refusals),
        )
        total = sum(path.stat().st_size for path in files)
        with progress_bar(hidden=as_json) as bar:
            shown = bar.add_task("bytes", total=total)
            for path in files:
                for part in _batches(path):
                    judged = registering.judge(row for _, row in part)
                    if not dry_run:
                        await registering.write(brand, judged)
                    for (line, _), read in zip(part, judged, strict=True):
                        if isinstance(read, ConsentToAdd):
                            counts[STATUS_WORDS[read.status]] += 1
                        else:
                            bad.append(_BadRow(str(path), line, read))
                bar.advance(shown, path.stat().st_size)

    work_on_store(config, work)
    if rejects is not None:
        with rejects.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("file", "line", "codes"))
            writer.writerows((row.file, row.line, " ".join(row.codes)) for row in bad)
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "accepted": dict(counts),
                "refused": len(bad),
                "bad_rows": [row._asdict() for row in bad[:_BATCH]],
            }
        )
    else:
        for row in bad[:_SHOWN_BAD_ROWS]:
            meanings = "; ".join(f"{code} {_meaning(code)}" for code in row.codes)
            say(f"{row.file}, line {row.line}: {meanings}", "yellow")
        if len(bad) > _SHOWN_BAD_ROWS:
            say(f"{len(bad) - _SHOWN_BAD_ROWS:,} more bad rows: list them with --rejects.", "yellow")
        verb = "in order" if dry_run else "on their way to the registry"
        say(f"{counts['ONAY']:,} ONAY and {counts['RET']:,} RET {verb}; {len(bad):,} rows refused.")
    raise typer.Exit(NO if bad else 0)


async def _record(opened: Opened, reports: RefusalReports, refusals: Sequence[Refusal]) -> None:
    """As ``izinkapi consents set`` does: in force with the reports that tell of them, in one step."""
    changes: list[Change] = []
    outbox: list[OutboxItem] = []
    for refusal in refusals:
        assert refusal.recipient_type is not None
        consent = Consent(Status.REJECTED, refusal.received_at, refusal.source, own=True)
        changes.append(Change(refusal.key, refusal.channel, refusal.recipient_type, consent))
        outbox.append(reports.make(refusal, refusal.recipient_type))
    if changes:
        await opened.store.apply(refusals[0].brand, changes, outbox=outbox)


def _batches(path: Path) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """Rows in the registry's field names with their line, a thousand at a time. Raises ``CsvFileError``."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline().rstrip("\r\n")
            names = parse_header(str(path), header).names
            rows = (
                (line, _fields(dict(zip(names, values, strict=False)) if len(values) == len(names) else None))
                for line, values in enumerate(csv.reader(file), start=2)
                if values
            )
            while part := list(islice(rows, _BATCH)):
                yield part
    except UnicodeDecodeError:
        raise CsvFileError(f"{path}: expected UTF-8") from None
    except csv.Error as error:
        raise CsvFileError(f"{path}: {error}") from None


def _fields(row: dict[str, str] | None) -> Any:
    """Empty columns are left out; dealers' codes are numbers; a row with too many or too few columns is no object."""
    if row is None:
        return None
    made: dict[str, Any] = {name: value for name, value in row.items() if value}
    if made.get("retailerCode", "").isdecimal():
        made["retailerCode"] = int(made["retailerCode"])
    if "retailerAccess" in made:
        codes = [code.strip() for code in made["retailerAccess"].split(",")]
        made["retailerAccess"] = [int(code) if code.isdecimal() else code for code in codes]
    return made
