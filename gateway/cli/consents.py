"""``izinkapi consents``: what the index knows, looked at and changed by hand.

Exit codes: 0 done; 1 done, but not all of it (bad rows, no record); 2 not done.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Protocol, Self, TypeVar, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from filters.consent_key import ConsentKeys
from filters.exchange import StoreStats
from filters.vocabulary import Channel, RecipientType, Status
from gateway.configuration.problems import ConfigurationError
from gateway.configuration.settings import Configuration
from gateway.consents.csv_file import CsvFileError
from gateway.consents.importer import BadRow, ImportReport, import_files
from gateway.consents.ports import ConsentStore
from gateway.consents.record import Set, Shown, set_consent, show
from gateway.consents.words import (
    CHANNEL_WORDS,
    RECIPIENT_TYPE_WORDS,
    STATUS_WORDS,
    parse_source,
    parse_time,
    parse_word,
    registry_word,
    render_time,
)

if TYPE_CHECKING:
    from gateway.refusals import RefusalReports

_SHOWN_BAD_ROWS = 20
_OLD_EXPORT_S = 7 * 86400
_INCOMPLETE, _NOT_DONE = 1, 2

app = typer.Typer(help="Bulk import, single records, and what the consent index holds.", no_args_is_help=True)

Config = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", show_default=False)]
BrandCode = Annotated[int, typer.Option("--brand", "-b", help="The brand's code.", show_default=False)]
Recipient = Annotated[
    str, typer.Option("--recipient", "-r", help="E-mail address or phone number.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")]

_Answer = TypeVar("_Answer")


class _Wiring(Protocol):
    """What ``gateway.app`` gives to commands that work on the store."""

    def load(self, config_path: Path) -> Configuration: ...

    def open_store(self, configuration: Configuration, *, may_begin: bool = True) -> ConsentStore: ...

    def consent_keys(self, configuration: Configuration, *, may_begin: bool = True) -> ConsentKeys: ...

    def refusal_reports(self, configuration: Configuration) -> RefusalReports: ...


def _wiring() -> _Wiring:
    # Imported when a command runs: `--help` needs no adapter.
    return cast("_Wiring", importlib.import_module("gateway.app"))  # a module has no type of its own


def _run(
    config: Path,
    brand: int | None,
    work: Callable[[Configuration, ConsentStore, ConsentKeys], Awaitable[_Answer]],
    *,
    may_begin: bool = False,
) -> _Answer:
    """Do ``work`` on the opened store; every failure becomes a sentence and exit code 2.

    ``may_begin``: this may be the first thing that is done with an installation. What only looks creates nothing.
    """
    wiring = _wiring()

    async def run(configuration: Configuration) -> _Answer:
        store = wiring.open_store(configuration, may_begin=may_begin)
        try:
            await store.start()
            return await work(configuration, store, wiring.consent_keys(configuration, may_begin=may_begin))
        finally:
            await store.close()

    try:
        configuration = wiring.load(config)
        codes = sorted(known.brand.code for known in configuration.brands)
        if brand is not None and brand not in codes:
            _fail(f"--brand: expected one of {', '.join(map(str, codes))} (brands in {config}), found {brand}")
        return asyncio.run(run(configuration))
    except ConfigurationError as error:
        _fail(str(error))
    except CsvFileError as error:
        _fail(str(error))
    except OSError as error:
        _fail(str(error))
    except ValueError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted; the same command goes on where it stopped")


def _fail(sentence: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True, highlight=False).print(Text.assemble(("error ", "bold red"), sentence))
    raise typer.Exit(_NOT_DONE)


def _print_json(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")


@app.command("import")
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="CSV files with a header row: recipient, type, recipientType, status, source, consentDate "
            "[, retailerCode, retailerAccess]; times as YYYY-MM-DD HH:mm:ss in UTC+3.",
            show_default=False,
        ),
    ],
    config: Config,
    brand: BrandCode,
    synced_at: Annotated[
        str | None,
        typer.Option(
            help="Registry time (YYYY-MM-DD HH:mm:ss, UTC+3) up to which the export is complete; the freshness of all "
            "decisions counts from it. Left out: the time the oldest file was written, which is right for an export "
            "that was saved as it was made, and only if the files name at least half of the recipients known. Say it "
            "for one that was taken earlier. `none` leaves the watermark alone, "
            "for files that are not a complete export.",
            show_default=False,
        ),
    ] = None,
    accept_bad_rows: Annotated[
        bool, typer.Option("--accept-bad-rows", help="Move the watermark although rows were bad.")
    ] = False,
    rejects: Annotated[
        Path | None,
        typer.Option(help="Where bad rows are listed; left out, in the state directory.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load the registry's export. Interrupted, the same command goes on where it stopped; repeated, it is harmless."""
    moves_watermark = synced_at != "none"
    try:
        watermark_at = parse_time(synced_at) if synced_at is not None and moves_watermark else None
    except ValueError as error:
        _fail(f"--synced-at: {error}, found {synced_at!r}")
    if watermark_at is not None and watermark_at > time.time():
        _fail(f"--synced-at: expected a time that is not in the future, found {synced_at!r}")

    async def work(configuration: Configuration, store: ConsentStore, keys: ConsentKeys) -> ImportReport:
        with _ProgressBars(hidden=as_json) as bars:
            return await import_files(
                store,
                keys,
                brand,
                files,
                state_directory=configuration.store.state_directory,
                synced_at=watermark_at,
                moves_watermark=moves_watermark,
                accept_bad_rows=accept_bad_rows,
                rejects=rejects,
                observer=bars,
            )

    report = _run(config, brand, work, may_begin=True)
    if as_json:
        _print_json(_report_as_json(report))
    else:
        _print_report(report, brand, is_time_assumed=synced_at is None)
    # A part of an export is in order; one without a row is not.
    raise typer.Exit(_INCOMPLETE if report.bad or (report.is_short and not report.rows) else 0)


