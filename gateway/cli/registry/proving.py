"""``izinkapi registry reconcile|report``: that both sides agree, and the counts of both lists."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import typer

from filters.business_days import ISTANBUL
from filters.registry.values import BrandInfo
from filters.registry.words import CHANNEL_WORDS, RECIPIENT_TYPE_WORDS, STATUS_WORDS, is_day, render_day
from filters.vocabulary import Status
from gateway.cli.registry.running import (
    NO,
    AnyBrand,
    AsJson,
    Brand,
    Config,
    DryRun,
    Opened,
    ask_with_store,
    done,
    fail,
    print_json,
    print_table,
    progress_bar,
    say,
    wiring,
)
from gateway.configuration.settings import Configuration
from gateway.registry.ports import BrandLink
from gateway.registry.proof import as_json as day_as_json
from gateway.registry.proof import keep_days, recall_days
from gateway.registry.proof_day import DayResult, DayState, Sample, prove_day
from gateway.registry.proof_sample import SampleResult, prove_sample

Day = Annotated[
    str | None,
    typer.Option("--day", help="YYYY-MM-DD, yesterday to seven days ago; left out: yesterday.", show_default=False),
]
_STATE_WORDS: dict[str, str] = {DayState.NOTHING: "no movement that day", DayState.NOT_READY: "not ready"}
"""Where the bare word would say little to a person."""
_IN_ORDER = frozenset({DayState.AGREED, DayState.REPAIRED, DayState.NOTHING})


def add_to(app: typer.Typer) -> None:
    app.command("reconcile")(reconcile)
    app.command("report")(report)


def reconcile(
    config: Config,
    brand: Brand,
    day: Day = None,
    save: Annotated[
        bool, typer.Option("--save", help="Afterwards tell the registry for good that both sides agree.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before saving.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Compare one finished day with the registry's file, repair the index, and ask for a sample of its addresses.

    Saving cannot be undone; it is offered only where the day was proven, hash and counts included. Exit code 1 where
    the day is not proven.
    """
    meant = _parse_day(day)

    async def work(
        links: list[BrandLink], opened: Opened, _: Configuration
    ) -> tuple[DayResult, SampleResult | None, bool]:
        link, sample = links[0], Sample()
        with progress_bar(hidden=as_json) as bar:
            shown = bar.add_task("movements", total=None)
            result = await prove_day(
                link,
                opened.store,
                opened.keys,
                meant,
                repairs=not dry_run,
                sample=sample,
                progress=lambda number: bar.update(shown, completed=number),
            )
        found = None
        if sample:
            found = await prove_sample(link, opened.store, opened.keys, sample, repairs=not dry_run)
        is_saved = False
        may_save = result.state in (DayState.AGREED, DayState.REPAIRED) and result.counts_agree
        if save and not dry_run and may_save and (yes or _confirm(link.code, meant)):
            is_saved = done(await link.api.reconciliation_save(link.registry, meant))
        if not dry_run:
            known = await recall_days(opened.store, link.code)
            known[meant] = day_as_json(result._replace(is_saved=result.is_saved or is_saved))
            await keep_days(opened.store, link.code, known)
        return result, found, is_saved

    result, found, is_saved = ask_with_store(config, brand, work)
    in_order = result.state in _IN_ORDER and result.counts_agree and (not save or is_saved or dry_run)
    if as_json:
        sample_told = None if found is None else {**found._asdict(), "divergence": found.divergence}
        print_json({**day_as_json(result), "saved_now": is_saved, "sample": sample_told})
    else:
        _print_day(result, found)
        if is_saved:
            say("Saved: the registry has our word that this day agrees.")
        elif save and not dry_run:
            say("Not saved.", "yellow")
    raise typer.Exit(0 if in_order else NO)


def _confirm(brand: int, day: str) -> bool:
    return typer.confirm(f"Tell the registry for good that {day} of brand {brand} agrees?", default=False, err=True)


