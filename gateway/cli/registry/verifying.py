"""``izinkapi registry verify``: every address of a list asked for at the registry, at the full permitted rate."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from gateway.cli.registry.running import (
    NO,
    AsJson,
    Brand,
    Config,
    DryRun,
    Opened,
    ask_with_store,
    print_json,
    print_table,
    say,
)
from gateway.configuration.settings import Configuration
from gateway.consents.words import render_time
from gateway.registry.comparison import Checked
from gateway.registry.ports import BrandLink
from gateway.registry.verify import VerifyReport, verify_files

_ROWS = (
    ("rows read", "rows"),
    ("addresses asked for", "asked"),
    ("requests", "requests"),
    ("rows without a usable address", "unusable"),
    ("addresses the registry takes for none", "not_taken"),
    ("consent here, none there: withdrawn", "withdrawn"),
    ("consent there, none here: entered", "entered"),
    ("consent there, none here: not entered yet", "open"),
    ("consent there, a refusal of that date or later here: kept", "kept"),
)


def verify(
    files: Annotated[
        list[Path],
        typer.Argument(help="CSV files with a column recipient; other columns do not matter.", show_default=False),
    ],
    config: Config,
    brand: Brand,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Compare the index with the registry, address by address, and repair it. Interrupted, the same command goes on.

    A list that names everybody the index knows also closes a gap in the registry's feed.
    """

    async def work(links: list[BrandLink], opened: Opened, configuration: Configuration) -> VerifyReport:
        with VerifyProgress(hidden=as_json) as bar:
            return await verify_files(
                links[0],
                opened.store,
                opened.keys,
                files,
                state_directory=configuration.store.state_directory,
                observer=bar,
                repairs=not dry_run,
            )

    report = ask_with_store(config, brand, work)
    if as_json:
        print_json(_as_json(report))
    else:
        _print(report, is_dry=dry_run)
    is_all = not report.checked.open and (dry_run or report.watermark_at is not None)
    raise typer.Exit(0 if is_all else NO)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("verify")(verify)


_LINE_EVERY_S = 60.0


class VerifyProgress:
    """On stderr: share of the list, addresses a second, differences so far, and when it will be done.

    A bar on a terminal; elsewhere, as in the journal of a timer, a line each minute.
    """

    def __init__(self, *, hidden: bool) -> None:
        self._console = Console(stderr=True, highlight=False, quiet=hidden)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>5.1f} %"),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=hidden or not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._step = ""
        self._began_at = self._line_at = 0.0
        self._began_bytes = self._began_asked = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def counted(self, done_bytes: int, total_bytes: int) -> None:
        if self._task is None:
            self._begin("reading the list", 0, 0, total_bytes)
        self._show(done_bytes, total_bytes, "")

    def began(self, done_bytes: int, total_bytes: int, checked: Checked) -> None:
        self._begin("asking", done_bytes, checked.asked, total_bytes)

    def verified(self, done_bytes: int, total_bytes: int, checked: Checked) -> None:
        rate = (checked.asked - self._began_asked) / max(monotonic() - self._began_at, 0.001)
        differing = checked.withdrawn + checked.entered + checked.open + checked.kept
        self._show(done_bytes, total_bytes, f"{checked.asked:,} asked, {rate:,.0f}/s, {differing:,} differ")

    def _begin(self, step: str, done_bytes: int, asked: int, total_bytes: int) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._step = step
        self._began_at = self._line_at = monotonic()
        self._began_bytes, self._began_asked = done_bytes, asked
        self._task = self._progress.add_task(step, total=total_bytes, completed=done_bytes, figures="")

    def _show(self, done_bytes: int, total_bytes: int, figures: str) -> None:
        assert self._task is not None
        self._progress.update(self._task, completed=done_bytes, figures=figures)
        now = monotonic()
        if self._console.is_terminal or now - self._line_at < _LINE_EVERY_S:
            return
        self._line_at = now
        speed = (done_bytes - self._began_bytes) / (now - self._began_at)
        left_s = (total_bytes - done_bytes) / speed if speed > 0 else 0.0
        words = [
            f"{self._step}: {done_bytes / total_bytes:.1%}",
            *filter(None, [figures]),
            f"{left_s / 60:,.0f} min left",
        ]
        self._console.print(", ".join(words), soft_wrap=True)


def _as_json(report: VerifyReport) -> dict[str, object]:
    return {
        **report.checked._asdict(),
        "known": report.known,
        "named": report.named,
        "began": render_time(report.began_at),
        "watermark": None if report.watermark_at is None else render_time(report.watermark_at),
        "resumed_rows": report.resumed_rows,
        "seconds": round(report.seconds, 3),
    }


def _print(report: VerifyReport, *, is_dry: bool) -> None:
    found = report.checked._asdict()
    print_table([(words, f"{found[name]:,}") for words, name in _ROWS], "of the list", "number", numbers=("number",))
    if is_dry:
        say("Nothing was changed.")
    elif report.watermark_at is not None:
        say(f"The brand is known up to {render_time(report.watermark_at)}.")
    else:
        say(
            f"The list names {report.named:,} of the {report.known:,} recipients that the index knew: the others were "
            "not verified, and the watermark was not moved.",
            "yellow",
        )
    if report.checked.open:
        say(
            "Run it again in an hour for those not entered yet: the registry answers a thousand single queries an hour."
        )