class _ProgressBars:
    """Two bars with rate and estimate; bad rows above them, on stderr."""

    def __init__(self, *, hidden: bool) -> None:
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._bad = 0
        self._progress = Progress(
            TextColumn("{task.description:<8}"),
            BarColumn(),
            TextColumn("{task.percentage:>5.1f} %"),
            TextColumn("{task.fields[rows]:>12,} rows"),
            TextColumn("{task.fields[rate]:>9,.0f}/s"),
            TimeRemainingColumn(),
            console=console,
            disable=hidden,
            transient=not console.is_terminal,
        )
        self._console = console
        self._read = self._progress.add_task("reading", rows=0, rate=0.0)
        self._loaded = self._progress.add_task("loading", rows=0, rate=0.0, start=False)
        self._read_began = self._load_began = time.monotonic()
        self._resumed: int | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def read(self, done_bytes: int, total_bytes: int, rows: int) -> None:
        if self._resumed is None:
            self._resumed = rows
        self._load_began = time.monotonic()
        rate = (rows - self._resumed) / max(self._load_began - self._read_began, 0.001)
        self._progress.update(self._read, completed=done_bytes, total=total_bytes, rows=rows, rate=rate)

    def loaded(self, done_records: int, total_records: int) -> None:
        self._progress.start_task(self._loaded)
        rate = done_records / max(time.monotonic() - self._load_began, 0.001)
        self._progress.update(self._loaded, completed=done_records, total=total_records, rows=done_records, rate=rate)

    def rejected(self, row: BadRow) -> None:
        self._bad += 1
        if self._bad <= _SHOWN_BAD_ROWS:
            self._console.print(Text.assemble(("bad row ", "bold yellow"), str(row)))
        elif self._bad == _SHOWN_BAD_ROWS + 1:
            self._console.print(Text("more bad rows: see the list named at the end"))


def _report_as_json(report: ImportReport) -> dict[str, Any]:
    return {
        "rows": report.rows,
        "good": report.rows - report.bad,
        "bad": report.bad,
        "recipients": report.recipients,
        "changed": report.changed,
        "newest_consent_date": None if report.newest_at is None else render_time(report.newest_at),
        "watermark": None if report.watermark_at is None else render_time(report.watermark_at),
        "rejects": None if report.rejects is None else str(report.rejects),
        "resumed_rows": report.resumed_rows,
        "is_short": report.is_short,
        "seconds": round(report.seconds, 3),
    }


