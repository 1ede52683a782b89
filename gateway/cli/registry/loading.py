"""``izinkapi registry load``: consents and refusals of a file on their way to the registry."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from filters.exchange import Refusal
from filters.registry.values import ConsentToAdd
from filters.registry.words import STATUS_WORDS
from gateway.cli.registry.outbox import meaning_of
from gateway.cli.registry.running import (
    NO,
    AsJson,
    Brand,
    Config,
    DryRun,
    Opened,
    print_json,
    progress_bar,
    say,
    wiring,
    work_on_store,
)
from gateway.configuration.settings import Configuration
from gateway.consents.csv_file import CsvFileError
from gateway.consents.csv_row import parse_header
from gateway.registry.pending import ConsentNotes
from gateway.registry.registering import Registering, one_by_one

_BATCH = 1000
_SHOWN_BAD_ROWS = 20


def add_to(app: typer.Typer) -> None:
    app.command("load")(load)


class _BadRow(NamedTuple):
    file: str
    line: int
    codes: tuple[str, ...]


class _Recorded:
    """A ``RefusalObserver`` of one command."""

    def __init__(self) -> None:
        self.without_evidence = 0

    def refusal_recorded(self, refusal: Refusal, *, has_evidence: bool) -> None:
        self.without_evidence += not has_evidence

    def refusal_failed(self, refusal: Refusal) -> None:
        """The command fails with it."""


@asynccontextmanager
async def _recorder(
    configuration: Configuration, opened: Opened, observer: _Recorded, *, dry_run: bool
) -> AsyncIterator[Callable[[Refusal], Awaitable[None]]]:
    """What takes refusals; a dry run has nothing to take, and begins no chain of evidence."""
    if dry_run:
        yield _take_nothing
        return
    async with wiring().refusal_recorder(configuration, opened.store, observer) as recorder:
        yield recorder.record


async def _take_nothing(refusal: Refusal) -> None:
    raise AssertionError("a dry run writes nothing")


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

    A consent permits nothing before the registry holds it; a refusal is in force at once, with evidence of its own.
    Repeating is harmless. Bad rows are told by the registry's own codes. Exit code 1 where there were any, or evidence
    could not be kept.
    """
    counts: Counter[str] = Counter()
    bad: list[_BadRow] = []
    recorded = _Recorded()

    async def work(opened: Opened, configuration: Configuration) -> None:
        if brand not in [each.brand.code for each in configuration.brands]:
            raise ValueError("--brand: expected one of the configuration's [[brands]]")
        seal, calendar = wiring().report_sealing(configuration)
        total = sum(path.stat().st_size for path in files)
        async with _recorder(configuration, opened, recorded, dry_run=dry_run) as record:
            registering = Registering(
                opened.store, ConsentNotes(opened.store), opened.keys, seal, calendar, one_by_one(record)
            )
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
                "without_evidence": recorded.without_evidence,
                "bad_rows": [row._asdict() for row in bad[:_BATCH]],
            }
        )
    else:
        for row in bad[:_SHOWN_BAD_ROWS]:
            meanings = "; ".join(f"{code} {meaning_of(code)}" for code in row.codes)
            say(f"{row.file}, line {row.line}: {meanings}", "yellow")
        if len(bad) > _SHOWN_BAD_ROWS:
            say(f"{len(bad) - _SHOWN_BAD_ROWS:,} more bad rows: list them with --rejects.", "yellow")
        verb = "in order" if dry_run else "on their way to the registry"
        say(f"{counts['ONAY']:,} ONAY and {counts['RET']:,} RET {verb}; {len(bad):,} rows refused.")
        if recorded.without_evidence:
            say(f"{recorded.without_evidence:,} refusals are in force without a record of evidence.", "red")
    raise typer.Exit(NO if bad or recorded.without_evidence else 0)


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
