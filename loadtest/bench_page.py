"""A bench run for people: tables for the terminal, and the page docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from loadtest.bench_results import TARGETS, LatencyRun, Results, Scenario

ROUTE_TITLES = {
    "direct": "generator to sink, direct",
    "bare": "a proxy that only hands on",
    "postfix": "Postfix before-queue proxy, no filter",
    "informational": "İzinKapı, informational mail",
    "lmdb": "İzinKapı, commercial mail, LMDB",
    "redis": "İzinKapı, commercial mail, Redis",
}
OURS = ("lmdb", "redis")
_COLUMNS = ("", "messages/s", "recipients/s", "of direct", "× Postfix", "CPU µs each", "program + kernel")
_LATENCY_COLUMNS = ("", "p50 ms", "p99 ms", "p99.9 ms", "longest", "added p50", "added p99", "added p99.9")
_TARGET_COLUMNS = ("", "target", "LMDB", "Redis")


def _scenario_rows(results: Results, scenario: Scenario) -> Iterator[tuple[str, list[str]]]:
    rates = {route: results.rate(scenario.name, route) for route in results.routes(scenario.name)}
    for route, rate in rates.items():
        user = results.median(scenario.name, route, lambda run: run.user_us)
        system = results.median(scenario.name, route, lambda run: run.system_us)
        has_cpu = route != "direct"
        cells = [
            f"{rate:,.0f}",
            f"{rate * scenario.recipients:,.0f}",
            f"{rate / rates['direct']:.2f}",
            f"{rate / rates['postfix']:.2f}" if "postfix" in rates else "",
            f"{user + system:,.0f}" if has_cpu else "",
            f"{user:,.0f} + {system:,.0f}" if has_cpu else "",
        ]
        yield route, cells


def _latency_rows(results: Results) -> Iterator[tuple[str, list[str]]]:
    figures = (
        lambda run: run.p50_ms,
        lambda run: run.p99_ms,
        lambda run: run.p999_ms,
        lambda run: run.max_ms,
    )
    for route in dict.fromkeys(run.route for run in results.latencies):
        found = [results.latency(route, of) for of in figures]
        direct = [results.latency("direct", of) for of in figures]
        added = [f"{ours - theirs:.2f}" for ours, theirs in zip(found[:3], direct[:3], strict=True)]
        yield route, [*(f"{each:.2f}" for each in found), *(added if route != "direct" else ("", "", ""))]


def _target_rows(results: Results) -> Iterator[tuple[list[str], list[bool | None]]]:
    """Cells, and for each cell whether it is a target met (None: no figure of ours)."""
    for target in TARGETS:
        sign = "at most" if target.is_upper else "at least"
        cells = [target.title, f"{sign} {_figure(target.limit, target.unit)}"]
        verdicts: list[bool | None] = [None, None]
        for route in OURS:
            try:
                found = target.measure(results, route)
            except KeyError:
                cells.append("not measured")
                verdicts.append(None)
            else:
                cells.append(_figure(found, target.unit))
                verdicts.append(target.is_met(found))
        yield cells, verdicts


def _figure(value: float, unit: str) -> str:
    if unit == "/s":
        return f"{value:,.0f}/s"
    return f"{value:.2f} {unit}".rstrip()


def render_tables(results: Results) -> Iterator[Table]:
    """For the terminal."""
    for scenario in results.scenarios:
        table = _make_table(f"{scenario.name}: {scenario.title}", _COLUMNS)
        for route, cells in _scenario_rows(results, scenario):
            table.add_row(route, *cells)
        yield table
    if results.latencies:
        table = _make_table(f"Answers at {results.latencies[0].rate:,} messages a second", _LATENCY_COLUMNS)
        for route, cells in _latency_rows(results):
            table.add_row(route, *cells)
        yield table
    table = _make_table("Targets", _TARGET_COLUMNS)
    for cells, verdicts in _target_rows(results):
        styles = ["" if verdict is None else "green" if verdict else "red" for verdict in verdicts]
        table.add_row(*(Text(cell, style=style) for cell, style in zip(cells, styles, strict=True)))
    yield table


def _make_table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        table.add_column(
            column, justify="right" if number else "left", no_wrap=number > 0 or columns is not _TARGET_COLUMNS
        )
    return table


_PAGE = """\
# Benchmarks

Written by `python -m loadtest.bench --write-page` on {date}; `make bench` measures without writing.

**Machine.** {cores} cores ({model}), {memory} GiB of memory, which also carry generator and sink;
{versions}. {load}

**What is measured.** Postfix's smtp-source sends over loopback with 30 sessions, its smtp-sink takes the mail and
counts every message; a run in which the counts differ is an error. The mail is commercial, multipart/alternative in
quoted-printable, text and HTML, Turkish. smtp-source sends one and the same message, as newsletters go out, and
İzinKapı analyses a body it has met only once; in the scenario "personal" our own generator sends bodies of which no
two are alike, with pipelining. İzinKapı runs with two workers and everything on: look-up in an index of
100,000 people, decision, footer in both texts and a personal one-click link, evidence on the disk before the answer,
metrics, log. With ten recipients that makes ten personal copies, where the other routes hand on one. Shown are medians
of {rounds} rounds, all routes in turn in each round; CPU time is for each message and that of everything between sender
and sink, Redis included.

Figures compare within this page only; another machine has others. The targets are ratios where they can be.

## Targets

{targets}
{misses}
## Figures

{scenarios}
{latency}"""


def render_page(results: Results) -> str:
    """docs/benchmarks.md. Nothing in it names the machine or a path."""
    machine = results.machine
    misses = [
        f"{cells[0]} ({store}): {cells[place]}, {cells[1]}"
        for cells, verdicts in _target_rows(results)
        for place, store in ((2, "LMDB"), (3, "Redis"))
        if verdicts[place] is False
    ]
    busy = f"Load average before the run: {machine.load}; somebody else was at work, so read the ratios."
    return _PAGE.format(
        date=results.date,
        cores=machine.cores,
        model=machine.model,
        memory=machine.memory_gib,
        versions=", ".join(f"{name} {number}" for name, number in machine.versions.items()),
        load=busy if machine.load > 0.3 else "Nothing else ran on it.",
        rounds=results.rounds,
        targets=_markdown(_TARGET_COLUMNS, [cells for cells, _ in _target_rows(results)]),
        misses="\nMissed:\n\n" + "".join(f"* {miss}\n" for miss in misses) if misses else "\nAll are met.\n",
        scenarios="\n".join(
            f"### {each.name}: {each.title}\n\n{_markdown(_COLUMNS, _titled(_scenario_rows(results, each)))}"
            for each in results.scenarios
        ),
        latency=_latency_section(results),
    )


def _latency_section(results: Results) -> str:
    if not results.latencies:
        return ""
    first: LatencyRun = results.latencies[0]
    return (
        f"\n### Answers at {first.rate:,} messages a second\n\n"
        "Open loop: time counts from when a message was due, whatever the server does; 4 kB, one recipient each.\n\n"
        f"{_markdown(_LATENCY_COLUMNS, _titled(_latency_rows(results)))}"
    )


def _titled(rows: Iterator[tuple[str, list[str]]]) -> list[list[str]]:
    return [[ROUTE_TITLES[route], *cells] for route, cells in rows]


def _markdown(columns: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