def _print_day(result: DayResult, found: SampleResult | None) -> None:
    rows = [
        ("state", _STATE_WORDS.get(result.state, result.state)),
        ("movements in the file", f"{result.movements:,}"),
        ("as many as the summary says", "yes" if result.counts_agree else "NO"),
        ("missing in the index", f"{result.missing:,}"),
        ("otherwise in the index", f"{result.contrary:,}"),
        ("repaired", f"{result.repaired:,}"),
        ("unreadable", f"{result.unread:,}"),
        ("saved before", "yes" if result.is_saved else "no"),
    ]
    if result.problem:
        rows.append(("problem", result.problem))
    if found is not None:
        rows += [
            ("sample: addresses asked", f"{found.asked:,}"),
            ("sample: consent here only", f"{found.loose:,}"),
            ("sample: consent there only", f"{found.tight:,}"),
            ("sample: repaired", f"{found.repaired:,}"),
        ]
        if found.problem:
            rows.append(("sample: problem", found.problem))
    print_table(rows, f"brand {result.brand}, {result.day}", "", numbers=("",))
    if result.sides:
        print_table(
            [
                (
                    CHANNEL_WORDS[side.channel],
                    RECIPIENT_TYPE_WORDS[side.recipient_type],
                    side.source,
                    f"{side.approvals:,}",
                    f"{side.rejections:,}",
                    f"{side.total:,}",
                )
                for side in result.sides
                if side.total
            ],
            "channel", "type", "by", "ONAY", "RET", "movements",
            numbers=("ONAY", "RET", "movements"),
        )  # fmt: skip


def report(config: Config, day: Day = None, brand: AnyBrand = None, as_json: AsJson = False) -> None:
    """The daily report of each brand: both lists as the registry and as the index count them, the day's proof, the
    reports still to be made, and what the gateway decided that day."""
    meant = _parse_day(day)
    begin = datetime.combine(date.fromisoformat(meant), datetime.min.time(), ISTANBUL)

    async def work(links: list[BrandLink], opened: Opened, configuration: Configuration) -> list[dict[str, Any]]:
        stats = await opened.store.stats()
        verdicts = wiring().count_verdicts(configuration, begin.timestamp(), (begin + timedelta(days=1)).timestamp())
        told = []
        registry: dict[int, BrandInfo] = {}
        for iys_code, link in {link.registry.iys_code: link for link in links}.items():
            registry.update({info.brand_code: info for info in done(await link.api.brands(iys_code))})
        for link in links:
            info = registry.get(link.registry.brand_code)
            told.append(
                {
                    "brand": link.code,
                    "day": meant,
                    "registry": None
                    if info is None
                    else {"ONAY": info.approvals, "RET": info.rejections, "dealers": info.retailers},
                    "index": [
                        {
                            "channel": CHANNEL_WORDS[channel],
                            "recipient_type": RECIPIENT_TYPE_WORDS[kind],
                            "status": STATUS_WORDS[status],
                            "count": number,
                        }
                        for (code, channel, kind, status), number in stats.records.items()
                        if code == link.code
                    ],
                    "proof": (await recall_days(opened.store, link.code)).get(meant),
                    "reports_waiting": stats.outbox.get(link.code, 0),
                    "verdicts": [
                        {"channel": channel, "verdict": verdict, "reason": reason, "count": number}
                        for (code, channel, verdict, reason), number in sorted(verdicts.items())
                        if code == link.code
                    ],
                }
            )
        return told

    told = ask_with_store(config, brand, work)
    if as_json:
        print_json(told)
        return
    for each in told:
        _print_report(each)


def _print_report(told: dict[str, Any]) -> None:
    say(f"Brand {told['brand']}, {told['day']}", "bold")
    if told["registry"] is not None:
        registry = told["registry"]
        say(f"The registry holds {registry['ONAY']:,} ONAY and {registry['RET']:,} RET, all channels and types.")
    lists: dict[tuple[str, str], dict[str, int]] = {}
    for row in told["index"]:
        lists.setdefault((row["channel"], row["recipient_type"]), {})[row["status"]] = row["count"]
    print_table(
        [
            (channel, kind, *(f"{counts.get(STATUS_WORDS[status], 0):,}" for status in Status))
            for (channel, kind), counts in lists.items()
        ],
        "in the index", "type", "ONAY", "RET",
        numbers=("ONAY", "RET"),
    )  # fmt: skip
    proof = told["proof"]
    if proof is None:
        say("The day is not proven yet: izinkapi registry reconcile.", "yellow")
    else:
        say(
            f"Proof of the day: {_STATE_WORDS.get(proof['state'], proof['state'])}, {proof['movements']:,} movements, "
            f"{proof['divergence']:,} differences."
        )
    say(f"Reports to the registry waiting: {told['reports_waiting']:,}.")
    if told["verdicts"]:
        print_table(
            [(row["channel"], row["verdict"], row["reason"], f"{row['count']:,}") for row in told["verdicts"]],
            "channel", "verdict", "reason", "recipients",
            numbers=("recipients",),
        )  # fmt: skip
    else:
        say("Nothing was decided that day.")


def _parse_day(day: str | None) -> str:
    if day is None:
        return render_day(int(time.time()) - 86400)
    if not is_day(day):
        fail(f"--day: expected a day as 2026-11-20, found {day!r}")
    return day