def _print_report(report: ImportReport, brand: int, *, is_time_assumed: bool) -> None:
    console = Console(soft_wrap=True, highlight=False)
    table = Table(show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, number in (
        ("rows read", report.rows),
        ("good", report.rows - report.bad),
        ("bad", report.bad),
        ("recipients", report.recipients),
        ("changed in the index", report.changed),
    ):
        style = "yellow" if name == "bad" and number else ""
        table.add_row(Text(name, style=style), Text(f"{number:,}", style=style))
    if report.resumed_rows:
        table.add_row("read before the interruption", f"{report.resumed_rows:,}")
    table.add_row("rows a second", f"{(report.rows - report.resumed_rows) / max(report.seconds, 0.001):,.0f}")
    console.print(table)
    if report.rejects is not None:
        console.print(Text.assemble(("bad rows ", "bold yellow"), f"are listed in {report.rejects}"))
    if report.watermark_at is None:
        if report.bad:
            console.print(
                Text(
                    "The watermark was not moved: a refusal may have stood in a bad row. Mend the rows and import "
                    "again, or say --accept-bad-rows."
                )
            )
        elif report.is_short:
            console.print(
                Text.assemble(
                    ("not a complete export? ", "bold yellow"),
                    f"it names {report.recipients:,} recipients, the index knows {report.known:,} of brand {brand}. "
                    "The rows are in, the watermark was not moved. If the export is complete, say up to when: "
                    "--synced-at; for a part of one, --synced-at none.",
                )
            )
        else:
            console.print(Text("The watermark was left alone."))
        return
    sentence = f"Brand {brand} is known up to {render_time(report.watermark_at)}"
    if is_time_assumed:
        sentence += ", the time the oldest file was written; if the export was taken earlier, say so with --synced-at"
    console.print(Text(sentence + "."))
    if is_time_assumed and report.newest_at is not None and report.watermark_at - report.newest_at > _OLD_EXPORT_S:
        console.print(
            Text.assemble(
                ("look again: ", "bold yellow"),
                f"the newest consent in these files is of {render_time(report.newest_at)}: is the export that old?",
            )
        )


@app.command("show")
def show_(config: Config, brand: BrandCode, recipient: Recipient, as_json: AsJson = False) -> None:
    """What the index holds of one recipient. Exit code 1 where it has no record."""
    shown = _run(config, brand, lambda _, store, keys: show(store, keys, brand, recipient))
    if as_json:
        _print_json(shown.as_json())
    else:
        _print_shown(shown, brand)
    raise typer.Exit(0 if shown.state else _INCOMPLETE)


def _print_shown(shown: Shown, brand: int) -> None:
    console = Console(highlight=False)
    if shown.state:
        table = Table("channel", "type", "status", "consent date (UTC+3)", "source")
        if any(consent.own for consent in shown.state.values()):
            table.add_column("so far ours alone")
        for (channel, recipient_type), consent in shown.state.items():
            table.add_row(
                # Below each other: beside each other they are cut off in 80 columns.
                f"{registry_word(CHANNEL_WORDS, channel)}\n{channel}",
                f"{registry_word(RECIPIENT_TYPE_WORDS, recipient_type)}\n{recipient_type}",
                Text(
                    registry_word(STATUS_WORDS, consent.status),
                    style="green" if consent.status is Status.APPROVED else "red",
                ),
                render_time(consent.consent_at),
                consent.source,
                *(["not yet seen in the registry"] if consent.own else []),
            )
        console.print(table)
    else:
        console.print(Text(f"No record under brand {brand}."))
    console.print(Text(_describe_watermark(shown.watermark_at)))


def _describe_watermark(watermark_at: int | None) -> str:
    if watermark_at is None:
        return "The brand was never loaded completely: nothing commercial is permitted."
    return f"Known up to {render_time(watermark_at)} (UTC+3)."


@app.command("set")
def set_(
    config: Config,
    brand: BrandCode,
    recipient: Recipient,
    channel: Annotated[str, typer.Option(help="EPOSTA, MESAJ or ARAMA (email, sms, call).", show_default=False)],
    recipient_type: Annotated[str, typer.Option(help="BIREYSEL or TACIR (individual, business).", show_default=False)],
    status: Annotated[str, typer.Option(help="ONAY or RET (approved, rejected).", show_default=False)],
    source: Annotated[str, typer.Option(help="The registry's name of the source, as HS_WEB.", show_default=False)],
    consent_date: Annotated[
        str | None,
        typer.Option(help="YYYY-MM-DD HH:mm:ss in UTC+3; left out, now.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put one record into the index, unless it holds a later will.

    A refusal with a source of the brand's own (HS_…) reached us before the registry: it is in force at once on all
    workers, and its report to the registry is put on the list, due at the end of the third business day after its
    date. Nothing else is reported: approvals the brand has to bring to the registry by itself, and what the registry
    recorded (IYS_…) it knows. Not for copying the registry's export: that is `import`. Exit code 1 where a later will
    stands.
    """
    now = int(time.time())
    try:
        values = (
            _named("--channel", lambda: parse_word(CHANNEL_WORDS, channel)),
            _named("--recipient-type", lambda: parse_word(RECIPIENT_TYPE_WORDS, recipient_type)),
            _named("--status", lambda: parse_word(STATUS_WORDS, status)),
            _named("--source", lambda: parse_source(source)),
            _named("--consent-date", lambda: now if consent_date is None else parse_time(consent_date)),
        )
    except ValueError as error:
        _fail(str(error))

    async def work(configuration: Configuration, store: ConsentStore, keys: ConsentKeys) -> tuple[Set, Shown]:
        reports = _wiring().refusal_reports(configuration)
        done = await set_consent(store, keys, reports, brand, recipient, *values, now)
        return done, await show(store, keys, brand, recipient)

    (changed, due_at), shown = _run(config, brand, work, may_begin=True)
    if as_json:
        due = None if due_at is None else render_time(due_at)
        _print_json({"changed": changed, "report_due": due, **shown.as_json()})
    else:
        _print_shown(shown, brand)
        console = Console(soft_wrap=True, highlight=False)
        if not changed:
            console.print(Text("Nothing changed: the index holds this or a later will."))
        if due_at is not None:
            console.print(Text(f"To be reported to the registry by {render_time(due_at)} (UTC+3)."))
    raise typer.Exit(0 if changed else _INCOMPLETE)


def _named(option: str, parse: Callable[[], _Answer]) -> _Answer:
    try:
        return parse()
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None


@app.command("stats")
def stats_(config: Config, as_json: AsJson = False) -> None:
    """How many consents the index holds, by brand, channel, recipient type and status; its size and watermarks."""

    async def work(_: Configuration, store: ConsentStore, __: ConsentKeys) -> StoreStats:
        return await store.stats()

    stats = _run(config, None, work)
    if as_json:
        _print_json(_stats_as_json(stats))
    else:
        _print_stats(stats)


def _stats_as_json(stats: StoreStats) -> dict[str, Any]:
    records = sum(stats.records.values())
    return {
        "records": [
            {"brand": brand, "channel": channel, "recipient_type": kind, "status": status, "count": number}
            for (brand, channel, kind, status), number in stats.records.items()
        ],
        "recipients": {str(brand): number for brand, number in stats.recipients.items()},
        "watermarks": {str(brand): render_time(at) for brand, at in stats.watermarks.items()},
        "outbox": {str(brand): number for brand, number in stats.outbox.items()},
        "used_bytes": stats.used_bytes,
        "bytes_a_record": round(stats.used_bytes / records, 1) if records else None,
        "generation": stats.generation.hex(),
        "revision": stats.revision,
    }


def _print_stats(stats: StoreStats) -> None:
    console = Console(soft_wrap=True, highlight=False)
    table = Table("brand", "channel", "recipient type")
    for status in Status:
        table.add_column(registry_word(STATUS_WORDS, status), justify="right")
    rows: dict[tuple[int, Channel, RecipientType], dict[Status, int]] = {}
    for (brand, channel, kind, status), number in stats.records.items():
        rows.setdefault((brand, channel, kind), {})[status] = number
    for (brand, channel, kind), numbers in rows.items():
        table.add_row(
            str(brand),
            registry_word(CHANNEL_WORDS, channel),
            registry_word(RECIPIENT_TYPE_WORDS, kind),
            *(f"{numbers.get(status, 0):,}" for status in Status),
        )
    console.print(table)
    brands = Table("brand", "recipients", "known up to (UTC+3)", "reports to make")
    for brand in sorted({*stats.recipients, *stats.watermarks, *stats.outbox}):
        at = stats.watermarks.get(brand)
        brands.add_row(
            str(brand),
            f"{stats.recipients.get(brand, 0):,}",
            Text("never loaded", style="yellow") if at is None else render_time(at),
            f"{stats.outbox.get(brand, 0):,}",
        )
    console.print(brands)
    records = sum(stats.records.values())
    a_record = f", {stats.used_bytes / records:,.1f} a record" if records else ""
    console.print(Text(f"{stats.used_bytes:,} bytes{a_record}; revision {stats.revision}"))


@app.command("accept-store")
def accept_store(
    config: Config,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take the store as it is now for the right one, after it was emptied, restored or replaced on purpose.

    Until then nothing can be looked up, so commercial mail waits. Refusals in this machine's journal are brought in;
    everything else that was lost must be imported again. Run it on every machine.
    """
    if not yes:
        typer.confirm("Is the store in its present state the one to use, and will you import again?", abort=True)

    async def work(_: Configuration, store: ConsentStore, __: ConsentKeys) -> None:
        await store.accept()

    _run(config, None, work)
    Console(highlight=False).print(Text("Accepted. Import the registry's export again to make the index complete."))
